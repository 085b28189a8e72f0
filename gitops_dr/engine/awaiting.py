"""Keeps account of what was written and is not known to be ready yet. No I/O: it is told the time.

What reports nothing is neither: a step that needs it ready waits some seconds for a first word, and
so does the end where somebody reports on others of its group; then it is named as not observable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from gitops_dr.model import Outcome, Ref, Result
from gitops_dr.readiness import Readiness, timeout_of

SILENCE = 10.0
"""Seconds after which nobody waits any more for the first word of a custom resource."""

DOUBT = 15.0
"""Seconds after which nobody waits any more for what lacks something that it cannot do without."""


@dataclass(slots=True)
class Awaiting:
    """The objects that steps and the end of an execution wait for.

    All times are monotonic seconds; each object has its own clock, from when it was written.
    """

    timeout: float
    """Seconds that an object may take to become ready, where its kind has no time of its own."""
    _last: dict[Ref, Readiness] = field(default_factory=dict)
    _written: dict[Ref, float] = field(default_factory=dict)
    _open: dict[Ref, None] = field(default_factory=dict)
    """Those that somebody may wait for, in the order in which they were written."""
    _settling: dict[Ref, float] = field(default_factory=dict)
    """Those that are ready, and when they can be relied on."""
    _silent: dict[Ref, None] = field(default_factory=dict)
    """Those that report nothing so far, whether anybody waits for them or not."""
    _doubtful: dict[Ref, str] = field(default_factory=dict)
    """Those that cannot become ready unless somebody else helps, and why."""
    _given_up: set[Ref] = field(default_factory=set)
    _not_ours: set[Ref] = field(default_factory=set)
    _spoken: dict[str, float] = field(default_factory=dict)
    """API groups on whose objects somebody reports, and when that was first seen."""
    _news: dict[str, float] = field(default_factory=dict)
    """API groups, and when something was last seen to change in one."""

    def written(self, ref: Ref, found: Readiness, now: float, *, ours: bool = True) -> None:
        """Take in an object that is there, ``found`` as its write or its read gave it.

        ``ours``: the step did what it was to do. Steps may need what is not ours to be ready, but
        the end does not wait for it.
        """
        # The watch may have been faster; what it saw is newer.
        last = self._last.setdefault(ref, found)
        self._written[ref] = now
        if not ours:
            self._not_ours.add(ref)
        self._hear(ref, last, now)
        if not (last.ready and last.observable):
            self._open[ref] = None
        self._let_settle(ref, last, now)

    def seen(self, ref: Ref, found: Readiness, now: float) -> bool:
        """Take in what a watch has seen.

        Returns whether it was waited for, and whoever needs it may now go on.
        """
        was = self._last.get(ref)
        self._last[ref] = found
        if was is not None and was != found:
            self._news[ref.group] = now
        self._hear(ref, found, now)
        if found.ready and found.observable:
            waited_for = ref in self._open
            self._open.pop(ref, None)
            if waited_for:
                self._let_settle(ref, found, now)
            return waited_for and ref not in self._settling
        if found.usable:
            return ref in self._open and not (was and was.usable)
        if not found.ready and ref in self._given_up and was is not None and not was.observable:
            # It has a controller after all, and that one says what is lacking.
            self._given_up.discard(ref)
            self._open[ref] = None
        return False

    def doubt(self, ref: Ref, why: str) -> None:
        """Note that an object lacks something that it cannot do without, before it is written.

        Somebody else may still bring it, so it is waited for a little.
        """
        self._doubtful[ref] = why

    def waits(self, ref: Ref) -> bool:
        """Whether a step that needs the object ready still has to wait."""
        return ref in self._settling or (ref in self._open and not self._last[ref].usable)

    def settled(self, now: float) -> list[Ref]:
        """Those that can be relied on from now on."""
        done = [ref for ref, due in self._settling.items() if due <= now]
        for ref in done:
            del self._settling[ref]
        return done

    def unsure(self, ref: Ref) -> str:
        """Why nobody knows an object to be ready; empty if it is, or if its kind always is."""
        last = self._last.get(ref)
        return last.reason if last and not (last.ready and last.observable) else ""

    def lacks(self, ref: Ref) -> str:
        """What an object lacks that nobody waits for any more; empty if nothing says so."""
        last = self._last.get(ref)
        return last.reason if ref in self._given_up and last and not last.ready else ""

    def never(self, ref: Ref) -> str:
        """Why an object will not become ready by waiting; empty if it may."""
        last = self._last.get(ref)
        return last.reason if ref in self._given_up and last and last.failed else ""

    def give_up(self, now: float) -> list[Ref]:
        """Stop waiting for those whose time is over, or that will never be ready; returns them."""
        late = [ref for ref in self._open if self._is_late(ref, now)]
        for ref in late:
            del self._open[ref]
            self._given_up.add(ref)
        return late

    def given_up(self) -> list[Ref]:
        """Those that nobody waits for any more and that were not ready when last seen."""
        return [ref for ref in self._given_up if not self._last[ref].ready]

    def holds_the_end(self, now: float) -> bool:
        """Whether the end would come too early: something may still become ready, or report."""
        return any(True for _ in self._unsettled(now))

    def first(self, now: float) -> tuple[Ref, str] | None:
        """One object that is waited for, and what it lacks; ``None`` if there is none."""
        ref = next(chain(self._unsettled(now), self._open), None)
        return (ref, self._last[ref].reason) if ref is not None else None

    def verdict(self, outcome: Outcome) -> Outcome:
        """What came of a step in the end, given what came of its request."""
        last = self._last.get(outcome.ref)
        if last is None or outcome.result not in (Result.DONE, Result.PRESENT):
            return outcome
        if not last.observable:
            return _changed(outcome, Result.UNOBSERVABLE, last.reason)
        if outcome.ref in self._given_up and not last.ready:
            reason = "; ".join(filter(None, [last.reason, self._doubtful.get(outcome.ref)]))
            return _changed(outcome, Result.UNREADY, reason)
        return outcome

    def _hear(self, ref: Ref, found: Readiness, now: float) -> None:
        if found.observable:
            self._spoken.setdefault(ref.group, now)
            self._silent.pop(ref, None)
        elif ref in self._written:
            self._silent[ref] = None

    def _let_settle(self, ref: Ref, found: Readiness, now: float) -> None:
        if found.ready and found.settles:
            self._settling[ref] = now + found.settles

    def _is_late(self, ref: Ref, now: float) -> bool:
        last = self._last[ref]
        limit = timeout_of(ref.group_kind, self.timeout)
        if not last.observable:
            limit = min(SILENCE, self.timeout)
        if ref in self._doubtful:
            limit = min(limit, DOUBT)
        late = now - self._written[ref] > limit
        if last.patience is not None:
            # A controller with much to do takes one after the other.
            quiet = now - max(self._written[ref], self._news.get(ref.group, 0.0))
            late = late or quiet > last.patience
        return last.failed or late

    def _unsettled(self, now: float) -> Iterator[Ref]:
        """What the end waits for."""
        for ref in self._open:
            if ref not in self._silent and ref not in self._not_ours:
                yield ref
        for ref in self._silent:
            spoken = self._spoken.get(ref.group)
            if spoken is None or ref in self._not_ours:
                continue
            if now - max(spoken, self._written[ref]) <= min(SILENCE, self.timeout):
                yield ref


def _changed(outcome: Outcome, result: Result, reason: str) -> Outcome:
    """The outcome with another result; what its request had to say is kept."""
    return replace(outcome, result=result, reason="; ".join(filter(None, [reason, outcome.reason])))
