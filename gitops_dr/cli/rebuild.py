"""``gitops-dr rebuild``: flags to the workflow, its result to a report. Asks before it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.errors import RefusedError

if TYPE_CHECKING:
    from gitops_dr.cli.progress import Progress
    from gitops_dr.results import Planned
    from gitops_dr.workflows.rebuild import Confirm


def rebuild(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    at: options.At = None,
    namespace: options.Namespaces = None,
    selector: options.Selector = None,
    ref: options.Refs = None,
    accept_empty_volumes: options.AcceptEmptyVolumes = False,
    overwrite: options.Overwrite = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help="How long an object may take to be ready."
        ),
    ] = 300.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Make the cluster that is reached what a commit says.

    Shows the target and the plan, asks, creates what is missing in the order of what needs what,
    waits until it is ready, and compares again. What is there and differs is left untouched,
    unless --overwrite is said. Exits 0 if nothing differs in the end, 3 if something did not come
    back. After an interruption the same command goes on.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import rebuild as report
    from gitops_dr.workflows.rebuild import rebuild as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig),
            _confirm(progress, yes=yes),
            at=at,
            intent=options.intent(
                namespace,
                selector,
                ref,
                accept_empty_volumes=accept_empty_volumes,
                overwrite=overwrite,
            ),
            timeout=timeout,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)


def _confirm(progress: Progress, *, yes: bool) -> Confirm:
    from gitops_dr.reports.plan import announcement, as_table

    def confirm(planned: Planned) -> None:
        goal = planned.goal
        with progress.paused():
            if yes or not planned.plan.steps:
                print("\n".join(announcement(goal)), file=sys.stderr)
                return
            print(as_table(planned), file=sys.stderr)
            if not sys.stdin.isatty():
                raise RefusedError(
                    f"rebuild into {goal.context or goal.server}: nobody is here to confirm it",
                    hint="say --yes, or run it on a terminal",
                )
            print("Go on? Only 'yes' does: ", end="", file=sys.stderr, flush=True)
            if sys.stdin.readline().strip() != "yes":
                raise RefusedError("rebuild: not confirmed", hint="nothing was written")

    return confirm
