"""What a comparison has to say. Pure."""

from __future__ import annotations

from gitops_dr.errors import ExitCode
from gitops_dr.model import Presence
from gitops_dr.reports import documents, tables
from gitops_dr.reports.text import count
from gitops_dr.results import Drifted


def exit_code(result: Drifted) -> ExitCode:
    """0 equal, 1 different; 3 if something could not be read, which outranks a difference."""
    if result.gaps or any(d.presence is Presence.UNKNOWN for d in result.differences):
        return ExitCode.PARTIAL
    return ExitCode.DIFFERENCES if result.differences else ExitCode.DONE


def as_table(result: Drifted) -> str:
    """For a person."""
    found = tables.difference_counts(result.differences) or "no difference"
    at = f"compared with commit {result.commit[:12]}"
    lines = [f"{result.cluster}: {found}, {count(result.equal, 'object')} equal; {at}"]
    lines += tables.differences(result.differences)
    return "\n".join([*lines, *tables.gap_lines(result.gaps)])


def as_json(result: Drifted) -> str:
    """For a program."""
    return documents.dump(
        {
            "cluster": result.cluster,
            "commit": result.commit,
            "live": {"uid": result.live.uid, "version": result.live.version},
            "clean": not result.differences and not result.gaps,
            "equal": result.equal,
            "differences": documents.differences(result.differences),
            "gaps": documents.gaps(result.gaps),
        }
    )


FORMATS = {"table": as_table, "json": as_json}
