"""What a rebuild has to say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents, endpoints, plan, tables
from gitops_dr.reports.text import count
from gitops_dr.results.rebuild import Rebuilt


def exit_code(result: Rebuilt) -> ExitCode:
    """0 if everything came back, else 3."""
    return ExitCode.DONE if result.complete else ExitCode.PARTIAL


def as_table(result: Rebuilt, seconds: Mapping[str, float], *, data: bool = True) -> str:
    """For a person; without ``data`` nothing is said of the snapshots and the RPO."""
    goal = result.planned.goal
    tally = tables.outcome_counts(result.outcomes) or "nothing to do"
    left = tables.difference_counts(result.differences) or "no difference"
    lines = [
        f"{goal.cluster}: {tally}; afterwards {left}, {count(result.equal, 'object')} equal",
        *(plan.data_lines(result.planned) if data else ()),
        *tables.outcomes(result.outcomes),
        *tables.differences(result.differences),
        *tables.held_lines(result.held),
        *tables.released_lines(result.released),
        *tables.outward_lines(result.outward),
        *tables.gap_lines(result.gaps),
        *endpoints.lines(result.outside),
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
        "released": documents.outcomes(result.released),
        "outward": documents.outward(result.outward),
        "equal": result.equal,
        "gaps": documents.gaps(result.gaps),
        "outside": endpoints.document(result.outside),
    }


FORMATS = {"table": as_table, "json": as_json}
