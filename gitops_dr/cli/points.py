"""``gitops-dr points``: flags to the workflow, its result to a report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options

app = typer.Typer(help="The recovery points that the repository has.", no_args_is_help=True)


@app.command(name="list")
def list_points(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many, from the newest.")
    ] = 20,
    output: options.PageOutput = options.PageFormat.TABLE,
) -> int:
    """List recovery points: commit, time, objects, volumes with the age of their data.

    "complete" says that nothing is known to be lacking; "objects only" that the snapshots of its
    volumes were pruned since. Needs no cluster.
    """
    from gitops_dr.reports.recovery import POINTS_FORMATS
    from gitops_dr.workflows.points import points

    found = points(
        options.where(repo, cluster, None, None, trusted_signers=trusted_signers), limit=limit
    )
    print(POINTS_FORMATS[output](found, datetime.now(UTC)))
    return 0


@app.command(name="show")
def show_point(
    at: Annotated[
        str | None,
        typer.Argument(metavar="[COMMIT|TAG|TIME]", help="Which one. Default: the newest."),
    ] = None,
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    output: options.PageOutput = options.PageFormat.TABLE,
) -> int:
    """Show what one recovery point holds, and what it lacks. Needs no cluster."""
    from gitops_dr.reports.recovery import POINT_FORMATS
    from gitops_dr.workflows.points import point

    found = point(options.where(repo, cluster, None, None, trusted_signers=trusted_signers), at)
    print(POINT_FORMATS[output](found, datetime.now(UTC)))
    return 0
