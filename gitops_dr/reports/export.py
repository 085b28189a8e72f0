"""What an export has to say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gitops_dr.drift.threeway import Standing
from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents, tables
from gitops_dr.reports.text import count, listing, shown
from gitops_dr.results.export import Exported, Pushed

_WAY_OUT = "Apply Git's version, or make Git say what the cluster is, or export --cluster-wins."


def exit_code(result: Exported) -> ExitCode:
    """0, or 3 if something could not be read or is in conflict; if it was not pushed, 5 or 6."""
    if result.pushed and result.pushed.reason:
        return ExitCode.REFUSED if result.pushed.refused else ExitCode.REPOSITORY
    return ExitCode.PARTIAL if result.gaps or result.conflicts else ExitCode.DONE


def as_table(result: Exported, seconds: Mapping[str, float]) -> str:
    """For a person."""
    written, deleted = len(result.written), len(result.deleted)
    changes = f"{count(written, 'file')} written, {deleted} deleted"
    at = f"commit {(result.commit or '')[:12]}"
    if result.dry_run:
        deed = f"would write {count(written, 'file')} and delete {deleted}; nothing was committed"
    elif result.created:
        deed = f"{changes}, {at}"
    else:
        deed = f"unchanged since {at}"
    lines = [f"{result.cluster}: {count(result.objects, 'object')}; {deed}"]
    if result.dry_run:
        lines += listing("Would write:", result.written) + listing("Would delete:", result.deleted)
    if result.pushed:
        lines += _pushed(result.pushed)
    if result.snapshots:
        lines.append(_snapshots(result))
    torn = [f"{kind}: could not be listed at the moment of the others" for kind in result.torn]
    lines += listing("Torn:", torn)
    left = [
        f"{path}: edited while the export ran; your version stays in the folder"
        for path in result.left
    ]
    lines += listing("Left:", left)
    pending = [f"{each.ref}: {each.git} in Git" for each in result.pending]
    lines += listing("Pending (Git's version stays; the cluster does not have it yet):", pending)
    conflicts = [
        f"{each.ref}: {each.git} in Git, {each.cluster} in the cluster" for each in result.conflicts
    ]
    lines += listing("Conflicts (Git's version stays):", conflicts)
    if conflicts:
        lines.append(f"  {_WAY_OUT}")
    lines += tables.coverage(result.omissions, result.gaps)
    return "\n".join([*lines, *tables.timings(seconds)])


def as_json(result: Exported, seconds: Mapping[str, float]) -> str:
    """For a program."""
    return documents.dump(
        {
            "cluster": result.cluster,
            "source": {"uid": result.source.uid, "version": result.source.version},
            "commit": result.commit,
            "created": result.created,
            "dryRun": result.dry_run,
            "objects": result.objects,
            "written": list(result.written),
            "deleted": list(result.deleted),
            "left": list(result.left),
            "pending": _standing(result.pending),
            "conflicts": _standing(result.conflicts),
            "torn": list(result.torn),
            "snapshots": [documents.snapshot(record) for record in result.snapshots],
            "push": _push(result.pushed),
            "gaps": documents.gaps(result.gaps),
            "omissions": documents.omissions(result.omissions),
            "seconds": documents.rounded(seconds),
        }
    )


def _pushed(pushed: Pushed) -> list[str]:
    if pushed.reason:
        return [f"Not pushed: {shown(pushed.reason)}", f"  hint: {shown(pushed.hint)}"]
    onto = ", on top of what others had pushed" if pushed.replayed else ""
    lines = [f"pushed to {shown(pushed.place)}{onto}"]
    left = [f"{path}: others changed it; your version stays in the folder" for path in pushed.left]
    return lines + listing("Left:", left)


def _push(pushed: Pushed | None) -> dict[str, Any] | None:
    if pushed is None:
        return None
    return {
        "to": pushed.place,
        "done": not pushed.reason,
        "replayed": pushed.replayed,
        "left": list(pushed.left),
        "reason": pushed.reason,
        "hint": pushed.hint,
    }


def _snapshots(result: Exported) -> str:
    oldest = min(record.created for record in result.snapshots)
    name = result.snapshots[0].snapshot_set
    return f"{count(len(result.snapshots), 'volume')} captured, since {oldest} (set {name})"


def _standing(found: Iterable[Standing]) -> list[dict[str, Any]]:
    return [
        {"ref": documents.ref(each.ref), "git": each.git, "cluster": each.cluster} for each in found
    ]


FORMATS = {"table": as_table, "json": as_json}
