"""Each row of references.yaml finds what it should; odd bodies never break it."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.manifests.fieldpath import EVERY, parse_fieldpath
from gitops_dr.model import Need, Ref, parse_ref
from gitops_dr.planning.references import provided, references, stronger
from gitops_dr.resources import shipped

DATA = yaml.safe_load(shipped("planning/references.yaml").read_text())

POD_SPEC: dict[str, Any] = {
    "serviceAccountName": "runner",
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "gold",
    "runtimeClassName": "gvisor",
    "containers": [
        {
            "name": "main",
            "envFrom": [
                {"configMapRef": {"name": "env-config"}},
                {"secretRef": {"name": "env-secret"}},
                {"configMapRef": {"name": "perhaps", "optional": True}},
            ],
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "key-config", "key": "a"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "key-secret", "key": "b"}}},
                {"name": "C", "value": "plain"},
            ],
        }
    ],
    "initContainers": [
        {
            "name": "init",
            "envFrom": [
                {"secretRef": {"name": "init-secret"}},
                {"configMapRef": {"name": "init-config"}},
            ],
            "env": [
                {"valueFrom": {"secretKeyRef": {"name": "init-key-secret"}}},
                {"valueFrom": {"configMapKeyRef": {"name": "init-key-config"}}},
            ],
        }
    ],
    "resourceClaims": [
        {"name": "gpu", "resourceClaimName": "one-gpu"},
        {"name": "any", "resourceClaimTemplateName": "any-gpu"},
    ],
    "volumes": [
        {"name": "a", "configMap": {"name": "files"}},
        {"name": "b", "secret": {"secretName": "certs"}},
        {"name": "c", "projected": {"sources": [{"configMap": {"name": "part-config"}}]}},
        {"name": "d", "projected": {"sources": [{"secret": {"name": "part-secret"}}]}},
        {"name": "e", "persistentVolumeClaim": {"claimName": "data"}},
        {
            "name": "f",
            "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "scratch"}}},
        },
        {
            "name": "g",
            "csi": {"driver": "csi.example.org", "nodePublishSecretRef": {"name": "csi"}},
        },
        {"name": "h", "rbd": {"secretRef": {"name": "rbd"}}},
        {"name": "i", "azureFile": {"secretName": "azure"}},
        {"name": "j", "cephfs": {"secretRef": {"name": "cephfs"}}},
        {"name": "k", "flexVolume": {"secretRef": {"name": "flex"}}},
        {"name": "l", "iscsi": {"secretRef": {"name": "iscsi"}}},
    ],
}

IN_POD_SPEC = {
    "Namespace/shop",
    "ServiceAccount/shop/runner",
    "Secret/shop/registry",
    "PriorityClass.scheduling.k8s.io/gold",
    "RuntimeClass.node.k8s.io/gvisor",
    "LimitRange/shop/*",
    "ConfigMap/shop/env-config",
    "Secret/shop/env-secret",
    "ConfigMap/shop/perhaps",
    "ConfigMap/shop/key-config",
    "Secret/shop/key-secret",
    "Secret/shop/init-secret",
    "ResourceClaim.resource.k8s.io/shop/one-gpu",
    "ResourceClaimTemplate.resource.k8s.io/shop/any-gpu",
    "ConfigMap/shop/files",
    "Secret/shop/certs",
    "ConfigMap/shop/part-config",
    "Secret/shop/part-secret",
    "PersistentVolumeClaim/shop/data",
    "StorageClass.storage.k8s.io/scratch",
    "CSIDriver.storage.k8s.io/csi.example.org",
    "Secret/shop/csi",
    "Secret/shop/rbd",
    "Secret/shop/azure",
    "Secret/shop/cephfs",
    "Secret/shop/flex",
    "Secret/shop/iscsi",
    "ConfigMap/shop/init-config",
    "Secret/shop/init-key-secret",
    "ConfigMap/shop/init-key-config",
}


def found(ref: str, body: dict[str, Any], plural: str = "things") -> dict[str, Need]:
    return {str(need.ref): need for need in references(parse_ref(ref), body, plural).needs}


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", "spec"),
        ("ReplicationController", "spec.template.spec"),
        ("Deployment.apps", "spec.template.spec"),
        ("StatefulSet.apps", "spec.template.spec"),
        ("DaemonSet.apps", "spec.template.spec"),
        ("ReplicaSet.apps", "spec.template.spec"),
        ("Job.batch", "spec.template.spec"),
        ("CronJob.batch", "spec.jobTemplate.spec.template.spec"),
    ],
)
def test_every_kind_with_pods_refers_to_what_its_pods_need(kind: str, path: str) -> None:
    needs = found(f"{kind}/shop/web", nested(path, POD_SPEC))
    assert set(needs) == IN_POD_SPEC
    assert needs["Secret/shop/certs"].why == f"{path}.volumes[*].secret.secretName"


def test_admission_refuses_bare_pods_but_not_workloads() -> None:
    refused = {
        "Namespace/shop",
        "ServiceAccount/shop/runner",
        "PriorityClass.scheduling.k8s.io/gold",
        "RuntimeClass.node.k8s.io/gvisor",
    }
    pod = found("Pod/shop/web", {"spec": POD_SPEC})
    assert {name for name, need in pod.items() if need.hard} == refused
    deployment = found("Deployment.apps/shop/web", {"spec": {"template": {"spec": POD_SPEC}}})
    assert {name for name, need in deployment.items() if need.hard} == {"Namespace/shop"}


def test_pods_wait_until_their_account_has_its_rights() -> None:
    assert found("Pod/shop/web", {"spec": POD_SPEC})["ServiceAccount/shop/runner"].ready


def test_what_is_optional_is_told_apart() -> None:
    relations = references(parse_ref("Pod/shop/web"), {"spec": POD_SPEC}, "pods")
    assert {str(ref) for ref in relations.optional} == {
        "ConfigMap/shop/perhaps",
        "LimitRange/shop/*",
        "CSIDriver.storage.k8s.io/csi.example.org",
    }


def test_what_one_field_requires_is_not_optional_because_another_can_do_without() -> None:
    spec = {
        "volumes": [
            {"configMap": {"name": "files", "optional": True}},
            {"projected": {"sources": [{"configMap": {"name": "files"}}]}},
        ]
    }
    relations = references(parse_ref("Pod/shop/web"), {"spec": spec}, "pods")
    assert parse_ref("ConfigMap/shop/files") not in relations.optional


def test_a_pod_that_names_no_account_needs_the_default_one() -> None:
    need = found("Pod/shop/web", {"spec": {"containers": []}})["ServiceAccount/shop/default"]
    assert need.hard
    assert "ServiceAccount/shop/default" not in found("Pod/shop/web", {"spec": POD_SPEC})


GATEWAY = "gateway.networking.k8s.io"
RBAC = "rbac.authorization.k8s.io"
SNAPSHOT = "snapshot.storage.k8s.io"
ADMISSION = "admissionregistration.k8s.io"

BACKGROUND = {
    "Namespace/shop",
    "LimitRange/shop/*",
    "ServiceAccount/shop/default",
    *(
        f"CustomResourceDefinition.apiextensions.k8s.io/things.{group}"
        for group in (
            "apiextensions.k8s.io",
            "apiregistration.k8s.io",
            "cert-manager.io",
            "flowcontrol.apiserver.k8s.io",
            "networking.k8s.io",
            ADMISSION,
            GATEWAY,
            RBAC,
            SNAPSHOT,
        )
    ),
}
"""What objects need whatever is in their fields."""

ROWS: list[tuple[str, dict[str, Any], str]] = [
    (
        "StatefulSet.apps/shop/db",
        {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}},
        "PersistentVolumeClaim/shop/data-db-* hard",
    ),
    (
        "StatefulSet.apps/shop/db",
        {"spec": {"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]}},
        "StorageClass.storage.k8s.io/fast",
    ),
    ("StatefulSet.apps/shop/db", {"spec": {"serviceName": "db"}}, "Service/shop/db"),
    ("ServiceAccount/shop/a", {"secrets": [{"name": "token"}]}, "Secret/shop/token"),
    ("ServiceAccount/shop/a", {"imagePullSecrets": [{"name": "pull"}]}, "Secret/shop/pull"),
    (
        "Secret/shop/token",
        {"metadata": {"annotations": {"kubernetes.io/service-account.name": "a"}}},
        "ServiceAccount/shop/a hard",
    ),
    (
        f"RoleBinding.{RBAC}/shop/b",
        {"roleRef": {"kind": "Role", "name": "r"}},
        f"Role.{RBAC}/shop/r",
    ),
    (
        f"RoleBinding.{RBAC}/shop/b",
        {"roleRef": {"kind": "ClusterRole", "name": "r"}},
        f"ClusterRole.{RBAC}/r",
    ),
    (
        f"ClusterRoleBinding.{RBAC}/b",
        {"subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "a"}]},
        "ServiceAccount/shop/a",
    ),
    (
        "PersistentVolumeClaim/shop/c",
        {"spec": {"storageClassName": "fast"}},
        "StorageClass.storage.k8s.io/fast",
    ),
    (
        "PersistentVolumeClaim/shop/c",
        {"spec": {"volumeAttributesClassName": "gold"}},
        "VolumeAttributesClass.storage.k8s.io/gold",
    ),
    ("PersistentVolumeClaim/shop/c", {"spec": {"volumeName": "pv"}}, "PersistentVolume/pv"),
    (
        "PersistentVolumeClaim/shop/c",
        {"spec": {"dataSource": {"kind": "VolumeSnapshot", "name": "s"}}},
        f"VolumeSnapshot.{SNAPSHOT}/shop/s ready hard must_be_ready",
    ),
    (
        "PersistentVolumeClaim/shop/c",
        {"spec": {"dataSourceRef": {"kind": "VolumeSnapshot", "name": "s", "namespace": "x"}}},
        f"VolumeSnapshot.{SNAPSHOT}/x/s ready hard must_be_ready",
    ),
    *(
        (
            "PersistentVolumeClaim/shop/c",
            {"spec": {field: {"kind": "PersistentVolumeClaim", "name": "other"}}},
            "PersistentVolumeClaim/shop/other",
        )
        for field in ("dataSource", "dataSourceRef")
    ),
    (
        "PersistentVolume/pv",
        {"spec": {"storageClassName": "fast"}},
        "StorageClass.storage.k8s.io/fast",
    ),
    ("PersistentVolume/pv", {"spec": {"claimRef": {"namespace": "shop"}}}, "Namespace/shop"),
    *(
        (
            "PersistentVolume/pv",
            {"spec": {"csi": {field: {"name": "s", "namespace": "ceph"}}}},
            "Secret/ceph/s",
        )
        for field in (
            "controllerExpandSecretRef",
            "controllerPublishSecretRef",
            "nodeExpandSecretRef",
            "nodePublishSecretRef",
            "nodeStageSecretRef",
        )
    ),
    (
        f"VolumeSnapshot.{SNAPSHOT}/shop/s",
        {"spec": {"source": {"volumeSnapshotContentName": "c"}}},
        f"VolumeSnapshotContent.{SNAPSHOT}/c",
    ),
    (
        f"VolumeSnapshot.{SNAPSHOT}/shop/s",
        {"spec": {"source": {"persistentVolumeClaimName": "c"}}},
        "PersistentVolumeClaim/shop/c",
    ),
    (
        f"VolumeSnapshotContent.{SNAPSHOT}/c",
        {"spec": {"volumeSnapshotClassName": "k"}},
        f"VolumeSnapshotClass.{SNAPSHOT}/k",
    ),
    (
        "Ingress.networking.k8s.io/shop/i",
        {"spec": {"ingressClassName": "nginx"}},
        "IngressClass.networking.k8s.io/nginx",
    ),
    (
        "Ingress.networking.k8s.io/shop/i",
        {"spec": {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "web"}}}]}}]}},
        "Service/shop/web",
    ),
    (
        "Ingress.networking.k8s.io/shop/i",
        {"spec": {"defaultBackend": {"service": {"name": "web"}}}},
        "Service/shop/web",
    ),
    (
        "Ingress.networking.k8s.io/shop/i",
        {"spec": {"tls": [{"secretName": "cert"}]}},
        "Secret/shop/cert",
    ),
    (
        f"Gateway.{GATEWAY}/shop/g",
        {"spec": {"gatewayClassName": "envoy"}},
        f"GatewayClass.{GATEWAY}/envoy",
    ),
    (
        f"HTTPRoute.{GATEWAY}/shop/r",
        {"spec": {"parentRefs": [{"name": "g", "namespace": "infra"}]}},
        f"Gateway.{GATEWAY}/infra/g",
    ),
    (
        "HorizontalPodAutoscaler.autoscaling/shop/h",
        {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}}},
        "Deployment.apps/shop/w",
    ),
    (
        "HorizontalPodAutoscaler.autoscaling/shop/h",
        {
            "spec": {
                "scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "w"}
            }
        },
        "ReplicationController/shop/w",
    ),
    (
        "FlowSchema.flowcontrol.apiserver.k8s.io/f",
        {"spec": {"priorityLevelConfiguration": {"name": "low"}}},
        "PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io/low",
    ),
    (
        f"MutatingWebhookConfiguration.{ADMISSION}/m",
        {"webhooks": [{"clientConfig": {"service": {"name": "hook", "namespace": "ops"}}}]},
        "Service/ops/hook ready",
    ),
    (
        f"ValidatingWebhookConfiguration.{ADMISSION}/v",
        {"webhooks": [{"clientConfig": {"service": {"name": "hook", "namespace": "ops"}}}]},
        "Service/ops/hook ready",
    ),
    (
        "APIService.apiregistration.k8s.io/v1.metrics",
        {"spec": {"service": {"name": "metrics", "namespace": "ops"}}},
        "Service/ops/metrics ready",
    ),
    (
        "CustomResourceDefinition.apiextensions.k8s.io/books.shop.io",
        {
            "spec": {
                "conversion": {
                    "webhook": {"clientConfig": {"service": {"name": "conv", "namespace": "ops"}}}
                }
            }
        },
        "Service/ops/conv",
    ),
    (
        f"ValidatingAdmissionPolicyBinding.{ADMISSION}/b",
        {"spec": {"policyName": "p"}},
        f"ValidatingAdmissionPolicy.{ADMISSION}/p",
    ),
    (
        f"MutatingAdmissionPolicyBinding.{ADMISSION}/b",
        {"spec": {"policyName": "p"}},
        f"MutatingAdmissionPolicy.{ADMISSION}/p",
    ),
    (
        "Certificate.cert-manager.io/shop/c",
        {"spec": {"issuerRef": {"name": "i"}}},
        "Issuer.cert-manager.io/shop/i",
    ),
    (
        "Certificate.cert-manager.io/shop/c",
        {"spec": {"issuerRef": {"name": "i", "kind": "ClusterIssuer"}}},
        "ClusterIssuer.cert-manager.io/i",
    ),
    (
        "Certificate.cert-manager.io/shop/c",
        {"spec": {"secretName": "tls"}},
        "Secret/shop/tls",
    ),
    (
        "Issuer.cert-manager.io/shop/i",
        {"spec": {"acme": {"privateKeySecretRef": {"name": "account"}}}},
        "Secret/shop/account",
    ),
    (
        "Issuer.cert-manager.io/shop/i",
        {"spec": {"ca": {"secretName": "ca"}}},
        "Secret/shop/ca",
    ),
    (
        "ClusterIssuer.cert-manager.io/i",
        {
            "spec": {
                "acme": {
                    "solvers": [{"dns01": {"cloudflare": {"apiTokenSecretRef": {"name": "t"}}}}]
                }
            }
        },
        "Secret/cert-manager/t",
    ),
    (
        "Deployment.apps/shop/sealed-secrets-controller",
        {"metadata": {"labels": {"app.kubernetes.io/name": "sealed-secrets"}}},
        "Secret/shop/sealed-secrets-key*",
    ),
    (
        "Book.shop.io/shop/b",
        {},
        "CustomResourceDefinition.apiextensions.k8s.io/things.shop.io ready hard",
    ),
    ("ConfigMap/shop/c", {}, "Namespace/shop hard"),
]


@pytest.mark.parametrize(("ref", "body", "expected"), ROWS)
def test_a_field_refers_to(ref: str, body: dict[str, Any], expected: str) -> None:
    name, *flags = expected.split(" ")
    needs = found(ref, body)
    known = ("ready", "hard", "must_be_ready")
    assert [flag for flag in known if getattr(needs[name], flag)] == flags
    assert set(needs) - {name} <= BACKGROUND


@pytest.mark.parametrize(
    ("ref", "body"),
    [
        (f"RoleBinding.{RBAC}/shop/b", {"subjects": [{"kind": "User", "name": "eve"}]}),
        (f"HTTPRoute.{GATEWAY}/shop/r", {"spec": {"parentRefs": [{"kind": "X", "name": "s"}]}}),
        ("PersistentVolumeClaim/shop/c", {"spec": {"storageClassName": ""}}),
        ("PersistentVolumeClaim/shop/c", {"spec": {"dataSource": {"kind": "Other", "name": "x"}}}),
        (
            "Certificate.cert-manager.io/shop/c",
            {"spec": {"issuerRef": {"name": "i", "group": "example.org"}}},
        ),
        ("HorizontalPodAutoscaler.autoscaling/shop/h", {"spec": {"scaleTargetRef": {"name": "w"}}}),
        ("PodDisruptionBudget.policy/shop/p", {"spec": {"selector": {}}}),
        ("NetworkPolicy.networking.k8s.io/shop/n", {"spec": {"podSelector": {}}}),
        ("ResourceQuota/shop/q", {"spec": {"hard": {"pods": "4"}}}),
    ],
)
def test_these_refer_to_nothing_but_their_namespace_and_definition(
    ref: str, body: dict[str, Any]
) -> None:
    kinds = {need.ref.kind for need in references(parse_ref(ref), body, "things").needs}
    assert kinds <= {"Namespace", "CustomResourceDefinition"}


def test_a_binding_completes_its_accounts() -> None:
    subject = {"kind": "ServiceAccount", "namespace": "shop", "name": "a"}
    relations = references(
        parse_ref(f"ClusterRoleBinding.{RBAC}/b"), {"subjects": [subject]}, "clusterrolebindings"
    )
    assert relations.completes == (parse_ref("ServiceAccount/shop/a"),)


OWNED = {
    "metadata": {
        "ownerReferences": [
            {"apiVersion": "shop.io/v1", "kind": "Shop", "name": "main", "uid": "u"}
        ]
    }
}


@pytest.mark.parametrize(
    ("ref", "owners"),
    [
        ("ConfigMap/shop/a", {"Shop.shop.io/shop/main", "Shop.shop.io/main"}),
        (f"ClusterRole.{RBAC}/a", {"Shop.shop.io/main"}),
        # It comes before its owner, who would make an empty one.
        ("PersistentVolumeClaim/shop/a", set()),
    ],
)
def test_an_object_comes_after_its_owners(ref: str, owners: set[str]) -> None:
    relations = references(parse_ref(ref), OWNED, "things")
    needs = {str(need.ref): need for need in relations.needs if need.ref.kind == "Shop"}
    assert needs.keys() == owners
    # A cycle through it can be broken, and an owner that is nowhere is not reported twice.
    assert not any(need.hard or need.ready for need in needs.values())
    assert {need.ref for need in needs.values()} <= relations.optional


@pytest.mark.parametrize(
    ("spec", "has_data"),
    [
        ({"volumeName": "pv"}, True),
        ({"dataSource": {"kind": "VolumeSnapshot", "name": "s"}}, True),
        ({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "c"}}, True),
        ({"storageClassName": "fast"}, False),
    ],
)
def test_what_brings_the_data_of_a_claim(spec: dict[str, Any], has_data: bool) -> None:
    relations = references(parse_ref("PersistentVolumeClaim/shop/x"), {"spec": spec}, "pvcs")
    assert relations.has_data is has_data


@pytest.mark.parametrize(
    ("ref", "there"),
    [
        ("Namespace/kube-system", True),
        ("Namespace/shop", False),
        ("ServiceAccount/shop/default", True),
        ("ServiceAccount/shop/web", False),
        (f"ClusterRole.{RBAC}/system:node", True),
        (f"ClusterRole.{RBAC}/viewer", False),
        ("PriorityClass.scheduling.k8s.io/system-node-critical", True),
    ],
)
def test_what_every_cluster_provides(ref: str, there: bool) -> None:
    assert provided(parse_ref(ref)) is there


NEEDS = st.builds(
    Need,
    st.just(Ref("", "Secret", "a", "b")),
    ready=st.booleans(),
    hard=st.booleans(),
    why=st.sampled_from("xyz"),
    must_be_ready=st.booleans(),
)


@given(NEEDS, NEEDS)
def test_the_stronger_need_asks_for_both(one: Need, other: Need) -> None:
    both = stronger(one, other)
    assert both == stronger(other, one)
    assert (both.ready, both.hard) == (one.ready or other.ready, one.hard or other.hard)
    assert both.must_be_ready == (one.must_be_ready or other.must_be_ready)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "template", "volumes", "containers", "env", "name", "metadata", "secret"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.sampled_from(["Pod/a/b", "Deployment.apps/a/b", "Book.shop.io/a/b", "Secret/a/b"]),
    st.dictionaries(st.sampled_from(["spec", "metadata", "subjects", "roleRef"]), JSON),
)
def test_odd_bodies_are_no_errors(ref: str, body: dict[str, Any]) -> None:
    references(parse_ref(ref), body, "things")


@pytest.mark.parametrize("row", [*DATA["rows"], *DATA["provided"]])
def test_every_row_says_why_and_where_from(row: dict[str, Any]) -> None:
    assert row["because"]
    assert row["link"].startswith("https://")
    known = {"from", "path", "name", "when", "to", "namespace", "default", "ready", "hard"}
    known |= {"optional", "completes", "data", "because", "link", "kind", "names", "except"}
    known |= {"makes", "yields"}
    assert set(row) <= known
    paths = row.get("path", [])
    for path in [paths] if isinstance(paths, str) else paths:
        assert all(isinstance(step, str) or step is EVERY for step in parse_fieldpath(path))
