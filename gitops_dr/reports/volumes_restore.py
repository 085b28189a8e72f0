"""What ``volumes restore`` has to say, before and after. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitops_dr.errors import ExitCode
from gitops_dr.model import Ref
from gitops_dr.reports import documents, plan, points, tables
from gitops_dr.reports.text import count, listing, shown, table
from gitops_dr.results.volumes import ClaimRestore, RestorePlan, VolumesRestored


def exit_code(result: VolumesRestored) -> ExitCode:
    """0, or 3 if it failed or something is not as it should be."""
    return ExitCode.DONE if result.complete else ExitCode.PARTIAL


def as_plan(found: RestorePlan) -> str:
    """For a person, before anything is written."""
    lines = plan.announcement(found.goal)
    number = count(len(found.claims), "claim")
    if found.in_place:
        lines.append(f"Restore  {number} in place: another volume under the same name")
    else:
        lines.append(f"Restore  {number} as copies; nothing that is there is touched")
    first = points.oldest([one.record for one in found.claims])
    if first is not None and found.goal.asked is not None:
        age = points.age(first, found.goal.asked)
        lost = ": what was written since is lost" if found.in_place else ""
        lines.append(f"RPO      {age}{lost}")
    lines += ["", *_claims(found.claims, in_place=found.in_place)]
    stopped = [f"{one.ref} (then {one.replicas} again)" for one in found.workloads]
    lines += listing("Stopped meanwhile:", stopped)
    return "\n".join([*lines, *listing("Notes:", found.notes)])


def _claims(claims: tuple[ClaimRestore, ...], *, in_place: bool) -> list[str]:
    if not claims:
        return []
    last = "OLD VOLUME, KEPT" if in_place else "FROM"
    rows = [
        (
            f"{shown(one.claim.namespace)}/{shown(one.claim.name)}",
            shown(one.record.created),
            shown(one.record.driver),
            shown(one.old_volume if in_place else _name(one.record.ref)),
        )
        for one in claims
    ]
    return table(("CLAIM", "DATA OF", "DRIVER", last), rows).splitlines()


def _name(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}"


def as_table(result: VolumesRestored, seconds: Mapping[str, float]) -> str:
    """For a person: what would be done, or what came of it."""
    if result.dry_run:
        return as_plan(result.plan)
    return "\n".join([*_outcome(result), *tables.timings(seconds)])


def _outcome(result: VolumesRestored) -> list[str]:
    if result.reason:
        back = "" if result.problems or not result.plan.in_place else "; all is as it was before"
        lines = [f"not restored: {shown(result.reason)}{back}"]
        lines += [f"  hint: {shown(result.hint)}"] if result.hint else []
    else:
        lines = [f"{count(len(result.claims), 'claim')} restored"]
    lines += listing("Restored:", [_done(one) for one in result.claims if not result.reason])
    if result.reason and not result.plan.in_place:
        lines += listing("Restored before that:", [_done(one) for one in result.claims])
    kept = [one.old_volume for one in result.claims if one.old_volume and not result.reason]
    lines += listing("Old volumes, kept; delete them once nobody wants them back:", kept)
    return [*lines, *listing("To look at:", result.problems)]


def _done(one: ClaimRestore) -> str:
    volume = f"volume {one.volume}" if one.volume else "filled once a pod uses it"
    return f"{_name(one.claim)}, data of {one.record.created}: {volume}"


def as_json(result: VolumesRestored, seconds: Mapping[str, float]) -> str:
    """For a program."""
    goal = result.plan.goal
    return documents.dump(
        {
            "cluster": goal.cluster,
            "commit": goal.commit,
            "target": {
                "context": goal.context,
                "server": goal.server,
                "uid": goal.target.uid,
                "version": goal.target.version,
            },
            "inPlace": result.plan.in_place,
            "dryRun": result.dry_run,
            "complete": result.complete,
            "rpoSeconds": points.rpo_seconds([one.record for one in result.plan.claims], goal),
            "claims": [_document(one) for one in result.claims],
            "workloads": [
                {"ref": documents.ref(one.ref), "replicas": one.replicas}
                for one in result.plan.workloads
            ],
            "reason": result.reason,
            "hint": result.hint,
            "problems": list(result.problems),
            "notes": list(result.plan.notes),
            "seconds": documents.rounded(seconds),
        }
    )


def _document(one: ClaimRestore) -> dict[str, Any]:
    return {
        "claim": documents.ref(one.claim),
        "snapshot": documents.snapshot(one.record),
        "oldVolume": one.old_volume,
        "volume": one.volume,
    }


FORMATS = {"table": as_table, "json": as_json}
