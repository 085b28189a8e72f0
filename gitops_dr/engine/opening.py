"""Opens what every verb works between: a repository, the settings in it, a cluster. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.config import FILE, ClusterSettings, cluster_settings
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


def open_repo(where: Where, emit: Emit = silent) -> Opened:
    """Find the repository and settle which cluster is meant.

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
    )
    configuration = repo.blob_id(text) if text is not None else ""
    return Opened(repo, commit, settings, trust, configuration)


def open_cluster(where: Where, settings: ClusterSettings) -> Connection:
    """Connect by the context that flag, environment or settings name, or else the current one."""
    return connect(where.kubeconfig, settings.context.value if settings.context else None)
