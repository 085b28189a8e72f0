"""What a plan has to say. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from gitops_dr.checks.findings import Severity, blockers, of_severity
from gitops_dr.errors import ExitCode
from gitops_dr.model import Action, EmptyVolume, Step
from gitops_dr.reports import checks, documents, points, standby, tables
from gitops_dr.reports.text import count, listing, shown
from gitops_dr.results.rebuild import Goal, Planned

_FEW = 10
"""Blockers and warnings that are told above a plan; --checks-only has them all."""


def exit_code(planned: Planned) -> ExitCode:
    """0 nothing to do, 1 something to do; 3 if something cannot come back."""
    if planned.gaps or planned.blocked or blockers(planned.checks):
        return ExitCode.PARTIAL
    if any(map(_would_fail, planned.plan.steps)):
        return ExitCode.PARTIAL
    is_idle = not (planned.plan.steps or planned.outward.is_released)
    return ExitCode.DONE if is_idle else ExitCode.DIFFERENCES


def announcement(goal: Goal) -> list[str]:
    """Name the target, which must be the right one, before anything else."""
    of = f" of {goal.committed.isoformat(sep=' ', timespec='seconds')}" if goal.committed else ""
    name = f"{goal.name}: " if goal.name else ""
    return [
        f"Target   {name}context {shown(goal.context or 'in-cluster')}, {shown(goal.server)}",
        f"         cluster UID {shown(goal.target.uid)}, Kubernetes {shown(goal.target.version)}",
        f"From     cluster {goal.cluster} at commit {goal.commit[:12]}{of}",
    ]


def data_lines(planned: Planned) -> list[str]:
    """Say from which snapshots claims are filled, and how much is lost with them (RPO)."""
    if not planned.restored:
        return []
    first, last = points.oldest(planned.restored), points.newest(planned.restored)
    number = count(len(planned.restored), "volume")
    lines = [f"Data     {number} from snapshots of {_span(first, last)}"]
    if planned.goal.asked is not None and first is not None:
        lines.append(
            f"RPO      {points.age(first, planned.goal.asked)}: what was written since is lost"
        )
    return lines


def _span(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return "an unknown time"
    begin = first.isoformat(sep=" ", timespec="seconds")
    return begin if first == last else f"{begin} to {last.isoformat(sep=' ', timespec='seconds')}"


def as_table(planned: Planned) -> str:
    """For a person."""
    actions = Counter(step.action for step in planned.plan.steps if not _accepts(step))
    replaced = f"{actions[Action.REPLACE]} to replace, " if actions[Action.REPLACE] else ""
    summary = (
        f"Plan     {count(actions[Action.CREATE], 'object')} to create, "
        f"{actions[Action.CONFIGURE]} to overwrite, {replaced}"
        f"{actions[Action.SKIP]} left as they are, "
        f"{planned.equal} there and equal"
    )
    parts = [
        *announcement(planned.goal),
        *data_lines(planned),
        summary,
        "",
        *check_lines(planned),
        *tables.plan(planned.plan),
        *tables.outward_lines(planned.outward),
        *(standby.plan_lines(planned.claims) if planned.claims else ()),
        *listing("Blocked:", [f"{gap.ref}: {gap.reason}" for gap in planned.blocked]),
    ]
    unreadable = [gap for gap in planned.gaps if gap not in planned.plan.gaps]
    return "\n".join([*parts, *tables.gap_lines(unreadable)]).rstrip()


def check_lines(planned: Planned) -> list[str]:
    """What stops it, and the first warnings; what the plan lists by itself is not said twice."""
    said = {f"{gap.ref}: {gap.reason}" for gap in planned.blocked}
    others = [one for one in planned.checks if one.id != "api-versions"]
    lines = [
        f"  {severity}: {shown(finding.about)}: {shown(finding.reason)}"
        for severity in Severity
        for finding in of_severity(others, severity)
        if f"{finding.about}: {finding.reason}" not in said
    ]
    if not lines:
        return []
    more = [f"  and {len(lines) - _FEW} more (plan --checks-only)"] if len(lines) > _FEW else []
    return ["Checks:", *lines[:_FEW], *more, ""]


def _would_fail(step: Step) -> bool:
    """Whether it is known beforehand that the API server refuses the step."""
    return step.action is Action.CONFIGURE and bool(step.reason)


def _accepts(step: Step) -> bool:
    """Whether the step only takes note of an empty volume; those are listed by themselves."""
    return step.empty_volume is EmptyVolume.ACCEPTED


def document(planned: Planned) -> dict[str, Any]:
    """Put the plan into JSON values."""
    return {
        **document_of_goal(planned.goal),
        "digest": planned.digest,
        "equal": planned.equal,
        **documents.plan(planned.plan),
        "gaps": documents.gaps(planned.gaps),
        "blocked": documents.gaps(planned.blocked),
        "restored": [documents.snapshot(record) for record in planned.restored],
        "rpoSeconds": points.rpo_seconds(planned.restored, planned.goal),
        "outward": documents.outward(planned.outward),
        "checks": [checks.document(one) for one in planned.checks],
    }


def document_of_goal(goal: Goal) -> dict[str, Any]:
    """Put into JSON values from where to where."""
    return {
        "cluster": goal.cluster,
        "commit": goal.commit,
        "committed": goal.committed.isoformat() if goal.committed else None,
        "target": {
            "name": goal.name,
            "context": goal.context,
            "server": goal.server,
            "uid": goal.target.uid,
            "version": goal.target.version,
        },
    }


def as_json(planned: Planned) -> str:
    """For a program."""
    return documents.dump(document(planned))


FORMATS = {"table": as_table, "json": as_json}
