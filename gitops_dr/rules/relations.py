"""Applies the relation rules: what an object's owner and autoscaler mean for it. Pure.

Facts are collected while objects stream by; nobody's body is kept for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache

from gitops_dr.manifests.fieldpath import compile_drop, parse_fieldpath
from gitops_dr.model import ANY, Body, Omission, Ref
from gitops_dr.rules.rows import RelationRow, relation_rows


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


def generated_omission() -> Omission:
    """Account for what is left out because its owner makes it again."""
    row = _row("controller-owner")
    return Omission(Ref("", ANY, "", ANY), row.id, row.because)


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
