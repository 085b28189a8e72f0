"""How each missing claim comes back: with its data, empty by policy, not at all, or nothing does.

The repository and the target are stood in for; what is made of a record is tests/volumes' affair.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fake_api import FakeApi, listed, reply
from volumes_samples import CLAIM, FACTS, RECORD

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.desired.target_state import rewriter_of_source
from gitops_dr.engine import restoring
from gitops_dr.engine.restoring import Restored, restored, storage_facts
from gitops_dr.manifests.selector import ObjectSelector
from gitops_dr.model import Ref
from gitops_dr.volumes.fitting import TargetFacts
from gitops_dr.volumes.policy import VolumePolicy, VolumeSettings, WithoutData
from gitops_dr.volumes.retention import handle_of

REF = RECORD.ref


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    target = TargetFacts(drivers=frozenset({RECORD.driver}))
    stand = SimpleNamespace(records={REF: RECORD}, bodies={REF: CLAIM}, facts=FACTS, target=target)
    monkeypatch.setattr(restoring, "read_records", lambda _tree: stand.records)
    monkeypatch.setattr(restoring, "storage_facts", lambda *_: stand.facts)
    monkeypatch.setattr(restoring, "target_facts", lambda *_: stand.target)
    stand.recorded = SimpleNamespace(
        tree=None,
        rewriter=rewriter_of_source(),
        sources={},
        state=SimpleNamespace(entries={}),
        bodies=lambda refs: ((ref, deepcopy(stand.bodies[ref])) for ref in refs),
    )
    return stand


def found(world: SimpleNamespace, **options: Any) -> restoring.Restored:
    given = {"settings": VolumeSettings(), "ever": {REF}, "accept_empty": False}
    return restored(None, world.recorded, [REF], target_uid="t", **(given | options))  # type: ignore[arg-type]


def policy(what: WithoutData) -> VolumeSettings:
    selector = ObjectSelector(namespace="shop", name="data-*")
    return VolumeSettings(policies=(VolumePolicy(selector, without_data=what),))


def test_a_claim_with_a_record_comes_back_with_its_data(world) -> None:
    result = found(world)
    assert result.records == {REF: RECORD}
    assert len(result.bodies) == 3
    assert {ref.kind for ref in result.entries} == {"VolumeSnapshot", "VolumeSnapshotContent"}
    assert (result.blocked, dict(result.skipped), result.empty) == ((), {}, frozenset())


def test_required_data_that_cannot_be_had_blocks(world) -> None:
    world.records = {}
    assert [gap.ref for gap in found(world).blocked] == [REF]
    assert found(world, accept_empty=True).blocked == ()
    assert found(world, ever=set()).blocked == ()
    required = found(world, ever=set(), settings=policy(WithoutData.REQUIRED))
    assert [gap.ref for gap in required.blocked] == [REF]


def test_a_policy_lets_it_start_empty_or_leaves_it_out(world) -> None:
    world.records = {}
    empty = found(world, settings=policy(WithoutData.EMPTY))
    assert (empty.empty, empty.blocked, dict(empty.skipped)) == ({REF}, (), {})
    assert str(REF) in empty.notes[0]
    skipped = found(world, settings=policy(WithoutData.SKIP))
    assert (skipped.blocked, list(skipped.skipped), skipped.empty) == ((), [REF], frozenset())


def test_a_pruned_snapshot_is_none(world) -> None:
    result = found(world, gone={handle_of(RECORD)})
    assert "was pruned" in result.blocked[0].reason
    assert not result.bodies


def test_a_record_that_does_not_fit_blocks_with_the_reason(world) -> None:
    world.records = {REF: replace(RECORD, driver="other.driver")}
    assert "the snapshot is of other.driver" in found(world).blocked[0].reason


def test_what_the_target_lacks_is_told_and_blocks_where_it_is_sure(world) -> None:
    hard = {"persistentvolumeclaims": "2"}
    metadata = {"namespace": "shop", "name": "small"}
    quota = {"metadata": metadata, "spec": {"hard": hard}, "status": {"used": dict(hard)}}
    world.target = TargetFacts(frozenset(), quotas=(quota,))
    result = found(world, accept_empty=True)
    assert [str(gap.ref) for gap in result.blocked] == ["ResourceQuota/shop/small"]
    assert [note for note in result.notes if note.startswith(f"CSIDriver {RECORD.driver}")]
    # Without volumes that come back nobody is asked.
    world.records = {}
    assert found(world, accept_empty=True) == Restored()


def test_a_static_volume_needs_no_record(world) -> None:
    world.records = {}
    world.bodies[REF] = deepcopy(CLAIM)
    world.bodies[REF]["spec"]["volumeName"] = "by-hand"
    assert found(world) == restoring.Restored()


SOURCE = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}


class Target:
    """What the target answers about snapshots."""

    def __init__(self, **bodies: Any) -> None:
        self.bodies = bodies

    def json(self, _method: str, path: str) -> Any:
        found = self.bodies.get(path.rpartition("/")[2])
        if found is None:
            raise ApiError("not found", status=404)
        return found


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({}, "VolumeSnapshot s, which it is to be filled from, is neither in Git nor"),
        ({"s": {"status": None}}, "is not bound to a content"),
        ({"s": {"status": {"boundVolumeSnapshotContentName": "c"}}}, "is neither in Git nor"),
        (
            {
                "s": {"status": {"boundVolumeSnapshotContentName": "c"}},
                "c": {"spec": {"driver": "hostpath.csi.k8s.io"}},
            },
            f"its StorageClass directory is of {RECORD.driver}, and VolumeSnapshot s is of host",
        ),
    ],
)
def test_a_claim_that_would_wait_for_ever_for_its_own_source_blocks(world, there, reason) -> None:
    world.records = {}
    world.bodies[REF] = deepcopy(CLAIM)
    world.bodies[REF]["spec"]["dataSource"] = SOURCE
    given = {"settings": VolumeSettings(), "ever": (), "accept_empty": False, "target_uid": "t"}
    result = restored(Target(**there), world.recorded, [REF], **given)
    assert reason in result.blocked[0].reason
    # Said to start empty, it does not wait either.
    result = restored(Target(**there), world.recorded, [REF], **given | {"accept_empty": True})
    assert result.blocked == ()
    assert "dataSource" not in result.bodies[REF]["spec"]
    (note,) = result.notes
    assert note.startswith(f"{REF}: starts empty, which was accepted: ")
    assert reason in note


def test_a_claim_whose_own_source_the_target_has_is_filled_from_it(world) -> None:
    world.records = {}
    world.bodies[REF] = deepcopy(CLAIM)
    world.bodies[REF]["spec"]["dataSourceRef"] = SOURCE
    status = {"boundVolumeSnapshotContentName": "c"}
    target = Target(s={"status": status}, c={"spec": {"driver": RECORD.driver}})
    options = {"settings": VolumeSettings(), "ever": (), "accept_empty": False}
    assert restored(target, world.recorded, [REF], target_uid="t", **options) == Restored()


def test_a_stale_source_in_git_gives_way_to_the_record_s(world) -> None:
    world.bodies[REF] = deepcopy(CLAIM)
    world.bodies[REF]["spec"]["dataSourceRef"] = SOURCE
    body = found(world).bodies[REF]
    assert body["spec"]["dataSourceRef"]["name"].startswith("gitops-dr-")


def test_volumes_of_one_set_from_several_moments_are_told(world) -> None:
    second = Ref("", "PersistentVolumeClaim", "shop", "data-db-1")
    other = replace(RECORD, claim="data-db-1", handle="snapshot-2", snapshot_set="another")
    world.records[second] = other
    world.bodies[second] = {**CLAIM, "metadata": {**CLAIM["metadata"], "name": "data-db-1"}}
    result = restored(
        None,  # type: ignore[arg-type]
        world.recorded,
        [REF, second],
        settings=VolumeSettings(),
        ever=(),
        accept_empty=False,
        target_uid="t",
    )
    assert "2 snapshot sets" in result.notes[0]


@pytest.mark.parametrize(
    ("defaults", "default"),
    [([], ""), (["a"], "a"), (["a", "b"], "")],
    ids=["none", "one", "two"],
)
def test_a_default_class_counts_only_if_it_is_the_only_one(
    api: FakeApi, connection: Connection, defaults: list[str], default: str
) -> None:
    """Which of several the API server would take depends on when they were made."""
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    classes = [
        {
            "metadata": {"name": name, "annotations": mark if name in defaults else {}},
            "provisioner": f"driver-{name}",
        }
        for name in ("a", "b")
    ]
    api.on("/apis/storage.k8s.io/v1/storageclasses", reply(listed(*classes)))
    facts = storage_facts(connection)
    assert facts.provisioners == {"a": "driver-a", "b": "driver-b"}
    assert (facts.default_class, facts.snapshot_classes) == (default, {})
