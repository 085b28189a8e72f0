"""Opens what every verb works between: a repository, the settings in it, a cluster. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.config import FILE, ClusterSettings, Setting, cluster_settings
from gitops_dr.desired.target import Target
from gitops_dr.desired.target_file import FILE as TARGET_FILE
from gitops_dr.desired.target_file import TARGETS, check_target_name
from gitops_dr.desired.target_file import read_target as read_file_of_target
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.repository.repository import Repository, head, open_repository
from gitops_dr.repository.tree import read_file
from gitops_dr.repository.trust import TRUSTED_SIGNERS, Trust, establish


@dataclass(frozen=True, slots=True)
class Where:
    """What the user said about where to work; every verb has these flags."""

    repo: Path
    cluster: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    environment: Mapping[str, str] | None = None
    trusted_signers: Path | None = None
    """A file with the keys whose signatures count, which is no part of the repository."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A repository and the cluster of it that is meant."""

    repo: Repository
    head: str | None
    """Full id of the commit at HEAD; None before the first."""
    settings: ClusterSettings
    trust: Trust
    """Whose commits may be read."""
    configuration: str = ""
    """Blob id of ``gitops-dr.yaml``; empty if there is none."""


def open_repo(where: Where, emit: Emit = silent, *, target: str | None = None) -> Opened:
    """Find the repository and settle which cluster is meant: that of ``target``, if nobody says.

    Settings are HEAD's: what is not committed yet counts only before the first commit, and a
    difference is said. Raises ``RepositoryError`` and ``UsageError``, and ``RefusedError`` before
    anything is read from a commit that nobody signed whose signature counts.
    """
    environment = where.environment or {}
    repo = open_repository(where.repo)
    commit = head(repo)
    named = where.trusted_signers or environment.get(TRUSTED_SIGNERS)
    trust = establish(repo, commit, Path(named) if named else None, emit)
    file = repo.root / FILE
    on_disk = file.read_bytes() if not repo.bare and file.is_file() else None
    text = read_file(repo, commit, FILE) if commit else None
    if text is None:
        if trust.signers and on_disk is not None:
            raise RefusedError(
                f"{FILE}: not committed, so nobody has signed it",
                hint=f"commit it, signed by one of those in {trust.source}",
            )
        text = on_disk
    elif on_disk is not None and on_disk != text:
        emit(Notice(f"{FILE}: has changes that are not committed; the committed one counts"))
    settings = cluster_settings(
        text,
        cluster=where.cluster,
        context=where.context,
        environment=environment,
        of_target=_of_target(repo, commit, target),
    )
    configuration = repo.blob_id(text) if text is not None else ""
    return Opened(repo, commit, settings, trust, configuration)


def _of_target(repo: Repository, commit: str | None, name: str | None) -> Setting | None:
    """The cluster that a target says it is one of; None if it does not, or is not there."""
    if name is None or commit is None:
        return None
    target = target_as_written(repo, commit, name)
    if target is None or not target.cluster:
        return None
    return Setting(target.cluster, f"{TARGETS}/{name}/{TARGET_FILE}")


def target_as_written(repo: Repository, commit: str, name: str) -> Target | None:
    """What the file of a target says by itself; None if it is not there.

    Raises ``UsageError`` for a name that none can have, and if the file does not fit.
    """
    check_target_name(name)
    data = read_file(repo, commit, f"{TARGETS}/{name}/{TARGET_FILE}")
    return read_file_of_target(data, name) if data is not None else None


def source_settings(opened: Opened) -> ClusterSettings:
    """The cluster's settings as HEAD has them, whatever flags and environment say of a target."""
    text = read_file(opened.repo, opened.head, FILE) if opened.head else None
    return cluster_settings(text, cluster=opened.settings.name, context=None, environment={})


def open_cluster(where: Where, settings: ClusterSettings) -> Connection:
    """Connect by the context that flag, environment or settings name, or else the current one."""
    return connect(where.kubeconfig, settings.context.value if settings.context else None)
