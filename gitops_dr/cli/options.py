"""The flags that verbs share, and what they become. No logic."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gitops_dr.engine.opening import Where

Repo = Annotated[
    Path, typer.Option("--repo", metavar="DIR", help="The Git repository. Default: here.")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="NAME",
        help="Whose state in Git. Default: the only one in gitops-dr.yaml.",
    ),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="The kubeconfig context to reach it by."),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Default: KUBECONFIG or ~/.kube/config."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="COMMIT|TAG|TIME",
        help="The recovery point, such as a1b2c3d, v7 or 2026-11-22T10:00Z. Default: HEAD.",
    ),
]
AcceptEmptyVolumes = Annotated[
    bool,
    typer.Option(
        "--accept-empty-volumes",
        help="Let claims whose data is not restored start with empty volumes.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


class OutputFormat(StrEnum):
    """What stdout carries."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="What stdout carries.")]


def where(repo: Path, cluster: str | None, context: str | None, kubeconfig: Path | None) -> Where:
    """Put the flags together with the environment."""
    from gitops_dr.engine.opening import Where

    return Where(repo, cluster, context, kubeconfig, os.environ)
