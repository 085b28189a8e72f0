"""What is planned, and what a rebuild or a sync did. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gitops_dr.model import GOOD_ENDS, Difference, Gap, Identity, Outcome, Plan, Presence, Ref

if TYPE_CHECKING:
    from gitops_dr.checks.findings import Checked
    from gitops_dr.desired.outside import Outside
    from gitops_dr.planning.saved import SavedPlan
    from gitops_dr.results.standby import ClaimsBrought, ClaimsPlan
    from gitops_dr.volumes.records import SnapshotRecord


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
    claims: ClaimsPlan | None = None
    """What of a standby's claims is replaced; None where that was not asked for."""


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
    claims: ClaimsBrought | None = None
    """What became of a standby's claims; None where they were not to be replaced."""

    @property
    def complete(self) -> bool:
        """The cluster is what the commit says, what left Git is gone, and no claim was left."""
        if self.claims is not None and self.claims.left:
            return False
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
