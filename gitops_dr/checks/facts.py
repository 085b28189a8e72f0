"""What was found out before the checks: of git, the repository, the cluster. Pure.

A part that is None could not be looked at; ``problem`` of the part above says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from gitops_dr.checks.needs import Job, Need
from gitops_dr.model import Body, Gap, Holder, Ref


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be looked at."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """How the encrypted files of a cluster stand to the private keys that are here."""

    files: int = 0
    """How many there are."""
    closed: tuple[Problem, ...] = ()
    """Why one does not open, of each set of recipients that files have."""
    problem: Problem | None = None
    """Why nobody could look."""


@dataclass(frozen=True, slots=True)
class PointFacts:
    """The newest recovery point of a cluster."""

    commit: str
    age: timedelta
    max_age: timedelta | None = None
    """How old snapshots may be (``volumes.maxAge``); None: as old as they are."""
    stale: tuple[Ref, ...] = ()
    """Claims whose snapshot is older."""
    without: Mapping[Ref, str] = field(default_factory=dict)
    """Claims that are to have a snapshot and have none that can be used, each with why."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The cluster that is failed over from."""

    name: str
    context: str = ""
    trouble: str = ""
    """Why it cannot be asked; empty if it answers."""
    user: str = ""
    fenced_for: str = ""
    """The target for which it was stopped; empty if it was not."""
    cannot_stop: tuple[Need, ...] | None = ()
    """What to stop it needs that is not allowed; None if it does not say."""
    cannot_record: tuple[Need, ...] | None = ()
    """What a last recovery point needs, likewise."""
    snapshots: SnapshotFacts | None = None


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """A repository, and the cluster of it that is meant."""

    root: str
    cluster: str
    prefix: str
    has_commit: bool
    branch: str | None
    """None if HEAD is detached."""
    under_way: str = ""
    """A merge or the like that nobody has finished."""
    locked: str = ""
    """The path of git's own lock, if there is one."""
    dirty: tuple[str, ...] = ()
    """Paths of the cluster, and the configuration, with changes that are not committed."""
    shallow: bool = False
    recorded_uid: str = ""
    """UID of the cluster that was exported last; empty before the first export."""
    recorded_version: str = ""
    recipients: tuple[Problem, ...] = ()
    """What is wrong with the rule of ``.sops.yaml`` that is about this cluster."""
    other_recipients: tuple[Problem, ...] = ()
    """What is wrong with its other rules."""
    secrets: SecretFacts = SecretFacts()
    point: PointFacts | None = None
    """None where it does not matter, or there is none."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """How the cluster is fit for snapshots of volumes."""

    served: bool
    """``snapshot.storage.k8s.io/v1`` is."""
    drivers: tuple[str, ...] = ()
    """CSI drivers that volumes are of."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """How many VolumeSnapshotClasses each driver has."""
    untouched: tuple[str, ...] = ()
    """Snapshots, ``namespace/name``, that nobody has looked at for longer than it should take."""
    leader: str = ""
    """Why the controller seems to be gone; empty if there is no sign of that."""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook that must answer (``failurePolicy: Fail``), and may not."""

    configuration: Ref
    name: str
    service: Ref | None
    """Behind which nothing is ready; None: it is asked by URL, and nobody here knows."""
    rules: tuple[Body, ...]
    namespaces: Body = field(default_factory=dict)
    """Its namespaceSelector."""
    selects_objects: bool = False
    """It is about objects with some labels only."""
    host: str = ""
    """Host and port of the URL that it is asked by. What else a URL has may be a password."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster that answers."""

    context: str
    server: str
    uid: str
    """Empty if we may not know it; ``unidentified`` says why."""
    version: str
    user: str
    """The name by which it knows us; empty if it does not say."""
    unidentified: Problem | None = None
    clock_ahead: float | None = None
    """Seconds by which its clock is ahead of ours; None if it does not say."""
    silent: tuple[Gap, ...] = ()
    """Groups whose API service does not answer."""
    missing: tuple[Need, ...] | None = None
    """What is not allowed; None if it does not say."""
    holder: Holder | None = None
    """The run that works on it now."""
    snapshots: SnapshotFacts | None = None
    """None where they do not matter."""
    hooks: tuple[Hook, ...] | None = ()
    """None if we may not look; none are looked for where they do not matter."""
    terminating: Mapping[str, str] | None = field(default_factory=dict)
    """Namespaces that are being deleted, with what holds them. None if we may not look."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks of ``doctor`` are about."""

    job: Job
    git: str | None
    """Its version; None if there is none that can be used, and ``git_problem`` says why."""
    git_problem: Problem | None = None
    repository: RepositoryFacts | None = None
    repository_problem: Problem | None = None
    cluster: ClusterFacts | None = None
    """The one that the job writes to, or reads."""
    cluster_problem: Problem | None = None
    target: str = ""
    """Name of the target that is meant; empty: the source itself."""
    target_problem: Problem | None = None
    source: SourceFacts | None = None
    """None where it does not matter, or nobody knows which it is."""
