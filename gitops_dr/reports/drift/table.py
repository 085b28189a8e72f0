"""A comparison for a person at a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gitops_dr.model import Difference, FieldChange, FieldManager, Presence
from gitops_dr.reports import tables
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.lines import contrast
from gitops_dr.reports.text import brief, count, listing, shown
from gitops_dr.reports.values import mask
from gitops_dr.results.drift import Against, Drifted

OBJECTS = 200
"""Objects shown; of the rest the kinds are counted."""

_WIDTH = 120
_VALUE = 60
_NAME = 160
_REASON = 400
_FIELD = " " * 13


def as_table(result: Drifted) -> str:
    """Each difference with its fields and their authors, and what the comparison left out."""
    result = mask(result)
    lines = [shown(words.headline(result))]
    lines += [f"coverage: {share}"] if (share := words.coverage(result)) else []
    if result.against is None:
        lines += _differences(result.differences)
    else:
        lines += _merging(result, result.against)
    lines += listing("Ignore rules to mend:", words.rules_to_mend(result))
    lines += listing("Hidden by ignore rules:", words.hidden(result))
    if left_out := words.left_out(result):
        rules = count(len(left_out), "rule", "rules")
        lines.append(f"left out of it by {rules}, which docs/rules.md explains and -o json names")
    return "\n".join([*lines, *tables.gap_lines(result.gaps)])


def _differences(found: Sequence[Difference]) -> list[str]:
    lines = [line for difference in found[:OBJECTS] for line in object_lines(difference)]
    return [*lines, *_rest([words.kind_of(difference.ref) for difference in found[OBJECTS:]])]


def _rest(kinds: Sequence[str]) -> list[str]:
    if not kinds:
        return []
    most = Counter(kinds).most_common(6)
    named = [f"{number} {brief(kind, _VALUE)}" for kind, number in most]
    named += ["others"] if len(set(kinds)) > len(most) else []
    return [f"and {len(kinds)} more (-o json has them all): {', '.join(named)}"]


def object_lines(difference: Difference) -> list[str]:
    """Write one difference: what it is, then a line for each field; values must be masked."""
    head = f"{difference.presence:<10} {brief(difference.ref, _NAME)}"
    if difference.reason:
        head += f"  ({brief(difference.reason, _REASON)})"
    lines = _signed(head, difference.managers) if _has_author(difference) else [head]
    lines += field_lines(difference.changes)
    if difference.held:
        lines.append(f"{_FIELD}{shown(difference.held)}")
    if difference.compared_locally:
        why = brief(difference.compared_locally, _REASON)
        lines.append(f"{_FIELD}compared locally: {why}")
    return lines


def _has_author(difference: Difference) -> bool:
    """Whether the object as a whole has one, and not its fields, one by one."""
    return difference.presence in (Presence.MISSING, Presence.UNMANAGED)


def field_lines(changes: Iterable[FieldChange]) -> list[str]:
    """Write the fields, those by trusted managers counted; values must be masked."""
    changes = list(changes)
    own = [change for change in changes if not words.is_trusted(change)]
    lines = [line for change in own[: tables.FIELDS_SHOWN] for line in _field(change)]
    if len(own) > tables.FIELDS_SHOWN:
        more = count(len(own) - tables.FIELDS_SHOWN, "more field")
        lines.append(f"{_FIELD}and {more} (-o json has them all)")
    return [*lines, *(f"{_FIELD}{shown(line)}" for line in words.trusted_by(changes))]


def _field(change: FieldChange) -> list[str]:
    path = brief(change.path, _NAME)
    text = f"{_FIELD}{words.SIGNS[change.op]} {path}: {contrast(change, _VALUE)}"
    text += "  (no longer in Git)" if change.removed_from_git else ""
    return _signed(text, change.managers)


def _signed(text: str, managers: Iterable[FieldManager]) -> list[str]:
    """Put the author behind the text, or on a line of its own where that gets too long."""
    author = brief(words.written_by(managers), _REASON)
    if len(text) + len(author) + 2 <= _WIDTH:
        return [f"{text}  {author}"]
    return [text, f"{_FIELD}    {author}"]


def _merging(result: Drifted, against: Against) -> list[str]:
    lines = [f"Merging {shown(result.commit[:12])} will {words.merging(against)}:"]
    for merge in against.merges[:OBJECTS]:
        why = f"  ({brief(merge.reason, _REASON)})" if merge.reason else ""
        lines.append(f"  {merge.action:<10} {brief(merge.ref, _NAME)}{why}")
        # Who wrote the values that go is told where they are drift.
        lines += [
            f"{_FIELD}{words.SIGNS[change.op]} {brief(change.path, _NAME)}: "
            f"{contrast(change, _VALUE)}"
            for change in merge.changes[: tables.FIELDS_SHOWN]
        ]
        if len(merge.changes) > tables.FIELDS_SHOWN:
            more = count(len(merge.changes) - tables.FIELDS_SHOWN, "more field")
            lines.append(f"{_FIELD}and {more} (-o json has them all)")
    lines += _rest([words.kind_of(merge.ref) for merge in against.merges[OBJECTS:]])
    already = _differences(result.differences) or ["  nothing"]
    return [*lines, f"Drift already, measured against {shown(against.base[:12])}:", *already]
