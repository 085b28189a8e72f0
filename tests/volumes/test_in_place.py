"""The note on an old volume, which claim is there, and what stops and starts a workload."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.model import Ref
from gitops_dr.volumes.in_place import (
    DEPLOYMENT,
    NOTE,
    REPLICAS,
    WHEN_SCALED,
    CannotReplaceError,
    Note,
    Standing,
    check_workload,
    is_suspended,
    made_again,
    note_of,
    pod_uses,
    replicas_of,
    resumption,
    standing,
    suspension,
    with_old_volume,
    workload_uses,
    write_note,
)
from gitops_dr.volumes.sets import STATEFUL_SET

CLAIM = Ref("", "PersistentVolumeClaim", "shop", "data-db-1")
LIVE = {
    "metadata": {
        "name": "data-db-1",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "7",
        "labels": {"app": "db"},
        "finalizers": ["kubernetes.io/pvc-protection"],
        "annotations": {
            "pv.kubernetes.io/bind-completed": "yes",
            "volume.kubernetes.io/storage-provisioner": "dir",
            "mine": "yes",
        },
        "ownerReferences": [{"kind": "StatefulSet", "name": "db", "controller": True}],
    },
    "spec": {
        "storageClassName": "fast",
        "volumeName": "pv-1",
        "dataSourceRef": {"kind": "VolumeSnapshot", "name": "s"},
        "resources": {"requests": {"storage": "1Gi"}},
    },
    "status": {"phase": "Bound"},
}


def live(**metadata: Any) -> dict[str, Any]:
    body = deepcopy(LIVE)
    body["metadata"] |= metadata
    return body


def note(**parts: Any) -> Note:
    given = {
        "claim": made_again(live()),
        "snapshot": "gitops-dr-0123456789abcdef",
        "reclaim_policy": "Delete",
        "together": {"shop/data-db-1": "pv-1"},
    }
    return Note(**(given | parts))


# -- claims -----------------------------------------------------------------------------------


def test_a_claim_can_be_made_again_as_it_was() -> None:
    before = live()
    assert made_again(before) == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data-db-1",
            "namespace": "shop",
            "labels": {"app": "db"},
            "annotations": {"volume.kubernetes.io/storage-provisioner": "dir", "mine": "yes"},
        },
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert before == live()


def test_a_static_volume_is_not_asked_for_again() -> None:
    static = live(annotations={})
    assert "volumeName" not in made_again(static)["spec"]


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, "is being deleted"),
        ({"ownerReferences": [{"kind": "Pod", "name": "p", "controller": True}]}, "to Pod p"),
        ({"finalizers": ["kubernetes.io/pvc-protection", "example.com/keep"]}, "example.com/keep"),
    ],
)
def test_what_cannot_be_deleted_and_made_again(metadata: dict[str, Any], says: str) -> None:
    with pytest.raises(CannotReplaceError, match=says):
        made_again(live(**metadata))


def test_a_claim_is_made_again_for_its_old_volume() -> None:
    body = with_old_volume(note(), "pv-1")
    assert body["spec"]["volumeName"] == "pv-1"
    assert "volumeName" not in note().claim["spec"]
    assert "dataSourceRef" not in body["spec"]


def test_a_standbys_claim_still_says_what_its_old_volume_was_filled_from() -> None:
    body = with_old_volume(note(at_rest="gitops-dr-aa"), "pv-1")
    assert body["spec"]["dataSourceRef"] == {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": "gitops-dr-aa",
    }
    assert standing(body, note(snapshot="gitops-dr-aa"), "pv-1") is Standing.OLD


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (None, Standing.GONE),
        ({"metadata": {}, "spec": {"volumeName": "pv-1"}}, Standing.OLD),
        (
            {"metadata": {"deletionTimestamp": "now"}, "spec": {"volumeName": "pv-1"}},
            Standing.LEAVING,
        ),
        (
            {
                "metadata": {},
                "spec": {
                    "volumeName": "pv-2",
                    "dataSourceRef": {
                        "kind": "VolumeSnapshot",
                        "name": "gitops-dr-0123456789abcdef",
                    },
                },
            },
            Standing.NEW,
        ),
        (
            # Restored from the same snapshot once before: it still has its old volume.
            {
                "metadata": {},
                "spec": {
                    "volumeName": "pv-1",
                    "dataSourceRef": {
                        "kind": "VolumeSnapshot",
                        "name": "gitops-dr-0123456789abcdef",
                    },
                },
            },
            Standing.OLD,
        ),
        ({"metadata": {}, "spec": {"volumeName": "pv-3"}}, Standing.FOREIGN),
        ({"metadata": {}, "spec": {}}, Standing.FOREIGN),
        (
            {
                "metadata": {},
                "spec": {"dataSourceRef": {"kind": "VolumeSnapshot", "name": "other"}},
            },
            Standing.FOREIGN,
        ),
    ],
)
def test_which_claim_is_there(body: Any, found: Standing) -> None:
    assert standing(body, note(), "pv-1") is found


# -- notes ------------------------------------------------------------------------------------


def volume(text: str | None) -> dict[str, Any]:
    annotations = {} if text is None else {NOTE: text}
    return {"metadata": {"name": "pv-1", "annotations": annotations}}


def test_a_note_is_read_as_it_was_written() -> None:
    for one in (note(), note(at_rest="gitops-dr-aa")):
        assert note_of(volume(write_note(one))) == one
    assert note().ref == CLAIM


def test_no_note_is_none() -> None:
    assert note_of(volume(None)) is None
    assert note_of({"metadata": {"name": "pv-1"}}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"snapshot": ""},
        {"snapshot": 3},
        {"together": []},
        {"together": {"a": 1}},
        {"claim": {}},
        {"claim": {"metadata": {"name": "x"}}},
        {"reclaimPolicy": None},
    ],
)
def test_a_note_that_somebody_broke_is_said(change: dict[str, Any]) -> None:
    text = json.dumps(json.loads(write_note(note())) | change)
    with pytest.raises(CannotReplaceError, match="PersistentVolume pv-1 cannot be read"):
        note_of(volume(text))


@given(st.text() | st.sampled_from(["[]", "null", "1", '{"format":1}']))
def test_any_text_is_a_note_or_said_to_be_none(text: str) -> None:
    with pytest.raises(CannotReplaceError):
        note_of(volume(text))


# -- workloads --------------------------------------------------------------------------------


def workload(replicas: int | None = 3, **parts: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"template": {"spec": parts.pop("pod", {})}, **parts.pop("spec", {})}
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = {"name": "db", "namespace": "shop", "resourceVersion": "9", **parts}
    return {"metadata": metadata, "spec": spec}


def with_claims(*names: str) -> dict[str, Any]:
    return {"volumes": [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in names]}


TEMPLATES = {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}


@pytest.mark.parametrize(
    ("kind", "body", "uses"),
    [
        (DEPLOYMENT, workload(pod=with_claims("other", "data-db-1")), True),
        (DEPLOYMENT, workload(None, pod=with_claims("data-db-1")), True),
        (DEPLOYMENT, workload(0, pod=with_claims("data-db-1")), False),
        (DEPLOYMENT, workload(pod=with_claims("data-db-1"), namespace="other"), False),
        (DEPLOYMENT, workload(pod={"volumes": [{"name": "x", "emptyDir": {}}]}), False),
        (DEPLOYMENT, workload(spec=TEMPLATES), False),
        (STATEFUL_SET, workload(spec=TEMPLATES), True),
        (STATEFUL_SET, workload(2, spec=TEMPLATES), True),
        (STATEFUL_SET, workload(1, spec=TEMPLATES), False),
        (STATEFUL_SET, workload(1, spec={**TEMPLATES, "ordinals": {"start": 1}}), True),
        (STATEFUL_SET, workload(2, spec={**TEMPLATES, "ordinals": {"start": 2}}), False),
        (STATEFUL_SET, workload(spec=TEMPLATES, name="d"), False),
        (STATEFUL_SET, workload(0, spec=TEMPLATES, annotations={REPLICAS: "3"}), True),
        (STATEFUL_SET, workload(0, spec=TEMPLATES, annotations={REPLICAS: "1"}), False),
    ],
)
def test_who_uses_a_claim(kind: tuple[str, str], body: Any, uses: bool) -> None:
    assert workload_uses(kind, body, CLAIM) is uses


@pytest.mark.parametrize("name", ["data-db-01", "data-db-", "data-db-1x", "data-db-²"])
def test_what_is_no_ordinal_is_no_claim_of_a_set(name: str) -> None:
    claim = Ref("", "PersistentVolumeClaim", "shop", name)
    assert not workload_uses(STATEFUL_SET, workload(spec=TEMPLATES), claim)


def test_a_pod_uses_a_claim() -> None:
    metadata = {"namespace": "shop", "name": "p"}
    assert pod_uses({"metadata": metadata, "spec": with_claims("data-db-1")}, CLAIM)
    assert not pod_uses({"metadata": metadata, "spec": with_claims("data-db-2")}, CLAIM)
    elsewhere = {"metadata": {**metadata, "namespace": "x"}, "spec": with_claims("data-db-1")}
    assert not pod_uses(elsewhere, CLAIM)


def merged(body: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return change
    result = dict(body) if isinstance(body, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@pytest.mark.parametrize("kind", [DEPLOYMENT, STATEFUL_SET])
@pytest.mark.parametrize(
    "body",
    [
        workload(3),
        workload(1, annotations={"mine": "yes"}),
        workload(2, spec={"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Retain"}}),
        workload(
            2,
            spec={
                "persistentVolumeClaimRetentionPolicy": {
                    "whenScaled": "Delete",
                    "whenDeleted": "Delete",
                }
            },
        ),
    ],
)
def test_a_workload_is_stopped_and_runs_again_as_it_did(kind: tuple[str, str], body: Any) -> None:
    stopped = merged(body, suspension(kind, body))
    assert (stopped["spec"]["replicas"], is_suspended(stopped)) == (0, True)
    assert replicas_of(stopped) == body["spec"]["replicas"]
    policy = stopped["spec"].get("persistentVolumeClaimRetentionPolicy", {})
    if kind == STATEFUL_SET:
        # It would take the claims of all its pods along.
        assert policy.get("whenScaled") != "Delete"
    again = merged(stopped, resumption(stopped))
    assert not is_suspended(again)
    assert again["spec"] == body["spec"]
    left = again["metadata"].get("annotations") or {}
    assert left == (body["metadata"].get("annotations") or {})
    assert WHEN_SCALED not in left


def test_a_workload_that_somebody_started_meanwhile_keeps_what_it_has_now() -> None:
    started = workload(5, annotations={REPLICAS: "3"})
    assert (replicas_of(started), is_suspended(started)) == (5, False)


@pytest.mark.parametrize("text", ["", "many", "-1", "³"])
def test_an_annotation_that_is_no_number_is_none(text: str) -> None:
    assert replicas_of(workload(0, annotations={REPLICAS: text})) == 0


DB = Ref("apps", "StatefulSet", "shop", "db")


def autoscaler(**spec: Any) -> dict[str, Any]:
    target = {"kind": "StatefulSet", "name": "db"}
    return {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": target, **spec}}


def test_who_would_start_it_again() -> None:
    owned = workload(ownerReferences=[{"kind": "Prometheus", "name": "k8s", "controller": True}])
    with pytest.raises(CannotReplaceError, match="Prometheus k8s controls that"):
        check_workload(DB, owned, ())
    with pytest.raises(CannotReplaceError, match="HorizontalPodAutoscaler hpa"):
        check_workload(DB, workload(), [autoscaler(minReplicas=0)])
    noted = workload(ownerReferences=[{"kind": "Application", "name": "a"}])
    other = autoscaler(minReplicas=0)
    other["spec"]["scaleTargetRef"] = {"kind": "Deployment", "name": "db"}
    check_workload(DB, noted, [autoscaler(), autoscaler(minReplicas=2), other])
