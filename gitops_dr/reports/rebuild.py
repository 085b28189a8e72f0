"""What a rebuild has to say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents, plan, tables
from gitops_dr.reports.text import count
from gitops_dr.results import Rebuilt


def exit_code(result: Rebuilt) -> ExitCode:
    """0 if everything came back, else 3."""
    return ExitCode.DONE if result.complete else ExitCode.PARTIAL


def as_table(result: Rebuilt, seconds: Mapping[str, float]) -> str:
    """For a person."""
    goal = result.planned.goal
    tally = tables.outcome_counts(result.outcomes) or "nothing to do"
    left = tables.difference_counts(result.differences) or "no difference"
    lines = [
        f"{goal.cluster}: {tally}; afterwards {left}, {count(result.equal, 'object')} equal",
        *plan.data_lines(result.planned),
        *tables.outcomes(result.outcomes),
        *tables.differences(result.differences),
        *tables.held_lines(result.held),
        *tables.gap_lines(result.gaps),
        *tables.timings(seconds),
    ]
    return "\n".join(lines)


def as_json(result: Rebuilt, seconds: Mapping[str, float]) -> str:
    """For a program."""
    return documents.dump({**document(result), "seconds": documents.rounded(seconds)})


def document(result: Rebuilt) -> dict[str, Any]:
    """Put it into JSON values."""
    return {
        "plan": plan.document(result.planned),
        "complete": result.complete,
        "outcomes": documents.outcomes(result.outcomes),
        "differences": documents.differences(result.differences),
        "held": documents.differences(result.held),
        "equal": result.equal,
        "gaps": documents.gaps(result.gaps),
    }


FORMATS = {"table": as_table, "json": as_json}
