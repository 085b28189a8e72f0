"""Says what is to be deleted because it left Git, and what stays although it did. Pure.

Only what an earlier commit put into the cluster can leave it: an object that Git never had, or that
we did not write, is nobody's of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import yamlrocks

from gitops_dr.errors import RefusedError
from gitops_dr.model import Action, Entry, Ref, State, Step
from gitops_dr.planning.tiers import tier
from gitops_dr.resources import shipped
from gitops_dr.rules.platform import platform_reason
from gitops_dr.rules.rows import names_kind

SHRINK_LIMIT = 0.10
"""Deleting a larger part of what was wanted before needs the person's word."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """What left Git and is still in the cluster."""

    steps: tuple[Step, ...] = ()
    """What is deleted, in that order: whatever needs others before what it needs."""
    kept: tuple[tuple[Ref, str], ...] = ()
    """What stays, each with the reason."""


def prune(
    before: Mapping[Ref, Entry],
    wanted: Mapping[Ref, Entry],
    observed: State,
    is_ours: Callable[[Ref], bool],
    *,
    named: Collection[Ref] = (),
) -> Pruning:
    """Sort what ``before`` had and ``wanted`` has not.

    ``before`` is the State that the cluster was last brought to, ``wanted`` the one that it is to
    get, ``is_ours`` whether we wrote a running object, ``named`` the objects that the person names
    for this. Objects that a controller owns are not among ``observed`` and go with their owners.
    """
    steps: list[Step] = []
    kept: list[tuple[Ref, str]] = []
    for ref in before.keys() - wanted.keys():
        seen = observed.entries.get(ref)
        if seen is None:
            continue
        reason = _stays(ref, is_ours) if ref not in named else ""
        if reason:
            kept.append((ref, reason))
        else:
            steps.append(Step(ref, Action.DELETE, seen.fingerprint, seen.path, seen.version))
    steps.sort(key=lambda step: (-tier(step.ref.group_kind), step.ref))
    return Pruning(tuple(steps), tuple(sorted(kept)))


def refuse_shrinking(
    pruning: Pruning, before: Collection[object], wanted: Collection[object], target: str
) -> None:
    """Raise ``RefusedError`` for a State that wants nothing any more, or suddenly much less."""
    lost = len(pruning.steps)
    if not lost or (wanted and lost <= max(1, len(before) * SHRINK_LIMIT)):
        return
    raise RefusedError(
        f"{target}: {lost} of {len(before)} objects left Git and would be deleted; "
        "nothing was written",
        hint="if that is right, say --allow-shrink",
    )


def _stays(ref: Ref, is_ours: Callable[[Ref], bool]) -> str:
    for kinds, because in _rows():
        if names_kind(kinds, *ref.group_kind):
            return f"{because} Name it with --prune to delete it."
    if reason := platform_reason(ref):
        return f"{reason} Name it with --prune to delete it."
    if not is_ours(ref):
        return "It was not gitops-dr that wrote it. Name it with --prune to delete it."
    return ""


@cache
def _rows() -> tuple[tuple[tuple[str, ...], str], ...]:
    raw: Iterable[Mapping[str, str]] = yamlrocks.loads(shipped("planning/prune.yaml").read_bytes())
    return tuple((tuple(row["kinds"]), row["because"]) for row in raw)
