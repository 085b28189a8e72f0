"""A comparison in Markdown, as the summary of a job or in a file. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from gitops_dr.model import Difference, FieldChange, Presence, Ref
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.lines import diff_lines
from gitops_dr.reports.markdown import code, code_tag, escape, fence, table
from gitops_dr.reports.text import brief, count, shorten, shown
from gitops_dr.reports.values import mask
from gitops_dr.results.drift import Against, Drifted, Merge

BUDGET = 1_000_000
"""Bytes; GitHub drops a job's summary of more than 1 MiB as a whole:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands"""

_FIELDS = 20
_LINES = 30
_WIDTH = 200
_LISTED = 50
_KINDS = 20
_NAME = 200
_REASON = 300


def as_markdown(result: Drifted, *, budget: int = BUDGET) -> str:
    """Everything in at most ``budget`` bytes.

    Differences that do not fit are named, and where the names do not fit either, counted. Gaps and
    rules always stand there, fifty of each, and take up to 300,000 bytes if somebody is nasty.
    """
    result = mask(result)
    head, tail = _head(result), _tail(result)
    room = budget - _size([*head, *tail])
    body: list[str] = []
    if result.against:
        body = _merging(result, result.against, room)
        room -= _size(body)
    body += fitted(result.differences, difference_block, difference_name, room)
    return "\n".join([*head, *body, *tail]).rstrip()


def fitted[T](
    found: Sequence[T], block: Callable[[T], str], name: Callable[[T], str], room: int
) -> list[str]:
    """Write as many as fit into ``room`` bytes with ``block``, then with ``name``; count the rest.

    A fifth of the room is kept for names.
    """
    lines: list[str] = []
    position = 0
    for write, limit in ((block, room * 4 // 5), (name, room - 100)):
        used = _size(lines)
        while position < len(found):
            text = write(found[position])
            used += _size([text])
            if used > limit:
                break
            lines.append(text)
            position += 1
    left = len(found) - position
    return [*lines, f"\nand {left} more (`-o json` has them all)"] if left else lines


def difference_name(difference: Difference) -> str:
    """One line that names the difference; values must be masked, here and below."""
    return f"- {difference.presence} {_ref(difference.ref)}"


def difference_block(difference: Difference) -> str:
    """Everything of one difference: a line, or a fold with its fields in it."""
    notes = []
    if difference.reason:
        notes.append(escape(brief(difference.reason, _REASON)))
    if difference.held:
        notes.append(escape(shown(difference.held)))
    if difference.compared_locally:
        notes.append(f"compared locally: {escape(brief(difference.compared_locally, _REASON))}")
    if not difference.changes:
        if difference.presence in (Presence.MISSING, Presence.UNMANAGED):
            notes.insert(0, escape(words.written_by(difference.managers)))
        return f"{difference_name(difference)}{''.join(f' ({note})' for note in notes)}"
    own = [change for change in difference.changes if not words.is_trusted(change)]
    notes = [*map(escape, words.trusted_by(difference.changes)), *notes]
    return _fold(str(difference.presence), difference.ref, own, notes)


def merge_name(merge: Merge) -> str:
    """One line that names what merging would do."""
    return f"- {merge.action} {_ref(merge.ref)}"


def merge_block(merge: Merge) -> str:
    """Everything that merging would do to one object."""
    notes = [escape(brief(merge.reason, _REASON))] if merge.reason else []
    if not merge.changes:
        return f"{merge_name(merge)}{''.join(f' ({note})' for note in notes)}"
    return _fold(str(merge.action), merge.ref, merge.changes, notes, signed=False)


def _fold(
    word: str,
    ref: Ref,
    changes: Sequence[FieldChange],
    notes: Iterable[str],
    *,
    signed: bool = True,
) -> str:
    title = f"{word} {code_tag(brief(ref, _NAME))}"
    if changes:
        title += f": {count(len(changes), 'field')}"
        title += f" by {_authors(changes)}" if signed else ""
    lines = [f"\n<details><summary>{title}</summary>\n"]
    if changes:
        diff = [line for change in changes[:_FIELDS] for line in _field(change, signed=signed)]
        lines += [fence("\n".join(diff), "diff"), ""]
    if len(changes) > _FIELDS:
        more = count(len(changes) - _FIELDS, "more field")
        lines.append(f"and {more} (`-o json` has them all)\n")
    return "\n".join([*lines, *(f"{note}\n" for note in notes), "</details>\n"])


def _field(change: FieldChange, *, signed: bool) -> list[str]:
    author = f" {shown(words.written_by(change.managers))}" if signed else ""
    lines = [f"@@ {brief(change.path, _NAME)} @@{shorten(author, _NAME)}"]
    return lines + [f"{s} {line}" for s, line in diff_lines(change, limit=_LINES, width=_WIDTH)]


def _authors(changes: Iterable[FieldChange]) -> str:
    every = list(dict.fromkeys(name for c in changes for name in words.names(c.managers)))
    more = [f"{len(every) - 3} more"] if len(every) > 3 else []
    return ", ".join([*(code_tag(brief(name, _NAME)) for name in every[:3]), *more])


def _head(result: Drifted) -> list[str]:
    found = f"**{words.found(result)}**, {count(result.equal, 'object')} equal"
    share = f" {coverage}." if (coverage := words.coverage(result)) else ""
    lines = [
        f"## Drift of {code(result.cluster)}",
        "",
        f"{found}; compared with commit {code(words.compared_with(result))}.{share}",
        "",
    ]
    kinds: dict[str, Counter[Presence]] = {}
    for difference in result.differences:
        kinds.setdefault(words.kind_of(difference.ref), Counter())[difference.presence] += 1
    most = sorted(kinds.items(), key=lambda item: (-item[1].total(), item[0]))
    rows = [
        (code(brief(kind, _NAME)), *(str(counts[p] or "") for p in Presence))
        for kind, counts in most[:_KINDS]
    ]
    if len(most) > _KINDS:
        rest = sum((counts for _, counts in most[_KINDS:]), Counter[Presence]())
        rows.append((f"{len(most) - _KINDS} other kinds", *(str(rest[p] or "") for p in Presence)))
    return [*lines, *table(("kind", *Presence), rows), ""] if rows else lines


def _merging(result: Drifted, against: Against, room: int) -> list[str]:
    """What merging would change, in at most half of the room."""
    return [
        f"### Merging {code(result.commit[:12])} will {words.merging(against)}",
        "",
        *fitted(against.merges, merge_block, merge_name, room // 2),
        "",
        f"### Drift already, measured against {code(against.base[:12])}",
        "",
        *([] if result.differences else ["nothing"]),
    ]


def _tail(result: Drifted) -> list[str]:
    return [
        *_section("Gaps", [f"{gap.ref}: {gap.reason}" for gap in result.gaps]),
        *_section("Ignore rules to mend", words.rules_to_mend(result)),
        *_section("Hidden by ignore rules", words.hidden(result)),
        *_section("Left out of the comparison", words.left_out(result)),
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    shown_lines = [f"- {escape(brief(line, _REASON))}" for line in lines[:_LISTED]]
    if len(lines) > _LISTED:
        shown_lines.append(f"- and {len(lines) - _LISTED} more (`-o json` has them all)")
    return ["", f"### {title}", "", *shown_lines]


def _ref(ref: Ref) -> str:
    return code(brief(ref, _NAME))


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)
