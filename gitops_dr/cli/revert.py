"""``gitops-dr revert``: flags to the workflow, its result to a report. Asks before it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import ask

if TYPE_CHECKING:
    from gitops_dr.cli.progress import Progress
    from gitops_dr.results.drift import Reverting
    from gitops_dr.workflows.revert import Confirm


def revert(
    refs: options.RefArguments = None,
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    at: options.At = None,
    namespace: options.AllOfNamespaces = None,
    field: options.Fields = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
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
    """Put Git's values back where the cluster differs.

    Shows the plan, field by field, and asks. Of an object that differs just those fields are
    written; one that is missing is created; one that is only in the cluster is left and said.
    What the API server refuses, such as a field that cannot be changed, is found out before.
    Exits 0 if nothing of it differs in the end, 3 if something does; with --dry-run 1 if something
    would be done.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import revert as report
    from gitops_dr.workflows.revert import revert as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            _confirm(progress, yes=yes),
            choice=options.choice(refs, namespace, field),
            at=at,
            dry_run=dry_run,
            timeout=timeout,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)


def _confirm(progress: Progress, *, yes: bool) -> Confirm:
    from gitops_dr.reports.plan import announcement
    from gitops_dr.reports.revert import as_plan

    def confirm(found: Reverting) -> None:
        goal = found.planned.goal
        with progress.paused():
            if yes or not found.steps:
                print("\n".join(announcement(goal)), file=sys.stderr)
                return
            print(as_plan(found), file=sys.stderr)
            ask("revert", f"in {goal.context or goal.server}")

    return confirm
