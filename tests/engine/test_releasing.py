"""What keeps that which acts outward from being released: whatever is not as it was foreseen."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gitops_dr.engine import releasing
from gitops_dr.engine.carrying import Carried
from gitops_dr.model import Action, Difference, Gap, Outcome, Presence, Ref, Result
from gitops_dr.planning.selection import EVERYTHING, Intent, Release
from gitops_dr.results.rebuild import HeldBack, Outwards, Rebuilt

WEB = Ref("apps", "Deployment", "shop", "web")
JOB = Ref("batch", "CronJob", "shop", "nightly")
FORESEEN, NEW = Gap(WEB, "was known"), Gap(WEB, "is new")
HELD = Outwards((HeldBack(JOB, "spec.suspend", "It sends mail."),))


def outcome(result: Result) -> Outcome:
    return Outcome(WEB, Action.CREATE, result)


def difference(presence: Presence, ref: Ref = WEB) -> Difference:
    return Difference(ref, presence, "x")


def carried_out(
    patch: pytest.MonkeyPatch,
    intent: Intent = EVERYTHING,
    held: Outwards = HELD,
    differences: tuple[Difference, ...] = (),
    **more: Any,
) -> Rebuilt | str:
    """What comes of a plan that came to such a result; the word \"released\" if it is released."""
    goal = SimpleNamespace(name="", commit="c0ffee" * 6 + "abcd")
    planned: Any = SimpleNamespace(outward=held, gaps=(FORESEEN,), goal=goal)
    recorded = SimpleNamespace(
        tree=SimpleNamespace(endpoints=lambda: None), rewriter=SimpleNamespace(held={JOB: None})
    )
    seen: Any = SimpleNamespace(recorded=recorded, differences=differences)
    prepared: Any = SimpleNamespace(planned=planned, examined=seen, chosen=frozenset())
    rebuilt = replace(Rebuilt(planned, (), differences, 1, (FORESEEN,)), **more)
    released: Any = Carried(replace(rebuilt, equal=-1), seen)
    patch.setattr(releasing, "carry", lambda *_, **__: Carried(rebuilt, seen))
    patch.setattr(releasing, "release", lambda *_, **__: released)
    patch.setattr(releasing, "what_changed", lambda *_, **__: None)
    patch.setattr(releasing, "note_rest", lambda *_: None)
    found = releasing.carry_out_and_release(prepared, intent)
    return "released" if found.equal == -1 else found


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"gaps": (FORESEEN,)},
        {"outcomes": (outcome(Result.DONE), outcome(Result.UNOBSERVABLE))},
        {"differences": (difference(Presence.UNMANAGED),)},
    ],
    ids=str,
)
def test_it_is_released_when_everything_else_is_there(monkeypatch, result: Any) -> None:
    assert carried_out(monkeypatch, **result) == "released"


@pytest.mark.parametrize(
    ("result", "stays"),
    [
        ({"outcomes": (outcome(Result.FAILED),)}, f"{WEB} is failed"),
        ({"outcomes": (outcome(Result.UNREADY),)}, f"{WEB} is unready"),
        ({"differences": (difference(Presence.MISSING),)}, f"{WEB} is missing"),
        ({"differences": (difference(Presence.UNKNOWN),)}, f"{WEB} is unknown"),
        ({"gaps": (FORESEEN, NEW)}, f"{WEB}: is new"),
    ],
    ids=str,
)
def test_it_stays_held_otherwise_unless_that_is_asked_for(
    monkeypatch, result: Any, stays: str
) -> None:
    found = carried_out(monkeypatch, **result)
    assert isinstance(found, Rebuilt)
    assert found.outward.stays == stays
    assert found.outward.command == "gitops-dr rebuild --release --at c0ffeec0ffee"
    always = Intent(release=Release.ALWAYS)
    assert carried_out(monkeypatch, always, **result) == "released"


def test_what_was_to_stay_held_stays_so(monkeypatch) -> None:
    kept = replace(HELD, stays="--no-release was said", command="do it")
    found = carried_out(monkeypatch, held=kept)
    assert isinstance(found, Rebuilt)
    assert found.outward == kept


def test_what_is_not_held_is_not_released(monkeypatch) -> None:
    """Somebody else has changed it, or it did not come: that is for a person to judge."""
    always = Intent(release=Release.ALWAYS)
    found = carried_out(monkeypatch, always, differences=(difference(Presence.MODIFIED, JOB),))
    assert isinstance(found, Rebuilt)
    assert found.outward == Outwards()
    assert not found.complete


def test_where_nothing_is_held_nothing_is_looked_at(monkeypatch) -> None:
    found = carried_out(monkeypatch, held=Outwards())
    assert isinstance(found, Rebuilt)
    assert found.outward == Outwards()
