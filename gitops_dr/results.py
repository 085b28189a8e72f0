"""What the verbs hand to the reports: frozen results made of the words of the rooms below. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gitops_dr.model import (
    GOOD_ENDS,
    Action,
    Body,
    Difference,
    FieldChange,
    Gap,
    Identity,
    Omission,
    Outcome,
    Plan,
    Presence,
    Ref,
    Result,
)

# Each verb needs some of these only, and none needs them here while it runs.
if TYPE_CHECKING:
    from gitops_dr.checks.findings import Checked
    from gitops_dr.checks.needs import Job
    from gitops_dr.desired.outside import Outside
    from gitops_dr.drift.ignore import RuleUse
    from gitops_dr.drift.threeway import Standing
    from gitops_dr.planning.saved import SavedPlan
    from gitops_dr.volumes.in_place import Workload
    from gitops_dr.volumes.records import SnapshotRecord
    from gitops_dr.volumes.retention import Verdict


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What would stop a job, or should be known before it."""

    job: Job
    cluster: str
    """Whose State in Git; empty if nobody knows which is meant."""
    context: str
    server: str
    """Where it was asked; empty if it could not be reached."""
    checks: tuple[Checked, ...]
    missing: tuple[Body, ...]
    """The manifests that allow what is not allowed; none if nothing is lacking."""


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


@dataclass(frozen=True, slots=True)
class Merge:
    """What merging would do to one object of the cluster."""

    ref: Ref
    action: Action
    changes: tuple[FieldChange, ...] = ()
    """``old`` is the cluster's value, ``new`` the one that would be merged."""
    reason: str = ""
    """Why nothing would be done to it (the action is skip); empty otherwise."""


@dataclass(frozen=True, slots=True)
class Against:
    """A pull request's commit beside the one that it would be merged into."""

    base: str
    """Full id of the commit that it would be merged into; drift is measured against this one."""
    merges: tuple[Merge, ...]
    """What merging would change in the cluster, sorted by Ref."""


@dataclass(frozen=True, slots=True)
class Drifted:
    """A commit and a cluster, compared."""

    cluster: str
    commit: str
    live: Identity
    differences: tuple[Difference, ...]
    equal: int
    """Objects that are the same in both."""
    gaps: tuple[Gap, ...]
    """What could not be read, so that nothing is said of it."""
    omissions: tuple[Omission, ...] = ()
    """What a rule leaves out of the comparison; ``ref.name`` may be ``ANY``."""
    existing: int = 0
    """Objects that are in the cluster, as far as it was read: compared ones and left-out ones."""
    hidden: int = 0
    """Objects of the cluster that differ, and that an ignore rule or the question left out."""
    ignored: tuple[RuleUse, ...] = ()
    """What the ignore rules hid, and the rules that are of no use."""
    against: Against | None = None
    """Set where a pull request's base was given; the differences are then the base's."""

    @property
    def compared(self) -> int:
        """How many of the existing objects were compared with Git."""
        absent = (Presence.MISSING, Presence.UNKNOWN)
        seen = sum(d.presence not in absent for d in self.differences)
        return self.equal + self.hidden + seen

    @property
    def clean(self) -> bool:
        """Nothing differs and everything could be read."""
        return not (self.differences or self.gaps)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What of the cluster was written into Git, or would be."""

    cluster: str
    source: Identity
    commit: str | None
    """The commit that was made; None if the files were written for a person to commit."""
    dry_run: bool
    differences: tuple[Difference, ...]
    """What was accepted: with the fields, of a modified object."""
    written: tuple[str, ...]
    """Paths of the files that are new or changed, below ``clusters/<cluster>/``."""
    deleted: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Files of which more changed than the fields that differ, and why."""
    refused: tuple[Gap, ...] = ()
    """What differs and was not accepted."""
    left: tuple[str, ...] = ()
    """Files that somebody edited meanwhile; the commit is whole, these were left."""


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


@dataclass(frozen=True, slots=True)
class HeldBack:
    """One object that acts outward and does not yet."""

    ref: Ref
    field: str
    """By which it is held; empty if it is not made yet."""
    because: str
    """What it does."""


@dataclass(frozen=True, slots=True)
class Outwards:
    """What acts outward and is held until all else is there."""

    held: tuple[HeldBack, ...] = ()
    stays: str = ""
    """Why it stays held in the end; empty if it is released then."""
    command: str = ""
    """What releases it, if it stays."""

    @property
    def is_released(self) -> bool:
        """Whether there is something to release in the end."""
        return bool(self.held) and not self.stays


NOTHING_OUTWARD = Outwards()


@dataclass(frozen=True, slots=True)
class Goal:
    """From which commit, into which cluster: what a person checks before saying yes."""

    cluster: str
    """Whose State in Git."""
    commit: str
    context: str
    server: str
    target: Identity
    committed: datetime | None = None
    """When the commit was made."""
    asked: datetime | None = None
    """When the person asked: what the RPO is counted to."""
    name: str = ""
    """Of the target in the repository; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a rebuild would do, or is about to do."""

    goal: Goal
    plan: Plan
    digest: str
    """Names this very plan for this very target."""
    equal: int
    """Objects that are there and as they should be."""
    gaps: tuple[Gap, ...]
    """What cannot come back or could not be looked at."""
    blocked: tuple[Gap, ...] = ()
    """What stops the rebuild before its first write."""
    restored: tuple[SnapshotRecord, ...] = ()
    """The snapshots that claims are filled from, by claim."""
    saved: SavedPlan | None = None
    """As it may be kept in a file, to be held against a later one."""
    outward: Outwards = NOTHING_OUTWARD
    """What acts outward and is held."""
    checks: tuple[Checked, ...] = ()
    """What was looked at before, and what of it is not as it should be."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What bringing a cluster to a commit did."""

    rebuilt: Rebuilt
    before: str
    """The commit that it was last brought to; empty if nobody knows."""
    pruned: tuple[Outcome, ...] = ()
    """What became of the objects that left Git."""
    kept: tuple[tuple[Ref, str], ...] = ()
    """Objects that left Git and stay in the cluster, each with the reason."""

    @property
    def complete(self) -> bool:
        """Whether the cluster is what the commit says, and what left Git is gone."""
        return self.rebuilt.complete and all(outcome.result in GOOD_ENDS for outcome in self.pruned)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did and what it left."""

    planned: Planned
    outcomes: tuple[Outcome, ...]
    differences: tuple[Difference, ...]
    """The comparison once everything was done, without what a rule leaves alone."""
    equal: int
    gaps: tuple[Gap, ...]
    """What did not come back or could not be looked at."""
    held: tuple[Difference, ...] = ()
    """What came back held, so that it does not run a second time."""
    outside: Outside | None = None
    """What is another for the outside; None if nobody looked."""
    outward: Outwards = NOTHING_OUTWARD
    """What acts outward and is held still."""
    released: tuple[Outcome, ...] = ()
    """What became of that which was released."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The steps that did not come to a good end."""
        every = (*self.outcomes, *self.released)
        return tuple(outcome for outcome in every if outcome.result not in GOOD_ENDS)

    @property
    def open_differences(self) -> tuple[Difference, ...]:
        """What Git wants and the cluster has not; what only the cluster has is its own affair."""
        return tuple(d for d in self.differences if d.presence is not Presence.UNMANAGED)

    @property
    def complete(self) -> bool:
        """Everything is there as Git has it, and nothing says that it is not ready."""
        return not (self.failed or self.open_differences or self.gaps)


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
class GivenBack:
    """What of a source that was stopped for a failover runs again."""

    cluster: str
    context: str
    objects: tuple[Ref, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reverting:
    """What a revert would do, or is about to do."""

    planned: Planned
    """Its gaps are what cannot be reverted."""
    differences: tuple[Difference, ...]
    """What it is about: with the fields that are meant, of a modified object."""
    unmanaged: tuple[Ref, ...] = ()
    """Objects that are only in the cluster: a revert never deletes any."""

    @property
    def steps(self) -> tuple[Difference, ...]:
        """The differences that would be taken back."""
        refs = {step.ref for step in self.planned.plan.steps if step.action is not Action.SKIP}
        return tuple(difference for difference in self.differences if difference.ref in refs)


@dataclass(frozen=True, slots=True)
class Reverted:
    """What a revert did and what it left."""

    reverting: Reverting
    outcomes: tuple[Outcome, ...]
    left: tuple[Difference, ...]
    """What still differs of that which it was about."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The steps that did not come to a good end; an object may be ready later."""
        good = GOOD_ENDS | {Result.UNREADY}
        return tuple(outcome for outcome in self.outcomes if outcome.result not in good)

    @property
    def complete(self) -> bool:
        """Nothing of it differs any more."""
        return not (self.failed or self.left or self.reverting.planned.gaps)
