"""``gitops-dr lab``: throwaway control planes. Flags to one call, its result to stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options

app = typer.Typer(
    help="Throwaway Kubernetes control planes: real ones, as local processes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the lab; also its context.")]


@app.command()
def up(
    name: Name,
    *,
    storage: Annotated[
        Path | None,
        typer.Option(
            "--storage",
            metavar="DIR",
            help="Where volumes and snapshots are kept. Labs may share it, and it outlives them.",
        ),
    ] = None,
    saved: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Start with what `lab save` wrote."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Start a lab and print the path of its kubeconfig.

    The first time the programs are built from source, which takes a quarter of an hour.
    """
    from gitops_dr import lab
    from gitops_dr.cli.progress import Progress

    progress = Progress(quiet=quiet)
    with progress.showing():
        started = lab.up(name, storage=storage, saved=saved, emit=progress)
    typer.echo(started.kubeconfig)


@app.command()
def down(name: Name) -> None:
    """End a lab; none of its processes and files is left."""
    from gitops_dr import lab

    lab.down(name)


@app.command(name="list")
def list_labs() -> None:
    """Print the labs that are up, one a line: name and server."""
    from gitops_dr import lab

    for found in lab.labs():
        typer.echo(f"{found.name}\t{found.server}")


@app.command()
def kubeconfig(name: Name) -> None:
    """Print the path of a lab's kubeconfig."""
    from gitops_dr import lab

    typer.echo(lab.kubeconfig(name))


@app.command()
def volume(
    name: Name,
    claim: Annotated[str, typer.Argument(metavar="NAMESPACE/CLAIM", help="Whose data.")],
) -> None:
    """Print the folder with the data of a PersistentVolumeClaim."""
    from gitops_dr import lab

    namespace, _, claim_name = claim.partition("/")
    typer.echo(lab.volume(name, namespace, claim_name))


@app.command()
def save(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Holds Secrets: keep it safe.")],
) -> None:
    """Copy a lab's cluster into a file that `lab up --from` starts with. The lab goes on."""
    from gitops_dr import lab

    lab.save(name, file)
