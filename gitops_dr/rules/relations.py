"""Applies the relation rules: what an object's owner and autoscaler mean for it. Pure.

Facts are collected while objects stream by; nobody's body is kept for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache

from gitops_dr.manifests.fieldpath import compile_drop, parse_fieldpath
from gitops_dr.model import ANY, Body, Omission, Ref, State
from gitops_dr.rules.completion import runs_to_an_end
from gitops_dr.rules.conditions import keys_of, lookup
from gitops_dr.rules.rows import RelationRow, names_kind, relation_rows

GroupKind = tuple[str, str]
Generated = Mapping[Ref, tuple[GroupKind, ...]]
"""Which kinds of objects an operator had made for each exported object, sorted."""


@dataclass(slots=True)
class RelationFacts:
    """What is known so far of relations between objects; filled while listing."""

    autoscaled: set[Ref] = field(default_factory=set)
    """Objects that a HorizontalPodAutoscaler targets."""
    owner_of: dict[Ref, Ref] = field(default_factory=dict)
    """Controller owner of each object that waits for the answer whether that owner is exported."""


@cache
def _row(relation: str) -> RelationRow:
    return next(row for row in relation_rows() if row.relation == relation)


def note_autoscaler(body: Body, facts: RelationFacts) -> None:
    """Remember what a HorizontalPodAutoscaler scales."""
    target = body.get("spec", {}).get("scaleTargetRef", {})
    if isinstance(target, dict) and target.get("name") and target.get("kind"):
        group = _group(str(target.get("apiVersion", "")))
        namespace = body["metadata"].get("namespace", "")
        facts.autoscaled.add(Ref(group, target["kind"], namespace, target["name"]))


def controller_owner(ref: Ref, body: Body, namespaced: Collection[tuple[str, str]]) -> Ref | None:
    """Name the object that generated this one, if its kind may be left out for it.

    ``namespaced``: the group and kind of everything namespaced; an owner that is cluster-scoped
    has no namespace.
    """
    kind = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
    if kind in _row("controller-owner").except_kinds:
        return None
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller") is True:
            group, owner_kind = _group(owner.get("apiVersion", "")), owner.get("kind", "")
            namespace = ref.namespace if (group, owner_kind) in namespaced else ""
            return Ref(group, owner_kind, namespace, owner.get("name", ""))
    return None


def apply_autoscaler(ref: Ref, body: Body, facts: RelationFacts) -> None:
    """Take out what the autoscaler decides, if there is one for this object."""
    if ref in facts.autoscaled:
        for drop in _autoscaler_drops():
            drop(body)


def keep_scale(body: Body, recorded: Body) -> bool:
    """Give ``body``, in place, what ``recorded`` has where an autoscaler may have decided.

    For when it is not known whether there is one. Returns whether that changed anything.
    """
    changed = False
    for path in _row("autoscaler-target").drop:
        *parents, last = keys_of(path)
        holder = lookup(body, parents, None)
        if not isinstance(holder, dict) or last not in holder:
            continue
        before, wanted = holder.pop(last), lookup(recorded, [*parents, last], None)
        if wanted is not None:
            holder[last] = wanted
        changed = changed or wanted != before
    return changed


@cache
def _autoscaler_drops() -> tuple[Callable[[Body], None], ...]:
    return tuple(compile_drop(parse_fieldpath(path)) for path in _row("autoscaler-target").drop)


def orphans(owner_of: Mapping[Ref, Ref], exported: Collection[Ref]) -> list[Ref]:
    """Those of ``owner_of`` whose chain of owners ends outside the export, so nobody makes them.

    A Pod belongs to a ReplicaSet that belongs to an exported Deployment: neither is an orphan.
    """
    generated: dict[Ref, bool] = {}

    def is_generated(ref: Ref) -> bool:
        chain = []
        while ref in owner_of and ref not in generated:
            chain.append(ref)
            generated[ref] = False  # a cycle of owners generates nothing
            ref = owner_of[ref]
            if ref in exported:
                break
        answer = ref in exported or generated.get(ref, False)
        generated.update(dict.fromkeys(chain, answer))
        return answer

    return [ref for ref in owner_of if not is_generated(ref)]


def generated_kinds(owner_of: Mapping[Ref, Ref], exported: Collection[Ref]) -> Generated:
    """Note what the controllers of custom resources have made for each exported one.

    Counted are the kinds directly below it, and below custom resources that are themselves left out
    as generated; what Kubernetes' own controllers make is told by the readiness of their objects.
    Left out are kinds of which a running owner has now some and now none: whatever runs to an end,
    and the ``breathing`` ones of the row.
    """
    breathing = _row("controller-owner").breathing
    found: dict[Ref, set[GroupKind]] = {}
    for ref, owner in owner_of.items():
        if not _is_custom(owner) or runs_to_an_end(ref.group_kind):
            continue
        if names_kind(breathing, *ref.group_kind):
            continue
        top, steps = owner, {ref}
        while top not in exported and top in owner_of and _is_custom(top) and top not in steps:
            steps.add(top)
            top = owner_of[top]
        if top in exported and _is_custom(top) and not runs_to_an_end(top.group_kind):
            found.setdefault(top, set()).add(ref.group_kind)
    return {ref: tuple(sorted(kinds)) for ref, kinds in sorted(found.items())}


def not_generated(
    recorded: Generated, observed: State, now: Generated
) -> list[tuple[Ref, GroupKind]]:
    """List what is recorded and not there: an owner and a kind of which it has no object any more.

    ``now``: what the same owners have in the observed cluster. An owner that is not there itself is
    reported elsewhere, and of a kind that could not be listed nothing is known.
    """
    unknown = {gap.ref.group_kind for gap in observed.gaps if gap.ref.name == ANY}
    return [
        (owner, kind)
        for owner, kinds in recorded.items()
        if owner in observed.entries
        for kind in kinds
        if kind not in now.get(owner, ()) and kind not in unknown and (kind[0], ANY) not in unknown
    ]


def _is_custom(ref: Ref) -> bool:
    """Groups of custom resources have a dot; the controllers of the others are Kubernetes' own."""
    return "." in ref.group


def generated_omission() -> Omission:
    """Account for what is left out because its owner makes it again."""
    row = _row("controller-owner")
    return Omission(Ref("", ANY, "", ANY), row.id, row.because)


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
