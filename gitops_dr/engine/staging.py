"""Keeps account of the stages of an execution: what may start, and what waits for an earlier one.

No I/O. What changes others and has nobody behind it that is known to be ready goes into a later
stage of its own (``order.yaml``, ``unbacked``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gitops_dr.model import Outcome, Ref
from gitops_dr.planning.tiers import stage, unbacked_stage


@dataclass(slots=True)
class Stages:
    """The steps that have not ended yet, by stage."""

    _left: Counter[int] = field(default_factory=Counter)
    _held: list[Ref] = field(default_factory=list)
    """Those that nothing holds but their stage."""
    _unbacked: dict[Ref, str] = field(default_factory=dict)
    """Those that come in their later stage, and why."""

    @classmethod
    def of(cls, refs: Iterable[Ref]) -> Stages:
        """The stages of these steps, of which none has begun."""
        return cls(Counter(stage(ref.group_kind) for ref in refs))

    def may_start(self, ref: Ref) -> bool:
        """Whether its stage has begun; if not, it is kept until :meth:`ended` gives it back."""
        at = self._stage(ref)
        if not any(left for earlier, left in self._left.items() if earlier < at):
            return True
        self._held.append(ref)
        return False

    def ended(self, ref: Ref) -> list[Ref]:
        """Note that a step has ended; returns those whose stage may have begun by that."""
        return self._leave(self._stage(ref))

    def can_come_later(self, ref: Ref) -> bool:
        """Whether a step has a later stage, and is not in it yet."""
        return ref not in self._unbacked and unbacked_stage(ref.group_kind) > self._stage(ref)

    def come_later(self, ref: Ref, why: str) -> list[Ref]:
        """Put a step that has not started into its later stage; returns what :meth:`ended` does."""
        before = self._stage(ref)
        self._unbacked[ref] = why
        self._left[self._stage(ref)] += 1
        return self._leave(before)

    def told(self, outcome: Outcome) -> Outcome:
        """An outcome, with why it came so late if it did."""
        late = self._unbacked.get(outcome.ref)
        reason = "; ".join(filter(None, [outcome.reason, late]))
        return replace(outcome, reason=reason) if late else outcome

    def _stage(self, ref: Ref) -> int:
        return (unbacked_stage if ref in self._unbacked else stage)(ref.group_kind)

    def _leave(self, at: int) -> list[Ref]:
        self._left[at] -= 1
        if self._left[at]:
            return []
        held, self._held = self._held, []
        return held
