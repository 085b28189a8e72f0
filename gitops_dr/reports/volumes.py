"""How the data of claims is protected, and what retention does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents
from gitops_dr.reports.points import age, seconds_since
from gitops_dr.reports.text import count, listing, shown, table
from gitops_dr.results.volumes import Pruned, VolumeStanding
from gitops_dr.volumes.records import SnapshotRecord


def list_as_table(found: Sequence[VolumeStanding], now: datetime) -> str:
    """One line a claim, for a person; ages are counted to ``now``."""
    if not found:
        return "the cluster has no claims"
    rows = [
        (
            f"{shown(one.claim.namespace)}/{shown(one.claim.name)}",
            shown(one.driver) or "none",
            shown(one.size),
            age(one.record.moment, now) if one.record else "none",
            shown(one.reason) or "protected",
            shown(one.workload),
        )
        for one in found
    ]
    return table(("CLAIM", "DRIVER", "SIZE", "DATA AGE", "PROTECTED", "WORKLOAD"), rows)


def list_as_json(found: Sequence[VolumeStanding], now: datetime) -> str:
    """For a program."""
    return documents.dump(
        {
            "volumes": [
                {
                    "claim": documents.ref(one.claim),
                    "driver": one.driver,
                    "size": one.size,
                    "workload": one.workload,
                    "protected": not one.reason,
                    "reason": one.reason,
                    "dataAgeSeconds": seconds_since(one.record.moment, now) if one.record else None,
                    "snapshot": documents.snapshot(one.record) if one.record else None,
                }
                for one in found
            ]
        }
    )


def list_exit_code(found: Sequence[VolumeStanding]) -> ExitCode:
    """0, or 3 if a claim is not protected."""
    return ExitCode.PARTIAL if any(one.reason for one in found) else ExitCode.DONE


def pruned_as_table(result: Pruned) -> str:
    """For a person."""
    going, kept = len(result.going), len(result.kept)
    deed = "would let go" if result.dry_run else "let go"
    lines = [f"{result.cluster}: {deed} {count(going, 'snapshot')}, {kept} kept"]
    if result.commit:
        lines[0] += f", commit {result.commit[:12]}"
    lines += listing("Gone:" if not result.dry_run else "Would go:", _named(result.going))
    lines += listing("Left over from earlier runs:", [str(ref) for ref in result.left_over])
    title = "Not kept, but not in this cluster, which therefore cannot delete them:"
    lines += listing(title, _named(result.elsewhere))
    lines += listing(
        "Kept:", [f"{_name(v.record)} ({v.kept})" for v in result.kept] if result.dry_run else []
    )
    return "\n".join([*lines, *listing("Gaps:", [f"{g.ref}: {g.reason}" for g in result.gaps])])


def pruned_as_json(result: Pruned) -> str:
    """For a program."""

    def document(record: SnapshotRecord) -> dict[str, Any]:
        return documents.snapshot(record)

    return documents.dump(
        {
            "cluster": result.cluster,
            "dryRun": result.dry_run,
            "commit": result.commit,
            "gone": [document(record) for record in result.going],
            "kept": [{**document(v.record), "because": v.kept} for v in result.kept],
            "elsewhere": [document(record) for record in result.elsewhere],
            "leftOver": [documents.ref(ref) for ref in result.left_over],
            "gaps": documents.gaps(result.gaps),
        }
    )


def pruned_exit_code(result: Pruned) -> ExitCode:
    """0, or 3 if something could not be deleted."""
    return ExitCode.PARTIAL if result.gaps else ExitCode.DONE


def _named(records: Sequence[SnapshotRecord]) -> list[str]:
    return [_name(record) for record in records]


def _name(record: SnapshotRecord) -> str:
    return f"{record.namespace}/{record.claim} of {record.created} (set {record.snapshot_set})"


LIST_FORMATS = {"table": list_as_table, "json": list_as_json}
PRUNE_FORMATS = {"table": pruned_as_table, "json": pruned_as_json}
