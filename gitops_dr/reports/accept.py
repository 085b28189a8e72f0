"""What was accepted into Git, or would be. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents, tables
from gitops_dr.reports.text import count, listing
from gitops_dr.results.drift import Accepted


def exit_code(result: Accepted) -> ExitCode:
    """0, or 3 if something that differs could not be accepted."""
    return ExitCode.PARTIAL if result.refused else ExitCode.DONE


def as_table(result: Accepted, seconds: Mapping[str, float]) -> str:
    """For a person."""
    lines = [f"{result.cluster}: {_deed(result)}", *tables.differences(result.differences)]
    would = "Would write" if result.dry_run else "Wrote"
    gone = "Would delete" if result.dry_run else "Deleted"
    lines += listing(f"{would}:", result.written) + listing(f"{gone}:", result.deleted)
    lines += listing("Notes:", result.notes)
    lines += listing("Not accepted:", [f"{gap.ref}: {gap.reason}" for gap in result.refused])
    left = [f"{path}: edited meanwhile; your version stays in the folder" for path in result.left]
    lines += listing("Left:", left)
    return "\n".join([*lines, *tables.timings(seconds)])


def _deed(result: Accepted) -> str:
    objects = count(len(result.differences), "object")
    if not result.differences:
        return "nothing to accept"
    if result.dry_run:
        return f"would accept {objects}; nothing was written"
    if result.commit:
        return f"{objects} accepted, commit {result.commit[:12]}"
    return f"{objects} accepted into the files; look at them (git diff) and commit them"


def announcement(result: Accepted) -> str:
    """For a person who is asked."""
    lines = [
        f"{result.cluster}: the cluster's version of all that differs would go into Git",
        *tables.differences(result.differences),
        *listing("Not accepted:", [f"{gap.ref}: {gap.reason}" for gap in result.refused]),
    ]
    return "\n".join(lines)


def as_json(result: Accepted, seconds: Mapping[str, float]) -> str:
    """For a program."""
    return documents.dump(
        {
            "cluster": result.cluster,
            "source": {"uid": result.source.uid, "version": result.source.version},
            "commit": result.commit,
            "dryRun": result.dry_run,
            "accepted": documents.differences(result.differences),
            "written": list(result.written),
            "deleted": list(result.deleted),
            "notes": list(result.notes),
            "refused": documents.gaps(result.refused),
            "left": list(result.left),
            "seconds": documents.rounded(seconds),
        }
    )


FORMATS = {"table": as_table, "json": as_json}
