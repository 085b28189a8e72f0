"""The end of a rebuild waits for what operators make, and names the operator that makes nothing."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from gitops_dr.cluster.discover import silence
from gitops_dr.desired.outward import shipped_rows
from gitops_dr.desired.target import IDENTITY
from gitops_dr.desired.target_state import Rewriter
from gitops_dr.engine import carrying
from gitops_dr.events import Waiting
from gitops_dr.model import Action, Entry, Gap, Outcome, Ref, Result, State
from gitops_dr.planning.selection import EVERYTHING, Intent, Selection

DATABASE = Ref("postgresql.cnpg.io", "Cluster", "shop", "db")
CACHE = Ref("redis.example.com", "Cache", "shop", "cache")
API_SERVICE = Ref("apiregistration.k8s.io", "APIService", "", "v1beta1.metrics.k8s.io")
METRICS = silence("v1beta1.metrics.k8s.io")
POD, SERVICE = ("", "Pod"), ("", "Service")
CERTIFICATE = ("cert-manager.io", "Certificate")
RECORDED = {DATABASE: (POD, SERVICE), CACHE: (POD,)}
PART = Intent(Selection(refs=frozenset({CACHE})))
NEVER = 10_000.0


class Target:
    """A cluster whose operators need so many seconds; looking at it takes one."""

    def __init__(self, patch: Any, **seconds: float) -> None:
        self.patch = patch
        self.now = 0.0
        self.looks = 0
        self.seconds = seconds
        self.silent = METRICS
        self.events: list[Any] = []
        patch.setattr(
            carrying, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.rest)
        )
        patch.setattr(carrying, "examine", self.examine)

    def rest(self, seconds: float) -> None:
        self.now += seconds

    def examine(self, connection: Any, identity: Any, _tree: Any, **_options: Any) -> Any:
        assert (connection, identity) == ("the connection", "the target")
        self.looks += 1
        self.now += 1.0
        made = {
            DATABASE: self.so_far(pod=POD, service=SERVICE, certificate=CERTIFICATE),
            CACHE: self.so_far(cache_pod=POD),
        }
        gaps = () if self.is_there("metrics") else (self.silent,)
        entries = {ref: Entry("f", "p", "v1") for ref in made}
        observation = SimpleNamespace(state=State(entries, gaps=gaps), generated=made)
        return SimpleNamespace(observation=observation, differences=(), equal=self.looks)

    def is_there(self, name: str) -> bool:
        return self.now >= self.seconds.get(name, 0.0)

    def so_far(self, **kinds: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple(kind for name, kind in kinds.items() if self.is_there(name))

    def rebuild(
        self,
        *outcomes: Outcome,
        recorded: Any = RECORDED,
        intent: Intent = EVERYTHING,
        chosen: frozenset[Ref] = frozenset(),
        timeout: float = 30.0,
        held: Collection[Ref] = (),
    ) -> tuple[Gap, ...]:
        """Rebuild with such outcomes, and give the gaps in the end."""
        coverage = SimpleNamespace(generated=recorded) if recorded is not None else None
        tree = SimpleNamespace(coverage=coverage)
        rewriter = Rewriter(IDENTITY)
        rewriter.held.update((ref, shipped_rows()[0]) for ref in held)
        prepared = SimpleNamespace(
            connection="the connection",
            resources={},
            chosen=chosen,
            bodies=None,
            aim=None,
            trusted=(),
            target=IDENTITY,
            examined=SimpleNamespace(
                recorded=SimpleNamespace(tree=tree, bodies=None, rewriter=rewriter)
            ),
            planned=SimpleNamespace(
                goal=SimpleNamespace(target="the target"),
                plan=SimpleNamespace(omissions=()),
                gaps=(),
                blocked=(),
            ),
        )
        self.patch.setattr(carrying, "late_binding_classes", lambda _connection: None)
        self.patch.setattr(carrying, "execute", lambda *_, **__: outcomes)
        done = carrying.carry(
            prepared,  # type: ignore[arg-type]
            intent,
            timeout=timeout,
            emit=self.events.append,
        ).rebuilt
        assert done.equal == self.looks, "what is compared is the last look"
        return done.gaps


@pytest.mark.parametrize("recorded", [RECORDED, {}, None], ids=["made", "nothing made", "unknown"])
def test_where_everything_is_there_one_look_is_enough(monkeypatch, recorded):
    target = Target(monkeypatch)
    assert target.rebuild(recorded=recorded) == ()
    assert (target.looks, target.events) == (1, [])


def test_an_operator_that_needs_some_seconds_is_waited_for(monkeypatch):
    target = Target(monkeypatch, service=10.0)
    assert target.rebuild() == ()
    assert 10.0 <= target.now < 15.0
    assert set(target.events) == {Waiting(DATABASE, "its operator has not made a Service yet")}


def test_a_dead_operator_is_a_gap_once_the_time_is_over(monkeypatch):
    target = Target(monkeypatch, pod=NEVER, service=NEVER)
    assert target.rebuild(timeout=30.0) == (
        Gap(DATABASE, "its operator has not made a Pod again"),
        Gap(DATABASE, "its operator has not made a Service again"),
    )
    assert 30.0 < target.now < 35.0


def test_what_is_held_has_made_nothing_and_nobody_waits_for_that(monkeypatch):
    target = Target(monkeypatch, pod=NEVER, service=NEVER)
    assert target.rebuild(held=[DATABASE]) == ()
    assert target.looks == 1


def test_the_time_limits_the_wait_but_there_is_always_a_look(monkeypatch):
    target = Target(monkeypatch, cache_pod=NEVER)
    assert [gap.ref for gap in target.rebuild(timeout=0.0)] == [CACHE]
    assert target.looks == 1


def test_the_kind_is_named_with_its_group(monkeypatch):
    target = Target(monkeypatch, certificate=NEVER)
    (gap,) = target.rebuild(recorded={DATABASE: (CERTIFICATE,)}, timeout=0.0)
    assert gap.reason == "its operator has not made a Certificate.cert-manager.io again"


@pytest.mark.parametrize(("chosen", "dead"), [(CACHE, []), (DATABASE, [DATABASE])], ids=str)
def test_where_a_part_was_asked_for_only_its_operators_count(monkeypatch, chosen, dead):
    target = Target(monkeypatch, service=NEVER)
    gaps = target.rebuild(intent=PART, chosen=frozenset({chosen}))
    assert [gap.ref for gap in gaps] == dead
    assert (target.looks > 1) is bool(dead)


# -- an aggregated API that has just come ----------------------------------------------------------


def made(result: Result) -> Outcome:
    return Outcome(API_SERVICE, Action.CREATE, result)


def test_discovery_is_given_a_moment_to_find_an_api_that_has_just_come(monkeypatch):
    target = Target(monkeypatch, metrics=5.0)
    assert target.rebuild(made(Result.DONE)) == ()
    assert 5.0 <= target.now < 10.0


@pytest.mark.parametrize("outcomes", [(), (made(Result.UNREADY),)], ids=["not ours", "not ready"])
def test_an_api_that_did_not_come_is_not_waited_for(monkeypatch, outcomes):
    target = Target(monkeypatch, metrics=NEVER)
    assert target.rebuild(*outcomes) == (METRICS,)
    assert target.looks == 1


@pytest.mark.parametrize(
    "gap",
    [
        silence("v1beta2.metrics.k8s.io"),
        silence("v1beta1.custom.metrics.k8s.io"),
        Gap(Ref("metrics.k8s.io", "PodMetrics", "", "*"), "not you"),
    ],
    ids=["another version", "another group", "a kind of it"],
)
def test_another_that_does_not_answer_is_not_waited_for(monkeypatch, gap):
    """One that has just come is no reason to wait for one that is dead, though of its group."""
    target = Target(monkeypatch, metrics=NEVER)
    target.silent = gap
    assert target.rebuild(made(Result.DONE)) == (gap,)
    assert target.looks == 1


def test_one_that_stays_silent_is_a_gap(monkeypatch):
    target = Target(monkeypatch, metrics=NEVER)
    assert target.rebuild(made(Result.DONE)) == (METRICS,)
    assert 30.0 < target.now < 35.0
