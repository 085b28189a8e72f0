"""What belongs to the distribution or provider, and what of its neighbourhood is the user's own."""

import pytest

from gitops_dr.model import parse_ref
from gitops_dr.rules.platform import PlatformRow, platform_reason, platform_rows

RBAC = "rbac.authorization.k8s.io"
HOOK = "admissionregistration.k8s.io"

# One entry or more for each row: what it is there for, and what is near it and not its own.
CASES = {
    "node-identities": (["ConfigMap/kube-system/aws-auth"], ["ConfigMap/shop/aws-auth"]),
    "system-namespaces": (
        [
            "Namespace/kube-system",
            "Namespace/kube-public",
            "Namespace/kube-node-lease",
            "Deployment.apps/kube-system/coredns",
            "Service/kube-system/kube-dns",
            "ConfigMap/kube-public/cluster-info",
        ],
        [
            "Namespace/default",
            "Namespace/kube-prometheus",
            "Deployment.apps/shop/coredns",
            "ConfigMap/default/kube-system",
            # Rights that are granted to programs elsewhere.
            f"Role.{RBAC}/kube-system/cert-manager:leaderelection",
            f"RoleBinding.{RBAC}/kube-system/resource-metrics-auth-reader",
            # The only copy of their keys.
            "Secret/kube-system/sealed-secrets-keyx7k2p",
            "Deployment.apps/kube-system/sealed-secrets-controller",
        ],
    ),
    "provider-namespaces": (
        [
            "Namespace/gke-managed-system",
            "Pod/gke-managed-cim/x",
            "Namespace/openshift",
            "ConfigMap/openshift-monitoring/a",
            "DaemonSet.apps/calico-system/calico-node",
            "Namespace/kube-flannel",
        ],
        ["Namespace/openshifty", "Namespace/gke-mine", "ConfigMap/shop/openshift-a"],
    ),
    "platform-rights": (
        [
            f"ClusterRole.{RBAC}/system:coredns",
            f"ClusterRoleBinding.{RBAC}/kubeadm:node-proxier",
            f"ClusterRole.{RBAC}/eks:node-manager",
            f"ClusterRole.{RBAC}/aws-node",
            f"RoleBinding.{RBAC}/shop/system:x",
            f"Role.{RBAC}/kube-system/gce:cloud-provider",
            f"ClusterRoleBinding.{RBAC}/k3s-cloud-controller-manager",
        ],
        [
            f"ClusterRole.{RBAC}/cluster-admin",
            f"ClusterRole.{RBAC}/shop:system:reader",
            "ConfigMap/shop/system:coredns",
            "PriorityClass.scheduling.k8s.io/k3s-batch",
        ],
    ),
    "platform-webhooks": (
        [
            f"MutatingWebhookConfiguration.{HOOK}/pod-identity-webhook",
            f"ValidatingWebhookConfiguration.{HOOK}/aks-node-validating-webhook",
            f"ValidatingWebhookConfiguration.{HOOK}/gkepolicy.config.common-webhooks.networking.gke.io",
        ],
        [
            f"MutatingWebhookConfiguration.{HOOK}/istio-sidecar-injector",
            f"ValidatingWebhookConfiguration.{HOOK}/cert-manager-webhook",
            "Service/shop/pod-identity-webhook",
        ],
    ),
    "installation": (
        [
            "Installation.operator.tigera.io/default",
            "ClusterVersion.config.openshift.io/version",
            "Addon.k3s.cattle.io/kube-system/traefik",
        ],
        ["Route.route.openshift.io/shop/web", "Tenant.projectcapsule.dev/a"],
    ),
    "pod-network": (
        ["IPPool.crd.projectcalico.org/default-ipv4-ippool", "CiliumPodIPPool.cilium.io/default"],
        [
            "GlobalNetworkPolicy.crd.projectcalico.org/deny",
            "NetworkPolicy.crd.projectcalico.org/shop/deny",
            "CiliumNetworkPolicy.cilium.io/shop/deny",
            "IPAddressPool.metallb.io/metallb-system/pool",
        ],
    ),
}
OWNED = [(row, text) for row, (owned, _) in CASES.items() for text in owned]
OURS = [(row, text) for row, (_, ours) in CASES.items() for text in ours]


@pytest.mark.parametrize(("row", "text"), OWNED)
def test_the_platform_owns(row: str, text: str) -> None:
    ref = parse_ref(text)
    assert row in [each.id for each in platform_rows() if each.applies_to(ref)]
    assert platform_reason(ref)


@pytest.mark.parametrize(("row", "text"), OURS)
def test_the_user_owns(row: str, text: str) -> None:
    assert row
    assert platform_reason(parse_ref(text)) is None


def test_classes_of_storage_stay_the_users() -> None:
    for text in (
        "StorageClass.storage.k8s.io/gp3",
        "CSIDriver.storage.k8s.io/ebs.csi.aws.com",
        "VolumeSnapshotClass.snapshot.storage.k8s.io/csi",
        "IngressClass.networking.k8s.io/nginx",
        "CustomResourceDefinition.apiextensions.k8s.io/ippools.crd.projectcalico.org",
    ):
        assert platform_reason(parse_ref(text)) is None


def test_the_most_particular_reason_comes_first() -> None:
    reason = platform_reason(parse_ref("ConfigMap/kube-system/aws-auth"))
    assert reason is not None
    assert "nodes out" in reason


def test_every_row_has_its_cases() -> None:
    assert [row.id for row in platform_rows()] == list(CASES)


@pytest.mark.parametrize("row", platform_rows(), ids=lambda row: row.id)
def test_every_row_says_why_and_asks_for_something(row: PlatformRow) -> None:
    assert row.because.endswith(".")
    assert row.link.startswith("https://")
    assert row.kinds or row.namespaces or row.names
