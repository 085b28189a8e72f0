"""``gitops-dr export``: flags to the workflow, its result to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options


def export(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    accept_rewritten_history: options.AcceptRewrittenHistory = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be committed; commit nothing.")
    ] = False,
    adopt_cluster: Annotated[
        bool,
        typer.Option(
            "--adopt-cluster", help="Go on although the cluster's UID is not the recorded one."
        ),
    ] = False,
    allow_shrink: Annotated[
        bool,
        typer.Option(
            "--allow-shrink", help="Go on although over a tenth of the recorded objects is gone."
        ),
    ] = False,
    cluster_wins: Annotated[
        bool,
        typer.Option(
            "--cluster-wins",
            help="Where Git and the cluster both changed, write the cluster's version.",
        ),
    ] = False,
    volumes: Annotated[
        bool,
        typer.Option("--volumes", help="Capture the data of every claim for the same commit."),
    ] = False,
    snapshot_timeout: options.SnapshotTimeout = 300.0,
    push: Annotated[
        bool,
        typer.Option(
            "--push", help="Push the branch then, with what an earlier run could not push."
        ),
    ] = False,
    push_to: Annotated[
        str | None,
        typer.Option(
            "--push-to", metavar="REMOTE", help="Push it to this remote or URL, not to its own."
        ),
    ] = None,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Write the running cluster into Git as one commit, a recovery point.

    No commit is made if nothing has changed. Secrets are encrypted for those who are named as able
    to open them; while nobody is, they are left out and named. What was changed in Git and is not
    applied yet is pending and stays. Exits 3 if something could not be read: its
    files stay, and coverage.yaml names the gap; if a volume could not be captured; or if Git and
    the cluster both changed an object: Git's version stays, and the conflict is named.

    A push is never forced. What others have pushed meanwhile comes below the new commit if they
    changed other files; otherwise nothing is pushed, the commit is kept, and it exits 6. It exits 5
    if the remote refuses it or cannot be reached.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import export as report
    from gitops_dr.workflows.export import export as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            dry_run=dry_run,
            adopt_cluster=adopt_cluster,
            allow_shrink=allow_shrink,
            cluster_wins=cluster_wins,
            accept_rewritten_history=accept_rewritten_history,
            volumes=(lambda _ref, _labels: True) if volumes else None,
            snapshot_timeout=snapshot_timeout,
            push=push,
            push_to=push_to,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)
