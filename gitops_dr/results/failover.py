"""What a failover would do, and did. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gitops_dr.model import Gap, Ref
from gitops_dr.results.export import Pushed
from gitops_dr.results.rebuild import Planned, Rebuilt
from gitops_dr.results.volumes import ClaimRestore

if TYPE_CHECKING:
    from gitops_dr.volumes.records import SnapshotRecord


@dataclass(frozen=True, slots=True)
class FailoverPlan:
    """What a failover would do, or is about to do."""

    planned: Planned
    source: str
    """Name of the cluster in the repository that is failed over from."""
    source_context: str
    """How it is reached; empty if nobody says."""
    silence: str
    """Why the source does not answer, or is not known to be it; empty if it does."""
    writers: tuple[Ref, ...] = ()
    """What of the source may still write to volumes, or acts outward."""
    stops: tuple[Ref, ...] = ()
    """What is stopped at the source first."""
    last_point: bool = False
    """A last recovery point of the source is made before."""
    stale: tuple[Gap, ...] = ()
    """Claims of the target that hold other data, and are replaced."""
    continued: bool = False
    """An earlier run has begun it."""
    begun: datetime | None = None
    """When the failover began: what the RTO is counted from."""


@dataclass(frozen=True, slots=True)
class FailedOver:
    """What a failover did."""

    plan: FailoverPlan
    rebuilt: Rebuilt
    point: str
    """Full id of the commit that the target was brought to."""
    exported: datetime | None
    """When the source was last exported, as far as that commit knows."""
    records: tuple[SnapshotRecord, ...]
    """The snapshots that the target's claims have their data from."""
    commit: str
    """Full id of the commit that says that the target is active."""
    left: tuple[str, ...] = ()
    """Targets that are no longer active."""
    made_point: bool = False
    """The recovery point is the last one of the source, made by this failover."""
    stopped: datetime | None = None
    """Since when the source is stopped by a failover; None if it is not. RPO is counted to then."""
    replaced: tuple[ClaimRestore, ...] = ()
    pushed: Pushed | None = None
    ended: datetime | None = None

    @property
    def complete(self) -> bool:
        """Everything is there as the recovery point has it, and nothing says otherwise."""
        return self.rebuilt.complete


@dataclass(frozen=True, slots=True)
class AlreadyActive:
    """What there was to do: nothing, because an earlier failover to the target has ended."""

    source: str
    """Name of the cluster in the repository that was failed over from."""
    target: str
    commit: str
    """Full id of the commit that says that the target is active."""
    point: str
    """Full id of the recovery point that it was brought to then."""
    since: str
    """When that failover was complete, or a sync went on from it. RFC 3339, UTC."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What of a source that was stopped for a failover runs again."""

    cluster: str
    context: str
    objects: tuple[Ref, ...]
    problems: tuple[str, ...] = ()
