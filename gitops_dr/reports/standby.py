"""What bringing a standby's claims up to date would do, and did. Pure.

``docs/json.md`` explains the document, ``docs/failover.md`` the volumes that are kept.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from gitops_dr.model import Gap
from gitops_dr.reports import documents
from gitops_dr.reports.text import count, listing, shown
from gitops_dr.results.rebuild import Goal
from gitops_dr.results.standby import ClaimsBrought, ClaimsPlan, KeptVolume

_PATCH = '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}'
_NEXT = "is given back when that is replaced again with --drop-replaced"


def plan_lines(plan: ClaimsPlan) -> list[str]:
    """What a person is asked to confirm."""
    return [
        *listing(
            "Replaced by the commit's data; the old volumes are kept:",
            [f"{gap.ref}: {gap.reason}" for gap in plan.replaced],
        ),
        *listing(
            "Kept until now, and then given back to their reclaim policy, which deletes them:",
            [f"PersistentVolume/{one.volume} of {one.claim}" for one in plan.going],
        ),
        *_left_lines(plan.left),
    ]


def brought_lines(brought: ClaimsBrought, goal: Goal) -> list[str]:
    """What was done, and what a person may do about the rest."""
    command = _command(brought.kept, goal)
    replaced = [
        f"{one.claim}: volume {one.old_volume} is kept, {one.volume or 'none yet'} is new"
        for one in brought.replaced
    ]
    return [
        *listing("Claims replaced:", replaced),
        *listing(
            "Given back to their reclaim policy, which deletes them:",
            [f"PersistentVolume/{one.volume} of {one.claim}" for one in brought.gone],
        ),
        *_left_lines(brought.left),
        *listing(
            f"Kept: {count(len(brought.kept), 'volume')} of claims that were replaced",
            [f"PersistentVolume/{one.volume} of {one.claim}: {_why(one)}" for one in brought.kept],
        ),
        *([f"  delete what can be had again: {command}"] if command else []),
    ]


def document(brought: ClaimsBrought | None, goal: Goal) -> dict[str, Any] | None:
    """Put it into JSON values."""
    if brought is None:
        return None
    return {
        "replaced": [
            {
                "claim": documents.ref(one.claim),
                "oldVolume": one.old_volume,
                "volume": one.volume,
                "created": one.record.created,
            }
            for one in brought.replaced
        ],
        "left": documents.gaps(brought.left),
        "gone": [{"volume": one.volume, "claim": one.claim} for one in brought.gone],
        "kept": [
            {"volume": one.volume, "claim": one.claim, "reason": _why(one)} for one in brought.kept
        ],
        "deleteKept": _command(brought.kept, goal),
    }


def _left_lines(left: Sequence[Gap]) -> list[str]:
    return listing(
        "Not replaced; what is of no use can be deleted there, and the next sync fills it anew:",
        [f"{gap.ref}: {gap.reason}" for gap in left],
    )


def _why(one: KeptVolume) -> str:
    return one.stays or _NEXT


def _command(kept: Sequence[KeptVolume], goal: Goal) -> str:
    """What deletes the volumes whose data Git can bring back; empty if there are none.

    A PersistentVolume that is deleted itself would leave the data in the storage.
    """
    names = [one.volume for one in kept if not one.stays]
    if not names:
        return ""
    context = ("--context", goal.context) if goal.context else ()
    words = ["kubectl", *context, "patch", "pv", *names, "--type", "merge", "-p", _PATCH]
    return shown(shlex.join(words))
