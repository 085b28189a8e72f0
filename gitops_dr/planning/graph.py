"""Puts the steps of a plan into an order that respects their needs. Pure.

A need on an object that the plan creates is an edge; one on an object that is there is satisfied;
any other is reported. The order is topological, with ties broken by stage, tier and Ref, so that
it depends on the steps alone and not on the order they come in. Cycles are broken at their weakest
edge and named; what edges are weak, the rows of ``references.yaml`` declare.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitops_dr.model import ANY, Action, Need, Ref, Step
from gitops_dr.planning.facts import NO_FACTS, Backends, ObjectFacts
from gitops_dr.planning.holding import Edges, hold
from gitops_dr.planning.references import stronger
from gitops_dr.planning.tiers import stage, tier

_ROUNDS = 20
"""How often cycles are looked for one by one. Real clusters need one or two rounds."""

_SHOWN = 7
"""Objects of a cycle that are named; the rest is counted."""


@dataclass(frozen=True, slots=True, order=True)
class UnmetNeed:
    """``ref`` needs something that is neither in the plan nor in the target."""

    ref: Ref
    need: Need


@dataclass(frozen=True, slots=True)
class Ordering:
    """Steps in order, each with its needs among them, and what was found on the way."""

    steps: tuple[Step, ...]
    unmet: tuple[UnmetNeed, ...] = ()
    notes: tuple[str, ...] = ()
    """Edges that could not be kept, one line each."""


def order(
    steps: Iterable[Step], facts: Mapping[Ref, ObjectFacts], present: Callable[[Ref], bool]
) -> Ordering:
    """Order ``steps`` and give each its needs.

    ``facts`` are those of the steps' objects, and may hold more; ``present`` says whether an
    object is in the target already. Steps that skip have no needs and meet none: their objects
    are present. O((steps + needs) log steps) without cycles.
    """
    ranked = sorted(steps, key=_rank)
    edges, unmet = _resolve(ranked, facts, present)
    lacking = {each.ref for each in unmet if each.need.ready}
    unbacked = {at for at, step in enumerate(ranked) if step.ref in lacking}
    notes = hold(ranked, facts, edges, unbacked)
    notes += _drop_backward_stages(ranked, edges)
    sequence, notes_on_cycles = _sort(ranked, edges, facts)
    return Ordering(
        steps=tuple(
            replace(ranked[at], needs=tuple(edges[at][target] for target in sorted(edges[at])))
            for at in sequence
        ),
        unmet=tuple(sorted(unmet)),
        notes=(*notes, *notes_on_cycles),
    )


def _rank(step: Step) -> tuple[int, int, str, str, str, str]:
    ref = step.ref
    place = (stage(ref.group_kind), tier(ref.group_kind))
    return (*place, ref.group, ref.kind, ref.namespace, ref.name)


def _resolve(
    ranked: Sequence[Step], facts: Mapping[Ref, ObjectFacts], present: Callable[[Ref], bool]
) -> tuple[list[Edges], list[UnmetNeed]]:
    """Turn needs into edges between indices of ``ranked``."""
    index = {step.ref: at for at, step in enumerate(ranked) if step.action is not Action.SKIP}
    among = _Among(index, facts)
    edges: list[Edges] = [{} for _ in ranked]
    unmet: list[UnmetNeed] = []
    for ref, at in index.items():
        own = facts.get(ref, NO_FACTS)
        relations = own.references
        for need in relations.needs:
            found = among.meeting(need)
            if not found and not need.ref.name.endswith(ANY) and not present(need.ref):
                found = among.making(need.ref)
                if need.ref not in relations.optional:
                    unmet.append(UnmetNeed(ref, need))
            if need.ready:
                found += among.completing(need.ref)
            for each in found:
                target = index[each.ref]
                if target != at:
                    edges[at][target] = stronger(edges[at].get(target), each)
        for each in among.selected(ref) if own.selects is not None else ():
            edges[at].setdefault(index[each.ref], each)
    return edges, unmet


class _Among:
    """Answers which objects of the plan meet a need."""

    def __init__(self, refs: Collection[Ref], facts: Mapping[Ref, ObjectFacts]) -> None:
        self._refs = refs
        self._names = _Names(refs)
        self._backends = Backends(facts, refs)
        self._completing: dict[Ref, list[Ref]] = {}
        self._making: dict[Ref, list[Ref]] = {}
        for ref in refs:
            references = facts.get(ref, NO_FACTS).references
            for whole in references.completes:
                self._completing.setdefault(whole, []).append(ref)
            for made in references.makes:
                self._making.setdefault(made, []).append(ref)

    def meeting(self, need: Need) -> list[Need]:
        """The need itself, if its object is in the plan, or one for each that its name fits."""
        if need.ref.name.endswith(ANY):
            return [replace(need, ref=target) for target in self._names.matching(need.ref)]
        return [need] if need.ref in self._refs else []

    def making(self, ref: Ref) -> list[Need]:
        """Those that make an object that is nowhere."""
        return [Need(each, why=f"makes {ref}") for each in self._making.get(ref, ())]

    def completing(self, ref: Ref) -> list[Need]:
        """Those without which an object is not whole, or not ready."""
        parts = [Need(each, why=f"completes {ref}") for each in self._completing.get(ref, ())]
        behind = self._backends.of(ref)
        return parts + [Need(each, ready=True, why=f"stands behind {ref}") for each in behind]

    def selected(self, ref: Ref) -> list[Need]:
        """The workloads whose pods it selects."""
        return [Need(each, why="selects its pods") for each in self._backends.selected(ref)]


class _Names:
    """The names that the plan has of each kind in each namespace, for needs that end in ANY."""

    def __init__(self, refs: Iterable[Ref]) -> None:
        self._names: dict[tuple[str, str, str], list[str]] = {}
        for ref in refs:
            self._names.setdefault((ref.group, ref.kind, ref.namespace), []).append(ref.name)
        for names in self._names.values():
            names.sort()

    def matching(self, pattern: Ref) -> Iterator[Ref]:
        """Yield the Refs whose name begins as the pattern does before its ANY."""
        names = self._names.get((pattern.group, pattern.kind, pattern.namespace), [])
        prefix = pattern.name.removesuffix(ANY)
        for at in range(bisect_left(names, prefix), len(names)):
            if not names[at].startswith(prefix):
                return
            yield Ref(pattern.group, pattern.kind, pattern.namespace, names[at])


def _drop_backward_stages(ranked: Sequence[Step], edges: list[Edges]) -> list[str]:
    """Take out edges to later stages, which wait for the whole of the earlier ones."""
    stages = [stage(step.ref.group_kind) for step in ranked]
    notes = []
    for at, needs in enumerate(edges):
        for target in sorted(target for target in needs if stages[target] > stages[at]):
            need = needs.pop(target)
            notes.append(
                f"{ranked[at].ref} does not wait for {need.ref}, "
                f"which is created in a later stage ({need.why})"
            )
    return notes


def _sort(
    ranked: Sequence[Step], edges: list[Edges], facts: Mapping[Ref, ObjectFacts]
) -> tuple[list[int], list[str]]:
    """Order the indices topologically, the smallest first where there is a choice.

    Breaks cycles by taking edges out of ``edges``; says which.
    """
    notes: list[str] = []
    for _ in range(_ROUNDS):
        sequence = _kahn(edges)
        stuck = set(range(len(ranked))).difference(sequence)
        if not stuck:
            return sequence, notes
        notes += [_break(cycle, ranked, edges, facts) for cycle in _cycles(stuck, edges)]
    notes += _untangle(ranked, edges)
    return _kahn(edges), notes


def _untangle(ranked: Sequence[Step], edges: list[Edges]) -> list[str]:
    """Let the steps that are still stuck follow stage, tier and Ref, whatever they need."""
    stuck = set(range(len(ranked))).difference(_kahn(edges))
    dropped = 0
    for at in stuck:
        against = [target for target in edges[at] if target > at]
        dropped += len(against)
        for target in against:
            del edges[at][target]
    if not dropped:
        return []
    return [
        f"{len(stuck)} objects need each other in many ways: {dropped} needs are not waited for"
    ]


def _kahn(edges: Sequence[Edges]) -> list[int]:
    """Order the indices topologically (Kahn, with a heap), the smallest first.

    Leaves out what is on or behind a cycle.
    """
    waiting = [len(needs) for needs in edges]
    dependents: list[list[int]] = [[] for _ in edges]
    for at, needs in enumerate(edges):
        for target in needs:
            dependents[target].append(at)
    free = [at for at, count in enumerate(waiting) if not count]
    sequence = []
    while free:
        at = heapq.heappop(free)
        sequence.append(at)
        for dependent in dependents[at]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heapq.heappush(free, dependent)
    return sequence


def _cycles(stuck: Collection[int], edges: Sequence[Edges]) -> Iterator[list[int]]:
    """Find cycles that share no step, following each step to the first of its stuck needs.

    Every stuck step has one, so each way ends in a cycle; at least one is found.
    """
    follow = {at: min(target for target in edges[at] if target in stuck) for at in stuck}
    seen: dict[int, int] = {}
    for start in sorted(stuck):
        at = start
        while at not in seen:
            seen[at] = start
            at = follow[at]
        if seen[at] == start:
            cycle = [at]
            while (at := follow[at]) != cycle[0]:
                cycle.append(at)
            yield cycle


def _break(
    cycle: Sequence[int],
    ranked: Sequence[Step],
    edges: list[Edges],
    facts: Mapping[Ref, ObjectFacts],
) -> str:
    """Take the weakest edge out of a cycle and say so.

    One that yields before any other, soft before hard, existence before readiness, then the one
    that goes most against the tiers.
    """

    def strength(place: int) -> tuple[bool, bool, bool, int, int]:
        at, target = cycle[place - 1], cycle[place]
        need = edges[at][target]
        yields = need.ref in facts.get(ranked[at].ref, NO_FACTS).references.yielding
        against = tier(ranked[target].ref.group_kind) - tier(ranked[at].ref.group_kind)
        return (not yields, need.hard, need.ready, -against, at)

    place = min(range(len(cycle)), key=strength)
    at, target = cycle[place - 1], cycle[place]
    need = edges[at].pop(target)
    # Told from the step that no longer waits, once around.
    around = [str(ranked[each].ref) for each in (at, *cycle[place:], *cycle[:place])]
    if len(around) > _SHOWN:
        around[_SHOWN - 1 : -1] = [f"{len(around) - _SHOWN} more"]
    return f"{ranked[at].ref} does not wait for {need.ref} ({need.why}): {' -> '.join(around)}"
