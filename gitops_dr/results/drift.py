"""What differs, and what was accepted or put back of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_dr.model import (
    GOOD_ENDS,
    Action,
    Difference,
    FieldChange,
    Gap,
    Identity,
    Omission,
    Outcome,
    Presence,
    Ref,
    Result,
)
from gitops_dr.results.rebuild import Planned

if TYPE_CHECKING:
    from gitops_dr.drift.ignore import RuleUse


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
