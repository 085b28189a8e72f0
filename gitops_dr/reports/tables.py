"""The results of the verbs as a person reads them on a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from gitops_dr.model import (
    ANY,
    GOOD_ENDS,
    Action,
    Difference,
    EmptyVolume,
    FieldChange,
    Gap,
    Omission,
    Outcome,
    Plan,
    Presence,
    Result,
)
from gitops_dr.reports.text import count, listing, shown, table
from gitops_dr.results.rebuild import HeldBack, Outwards

FIELDS_SHOWN = 8
"""Field changes shown of one object; the rest is counted."""


def coverage(omissions: Iterable[Omission], gaps: Iterable[Gap]) -> list[str]:
    """List what is not covered: gaps one by one, omissions counted by their rule."""
    rows = omission_counts(omissions)
    return gap_lines(gaps) + listing("Left out of Git (each is named in coverage.yaml):", rows)


def omission_counts(omissions: Iterable[Omission]) -> list[str]:
    """How many objects each rule left out, one a line."""
    named = Counter((o.rule, o.reason) for o in omissions if o.ref.name != ANY)
    return [f"{number} by {rule}: {reason}" for (rule, reason), number in sorted(named.items())]


def gap_lines(gaps: Iterable[Gap]) -> list[str]:
    """List the gaps, one a line under a heading."""
    return listing("Gaps:", [f"{gap.ref}: {gap.reason}" for gap in gaps])


def held_lines(found: Iterable[Difference]) -> list[str]:
    """List what waits for a person to let it start."""
    lines = [f"{d.ref}: {', '.join(change.path for change in d.changes)}" for d in found]
    return listing("Held back so that nothing runs twice; change the field to let it start:", lines)


def outward_lines(outward: Outwards) -> list[str]:
    """List what acts outward and is held, and what becomes of it."""
    if not outward.held:
        return []
    if outward.is_released:
        title = "Acts outward; held, and released when everything else is there:"
    else:
        title = (
            f"Acts outward, and stays held, since {shown(outward.stays)}. Release it with "
            f"{outward.command}:"
        )
    lines = [f"{each.ref}{_by(each)}: {each.because}" for each in outward.held]
    return listing(title, lines, limit=10)


def released_lines(released: Iterable[Outcome]) -> list[str]:
    """Say what was released, and what of it did not come to a good end."""
    released = list(released)
    if not released:
        return []
    return [f"Released what acts outward: {outcome_counts(released)}", *outcomes(released)]


def _by(each: HeldBack) -> str:
    return f" ({each.field})" if each.field else " (not made yet)"


def differences(found: Iterable[Difference], *, limit: int = 200) -> list[str]:
    """Each difference with the paths of its fields."""
    found = list(found)
    lines: list[str] = []
    for difference in found[:limit]:
        tail = f"  ({difference.reason})" if difference.reason else ""
        lines.append(f"{difference.presence:<10} {shown(difference.ref)}{shown(tail)}")
        lines += [f"             {_change(c)}" for c in difference.changes[:FIELDS_SHOWN]]
        if len(difference.changes) > FIELDS_SHOWN:
            more = count(len(difference.changes) - FIELDS_SHOWN, "more field")
            lines.append(f"             and {more} (-o json has them all)")
    if len(found) > limit:
        lines.append(f"and {len(found) - limit} more (-o json has them all)")
    return lines


def difference_counts(found: Iterable[Difference]) -> str:
    """``2 missing, 1 modified``; empty for none."""
    counts = Counter(difference.presence for difference in found)
    return ", ".join(f"{counts[p]} {p}" for p in Presence if counts[p])


def _omitted_lines(omissions: Iterable[Omission]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for omission in omissions:
        by_reason.setdefault(omission.reason, []).append(str(omission.ref))
    lines: list[str] = []
    for reason, refs in by_reason.items():
        lines += listing(f"Left alone: {shown(reason)}", refs, limit=10)
    return lines


def plan(made: Plan) -> list[str]:
    """Show the plan by kind, what it leaves, its gaps and notes."""
    kinds: dict[tuple[str, str], Counter[Action]] = {}
    for step in made.steps:
        kinds.setdefault(step.ref.group_kind, Counter())[step.action] += 1
    lines = []
    if kinds:
        # Only a sync deletes anything, and only who is told so replaces.
        columns = {Action.CREATE: "CREATE", Action.CONFIGURE: "CONFIGURE", Action.SKIP: "LEAVE"}
        if any(step.action is Action.REPLACE for step in made.steps):
            columns[Action.REPLACE] = "REPLACE"
        if any(step.action is Action.DELETE for step in made.steps):
            columns[Action.DELETE] = "DELETE"
        rows = [
            (f"{kind}.{group}" if group else kind, *(counts[action] for action in columns))
            for (group, kind), counts in kinds.items()
        ]
        lines += table(("KIND", *columns.values()), rows).splitlines()
        lines.append("")
    accepted = [str(s.ref) for s in made.steps if s.empty_volume is EmptyVolume.ACCEPTED]
    changed = [
        f"{s.ref}: {s.reason}" if s.reason else str(s.ref)
        for s in made.steps
        if s.action is Action.CONFIGURE and not s.empty_volume
    ]
    replaced = [f"{s.ref}: {s.reason}" for s in made.steps if s.action is Action.REPLACE]
    left = [f"{s.ref}: {s.reason}" for s in made.steps if s.action is Action.SKIP]
    deleted = [str(s.ref) for s in made.steps if s.action is Action.DELETE]
    return [
        *lines,
        *listing("Overwritten with what Git has:", changed),
        *listing("Deleted and made again:", replaced),
        *listing("Accepted with the volume that they have, empty or not:", accepted),
        *listing("Left as they are:", left),
        *listing("Deleted, since they left Git:", deleted),
        *_omitted_lines(made.omissions),
        *gap_lines(made.gaps),
        *listing("Notes:", made.notes),
    ]


def outcomes(found: Iterable[Outcome]) -> list[str]:
    """List what did not come to a good end, what nobody knows of, and what is to be said else."""
    found = list(found)
    bad = [f"{o.result:<8} {o.ref}: {o.reason}" for o in found if o.result not in GOOD_ENDS]
    silent = [str(o.ref) for o in found if o.result is Result.UNOBSERVABLE]
    good = (Result.DONE, Result.PRESENT)
    notes = [f"{o.ref}: {o.reason}" for o in found if o.result in good and o.reason]
    return [
        *listing("Not done:", bad, limit=50),
        *listing("Not observable; they do not say whether they are ready:", silent),
        *listing("Notes:", notes),
    ]


def outcome_counts(found: Iterable[Outcome]) -> str:
    """``120 done, 2 present``."""
    counts = Counter(outcome.result for outcome in found)
    return ", ".join(f"{counts[result]} {result}" for result in Result if counts[result])


def timings(seconds: Mapping[str, float]) -> list[str]:
    """How long each phase took."""
    if not seconds:
        return []
    return table(
        ("PHASE", "SECONDS"), [(phase, f"{taken:.1f}") for phase, taken in seconds.items()]
    ).splitlines()


def _change(change: FieldChange) -> str:
    sign = {"add": "+", "remove": "-"}.get(change.op, "~")
    return f"{sign} {shown(change.path)}"
