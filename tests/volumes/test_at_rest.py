"""What a standby's claim may hold besides its snapshot, and which old volume may go."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from volumes_samples import RECORD

from gitops_dr.volumes.at_rest import (
    AT_REST,
    Rested,
    read_rested,
    replaced_for,
    why_it_is_kept,
    why_it_stays,
    write_rested,
)
from gitops_dr.volumes.in_place import REPLACED, Note
from gitops_dr.volumes.records import Survives
from gitops_dr.volumes.retention import handle_of

NOW = replace(RECORD, handle="snapshot-2", created="2026-11-26T12:00:00Z")
SINCE = datetime(2026, 11, 26, 11, tzinfo=UTC)
MADE = "2026-11-26T11:00:05Z"


def claim(volume: str = "pv-1", made: str = MADE, **unused: str) -> Any:
    conditions = [{"type": "Resizing", "status": "True"}]
    if unused:
        since = unused.get("since", MADE)
        condition = {"type": "Unused", "status": unused["status"], "lastTransitionTime": since}
        conditions.append(condition)
    return {
        "metadata": {"creationTimestamp": made},
        "spec": {"volumeName": volume} if volume else {},
        "status": {"conditions": conditions},
    }


ASKED = {"rests_since": SINCE, "late": False, "used_by": ""}

STAYS: list[tuple[Any, dict[str, Any], str]] = [
    (claim(), {}, ""),
    (claim(status="True"), {}, ""),
    (claim(status="True", since="2026-11-26T11:00:35Z"), {}, ""),
    (claim(status="True", since="2026-11-26T11:00:36Z"), {}, "a pod may have used it until 2026"),
    (claim(status="True", since="2026-11-26T11:01:55Z"), {"claims": 800}, ""),
    (claim(status="True", since="?"), {}, "a pod may have used it until ?"),
    (claim(status="False"), {}, "a pod uses it"),
    (claim(), {"used_by": "Pod/shop/x has it"}, "Pod/shop/x has it"),
    (claim(), {"late": True}, "it has a volume, which its class makes only for a pod"),
    (claim(made="2026-11-26T11:00:00Z"), {}, ""),
    (claim(made="2026-11-26T10:59:59Z"), {}, "it may have been used: the standby is known to rest"),
    (claim(made=""), {}, "it may have been used"),
    (claim(), {"rests_since": None}, "it may have been used: the standby was not known to"),
    # What has no volume holds nothing.
    (claim(volume="", made=""), {"rests_since": None, "late": True, "used_by": "x"}, ""),
]


@pytest.mark.parametrize(("live", "asked", "why"), STAYS)
def test_what_may_hold_more_than_its_snapshot_stays(
    live: Any, asked: dict[str, Any], why: str
) -> None:
    found = why_it_stays(live, RECORD, NOW, **(ASKED | asked))
    assert found.startswith(why)
    assert bool(found) == bool(why)


@pytest.mark.parametrize("volume", ["", "pv-1"])
def test_only_older_data_of_ours_is_replaced(volume: str) -> None:
    live = claim(volume)
    assert "was not filled from a snapshot that" in why_it_stays(live, None, NOW, **ASKED)
    assert why_it_stays(live, NOW, RECORD, **ASKED) == "its data is newer, of 2026-11-26T12:00:00Z"
    for lost in (replace(RECORD, created="?"), replace(NOW, created="?")):
        assert why_it_stays(live, lost, NOW, **ASKED) or why_it_stays(live, RECORD, lost, **ASKED)


def note(**parts: Any) -> Note:
    given = {"claim": {}, "snapshot": "new", "reclaim_policy": "Delete", "together": {}}
    return Note(**(given | {"at_rest": "old"} | parts))


VOLUME: dict[str, Any] = {
    "metadata": {
        "name": "pv-1",
        "annotations": {REPLACED: "shop/data", AT_REST: write_rested(note())},
    },
    "spec": {"csi": {"driver": RECORD.driver}, "persistentVolumeReclaimPolicy": "Retain"},
    "status": {"phase": "Released"},
}


def test_what_is_noted_is_read_again() -> None:
    assert read_rested(VOLUME) == Rested("old", "Delete")
    assert replaced_for(VOLUME) == "shop/data"
    assert why_it_is_kept(VOLUME, RECORD, ()) == ""


def changed(path: str, value: Any) -> Any:
    body = deepcopy(VOLUME)
    at = body
    *parents, last = path.split("|")
    for parent in parents:
        at = at[parent]
    at[last] = value
    return body


@pytest.mark.parametrize(
    ("volume", "record", "why"),
    [
        # A failover or a restore has replaced it.
        (changed("metadata|annotations", {REPLACED: "shop/data"}), RECORD, "may be nowhere else"),
        (VOLUME, None, "is not recorded any more"),
        (VOLUME, replace(RECORD, survives=Survives.VOLUME), "dies with its volume"),
        (VOLUME, replace(RECORD, driver="other"), "not of the snapshot's driver"),
        (changed("status|phase", "Bound"), RECORD, "a claim has it"),
        (changed("status", {}), RECORD, "a claim has it"),
        (changed("spec|csi", None), RECORD, "not of the snapshot's driver"),
        (
            changed(f"metadata|annotations|{AT_REST}", write_rested(note(reclaim_policy="Retain"))),
            RECORD,
            "its reclaim policy was Retain before",
        ),
    ],
)
def test_what_may_be_nowhere_else_is_kept(volume: Any, record: Any, why: str) -> None:
    assert why in why_it_is_kept(volume, record, ())


def test_what_was_pruned_is_kept() -> None:
    assert "not recorded any more" in why_it_is_kept(VOLUME, RECORD, {handle_of(RECORD)})


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"format": 2}', '{"format": 1}'])
def test_what_cannot_be_read_is_none_of_ours(text: str) -> None:
    volume = changed(f"metadata|annotations|{AT_REST}", text)
    assert read_rested(volume) is None
    assert why_it_is_kept(volume, RECORD, ()) == "what it holds may be nowhere else"
