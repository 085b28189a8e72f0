"""``gitops-dr.yaml``, environment and flags become each room's settings. Pure: text in, values out.

Flags win over the environment, the environment over the file, the file over the default; each
value remembers where it came from, so that a refusal can say so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from gitops_dr.desired import outward_settings
from gitops_dr.desired.outward import Outward, shipped_rows
from gitops_dr.desired.outward_settings import OutwardSection
from gitops_dr.drift.ignore import IgnoreRule
from gitops_dr.errors import UsageError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.manifests.parse import parse_document
from gitops_dr.manifests.selector import Labels, ObjectSelector, equal_labels, parse_labels
from gitops_dr.model import Presence
from gitops_dr.secrets import settings as secrets_settings
from gitops_dr.secrets.policy import SecretSettings
from gitops_dr.secrets.settings import SecretsSection
from gitops_dr.signers import signers_in
from gitops_dr.volumes import settings as volumes_settings
from gitops_dr.volumes.policy import VolumeSettings
from gitops_dr.volumes.settings import VolumesSection

if TYPE_CHECKING:
    from pydantic import ValidationError

FILE = "gitops-dr.yaml"
FORMAT = 1
_NO_VOLUMES = VolumeSettings()
_NO_SECTION = VolumesSection(_NO_VOLUMES)
_NO_SECRETS = SecretSettings()
_NO_SECRETS_SECTION = SecretsSection()
_NO_OUTWARD_SECTION = OutwardSection()
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
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
    ignore: tuple[IgnoreRule, ...] = ()
    """What drift leaves out: the rules that are about this cluster, in the file's order."""
    trusted_managers: frozenset[str] = frozenset()
    """Field managers that are trusted beside Kubernetes' own controllers."""
    volumes: VolumeSettings = _NO_VOLUMES
    """What people want of their volumes."""
    secrets: SecretSettings = _NO_SECRETS
    """What becomes of Secrets, and who can open them."""
    outward: tuple[Outward, ...] = field(default_factory=shipped_rows)
    """What acts outward, and how it is held: people's rows first."""

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
    of_target: Setting | None = None,
) -> ClusterSettings:
    """Which cluster's State in Git is meant, and how it is reached.

    ``text`` is the content of ``gitops-dr.yaml``, None if the repository has none; ``cluster`` and
    ``context`` are the flags. A repository with one cluster needs no ``cluster``, nor does a target
    that says whose it is (``of_target``).
    Raises ``UsageError`` for a file that does not fit, and if it is unclear which cluster is meant.
    """
    file = _read(text) if text is not None else _NO_FILE
    clusters = file.clusters
    wanted = _first(
        ("--cluster", cluster), ("GITOPS_DR_CLUSTER", environment.get("GITOPS_DR_CLUSTER"))
    )
    wanted = wanted or of_target
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
        ignore=tuple(rule for only, rule in file.ignore if only in (None, wanted.value)),
        trusted_managers=file.trusted_managers,
        volumes=file.volumes.of(wanted.value),
        secrets=file.secrets.of(wanted.value),
        outward=file.outward.of(wanted.value),
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


@dataclass(frozen=True, slots=True)
class _File:
    """What the file says."""

    clusters: Mapping[str, _Written]
    ignore: tuple[tuple[str | None, IgnoreRule], ...] = ()
    """Each with the only cluster that it is about; None: about all."""
    trusted_managers: frozenset[str] = frozenset()
    volumes: VolumesSection = _NO_SECTION
    secrets: SecretsSection = _NO_SECRETS_SECTION
    outward: OutwardSection = _NO_OUTWARD_SECTION


_NO_FILE = _File({})


def _read(text: bytes) -> _File:
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

    class Cluster(Model):
        context: str | None = None
        authored: list[str] = Field([])

    class Rule(Model):
        group: str | None = None
        kind: str | None = Field(None, min_length=1)
        namespace: str | None = None
        name: str | None = Field(None, min_length=1)
        labels: Any = None
        cluster: str | None = None
        field: str | None = None
        manager: str | None = Field(None, min_length=1)
        state: str | None = None
        because: str
        until: str | None = None

    volumes_model, known_of_volumes = volumes_settings.shape(Model)
    secrets_model, known_of_secrets = secrets_settings.shape(Model)
    outward_model, known_of_outward = outward_settings.shape(Model)

    class File(Model):
        format: int
        clusters: dict[str, Cluster | None]
        ignore: list[Rule] | None = None
        trustedManagers: list[str] | None = None  # noqa: N815 - as people write it
        volumes: volumes_model | None = None  # type: ignore[valid-type]
        secrets: secrets_model | None = None  # type: ignore[valid-type]
        outward: list[outward_model] | None = None  # type: ignore[valid-type]
        trust: Any = None

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
        known = {
            "clusters": Cluster.model_fields,
            "ignore": Rule.model_fields,
            **known_of_volumes,
            **known_of_secrets,
            **known_of_outward,
        }
        raise _misfit(error, known, File.model_fields) from error
    # Whom it trusts is settled before anything else is read; here a section that is none is found.
    signers_in(document, FILE)

    def refuse(place: str, problem: str, hint: str) -> UsageError:
        return UsageError(f"{FILE}: {place}: {problem}", hint=hint or _SEE)

    written = file.model_dump(exclude_none=True)
    return _File(
        clusters={
            name: _Written(cluster.context, _globs(name, cluster.authored))
            if cluster
            else _Written()
            for name, cluster in file.clusters.items()
        },
        ignore=tuple(
            _rule(f"ignore[{i}]", rule.model_dump(exclude_none=True), file.clusters)
            for i, rule in enumerate(file.ignore or ())
        ),
        trusted_managers=frozenset(file.trustedManagers or ()),
        volumes=volumes_settings.read_section(
            written.get("volumes") or {}, file.clusters, _labels, refuse
        ),
        secrets=secrets_settings.read_section(
            written.get("secrets") or {}, file.clusters, _labels, refuse
        ),
        outward=outward_settings.read_section(
            file.model_dump(include={"outward"}, exclude_unset=True).get("outward") or (),
            file.clusters,
            _labels,
            refuse,
        ),
    )


def _rule(
    place: str, written: Mapping[str, Any], clusters: Collection[str]
) -> tuple[str | None, IgnoreRule]:
    """Make a rule of what is written at ``place``. Raises ``UsageError`` if it makes no sense."""

    def refuse(key: str, problem: str, hint: str = "") -> UsageError:
        where = f"{place}.{key}" if key else place
        return UsageError(f"{FILE}: {where}: {problem}", hint=hint or _SEE)

    cluster = written.get("cluster")
    if cluster is not None and clusters and cluster not in clusters:
        raise refuse("cluster", f"no cluster {cluster!r}", _near(cluster, clusters))
    if not written["because"].strip():
        raise refuse("because", "says nothing", "say why it may differ, for whoever reads it later")
    state = written.get("state")
    states = [presence.value for presence in Presence if presence is not Presence.UNKNOWN]
    if state is not None and state not in states:
        raise refuse("state", f"{state!r} is none of {', '.join(states)}", _near(state, states))

    def read[T](key: str, reader: Callable[[Any], T], default: T) -> T:
        try:
            return reader(written[key]) if key in written else default
        except ValueError as error:
            raise refuse(key, str(error)) from error

    patterns = {key: written.get(key) for key in ("group", "kind", "namespace", "name")}
    rule = IgnoreRule(
        place=place,
        because=written["because"].strip(),
        objects=ObjectSelector(**patterns, labels=read("labels", _labels, ())),
        field=read("field", parse_fieldpath, ()),
        manager=written.get("manager", ""),
        state=None if state is None else Presence(state),
        until=read("until", _day, None),
    )
    if problem := rule.problem():
        raise refuse("", problem)
    return cluster, rule


def _labels(written: Any) -> Labels:
    if isinstance(written, str):
        return parse_labels(written)
    if isinstance(written, dict) and all(isinstance(value, str) for value in written.values()):
        return equal_labels(written)
    raise ValueError("neither a label selector nor a map of strings")


def _day(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text!r} is no day such as 2027-01-31")
    return date.fromisoformat(text)


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


_SEE = f"see docs/configuration.md for what {FILE} may hold"


def _misfit(
    error: ValidationError, known: Mapping[str, Collection[str]], top: Collection[str]
) -> UsageError:
    """Say the first thing that does not fit; ``known`` has the keys that may stand at each path."""
    errors = error.errors(include_input=False, include_url=False)
    # A misspelt key is unknown, and mostly another is missing for it.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    place = first["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    unknown = first["type"] == "extra_forbidden"
    path = [part for part in place[:-1] if isinstance(part, str)]
    # The names of clusters stand in the path of their keys.
    paths = (".".join(path[:length]) for length in range(len(path), 0, -1))
    keys = top if len(place) == 1 else next((known[each] for each in paths if each in known), ())
    return UsageError(
        f"{FILE}: {where.removeprefix('.')}: {'unknown key' if unknown else first['msg']}",
        hint=(_near(str(place[-1]), keys) if unknown else "") or _SEE,
    )


def _near(word: str, known: Collection[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {match[0]!r}?" if match else ""


def _first(*candidates: tuple[str, str | None]) -> Setting | None:
    return next((Setting(value, source) for source, value in candidates if value), None)
