"""Carries out a plan: several steps at once, each once its needs are met. Writes to the cluster.

One thread decides, a few send requests, and one per kind watches for readiness; they talk through
a queue, so nothing is shared but messages. Running a plan again after an interruption is safe: what
is there and equal is done.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gitops_dr.cluster.connect import CONNECTIONS, ApiError, Connection
from gitops_dr.desired.managers import Holder
from gitops_dr.engine.act import Act
from gitops_dr.engine.aims import Aim, whole
from gitops_dr.engine.attempts import Attempted, Attempts
from gitops_dr.engine.awaiting import Awaiting
from gitops_dr.engine.claims import with_words
from gitops_dr.engine.retries import Retries, patience
from gitops_dr.engine.staging import Stages
from gitops_dr.engine.unready import with_causes
from gitops_dr.engine.watchers import Seen, look, start_watchers
from gitops_dr.events import Advanced, Emit, StepEnded, Waiting, phase, silent
from gitops_dr.model import Action, Body, Outcome, Plan, Ref, Resource, Result, Step
from gitops_dr.readiness import awaited

LoadBodies = Callable[[Iterable[Ref]], Iterator[tuple[Ref, Body]]]

_BATCH = 64
"""Steps whose bodies are read from Git in one go."""

_LOOK_EVERY = 0.25
"""Seconds between two looks for what is late; there may be thousands."""

_NO_POD_WITHOUT = frozenset({("", "PersistentVolumeClaim")})
"""Without these a pod stays Pending, however long one waits.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes"""


@dataclass(slots=True)
class _Progress:
    """Everything that changes while the plan runs; only the deciding thread changes it."""

    awaiting: Awaiting
    uids: dict[Ref, str]
    """Those that attempts look up."""
    outcomes: dict[Ref, Outcome] = field(default_factory=dict)


def execute(
    connection: Connection,
    plan: Plan,
    load: LoadBodies,
    resources: Mapping[tuple[str, str], Resource],
    *,
    late_binding: Callable[[Body], bool] = lambda _claim: False,
    aim: Aim = whole,
    holders: Mapping[Ref, Holder] = MappingProxyType({}),
    unawaited: Container[Ref] = (),
    timeout: float = 300.0,
    emit: Emit = silent,
) -> tuple[Outcome, ...]:
    """Carry out the plan's steps and wait until what they made is ready.

    ``load`` reads bodies from Git; ``resources`` says how the target serves each kind;
    ``late_binding`` tells a claim that binds only when its pod exists; ``aim`` what of an object
    that is there is to be changed; ``holders`` in whose name what is missing is made, where it is
    not ours; ``unawaited`` what nobody works on yet, so that it is done when it is there. An object
    that is not ready ``timeout`` seconds after it was written is unready; steps that only wait for
    its readiness then go on. What reports nothing is unobservable; who needs it waits
    ``awaiting.SILENCE`` seconds. One failed step never stops those that do not need it. Returns the
    outcomes in the plan's order; skipped steps have none.
    """
    steps = [step for step in plan.steps if step.action is not Action.SKIP]
    attempts = Attempts(connection, resources, late_binding, aim, holders, unawaited)
    with phase("execute", emit, len(steps)):
        return _Run(attempts, steps, load, timeout, emit).to_the_end()


class _Run:
    """One execution of a plan."""

    def __init__(
        self, attempts: Attempts, steps: list[Step], load: LoadBodies, timeout: float, emit: Emit
    ) -> None:
        self._attempts = attempts
        self._connection, self._resources = attempts.connection, attempts.resources
        self._steps = steps
        self._load = load
        self._timeout = timeout
        self._emit = emit
        self._inbox: queue.SimpleQueue[Attempted | Seen] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._progress = _Progress(Awaiting(timeout), attempts.uids)
        self._in_plan = {step.ref: step for step in steps}
        self._rank = {step.ref: index for index, step in enumerate(steps)}
        self._open_needs: dict[Ref, set[Ref]] = {}
        self._waited_for_by: dict[Ref, list[Step]] = {}
        self._startable: list[tuple[int, Ref]] = []
        self._later: list[tuple[float, int, Ref]] = []
        self._retries = Retries(timeout)
        self._ownerless: list[Ref] = []
        self._in_flight = 0
        self._looked_for_late_ones = 0.0
        self._stages = Stages.of(step.ref for step in steps)

    def to_the_end(self) -> tuple[Outcome, ...]:
        watchers = self._start_watching()
        workers = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="apply")
        try:
            for step in self._steps:
                self._open(step)
            while self._goes_on():
                self._submit(workers)
                self._take_messages()
                self._give_up_on_the_late()
            self._link_owners_that_came_later()
            self._look_once_more()
        finally:
            self._stop.set()
            workers.shutdown(wait=False, cancel_futures=True)
            for watcher in watchers:
                watcher.join(timeout=0)
        verdict, outcomes = self._progress.awaiting.verdict, self._progress.outcomes
        verdicts = [verdict(outcomes[step.ref]) for step in self._steps]
        told = with_causes(self._connection, with_words(self._connection, verdicts))
        return tuple(map(self._final, told))

    def _goes_on(self) -> bool:
        if len(self._progress.outcomes) < len(self._steps):
            return True
        return self._progress.awaiting.holds_the_end(time.monotonic())

    # -- needs ---------------------------------------------------------------------------------

    def _open(self, step: Step) -> None:
        """Note what a step waits for, or make it startable."""
        needs = {need.ref for need in step.needs if need.ref in self._in_plan}
        self._open_needs[step.ref] = needs
        for ref in needs:
            self._waited_for_by.setdefault(ref, []).append(step)
        if not needs:
            self._make_startable(step.ref)

    def _make_startable(self, ref: Ref) -> None:
        if self._stages.may_start(ref):
            heapq.heappush(self._startable, (self._rank[ref], ref))

    def _settle(self, ref: Ref) -> None:
        """Something happened to ``ref``: let go of the steps that waited for just that."""
        progress = self._progress
        outcome = progress.outcomes.get(ref)
        waiting = self._waited_for_by.get(ref)
        if outcome is None or not waiting:
            return
        # An object that is there and differs is a failure, but nobody is refused for it.
        there = ref in progress.uids
        no_longer_awaited = not there or not progress.awaiting.waits(ref)
        still_waiting = []
        for step in waiting:
            need = next(need for need in step.needs if need.ref == ref)
            if step.ref in progress.outcomes:
                continue
            lacking = ""
            if there and need.ready:
                # A kind whose definition is refused for good would answer 404 for a minute.
                never, lacks = progress.awaiting.never, progress.awaiting.lacks
                lacking = lacks(ref) if need.must_be_ready else never(ref)
            if need.hard and (lacking or not there):
                what = f"is not ready: {lacking}" if there else "did not come"
                reason = f"needs {ref} ({need.why}), which {what}"
                self._end(Outcome(step.ref, step.action, Result.BLOCKED, reason))
            elif no_longer_awaited or not need.ready:
                if need.ready:
                    self._ask_for_backing(step, ref, there=there)
                if not there and ref.group_kind in _NO_POD_WITHOUT:
                    progress.awaiting.doubt(step.ref, f"{ref}, which it needs, did not come")
                self._open_needs[step.ref].discard(ref)
                if not self._open_needs[step.ref]:
                    self._make_startable(step.ref)
            else:
                still_waiting.append(step)
        self._waited_for_by[ref] = still_waiting

    def _end(self, outcome: Outcome) -> None:
        self._progress.outcomes[outcome.ref] = outcome
        self._emit(StepEnded(outcome))
        self._emit(Advanced("execute", len(self._progress.outcomes), str(outcome.ref)))
        for ref in self._stages.ended(outcome.ref):
            self._make_startable(ref)
        self._settle(outcome.ref)

    def _ask_for_backing(self, step: Step, ref: Ref, *, there: bool) -> None:
        """Let a step come later if ``ref``, which stands behind it, is not known to be ready.

        It is admission: early it would refuse what it matches, and so that does not wait for it.
        """
        why = self._progress.awaiting.unsure(ref) if there else "did not come"
        if not why or not self._stages.can_come_later(step.ref):
            return
        for each in self._stages.come_later(step.ref, f"came after what it matches: {ref} {why}"):
            self._make_startable(each)
        for other in self._waited_for_by.pop(step.ref, []):
            self._open_needs[other.ref].discard(step.ref)
            if not self._open_needs[other.ref] and other.ref not in self._progress.outcomes:
                self._make_startable(other.ref)

    # -- requests ------------------------------------------------------------------------------

    def _submit(self, workers: ThreadPoolExecutor) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, rank, ref = heapq.heappop(self._later)
            heapq.heappush(self._startable, (rank, ref))
        # A few more than can be sent at once, so that no connection waits for us to read from Git.
        room = min(_BATCH, 2 * CONNECTIONS + _BATCH - self._in_flight)
        refs: list[Ref] = []
        while self._startable and len(refs) < room:
            refs.append(heapq.heappop(self._startable)[1])
        for ref, body in self._load(refs) if refs else ():
            self._in_flight += 1
            look_first = self._retries.is_perhaps_done(ref)
            workers.submit(self._work, self._in_plan[ref], body, look_first)

    def _work(self, step: Step, body: Body, look_first: bool) -> None:  # noqa: FBT001
        """Runs in a worker's thread."""
        if self._stop.is_set():
            return
        try:
            self._inbox.put(self._attempts.make(step, body, look_first=look_first))
        except Exception as error:  # noqa: BLE001 - one step that breaks us must not stop the others
            reason = f"{type(error).__name__}: {error}"
            failed = Outcome(step.ref, step.action, Result.FAILED, reason)
            self._inbox.put(Attempted(step, Act(failed)))

    def _link_owners_that_came_later(self) -> None:
        """Claims come before what owns them, and so does one side of a cycle."""
        deadline = time.monotonic() + patience(self._timeout)
        for ref, body in self._load(self._ownerless) if self._ownerless else ():
            try:
                self._attempts.link(self._in_plan[ref], body, deadline)
            except ApiError as error:
                outcome = self._progress.outcomes[ref]
                reason = f"made, but not linked to its owner: {error.message}"
                failed = replace(outcome, result=Result.FAILED, reason=reason)
                self._progress.outcomes[ref] = failed
                self._emit(StepEnded(failed))

    # -- answers -------------------------------------------------------------------------------

    def _take_messages(self) -> None:
        wait = 0.2 if self._in_flight or not self._startable else 0.0
        if self._later:
            wait = min(wait, max(0.0, self._later[0][0] - time.monotonic()))
        try:
            message = self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
        except queue.Empty:
            self._say_what_is_awaited()
            return
        while True:
            if isinstance(message, Attempted):
                self._in_flight -= 1
                self._acted(message)
            else:
                self._seen(message)
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                return

    def _acted(self, message: Attempted) -> None:
        step, result, readiness = message.step, message.act, message.readiness
        now = time.monotonic()
        # An operator that is still to become ready may define the kind itself.
        may_be_served = result.unserved and self._progress.awaiting.holds_the_end(now)
        pause = self._retries.pause(step.ref, result, now, may_be_served=may_be_served)
        if pause is not None:
            heapq.heappush(self._later, (now + pause, self._rank[step.ref], step.ref))
            return
        if result.ownerless:
            self._ownerless.append(step.ref)
        if result.stored is not None:
            self._progress.uids[step.ref] = str(result.stored["metadata"].get("uid", ""))
        if readiness is not None:
            ours = result.outcome.result is not Result.FAILED
            self._progress.awaiting.written(step.ref, readiness, now, ours=ours)
        self._end(self._stages.told(result.outcome))

    def _seen(self, message: Seen) -> None:
        if self._progress.awaiting.seen(message.ref, message.readiness, time.monotonic()):
            self._settle(message.ref)

    # -- readiness -----------------------------------------------------------------------------

    def _start_watching(self) -> list[threading.Thread]:
        kinds = {step.ref.group_kind for step in self._steps if awaited(step.ref.group_kind)}
        return start_watchers(
            self._connection,
            [self._resources[kind] for kind in sorted(kinds & self._resources.keys())],
            self._in_plan.keys(),
            judge=self._attempts.judge,
            tell=self._inbox.put,
            stop=self._stop,
        )

    def _give_up_on_the_late(self) -> None:
        now = time.monotonic()
        if now - self._looked_for_late_ones < _LOOK_EVERY:
            return
        self._looked_for_late_ones = now
        awaiting = self._progress.awaiting
        for ref in (*awaiting.settled(now), *awaiting.give_up(now)):
            self._settle(ref)

    def _look_once_more(self) -> None:
        """Read what is not ready itself: a watch that was stuck has not seen what became of it."""
        refs = set(self._progress.awaiting.given_up())
        kinds = sorted({ref.group_kind for ref in refs})
        look(
            self._connection,
            [self._resources[kind] for kind in kinds],
            refs,
            judge=self._attempts.judge,
            tell=self._seen,
        )

    def _say_what_is_awaited(self) -> None:
        if found := self._progress.awaiting.first(time.monotonic()):
            self._emit(Waiting(*found))

    def _final(self, final: Outcome) -> Outcome:
        if final != self._progress.outcomes[final.ref]:
            self._emit(StepEnded(final))
        return final
