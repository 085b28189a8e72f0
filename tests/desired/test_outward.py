"""Each row of what acts outward, with an object that it is about and a near miss."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.config import cluster_settings
from gitops_dr.desired.outward import Hold, Holder, Outward, shipped_rows, with_value
from gitops_dr.desired.target_standby import rests
from gitops_dr.errors import UsageError
from gitops_dr.manifests.fieldpath import get, parse_fieldpath
from gitops_dr.model import Body, FieldChange, Ref, parse_kind

ROWS = {row.place: row for row in shipped_rows()}


def obj(kind: str, text: str = "", **metadata: Any) -> tuple[Ref, Body]:
    group, name = parse_kind(kind)
    spec = yaml.safe_load(text) if text else {}
    body = {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": name,
        "metadata": {"name": "a", "namespace": "n", **metadata},
        "spec": spec,
    }
    return Ref(group, name, "n", "a"), body


def pods(image: str, *, replicas: int = 1) -> str:
    return (
        f"{{replicas: {replicas}, template: {{spec: {{containers: "
        f"[{{name: s, image: sidecar}}, {{name: c, image: '{image}'}}]}}}}}}"
    )


def named(**labels: str) -> dict[str, str]:
    """Of the recommended labels those that are given."""
    return {f"app.kubernetes.io/{key.replace('_', '-')}": value for key, value in labels.items()}


WEB = pods("registry.example/web:1")
CASES: dict[str, tuple[tuple[Ref, Body], tuple[Ref, Body]]] = {
    "cron-jobs": (
        obj("CronJob.batch", "{schedule: '* * * * *', suspend: false}"),
        obj("Job.batch", "{suspend: false}"),
    ),
    "flux": (
        obj("Kustomization.kustomize.toolkit.fluxcd.io", "{prune: true}"),
        obj("Kustomization.kustomize.config.k8s.io", "{prune: true}"),
    ),
    "argo-applications": (
        obj("Application.argoproj.io", "{project: default}"),
        obj("Application.app.k8s.io"),
    ),
    "argo-application-sets": (
        obj("ApplicationSet.argoproj.io", "{generators: []}"),
        obj("AppProject.argoproj.io"),
    ),
    "argo-controllers": (
        obj(
            "StatefulSet.apps",
            WEB,
            labels=named(part_of="argocd", component="application-controller"),
        ),
        obj("Deployment.apps", WEB, labels=named(part_of="argocd", component="server")),
    ),
    "argo-controllers-by-name": (
        obj("Deployment.apps", WEB, labels=named(name="argocd-applicationset-controller")),
        obj("Deployment.apps", WEB, labels=named(name="argocd-repo-server")),
    ),
    "argo-image-updater": (
        obj("Deployment.apps", pods("quay.io/argoprojlabs/argocd-image-updater:v0.15@sha256:0")),
        obj("Deployment.apps", pods("quay.io/argoprojlabs/argocd-image-updater-docs:v1")),
    ),
    "fleet": (obj("GitRepo.fleet.cattle.io", "{repo: x}"), obj("Bundle.fleet.cattle.io")),
    "sveltos": (
        obj("SveltosCluster.lib.projectsveltos.io"),
        obj("ClusterProfile.config.projectsveltos.io"),
    ),
    "cron-workflows": (obj("CronWorkflow.argoproj.io"), obj("WorkflowTemplate.argoproj.io")),
    "scaled-jobs": (obj("ScaledJob.keda.sh"), obj("ScaledObject.keda.sh")),
    "velero-schedules": (obj("Schedule.velero.io"), obj("BackupStorageLocation.velero.io")),
    "postgres-backups": (
        obj("ScheduledBackup.postgresql.cnpg.io"),
        obj("Cluster.postgresql.cnpg.io"),
    ),
    "volume-replication": (
        obj("ReplicationSource.volsync.backube"),
        obj("ReplicationSource.example.org"),
    ),
    "external-dns": (
        obj("Deployment.apps", pods("mirror.example:5000/hub/external-dns/external-dns:v0.15.0")),
        obj("Deployment.apps", pods("mirror.example:5000/hub/external-dns-exporter:v1")),
    ),
    "acme-issuers": (
        obj("ClusterIssuer.cert-manager.io", "{acme: {email: a@b.c}}"),
        obj("ClusterIssuer.cert-manager.io", "{selfSigned: {}}"),
    ),
    "tunnels": (
        obj("Deployment.apps", pods("cloudflare/cloudflared")),
        obj("Deployment.apps", pods("registry.example/mycloudflare/cloudflared")),
    ),
    "crossplane-managed": (
        obj("Bucket.s3.aws.m.upbound.io", "{forProvider: {region: x}}"),
        obj("ProviderConfig.aws.upbound.io", "{credentials: {}}"),
    ),
    "crossplane-composites": (
        obj("Shop.platform.example.org", "{crossplane: {compositionRef: {name: x}}}"),
        obj("Shop.platform.example.org", "{size: 3}"),
    ),
    "crossplane-composites-v1": (
        obj("XShop.platform.example.org", "{compositionRef: {name: x}}"),
        obj("XShop.platform.example.org", "{compositionSelector: {}}"),
    ),
    "crossplane-claims": (
        obj(
            "Shop.platform.example.org",
            "{compositeDeletePolicy: Background, resourceRef: {apiVersion: a/v1, kind: X}}",
        ),
        obj("Shop.platform.example.org", "{resourceRef: {apiVersion: a/v1, kind: X}}"),
    ),
    "cluster-api": (obj("Cluster.cluster.x-k8s.io"), obj("Cluster.example.org")),
    "cluster-api-parts": (
        obj(
            "AWSCluster.infrastructure.cluster.x-k8s.io",
            labels={"cluster.x-k8s.io/cluster-name": "c"},
        ),
        obj("AWSClusterTemplate.infrastructure.cluster.x-k8s.io"),
    ),
    "hive": (
        obj("ClusterDeployment.hive.openshift.io"),
        obj("ClusterImageSet.hive.openshift.io"),
    ),
    "azure-service-operator": (
        obj("StorageAccount.storage.azure.com", "{azureName: x}"),
        obj("AzureIdentity.aadpodidentity.azure.com", "{clientID: x}"),
    ),
    "config-connector": (
        obj("ConfigConnectorContext.core.cnrm.cloud.google.com"),
        obj("StorageBucket.storage.cnrm.cloud.google.com"),
    ),
    "aws-controllers": (
        obj("Deployment.apps", pods("public.ecr.aws/aws-controllers-k8s/s3-controller:1.0")),
        obj("Deployment.apps", pods("public.ecr.aws/eks/s3-controller:1.0")),
    ),
    "pulumi": (
        obj("Deployment.apps", pods("pulumi/pulumi-kubernetes-operator:v2")),
        obj("Deployment.apps", pods("pulumi/pulumi:v3")),
    ),
    "push-secrets": (
        obj("PushSecret.external-secrets.io", "{updatePolicy: Replace}"),
        obj("ExternalSecret.external-secrets.io"),
    ),
    "kafka-connectors": (
        obj("KafkaConnector.kafka.strimzi.io", "{class: X}"),
        obj("KafkaTopic.kafka.strimzi.io"),
    ),
    "ci-runners": (
        obj("Deployment.apps", pods("registry.gitlab.com/gitlab-org/gitlab-runner:v17")),
        obj("Deployment.apps", pods("registry.gitlab.com/gitlab-org/gitlab-shell:v17")),
    ),
    "image-watchers": (
        obj("Deployment.apps", pods("keelhq/keel:0.19")),
        obj("Deployment.apps", pods("keelhq/keel-ui:0.19")),
    ),
}
DEPENDENT = {"autoscalers", "acme-certificates"}
"""Rows about what another object is held for."""


def never(_ref: Ref, _body: Body) -> bool:
    return False


def test_every_row_has_its_case_and_a_source() -> None:
    assert CASES.keys() | DEPENDENT == ROWS.keys()
    assert all(row.link.startswith("https://") and row.because for row in ROWS.values())


@pytest.mark.parametrize("name", CASES)
def test_each_row_by_an_object_and_a_near_miss(name: str) -> None:
    (ref, body), (other, near) = CASES[name]
    row = Holder(Hold(shipped_rows())).row(ref, body, never)
    assert row is ROWS[name]
    before = deepcopy(body)
    held = row.held(body)
    assert body == before
    if row.path:
        assert get(held, row.path) == row.value
        assert not row.is_held(body)
    assert row.is_held(held)
    assert row.held(held) is held
    found = Holder(Hold(shipped_rows())).row(other, near, never)
    assert found is None or found.place != name


def test_no_kind_is_held_by_two_files() -> None:
    """What a standby has at rest is at rest besides; the same field has one row."""
    resting = {(kind, rest.path) for kind, rest in rests().items() if not rest.omit}
    for row in shipped_rows():
        assert not any(
            row.names_kind(kind)
            and path == row.path
            and not row.objects[0].labels
            and not row.images
            for kind, path in resting
        ), row.place


def test_an_image_or_the_labels_are_enough() -> None:
    ref, body = obj("Deployment.apps", WEB, labels=named(name="external-dns"))
    row = Holder(Hold(shipped_rows())).row(ref, body, never)
    assert row is ROWS["external-dns"]


def test_what_the_api_server_asks_is_never_held() -> None:
    ref, body = CASES["external-dns"][0]
    assert Holder(Hold(shipped_rows())).row(ref, body, lambda _ref, _body: True) is None


def test_what_is_about_a_held_object_is_held_with_it() -> None:
    issuer, certificate = (
        Ref("cert-manager.io", "ClusterIssuer", "", "le"),
        obj("Certificate.cert-manager.io", "{issuerRef: {name: le, kind: ClusterIssuer}}"),
    )
    workload, scaler = (
        Ref("apps", "Deployment", "n", "names"),
        obj(
            "HorizontalPodAutoscaler.autoscaling",
            "{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: names}}",
        ),
    )
    holder = Holder(Hold(shipped_rows()))
    assert holder.row(*certificate, never) is None
    assert holder.row(*scaler, never) is None
    holder.held |= {issuer, workload}
    assert holder.row(*certificate, never) is ROWS["acme-certificates"]
    assert holder.row(*scaler, never) is ROWS["autoscalers"]
    # One of that name in the certificate's own namespace would be another kind.
    _, other = obj("Certificate.cert-manager.io", "{issuerRef: {name: le}}")
    assert holder.row(certificate[0], other, never) is None


@pytest.mark.parametrize("malformed", ["{}", "{issuerRef: le}", "{issuerRef: {name: [1]}}"])
def test_what_names_nothing_is_about_nothing(malformed: str) -> None:
    holder = Holder(Hold(shipped_rows()))
    holder.held.add(Ref("cert-manager.io", "Issuer", "n", "le"))
    assert holder.row(*obj("Certificate.cert-manager.io", malformed), never) is None


@pytest.mark.parametrize(
    "text", ["{}", "{template: 3}", "{template: {spec: {containers: [3, {image: 4}, {}]}}}"]
)
def test_a_workload_without_images_is_none_of_them(text: str) -> None:
    assert Holder(Hold(shipped_rows())).row(*obj("Deployment.apps", text), never) is None


def test_only_these_may_be_held() -> None:
    ref, body = CASES["cron-jobs"][0]
    assert Holder(Hold(shipped_rows(), frozenset())).row(ref, body, never) is None
    assert Holder(Hold(shipped_rows(), frozenset({ref}))).row(ref, body, never)


@pytest.mark.parametrize(
    ("path", "new", "op", "expected"),
    [
        ("spec.suspend", True, "replace", True),
        ("spec.suspend", True, "add", True),
        ("spec", {"suspend": True}, "add", True),
        ("spec", {"suspend": True, "other": 1}, "add", False),
        ("spec.suspend", False, "replace", False),
        ("spec.suspend", None, "remove", False),
        ("spec.schedule", True, "replace", False),
    ],
)
def test_a_change_that_is_but_the_hold(path: str, new: Any, op: str, expected: bool) -> None:
    assert ROWS["cron-jobs"].is_hold(FieldChange(path, op, None, new)) is expected


def test_a_hold_by_an_annotation_is_known_with_and_without_others() -> None:
    row, key = ROWS["argo-applications"], "argocd.argoproj.io/skip-reconcile"
    alone = FieldChange("metadata.annotations", "add", None, {key: "true"})
    beside = FieldChange(f'metadata.annotations["{key}"]', "add", None, "true")
    assert row.is_hold(alone)
    assert row.is_hold(beside)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "true", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["spec", "suspend", "metadata", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = st.sampled_from(
    ["spec.suspend", "spec.replicas", 'metadata.annotations["a.b/c"]', "spec.a.b"]
).map(parse_fieldpath)


@given(
    body=st.dictionaries(st.sampled_from(["spec", "metadata", "a"]), values, max_size=3),
    path=PATHS,
    value=st.sampled_from([True, 0, "true"]),
)
def test_holding_twice_is_holding_once_and_touches_nothing_else(
    body: Body, path: Any, value: Any
) -> None:
    before = deepcopy(body)
    held = with_value(body, path, value)
    assert body == before
    assert get(held, path) == value
    assert type(get(held, path)) is type(value)
    assert with_value(held, path, value) is held
    others = {key: found for key, found in held.items() if key != path[0]}
    assert others == {key: found for key, found in body.items() if key != path[0]}


# -- gitops-dr.yaml --------------------------------------------------------------------------------


def settings(text: str) -> tuple[Outward, ...]:
    file = f"format: 1\nclusters: {{prod: , other: }}\noutward:\n{text}"
    found = cluster_settings(file.encode(), cluster="prod", context=None, environment={})
    return found.outward


def test_without_the_section_the_shipped_rows_count() -> None:
    found = cluster_settings(None, cluster="prod", context=None, environment={})
    assert found.outward == shipped_rows()


def test_people_say_what_else_acts_outward_and_what_does_not() -> None:
    rows = settings(
        """
- {group: jobs.example.com, kind: Mailer, path: spec.paused, value: true, because: Sends mail.}
- {group: apps, kind: Deployment, images: [shop/mailer], because: Sends mail.}
- {group: apps, kind: StatefulSet, labels: tier=sync, because: Talks to the bank.}
- {group: example.com, kind: Order, omit: true, because: Orders at once.}
- {group: batch, kind: CronJob, namespace: shop, hold: false, because: Touches the database only.}
- {kind: ConfigMap, path: spec.mode, value: passive, cluster: other, because: Elsewhere.}
"""
    )
    assert len(rows) == len(shipped_rows()) + 5
    holder = Holder(Hold(rows))

    def row(kind: str, text: str = "", **metadata: Any) -> Outward | None:
        return holder.row(*obj(kind, text, **metadata), never)

    mailer = row("Mailer.jobs.example.com")
    assert mailer is not None
    assert (mailer.place, mailer.field, mailer.value) == ("outward[0]", "spec.paused", True)
    deployment = row("Deployment.apps", pods("registry.example/shop/mailer:2"))
    assert deployment is not None
    assert (deployment.field, deployment.value) == ("spec.replicas", 0)
    assert row("Deployment.apps", pods("registry.example/workshop/mailer:2")) is None
    assert row("StatefulSet.apps", WEB, labels={"tier": "sync"})
    order = row("Order.example.com")
    assert order is not None
    assert order.omit
    assert row("ConfigMap") is None
    # In that namespace only.
    ref, body = obj("CronJob.batch")
    assert holder.row(Ref("batch", "CronJob", "shop", "a"), body, never) is None
    assert holder.row(ref, body, never) is ROWS["cron-jobs"]


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("- {kind: X, becuase: Why}", "outward[0].becuase: unknown key", "did you mean 'because'?"),
        ("- {kind: X, group: a.b}", "outward[0].because: Field required", ""),
        ("- {group: a.b, omit: true, because: Why}", "outward[0]: names no kind", "say kind"),
        ("- {kind: X, because: ' ', omit: true}", "outward[0].because: says nothing", ""),
        ("- {kind: X, because: Why}", "outward[0]: does not say how a X is held", "path and value"),
        ("- {group: apps, kind: DaemonSet, because: Why}", "how a DaemonSet is held", ""),
        ("- {kind: X, path: spec.a, because: Why}", "outward[0]: lacks value", ""),
        ("- {kind: X, value: 1, because: Why}", "outward[0]: lacks path", ""),
        ("- {kind: X, path: spec.a, value: 1, omit: true, because: Why}", "both path and omit", ""),
        ("- {kind: X, omit: false, because: Why}", "outward[0].omit: says what is so", ""),
        ("- {kind: X, hold: true, because: Why}", "outward[0].hold: says what is so", ""),
        ("- {kind: X, path: 'spec..a', value: 1, because: Why}", "is not a field path", ""),
        ("- {kind: X, path: 'spec.a[0].b', value: 1, because: Why}", "passes through a list", ""),
        ("- {kind: X, path: metadata.name, value: b, because: Why}", "is no field by which", ""),
        ("- {kind: X, path: apiVersion, value: b, because: Why}", "is no field by which", ""),
        ("- {kind: Deployment, images: [a], because: Why}", "has no containers", "group: apps"),
        ("- {kind: X, omit: true, labels: 'a=(', because: Why}", "no label selector", ""),
        ("- {kind: X, omit: true, cluster: prd, because: Why}", "no cluster 'prd'", "'prod'"),
        ("- nothing", "outward[0]", ""),
        ("{}", "outward", ""),
    ],
)
def test_what_makes_no_sense_is_an_error_that_names_it(text: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(text)
    assert str(caught.value).startswith("gitops-dr.yaml: outward")
    assert said in str(caught.value)
    assert hint in (caught.value.hint or "")
