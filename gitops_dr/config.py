"""``gitops-dr.yaml``, environment and flags become each room's settings. Pure: text in, values out.

Flags win over the environment, the environment over the file, the file over the default; each
value remembers where it came from, so that a refusal can say so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from gitops_dr.errors import UsageError
from gitops_dr.manifests.parse import parse_document

if TYPE_CHECKING:
    from pydantic import ValidationError

FILE = "gitops-dr.yaml"
FORMAT = 1
_CLUSTER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and the place that it came from."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """One cluster of the repository."""

    name: str
    context: Setting | None
    """The kubeconfig context to reach it by; None means the current one."""
    authored: tuple[str, ...] = ()
    """Patterns of paths below ``prefix`` that people keep: the export leaves them alone."""

    def is_authored(self, path: str) -> bool:
        """Whether people keep the file at ``path`` (relative to ``prefix``)."""
        return any(_pattern(glob).fullmatch(path) for glob in self.authored)

    @property
    def prefix(self) -> str:
        """Where its files are in the repository."""
        return f"clusters/{self.name}"


def cluster_settings(
    text: bytes | None,
    *,
    cluster: str | None,
    context: str | None,
    environment: Mapping[str, str],
) -> ClusterSettings:
    """Which cluster's State in Git is meant, and how it is reached.

    ``text`` is the content of ``gitops-dr.yaml``, None if the repository has none; ``cluster`` and
    ``context`` are the flags. A repository with one cluster needs no ``cluster``.
    Raises ``UsageError`` for a file that does not fit, and if it is unclear which cluster is meant.
    """
    clusters = _clusters(text) if text is not None else {}
    wanted = _first(
        ("--cluster", cluster), ("GITOPS_DR_CLUSTER", environment.get("GITOPS_DR_CLUSTER"))
    )
    if wanted is None:
        if len(clusters) != 1:
            known = ", ".join(sorted(clusters)) or "none"
            raise UsageError(
                f"{FILE}: which cluster is meant? It names {known}",
                hint="say --cluster NAME",
            )
        wanted = Setting(next(iter(clusters)), FILE)
    if clusters and wanted.value not in clusters:
        raise UsageError(
            f"cluster {wanted.value!r} (from {wanted.source}): not in {FILE}",
            hint=_near(wanted.value, clusters) or f"it names {', '.join(sorted(clusters))}",
        )
    check_cluster_name(wanted.value)
    found = clusters.get(wanted.value)
    return ClusterSettings(
        name=wanted.value,
        context=_first(
            ("--context", context),
            ("GITOPS_DR_CONTEXT", environment.get("GITOPS_DR_CONTEXT")),
            (FILE, found.context if found else None),
        ),
        authored=found.authored if found else (),
    )


def check_cluster_name(name: str) -> None:
    """Raise ``UsageError`` unless ``name`` is a DNS label: it becomes a folder."""
    if not _CLUSTER_NAME.fullmatch(name):
        raise UsageError(
            f"cluster {name!r}: not a name for a cluster",
            hint="lower-case letters, digits and dashes, at most 63",
        )


@dataclass(frozen=True, slots=True)
class _Written:
    """What the file says of one cluster."""

    context: str | None = None
    authored: tuple[str, ...] = ()


def _clusters(text: bytes) -> dict[str, _Written]:
    from pydantic import BaseModel, ConfigDict, ValidationError

    class Cluster(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        context: str | None = None
        authored: list[str] = []

    class File(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        format: int
        clusters: dict[str, Cluster | None]

    document = parse_document(text, FILE)
    found = document.get("format", FORMAT)
    if found != FORMAT:
        raise UsageError(
            f"{FILE}: format {found!r}, and this version of gitops-dr reads format {FORMAT}",
            hint="use a newer version of gitops-dr",
        )
    try:
        file = File.model_validate(document)
    except ValidationError as error:
        raise _misfit(error, {*File.model_fields, *Cluster.model_fields}) from error
    return {
        name: _Written(cluster.context, _globs(name, cluster.authored)) if cluster else _Written()
        for name, cluster in file.clusters.items()
    }


def _globs(cluster: str, globs: Sequence[str]) -> tuple[str, ...]:
    for glob in globs:
        parts = glob.removesuffix("/").split("/")
        if not set(parts).isdisjoint(("", ".", "..")) or parts[0] == "recovery":
            raise UsageError(
                f"{FILE}: clusters.{cluster}.authored: {glob!r} is no path of manifests",
                hint=f"paths are below clusters/{cluster}/, such as namespaces/shop/**",
            )
    return tuple(globs)


_WILD = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay within one part of a path, ``**`` stands for any number of parts.

    A pattern that names a folder takes in all that is below it.
    """
    folder = glob.removesuffix("/").removesuffix("/**")
    tokens = re.findall(r"\*\*/|[*?]|[^*?]+", folder)
    return re.compile("".join(_WILD.get(t) or re.escape(t) for t in tokens) + "(?:/.*)?", re.DOTALL)


def _misfit(error: ValidationError, known: set[str]) -> UsageError:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    hint = _near(str(first["loc"][-1]), known) if first["type"] == "extra_forbidden" else ""
    problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
    return UsageError(
        f"{FILE}: {where}: {problem}",
        hint=hint or f"see docs/configuration.md for what {FILE} may hold",
    )


def _near(word: str, known: Any) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {match[0]!r}?" if match else ""


def _first(*candidates: tuple[str, str | None]) -> Setting | None:
    return next((Setting(value, source) for source, value in candidates if value), None)
