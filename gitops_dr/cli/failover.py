"""``gitops-dr failover``: flags to the workflow, its result to a report. Asks before it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_dr.cli.progress import Progress
    from gitops_dr.results.failover import FailoverPlan


def failover(
    *,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="NAME",
            help="The target of targets/NAME/target.yaml, as HEAD has it.",
        ),
    ],
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    source_context: Annotated[
        str | None,
        typer.Option(
            "--source-context",
            metavar="NAME",
            help="The kubeconfig context to reach the source by. Default: that of gitops-dr.yaml.",
        ),
    ] = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    accept_rewritten_history: options.AcceptRewrittenHistory = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="COMMIT|TAG|TIME",
            help="The recovery point, such as a1b2c3d, v7 or 2026-11-22T10:00Z. Default: a last "
            "one of the source if it answers, else HEAD.",
        ),
    ] = None,
    fence: Annotated[
        bool,
        typer.Option(
            "--fence",
            help="Stop the source first: its workloads to zero, CronJobs and what acts outward "
            "suspended. How it was is noted there.",
        ),
    ] = False,
    fenced: Annotated[
        bool,
        typer.Option(
            "--fenced",
            help="The source writes nothing any more: it is dead, or cut off from its storage and "
            "its clients.",
        ),
    ] = False,
    unfence: Annotated[
        bool,
        typer.Option(
            "--unfence",
            help="Only let the source run again as before --fence, while the target is not active.",
        ),
    ] = False,
    no_last_point: Annotated[
        bool,
        typer.Option(
            "--no-last-point", help="Make no last recovery point of the source though it answers."
        ),
    ] = False,
    replace_claims: Annotated[
        bool,
        typer.Option(
            "--replace-claims",
            help="Give claims of the target that hold other data the recovery point's. Their old "
            "volumes are kept.",
        ),
    ] = False,
    accept_empty_volumes: options.AcceptEmptyVolumes = False,
    without_secrets: options.WithoutSecrets = False,
    push: Annotated[
        bool,
        typer.Option(
            "--push", help="Push the branch as soon as it says that the target is active."
        ),
    ] = False,
    snapshot_timeout: options.SnapshotTimeout = 300.0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help="How long an object may take to be ready."
        ),
    ] = 300.0,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="Do not ask. Of a source that is silent say --fenced, too."
        ),
    ] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Let everything run at a target from now on, from the newest data that can be had.

    Asks whether the source still answers, and refuses while it may still write. Makes a last
    recovery point of it, commits that the target is active, fills claims from the snapshots, starts
    everything in the order of what needs what, and releases last what acts outward. To go back is
    the same, to a target that is the source. Exits 0 if nothing differs in the end, 3 if something
    did not come back, 6 if it was refused; the same command goes on.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.errors import ExitCode, UsageError
    from gitops_dr.reports import failover as report
    from gitops_dr.results.failover import AlreadyActive
    from gitops_dr.workflows import failover as workflow

    if fence and fenced:
        raise UsageError("--fence with --fenced: the one stops the source, the other says it is")
    progress = Progress(quiet=quiet)
    where = options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers)
    if unfence:
        from gitops_dr.workflows.unfence import unfence as give_back

        with progress.showing():
            back = give_back(where, target, source_context, emit=progress)
        print(report.GIVEN_BACK_FORMATS[output](back, progress.seconds))
        return report.given_back_exit_code(back)
    wanted = workflow.Wanted(
        target=target,
        at=at,
        fence=fence,
        fenced=fenced,
        last_point=not no_last_point,
        replace_claims=replace_claims,
        push=push,
        source_context=source_context,
        intent=options.intent(
            None,
            None,
            None,
            accept_empty_volumes=accept_empty_volumes,
            overwrite=True,
            without_secrets=without_secrets,
        ),
        accept_rewritten_history=accept_rewritten_history,
        timeout=timeout,
        snapshot_timeout=snapshot_timeout,
    )
    with progress.showing():
        result = workflow.failover(
            where,
            wanted,
            _confirmed(progress, yes=yes),
            _confirmed_dead(progress, yes=yes),
            emit=progress,
        )
    if isinstance(result, AlreadyActive):
        print(report.ALREADY_FORMATS[output](result, progress.seconds))
        return ExitCode.DONE
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)


def _confirmed(progress: Progress, *, yes: bool) -> Callable[[FailoverPlan], None]:
    from gitops_dr.reports.failover import announcement, plan_as_table

    def confirm(planned: FailoverPlan) -> None:
        with progress.paused():
            if yes:
                print("\n".join(announcement(planned)), file=sys.stderr)
                return
            print(plan_as_table(planned), file=sys.stderr)
            goal = planned.planned.goal
            ask("failover", f"of {planned.source} to {goal.context or goal.server}")

    return confirm


def _confirmed_dead(progress: Progress, *, yes: bool) -> Callable[[FailoverPlan], None]:
    from gitops_dr.errors import RefusedError
    from gitops_dr.reports.text import shown

    def confirm(planned: FailoverPlan) -> None:
        with progress.paused():
            said = (
                f"cluster {planned.source}: nobody knows whether it still runs: {planned.silence}"
            )
            hint = "one that cannot be asked may still write; if it is off, say --fenced"
            if yes or not sys.stdin.isatty():
                raise RefusedError(f"{said}; nothing was written", hint=hint)
            print(f"{shown(said)}\nIs it off, and nothing there writes?", file=sys.stderr)
            ask("failover", f"from {planned.source}", hint=hint)

    return confirm
