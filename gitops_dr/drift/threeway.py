"""Tells what changed in Git from what changed in the cluster, object by object. Pure.

Three sides: ``git`` is what a person may have edited, ``live`` what the cluster is, ``base`` what
the cluster was when both last agreed. Each maps a Ref to a fingerprint; an object that is not among
them is absent, which is a state like any other.

========================  =====================================================================
git equals live           same: nothing to do
git equals base           only the cluster changed: Git gets the cluster's version
live equals base          only Git changed: pending, Git's version stays
all three differ          conflict: Git's version stays, and a person must decide
========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from gitops_dr.drift.compare import field_changes
from gitops_dr.manifests.fieldpath import may_overlap, parse_fieldpath
from gitops_dr.model import Body, Ref

Side = Mapping[Ref, str]
"""Ref to fingerprint."""

_ORDER = attrgetter("group", "kind", "namespace", "name")
"""That of Refs; they compare themselves the same way, but ten times slower."""


class Verdict(StrEnum):
    """What the three versions of one object mean."""

    SAME = "same"
    CLUSTER = "cluster"
    """Only the cluster changed."""
    PENDING = "pending"
    """Only Git changed: not applied yet."""
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    """One side could not be read."""


class Change(StrEnum):
    """What became of an object on one side."""

    NONE = "unchanged"
    ADDED = "added"
    EDITED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, order=True)
class Standing:
    """An object whose version in Git stays although the cluster's is another."""

    ref: Ref
    git: Change
    cluster: Change


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """Three sides, sorted out. ``written`` and ``standing`` are sorted by Ref."""

    written: tuple[Ref, ...]
    """Git gets the cluster's version: new bytes, or none where the object is not live."""
    pending: tuple[Standing, ...]
    conflicts: tuple[Standing, ...]
    verdicts: Mapping[Ref, Verdict]
    """Of every object that is not the same on both sides."""


def sort_out(
    git: Side,
    live: Side,
    base: Side | None,
    *,
    unknown: Callable[[Ref], bool] = lambda _ref: False,
    applied: Callable[[Ref], bool] = lambda _ref: False,
    cluster_wins: bool = False,
) -> ThreeWay:
    """Decide for every object whether Git gets the cluster's version.

    ``base``: None if nobody knows it, so that whatever differs is a conflict. ``unknown``: one side
    of the object could not be read, so that nothing is done about it. ``applied`` is asked only
    where all three sides differ: whether the cluster has all that Git changed, and more of its own;
    then there is no conflict. ``cluster_wins``: conflicts are decided for the cluster.
    """
    known = {} if base is None else base
    verdicts: dict[Ref, Verdict] = {}
    for ref in git.keys() | live.keys() | known.keys():
        verdict = decide(git.get(ref), live.get(ref), known.get(ref))
        if (verdict is not Verdict.SAME or ref not in git) and unknown(ref):
            verdict = Verdict.UNKNOWN
        elif base is None and verdict is not Verdict.SAME:
            verdict = Verdict.CONFLICT
        if verdict is Verdict.CONFLICT and (cluster_wins or applied(ref)):
            verdict = Verdict.CLUSTER
        if verdict is not Verdict.SAME:
            verdicts[ref] = verdict

    def having(wanted: Verdict) -> list[Ref]:
        return sorted((r for r, verdict in verdicts.items() if verdict is wanted), key=_ORDER)

    def standing(wanted: Verdict) -> tuple[Standing, ...]:
        return tuple(
            Standing(
                ref,
                _change(known.get(ref), git.get(ref)),
                _change(known.get(ref), live.get(ref)),
            )
            for ref in having(wanted)
        )

    return ThreeWay(
        written=tuple(having(Verdict.CLUSTER)),
        pending=standing(Verdict.PENDING),
        conflicts=standing(Verdict.CONFLICT),
        verdicts=verdicts,
    )


def decide(git: str | None, live: str | None, base: str | None) -> Verdict:
    """What three fingerprints of one object mean; None is an absent object."""
    if git == live:
        return Verdict.SAME
    if git == base:
        return Verdict.CLUSTER
    if live == base:
        return Verdict.PENDING
    return Verdict.CONFLICT


def unlike(after: Side, base: Side, kept: Iterable[Ref]) -> dict[Ref, str]:
    """The base of each object of ``kept`` that the commit now made does not itself show.

    ``after`` is Git's side as it will be committed, ``kept`` the objects that were not the same and
    whose version in Git stays. The next comparison takes what the commit holds for its base, except
    for these: their version in Git is one that the cluster never had. The fingerprint of an absent
    object is empty.
    """
    return {ref: base.get(ref, "") for ref in kept if after.get(ref) != base.get(ref)}


def has_all_changes(git: Body, live: Body, base: Body | None) -> bool:
    """Whether everything that Git changed since ``base`` is so in the cluster.

    Then the cluster's version loses nothing: what a person merged was applied, and the rest are the
    API server's defaults and the cluster's own changes. ``base`` is None for an object that is new
    in Git. In doubt, as for a list whose items have no key, the answer is no.
    """
    edits = [(parse_fieldpath(change.path), change.op) for change in field_changes(base or {}, git)]
    for change in field_changes(git, live):
        path = parse_fieldpath(change.path)
        for edited, op in edits:
            # A field that only the cluster has can be in nobody's way below what Git added.
            if may_overlap(path, edited) and not change.op == op == "add":
                return False
    return True


def _change(before: str | None, now: str | None) -> Change:
    if before == now:
        return Change.NONE
    if before is None:
        return Change.ADDED
    return Change.DELETED if now is None else Change.EDITED
