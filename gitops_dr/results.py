"""What the verbs hand to the reports: frozen results made of the words of the rooms below. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gitops_dr.drift.threeway import Standing
from gitops_dr.model import (
    Action,
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


@dataclass(frozen=True, slots=True)
class RuleUse:
    """What one ignore rule of ``gitops-dr.yaml`` did in a comparison."""

    rule: str
    """Where it stands, such as ``ignore[2]``, and what it names, in one line."""
    because: str
    hidden: int
    """Field changes and whole differences that it hid."""
    problem: str = ""
    """``unused``, ``expired`` or ``misspelt``, with the details; empty for a rule that works."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """What merging would do to one object of the cluster."""

    ref: Ref
    action: Action
    changes: tuple[FieldChange, ...] = ()
    """``old`` is the cluster's value, ``new`` the one that would be merged."""


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
    ignored: tuple[RuleUse, ...] = ()
    """What the ignore rules hid, and the rules that are of no use."""
    against: Against | None = None
    """Set where a pull request's base was given; the differences are then the base's."""

    @property
    def compared(self) -> int:
        """How many of the existing objects were compared with Git."""
        absent = (Presence.MISSING, Presence.UNKNOWN)
        return self.equal + sum(d.presence not in absent for d in self.differences)

    @property
    def clean(self) -> bool:
        """Nothing differs and everything could be read."""
        return not (self.differences or self.gaps)


@dataclass(frozen=True, slots=True)
class Goal:
    """From which commit, into which cluster: what a person checks before saying yes."""

    cluster: str
    """Whose State in Git."""
    commit: str
    context: str
    server: str
    target: Identity


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

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The steps that did not come to a good end."""
        good = (Result.DONE, Result.PRESENT)
        return tuple(outcome for outcome in self.outcomes if outcome.result not in good)

    @property
    def open_differences(self) -> tuple[Difference, ...]:
        """What Git wants and the cluster has not; what only the cluster has is its own affair."""
        return tuple(d for d in self.differences if d.presence is not Presence.UNMANAGED)

    @property
    def complete(self) -> bool:
        """Everything is there, ready and as Git has it."""
        return not (self.failed or self.open_differences or self.gaps)
