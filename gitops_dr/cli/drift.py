"""``gitops-dr drift``: flags to the workflow, its result to a report, and to a pull request."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops_dr.cli import options

if TYPE_CHECKING:
    from gitops_dr.forge.github import PullRequest
    from gitops_dr.results.drift import Drifted


class Format(StrEnum):
    """What stdout carries."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    HTML = "html"
    JUNIT = "junit"
    ANNOTATIONS = "annotations"


class Forge(StrEnum):
    """Where a comment can be put."""

    GITHUB = "github"


class PostDetail(StrEnum):
    """How much a comment tells at most."""

    FULL = "full"
    NAMES = "names"
    COUNTS = "counts"


def drift(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    at: options.At = None,
    target: options.Target = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="BASE",
            help="Tell apart what merging into BASE would change, and what is drift already.",
        ),
    ] = None,
    rendered: Annotated[
        Path | None,
        typer.Option(
            "--rendered", metavar="DIR", help="Compare what Helm or Kustomize wrote there, too."
        ),
    ] = None,
    rendered_namespace: Annotated[
        str | None,
        typer.Option(
            "--rendered-namespace",
            metavar="NAME",
            help="The namespace of rendered manifests that name none.",
        ),
    ] = None,
    server: Annotated[
        bool,
        typer.Option(
            "--server", help="Ask the API server about all that differs (needs patch and create)."
        ),
    ] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="MANAGER", help="Only what this field manager wrote."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME|DURATION",
            help="Only by managers that wrote since then, such as 2026-11-22T10:00Z or 24h.",
        ),
    ] = None,
    unmanaged: Annotated[
        bool,
        typer.Option(
            "--unmanaged/--no-unmanaged", help="Whether objects that are not in Git count."
        ),
    ] = True,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="What stdout carries.")
    ] = Format.TABLE,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit 0 also if something differs.")
    ] = False,
    post: Annotated[
        Forge | None,
        typer.Option("--post", help="Put a comment on the pull request that the job is for."),
    ] = None,
    post_detail: Annotated[
        PostDetail, typer.Option("--post-detail", help="How much the comment tells at most.")
    ] = PostDetail.FULL,
    pull_request: Annotated[
        int | None,
        typer.Option("--pull-request", metavar="N", help="Which one. Default: the job's own."),
    ] = None,
    quiet: options.Quiet = False,
) -> int:
    """Say how the running cluster differs from Git.

    Exits 0 if nothing differs, 1 if something does, 3 if something could not be read. Needs no
    right to write, in the cluster or in the repository; --server needs more.
    """
    from datetime import UTC, datetime

    from gitops_dr.cli.progress import Progress
    from gitops_dr.drift.selection import parse_since
    from gitops_dr.errors import ExitCode
    from gitops_dr.reports.drift import FORMATS
    from gitops_dr.reports.drift import exit_code as code_of
    from gitops_dr.workflows.drift import drift as run

    pull = _pull_request(pull_request) if post else None
    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            at=at,
            target=target,
            against=against,
            rendered=rendered,
            rendered_namespace=rendered_namespace,
            server=server,
            by=by,
            since=parse_since(since, datetime.now(UTC)) if since else None,
            unmanaged=unmanaged,
            emit=progress,
        )
    print(FORMATS[output](result))
    if pull is not None:
        sys.stdout.flush()
        _post(pull, result, post_detail)
    code = code_of(result)
    return ExitCode.DONE if exit_zero and code is ExitCode.DIFFERENCES else code


def _pull_request(number: int | None) -> PullRequest:
    """The pull request that the job is for. Raises ``UsageError`` before anything is read."""
    from gitops_dr.forge.github import from_environment

    return from_environment(os.environ, number=number)


def _post(pull: PullRequest, result: Drifted, detail: PostDetail) -> None:
    """Put the comment, and the same into the step's summary, which everybody may read too."""
    from gitops_dr.forge.runner import append_summary
    from gitops_dr.reports import comment

    most = comment.Detail[detail.name]
    link = pull.job.run
    append_summary(
        os.environ, lambda room: comment.render(result, budget=room, link=link, most=most)
    )
    body = comment.render(result, link=link, most=most)
    pull.post(result.cluster, body, clean=comment.is_quiet(result))
