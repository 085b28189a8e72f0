"""Decides when a step that came too early is tried again, and when no more.

No I/O; what an attempt came to is told by ``act.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gitops_dr.engine.act import Act
from gitops_dr.model import Ref

PATIENCE = 60.0
"""Seconds for which a step that comes too early is tried again."""

_LAST_LOOKS = 2
"""Attempts after that for one that was perhaps made: a single request without an answer takes as
long as all patience."""

_FIRST_PAUSE = 0.1
_LAST_PAUSE = 2.0
"""Seconds between two attempts: doubled from the first to the last."""


@dataclass(slots=True)
class Retries:
    """The attempts of an execution's steps."""

    timeout: float
    """Seconds that anything may take; patience never lasts longer."""
    _attempts: dict[Ref, tuple[int, float]] = field(default_factory=dict)
    """How many there were, and the moment from which patience counts."""
    _last_looks: dict[Ref, int] = field(default_factory=dict)
    _perhaps_done: set[Ref] = field(default_factory=set)

    def is_perhaps_done(self, ref: Ref) -> bool:
        """Whether one of its attempts was perhaps stored, so that the next begins with a look."""
        return ref in self._perhaps_done

    def pause(self, ref: Ref, result: Act, now: float, *, may_be_served: bool) -> float | None:
        """Seconds until the next attempt; None if what this one came to stands.

        ``now`` is monotonic; ``may_be_served``: its kind is not, and may be yet, so that patience
        has not begun.
        """
        if result.perhaps_done:
            self._perhaps_done.add(ref)
        if not result.too_early:
            return None
        count, first = self._attempts.get(ref, (0, now))
        if may_be_served:
            first = now
        looks = self._last_looks.get(ref, 0)
        in_time = now - first < patience(self.timeout)
        if not in_time and not (result.perhaps_done and looks < _LAST_LOOKS):
            return None
        self._attempts[ref] = (count + 1, first)
        self._last_looks[ref] = looks + (not in_time)
        pause: float = min(_LAST_PAUSE, _FIRST_PAUSE * 2**count)
        return pause


def patience(timeout: float) -> float:
    """Seconds for which something is tried again of which the whole may take ``timeout``."""
    return min(PATIENCE, timeout)


def pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt, without end."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(_LAST_PAUSE, 2 * pause)
