"""A comparison as one page, to be filtered by what it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gitops_dr.model import Difference, FieldChange, Presence, Ref
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.lines import diff_lines
from gitops_dr.reports.html import render
from gitops_dr.reports.text import brief, count, shorten, shown
from gitops_dr.reports.values import mask
from gitops_dr.results.drift import Drifted, Merge

OPEN = 12
"""Differences up to which all of them are unfolded at first."""

_MANY = 1000
_NAME = 200
_REASON = 1000
_WIDTH = 300


@dataclass(frozen=True, slots=True)
class _Limits:
    """How much of one difference is on the page: the more there are, the less of each."""

    fields: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Field:
    path: str
    sign: str
    author: str
    """Empty where it says nothing."""
    lines: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Row:
    """One object, as text that is cut but not escaped yet."""

    word: str
    """Its state, or what merging would do."""
    kind: str
    namespace: str
    name: str
    author: str
    authors: str
    """One name a line, for the filter."""
    notes: list[str]
    fields: list[_Field]
    more: str


def as_html(result: Drifted) -> str:
    """Every difference, to be filtered by state, namespace, kind, author and text."""
    result = mask(result)
    merges = result.against.merges if result.against else ()
    many = len(result.differences) + len(merges) > _MANY
    limits = _Limits(fields=8, lines=10) if many else _Limits(fields=40, lines=40)
    namespaces: dict[str, list[_Row]] = {}
    for difference in result.differences:
        row = _row(difference, limits)
        namespaces.setdefault(row.namespace, []).append(row)
    values = {
        "result": result,
        "compared_with": words.compared_with(result),
        "coverage": words.coverage(result),
        "found": words.found(result),
        "counts": [(p, sum(d.presence is p for d in result.differences)) for p in Presence],
        "namespaces": sorted(namespaces.items()),
        "merges": [_merge_row(merge, limits) for merge in merges],
        "merging": words.merging(result.against) if result.against else "",
        "unfold": len(result.differences) <= OPEN,
        "gaps": [f"{gap.ref}: {gap.reason}" for gap in result.gaps],
        "mend": words.rules_to_mend(result),
        "hidden": words.hidden(result),
        "left_out": words.left_out(result),
    }
    return render("drift.html.j2", values, styles=["drift.css"], script="drift.js")


def _row(difference: Difference, limits: _Limits) -> _Row:
    notes = words.trusted_by(difference.changes)
    if difference.held:
        notes.append(difference.held)
    if difference.compared_locally:
        notes.append(f"compared locally: {difference.compared_locally}")
    if difference.reason:
        notes.insert(0, difference.reason)
    own = [change for change in difference.changes if not words.is_trusted(change)]
    authors = _authors(difference)
    whole = difference.presence in (Presence.MISSING, Presence.UNMANAGED)
    return _Row(
        word=difference.presence,
        **_names(difference.ref),
        author=words.written_by(difference.managers) if whole else _listed(own),
        authors="\n".join(shown(name) for name in authors),
        notes=[shorten(note, _REASON) for note in notes],
        fields=[_field(change, limits, signed=True) for change in own[: limits.fields]],
        more=_more(own, limits),
    )


def _merge_row(merge: Merge, limits: _Limits) -> _Row:
    return _Row(
        word=merge.action,
        **_names(merge.ref),
        author="",
        authors="",
        notes=[shorten(merge.reason, _REASON)] if merge.reason else [],
        fields=[_field(change, limits, signed=False) for change in merge.changes[: limits.fields]],
        more=_more(merge.changes, limits),
    )


def _names(ref: Ref) -> dict[str, str]:
    return {
        "kind": brief(words.kind_of(ref), _NAME),
        "namespace": brief(ref.namespace or words.CLUSTER_SCOPED, _NAME),
        "name": brief(ref.name, _NAME),
    }


def _field(change: FieldChange, limits: _Limits, *, signed: bool) -> _Field:
    return _Field(
        path=brief(change.path, _NAME),
        sign=words.SIGNS[change.op],
        author=brief(words.written_by(change.managers), _REASON) if signed else "",
        lines=diff_lines(change, limit=limits.lines, width=_WIDTH),
    )


def _more(changes: Iterable[FieldChange], limits: _Limits) -> str:
    left = len(list(changes)) - limits.fields
    return f"and {count(left, 'more field')} (-o json has them all)" if left > 0 else ""


def _authors(difference: Difference) -> list[str]:
    """Everybody who is known to have had a hand in it."""
    if difference.presence is Presence.UNKNOWN:
        return [words.UNKNOWN]
    if not difference.changes:
        return list(words.names(difference.managers))
    every = (name for change in difference.changes for name in words.names(change.managers))
    return list(dict.fromkeys(shorten(name, _NAME) for name in every))


def _listed(changes: Iterable[FieldChange]) -> str:
    every = list(dict.fromkeys(name for change in changes for name in words.names(change.managers)))
    more = f" and {len(every) - 3} more" if len(every) > 3 else ""
    return f"by {', '.join(shorten(name, _NAME) for name in every[:3])}{more}" if every else ""
