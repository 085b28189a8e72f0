"""The flags that verbs share, and what they become. No logic."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from gitops_dr.engine.opening import Where
    from gitops_dr.model import Ref
    from gitops_dr.planning.chosen import Choice
    from gitops_dr.planning.saved import SavedPlan
    from gitops_dr.planning.selection import Intent, Release
    from gitops_dr.results.rebuild import Planned

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
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="The target of targets/NAME/target.yaml, as HEAD has it. Default: the source itself.",
    ),
]
TrustedSigners = Annotated[
    Path | None,
    typer.Option(
        "--trusted-signers",
        metavar="FILE",
        help="Read only commits that one of these SSH or GPG keys signed. The file is no part of "
        "the repository.",
    ),
]
AcceptRewrittenHistory = Annotated[
    bool,
    typer.Option(
        "--accept-rewritten-history",
        help="Go on although recovery points are no longer in the history of HEAD.",
    ),
]
AcceptEmptyVolumes = Annotated[
    bool,
    typer.Option(
        "--accept-empty-volumes",
        help="Let claims whose data is not restored start with empty volumes, and accept those "
        "that did so in an earlier run.",
    ),
]
WithoutSecrets = Annotated[
    bool,
    typer.Option(
        "--without-secrets",
        help="Go on although some Secrets cannot be opened; they and what needs them do not come "
        "back.",
    ),
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="Only this namespace, and what it needs. Repeat."
    ),
]
Selector = Annotated[
    str | None,
    typer.Option(
        "--selector", "-l", metavar="KEY=VALUE[,...]", help="Only objects with these labels."
    ),
]
Refs = Annotated[
    list[str] | None,
    typer.Option(
        "--ref",
        metavar="KIND[.GROUP]/[NAMESPACE/]NAME",
        help="Only this object, and what it needs. Repeat.",
    ),
]
RefArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REF]...",
        help="Objects, as Kind[.group]/[namespace/]name. Default: all that differs.",
    ),
]
AllOfNamespaces = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="All of this namespace. Repeat."),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field", metavar="PATH", help="Only this field of the one object named. Repeat."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Make objects that are there and differ what Git says."),
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="With what cannot be changed in place: delete it and make it again, where nothing is "
        "lost by that.",
    ),
]
Released = Annotated[
    bool | None,
    typer.Option(
        "--release/--no-release",
        help="Whether what acts outward (CronJobs, Flux, Argo CD, external-dns ...) is released in "
        "the end. Default: if everything is there and no newer recovery point is known.",
    ),
]
TakeOwnership = Annotated[
    bool,
    typer.Option(
        "--take-ownership",
        help="Of manifests that people keep, overwrite fields too that a controller applies, who "
        "may put them back.",
    ),
]
SnapshotTimeout = Annotated[
    float,
    typer.Option(
        "--snapshot-timeout", metavar="SECONDS", help="How long until a snapshot must be usable."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


class OutputFormat(StrEnum):
    """What stdout carries."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="What stdout carries.")]


class PageFormat(StrEnum):
    """What stdout carries where a page can be kept as an artifact."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


PageOutput = Annotated[PageFormat, typer.Option("--output", "-o", help="What stdout carries.")]


def in_scope(
    named: Collection[tuple[str, str]], namespaces: Collection[str], selector: str | None
) -> Callable[[Ref, Mapping[str, str]], bool]:
    """Tell which objects are meant: by namespace and name, by namespace, by their labels.

    What is not given restricts nothing. Raises ``UsageError`` for a selector that is none.
    """
    from gitops_dr.errors import UsageError
    from gitops_dr.manifests.selector import parse_labels

    try:
        requirements = parse_labels(selector) if selector else ()
    except ValueError as error:
        raise UsageError(f"--selector: {error}") from error

    def is_meant(ref: Ref, labels: Mapping[str, str]) -> bool:
        return (
            (not named or (ref.namespace, ref.name) in named)
            and (not namespaces or ref.namespace in namespaces)
            and all(one.holds(labels) for one in requirements)
        )

    return is_meant


def intent(
    namespaces: list[str] | None,
    selector: str | None,
    refs: list[str] | None,
    *,
    accept_empty_volumes: bool,
    overwrite: bool,
    without_secrets: bool = False,
    replace: bool = False,
    take_ownership: bool = False,
    release: bool | None = None,
) -> Intent:
    """Put together what a person wants of a rebuild. Raises ``UsageError`` for what is no such."""
    from gitops_dr.errors import UsageError
    from gitops_dr.model import parse_ref
    from gitops_dr.planning.selection import Intent, Selection

    if replace and not overwrite:
        raise UsageError("--replace: only what is overwritten is replaced", hint="say --overwrite")
    if take_ownership and not overwrite:
        raise UsageError("--take-ownership: nothing is overwritten", hint="say --overwrite, too")
    labels = [part.partition("=") for part in selector.split(",")] if selector else []
    if not all(key and equals for key, equals, _ in labels):
        raise UsageError(f"--selector {selector}: not KEY=VALUE[,KEY=VALUE...]")
    try:
        wanted = frozenset(map(parse_ref, refs or ()))
    except ValueError as error:
        raise UsageError(f"--ref: {error}") from error
    selection = Selection(
        namespaces=frozenset(namespaces or ()),
        labels=tuple((key, value) for key, _, value in labels),
        refs=wanted,
    )
    return Intent(
        selection,
        accept_empty_volumes=accept_empty_volumes,
        overwrite=overwrite,
        without_secrets=without_secrets,
        replace=replace,
        take_ownership=take_ownership,
        release=when_released(release),
    )


def when_released(flag: bool | None) -> Release:  # noqa: FBT001 - as the flag is
    """What the flag says of what acts outward."""
    from gitops_dr.planning.selection import Release

    if flag is None:
        return Release.IF_NEWEST
    return Release.ALWAYS if flag else Release.NEVER


def choice(
    refs: list[str] | None, namespaces: list[str] | None, fields: list[str] | None
) -> Choice:
    """Put together which differences a person means. Raises ``UsageError`` for what is no name."""
    from gitops_dr.errors import UsageError
    from gitops_dr.manifests.fieldpath import parse_fieldpath
    from gitops_dr.model import parse_ref
    from gitops_dr.planning.chosen import Choice
    from gitops_dr.planning.selection import Selection

    try:
        selection = Selection(
            frozenset(namespaces or ()), refs=frozenset(map(parse_ref, refs or ()))
        )
        return Choice(selection, tuple(map(parse_fieldpath, fields or ())))
    except ValueError as error:
        raise UsageError(str(error)) from error


def keep_plan(planned: Planned, file: Path) -> None:
    """Write a plan to a file. Raises ``UsageError`` if that is not possible."""
    from gitops_dr.errors import UsageError
    from gitops_dr.planning.saved import write_saved

    if planned.saved is not None:
        try:
            file.write_text(write_saved(planned.saved), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--out {file}: {error.strerror}") from error


def kept_plan(file: Path, cluster: str | None, at: str | None, intent: Intent) -> SavedPlan:
    """Read a plan from a file, which says itself what it is about.

    Raises ``UsageError`` if flags say it, too, and for what is no plan.
    """
    from gitops_dr.errors import UsageError
    from gitops_dr.planning.saved import read_saved
    from gitops_dr.planning.selection import EVERYTHING

    if at is not None or intent != EVERYTHING:
        raise UsageError(
            f"--plan {file}: the plan says itself which commit and which part are meant",
            hint="leave out --at, --namespace, --selector, --ref, --overwrite and the like",
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"--plan {file}: {reason}") from error
    saved = read_saved(text, str(file))
    if cluster not in (None, saved.cluster):
        raise UsageError(f"--plan {file}: it is about cluster {saved.cluster}, not {cluster}")
    return saved


def claim(text: str) -> tuple[str, str]:
    """Read ``NAMESPACE/CLAIM``. Raises ``UsageError`` for what is no such."""
    from gitops_dr.errors import UsageError

    namespace, _, name = text.partition("/")
    if not (namespace and name) or "/" in name:
        raise UsageError(f"{text}: not NAMESPACE/CLAIM")
    return namespace, name


def where(
    repo: Path,
    cluster: str | None,
    context: str | None,
    kubeconfig: Path | None,
    *,
    trusted_signers: Path | None = None,
) -> Where:
    """Put the flags together with the environment."""
    from gitops_dr.engine.opening import Where

    return Where(repo, cluster, context, kubeconfig, os.environ, trusted_signers)
