"""A claim, its record and a target become content, snapshot and claim; what cannot work is said."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from volumes_samples import CLAIM, FACTS, RECORD

from gitops_dr.model import Ref
from gitops_dr.volumes.restore import (
    CannotRestoreError,
    StorageFacts,
    restoration,
    restored_name,
)

CLAIM_REF = RECORD.ref


def made(record=RECORD, body=CLAIM, facts=FACTS, claim=CLAIM_REF, target="t"):
    return restoration(claim, body, record, facts, target_uid=target)


def parts(result) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    content, snapshot, claim = result.bodies.values()
    return content, snapshot, claim


def test_the_content_is_made_of_the_handle_and_can_take_nothing_away() -> None:
    content, snapshot, _ = parts(made())
    name = content["metadata"]["name"]
    assert content["spec"] == {
        "deletionPolicy": "Retain",
        "driver": RECORD.driver,
        "source": {"snapshotHandle": RECORD.handle},
        "sourceVolumeMode": "Filesystem",
        "volumeSnapshotClassName": "directory",
        "volumeSnapshotRef": {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "name": name,
            "namespace": "shop",
        },
    }
    assert content["metadata"] == {"name": name, "annotations": RECORD.secret_annotations}
    assert snapshot["metadata"] == {"name": name, "namespace": "shop"}
    assert snapshot["spec"] == {
        "source": {"volumeSnapshotContentName": name},
        "volumeSnapshotClassName": "directory",
    }


def test_the_claim_keeps_its_name_and_points_at_the_snapshot() -> None:
    before = deepcopy(CLAIM)
    _, snapshot, claim = parts(made())
    assert claim["metadata"] == CLAIM["metadata"]
    assert claim["spec"]["dataSourceRef"] == {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": snapshot["metadata"]["name"],
    }
    assert "dataSource" not in claim["spec"]
    assert before == CLAIM


def test_an_old_source_in_git_gives_way() -> None:
    body = deepcopy(CLAIM)
    old = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "gone"}
    body["spec"] |= {"dataSource": old, "dataSourceRef": old}
    assert parts(made(body=body))[2] == parts(made())[2]


@pytest.mark.parametrize(
    ("request_", "capacity", "restore", "size"),
    [
        ("1Gi", "1Gi", 0, "1Gi"),
        ("1Gi", "2Gi", 0, "2Gi"),
        ("1Gi", "1Gi", 3 * 2**30, str(3 * 2**30)),
        ("1073741824", "1Gi", 2**30, "1073741824"),
        ("500M", "0.6G", 550_000_000, "0.6G"),
    ],
)
def test_the_size_is_the_largest_that_is_known(request_, capacity, restore, size) -> None:
    body = deepcopy(CLAIM)
    body["spec"]["resources"]["requests"]["storage"] = request_
    record = replace(RECORD, request="1Mi", capacity=capacity, restore_size=restore)
    _, _, claim = parts(made(record=record, body=body))
    assert claim["spec"]["resources"]["requests"]["storage"] == size


def test_names_follow_from_handle_claim_and_target() -> None:
    name = restored_name(CLAIM_REF, RECORD, "t")
    assert name == restored_name(CLAIM_REF, RECORD, "t")
    others = {
        restored_name(CLAIM_REF, RECORD, "u"),
        restored_name(CLAIM_REF, replace(RECORD, handle="other"), "t"),
        restored_name(Ref("", "PersistentVolumeClaim", "elsewhere", RECORD.claim), RECORD, "t"),
        name,
    }
    assert len(others) == 4


def test_elsewhere_is_another_namespace_with_the_same_handle() -> None:
    elsewhere = Ref("", "PersistentVolumeClaim", "copy", "data-db-0")
    content, snapshot, _ = parts(made(claim=elsewhere))
    assert content["spec"]["volumeSnapshotRef"]["namespace"] == "copy"
    assert snapshot["metadata"]["namespace"] == "copy"


@pytest.mark.parametrize(
    ("classes", "named", "noted"),
    [
        ({RECORD.driver: ("a", "directory")}, "directory", False),
        ({RECORD.driver: ("other",)}, "other", False),
        ({RECORD.driver: ("a", "b")}, None, True),
        ({"another.driver": ("directory",)}, None, True),
    ],
)
def test_a_snapshot_class_is_named_only_if_it_can_be_meant(classes, named, noted) -> None:
    result = made(facts=replace(FACTS, snapshot_classes=classes))
    content, snapshot, _ = parts(result)
    assert content["spec"].get("volumeSnapshotClassName") == named
    assert snapshot["spec"].get("volumeSnapshotClassName") == named
    assert bool(result.notes) is noted


def test_a_claim_without_a_class_gets_one_by_name() -> None:
    body = deepcopy(CLAIM)
    del body["spec"]["storageClassName"]
    assert parts(made(body=body))[2]["spec"]["storageClassName"] == "directory"


@pytest.mark.parametrize(
    ("record", "spec", "facts", "reason"),
    [
        ({"volume_mode": "Block"}, {}, {}, "volumeMode is Filesystem"),
        ({}, {"volumeMode": "Block"}, {}, "volumeMode is Block"),
        ({}, {"storageClassName": "missing"}, {}, "StorageClass missing is neither"),
        ({}, {"storageClassName": "nfs"}, {}, "is of nfs.example"),
        ({"driver": "other.driver"}, {}, {}, "the snapshot is of other.driver"),
        ({}, {"storageClassName": None}, {"default_class": "nfs"}, "is of nfs.example"),
    ],
)
def test_what_would_be_refused_or_empty_is_not_tried(record, spec, facts, reason) -> None:
    body = deepcopy(CLAIM)
    body["spec"] |= spec
    with pytest.raises(CannotRestoreError, match=reason):
        made(record=replace(RECORD, **record), body=body, facts=replace(FACTS, **facts))


def test_nothing_is_restored_where_no_class_is_known() -> None:
    body = deepcopy(CLAIM)
    del body["spec"]["storageClassName"]
    with pytest.raises(CannotRestoreError, match="neither in Git nor in the target"):
        made(record=replace(RECORD, storage_class=""), body=body, facts=StorageFacts({}))
