"""Lets what mutating admission changes wait for it, but not what it is itself made of. Pure.

An object that waits for a webhook must not be one that the webhook's backend needs. Nor may it be
one that another webhook's backend needs, if that one again waits for the first. What is left makes
no circle with any other need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitops_dr.manifests.selector import Labels
from gitops_dr.model import Action, Need, Ref, Step
from gitops_dr.planning.admission import Asked, Kind, Match, is_exempt
from gitops_dr.planning.facts import NO_FACTS, ObjectFacts
from gitops_dr.planning.tiers import stage

_NAMESPACE = ("", "Namespace")
_NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""The API server puts this label on every namespace.
https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name"""

_WHY = "changes what it matches when that is made"
_UNBACKED = "is matched, and nobody can answer for it"

Edges = dict[int, Need]
"""The needs of one step, by the index of the step that meets them."""


Requests = dict[tuple[Kind, str], list["_Request"]]
"""Requests that create something, by kind and namespace; a Namespace is in the one of its name."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request on account of the step at that index."""

    at: int
    name: str
    """Empty: a controller makes it up."""
    labels: Mapping[str, str]


def hold(
    steps: Sequence[Step],
    facts: Mapping[Ref, ObjectFacts],
    edges: Sequence[Edges],
    unbacked: Collection[int],
) -> list[str]:
    """Add to ``edges`` that steps wait for the mutating admission that their objects go through.

    ``edges`` are those of all other needs. ``unbacked``: the steps of admission that need something
    ready that is nowhere; they come after what they match. Returns notes on what waits for none.
    O(steps x admission), less where kinds and namespaces do not match.
    """
    alternatives = dict(_in_force(steps, facts))
    if not alternatives:
        return []
    _need_parameters(steps, facts, edges)
    first = _reach([at for at, step in enumerate(steps) if _is_first(step, facts)], edges)
    made_of = {at: _reach([at], edges) for at in alternatives}
    requests = _requests(steps, facts)
    namespaces = _Namespaces(facts)
    matched = {
        at: _matched(each, requests, namespaces).difference(first, made_of[at])
        for at, each in alternatives.items()
    }
    # Those whose backends wait for each other's owner, directly or through more of them.
    rings = _rings(
        {
            at: {
                other
                for other in matched
                if other not in unbacked and not made_of[at].isdisjoint(matched[other])
            }
            for at in matched
        }
    )
    notes = []
    for ring in rings:
        inside = set().union(*(made_of[at] for at in ring))
        if any(matched[at] & inside for at in ring):
            names = ", ".join(str(steps[at].ref) for at in ring)
            notes.append(
                f"what the backends of {names} need waits for none of them: each would wait for "
                "the other"
            )
        for at in ring:
            matched[at] -= inside
    for at, found in matched.items():
        if at in unbacked:
            own = stage(steps[at].ref.group_kind)
            for other in found:
                # Later stages wait for it anyway.
                if stage(steps[other].ref.group_kind) <= own:
                    edges[at].setdefault(other, Need(steps[other].ref, why=_UNBACKED))
        else:
            need = Need(steps[at].ref, ready=True, why=_WHY)
            for other in found:
                edges[other].setdefault(at, need)
    return notes


def _is_first(step: Step, facts: Mapping[Ref, ObjectFacts]) -> bool:
    return step.action is not Action.SKIP and facts.get(step.ref, NO_FACTS).first


def _in_force(
    steps: Sequence[Step], facts: Mapping[Ref, ObjectFacts]
) -> Iterator[tuple[int, list[tuple[Match, ...]]]]:
    """The steps of admission, each with what it is asked about: all of one of these tuples."""
    for at, asked in _asked(steps, facts):
        if not asked.alone:
            continue
        if asked.policy is None:
            yield at, [(each,) for each in asked.matches]
            continue
        policy = facts.get(asked.policy, NO_FACTS).asked
        if policy is not None:
            yield at, [(one, other) for one in policy.matches for other in asked.matches]


def _asked(steps: Sequence[Step], facts: Mapping[Ref, ObjectFacts]) -> Iterator[tuple[int, Asked]]:
    for at, step in enumerate(steps):
        found = facts.get(step.ref, NO_FACTS).asked
        if found is not None and step.action is not Action.SKIP:
            yield at, found


def _need_parameters(
    steps: Sequence[Step], facts: Mapping[Ref, ObjectFacts], edges: Sequence[Edges]
) -> None:
    """Let bindings come after their parameters: without them a policy may refuse everything."""
    for at, asked in _asked(steps, facts):
        policy = facts.get(asked.policy, NO_FACTS).asked if asked.policy else None
        if policy is None or policy.parameters is None or asked.given is None:
            continue
        namespace, name = asked.given
        for other, step in enumerate(steps):
            ref = step.ref
            if (
                ref.group_kind == policy.parameters
                and step.action is not Action.SKIP
                and namespace in ("", ref.namespace)
                and name in ("", ref.name)
            ):
                edges[at].setdefault(other, Need(ref, why="spec.paramRef"))


def _reach(
    starts: Iterable[int], edges: Sequence[Edges] | Mapping[int, Collection[int]]
) -> set[int]:
    """The steps to which edges lead from these, directly or through others, and themselves."""
    waiting = list(starts)
    found = set(waiting)
    while waiting:
        for target in edges[waiting.pop()]:
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def _requests(steps: Sequence[Step], facts: Mapping[Ref, ObjectFacts]) -> Requests:
    """The requests that the steps lead to; nobody is asked about admission itself."""
    found: Requests = {}
    for at, step in enumerate(steps):
        ref = step.ref
        if step.action is Action.SKIP or is_exempt(ref):
            continue
        of = facts.get(ref, NO_FACTS)
        if step.action is not Action.CONFIGURE:
            kind = Kind(ref.group, step.version, of.plural, bool(ref.namespace))
            namespace = ref.name if ref.group_kind == _NAMESPACE else ref.namespace
            found.setdefault((kind, namespace), []).append(_Request(at, ref.name, of.labels))
        for made in of.made:
            key = (made.kind, ref.namespace)
            found.setdefault(key, []).append(_Request(at, "", made.labels))
    return found


def _matched(
    alternatives: Iterable[tuple[Match, ...]], requests: Requests, namespaces: _Namespaces
) -> set[int]:
    """The steps on whose account the API server asks."""
    found: set[int] = set()
    for matches in alternatives:
        by_name = [match for match in matches if match.by_name]
        others = [match for match in matches if not match.by_name]
        wanted = [one for match in matches for one in match.objects]
        for (kind, namespace), several in requests.items():
            if all(match.takes(kind, "") for match in others) and (
                # About what is in no namespace it is asked whatever the selector.
                not namespace
                or all(namespaces.hold(match.namespaces, namespace) for match in matches)
            ):
                found.update(
                    each.at
                    for each in several
                    if all(match.takes(kind, each.name) for match in by_name)
                    and all(one.holds(each.labels) for one in wanted)
                )
    return found


class _Namespaces:
    """Answers whether the labels of a namespace meet a selector, once for each."""

    def __init__(self, facts: Mapping[Ref, ObjectFacts]) -> None:
        self._facts = facts
        self._known: dict[tuple[int, str], bool] = {}

    def hold(self, selector: Labels, namespace: str) -> bool:
        """Whether they do. Of a namespace that Git does not have only the name is known."""
        if not selector:
            return True
        # Selectors live as long as the facts; hashing one each time would cost more than asking.
        key = (id(selector), namespace)
        if key not in self._known:
            facts = self._facts.get(Ref(*_NAMESPACE, "", namespace), NO_FACTS)
            labels = {**facts.labels, _NAME_OF_NAMESPACE: namespace}
            self._known[key] = all(one.holds(labels) for one in selector)
        return self._known[key]


def _rings(waits: Mapping[int, Collection[int]]) -> list[list[int]]:
    """Sets of more than one that all lead to each other, each sorted."""
    reach = {at: _reach([at], waits) for at in waits}
    rings = []
    seen: set[int] = set()
    for at in waits:
        if at in seen:
            continue
        ring = sorted(other for other in reach[at] if at in reach[other])
        seen.update(ring)
        if len(ring) > 1:
            rings.append(ring)
    return rings
