"""What a target lacks for volumes to come back: told, or blocked where it would be refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yamlrocks
from volumes_samples import CLAIM, FACTS, RECORD

from gitops_dr.model import Ref
from gitops_dr.resources import shipped
from gitops_dr.volumes.fitting import Lacking, TargetFacts, lacking, secret_of
from gitops_dr.volumes.records import SnapshotRecord, Survives
from gitops_dr.volumes.restore import CannotRestoreError, restoration

REF = RECORD.ref
DRIVER = RECORD.driver
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
ANNOTATION = "snapshot.storage.kubernetes.io/deletion-secret"


def found(record: SnapshotRecord = RECORD, **facts: Any) -> Lacking:
    given = {"drivers": frozenset({DRIVER})}
    return lacking({REF: record}, {REF: CLAIM}, TargetFacts(**(given | facts)))


def test_a_target_that_has_all_lacks_nothing() -> None:
    assert found(nodes=({ZONE: "z1", "other": "x"},)) == Lacking()


def test_a_driver_that_nobody_brings_is_told() -> None:
    (note,) = found(drivers=frozenset({"other"})).notes
    assert note.startswith(f"CSIDriver {DRIVER} is neither in Git nor in the target")
    assert found(drivers=None) == Lacking()


@pytest.mark.parametrize(
    ("annotations", "secret"),
    [
        ({f"{ANNOTATION}-name": "s", f"{ANNOTATION}-namespace": "rook"}, ("rook", "s")),
        ({f"{ANNOTATION}-name": "s"}, None),
        ({}, None),
    ],
)
def test_the_secret_by_which_the_storage_is_reached(annotations, secret) -> None:
    record = replace(RECORD, secret_annotations=annotations)
    assert secret_of(record) == secret
    notes = found(record, absent_secrets=frozenset({("rook", "s")})).notes
    told = [note for note in notes if note.startswith("Secret/rook/s, by which")]
    assert len(told) == (1 if secret else 0)
    assert found(record).notes == ()


@pytest.mark.parametrize(
    ("topology", "survives", "nodes", "told"),
    [
        (({ZONE: "z1"},), Survives.ZONE, ({ZONE: "z2"},), f"was in {ZONE} z1, and no node"),
        (({ZONE: "z1"},), Survives.UNKNOWN, ({ZONE: "z2"}, {}), "no node of the target is there"),
        (({ZONE: "z1"}, {ZONE: "z2"}), Survives.ZONE, ({ZONE: "z2"},), ""),
        (({ZONE: "z1"}, {ZONE: "z3"}), Survives.ZONE, ({ZONE: "z2"},), f"{ZONE} z1 or {ZONE} z3"),
        # A region's snapshot fills a volume in any of its zones.
        (({ZONE: "z1"},), Survives.REGION, ({ZONE: "z2"},), ""),
        (({ZONE: "z1", REGION: "r1"},), Survives.REGION, ({ZONE: "z2", REGION: "r1"},), ""),
        (({ZONE: "z1", REGION: "r1"},), Survives.REGION, ({REGION: "r2"},), f"in {REGION} r1,"),
        # Nothing is known of nodes that are yet to come, or of a volume without affinity.
        (({ZONE: "z1"},), Survives.ZONE, (), ""),
        ((), Survives.ZONE, ({ZONE: "z2"},), ""),
    ],
)
def test_a_volume_that_no_node_reaches(topology, survives, nodes, told) -> None:
    notes = found(replace(RECORD, topology=topology, survives=survives), nodes=nodes).notes
    assert len(notes) == (1 if told else 0)
    assert all(note.startswith(f"{REF}: its volume was in") and told in note for note in notes)


def quota(hard: Any, used: Any = None, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": "small"}
    return {"metadata": metadata, "spec": {"hard": hard, **spec}, "status": {"used": used or {}}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (quota({"requests.storage": "2Gi"}, {"requests.storage": "1Gi"}), ""),
        (
            quota({"requests.storage": "1536Mi"}, {"requests.storage": "1Gi"}),
            (
                "1Gi of 1536Mi requests.storage is used, "
                "and the volumes that come back need 1Gi more"
            ),
        ),
        (quota({"requests.storage": "512Mi"}), "0 of 512Mi requests.storage is used"),
        (quota({"persistentvolumeclaims": "1"}), ""),
        (quota({"persistentvolumeclaims": "1"}, {"persistentvolumeclaims": "1"}), "need 1 more"),
        (quota({"count/persistentvolumeclaims": "0"}), "need 1 more"),
        (quota({"count/volumesnapshots.snapshot.storage.k8s.io": "0"}), "need 1 more"),
        (
            quota({"directory.storageclass.storage.k8s.io/requests.storage": "1Mi"}),
            "need 1Gi more",
        ),
        (quota({"directory.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}), "1 more"),
        (quota({"slow.storageclass.storage.k8s.io/requests.storage": "1Mi"}), ""),
        (quota({"slow.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}), ""),
        (quota({"pods": "0", "requests.cpu": "0", "count/secrets": "0"}), ""),
        (quota({"requests.storage": "1Mi"}, namespace="bank"), ""),
        (quota({"requests.storage": "1Mi"}, scopes=["Terminating"]), ""),
    ],
)
def test_a_quota_that_would_refuse_blocks(body, told) -> None:
    blocked = found(quotas=(body,)).blocked
    assert len(blocked) == (1 if told else 0)
    for gap in blocked:
        assert gap.ref == Ref("", "ResourceQuota", "shop", "small")
        assert told in gap.reason


def test_claims_of_a_namespace_are_added_up() -> None:
    records = {Ref("", "PersistentVolumeClaim", "shop", f"data-{i}"): RECORD for i in range(3)}
    bodies = dict.fromkeys(records, CLAIM)
    facts = TargetFacts(frozenset({DRIVER}), quotas=(quota({"requests.storage": "2Gi"}),))
    (gap,) = lacking(records, bodies, facts).blocked
    assert gap.reason.endswith("need 3Gi more")


def test_a_driver_that_cannot_take_a_handle_is_not_tried() -> None:
    rows = yamlrocks.loads(shipped("volumes/unimportable.yaml").read_bytes())
    for row in rows:
        assert set(row) == {"driver", "because", "link"}
        assert row["link"].startswith("https://")
        record = replace(RECORD, driver=row["driver"])
        with pytest.raises(CannotRestoreError, match="cannot fill a volume from a handle"):
            restoration(REF, CLAIM, record, FACTS, target_uid="t")
