"""A comparison as a comment on a pull request: as much as fits, and never cut in the middle. Pure.

What does not fit whole is said with names only, then with numbers only. What merging would change
stands apart from what is drift already, and gives way last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

from gitops_dr.model import Difference, Ref
from gitops_dr.reports import values
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.markdown import (
    difference_block,
    difference_name,
    merge_block,
    merge_name,
)
from gitops_dr.reports.markdown import code, escape, table
from gitops_dr.reports.text import count, shorten
from gitops_dr.results.drift import Drifted, Merge

BUDGET = 60_000
"""Bytes (UTF-8) of a comment. GitHub's limit is 65,536 of it is not quite sure what: in bytes, this
is below it in characters and in UTF-16 too, and leaves room for the marker."""

LEAST = 12_000
"""Bytes in which the numbers alone always fit."""

_KINDS = 10
_LISTED = 20
_NAME = 60
_REASON = 300

_LINK = re.compile(r"https?://[A-Za-z0-9.:/_-]{1,500}", re.ASCII)


class Detail(IntEnum):
    """How much is said of each object."""

    COUNTS = 0
    NAMES = 1
    FULL = 2


_STEPS = (
    (Detail.FULL, Detail.FULL),
    (Detail.FULL, Detail.NAMES),
    (Detail.NAMES, Detail.NAMES),
    (Detail.NAMES, Detail.COUNTS),
    (Detail.COUNTS, Detail.COUNTS),
)
"""Detail of what merging would change, and of what is drift already."""


def is_quiet(result: Drifted) -> bool:
    """Whether there is nothing to tell: no drift, no gap, and merging changes nothing."""
    return result.clean and not (result.against and result.against.merges)


def render(
    result: Drifted, *, budget: int = BUDGET, link: str = "", most: Detail = Detail.FULL
) -> str:
    """Write the comparison in at most ``budget`` bytes (from ``LEAST`` on) of GitHub's Markdown.

    ``link`` leads to the run and its artifacts. ``most`` leaves out more than the budget asks for:
    where everybody may read the comment, ``Detail.NAMES`` shows no field and no value. Secrets'
    values are never shown; no text of the cluster can end a block, mention anybody or refer to an
    issue.
    """
    result = values.mask(result)
    steps = list(dict.fromkeys((min(merging, most), min(drift, most)) for merging, drift in _STEPS))
    for step in steps[:-1]:
        text = _within(_lines(result, *step, link=link, short=step != steps[0]), budget)
        if text is not None:
            return text
    return "\n".join(_lines(result, *steps[-1], link=link, short=len(steps) > 1))


def _within(lines: Iterable[str], budget: int) -> str | None:
    """Join them; None as soon as they are too much, so that nothing is rendered for nothing."""
    taken: list[str] = []
    size = 0
    for line in lines:
        size += len(line.encode()) + 1
        if size > budget:
            return None
        taken.append(line)
    return "\n".join(taken)


def _lines(
    result: Drifted, merging: Detail, drift: Detail, *, link: str, short: bool
) -> Iterator[str]:
    """The comment in pieces of which each is whole: a heading, an item, an object with a fold."""
    yield f"## {_headline(result)}"
    if short:
        yield "\n_Too long to be shown whole: something is left out here._"
    if result.against is not None:
        yield "\n### What merging would change\n"
        yield from _merges(result.against.merges, merging)
        yield "\n### What is drift already\n"
    else:
        yield ""
    yield from _differences(result.differences, drift)
    gaps = [f"{gap.ref}: {gap.reason}" for gap in result.gaps]
    yield from _section("Could not be read", gaps, drift)
    yield from _section("Ignore rules to mend", words.rules_to_mend(result), drift)
    yield from _section("Ignore rules that hid something", words.hidden(result), drift)
    yield f"\n<sub>{'; '.join(_footer(result, link))}.</sub>"


def _headline(result: Drifted) -> str:
    found = words.found(result) if result.differences else "no drift"
    parts = [f"{found} already" if result.against and result.differences else found]
    if result.against is not None:
        parts.insert(0, f"merging would {words.merging(result.against)}")
    if result.gaps:
        parts.append(f"{len(result.gaps)} not readable")
    return f"{code(shorten(result.cluster, _NAME))}: {'; '.join(parts)}"


def _merges(merges: Sequence[Merge], detail: Detail) -> Iterator[str]:
    if not merges:
        yield "Nothing in this cluster."
    elif detail is Detail.COUNTS:
        yield from _by_kind(merge.ref for merge in merges)
    elif detail is Detail.NAMES:
        yield from map(merge_name, merges)
    else:
        yield "`-` is what the cluster has now, `+` what it would have.\n"
        yield from map(merge_block, merges)


def _differences(found: Sequence[Difference], detail: Detail) -> Iterator[str]:
    if not found:
        yield "The cluster is what Git says."
    elif detail is Detail.COUNTS:
        yield from _by_kind(difference.ref for difference in found)
    elif detail is Detail.NAMES:
        yield from map(difference_name, found)
    else:
        yield "`-` is what Git has, `+` what the cluster has.\n"
        yield from map(difference_block, found)


def _by_kind(refs: Iterable[Ref]) -> list[str]:
    kinds = Counter(map(words.kind_of, refs))
    most = kinds.most_common(_KINDS)
    rows = [(code(shorten(kind, _NAME)), str(number)) for kind, number in most]
    if len(kinds) > _KINDS:
        rows.append(("all others", str(kinds.total() - sum(number for _, number in most))))
    return table(("kind", "objects"), rows)


def _section(title: str, found: Sequence[str], detail: Detail) -> Iterator[str]:
    if not found:
        return
    yield f"\n#### {title}: {len(found)}"
    if detail > Detail.COUNTS:
        yield ""
        yield from (f"- {escape(shorten(line, _REASON))}" for line in found[:_LISTED])
        if len(found) > _LISTED:
            yield f"- and {count(len(found) - _LISTED, 'other')}"


def _footer(result: Drifted, link: str) -> Iterator[str]:
    yield f"Compared with commit {code(words.compared_with(result))}"
    if result.against is not None:
        yield f"merging {code(result.commit[:12])}"
    if coverage := words.coverage(result):
        yield coverage
    if _LINK.fullmatch(link):
        yield f"[the whole report is with the run]({link})"
