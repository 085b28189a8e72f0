"""``gitops-dr render``: flags to the workflow, its result to manifests or to a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options

if TYPE_CHECKING:
    from gitops_dr.workflows.render import Render


def render(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    at: options.At = None,
    target: options.Target = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show how it differs from the source, and why.")
    ] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Write one file an object there, laid out as an export is. It must be empty.",
        ),
    ] = None,
    output: Annotated[
        options.OutputFormat, typer.Option("--output", "-o", help="What --diff says, and how.")
    ] = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Print what a target should be, as manifests; ask no cluster and open no Secret.

    What Secrets hold is masked. With --diff it exits 1 if anything is other than at the source.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.errors import ExitCode, UsageError
    from gitops_dr.reports import render as report
    from gitops_dr.workflows.render import contrast
    from gitops_dr.workflows.render import render as run

    if diff and output_dir is not None:
        raise UsageError("--diff with --output-dir: one shows, the other writes", hint="say one")
    progress = Progress(quiet=quiet)
    with progress.showing():
        where = options.where(repo, cluster, None, None, trusted_signers=trusted_signers)
        found = run(where, target=target, at=at, emit=progress)
        contrasted = contrast(found) if diff else None
    if contrasted is not None:
        print(report.FORMATS[output](contrasted))
        return report.exit_code(contrasted)
    if output_dir is not None:
        _write(found, output_dir)
    else:
        for _, body in found.manifests():
            sys.stdout.write("---\n" + report.manifest(body).decode())
    return ExitCode.PARTIAL if found.unreadable else ExitCode.DONE


def _write(found: Render, folder: Path) -> None:
    """Write the manifests below a folder. Raises ``UsageError`` if it has files, or cannot be."""
    from gitops_dr.errors import UsageError
    from gitops_dr.reports import render as report

    try:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(
                f"--output-dir {folder}: is not empty", hint="name a new folder, or empty it"
            )
        for path, body in found.manifests():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(report.manifest(body))
    except OSError as error:
        raise UsageError(f"--output-dir {folder}: {error.strerror}") from error
