"""What a plan has to say. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gitops_dr.errors import ExitCode
from gitops_dr.model import Action
from gitops_dr.reports import documents, tables
from gitops_dr.reports.text import count, shown
from gitops_dr.results import Goal, Planned


def exit_code(planned: Planned) -> ExitCode:
    """0 nothing to do, 1 something to do; 3 if something cannot come back."""
    if planned.gaps:
        return ExitCode.PARTIAL
    return ExitCode.DIFFERENCES if planned.plan.steps else ExitCode.DONE


def announcement(goal: Goal) -> list[str]:
    """Name the target, which must be the right one, before anything else."""
    return [
        f"Target   context {shown(goal.context or 'in-cluster')}, {shown(goal.server)}",
        f"         cluster UID {shown(goal.target.uid)}, Kubernetes {shown(goal.target.version)}",
        f"From     cluster {goal.cluster} at commit {goal.commit[:12]}",
    ]


def as_table(planned: Planned) -> str:
    """For a person."""
    actions = Counter(step.action for step in planned.plan.steps)
    summary = (
        f"Plan     {count(actions[Action.CREATE], 'object')} to create, "
        f"{actions[Action.CONFIGURE]} to overwrite, {actions[Action.SKIP]} left as they are, "
        f"{planned.equal} there and equal"
    )
    parts = [*announcement(planned.goal), summary, "", *tables.plan(planned.plan)]
    unreadable = [gap for gap in planned.gaps if gap not in planned.plan.gaps]
    return "\n".join([*parts, *tables.gap_lines(unreadable)]).rstrip()


def document(planned: Planned) -> dict[str, Any]:
    """Put the plan into JSON values."""
    goal = planned.goal
    return {
        "cluster": goal.cluster,
        "commit": goal.commit,
        "target": {
            "context": goal.context,
            "server": goal.server,
            "uid": goal.target.uid,
            "version": goal.target.version,
        },
        "digest": planned.digest,
        "equal": planned.equal,
        **documents.plan(planned.plan),
        "gaps": documents.gaps(planned.gaps),
    }


def as_json(planned: Planned) -> str:
    """For a program."""
    return documents.dump(document(planned))


FORMATS = {"table": as_table, "json": as_json}
