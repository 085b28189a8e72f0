"""The end of a rebuild waits for what operators make, and names the operator that makes nothing."""

from types import SimpleNamespace
from typing import Any

import pytest

from gitops_dr.events import Waiting
from gitops_dr.model import Entry, Gap, Ref, State
from gitops_dr.planning.selection import EVERYTHING, Intent, Selection
from gitops_dr.workflows import rebuild as workflow

DATABASE = Ref("postgresql.cnpg.io", "Cluster", "shop", "db")
CACHE = Ref("redis.example.com", "Cache", "shop", "cache")
POD, SERVICE = ("", "Pod"), ("", "Service")
ISSUER = ("cert-manager.io", "Certificate")
RECORDED = {DATABASE: (POD, SERVICE), CACHE: (POD,)}
PART = Intent(Selection(refs=frozenset({CACHE})))


class Target:
    """A cluster whose operators need so many seconds; looking at it takes one."""

    def __init__(self, patch: Any, **seconds: float) -> None:
        self.now = 0.0
        self.looks = 0
        self.seconds = seconds
        self.events: list[Any] = []
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        patch.setattr(workflow, "time", clock)
        patch.setattr(workflow, "examine", self.examine)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def examine(self, connection: Any, identity: Any, tree: Any, *, emit: Any) -> Any:
        assert (connection, identity) == ("the connection", "the target")
        self.looks += 1
        self.now += 1.0
        made = {
            DATABASE: self.so_far(pod=POD, service=SERVICE, certificate=ISSUER),
            CACHE: self.so_far(cache_pod=POD),
        }
        entries = {ref: Entry("f", "p", "v1") for ref in made}
        observation = SimpleNamespace(state=State(entries), generated=made)
        return SimpleNamespace(observation=observation, look=self.looks)

    def so_far(self, **kinds: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        late = {name: self.seconds.get(name, 0.0) for name in kinds}
        return tuple(kind for name, kind in kinds.items() if self.now >= late[name])

    def end(
        self,
        *,
        recorded: Any = RECORDED,
        intent: Intent = EVERYTHING,
        chosen: frozenset[Ref] = frozenset(),
        timeout: float = 30.0,
    ) -> tuple[Any, list[Gap]]:
        coverage = SimpleNamespace(generated=recorded) if recorded is not None else None
        prepared = SimpleNamespace(
            connection="the connection",
            chosen=chosen,
            examined=SimpleNamespace(
                recorded=SimpleNamespace(tree=SimpleNamespace(coverage=coverage))
            ),
            planned=SimpleNamespace(goal=SimpleNamespace(target="the target")),
        )
        after, dead = workflow._examine_until_generated(
            prepared,  # type: ignore[arg-type]
            intent,
            timeout,
            self.events.append,
        )
        assert after.look == self.looks, "what is compared is the last look"
        return after, dead


NEVER = 10_000.0


@pytest.mark.parametrize("recorded", [RECORDED, {}, None], ids=["made", "nothing made", "unknown"])
def test_where_everything_is_there_one_look_is_enough(monkeypatch, recorded):
    target = Target(monkeypatch)
    _, dead = target.end(recorded=recorded)
    assert (dead, target.looks, target.events) == ([], 1, [])


def test_an_operator_that_needs_some_seconds_is_waited_for(monkeypatch):
    target = Target(monkeypatch, service=10.0)
    _, dead = target.end()
    assert dead == []
    assert 10.0 <= target.now < 15.0
    assert set(target.events) == {Waiting(DATABASE, "its operator has not made a Service yet")}


def test_a_dead_operator_is_a_gap_once_the_time_is_over(monkeypatch):
    target = Target(monkeypatch, pod=NEVER, service=NEVER)
    _, dead = target.end(timeout=30.0)
    assert dead == [
        Gap(DATABASE, "its operator has not made a Pod again"),
        Gap(DATABASE, "its operator has not made a Service again"),
    ]
    assert 30.0 < target.now < 35.0


def test_the_time_limits_the_wait_but_there_is_always_a_look(monkeypatch):
    target = Target(monkeypatch, cache_pod=NEVER)
    _, dead = target.end(timeout=0.0)
    assert [gap.ref for gap in dead] == [CACHE]
    assert target.looks == 1


def test_the_kind_is_named_with_its_group(monkeypatch):
    target = Target(monkeypatch, certificate=NEVER)
    _, dead = target.end(recorded={DATABASE: (ISSUER,)}, timeout=0.0)
    assert dead[0].reason == "its operator has not made a Certificate.cert-manager.io again"


@pytest.mark.parametrize(("chosen", "dead"), [(CACHE, []), (DATABASE, [DATABASE])], ids=str)
def test_where_a_part_was_asked_for_only_its_operators_count(monkeypatch, chosen, dead):
    target = Target(monkeypatch, service=NEVER)
    _, gaps = target.end(intent=PART, chosen=frozenset({chosen}))
    assert [gap.ref for gap in gaps] == dead
    assert (target.looks > 1) is bool(dead)
