"""When is it ready: a table for each kind, with the traps."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.readiness import Readiness, awaited, readiness, timeout_of
from gitops_dr.resources import shipped

UNSEEN = "its controller has not seen it yet"


def live(
    api_version: str,
    kind: str,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "generation": 2, **metadata},
    }
    if spec is not None:
        body["spec"] = spec
    if status is not None:
        body["status"] = status
    return body


def when(name: str, status: str = "True", **more: Any) -> dict[str, Any]:
    return {"type": name, "status": status, **more}


def verdict(found: Readiness) -> str:
    """One word and the reason: the tables are easier to read so."""
    if found.failed:
        return f"failed: {found.reason}"
    return "ready" if found.ready else f"not: {found.reason}"


Case = tuple[dict[str, Any], dict[str, Any], str]


def deployment(spec: dict[str, Any], expected: str, **status: Any) -> Case:
    return spec, {"observedGeneration": 2, **status}, expected


DEPLOYMENTS: list[Case] = [
    ({}, {}, f"not: {UNSEEN}"),
    ({}, {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}, f"not: {UNSEEN}"),
    deployment({}, "not: 0 of 1 replicas are updated"),
    deployment({}, "ready", replicas=1, updatedReplicas=1, availableReplicas=1),
    deployment({"replicas": 0}, "ready"),
    deployment({"replicas": 3, "paused": True}, "ready"),
    deployment(
        {"replicas": 3},
        "not: 2 of 3 replicas are updated",
        replicas=4,
        updatedReplicas=2,
        availableReplicas=3,
    ),
    deployment(
        {"replicas": 3},
        "not: 1 old replicas are left",
        replicas=4,
        updatedReplicas=3,
        availableReplicas=3,
    ),
    deployment(
        {"replicas": 3},
        "not: 2 of 3 replicas are available",
        replicas=3,
        updatedReplicas=3,
        availableReplicas=2,
    ),
    deployment(
        {"replicas": 3},
        "failed: it took too long",
        conditions=[
            when(
                "Progressing",
                "False",
                reason="ProgressDeadlineExceeded",
                message="it took too long",
            )
        ],
    ),
    deployment(
        {"replicas": 3},
        "failed: exceeded quota",
        conditions=[
            when("Progressing", "False", reason="ProgressDeadlineExceeded", message="too long"),
            when("ReplicaFailure", message="exceeded quota"),
        ],
    ),
    deployment(
        {"replicas": 3},
        "not: 0 of 3 replicas are updated: exceeded quota",
        conditions=[when("ReplicaFailure", message="exceeded quota")],
    ),
]


@pytest.mark.parametrize(("spec", "status", "expected"), DEPLOYMENTS)
def test_deployment(spec: dict[str, Any], status: dict[str, Any], expected: str) -> None:
    assert verdict(readiness(live("apps/v1", "Deployment", spec, status))) == expected


REVISIONS = {"currentRevision": "a", "updateRevision": "a"}
STATEFUL_SETS: list[Case] = [
    ({"replicas": 2}, {}, f"not: {UNSEEN}"),
    (
        {"replicas": 2},
        {"observedGeneration": 2, "readyReplicas": 1, **REVISIONS},
        "not: 1 of 2 replicas are ready",
    ),
    ({"replicas": 2}, {"observedGeneration": 2, "readyReplicas": 2, **REVISIONS}, "ready"),
    ({"replicas": 0}, {"observedGeneration": 2, **REVISIONS}, "ready"),
    (
        {"replicas": 2},
        {
            "observedGeneration": 2,
            "readyReplicas": 2,
            "updatedReplicas": 1,
            "currentRevision": "a",
            "updateRevision": "b",
        },
        "not: 1 of 2 replicas are updated",
    ),
    (
        {"replicas": 2, "updateStrategy": {"type": "OnDelete"}},
        {
            "observedGeneration": 2,
            "readyReplicas": 2,
            "currentRevision": "a",
            "updateRevision": "b",
        },
        "ready",
    ),
    (
        {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 3}}},
        {
            "observedGeneration": 2,
            "readyReplicas": 4,
            "updatedReplicas": 1,
            "currentRevision": "a",
            "updateRevision": "b",
        },
        "ready",
    ),
    (
        {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        {"observedGeneration": 2, "readyReplicas": 4, "updatedReplicas": 1},
        "not: 1 of 2 replicas are updated",
    ),
    (
        {"replicas": 1},
        {"observedGeneration": 2, "readyReplicas": 1, "replicas": 3, **REVISIONS},
        "not: 2 old replicas are left",
    ),
]


@pytest.mark.parametrize(("spec", "status", "expected"), STATEFUL_SETS)
def test_stateful_set(spec: dict[str, Any], status: dict[str, Any], expected: str) -> None:
    assert verdict(readiness(live("apps/v1", "StatefulSet", spec, status))) == expected


DAEMON_SETS: list[Case] = [
    ({}, {}, f"not: {UNSEEN}"),
    ({}, {"observedGeneration": 2}, f"not: {UNSEEN}"),
    ({}, {"observedGeneration": 2, "desiredNumberScheduled": 0}, "ready"),
    (
        {},
        {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1},
        "not: 1 of 3 pods are updated",
    ),
    (
        {},
        {
            "observedGeneration": 2,
            "desiredNumberScheduled": 3,
            "updatedNumberScheduled": 3,
            "numberAvailable": 2,
        },
        "not: 2 of 3 pods are available",
    ),
    (
        {"updateStrategy": {"type": "OnDelete"}},
        {"observedGeneration": 2, "desiredNumberScheduled": 1, "numberAvailable": 1},
        "ready",
    ),
]


@pytest.mark.parametrize(("spec", "status", "expected"), DAEMON_SETS)
def test_daemon_set(spec: dict[str, Any], status: dict[str, Any], expected: str) -> None:
    assert verdict(readiness(live("apps/v1", "DaemonSet", spec, status))) == expected


@pytest.mark.parametrize(
    ("api_version", "kind"), [("apps/v1", "ReplicaSet"), ("v1", "ReplicationController")]
)
@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"replicas": 2}, {}, f"not: {UNSEEN}"),
        ({"replicas": 0}, {"observedGeneration": 2}, "ready"),
        ({"replicas": 2}, {"observedGeneration": 2, "availableReplicas": 2}, "ready"),
        (
            {"replicas": 2},
            {"observedGeneration": 2, "availableReplicas": 1},
            "not: 1 of 2 replicas are available",
        ),
        (
            {"replicas": 2},
            {
                "observedGeneration": 2,
                "conditions": [when("ReplicaFailure", message="no\n  account")],
            },
            "not: 0 of 2 replicas are available: no account",
        ),
    ],
)
def test_replica_sets(
    api_version: str, kind: str, spec: dict[str, Any], status: dict[str, Any], expected: str
) -> None:
    assert verdict(readiness(live(api_version, kind, spec, status))) == expected


PODS: list[tuple[dict[str, Any], str]] = [
    ({}, "not: is Pending and not ready"),
    ({"phase": "Running"}, "not: is Running and not ready"),
    ({"phase": "Running", "conditions": [when("Ready")]}, "ready"),
    (
        {"phase": "Running", "conditions": [when("Ready", "False")]},
        "not: is Running and not ready",
    ),
    ({"phase": "Succeeded"}, "ready"),
    ({"phase": "Failed", "reason": "Evicted"}, "failed: Evicted"),
    ({"phase": "Failed"}, "failed: its containers failed"),
    (
        {
            "phase": "Pending",
            "conditions": [
                when("PodScheduled", "False", reason="Unschedulable", message="0/3 nodes")
            ],
        },
        "not: 0/3 nodes",
    ),
    (
        {
            "phase": "Pending",
            "containerStatuses": [
                {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
            ],
        },
        "not: container web: ImagePullBackOff",
    ),
    (
        {
            "phase": "Pending",
            "initContainerStatuses": [
                {
                    "name": "init",
                    "state": {"waiting": {"reason": "ErrImagePull", "message": "no\n such tag"}},
                }
            ],
        },
        "not: container init: ErrImagePull: no such tag",
    ),
]


@pytest.mark.parametrize(("status", "expected"), PODS)
def test_pod(status: dict[str, Any], expected: str) -> None:
    assert verdict(readiness(live("v1", "Pod", {}, status))) == expected


def test_nobody_waits_for_a_pod_that_is_held_on_purpose() -> None:
    gated = {"conditions": [when("PodScheduled", "False", reason="SchedulingGated")]}
    spec = {"schedulingGates": [{"name": "example.com/wait"}]}
    assert verdict(readiness(live("v1", "Pod", spec, gated))) == "ready"
    assert verdict(readiness(live("v1", "Pod", {"schedulingGates": []}, gated))) != "ready"


JOBS: list[Case] = [
    ({}, {"active": 1}, "not: 0 of 1 completions"),
    ({"completions": 3}, {"succeeded": 2}, "not: 2 of 3 completions"),
    ({}, {"conditions": [when("Complete")]}, "ready"),
    ({}, {"conditions": [when("Failed", message="backoff limit")]}, "failed: backoff limit"),
    ({"suspend": True}, {}, "ready"),
    (
        {"suspend": True},
        {"conditions": [when("Failed", reason="DeadlineExceeded")]},
        "failed: DeadlineExceeded",
    ),
]


@pytest.mark.parametrize(("spec", "status", "expected"), JOBS)
def test_job(spec: dict[str, Any], status: dict[str, Any], expected: str) -> None:
    assert verdict(readiness(live("batch/v1", "Job", spec, status))) == expected


BY_RULE: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("v1", "Namespace", {"phase": "Active"}, "ready"),
    ("v1", "Namespace", {"phase": "Terminating"}, "not: is Terminating"),
    ("v1", "PersistentVolume", {"phase": "Available"}, "ready"),
    ("v1", "PersistentVolume", {"phase": "Bound"}, "ready"),
    ("v1", "PersistentVolume", None, "not: is Pending"),
    (
        "v1",
        "PersistentVolume",
        {"phase": "Failed", "message": "no plugin"},
        "failed: is Failed: no plugin",
    ),
    ("v1", "PersistentVolumeClaim", {"phase": "Bound"}, "ready"),
    ("v1", "PersistentVolumeClaim", {"phase": "Pending"}, "not: is Pending"),
    ("v1", "PersistentVolumeClaim", {"phase": "Lost"}, "failed: is Lost"),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        {"conditions": [when("NamesAccepted"), when("Established")]},
        "ready",
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        {"conditions": [when("NamesAccepted"), when("Established", "False", reason="Installing")]},
        "not: Installing",
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        {"conditions": [when("NamesAccepted", "False", message="plural is taken")]},
        "failed: plural is taken",
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
        "not: condition NamesAccepted is not reported yet",
    ),
    (
        "apiregistration.k8s.io/v1",
        "APIService",
        {"conditions": [when("Available")]},
        "ready",
    ),
    (
        "apiregistration.k8s.io/v1",
        "APIService",
        {"conditions": [when("Available", "False", message="no endpoints")]},
        "not: no endpoints",
    ),
    ("policy/v1", "PodDisruptionBudget", {}, f"not: {UNSEEN}"),
    ("policy/v1", "PodDisruptionBudget", {"observedGeneration": 1}, f"not: {UNSEEN}"),
    ("policy/v1", "PodDisruptionBudget", {"observedGeneration": 2}, "ready"),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshot", {"readyToUse": True}, "ready"),
    (
        "snapshot.storage.k8s.io/v1",
        "VolumeSnapshot",
        {"readyToUse": False},
        "not: readyToUse is not true yet",
    ),
    (
        "snapshot.storage.k8s.io/v1",
        "VolumeSnapshot",
        {"readyToUse": False, "error": {"message": "no such handle"}},
        "not: no such handle",
    ),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass", None, "ready"),
    ("groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshotClass", None, "ready"),
    (
        "snapshot.storage.k8s.io/v1",
        "VolumeSnapshotContent",
        None,
        "not: the driver's csi-snapshotter has not taken it up; is it running?",
    ),
    (
        "snapshot.storage.k8s.io/v1",
        "VolumeSnapshot",
        {},
        "not: no snapshot controller has taken it up; is one running?",
    ),
    (
        "groupsnapshot.storage.k8s.io/v1",
        "VolumeGroupSnapshot",
        None,
        "not: readyToUse is not true yet",
    ),
]


@pytest.mark.parametrize(("api_version", "kind", "status", "expected"), BY_RULE)
def test_kinds_whose_rule_is_data(
    api_version: str, kind: str, status: dict[str, Any] | None, expected: str
) -> None:
    assert verdict(readiness(live(api_version, kind, {}, status))) == expected


@pytest.mark.parametrize(
    ("status", "patience"),
    [
        pytest.param(None, 15.0, id="nobody has touched it"),
        pytest.param({"error": {"message": "try again"}}, 15.0, id="an error may pass"),
        pytest.param({"readyToUse": False}, None, id="somebody is at it"),
        pytest.param({"readyToUse": True}, None, id="ready"),
    ],
)
def test_a_snapshot_that_seems_hopeless_is_given_seconds(
    status: dict[str, Any] | None, patience: float | None
) -> None:
    found = readiness(live("snapshot.storage.k8s.io/v1", "VolumeSnapshot", {}, status))
    assert (found.patience, found.failed) == (patience, False)


def test_a_claim_that_waits_for_its_first_consumer_is_no_obstacle() -> None:
    pending = live("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"})
    assert not readiness(pending).ready
    assert readiness(pending, wait_for_consumer=True).ready
    lost = live("v1", "PersistentVolumeClaim", {}, {"phase": "Lost"})
    assert readiness(lost, wait_for_consumer=True).failed


CUSTOM: list[tuple[dict[str, Any], str]] = [
    ({"conditions": [when("Ready")]}, "ready"),
    ({"conditions": [when("Available")]}, "ready"),
    ({"conditions": [when("Ready", "False", message="no store")]}, "not: no store"),
    ({"conditions": [when("Ready", "Unknown")]}, "not: condition Ready is Unknown"),
    ({"conditions": [when("Available"), when("Ready", "False", reason="Syncing")]}, "not: Syncing"),
    ({"observedGeneration": 1, "conditions": [when("Ready")]}, f"not: {UNSEEN}"),
    ({"conditions": [when("Ready", observedGeneration=1)]}, f"not: {UNSEEN}"),
    ({"observedGeneration": 2, "conditions": [when("Ready", observedGeneration=2)]}, "ready"),
    ({"conditions": [when("Ready"), when("Stalled", message="bad chart")]}, "failed: bad chart"),
    ({"conditions": [when("Ready"), when("Reconciling", reason="Busy")]}, "not: Busy"),
    ({"observedGeneration": 2}, "ready"),
    ({"observedGeneration": 2, "conditions": [when("Odd", "False")]}, "ready"),
]


@pytest.mark.parametrize(("status", "expected"), CUSTOM)
def test_custom_resource(status: dict[str, Any], expected: str) -> None:
    found = readiness(live("shop.example/v1", "Book", {}, status))
    assert verdict(found) == expected
    assert found.observable


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"phase": "Fine"},
        {"conditions": [when("Odd")]},
        {"observedGeneration": "2"},
    ],
)
def test_a_custom_resource_that_reports_nothing_is_not_observable(
    status: dict[str, Any] | None,
) -> None:
    found = readiness(live("shop.example/v1", "Book", {}, status))
    assert found.ready
    assert not found.observable


EXISTS = [
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
]


@pytest.mark.parametrize(("api_version", "kind"), EXISTS)
def test_everything_else_is_ready_once_it_exists(api_version: str, kind: str) -> None:
    assert readiness(live(api_version, kind, {})) == Readiness(ready=True)
    assert not awaited((api_version.rpartition("/")[0], kind))


def test_what_is_worth_waiting_for() -> None:
    assert awaited(("apps", "Deployment"))
    assert awaited(("", "PersistentVolumeClaim"))
    assert awaited(("apiextensions.k8s.io", "CustomResourceDefinition"))
    assert awaited(("shop.example", "Book"))


def test_what_is_being_deleted_is_not_ready_and_names_its_finalizers() -> None:
    body = live(
        "v1", "ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a/b", "c/d"]
    )
    assert verdict(readiness(body)) == "not: is being deleted; waits for a/b, c/d"


def test_a_namespace_that_is_being_deleted_says_what_holds_it() -> None:
    remaining = when("NamespaceContentRemaining", message="configmaps. has 1 resource instances")
    held = when("NamespaceFinalizersRemaining", message="a/b in 1 resource instances")
    none = when("NamespaceFinalizersRemaining", "False", message="All content successfully removed")
    for conditions, says in (
        ([remaining, held], ": a/b in 1 resource instances"),
        ([remaining, none], ": configmaps. has 1 resource instances"),
        ([none], ""),
    ):
        status = {"phase": "Terminating", "conditions": conditions}
        body = live("v1", "Namespace", {}, status, deletionTimestamp="2026-01-01T00:00:00Z")
        assert verdict(readiness(body)) == f"not: is being deleted{says}"


def test_a_long_message_becomes_one_short_line() -> None:
    status = {"conditions": [when("Ready", "False", message="word\n" * 200)]}
    reason = readiness(live("shop.example/v1", "Book", {}, status)).reason
    assert len(reason) == 200
    assert "\n" not in reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["conditions", "type", "status", "phase", "replicas", "state", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


# -- bundles that somebody else injects -----------------------------------------------------------

SERVICE = {"service": {"name": "w", "namespace": "w"}}
BUNDLE = {"caBundle": "TFM="}
UNFILLED = "nobody has injected the caBundle"
INJECTED = {"cert-manager.io/inject-ca-from": "w/cert"}
SILENT = "the caBundle of w0 is empty, and nothing says who fills it in"


def hooks(*configs: Any, kind: str = "MutatingWebhookConfiguration", **more: Any) -> dict[str, Any]:
    webhooks = [{"name": f"w{at}", "clientConfig": config} for at, config in enumerate(configs)]
    return live("admissionregistration.k8s.io/v1", kind, **more) | {"webhooks": webhooks}


@pytest.mark.parametrize("kind", ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"])
@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([{**SERVICE, **BUNDLE}], "ready"),
        ([{**SERVICE}], f"not: {UNFILLED} of w0 yet"),
        ([{**SERVICE, "caBundle": ""}], f"not: {UNFILLED} of w0 yet"),
        ([{**SERVICE, "caBundle": "Cg=="}], f"not: {UNFILLED} of w0 yet"),
        ([{**SERVICE, "caBundle": 7}], f"not: {UNFILLED} of w0 yet"),
        ([{**SERVICE, **BUNDLE}, SERVICE], f"not: {UNFILLED} of w1 yet"),
        ([{"url": "https://hooks.example"}], f"not: {UNFILLED} of w0 yet"),
        ([], "ready"),
        (["odd", None], "ready"),
    ],
)
def test_a_webhook_is_ready_once_its_bundle_is_injected(
    kind: str, configs: list[Any], expected: str
) -> None:
    assert verdict(readiness(hooks(*configs, kind=kind, annotations=INJECTED))) == expected


@pytest.mark.parametrize(
    "annotation",
    [
        "cert-manager.io/inject-apiserver-ca",
        "cert-manager.io/inject-ca-from",
        "cert-manager.io/inject-ca-from-secret",
        "service.beta.openshift.io/inject-cabundle",
    ],
)
def test_annotations_say_that_somebody_injects_it(annotation: str) -> None:
    assert not readiness(hooks(SERVICE, annotations={annotation: "true"})).ready


def test_an_empty_bundle_that_nobody_is_asked_to_fill_may_be_meant_so() -> None:
    """The API server trusts what its host trusts; but an operator may fill in its own."""
    assert readiness(hooks(SERVICE, kind="ValidatingWebhookConfiguration")).observable
    found = readiness(hooks(SERVICE))
    assert found == Readiness(ready=True, reason=SILENT, observable=False)
    assert readiness(hooks({"url": "https://hooks.example"})).observable


def test_a_mutating_webhook_can_be_relied_on_some_seconds_later() -> None:
    assert readiness(hooks({**SERVICE, **BUNDLE})).settles > 0
    assert readiness(hooks(SERVICE)).settles == 0


ESTABLISHED = {"conditions": [when("NamesAccepted"), when("Established")]}


def test_a_definition_without_its_bundle_is_not_ready_but_who_needs_it_may_go_on() -> None:
    config: dict[str, Any] = dict(SERVICE)
    spec = {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": config}}}
    version, kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
    assert readiness(live(version, kind, spec, ESTABLISHED)) == Readiness(ready=True)
    body = live(version, kind, spec, ESTABLISHED, annotations=INJECTED)
    found = readiness(body)
    assert verdict(found) == f"not: {UNFILLED} yet"
    assert found.usable
    config |= BUNDLE
    assert readiness(body) == Readiness(ready=True)
    config.pop("caBundle")
    body["status"] = {"conditions": [when("NamesAccepted")]}
    assert not readiness(body).usable


@pytest.mark.parametrize(
    ("spec", "annotations", "available", "expected"),
    [
        (SERVICE, INJECTED, "False", f"not: {UNFILLED} yet: no answer"),
        (
            SERVICE,
            {},
            "False",
            "not: the caBundle is empty, and nothing says who fills it in: no answer",
        ),
        ({**SERVICE, "insecureSkipTLSVerify": True}, INJECTED, "False", "not: no answer"),
        ({**SERVICE, **BUNDLE}, INJECTED, "False", "not: no answer"),
        (SERVICE, INJECTED, "True", "ready"),
        (SERVICE, {}, "True", "ready"),
    ],
)
def test_an_api_whose_bundle_is_missing_says_so(
    spec: dict[str, Any], annotations: dict[str, str], available: str, expected: str
) -> None:
    status = {"conditions": [when("Available", available, message="no answer")]}
    version, kind = "apiregistration.k8s.io/v1", "APIService"
    body = live(version, kind, spec, status, annotations=annotations)
    assert verdict(readiness(body)) == expected


# -- how long --------------------------------------------------------------------------------------

WEBHOOKS = ("admissionregistration.k8s.io", "MutatingWebhookConfiguration")


@pytest.mark.parametrize(
    ("group_kind", "general", "expected"),
    [
        (("apps", "Deployment"), 300.0, 300.0),
        (("shop.example", "Book"), 12.0, 12.0),
        (WEBHOOKS, 300.0, 60.0),
        (WEBHOOKS, 100.0, 30.0),
        (WEBHOOKS, 10.0, 10.0),
        (("batch", "Job"), 300.0, 600.0),
        (("batch", "Job"), 10.0, 20.0),
    ],
)
def test_a_kind_may_have_a_time_of_its_own(
    group_kind: tuple[str, str], general: float, expected: float
) -> None:
    assert timeout_of(group_kind, general) == expected


@given(
    st.sampled_from(
        [
            ("apps/v1", "Deployment"),
            ("apps/v1", "StatefulSet"),
            ("apps/v1", "DaemonSet"),
            ("v1", "Pod"),
            ("v1", "Namespace"),
            ("batch/v1", "Job"),
            ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("apiregistration.k8s.io/v1", "APIService"),
            ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
            ("policy/v1", "PodDisruptionBudget"),
            ("shop.example/v1", "Book"),
        ]
    ),
    JSON,
    JSON,
    JSON,
)
def test_odd_bodies_are_no_errors(
    kind: tuple[str, str], metadata: Any, spec: Any, status: Any
) -> None:
    body = {"apiVersion": kind[0], "kind": kind[1]}
    more = {"webhooks": spec}
    readiness({**body, **more, "metadata": metadata, "spec": spec, "status": status})


def test_every_rule_says_why() -> None:
    data = yaml.safe_load(shipped("readiness/readiness.yaml").read_text())
    for rule in (*data["rules"], *data["timeouts"], *data["injected"]):
        assert rule["because"]
        assert rule["link"].startswith("https://")
