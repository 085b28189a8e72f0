"""Shows events on stderr: a live line on a terminal, else plain lines. Keeps each phase's time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from gitops_dr.events import (
    Advanced,
    Event,
    Notice,
    PhaseEnded,
    PhaseStarted,
    StepEnded,
    Waiting,
)
from gitops_dr.model import GOOD_ENDS
from gitops_dr.reports.text import shown

if TYPE_CHECKING:
    from rich.status import Status

PLAIN_EVERY = 5.0
"""Seconds between two plain lines about the same phase."""


class Progress:
    """Takes events; ``seconds`` is what each phase took, in the order in which they ended."""

    def __init__(self, *, quiet: bool, out: TextIO | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._out = out or sys.stderr
        self._quiet = quiet
        self._live: Status | None = None
        self._phase = ""
        self._total = 0
        self._done = 0
        self._waiting = ""
        self._said = 0.0

    @contextmanager
    def showing(self) -> Iterator[Progress]:
        """Show events while the block runs."""
        if self._quiet or not self._out.isatty():
            yield self
            return
        from rich.console import Console

        try:
            with Console(file=self._out).status("") as self._live:
                yield self
        finally:
            self._live = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal alone while a person is asked."""
        if self._live:
            self._live.stop()
        yield
        if self._live:
            self._live.start()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case PhaseStarted():
                self._phase, self._total, self._done = event.phase, event.total, 0
                self._waiting, self._said = "", time.monotonic()
                self._line(f"{event.phase} ...", passing=True)
            case Advanced():
                self._done = event.done
                self._tick()
            case Waiting():
                self._waiting = f"waiting for {event.ref}: {event.reason}"
                self._tick()
            case StepEnded(outcome) if outcome.result not in GOOD_ENDS:
                self._line(f"{outcome.result}: {outcome.ref}: {outcome.reason}")
            case StepEnded():
                self._waiting = ""
            case Notice():
                self._line(event.text)
            case PhaseEnded():
                key = event.phase
                self.seconds[key] = self.seconds.get(key, 0.0) + event.seconds
                count = f", {event.count}" if event.count else ""
                self._line(f"{event.phase} done ({event.seconds:.1f} s{count})", passing=True)

    def _line(self, text: str, *, passing: bool = False) -> None:
        """Show a line; on a terminal a ``passing`` one gives way to what comes next."""
        if self._quiet:
            return
        if self._live:
            from rich.text import Text

            if passing:
                self._live.update(Text(shown(text), no_wrap=True, overflow="ellipsis"))
            else:
                self._live.console.print(Text(shown(text)))
        else:
            print(shown(text), file=self._out, flush=True)

    def _tick(self) -> None:
        total = f" of {self._total}" if self._total else ""
        text = f"{self._phase}: {self._done}{total}  {self._waiting}".rstrip()
        if self._live:
            from rich.text import Text

            self._live.update(Text(shown(text), no_wrap=True, overflow="ellipsis"))
        elif not self._quiet and time.monotonic() - self._said >= PLAIN_EVERY:
            self._said = time.monotonic()
            self._line(text)
