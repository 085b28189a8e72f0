"""What the formats for people say alike: headings, authors, counts. Pure.

Text of a cluster is in here as it came; each format makes it harmless in its own way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gitops_dr.model import Action, FieldChange, FieldManager, Presence, Ref
from gitops_dr.reports.text import count
from gitops_dr.results.drift import Against, Drifted

UNKNOWN = "unknown"
"""The author of whatever nobody can be named for: a removed field, a missing object."""

CLUSTER_SCOPED = "(cluster-scoped)"
"""Stands where other objects have their namespace; no namespace can be called so."""

SIGNS = {"add": "+", "remove": "-", "replace": "~"}

_MERGING = (Action.CONFIGURE, Action.CREATE, Action.REPLACE, Action.DELETE, Action.SKIP)
_WEIGHT = (Presence.UNKNOWN, Presence.MISSING, Presence.MODIFIED, Presence.UNMANAGED)


def found(result: Drifted) -> str:
    """``1 missing, 2 modified``, or ``no difference``."""
    counts = Counter(difference.presence for difference in result.differences)
    return ", ".join(f"{counts[p]} {p}" for p in Presence if counts[p]) or "no difference"


def compared_with(result: Drifted) -> str:
    """The commit that the differences are measured against."""
    return (result.against.base if result.against else result.commit)[:12]


def headline(result: Drifted) -> str:
    """Everything in one line."""
    return (
        f"{result.cluster}: {found(result)}, {count(result.equal, 'object')} equal; "
        f"compared with commit {compared_with(result)}"
    )


def coverage(result: Drifted) -> str:
    """How many of the cluster's objects were compared; empty where nothing was counted."""
    if not result.existing:
        return ""
    # Cut, not rounded: 100 % is all of them.
    percent = result.compared * 1000 // result.existing / 10
    return f"{result.compared} of {count(result.existing, 'existing object')} compared ({percent}%)"


def left_out(result: Drifted) -> list[str]:
    """What rules leave out of the comparison, counted by rule."""
    rules = Counter((omission.rule, omission.reason) for omission in result.omissions)
    return [f"{number} by {rule}: {reason}" for (rule, reason), number in sorted(rules.items())]


def hidden(result: Drifted) -> list[str]:
    """What the ignore rules hid, one line a rule."""
    return [f"{use.hidden} by {use.rule}: {use.because}" for use in result.ignored if use.hidden]


def rules_to_mend(result: Drifted) -> list[str]:
    """The ignore rules that are of no use, with the reason."""
    return [
        f"{use.rule}: {use.problem}" + (f"; {use.hint}" if use.hint else "")
        for use in result.ignored
        if use.problem
    ]


def merging(against: Against) -> str:
    """``configure 3, create 1``, or ``change nothing``."""
    counts = Counter(merge.action for merge in against.merges)
    return ", ".join(f"{a} {counts[a]}" for a in _MERGING if counts[a]) or "change nothing"


def written_by(managers: Iterable[FieldManager]) -> str:
    """``by kubectl-edit, Update, 2026-11-24T10:00:00Z``; several are parted by semicolons."""
    return f"by {'; '.join(map(_manager, managers)) or UNKNOWN}"


def _manager(manager: FieldManager) -> str:
    deed = manager.operation
    if manager.subresource:
        deed = f"{deed} of {manager.subresource}".strip()
    trusted = " (trusted)" if manager.trusted else ""
    return ", ".join(part for part in (manager.name, deed, manager.time) if part) + trusted


def names(managers: Iterable[FieldManager]) -> tuple[str, ...]:
    """The names alone, ``unknown`` where there is none."""
    return tuple(dict.fromkeys(manager.name for manager in managers)) or (UNKNOWN,)


def is_trusted(change: FieldChange) -> bool:
    """Whether only managers that are trusted wrote the field."""
    return bool(change.managers) and all(manager.trusted for manager in change.managers)


def trusted_by(changes: Iterable[FieldChange]) -> list[str]:
    """``3 fields by kube-controller-manager (trusted)``, a line for each of those managers."""
    counts = Counter(", ".join(names(change.managers)) for change in changes if is_trusted(change))
    return [f"{count(number, 'field')} by {who} (trusted)" for who, number in counts.items()]


def by_weight(presence: Presence) -> int:
    """Sort key: what one must know first comes first."""
    return _WEIGHT.index(presence)


def kind_of(ref: Ref) -> str:
    """``Deployment.apps``."""
    return f"{ref.kind}.{ref.group}" if ref.group else ref.kind
