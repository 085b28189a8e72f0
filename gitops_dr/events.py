"""Typed progress events. Pure data: whoever works calls ``emit(event)``, whoever shows listens.

The terminal, the plain lines of a pipeline and the timing of each phase (RTO) are all made from
these; nothing below ``cli/`` prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gitops_dr.model import Outcome, Ref


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A named part of the work begins; ``total`` is its number of units, 0 if not known."""

    phase: str
    total: int = 0


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    """That part ended after ``seconds``; ``count`` units were done."""

    phase: str
    seconds: float
    count: int = 0


@dataclass(frozen=True, slots=True)
class Advanced:
    """``done`` units of the phase are done; ``subject`` says what the last one was."""

    phase: str
    done: int
    subject: str = ""


@dataclass(frozen=True, slots=True)
class StepEnded:
    """One step of a plan came to its end, good or bad.

    It is told a second time if what became of its object turns out later to be something else: it
    is not ready in time, or could not be linked to its owner.
    """

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can start until ``ref`` is ready; ``reason`` is what it still lacks."""

    ref: Ref
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A line that a person should see although nothing failed."""

    text: str


Event = PhaseStarted | PhaseEnded | Advanced | StepEnded | Waiting | Notice
Emit = Callable[[Event], None]


def silent(_event: Event) -> None:
    """An ``Emit`` for callers that want no progress."""


@contextmanager
def phase(name: str, emit: Emit, total: int = 0) -> Iterator[None]:
    """Tell that a part of the work begins, of ``total`` units, and that it ends unless it fails."""
    started = time.monotonic()
    emit(PhaseStarted(name, total))
    yield
    emit(PhaseEnded(name, time.monotonic() - started, total))
