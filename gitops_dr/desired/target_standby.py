"""Puts workloads to rest on a standby: the rows of ``standby.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.desired.mappings import GroupKind, group_kind, pod_spec_paths
from gitops_dr.manifests.fieldpath import FieldPath, Wildcard, get, parse_fieldpath
from gitops_dr.model import Body, Ref
from gitops_dr.resources import shipped

Bodies = Callable[[Iterable[Ref]], Iterator[tuple[Ref, Body]]]
"""Gives objects of the source, in the order asked."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What becomes of one kind: it is left out, or a field gets a value."""

    because: str
    omit: bool = False
    path: FieldPath = ()
    value: Any = None
    of: FieldPath = ()
    """The field that names what the object is about, which must rest for it to; or nothing."""

    def rested(self, body: Body) -> Body:
        """The body at rest; the very same where it is so already."""
        found: Body = _with(body, self.path, self.value)
        return found


def _with(node: Any, path: FieldPath, value: Any) -> Any:
    if not path:
        return node if type(node) is type(value) and node == value else value
    below = node if isinstance(node, dict) else {}
    step = path[0]
    changed = _with(below.get(step), path[1:], value)
    return node if step in below and changed is below[step] else {**below, step: changed}


Behind = tuple[str, Mapping[str, str]]
"""The namespace of a Service, and the labels of the pods behind it."""


def backends(refs: Iterable[Ref], bodies: Bodies) -> tuple[Behind, ...]:
    """What stands behind the Services that the API server itself asks, at the source."""
    paths = _backend_paths()
    held = list(refs)
    asked: set[Ref] = set()
    for ref, body in bodies([ref for ref in held if ref.group_kind in paths]):
        asked |= set(_services(body, paths[ref.group_kind]))
    return tuple(
        (ref.namespace, selector)
        for ref, body in bodies([ref for ref in held if ref in asked])
        if (selector := (body.get("spec") or {}).get("selector"))
    )


def _services(node: Any, path: FieldPath) -> Iterator[Ref]:
    if not path:
        if isinstance(node, dict) and "name" in node:
            yield Ref("", "Service", str(node.get("namespace", "")), str(node["name"]))
    elif isinstance(path[0], Wildcard):
        for item in node if isinstance(node, list) else ():
            yield from _services(item, path[1:])
    elif isinstance(node, dict):
        yield from _services(node.get(str(path[0])), path[1:])


def runs(ref: Ref, body: Body, behind: Iterable[Behind]) -> bool:
    """Whether a workload runs on a standby, too: the cluster itself needs it."""
    if ref.namespace in _kept_namespaces():
        return True
    path = pod_spec_paths().get(ref.group_kind)
    if path is None:
        return False
    labels = get(body, (*path[:-1], "metadata", "labels"), {}) or {}
    return any(
        namespace == ref.namespace and selector.items() <= labels.items()
        for namespace, selector in behind
    )


def about(ref: Ref, body: Body, field: FieldPath) -> Ref:
    """Which object the field of another one names."""
    named = get(body, field, {}) or {}
    group, _, _ = str(named.get("apiVersion") or "apps/v1").rpartition("/")
    return Ref(group, str(named.get("kind") or "Deployment"), ref.namespace, str(named.get("name")))


@cache
def rests() -> Mapping[GroupKind, Rest]:
    """By kind what becomes of its objects."""
    return {
        group_kind(row["kind"]): Rest(
            row["because"],
            omit=row.get("omit", False),
            path=parse_fieldpath(row["path"]) if "path" in row else (),
            value=row.get("value"),
            of=parse_fieldpath(row["of"]) if "of" in row else (),
        )
        for row in _document()["rows"]
    }


@cache
def _kept_namespaces() -> frozenset[str]:
    return frozenset(row["namespace"] for row in _document()["kept"])


@cache
def _backend_paths() -> Mapping[GroupKind, FieldPath]:
    rows = _document()["backends"]
    return {group_kind(row["kind"]): parse_fieldpath(row["path"]) for row in rows}


@cache
def _document() -> Any:
    return yamlrocks.loads(shipped("desired/standby.yaml").read_bytes())
