"""Which claims can be captured and how, and what of a snapshot must hold before it is recorded."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import yamlrocks
from volumes_samples import CLAIM

from gitops_dr.model import Ref
from gitops_dr.resources import shipped
from gitops_dr.volumes.capture import (
    CannotCaptureError,
    error_of,
    is_cut,
    is_usable,
    protectable,
    record_of,
    snapshot_body,
    snapshot_name,
    survives,
    unsound,
)
from gitops_dr.volumes.policy import NO_POLICY, VolumeSettings
from gitops_dr.volumes.records import Hooks, SnapshotRecord, Survives, read_record, write_record

DRIVER = "directory.csi.gitops-dr.dev"
BOUND = {**CLAIM, "status": {"phase": "Bound"}, "metadata": {**CLAIM["metadata"], "uid": "c1"}}
VOLUME: dict[str, Any] = {
    "metadata": {"name": "pvc-1"},
    "spec": {
        "capacity": {"storage": "2Gi"},
        "csi": {"driver": DRIVER, "volumeHandle": "v1", "fsType": "ext4"},
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {
                                "key": "topology.kubernetes.io/zone",
                                "operator": "In",
                                "values": ["z1"],
                            }
                        ]
                    }
                ]
            }
        },
    },
}
CLASSES = {DRIVER: ("directory",)}
SNAPSHOT: dict[str, Any] = {
    "metadata": {"namespace": "shop", "name": "s", "uid": "u1"},
    "status": {
        "boundVolumeSnapshotContentName": "content",
        "creationTime": "2026-11-26T10:45:00Z",
        "readyToUse": True,
    },
}
CONTENT: dict[str, Any] = {
    "metadata": {"name": "content", "annotations": {"other": "x"}},
    "spec": {
        "driver": DRIVER,
        "deletionPolicy": "Retain",
        "volumeSnapshotClassName": "directory",
        "volumeSnapshotRef": {"namespace": "shop", "name": "s", "uid": "u1"},
    },
    "status": {"snapshotHandle": "h1", "restoreSize": 1024},
}


def changed(body: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    result = deepcopy(body)
    node = result
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = to
    return result


@pytest.mark.parametrize(
    ("classes", "policy", "settings", "chosen"),
    [
        (CLASSES, NO_POLICY, VolumeSettings(), "directory"),
        ({DRIVER: ("a", "b")}, replace(NO_POLICY, snapshot_class="b"), VolumeSettings(), "b"),
        ({DRIVER: ("a", "b")}, NO_POLICY, VolumeSettings(snapshot_classes={DRIVER: "a"}), "a"),
    ],
)
def test_the_class_is_the_drivers_only_one_or_the_chosen_one(
    classes, policy, settings, chosen
) -> None:
    found = protectable(BOUND, VOLUME, classes, policy, settings)
    assert (found.driver, found.snapshot_class) == (DRIVER, chosen)
    body = snapshot_body(found, "set-1", "source")
    assert body["spec"] == {
        "source": {"persistentVolumeClaimName": "data-db-0"},
        "volumeSnapshotClassName": chosen,
    }
    assert body["metadata"]["labels"]["gitops-dr.dev/state"] == "taking"


@pytest.mark.parametrize(
    ("claim", "volume", "classes", "settings", "reason"),
    [
        (CLAIM, VOLUME, CLASSES, {}, "not bound"),
        (BOUND, None, CLASSES, {}, "not bound"),
        (BOUND, {"spec": {"nfs": {"server": "s"}}}, CLASSES, {}, "its volume is nfs"),
        (BOUND, {"spec": {"hostPath": {"path": "/"}}}, CLASSES, {}, "its volume is hostPath"),
        (BOUND, {"spec": {"gcePersistentDisk": {}}}, CLASSES, {}, "gcePersistentDisk"),
        (BOUND, {"spec": {}}, CLASSES, {}, "no CSI driver's"),
        (BOUND, VOLUME, {}, {}, "has none for a VolumeSnapshotClass"),
        (BOUND, VOLUME, {"other": ("directory",)}, {}, "has none"),
        (BOUND, VOLUME, {DRIVER: ("b", "a")}, {}, "has a, b for a VolumeSnapshotClass"),
        (BOUND, VOLUME, CLASSES, {"snapshot_classes": {DRIVER: "x"}}, "VolumeSnapshotClass x"),
    ],
)
def test_what_cannot_be_captured_is_said(claim, volume, classes, settings, reason) -> None:
    with pytest.raises(CannotCaptureError, match=reason):
        protectable(claim, volume, classes, NO_POLICY, VolumeSettings(**settings))


def test_names_are_found_by_the_claim_and_never_too_long() -> None:
    assert snapshot_name(Ref("", "PersistentVolumeClaim", "n", "data"), "set") == "data-set"
    one, other = (
        snapshot_name(Ref("", "PersistentVolumeClaim", "n", "x" * 250 + end), "20261126t1-aaaaaa")
        for end in ("a", "b")
    )
    assert one != other
    assert max(len(one), len(other)) <= 253


def test_cut_is_before_usable() -> None:
    assert not is_cut({"status": {}})
    assert not is_cut({})
    unready = changed(SNAPSHOT, "status", "readyToUse", to=False)
    assert (is_cut(unready), is_usable(unready), is_usable(SNAPSHOT)) == (True, False, True)
    assert error_of({"status": {"error": {"message": "disk full"}}}) == "disk full"
    assert error_of(SNAPSHOT) == error_of({}) == ""


@pytest.mark.parametrize(
    ("snapshot", "content", "reason"),
    [
        (SNAPSHOT, CONTENT, ""),
        (
            changed(SNAPSHOT, "status", "boundVolumeSnapshotContentName", to="x"),
            CONTENT,
            "bound to content x",
        ),
        (
            SNAPSHOT,
            changed(CONTENT, "spec", "volumeSnapshotRef", "uid", to="u2"),
            "is of another snapshot",
        ),
        (
            SNAPSHOT,
            changed(CONTENT, "spec", "volumeSnapshotRef", "name", to="t"),
            "is of another snapshot, shop/t",
        ),
        (SNAPSHOT, changed(CONTENT, "status", "snapshotHandle", to=""), "has no handle"),
    ],
)
def test_snapshot_and_content_point_at_each_other(snapshot, content, reason) -> None:
    found = unsound(snapshot, content)
    assert reason in found
    assert bool(reason) == bool(found)


def test_the_record_has_all_that_a_restore_needs() -> None:
    record = record_of(
        BOUND,
        VOLUME,
        {"volumeBindingMode": "WaitForFirstConsumer"},
        SNAPSHOT,
        changed(
            CONTENT,
            "metadata",
            "annotations",
            to={"snapshot.storage.kubernetes.io/deletion-secret-name": "s", "other": "x"},
        ),
        snapshot_set="set-1",
        settings=VolumeSettings(),
        hooks=Hooks("ok", 0.5),
    )
    assert read_record(write_record(record), "r.yaml") == record
    assert (record.handle, record.created, record.restore_size) == (
        "h1",
        "2026-11-26T10:45:00Z",
        1024,
    )
    assert (record.request, record.capacity, record.fs_type) == ("1Gi", "2Gi", "ext4")
    assert record.binding_mode == "WaitForFirstConsumer"
    assert record.topology == ({"topology.kubernetes.io/zone": "z1"},)
    assert list(record.secret_annotations) == [
        "snapshot.storage.kubernetes.io/deletion-secret-name"
    ]


def stateful_set(name: str, template: str = "data", **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": spec.pop("namespace", "shop"), "name": name}
    templates = [{"metadata": {"name": "other"}}, {"metadata": {"name": template}}]
    return {"metadata": metadata, "spec": {"volumeClaimTemplates": templates, **spec}}


@pytest.mark.parametrize(
    ("claim", "sets", "owner"),
    [
        ("data-db-0", [stateful_set("db")], ("db", 0)),
        ("data-db-2", [stateful_set("db", replicas=3), stateful_set("d", replicas=3)], ("db", 2)),
        ("data-db-5", [stateful_set("db", replicas=1, ordinals={"start": 5})], ("db", 5)),
        ("data-db-3", [stateful_set("db", replicas=3)], None),
        ("data-db-0", [stateful_set("db", ordinals={"start": 1})], None),
        ("data-db-0", [stateful_set("db", replicas=0)], None),
        ("data-db-0", [stateful_set("db", "wal")], None),
        ("data-db-0", [stateful_set("db", namespace="bank")], None),
        ("data-db-00", [stateful_set("db")], None),
        ("data-db", [stateful_set("db")], None),
        ("data-db", [], None),
        ("data-a-b-0", [stateful_set("b", "data-a"), stateful_set("a-b")], None),
    ],
)
def test_the_set_is_known_by_its_templates(claim, sets, owner) -> None:
    """A claim that was restored has no owner, nor has one of a set that keeps its claims."""
    record = recorded(changed(BOUND, "metadata", "name", to=claim), sets)
    found = record.owner and (record.owner.name, record.ordinal)
    assert found == owner
    assert record.owner is None or str(record.owner) == f"StatefulSet.apps/shop/{owner[0]}"


def test_an_owner_is_believed_before_a_name() -> None:
    owners = [{"kind": "StatefulSet", "name": "former"}]
    claim = changed(BOUND, "metadata", "ownerReferences", to=owners)
    record = recorded(claim, [stateful_set("db")])
    assert (record.owner, record.ordinal) == (Ref("apps", "StatefulSet", "shop", "former"), 0)


def recorded(claim: Any, stateful_sets: Any) -> SnapshotRecord:
    return record_of(
        claim,
        VOLUME,
        None,
        SNAPSHOT,
        CONTENT,
        stateful_sets=stateful_sets,
        snapshot_set="set-1",
        settings=VolumeSettings(),
        hooks=Hooks(),
    )


def test_people_know_better_than_the_table_what_a_snapshot_survives() -> None:
    assert survives("driver.longhorn.io", VolumeSettings()) is Survives.VOLUME
    assert survives("nobody.knows", VolumeSettings()) is Survives.UNKNOWN
    told = VolumeSettings(survives={"driver.longhorn.io": "region"})
    assert survives("driver.longhorn.io", told) is Survives.REGION


def test_each_row_of_the_table_has_a_reason_and_a_link() -> None:
    rows = yamlrocks.loads(shipped("volumes/drivers.yaml").read_bytes())
    assert len({row["driver"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {"driver", "survives", "because", "link"}
        Survives(row["survives"])
        assert row["link"].startswith("https://")
