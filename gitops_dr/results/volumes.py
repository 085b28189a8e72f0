"""What is known of recovery points and of the data in volumes, and what was done to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gitops_dr.model import Gap, Omission, Ref
from gitops_dr.results.rebuild import Goal

if TYPE_CHECKING:
    from gitops_dr.volumes.in_place import Workload
    from gitops_dr.volumes.records import SnapshotRecord
    from gitops_dr.volumes.retention import Verdict


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention keeps and lets go."""

    cluster: str
    kept: tuple[Verdict, ...]
    going: tuple[SnapshotRecord, ...]
    elsewhere: tuple[SnapshotRecord, ...]
    """Not kept, but not in this cluster either, so that it cannot delete them."""
    left_over: tuple[Ref, ...]
    """VolumeSnapshots that earlier runs should have deleted."""
    dry_run: bool
    commit: str | None = None
    """The commit that says that they are gone; None if none was needed."""
    gaps: tuple[Gap, ...] = ()
    """What could not be deleted; the next run tries again."""

    def done(
        self, *, commit: str | None, left_over: tuple[Ref, ...], gaps: tuple[Gap, ...]
    ) -> Pruned:
        """The same, once it was carried out."""
        return replace(self, commit=commit, left_over=left_over, gaps=gaps)


@dataclass(frozen=True, slots=True)
class VolumeStanding:
    """One claim of the cluster, and how its data is protected."""

    claim: Ref
    driver: str
    """Empty where it is no CSI driver's."""
    size: str
    workload: str
    """What uses it; empty for nothing."""
    record: SnapshotRecord | None
    """Its newest snapshot that is still there."""
    reason: str
    """Why it is not protected; empty if it is."""


@dataclass(frozen=True, slots=True)
class ClaimRestore:
    """One claim that is filled from a snapshot by ``volumes restore``."""

    claim: Ref
    """The claim that has the data then."""
    record: SnapshotRecord
    old_volume: str = ""
    """In place: the PersistentVolume that it has now, which is kept."""
    volume: str = ""
    """Its new PersistentVolume; empty as long as it has none."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What ``volumes restore`` would do, or is about to do."""

    goal: Goal
    in_place: bool
    claims: tuple[ClaimRestore, ...]
    workloads: tuple[Workload, ...] = ()
    """Those that are stopped meanwhile."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumesRestored:
    """What ``volumes restore`` did."""

    plan: RestorePlan
    dry_run: bool
    claims: tuple[ClaimRestore, ...] = ()
    """With their new volumes."""
    reason: str = ""
    """Why it failed and was taken back; empty if it did not."""
    hint: str = ""
    problems: tuple[str, ...] = ()
    """What is not as it should be: a workload that does not run, something not taken back."""

    @property
    def complete(self) -> bool:
        """It was carried out, and nothing is wrong."""
        return not (self.reason or self.problems)


@dataclass(frozen=True, slots=True)
class PointVolume:
    """One volume of a recovery point."""

    record: SnapshotRecord
    gone: bool
    """Its snapshot was pruned since."""


@dataclass(frozen=True, slots=True)
class Point:
    """One recovery point: a commit that an export made."""

    commit: str
    time: datetime
    """When it was committed, with its time zone."""
    subject: str
    source: str
    """UID of the cluster that was exported."""
    version: str
    """Its Kubernetes version."""
    objects: int
    omissions: tuple[Omission, ...]
    gaps: tuple[Gap, ...]
    """Objects that it lacks, and claims that could not be captured."""
    torn: str
    """Kinds that are not of the moment of the others; empty for none."""
    volumes: tuple[PointVolume, ...]

    @property
    def usable(self) -> tuple[SnapshotRecord, ...]:
        """The snapshots that are still there."""
        return tuple(volume.record for volume in self.volumes if not volume.gone)

    @property
    def objects_only(self) -> bool:
        """It had volumes, and none of their snapshots is there any more."""
        return bool(self.volumes) and not self.usable

    @property
    def complete(self) -> bool:
        """Nothing is known to be lacking."""
        return not (self.gaps or self.torn or any(volume.gone for volume in self.volumes))
