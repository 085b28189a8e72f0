"""Progress on stderr: plain lines in a pipe, a live line on a terminal, nothing when quiet."""

from io import StringIO

import pytest

from gitops_dr.cli import progress as module
from gitops_dr.cli.progress import Progress
from gitops_dr.events import (
    Advanced,
    Event,
    Notice,
    PhaseEnded,
    PhaseStarted,
    StepEnded,
    Waiting,
)
from gitops_dr.model import Action, Outcome, Ref, Result

POD = Ref("", "Pod", "shop", "web")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def step(result: Result, reason: str = "") -> StepEnded:
    return StepEnded(Outcome(POD, Action.CREATE, result, reason))


def shown(*events: Event, quiet: bool = False, out: StringIO | None = None) -> str:
    out = out or StringIO()
    progress = Progress(quiet=quiet, out=out)
    with progress.showing():
        for event in events:
            progress(event)
    return out.getvalue()


EVENTS = (
    PhaseStarted("observe", 3),
    Advanced("observe", 1, "pods"),
    Notice("a file has changes"),
    step(Result.DONE),
    step(Result.UNOBSERVABLE, "reports nothing"),
    step(Result.FAILED, "422 (Invalid)"),
    PhaseEnded("observe", 1.26, 12),
    PhaseEnded("commit", 0.5),
)


def test_in_a_pipe_each_event_that_matters_is_a_line() -> None:
    assert shown(*EVENTS).splitlines() == [
        "observe ...",
        "a file has changes",
        "failed: Pod/shop/web: 422 (Invalid)",
        "observe done (1.3 s, 12)",
        "commit done (0.5 s)",
    ]


def test_quiet_says_nothing_and_still_measures() -> None:
    for out in (StringIO(), Terminal()):
        assert shown(*EVENTS, quiet=True, out=out) == ""
    progress = Progress(quiet=True)
    for event in EVENTS:
        progress(event)
    assert progress.seconds == {"observe": 1.26, "commit": 0.5}


def test_a_phase_that_comes_twice_is_added_up_in_its_first_place() -> None:
    progress = Progress(quiet=True)
    for name, seconds in (("observe", 1.0), ("plan", 0.5), ("observe", 2.0)):
        progress(PhaseEnded(name, seconds))
    assert list(progress.seconds.items()) == [("observe", 3.0), ("plan", 0.5)]


def test_in_a_pipe_a_phase_speaks_only_now_and_then(clock: Clock) -> None:
    out = StringIO()
    progress = Progress(quiet=False, out=out)
    progress(PhaseStarted("apply", 200))
    for number in range(1, 101):
        clock.now += 0.125
        progress(Advanced("apply", number))
    assert out.getvalue().splitlines() == ["apply ...", "apply: 40 of 200", "apply: 80 of 200"]


def test_what_is_waited_for_is_said_until_it_came(clock: Clock) -> None:
    out = StringIO()
    progress = Progress(quiet=False, out=out)
    progress(PhaseStarted("apply"))
    clock.now += 6
    progress(Waiting(POD, "0 of 1 ready"))
    progress(step(Result.DONE))
    clock.now += 6
    progress(Advanced("apply", 2))
    assert out.getvalue().splitlines() == [
        "apply ...",
        "apply: 0  waiting for Pod/shop/web: 0 of 1 ready",
        "apply: 2",
    ]


def test_a_hostile_reason_stays_one_line_that_moves_nothing() -> None:
    for out in (StringIO(), Terminal()):
        text = shown(step(Result.FAILED, "x\x1b[2J\ny"), Notice("z\u202e"), out=out)
        assert "x\\u001b[2J\\u000ay" in text
        assert "\u202e" not in text


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


def test_on_a_terminal_failures_and_notices_stay(terminal: Terminal) -> None:
    text = shown(*EVENTS, step(Result.FAILED, "no more ..."), out=terminal)
    for kept in ("a file has changes", "web: 422 (Invalid)", "web: no more ..."):
        assert f"{kept}\n" in text
    for passing in ("observe ...", "observe done (1.3 s, 12)"):
        assert f"{passing}\n" not in text


def test_on_a_terminal_nobody_writes_while_a_person_is_asked(terminal: Terminal) -> None:
    progress = Progress(quiet=False, out=terminal)
    with progress.showing():
        progress(PhaseStarted("plan"))
        live = progress._live
        assert live is not None
        assert live._live.is_started
        with progress.paused():
            assert not live._live.is_started
        assert live._live.is_started
    assert not live._live.is_started


def test_the_terminal_is_given_back_when_the_work_fails(terminal: Terminal) -> None:
    progress = Progress(quiet=False, out=terminal)
    with pytest.raises(ValueError, match="x"), progress.showing(), progress.paused():
        raise ValueError("x")
    progress(Notice("after"))
    assert terminal.getvalue().endswith("after\n")
    assert "\x1b[?25h" in terminal.getvalue()


def test_pausing_in_a_pipe_is_nothing() -> None:
    with Progress(quiet=False, out=StringIO()).paused():
        pass
