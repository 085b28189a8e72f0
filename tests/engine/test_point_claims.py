"""Which claims of a target a failover may use, by what they were made from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from fake_api import FakeApi, listed, reply
from volumes_samples import RECORD

from gitops_dr.cluster.standing_record import Standing
from gitops_dr.desired.target import IDENTITY, Strategy, Target
from gitops_dr.desired.target_state import Rewriter
from gitops_dr.engine import point_claims
from gitops_dr.engine.point_claims import (
    PointClaims,
    begun_runs,
    look_at_claims,
    refuse_other_data,
    with_perhaps_used,
)
from gitops_dr.errors import RefusedError
from gitops_dr.model import Gap, Ref
from gitops_dr.volumes.in_place import NOTE, Note, write_note
from gitops_dr.volumes.restore import restored_name
from gitops_dr.volumes.retention import handle_of

CLAIM = ("", "PersistentVolumeClaim")
A, B, C, D, E, F = (Ref(*CLAIM, "shop", name) for name in "abcdef")
HERE = "target-uid"


def record(ref: Ref) -> Any:
    return replace(RECORD, namespace=ref.namespace, claim=ref.name, handle=f"handle-{ref.name}")


def live(ref: Ref, source: str = "") -> Any:
    spec = {"dataSourceRef": {"kind": "VolumeSnapshot", "name": source}} if source else {}
    return {"metadata": {"uid": f"live-{ref.name}", "name": ref.name}, "spec": spec}


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A target with one claim of each kind.

    a was filled from the point, b from another snapshot, c from one that was pruned, d has data of
    which only an earlier point knew, e is missing, f never had a snapshot.
    """
    point = {ref: record(ref) for ref in (A, B, C, E)}
    records = {"point": point, "today": {D: record(D)}}
    there = {
        A: live(A, restored_name(A, point[A], HERE)),
        B: live(B, "older"),
        C: live(C, "older"),
        D: live(D),
        F: live(F),
    }
    monkeypatch.setattr(point_claims, "read_records", lambda tree: records[tree])
    monkeypatch.setattr(point_claims, "tree_of_head", lambda *_: "today")
    monkeypatch.setattr(point_claims, "read_pruned_handles", lambda _: {handle_of(point[C])})
    monkeypatch.setattr(point_claims, "_live", lambda _, refs: {ref: there[ref] for ref in refs})
    recorded = SimpleNamespace(
        tree="point",
        rewriter=Rewriter(IDENTITY),
        bodies=lambda refs: ((ref, {"spec": {}}) for ref in refs),
    )
    state = SimpleNamespace(entries=dict.fromkeys(there))
    return SimpleNamespace(
        connection=None,
        opened=SimpleNamespace(repo=None, head="h", settings=SimpleNamespace(prefix="p")),
        examined=SimpleNamespace(
            recorded=recorded,
            desired=SimpleNamespace(entries=dict.fromkeys([A, B, C, D, E, F])),
            observation=SimpleNamespace(
                state=state, identity=SimpleNamespace(uid=HERE), started_empty=frozenset()
            ),
        ),
    )


def test_what_each_claim_holds(prepared: Any) -> None:
    found = look_at_claims(prepared)
    assert [gap.ref for gap in found.stale] == [B]
    assert [(gap.ref, gap.reason.rpartition(" ")[2]) for gap in found.unknown] == [
        (C, "pruned"),
        (D, "it"),
    ]
    assert found.there == (A, B, C)
    assert set(found.records) == {A, B, C, E}


def test_a_static_volume_is_whatever_git_says(prepared: Any) -> None:
    prepared.examined.recorded.bodies = lambda refs: (
        (ref, {"spec": {"volumeName": "pv"}}) for ref in refs
    )
    found = look_at_claims(prepared)
    assert (found.stale, found.unknown, found.there) == ((), (), ())


RESTS = datetime(2026, 11, 26, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-11-26T11:00:00Z", "2026-11-26T12:00:00Z"
FAILED_OVER = Standing("standby", commit="c", active="true")
BEGUN = Standing("standby", begun="now")

USED = [
    # strategy, rests since, what is noted of a failover, claim made, has a volume; may be used
    (Strategy.WARM, RESTS, None, AFTER, True, False),
    (Strategy.WARM, RESTS, FAILED_OVER, AFTER, True, False),
    (Strategy.WARM, RESTS, None, BEFORE, True, True),
    (Strategy.WARM, RESTS, None, "", True, True),
    (Strategy.WARM, RESTS, None, BEFORE, False, False),
    (Strategy.WARM, None, FAILED_OVER, AFTER, True, True),
    (Strategy.COLD, None, FAILED_OVER, AFTER, True, True),
    (Strategy.WARM, None, BEGUN, AFTER, True, False),
    (Strategy.WARM, None, None, AFTER, True, False),
    (Strategy.HOT, RESTS, FAILED_OVER, BEFORE, True, False),
]


@pytest.mark.parametrize(("strategy", "since", "standing", "made", "bound", "used"), USED)
def test_what_may_have_been_used_holds_other_data(
    monkeypatch: pytest.MonkeyPatch,
    strategy: Strategy,
    since: datetime | None,
    standing: Standing | None,
    made: str,
    bound: bool,
    used: bool,
) -> None:
    monkeypatch.setattr(point_claims, "rests_since", lambda *_: since)
    monkeypatch.setattr(point_claims, "read_standing", lambda *_: standing)
    claim = {
        "metadata": {"creationTimestamp": made},
        "spec": {"volumeName": "pv"} if bound else {},
    }
    there: Any = SimpleNamespace(
        connection=None,
        opened=SimpleNamespace(settings=SimpleNamespace(name="primary")),
        target=Target("standby", strategy=strategy),
    )
    known = PointClaims({}, stale=(Gap(B, "old"),), there=(A, B), live={A: claim, B: claim})
    found = with_perhaps_used(there, known)
    assert [gap.ref for gap in found.stale] == ([B, A] if used else [B])


OLD = Gap(A, "was filled from another snapshot")
LOST = Gap(B, "is there, and the recovery point has no snapshot of it")
NOBODY, STALE, UNKNOWN = PointClaims({}), PointClaims({}, (OLD,)), PointClaims({}, (), (LOST,))
THERE = PointClaims({}, there=(A, B))

REFUSALS = [
    # claims, may replace, a newer point to come, what is said
    (NOBODY, False, True, ""),
    (STALE, False, False, f"{A}: was filled from another snapshot; nothing was written"),
    (STALE, True, False, ""),
    (STALE, True, True, ""),
    (THERE, False, False, ""),
    (THERE, False, True, f"{A}: is there already, with older data"),
    (THERE, True, True, ""),
    (UNKNOWN, False, False, f"{B}: is there, and the recovery point has no snapshot of it"),
    (UNKNOWN, True, True, f"{B}: is there, and the recovery point has no snapshot of it"),
]


@pytest.mark.parametrize(("claims", "may", "will_be", "said"), REFUSALS)
def test_other_data_is_refused(claims: PointClaims, may: bool, will_be: bool, said: str) -> None:
    if not said:
        refuse_other_data(claims, "standby", replace=may, will_be=will_be)
        return
    with pytest.raises(RefusedError) as caught:
        refuse_other_data(claims, "standby", replace=may, will_be=will_be)
    assert str(caught.value).startswith(said)
    assert caught.value.hint


def noted(volume: str, ref: Ref, together: Any, **parts: Any) -> Any:
    claim = {"metadata": {"namespace": ref.namespace, "name": ref.name}}
    names = {f"{one.namespace}/{one.name}": "pv" for one in together}
    note = Note(claim, f"from-{ref.name}", "Delete", names, **parts)
    return {"metadata": {"name": volume, "annotations": {NOTE: write_note(note)}}}


def test_what_did_not_end_is_found_by_run(api: FakeApi, connection: Any) -> None:
    volumes = [
        noted("pv-a", A, (A, B), at_rest="older"),
        noted("pv-c", C, (C,)),
        {"metadata": {"name": "pv-x"}},
    ]
    api.on("/api/v1/persistentvolumes", reply(listed(*volumes)))
    first, second = begun_runs(connection)
    assert (first.claims, first.snapshots, first.at_rest) == ({A, B}, {A: "from-a"}, True)
    assert (second.claims, second.snapshots, second.at_rest) == ({C}, {C: "from-c"}, False)


def test_a_note_that_cannot_be_read_is_refused(api: FakeApi, connection: Any) -> None:
    broken = {"metadata": {"name": "pv-a", "annotations": {NOTE: "{"}}}
    api.on("/api/v1/persistentvolumes", reply(listed(broken)))
    with pytest.raises(RefusedError, match="PersistentVolume pv-a cannot be read"):
        begun_runs(connection)
