"""What a sync has to say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents, rebuild, standby, tables
from gitops_dr.reports.text import count, listing
from gitops_dr.results.rebuild import Synced


def exit_code(result: Synced) -> ExitCode:
    """0 if the cluster is what the commit says, else 3."""
    return ExitCode.DONE if result.complete else ExitCode.PARTIAL


def as_table(result: Synced, seconds: Mapping[str, float]) -> str:
    """For a person."""
    goal = result.rebuilt.planned.goal
    since = f" since commit {result.before[:12]}" if result.before else ""
    lines = [
        *([f"{count(len(result.pruned), 'object')} left Git{since}"] if result.pruned else []),
        *tables.outcomes(result.pruned),
        *listing(
            "Left Git, and stay in the cluster:", [f"{ref}: {why}" for ref, why in result.kept]
        ),
        *(standby.brought_lines(result.claims, goal) if result.claims else ()),
    ]
    rebuilt = result.rebuilt
    if not (rebuilt.outcomes or rebuilt.released):
        # A pipeline syncs every commit; what is as it was at its last run was told then.
        rebuilt = replace(rebuilt, outside=None)
    return "\n".join([rebuild.as_table(rebuilt, {}), *lines, *tables.timings(seconds)])


def as_json(result: Synced, seconds: Mapping[str, float]) -> str:
    """For a program."""
    document = rebuild.document(result.rebuilt)
    return documents.dump(
        {
            **document,
            "complete": result.complete,
            "before": result.before or None,
            "pruned": documents.outcomes(result.pruned),
            "claims": standby.document(result.claims, result.rebuilt.planned.goal),
            "kept": [{"ref": documents.ref(ref), "reason": reason} for ref, reason in result.kept],
            "seconds": documents.rounded(seconds),
        }
    )


FORMATS = {"table": as_table, "json": as_json}
