"""Carrying out a plan with a scripted cluster: order, waiting, giving up, and never hanging."""

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.listing import Page
from gitops_dr.engine import attempts, awaiting, retries, watchers
from gitops_dr.engine import execute as executing
from gitops_dr.engine.act import Act
from gitops_dr.engine.execute import execute
from gitops_dr.events import PhaseEnded, PhaseStarted, StepEnded, Waiting
from gitops_dr.model import Action, Need, Outcome, Plan, Ref, Resource, Result, Step, parse_ref

KINDS = {
    ("", "ConfigMap"),
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("", "ResourceQuota"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("shop.example", "Book"),
}
RESOURCES = {
    (group, kind): Resource(group, "v1", kind, f"{kind.lower()}s", kind != "Namespace")
    for group, kind in KINDS
}


def phase(ref: Ref, name: str) -> dict[str, Any]:
    """An object as the cluster has it, in that phase; a Book's is the state of its Ready."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "uid": f"uid of {ref}"}
    status: dict[str, Any] = {"phase": name}
    if ref.kind == "Book" and name in ("True", "False"):
        status = {"conditions": [{"type": "Ready", "status": name, "message": "is printed"}]}
    version = f"{ref.group}/v1" if ref.group else "v1"
    return {"apiVersion": version, "kind": ref.kind, "metadata": metadata, "status": status}


@dataclass
class World:
    """Stands in for ``act`` and ``watch``: attempts play their script, the test moves phases on."""

    attempts: list[Ref] = field(default_factory=list)
    looked: list[bool] = field(default_factory=list)
    """Of each attempt, whether it was to look first."""
    times: dict[Ref, list[float]] = field(default_factory=dict)
    scripts: dict[Ref, deque[Any]] = field(default_factory=dict)
    phases: dict[Ref, str] = field(default_factory=dict)
    uids: dict[Ref, str | None] = field(default_factory=dict)
    """What ``find_uid`` said to a step that asked."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    watchers: dict[tuple[str, str], Any] = field(default_factory=dict)
    lastly: dict[Ref, str] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0

    def act(
        self,
        _connection: Any,
        step: Step,
        resource: Resource,
        body: Any,
        find_uid: Any,
        look_first: bool,
        **_options: Any,
    ) -> Act:
        assert body == {"of": step.ref}
        with self.changed:
            self.attempts.append(step.ref)
            self.looked.append(look_first)
            self.times.setdefault(step.ref, []).append(time.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            script = self.scripts.get(step.ref)
            deed = (script.popleft() if len(script) > 1 else script[0]) if script else self.make
        try:
            return deed(step, find_uid)
        finally:
            with self.changed:
                self.now -= 1

    def make(self, step: Step, _find_uid: Any) -> Act:
        stored = phase(step.ref, self.phases.get(step.ref, "Active"))
        return Act(Outcome(step.ref, step.action, Result.DONE), stored)

    def watch(self, _connection: Any, resource: Resource, seen: Any, stop: Any) -> None:
        with self.changed:
            self.watchers[resource.group_kind] = seen
            self.changed.notify_all()
        stop.wait(60)

    def list_pages(self, _connection: Any, requests: Any) -> Any:
        """What a last look finds."""
        for request in requests:
            self.listed.append(request.resource.kind)
            named = [r for r in self.lastly if r.group_kind == request.resource.group_kind]
            items = [phase(ref, self.lastly[ref]) for ref in named]
            yield Page(request.resource, items, last=True)

    def becomes(self, text: str, name: str) -> None:
        """Let the watch of its kind see an object in that phase."""
        ref = parse_ref(text)
        self.wait_for(lambda: ref.group_kind in self.watchers)
        self.watchers[ref.group_kind](phase(ref, name))

    def wait_for(self, condition: Any) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout=30)

    def script(self, text: str, *deeds: Any) -> None:
        self.scripts[parse_ref(text)] = deque(deeds)

    def tried(self) -> list[str]:
        with self.changed:
            return [str(ref) for ref in self.attempts]


@pytest.fixture
def world(monkeypatch: Any) -> World:
    made = World()
    monkeypatch.setattr(attempts, "act", made.act)
    for told in ("with_words", "with_causes"):
        monkeypatch.setattr(executing, told, lambda _connection, outcomes: outcomes)
    monkeypatch.setattr(watchers, "watch", made.watch)
    monkeypatch.setattr(watchers, "list_pages", made.list_pages)
    monkeypatch.setattr(executing, "_LOOK_EVERY", 0.01)
    return made


def fails(step: Step, _find_uid: Any) -> Act:
    return Act(Outcome(step.ref, step.action, Result.FAILED, "refused"))


def too_early(step: Step, _find_uid: Any) -> Act:
    return Act(Outcome(step.ref, step.action, Result.FAILED, "not yet"), too_early=True)


def differs(step: Step, _find_uid: Any) -> Act:
    stored = phase(step.ref, "Pending")
    return Act(Outcome(step.ref, step.action, Result.FAILED, "exists and differs"), stored)


def step(text: str, *needs: Need, action: Action = Action.CREATE) -> Step:
    return Step(parse_ref(text), action, "fingerprint", "path", "v1", needs)


def need(text: str, *, ready: bool = False, hard: bool = False) -> Need:
    return Need(parse_ref(text), ready=ready, hard=hard, why="spec.why")


def load(refs: Any) -> Any:
    for ref in refs:
        yield ref, {"of": ref}


def run(*steps: Step, **options: Any) -> dict[str, Outcome]:
    outcomes = execute(None, Plan(steps), load, RESOURCES, **({"timeout": 30.0} | options))  # type: ignore[arg-type]
    wanted = [each for each in steps if each.action is not Action.SKIP]
    assert [outcome.ref for outcome in outcomes] == [each.ref for each in wanted]
    return {str(outcome.ref): outcome for outcome in outcomes}


@dataclass
class Running:
    """An execution in a thread of its own, for tests that act while it goes on."""

    thread: threading.Thread
    results: list[dict[str, Outcome]]

    def result(self) -> dict[str, Outcome]:
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.results[0]


def start(*steps: Step, **options: Any) -> Running:
    results: list[dict[str, Outcome]] = []
    thread = threading.Thread(target=lambda: results.append(run(*steps, **options)))
    thread.start()
    return Running(thread, results)


NS = "Namespace/shop"


def config_map(name: Any, *needs: Need) -> Step:
    return step(f"ConfigMap/shop/{name}", *needs)


# -- order -----------------------------------------------------------------------------------------


def test_an_empty_plan_is_done():
    assert run() == {}


def test_steps_run_after_what_they_need(world):
    outcomes = run(
        step(NS), config_map("a", need(NS)), config_map("b", need("ConfigMap/shop/a"), need(NS))
    )
    assert world.tried() == [NS, "ConfigMap/shop/a", "ConfigMap/shop/b"]
    assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}


def test_skipped_steps_are_not_tried_and_their_objects_count_as_there(world):
    skipped = replace(step(NS), action=Action.SKIP)
    assert list(run(skipped, config_map("a", need(NS, ready=True, hard=True)))) == [
        "ConfigMap/shop/a"
    ]
    assert world.tried() == ["ConfigMap/shop/a"]


def test_as_many_steps_run_at_once_as_there_are_connections(world):
    together = threading.Barrier(executing.CONNECTIONS)

    def meet(each: Step, find_uid: Any) -> Act:
        together.wait(30)
        return world.make(each, find_uid)

    for n in range(executing.CONNECTIONS):
        world.script(f"ConfigMap/shop/{n}", meet)
    run(*[config_map(n) for n in range(10 * executing.CONNECTIONS)])
    assert world.most == executing.CONNECTIONS


def test_progress_is_told_step_by_step(world):
    events: list[Any] = []
    run(step(NS), config_map("a", need(NS)), emit=events.append)
    assert events[0] == PhaseStarted("execute", 2)
    assert isinstance(events[-1], PhaseEnded)
    assert [str(e.outcome.ref) for e in events if isinstance(e, StepEnded)] == [
        NS,
        "ConfigMap/shop/a",
    ]


# -- failures --------------------------------------------------------------------------------------


def test_a_failure_blocks_what_needs_it_hard_through_and_through_and_nothing_else(world):
    world.script(NS, fails)
    outcomes = run(
        step(NS),
        config_map("a", need(NS, hard=True)),
        config_map("b", need("ConfigMap/shop/a", hard=True)),
        config_map("soft", need(NS)),
        config_map("soft-on-blocked", need("ConfigMap/shop/a")),
        config_map("waits", need(NS, ready=True)),
        config_map("free"),
    )
    results = {name.removeprefix("ConfigMap/shop/"): o.result for name, o in outcomes.items()}
    assert results == {
        NS: Result.FAILED,
        "a": Result.BLOCKED,
        "b": Result.BLOCKED,
        "soft": Result.DONE,
        "soft-on-blocked": Result.DONE,
        "waits": Result.DONE,
        "free": Result.DONE,
    }
    assert outcomes["ConfigMap/shop/a"].reason == f"needs {NS} (spec.why), which did not come"
    assert "ConfigMap/shop/a" not in world.tried()


def test_a_step_that_is_blocked_twice_ends_once(world):
    for name in ("x", "y"):
        world.script(f"ConfigMap/shop/{name}", fails)
    events: list[Any] = []
    both = [need(f"ConfigMap/shop/{name}", hard=True) for name in ("x", "y")]
    outcomes = run(config_map("x"), config_map("y"), config_map("z", *both), emit=events.append)
    assert outcomes["ConfigMap/shop/z"].result is Result.BLOCKED
    assert len([e for e in events if isinstance(e, StepEnded)]) == 3


def test_an_object_that_is_there_and_differs_fails_and_blocks_nobody(world):
    world.script("Namespace/shop", differs)
    running = start(
        step(NS), config_map("a", need(NS, hard=True)), config_map("b", need(NS, ready=True))
    )
    world.wait_for(lambda: len(world.attempts) == 2)
    world.becomes(NS, "Active")
    outcomes = running.result()
    assert world.tried() == [NS, "ConfigMap/shop/a", "ConfigMap/shop/b"]
    assert outcomes[NS].result is Result.FAILED
    assert outcomes[NS].reason == "exists and differs"
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


def test_a_failure_is_not_painted_over_by_its_readiness(world):
    world.script("PersistentVolumeClaim/shop/c", differs)
    outcomes = run(step("PersistentVolumeClaim/shop/c"), timeout=0.02)
    assert outcomes["PersistentVolumeClaim/shop/c"].result is Result.FAILED


def test_a_step_that_breaks_us_fails_and_the_others_go_on(world):
    def breaks(_step: Step, _find_uid: Any) -> Act:
        raise KeyError("uid")

    world.script(NS, breaks)
    unknown = step("Unknown.example.com/shop/x")
    outcomes = run(step(NS), unknown, config_map("a"))
    assert outcomes[NS].result is Result.FAILED
    assert outcomes[NS].reason == "KeyError: 'uid'"
    assert outcomes["Unknown.example.com/shop/x"].result is Result.FAILED
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


# -- readiness -------------------------------------------------------------------------------------


def test_who_needs_readiness_waits_until_the_watch_says_so(world):
    world.phases[parse_ref(NS)] = "Pending"
    running = start(
        step(NS), config_map("exists", need(NS)), config_map("ready", need(NS, ready=True))
    )
    world.wait_for(lambda: len(world.attempts) == 2)
    assert world.tried() == [NS, "ConfigMap/shop/exists"]
    world.becomes(NS, "Pending")
    world.becomes("Namespace/of-somebody-else", "Active")
    world.becomes(NS, "Active")
    outcomes = running.result()
    assert world.tried()[-1] == "ConfigMap/shop/ready"
    assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}


def test_the_watch_may_be_faster_than_the_answer(world):
    """What it saw is newer than what the answer of the create says."""

    def slowly(each: Step, find_uid: Any) -> Act:
        world.becomes(NS, "Active")
        return world.make(each, find_uid)

    world.phases[parse_ref(NS)] = "Pending"
    world.script(NS, slowly)
    assert run(step(NS), config_map("a", need(NS, ready=True)))[NS].result is Result.DONE


def test_the_end_waits_for_everything_to_be_ready(world):
    world.phases[parse_ref(NS)] = "Pending"
    events: list[Any] = []
    told = threading.Event()

    def emit(event: Any) -> None:
        events.append(event)
        if isinstance(event, Waiting):
            told.set()

    running = start(step(NS), emit=emit)
    assert told.wait(30)
    assert running.thread.is_alive()
    world.becomes(NS, "Active")
    assert running.result()[NS].result is Result.DONE
    waiting = next(event for event in events if isinstance(event, Waiting))
    assert waiting == Waiting(parse_ref(NS), "is Pending")


def test_after_the_timeout_it_goes_on_without(world):
    world.phases[parse_ref(NS)] = "Pending"
    outcomes = run(step(NS), config_map("a", need(NS, ready=True, hard=True)), timeout=0.05)
    assert outcomes[NS].result is Result.UNREADY
    assert outcomes[NS].reason == "is Pending"
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


def test_what_nobody_works_on_yet_is_done_when_it_is_there(world):
    world.phases[parse_ref(NS)] = "Pending"
    needing = config_map("a", need(NS, ready=True, hard=True))
    outcomes = run(step(NS), needing, unawaited={parse_ref(NS)})
    assert outcomes[NS].result is Result.DONE
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


def test_what_a_stuck_watch_has_not_seen_is_seen_at_the_end(world):
    """Nobody is called unready by what was seen minutes ago."""
    world.phases[parse_ref(NS)] = "Pending"
    world.lastly[parse_ref(NS)] = "Active"
    outcomes = run(step(NS), config_map("a"), timeout=0.05)
    assert outcomes[NS].result is Result.DONE
    assert world.listed == ["Namespace"]


def test_who_is_ready_is_not_looked_at_again(world):
    run(step(NS), config_map("a"))
    assert world.listed == []


def test_without_a_readiness_that_it_must_have_it_is_not_tried(world):
    world.phases[parse_ref(NS)] = "Pending"
    needs = replace(need(NS, ready=True, hard=True), must_be_ready=True)
    outcomes = run(
        step(NS), config_map("a", needs), config_map("b", need("ConfigMap/shop/a")), timeout=0.05
    )
    assert outcomes["ConfigMap/shop/a"].result is Result.BLOCKED
    assert outcomes["ConfigMap/shop/a"].reason == (
        f"needs {NS} (spec.why), which is not ready: is Pending"
    )
    assert parse_ref("ConfigMap/shop/a") not in world.attempts
    assert outcomes["ConfigMap/shop/b"].result is Result.DONE


def test_who_waits_for_what_will_never_be_ready_is_not_tried_either(world):
    claim = "PersistentVolumeClaim/shop/c"
    world.phases[parse_ref(claim)] = "Lost"
    hard, soft = need(claim, ready=True, hard=True), need(claim, ready=True)
    outcomes = run(step(claim), config_map("a", hard), config_map("b", soft))
    assert outcomes["ConfigMap/shop/a"].result is Result.BLOCKED
    assert outcomes["ConfigMap/shop/a"].reason.endswith("which is not ready: is Lost")
    assert outcomes["ConfigMap/shop/b"].result is Result.DONE


def test_with_it_it_is(world):
    world.phases[parse_ref(NS)] = "Pending"
    needs = replace(need(NS, ready=True, hard=True), must_be_ready=True)
    running = start(step(NS), config_map("a", needs))
    world.wait_for(lambda: world.attempts)
    world.becomes(NS, "Active")
    assert running.result()["ConfigMap/shop/a"].result is Result.DONE


def test_the_latest_reason_is_given(world):
    claim = "PersistentVolumeClaim/shop/c"
    world.phases[parse_ref(claim)] = "Pending"
    running = start(step(claim))
    world.wait_for(lambda: world.attempts)
    world.becomes(claim, "Lost")
    outcome = running.result()[claim]
    assert (outcome.result, outcome.reason) == (Result.UNREADY, "is Lost")


def test_what_will_never_be_ready_is_not_waited_for(world):
    claim = "PersistentVolumeClaim/shop/c"
    world.phases[parse_ref(claim)] = "Lost"
    outcomes = run(step(claim), config_map("a", need(claim, ready=True)), timeout=3600)
    assert outcomes[claim].result is Result.UNREADY
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


@pytest.mark.parametrize(
    ("lacking", "patience"),
    [("PersistentVolumeClaim/shop/c", 0.0), ("ConfigMap/shop/a", 0.3)],
    ids=["what no pod is without", "what it may do without"],
)
def test_without_its_claim_it_is_made_but_not_waited_for_long(
    world, monkeypatch, lacking, patience
):
    monkeypatch.setattr(awaiting, "DOUBT", 0.0)
    world.script(lacking, fails)
    world.phases[parse_ref(NS)] = "Pending"
    started = time.monotonic()
    outcomes = run(step(lacking), step(NS, need(lacking)), timeout=0.3)
    assert time.monotonic() - started >= patience
    assert outcomes[NS].result is Result.UNREADY
    told = f"is Pending; {lacking}, which it needs, did not come"
    assert outcomes[NS].reason == ("is Pending" if patience else told)


def test_it_is_not_waited_for_till_the_timeout(world, monkeypatch):
    claim = "PersistentVolumeClaim/shop/c"
    monkeypatch.setattr(awaiting, "DOUBT", 0.0)
    world.script(claim, fails)
    world.phases[parse_ref(NS)] = "Pending"
    assert run(step(claim), step(NS, need(claim)), timeout=3600)[NS].result is Result.UNREADY


def test_what_became_ready_after_all_is_done(world):
    """Its time was over, but others still had theirs."""
    claim = "PersistentVolumeClaim/shop/c"
    world.phases |= {parse_ref(claim): "Lost", parse_ref(NS): "Pending"}
    running = start(step(claim), step(NS), config_map("a", need(claim, ready=True)))
    world.wait_for(lambda: parse_ref("ConfigMap/shop/a") in world.attempts)
    world.becomes(claim, "Bound")
    world.becomes(NS, "Active")
    assert running.result()[claim].result is Result.DONE


def test_a_claim_that_binds_late_is_ready_as_it_is(world):
    claim = "PersistentVolumeClaim/shop/c"
    world.phases[parse_ref(claim)] = "Pending"
    assert run(step(claim), late_binding=lambda body: True)[claim].result is Result.DONE


def test_a_class_that_cannot_be_read_does_not_stop_the_rest(world):
    def refused(_claim: Any) -> bool:
        raise ApiError("storageclasses is forbidden", status=403)

    claim = "PersistentVolumeClaim/shop/c"
    outcomes = run(step(claim), config_map("a"), late_binding=refused, timeout=0.05)
    assert outcomes[claim].result is Result.UNREADY
    assert outcomes[claim].reason == "storageclasses is forbidden"
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


def test_the_end_does_not_wait_for_what_is_there_and_differs(world):
    """It is not ours, and no step is left that needs it."""
    claim = "PersistentVolumeClaim/shop/c"
    world.script(claim, differs)
    outcomes = start(step(claim), config_map("a"), timeout=3600).result()
    assert outcomes[claim].result is Result.FAILED


def test_an_end_that_turns_out_otherwise_is_told_again(world):
    claim = "PersistentVolumeClaim/shop/c"
    world.phases[parse_ref(claim)] = "Lost"
    events: list[Any] = []
    outcomes = run(step(claim), config_map("a"), emit=events.append)
    told = [e.outcome for e in events if isinstance(e, StepEnded)]
    assert [outcome.result for outcome in told if str(outcome.ref) == claim] == [
        Result.DONE,
        Result.UNREADY,
    ]
    assert told[-1] == outcomes[claim]
    assert len(told) == 3


# -- custom resources that report nothing ----------------------------------------------------------

BOOK = "Book.shop.example/shop/b"
SECOND = "Book.shop.example/shop/second"


def test_what_reports_nothing_is_named_and_holds_nobody_that_does_not_need_it(world):
    running = start(step(BOOK), step(SECOND), config_map("a", need(BOOK)), timeout=3600)
    outcomes = running.result()
    assert outcomes[BOOK].result is Result.UNOBSERVABLE
    assert outcomes[BOOK].reason == "reports nothing to judge it by"
    assert outcomes[SECOND].result is Result.UNOBSERVABLE
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE


def test_who_needs_it_ready_waits_for_a_word(world):
    running = start(step(BOOK), config_map("a", need(BOOK, ready=True)), timeout=3600)
    world.wait_for(lambda: world.attempts)
    world.becomes(BOOK, "Fine")
    assert running.thread.is_alive()
    assert world.tried() == [BOOK]
    world.becomes(BOOK, "True")
    outcomes = running.result()
    assert world.tried() == [BOOK, "ConfigMap/shop/a"]
    assert outcomes[BOOK].result is Result.DONE


def test_who_needs_many_of_them_goes_on_when_the_seconds_of_one_are_over(world, monkeypatch):
    monkeypatch.setattr(awaiting, "SILENCE", 0.5)
    books = [f"Book.shop.example/shop/{n}" for n in range(100)]
    needs = [need(book, ready=True, hard=True) for book in books]
    began = time.monotonic()
    outcomes = run(*map(step, books), config_map("a", *needs), timeout=3600)
    assert {outcomes[book].result for book in books} == {Result.UNOBSERVABLE}
    assert outcomes["ConfigMap/shop/a"].result is Result.DONE
    waited = world.times[parse_ref("ConfigMap/shop/a")][0] - began
    assert 0.5 <= waited < 0.5 * len(books) / 4, "not one after the other"


@pytest.mark.parametrize("witness", [SECOND, "Book.shop.example/bank/not-in-the-plan"])
def test_where_somebody_reports_on_the_group_the_end_gives_it_time(world, witness):
    """Whatever of it is in the cluster shows that somebody does."""
    told = threading.Event()
    over, waits = threading.Event(), threading.Event()

    def until_told(each: Step, find_uid: Any) -> Act:
        assert told.wait(30)
        return world.make(each, find_uid)

    def emit(event: Any) -> None:
        if isinstance(event, StepEnded) and event.outcome.ref.name == "last":
            over.set()
        if isinstance(event, Waiting) and over.is_set():
            waits.set()

    world.script("ConfigMap/shop/last", until_told)
    steps = [step(BOOK), step(SECOND), config_map("last")]
    running = start(*steps, timeout=3600, emit=emit)
    world.wait_for(lambda: len(world.attempts) == len(steps))
    world.becomes(witness, "True")
    told.set()
    assert waits.wait(30), "every step has ended, and it goes on"
    world.becomes(SECOND, "True")
    world.becomes(BOOK, "True")
    assert running.result()[BOOK].result is Result.DONE


def test_only_kinds_that_become_ready_are_watched(world):
    run(step(NS), config_map("a"))
    world.wait_for(lambda: world.watchers)
    assert set(world.watchers) == {("", "Namespace")}


# -- too early -------------------------------------------------------------------------------------


def test_what_came_too_early_is_tried_again(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    world.script("ConfigMap/shop/a", too_early, too_early, world.make)
    outcomes = run(config_map("a"), config_map("b", need("ConfigMap/shop/a", hard=True)))
    assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}
    assert world.tried() == ["ConfigMap/shop/a"] * 3 + ["ConfigMap/shop/b"]


def test_what_was_perhaps_made_is_looked_up_from_then_on(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    world.script("ConfigMap/shop/a", too_early, unknown, too_early, world.make)
    run(config_map("a"))
    assert world.looked == [False, False, True, True]


def unknown(each: Step, find_uid: Any) -> Act:
    return replace(too_early(each, find_uid), perhaps_done=True)


def test_what_was_perhaps_made_is_looked_up_though_patience_is_over(world, monkeypatch):
    """The one request that was not answered took all of it."""
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    world.script("ConfigMap/shop/a", unknown, unknown, world.make)
    assert run(config_map("a"), timeout=0.0)["ConfigMap/shop/a"].result is Result.DONE


def test_but_not_for_ever(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    world.script("ConfigMap/shop/a", unknown)
    assert run(config_map("a"), timeout=0.0)["ConfigMap/shop/a"].result is Result.FAILED
    assert len(world.attempts) == 3


def test_the_pauses_grow_and_patience_ends(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.004)
    monkeypatch.setattr(retries, "_LAST_PAUSE", 0.016)
    monkeypatch.setattr(retries, "PATIENCE", 0.1)
    world.script("ConfigMap/shop/a", too_early)
    outcome = run(config_map("a"))["ConfigMap/shop/a"]
    assert (outcome.result, outcome.reason) == (Result.FAILED, "not yet")
    times = world.times[parse_ref("ConfigMap/shop/a")]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    promised = [0.004, 0.008, *[0.016] * len(pauses)]
    assert pauses
    assert all(pause >= least for pause, least in zip(pauses, promised, strict=False))
    assert times[-1] - times[0] >= 0.09


def unserved(each: Step, find_uid: Any) -> Act:
    return replace(too_early(each, find_uid), unserved=True)


def test_a_kind_that_an_operator_may_still_define_is_tried_as_long_as_one_may_come(
    world, monkeypatch
):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retries, "_LAST_PAUSE", 0.01)
    monkeypatch.setattr(retries, "PATIENCE", 0.1)
    world.phases[parse_ref(NS)] = "Pending"
    world.script("ConfigMap/shop/a", unserved)
    world.script("ConfigMap/shop/z", too_early)
    running = start(step(NS), config_map("a"), config_map("z"))
    custom = parse_ref("ConfigMap/shop/a")
    world.wait_for(lambda: len(world.times.get(custom, ())) > 40)
    assert len(world.times[parse_ref("ConfigMap/shop/z")]) < 20
    world.becomes(NS, "Active")
    assert running.result()["ConfigMap/shop/a"].result is Result.FAILED


def test_the_timeout_limits_patience_too(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    world.script("ConfigMap/shop/a", too_early)
    assert run(config_map("a"), timeout=0.01)["ConfigMap/shop/a"].result is Result.FAILED


def test_others_go_on_meanwhile(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    asked = threading.Event()

    def until_the_other(each: Step, find_uid: Any) -> Act:
        return world.make(each, find_uid) if asked.is_set() else too_early(each, find_uid)

    def sets(each: Step, find_uid: Any) -> Act:
        asked.set()
        return world.make(each, find_uid)

    world.script("ConfigMap/shop/a", until_the_other)
    world.script("ConfigMap/shop/z", sets)
    outcomes = run(config_map("a"), *[config_map(f"m{n}") for n in range(99)], config_map("z"))
    assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}


# -- stages ----------------------------------------------------------------------------------------

QUOTA = "ResourceQuota/shop/q"
WEBHOOK = "ValidatingWebhookConfiguration.admissionregistration.k8s.io/w"


def test_a_stage_begins_when_everything_before_it_was_tried(world, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)
    world.script("ConfigMap/shop/late", too_early, world.make)
    world.script("ConfigMap/shop/bad", fails)
    outcomes = run(
        config_map("late"),
        config_map("bad"),
        config_map("blocked", need("ConfigMap/shop/bad", hard=True)),
        step(QUOTA),
        step(WEBHOOK),
    )
    assert world.tried()[-2:] == [QUOTA, WEBHOOK]
    assert outcomes[WEBHOOK].result is Result.DONE


def test_a_stage_does_not_wait_for_readiness(world):
    world.phases[parse_ref(NS)] = "Pending"
    running = start(step(NS), step(QUOTA))
    world.wait_for(lambda: parse_ref(QUOTA) in world.attempts)
    world.becomes(NS, "Active")
    running.result()


def test_a_plan_of_late_stages_only_begins_at_once(world):
    run(step(WEBHOOK))
    assert world.tried() == [WEBHOOK]


# -- mutating admission ----------------------------------------------------------------------------

MUTATING = "MutatingWebhookConfiguration.admissionregistration.k8s.io/m"


def test_what_it_matches_waits_until_it_is_in_force(world):
    run(step(MUTATING), config_map("a", need(MUTATING, ready=True)))
    before, after = (world.times[parse_ref(ref)][0] for ref in (MUTATING, "ConfigMap/shop/a"))
    assert after - before >= 2


def backed(world: World, *, backend: str = NS) -> dict[str, Outcome]:
    return run(
        step(backend),
        step(MUTATING, need(backend, ready=True)),
        config_map("a", need(MUTATING, ready=True)),
        step(QUOTA),
        step(WEBHOOK),
        timeout=0.2,
    )


def test_without_its_backend_it_comes_last_and_nobody_waits_for_it(world):
    world.phases[parse_ref(NS)] = "Pending"
    outcomes = backed(world)
    tried = world.tried()
    assert set(tried[:2]) == {NS, "ConfigMap/shop/a"}
    assert tried.index(MUTATING) > tried.index(QUOTA)
    assert outcomes[MUTATING].result is Result.DONE
    assert outcomes[MUTATING].reason == f"came after what it matches: {NS} is Pending"


def test_without_it_is_also_where_it_did_not_come(world):
    world.script(NS, fails)
    outcomes = backed(world)
    assert world.tried().index(MUTATING) > world.tried().index(QUOTA)
    assert outcomes[MUTATING].reason == f"came after what it matches: {NS} did not come"


def test_without_it_is_also_where_nobody_reports_on_it(world, monkeypatch):
    monkeypatch.setattr(awaiting, "SILENCE", 0.1)
    outcomes = backed(world, backend="Book.shop.example/shop/b")
    assert world.tried().index(MUTATING) > world.tried().index(QUOTA)
    assert "reports nothing" in outcomes[MUTATING].reason


def test_what_only_refuses_has_no_later_stage(world):
    world.phases[parse_ref(NS)] = "Pending"
    outcomes = run(step(NS), step(WEBHOOK, need(NS, ready=True)), timeout=0.05)
    assert outcomes[WEBHOOK].result is Result.DONE
    assert outcomes[WEBHOOK].reason == ""


# -- owners ----------------------------------------------------------------------------------------


def test_an_owner_of_this_plan_is_known_and_another_is_asked_for(world, monkeypatch):
    asked: list[str] = []

    def get(_connection: Any, resource: Resource, namespace: str, name: str) -> Any:
        asked.append(name)
        if name == "gone":
            raise ApiError("not found", status=404)
        if name == "hidden":
            raise ApiError("try again", status=503)
        return {"metadata": {"uid": f"uid of {name}"}}

    monkeypatch.setattr(attempts, "get", get)
    found: dict[str, Any] = {}

    def look(each: Step, find_uid: Any) -> Act:
        for name in ("made", "there", "gone"):
            found[name] = find_uid(parse_ref(f"ConfigMap/shop/{name}"))
        found["unknown kind"] = find_uid(parse_ref("Widget.example.com/shop/x"))
        found["wrong scope"] = find_uid(Ref("", "ConfigMap", "", "there"))
        with pytest.raises(ApiError, match="try again"):
            find_uid(parse_ref("ConfigMap/shop/hidden"))
        return world.make(each, find_uid)

    world.script("ConfigMap/shop/child", look)
    outcomes = run(config_map("made"), config_map("child", need("ConfigMap/shop/made")))
    assert outcomes["ConfigMap/shop/child"].result is Result.DONE
    assert found == {
        "made": "uid of ConfigMap/shop/made",
        "there": "uid of there",
        "gone": None,
        "unknown kind": None,
        "wrong scope": None,
    }
    assert asked == ["there", "gone", "hidden"]


def without_its_owner(step: Step, _find_uid: Any) -> Act:
    made = phase(step.ref, "Active")
    return Act(Outcome(step.ref, step.action, Result.DONE, seconds=2.5), made, ownerless=True)


@pytest.fixture
def relinked(world, monkeypatch) -> list[tuple[Any, ...]]:
    """What was linked when everything was made, with what was made by then."""
    calls: list[tuple[Any, ...]] = []

    def relink(_connection: Any, ref: Ref, resource: Resource, body: Any, find_uid: Any) -> bool:
        calls.append((str(ref), resource.version, body, world.tried(), find_uid))
        return True

    monkeypatch.setattr(attempts, "relink", relink)
    return calls


def test_owners_that_came_later_are_linked_once_everything_is_made(world, relinked):
    """A claim comes before the workload that owns it, and so does one side of a cycle."""
    world.script("ConfigMap/shop/child", without_its_owner)
    child = replace(config_map("child"), version="v2")
    outcomes = run(child, config_map("owner", need("ConfigMap/shop/child")), config_map("free"))
    assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}
    ((ref, version, body, made, find_uid),) = relinked
    assert (ref, version) == ("ConfigMap/shop/child", "v2")
    assert body == {"of": parse_ref(ref)}
    assert len(made) == 3
    assert find_uid(parse_ref("ConfigMap/shop/owner")) == "uid of ConfigMap/shop/owner"


def test_what_has_its_owners_is_not_written_again(world, relinked):
    run(config_map("a"), config_map("b"))
    assert relinked == []


def test_an_object_that_is_made_and_cannot_be_linked_has_failed(world, monkeypatch):
    def refused(*_arguments: Any) -> bool:
        raise ApiError("ownerReferences is forbidden", status=403)

    monkeypatch.setattr(attempts, "relink", refused)
    world.script("ConfigMap/shop/child", without_its_owner)
    world.script("ConfigMap/shop/second", without_its_owner)
    events: list[Any] = []
    steps = [config_map("child"), config_map("second"), config_map("other")]
    outcomes = run(*steps, emit=events.append)
    child = outcomes["ConfigMap/shop/child"]
    assert child.result is Result.FAILED
    assert child.reason == "made, but not linked to its owner: ownerReferences is forbidden"
    assert child.seconds == 2.5
    told = [e.outcome for e in events if isinstance(e, StepEnded)]
    assert [each.result for each in told if each.ref == child.ref] == [Result.DONE, Result.FAILED]
    assert outcomes["ConfigMap/shop/second"].result is Result.FAILED
    assert outcomes["ConfigMap/shop/other"].result is Result.DONE


def test_a_link_that_fails_for_a_moment_is_tried_again(world, monkeypatch):
    answers = deque([ApiError("reset", status=0), ApiError("leader changed", status=500)])

    def unlucky(*_arguments: Any) -> bool:
        if answers:
            raise answers.popleft()
        return True

    monkeypatch.setattr(attempts, "relink", unlucky)
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    world.script("ConfigMap/shop/child", without_its_owner)
    assert run(config_map("child"))["ConfigMap/shop/child"].result is Result.DONE


def test_a_link_that_fails_for_ever_is_given_up(world, monkeypatch):
    def unlucky(*_arguments: Any) -> bool:
        raise ApiError("leader changed", status=500)

    monkeypatch.setattr(attempts, "relink", unlucky)
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(retries, "PATIENCE", 0.05)
    world.script("ConfigMap/shop/child", without_its_owner)
    child = run(config_map("child"))["ConfigMap/shop/child"]
    assert child.reason == "made, but not linked to its owner: leader changed"


# -- size and end ----------------------------------------------------------------------------------


def lines_run(steps: list[Step]) -> int:
    """Lines of ``execute.py`` that the deciding thread runs: unlike seconds, no matter of luck."""
    count = 0

    def local(_frame: Any, what: str, _argument: Any) -> Any:
        nonlocal count
        count += what == "line"
        return local

    def trace(frame: Any, what: str, _argument: Any) -> Any:
        return local if frame.f_code.co_filename == executing.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run(*steps)
    finally:
        sys.settrace(before)
    return count


def test_a_namespace_full_of_objects_takes_linear_work(world):
    def shop(size: int) -> list[Step]:
        return [step(NS), *[config_map(n, need(NS, ready=True, hard=True)) for n in range(size)]]

    small, large = lines_run(shop(200)), lines_run(shop(1600))
    # Eight times, and some, as it depends on how many answers come between two looks; if each
    # step cost a line for each other step, it would be fifty times.
    assert large < 20 * small


def test_an_interruption_ends_the_workers(world):
    """The user's Ctrl-C reaches the thread that decides."""

    def interrupt(event: Any) -> None:
        if isinstance(event, StepEnded):
            raise KeyboardInterrupt

    steps = [step(NS), *[config_map(n, need(NS)) for n in range(500)]]
    with pytest.raises(KeyboardInterrupt):
        run(*steps, emit=interrupt)
    ours = [t for t in threading.enumerate() if t.name.startswith(("apply", "watch "))]
    for thread in ours:
        thread.join(30)
        assert not thread.is_alive()
    assert world.tried() == [NS]


def test_an_interruption_drops_what_was_not_sent_yet(world):
    release = threading.Event()
    first = threading.Event()

    def holds(each: Step, find_uid: Any) -> Act:
        first.set()
        assert release.wait(30)
        return world.make(each, find_uid)

    names = [f"ConfigMap/shop/{n}" for n in range(80)]
    for name in names:
        world.script(name, holds)

    def interrupt(event: Any) -> None:
        if isinstance(event, StepEnded):
            raise KeyboardInterrupt

    world.script(
        "ConfigMap/shop/quick", lambda each, find: (first.wait(30), world.make(each, find))[1]
    )
    try:
        with pytest.raises(KeyboardInterrupt):
            run(step("ConfigMap/shop/quick"), *map(step, names), emit=interrupt)
    finally:
        release.set()
    for thread in [t for t in threading.enumerate() if t.name.startswith("apply")]:
        thread.join(30)
        assert not thread.is_alive()
    assert len(world.attempts) <= executing.CONNECTIONS + 1
