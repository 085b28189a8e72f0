"""Puts workloads to rest on a standby: the rows of ``standby.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.desired.outward import with_value
from gitops_dr.desired.pod_specs import GroupKind, image_names, pod_spec_paths
from gitops_dr.manifests.fieldpath import FieldPath, Wildcard, get, parse_fieldpath
from gitops_dr.manifests.selector import pattern_matches
from gitops_dr.model import Body, Ref, parse_kind
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
    follows: GroupKind | None = None
    """The kind that sets the field itself in the objects that it controls."""

    def rested(self, body: Body) -> Body:
        """The body at rest; the very same where it is so already."""
        found: Body = with_value(body, self.path, self.value)
        return found


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
    return ref.namespace in _kept_namespaces() or _is_kept(ref, body) or serves(ref, body, behind)


def serves(ref: Ref, body: Body, behind: Iterable[Behind]) -> bool:
    """Whether a workload stands behind a Service that the API server itself asks."""
    path = pod_spec_paths().get(ref.group_kind)
    if path is None:
        return False
    labels = get(body, (*path[:-1], "metadata", "labels"), {}) or {}
    return any(
        namespace == ref.namespace and selector.items() <= labels.items()
        for namespace, selector in behind
    )


def backend_kinds() -> tuple[GroupKind, ...]:
    """The kinds that name Services which the API server itself asks."""
    return tuple(_backend_paths())


def has_claims(ref: Ref, body: Body) -> bool:
    """Whether a pod, or the pods that a workload makes, have claims."""
    path = pod_spec_paths().get(ref.group_kind)
    if path is None:
        return False
    if (body.get("spec") or {}).get("volumeClaimTemplates"):
        return True
    volumes = get(body, (*path, "volumes"), ()) or ()
    return any("persistentVolumeClaim" in volume or "ephemeral" in volume for volume in volumes)


def about(ref: Ref, body: Body, field: FieldPath) -> Ref:
    """Which object the field of another one names."""
    named = get(body, field, {}) or {}
    group, _, _ = str(named.get("apiVersion") or "apps/v1").rpartition("/")
    return Ref(group, str(named.get("kind") or "Deployment"), ref.namespace, str(named.get("name")))


@cache
def rests() -> Mapping[GroupKind, Rest]:
    """By kind what becomes of its objects."""
    return {
        parse_kind(row["kind"]): Rest(
            row["because"],
            omit=row.get("omit", False),
            path=parse_fieldpath(row["path"]) if "path" in row else (),
            value=row.get("value"),
            of=parse_fieldpath(row["of"]) if "of" in row else (),
            follows=parse_kind(row["follows"]) if "follows" in row else None,
        )
        for row in _document()["rows"]
    }


@cache
def _kept_namespaces() -> frozenset[str]:
    return frozenset(row["namespace"] for row in _document()["kept"] if "namespace" in row)


def _is_kept(ref: Ref, body: Body) -> bool:
    """Whether one of its containers is what the cluster's storage needs."""
    names = [name.rpartition("/")[2] for name in image_names(ref, body)]
    return any(pattern_matches(pattern, name) for pattern in _kept_images() for name in names)


@cache
def _kept_images() -> tuple[str, ...]:
    return tuple(row["image"] for row in _document()["kept"] if "image" in row)


@cache
def _backend_paths() -> Mapping[GroupKind, FieldPath]:
    rows = _document()["backends"]
    return {parse_kind(row["kind"]): parse_fieldpath(row["path"]) for row in rows}


@cache
def _document() -> Any:
    return yamlrocks.loads(shipped("desired/standby.yaml").read_bytes())
