"""What the flags of a failover say, and the questions that --yes does not answer."""

from __future__ import annotations

import io

import pytest

from gitops_dr import cli
from gitops_dr.cli.failover import _confirmed_dead
from gitops_dr.cli.progress import Progress
from gitops_dr.errors import ExitCode, RefusedError
from gitops_dr.model import Identity, Plan
from gitops_dr.results.failover import FailoverPlan
from gitops_dr.results.rebuild import Goal, Planned

GOAL = Goal("prod", "c" * 40, "standby", "https://192.0.2.1", Identity("U", "v1", "1"))
PLAN = FailoverPlan(Planned(GOAL, Plan(()), "d", 0, ()), "prod", "primary", "no answer")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("yes", "says"),
    [(True, "yes\n"), (False, None), (False, "no\n"), (False, "")],
    ids=["--yes is no such word", "nobody is there", "no", "nothing"],
)
def test_unreachable_is_not_dead(
    monkeypatch: pytest.MonkeyPatch, yes: bool, says: str | None
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO() if says is None else Terminal(says))
    confirm = _confirmed_dead(Progress(quiet=True), yes=yes)
    with pytest.raises(RefusedError):
        confirm(PLAN)


def test_a_person_may_say_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    _confirmed_dead(Progress(quiet=True), yes=False)(PLAN)


def test_one_cannot_both_stop_it_and_say_that_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["failover", "--target", "standby", "--fence", "--fenced"])
    assert code == ExitCode.USAGE
    assert "--fence with --fenced" in capsys.readouterr().err


def test_a_target_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["failover"]) == ExitCode.USAGE
    assert "--target" in capsys.readouterr().err
