"""Retention keeps what the policy asks, and what must never go whatever it asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volumes_samples import RECORD

from gitops_dr.errors import RepositoryError
from gitops_dr.volumes.policy import Keep
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.retention import handle_of, judge, read_pruned, write_pruned

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)


def at(*hours_ago: float, claim: str = "data") -> list[SnapshotRecord]:
    return [
        replace(
            RECORD,
            claim=claim,
            handle=f"{claim}-{hours:g}",
            created=(NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        for hours in hours_ago
    ]


def kept(records, keep, *, unready=(), tagged=()) -> dict[str, str]:
    ready = {handle_of(r) for r in records if r.handle not in unready}
    protected = {handle_of(r) for r in records if r.handle in tagged}
    return {
        v.record.handle: v.kept
        for v in judge(records, keep, ready=ready, protected=protected)
        if v.kept
    }


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (Keep(last=2), {"data-0": "last", "data-0.4": "last"}),
        (Keep(hourly=2), {"data-0": "hourly", "data-1": "hourly"}),
        (Keep(daily=2), {"data-0": "daily", "data-20": "daily"}),
        (Keep(weekly=2), {"data-0": "weekly", "data-120": "weekly"}),
        (Keep(monthly=2), {"data-0": "monthly", "data-700": "monthly"}),
        (Keep(last=1, daily=2), {"data-0": "last", "data-20": "daily"}),
        (Keep(), {"data-0": "newest"}),
    ],
)
def test_of_each_period_the_newest_is_kept(keep, expected) -> None:
    assert kept(at(0, 0.4, 1, 20, 30, 120, 700), keep) == expected


def test_the_newest_ready_one_is_kept_whatever_is_newer_and_not_ready() -> None:
    assert kept(at(0, 1, 2), Keep(last=1), unready=["data-0"]) == {"data-1": "last"}
    assert kept(at(0, 1), Keep(), unready=["data-0"]) == {"data-1": "newest"}


def test_nothing_goes_while_none_is_ready() -> None:
    assert set(kept(at(0, 1), Keep(last=1), unready=["data-0", "data-1"])) == {"data-0", "data-1"}


def test_a_tagged_one_is_kept() -> None:
    assert kept(at(0, 1, 2), Keep(last=1), tagged=["data-2"]) == {
        "data-0": "last",
        "data-2": "tagged",
    }


def test_each_claim_counts_for_itself() -> None:
    records = at(0, 1) + at(5, 6, claim="other")
    assert kept(records, Keep(last=1)) == {"data-0": "last", "other-5": "last"}


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=40, unique=True),
    st.builds(Keep, *[st.integers(0, 4)] * 5),
    st.data(),
)
def test_what_must_not_go_never_goes(hours, keep, data) -> None:
    records = at(*hours)
    handles = [r.handle for r in records]
    unready = data.draw(st.sets(st.sampled_from(handles)))
    tagged = data.draw(st.sets(st.sampled_from(handles)))
    found = kept(records, keep, unready=unready, tagged=tagged)
    assert tagged <= found.keys()
    usable = [r.handle for r in sorted(records, key=lambda r: r.created) if r.handle not in unready]
    if usable:
        assert usable[-1] in found
        assert len(found.keys() & set(usable)) >= min(keep.last, len(usable))
    else:
        assert found.keys() == set(handles)


def test_what_is_pruned_is_read_back() -> None:
    handles = {("a.driver", "one"), ("a.driver", "yes")}
    assert read_pruned(write_pruned(handles), "p.yaml") == handles
    assert write_pruned(()) is None
    for data in (b"format: 1\n", b"format: 1\nsnapshots: [{driver: 1, handle: a}]\n"):
        with pytest.raises(RepositoryError, match=r"^p\.yaml: not a list"):
            read_pruned(data, "p.yaml")
    with pytest.raises(RepositoryError, match="format 2"):
        read_pruned(b"format: 2\nsnapshots: []\n", "p.yaml")


def test_a_record_without_a_time_stops_it() -> None:
    with pytest.raises(RepositoryError, match="is no time"):
        judge([replace(RECORD, created="soon")], Keep(last=1), ready=(), protected=())
