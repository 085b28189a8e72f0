"""``gitops-dr accept``: flags to the workflow, its result to a report. Asks if nothing is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options
from gitops_dr.cli.confirming import ask

if TYPE_CHECKING:
    from gitops_dr.cli.progress import Progress
    from gitops_dr.results.drift import Accepted
    from gitops_dr.workflows.accept import Confirm


def accept(
    refs: options.RefArguments = None,
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    namespace: options.AllOfNamespaces = None,
    field: options.Fields = None,
    commit: Annotated[
        bool, typer.Option("--commit", help="Commit the files, instead of only writing them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Write the cluster's values of drifted fields into Git.

    In a file that a person has edited only those fields change: comments, order and quotes stay.
    An object that is only in the cluster gets a file, one that is only in Git loses its own. The
    files are written for you to look at and commit, or committed at once with --commit. Without a
    REF or a namespace it asks first. Exits 3 if something that differs could not be accepted.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import accept as report
    from gitops_dr.workflows.accept import accept as run

    choice = options.choice(refs, namespace, field)
    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            _confirm(progress, yes=yes or bool(choice.selection)),
            choice=choice,
            to_commit=commit,
            dry_run=dry_run,
            emit=progress,
        )
    print(report.FORMATS[output](result, progress.seconds))
    return report.exit_code(result)


def _confirm(progress: Progress, *, yes: bool) -> Confirm:
    from gitops_dr.reports.accept import announcement

    def confirm(found: Accepted) -> None:
        if yes or not found.differences:
            return
        with progress.paused():
            print(announcement(found), file=sys.stderr)
            ask(
                "accept",
                f"into {found.cluster}",
                hint="name objects or a namespace, say --yes, or run it on a terminal",
            )

    return confirm
