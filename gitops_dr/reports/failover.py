"""What a failover would do, did, and cost. Pure.

``docs/json.md`` explains the document; its JSON Schema is ``reports/schemas/failover.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents, plan, points, rebuild
from gitops_dr.reports.text import count, listing, shown
from gitops_dr.results.failover import AlreadyActive, FailedOver, FailoverPlan, GivenBack


def exit_code(result: FailedOver) -> ExitCode:
    """0 if everything came back, else 3."""
    return ExitCode.DONE if result.complete else ExitCode.PARTIAL


def plan_as_table(planned: FailoverPlan) -> str:
    """What a person is asked to confirm."""
    first = "goes on with the one begun at " if planned.continued else "begins now, at "
    begun = planned.begun.isoformat(sep=" ", timespec="seconds") if planned.begun else "?"
    return "\n".join(
        [
            f"Failover {first}{begun}",
            *_source_lines(planned),
            plan.as_table(planned.planned),
            *listing(
                "Replaced by the recovery point's data; the old volumes are kept:",
                [f"{gap.ref}: {gap.reason}" for gap in planned.stale],
            ),
        ]
    )


def announcement(planned: FailoverPlan) -> list[str]:
    """Name source and target, which must be the right ones, before anything else."""
    checks = plan.check_lines(planned.planned)
    return [*_source_lines(planned), *plan.announcement(planned.planned.goal), *checks]


def _source_lines(planned: FailoverPlan) -> list[str]:
    where = f"cluster {planned.source}" + (
        f", context {shown(planned.source_context)}" if planned.source_context else ""
    )
    if planned.silence:
        return [f"Source   {where}: nobody knows whether it runs: {shown(planned.silence)}"]
    lines = [f"Source   {where}: answers"]
    if planned.stops:
        lines.append(f"         stopped there first: {count(len(planned.stops), 'object')}")
    elif planned.writers:
        number = count(len(planned.writers), "object")
        lines.append(f"         may still write or act there: {number}; you say that it is fenced")
    if planned.last_point:
        lines.append("         a last recovery point of it is made before, with its volumes")
    return lines


def as_table(result: FailedOver, seconds: Mapping[str, float]) -> str:
    """For a person."""
    goal, planned = result.plan.planned.goal, result.plan
    end = "is complete" if result.complete else "is not complete"
    lines = [
        f"Failover of {planned.source} to {goal.name} {end}",
        *_done_lines(result),
        *_rpo_lines(result),
        *_rto_lines(result),
        rebuild.as_table(result.rebuilt, seconds, data=False),
        *listing("Next:", _next(result)),
    ]
    return "\n".join(lines)


def _done_lines(result: FailedOver) -> list[str]:
    planned = result.plan
    lines = []
    if planned.silence:
        lines.append(f"Source   could not be asked: {shown(planned.silence)}")
    elif result.stopped:
        lines.append("Source   was stopped: its workloads are at zero, until it is gone back to")
    else:
        lines.append("Source   answered, and was left as it is")
    made = ", made by this failover" if result.made_point else ""
    lines.append(f"Point    {result.point[:12]}{made}")
    away = f"; no longer active: {', '.join(result.left)}" if result.left else ""
    lines.append(f"Commit   {result.commit[:12]} says that {planned.planned.goal.name} is active")
    lines[-1] += away
    if result.pushed is not None:
        why = f"not pushed: {shown(result.pushed.reason)}" if result.pushed.reason else "pushed"
        lines.append(f"         {why}")
    replaced = [
        f"{one.claim}: volume {one.old_volume} is kept, {one.volume or 'none yet'} is new"
        for one in result.replaced
    ]
    return [*lines, *listing("Claims replaced:", replaced)]


def _rpo_lines(result: FailedOver) -> list[str]:
    until = _until(result)
    if until is None:
        return []
    worst = points.oldest(result.records)
    claim = next((r for r in result.records if r.moment is not None and r.moment == worst), None)
    lines = []
    if claim is not None:
        of = f"{claim.ref}, of {claim.created}"
        lines.append(f"RPO      data {_lost(worst, until)} ({of})")
    lines.append(f"         configuration {_lost(result.exported, until)}")
    return lines


def _until(result: FailedOver) -> datetime | None:
    """To when it is counted what was lost: when the source was stopped, else the beginning."""
    begun = result.plan.begun
    return min(result.stopped, begun) if result.stopped and begun else begun


def _lost(when: datetime | None, until: datetime) -> str:
    if when is not None and when >= until:
        return "0s: nothing was lost"
    return points.age(when, until)


def _rto_lines(result: FailedOver) -> list[str]:
    seconds = _rto(result)
    return [] if seconds is None else [f"RTO      {seconds:.1f} s since the failover began"]


def _rto(result: FailedOver) -> float | None:
    begun, ended = result.plan.begun, result.ended
    return (ended - begun).total_seconds() if begun and ended else None


def _next(result: FailedOver) -> list[str]:
    goal = result.plan.planned.goal
    found = []
    if not result.complete:
        found.append("run the same command again: it goes on from here")
    if result.pushed is None or result.pushed.reason:
        found.append("git push: pipelines that do not know the commit are refused until then")
    context = f" --context {shown(goal.context)}" if goal.context else ""
    source = result.plan.source
    return [
        *found,
        (
            f"protect what runs now: gitops-dr export --cluster {goal.name}{context} --volumes "
            f"(gitops-dr.yaml must name {goal.name} among its clusters)"
        ),
        (
            f"go back: gitops-dr failover --target {source} (targets/{source}/target.yaml says "
            f"cluster: {goal.name}); see docs/failover.md"
        ),
    ]


def as_json(result: FailedOver, seconds: Mapping[str, float]) -> str:
    """For a program."""
    planned, begun, until = result.plan, result.plan.begun, _until(result)
    replaced = [
        {
            "claim": documents.ref(one.claim),
            "oldVolume": one.old_volume,
            "volume": one.volume,
            "created": one.record.created,
        }
        for one in result.replaced
    ]
    rto = _rto(result)
    return documents.dump(
        {
            **rebuild.document(result.rebuilt),
            "complete": result.complete,
            "source": {
                "cluster": planned.source,
                "context": planned.source_context,
                "answers": not planned.silence,
                "silence": planned.silence or None,
                "stopped": result.stopped.isoformat() if result.stopped else None,
            },
            "point": {
                "commit": result.point,
                "made": result.made_point,
                "exported": result.exported.isoformat() if result.exported else None,
            },
            "active": {
                "target": planned.planned.goal.name,
                "commit": result.commit,
                "noLonger": list(result.left),
                "pushed": result.pushed is not None and not result.pushed.reason,
            },
            "continued": planned.continued,
            "replaced": replaced,
            "rpo": {
                "dataSeconds": _seconds(points.oldest(result.records), until),
                "configurationSeconds": _seconds(result.exported, until),
                "claims": [
                    {
                        "claim": documents.ref(record.ref),
                        "created": record.created,
                        "seconds": _seconds(record.moment, until),
                    }
                    for record in result.records
                ],
            },
            "rto": {
                "begun": begun.isoformat() if begun else None,
                "ended": result.ended.isoformat() if result.ended else None,
                "seconds": None if rto is None else round(rto, 3),
            },
            "next": _next(result),
            "seconds": documents.rounded(seconds),
        }
    )


def _seconds(when: datetime | None, until: datetime | None) -> int | None:
    return None if until is None else points.seconds_since(when, until)


FORMATS = {"table": as_table, "json": as_json}


def already_as_table(result: AlreadyActive, _seconds: Mapping[str, float]) -> str:
    """For a person."""
    return "\n".join(
        [
            (
                f"{result.target} is active already: {result.source} was failed over to it at "
                f"{shown(result.since)}, nothing was done"
            ),
            f"Point    {result.point[:12]}",
            f"Commit   {result.commit[:12]} says that {result.target} is active",
            f"A later commit: gitops-dr sync --target {result.target}",
        ]
    )


def already_as_json(result: AlreadyActive, seconds: Mapping[str, float]) -> str:
    """For a program."""
    return documents.dump(
        {
            "complete": True,
            "alreadyActive": {
                "source": result.source,
                "target": result.target,
                "commit": result.commit,
                "point": result.point,
                "since": result.since,
            },
            "seconds": documents.rounded(seconds),
        }
    )


ALREADY_FORMATS = {"table": already_as_table, "json": already_as_json}


def given_back_exit_code(result: GivenBack) -> ExitCode:
    """0 if all runs again, else 3."""
    return ExitCode.PARTIAL if result.problems else ExitCode.DONE


def given_back_as_table(result: GivenBack, _seconds: Mapping[str, float]) -> str:
    """For a person."""
    number = count(len(result.objects), "object")
    lines = [f"{result.cluster}: {number} are as they were before they were stopped"]
    return "\n".join([*lines, *listing("Not given back:", list(result.problems))])


def given_back_as_json(result: GivenBack, seconds: Mapping[str, float]) -> str:
    """For a program."""
    return documents.dump(
        {
            "cluster": result.cluster,
            "context": result.context,
            "objects": [documents.ref(ref) for ref in result.objects],
            "problems": list(result.problems),
            "seconds": documents.rounded(seconds),
        }
    )


GIVEN_BACK_FORMATS = {"table": given_back_as_table, "json": given_back_as_json}
