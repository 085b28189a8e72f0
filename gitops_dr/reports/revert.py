"""What a revert has to say, before and after. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gitops_dr.drift.undo import flipped
from gitops_dr.errors import ExitCode
from gitops_dr.model import Difference, FieldChange, Gap, Presence, Result
from gitops_dr.reports import documents, plan, tables
from gitops_dr.reports.drift.lines import contrast
from gitops_dr.reports.drift.words import SIGNS
from gitops_dr.reports.text import count, listing, shorten, shown
from gitops_dr.reports.values import mask_differences
from gitops_dr.results.drift import Reverted, Reverting

_OBJECTS = 200
_VALUE = 60
_NAME = 160
_REASON = 160
_FIELD = " " * 13

_DEEDS = {Presence.MISSING: "create", Presence.MODIFIED: "configure"}


def exit_code(result: Reverting | Reverted) -> ExitCode:
    """0 if nothing differs (any more); 1 if a revert would do something; 3 if it cannot do all."""
    if isinstance(result, Reverted):
        return ExitCode.DONE if result.complete else ExitCode.PARTIAL
    if result.planned.gaps:
        return ExitCode.PARTIAL
    return ExitCode.DIFFERENCES if result.steps else ExitCode.DONE


def as_plan(result: Reverting) -> str:
    """For a person, before anything is written: each field, from the cluster's value to Git's."""
    deeds = Counter(difference.presence for difference in result.steps)
    summary = (
        f"Revert   {count(deeds[Presence.MODIFIED], 'object')} to change, "
        f"{deeds[Presence.MISSING]} to create"
    )
    lines = [*plan.announcement(result.planned.goal), summary]
    for difference in mask_differences(result.steps[:_OBJECTS]):
        lines.append(f"{_DEEDS[difference.presence]:<10} {shorten(shown(difference.ref), _NAME)}")
        lines += _fields(difference.changes)
    if len(result.steps) > _OBJECTS:
        lines.append(f"and {len(result.steps) - _OBJECTS} more (-o json has them all)")
    return "\n".join([*lines, *_left(result)])


def _fields(changes: Iterable[FieldChange]) -> list[str]:
    turned = list(map(flipped, changes))
    lines = [
        f"{_FIELD}{SIGNS[change.op]} {shorten(shown(change.path), _NAME)}: "
        f"{contrast(change, _VALUE)}"
        for change in turned[: tables.FIELDS_SHOWN]
    ]
    if len(turned) > tables.FIELDS_SHOWN:
        more = count(len(turned) - tables.FIELDS_SHOWN, "more field")
        lines.append(f"{_FIELD}and {more} (-o json has them all)")
    return lines


def _left(result: Reverting) -> list[str]:
    only_live = [str(ref) for ref in result.unmanaged]
    omitted = [f"{each.ref}: {each.reason}" for each in result.planned.plan.omissions]
    return [
        *listing("Cannot be reverted:", _reasons(result.planned.gaps)),
        *listing("Only in the cluster, and left there (a revert deletes nothing):", only_live),
        *listing("Left alone:", omitted),
        *listing("Notes:", result.planned.plan.notes),
    ]


def _reasons(gaps: Iterable[Gap]) -> list[str]:
    return [f"{gap.ref}: {_brief(gap.reason)}" for gap in gaps]


def _brief(reason: str) -> str:
    """Cut out the middle: an API server lists the whole value before it says what is wrong."""
    if len(reason) <= 2 * _REASON:
        return reason
    return f"{reason[:_REASON]} … {reason[-_REASON:]}"


def as_table(result: Reverting | Reverted, seconds: Mapping[str, float]) -> str:
    """For a person: what would be done, or what came of it."""
    if isinstance(result, Reverting):
        return "\n".join([as_plan(result), *tables.timings(seconds)])
    tally = tables.outcome_counts(result.outcomes) or "nothing to do"
    left = tables.difference_counts(result.left) or "no difference"
    lines = [
        f"{shown(result.reverting.planned.goal.cluster)}: {tally}; afterwards {left} of it",
        *_not_ready(result),
        *tables.outcomes(o for o in result.outcomes if o.result is not Result.UNREADY),
        *tables.differences(result.left),
        *_left(result.reverting),
        *tables.timings(seconds),
    ]
    return "\n".join(lines)


def _not_ready(result: Reverted) -> list[str]:
    late = [f"{o.ref}: {o.reason}" for o in result.outcomes if o.result is Result.UNREADY]
    return listing("Written, and not ready yet:", late)


def _document(result: Reverting) -> dict[str, Any]:
    return {
        "plan": plan.document(result.planned),
        "differences": documents.differences(_sorted(result.differences)),
        "unmanaged": [documents.ref(ref) for ref in result.unmanaged],
    }


def _sorted(found: Iterable[Difference]) -> list[Difference]:
    return sorted(found, key=lambda difference: difference.ref)


def as_json(result: Reverting | Reverted, seconds: Mapping[str, float]) -> str:
    """For a program; fields are told by their paths, without values."""
    if isinstance(result, Reverting):
        return documents.dump(
            {**_document(result), "dryRun": True, "seconds": documents.rounded(seconds)}
        )
    return documents.dump(
        {
            **_document(result.reverting),
            "dryRun": False,
            "complete": result.complete,
            "outcomes": documents.outcomes(result.outcomes),
            "left": documents.differences(result.left),
            "seconds": documents.rounded(seconds),
        }
    )


FORMATS = {"table": as_table, "json": as_json}
