"""``gitops-dr volumes``: flags to the workflows, their results to reports."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import ask
from gitops_dr.cli.volumes_restore import restore

if TYPE_CHECKING:
    from gitops_dr.cli.progress import Progress
    from gitops_dr.results.volumes import Pruned
    from gitops_dr.workflows.volumes_prune import Confirm

app = typer.Typer(help="The data in persistent volumes.", no_args_is_help=True)
app.command(name="restore")(restore)


@app.command(name="list")
def list_volumes(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    output: options.PageOutput = options.PageFormat.TABLE,
) -> int:
    """List every claim with its newest snapshot, and why it is not protected if it is not.

    Exits 3 if a claim is not protected.
    """
    from gitops_dr.reports.recovery import VOLUMES_FORMATS
    from gitops_dr.reports.volumes import list_exit_code
    from gitops_dr.workflows.volumes_list import volumes

    found = volumes(
        options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers)
    )
    print(VOLUMES_FORMATS[output](found, datetime.now(UTC)))
    return list_exit_code(found)


@app.command(name="snapshot")
def snapshot(
    claim: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMESPACE/CLAIM]...", help="Only these claims."),
    ] = None,
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Only this namespace. Repeat."),
    ] = None,
    selector: options.Selector = None,
    snapshot_timeout: options.SnapshotTimeout = 300.0,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Add a recovery point for which some claims are captured.

    It is an export with the snapshots of the claims that are named, of all if none are. The others
    keep the snapshots that they have. Exits as export does.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import export as report
    from gitops_dr.workflows.export import export

    named = set(map(options.claim, claim or ()))
    in_scope = options.in_scope(named, namespace or (), selector)
    progress = Progress(quiet=quiet)
    with progress.showing():
        result = export(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            volumes=in_scope,
            snapshot_timeout=snapshot_timeout,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)


@app.command(name="prune")
def prune(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and what is kept; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Delete the snapshots that volumes.keep in gitops-dr.yaml does not keep.

    Never the newest ready one of a claim, never one of a tagged recovery point. A commit says that
    they are gone before they are. Exits 3 if one could not be deleted; the next run tries again.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports.volumes import PRUNE_FORMATS, pruned_exit_code
    from gitops_dr.workflows.volumes_prune import prune as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            _confirm(progress, yes=yes),
            dry_run=dry_run,
            emit=progress,
        )
    print(PRUNE_FORMATS[output](result))
    return pruned_exit_code(result)


def _confirm(progress: Progress, *, yes: bool) -> Confirm:
    from gitops_dr.reports.volumes import pruned_as_table

    def confirm(found: Pruned) -> None:
        if yes or not (found.going or found.left_over):
            return
        with progress.paused():
            print(pruned_as_table(found), file=sys.stderr)
            ask("prune", f"of {found.cluster}", nothing="nothing was deleted")

    return confirm
