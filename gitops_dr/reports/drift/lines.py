"""The values of one field as lines that a person can read side by side. Pure.

All text here has its control characters shown as escapes, but for tabs in lines of a diff; values
must be masked before.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from gitops_dr.model import FieldChange
from gitops_dr.reports.text import count, shorten, shown, shown_line
from gitops_dr.reports.values import Mark, compact

_CONTEXT = 2
_DIFFED = 200
"""Lines of a side up to which the two are matched line by line; more would take too long."""


def one_line(value: Any, width: int) -> str:
    """Write a value as JSON in at most ``width`` characters."""
    if isinstance(value, Mark):
        return value
    if isinstance(value, str) and len(value) > width:
        value = f"{value[:width]}…"
    return shorten(shown(compact(value)), width)


def contrast(change: FieldChange, width: int) -> str:
    """Write ``old → new`` in one line, or the one that there is.

    Of long values the part is shown where they begin to differ.
    """
    if change.op == "add":
        return one_line(change.new, width)
    if change.op == "remove":
        return one_line(change.old, width)
    old, new = change.old, change.new
    if old is None and new is None:
        return "changed"
    if isinstance(old, str) and isinstance(new, str):
        texts = [old, new]
    else:
        texts = [compact(old), compact(new)]
    if max(map(len, texts)) > width and not (isinstance(old, Mark) or isinstance(new, Mark)):
        at = max(0, _common_prefix(*texts) - width // 3)
        texts = [_window(text, at, width) for text in texts]
    if isinstance(old, str) and isinstance(new, str):
        texts = [one_line(text, 2 * width) for text in texts]
    return " → ".join(shorten(shown(text), 2 * width) for text in texts)


def diff_lines(change: FieldChange, *, limit: int, width: int) -> list[tuple[str, str]]:
    """Write both values under each other: pairs of a sign (``-``, ``+``, blank) and a line.

    Texts of several lines, maps and lists are compared line by line. At most ``limit`` lines of
    ``width`` characters, then one that says how many more there are.
    """
    if change.op == "add":
        lines = [("+", line) for line in _lines_of(change.new)]
    elif change.op == "remove":
        lines = [("-", line) for line in _lines_of(change.old)]
    elif change.old is None and change.new is None:
        lines = [(" ", "changed")]
    else:
        lines = _matched(_lines_of(change.old), _lines_of(change.new))
    cut = [(sign, shorten(shown_line(line[: width + 1]), width)) for sign, line in lines[:limit]]
    if len(lines) > limit:
        cut.append((" ", f"… {count(len(lines) - limit, 'more line')} (-o json has them all)"))
    return cut


def _lines_of(value: Any) -> list[str]:
    if isinstance(value, Mark):
        return [value]
    if isinstance(value, str) and "\n" in value:
        return value.split("\n")
    if isinstance(value, dict | list) and value:
        return _yaml(value).splitlines()
    return [compact(value)]


def _yaml(value: Any) -> str:
    import yamlrocks

    options = yamlrocks.OPT_SORT_KEYS | yamlrocks.OPT_INDENTLESS_SEQUENCES
    try:
        return str(yamlrocks.dumps(value, option=options), "utf-8")
    except yamlrocks.YAMLRocksEncodeError:
        return compact(value)


def _matched(old: list[str], new: list[str]) -> list[tuple[str, str]]:
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    return [
        *_context(old[:start], last=True),
        *_middle(before, after),
        *_context(old[len(old) - end :], last=False),
    ]


def _middle(old: list[str], new: list[str]) -> list[tuple[str, str]]:
    if max(len(old), len(new)) > _DIFFED:
        return [*(("-", line) for line in old), *(("+", line) for line in new)]
    lines: list[tuple[str, str]] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            lines += _between(old[a:b])
        else:
            lines += [("-", line) for line in old[a:b]]
            lines += [("+", line) for line in new[c:d]]
    return lines


def _between(lines: list[str]) -> list[tuple[str, str]]:
    if len(lines) <= 2 * _CONTEXT + 1:
        return [(" ", line) for line in lines]
    return [
        *((" ", line) for line in lines[:_CONTEXT]),
        (" ", f"… {count(len(lines) - 2 * _CONTEXT, 'equal line')}"),
        *((" ", line) for line in lines[-_CONTEXT:]),
    ]


def _context(lines: list[str], *, last: bool) -> list[tuple[str, str]]:
    """Equal lines before (then the last ones count) or after what differs."""
    if len(lines) <= _CONTEXT + 1:
        return [(" ", line) for line in lines]
    rest = (" ", f"… {count(len(lines) - _CONTEXT, 'equal line')}")
    kept = [(" ", line) for line in (lines[-_CONTEXT:] if last else lines[:_CONTEXT])]
    return [rest, *kept] if last else [*kept, rest]


def _common_prefix(one: str, other: str) -> int:
    """Count the characters that both begin with, by halving: texts may have a million."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _window(text: str, at: int, width: int) -> str:
    before = "…" if at else ""
    after = "…" if len(text) > at + width else ""
    return f"{before}{text[at : at + width]}{after}"
