"""What an export did. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_dr.model import Gap, Identity, Omission

if TYPE_CHECKING:
    from gitops_dr.drift.threeway import Standing
    from gitops_dr.volumes.records import SnapshotRecord


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of our commits at a remote."""

    place: str
    """The remote and its branch, without credentials; empty if nobody knows which is meant."""
    commit: str | None
    """The commit that HEAD is at now; the remote branch too, unless there is a reason."""
    replayed: bool = False
    """Our commits were put on top of what others had pushed."""
    left: tuple[str, ...] = ()
    """Files that others have changed and somebody has edited here; these were left."""
    reason: str = ""
    """Why it was not pushed; empty if it was."""
    hint: str = ""
    refused: bool = False
    """It was not pushed because that would have needed somebody's word."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export found and did."""

    cluster: str
    source: Identity
    commit: str | None
    """The recovery point: the new commit, or the one that says the same; None before the first."""
    created: bool
    """A commit was made."""
    objects: int
    written: tuple[str, ...]
    """Paths of the files that are new or changed, below ``clusters/<cluster>/``."""
    deleted: tuple[str, ...]
    omissions: tuple[Omission, ...]
    gaps: tuple[Gap, ...]
    torn: tuple[str, ...]
    """Kinds that are not of the same moment as the others."""
    left: tuple[str, ...]
    """Files that somebody edited during the export; the commit is whole, these were left."""
    dry_run: bool
    pending: tuple[Standing, ...] = ()
    """Changed in Git only, and not applied yet: Git's version stays."""
    conflicts: tuple[Standing, ...] = ()
    """Changed in Git and, otherwise, in the cluster: Git's version stays until somebody decides."""
    snapshots: tuple[SnapshotRecord, ...] = ()
    """The volumes that were captured for this recovery point."""
    pushed: Pushed | None = None
    """What became of it at a remote, if it was to be pushed."""
