"""``gitops-dr volumes restore``: flags to the workflow, its result to a report. Asks first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import ask
from gitops_dr.errors import UsageError

if TYPE_CHECKING:
    from gitops_dr.cli.progress import Progress
    from gitops_dr.results.volumes import RestorePlan
    from gitops_dr.workflows.volumes_restore import Confirm, Elsewhere


def restore(
    claim: Annotated[
        list[str],
        typer.Argument(metavar="NAMESPACE/CLAIM...", help="Claims; those of one set together."),
    ],
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    at: options.At = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Replace the volumes that the claims have now."),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="NAMESPACE[/NAME]", help="Make copies there; touch nothing else."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long each wait may take.")
    ] = 300.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Give claims the data that a recovery point has of them.

    --in-place: once the snapshots are proved ready, the workloads that use the claims are stopped,
    each claim gets a new volume filled from its snapshot, and the workloads run again. The old
    volumes are kept. Whatever fails brings all of them back (exit 3); after a kill the same command
    goes on. --to: makes copies of the claims in another namespace or under another name, also in
    another cluster on the same storage.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import volumes_restore as report
    from gitops_dr.workflows.volumes_restore import restore as run

    if in_place == (to is not None):
        raise UsageError("volumes restore: say either --in-place or --to NAMESPACE[/NAME]")
    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            _confirm(progress, yes=yes),
            [options.claim(text) for text in claim],
            at=at,
            to=None if to is None else _elsewhere(to),
            dry_run=dry_run,
            timeout=timeout,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)


def _elsewhere(to: str) -> Elsewhere:
    from gitops_dr.workflows.volumes_restore import Elsewhere

    namespace, slash, name = to.partition("/")
    if not namespace or "/" in name or (slash and not name):
        raise UsageError(f"--to {to}: not NAMESPACE[/NAME]")
    return Elsewhere(namespace, name)


def _confirm(progress: Progress, *, yes: bool) -> Confirm:
    from gitops_dr.reports.plan import announcement
    from gitops_dr.reports.volumes_restore import as_plan

    def confirm(found: RestorePlan) -> None:
        goal = found.goal
        with progress.paused():
            if yes:
                print("\n".join(announcement(goal)), file=sys.stderr)
                return
            print(as_plan(found), file=sys.stderr)
            ask("restore", f"in {goal.context or goal.server}")

    return confirm
