"""Holds what acts on something outside of its cluster, or on other objects. Pure.

The rows of ``outward.yaml`` and those of ``gitops-dr.yaml`` say which objects these are and how one
is held: a field gets a value, or the object is not made yet. Held, they are released last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.desired.pod_specs import GroupKind, image_names, pod_spec_paths
from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath, get, parse_fieldpath
from gitops_dr.manifests.selector import ObjectSelector, equal_labels, pattern_matches
from gitops_dr.model import ANY, Body, FieldChange, Ref, parse_kind
from gitops_dr.resources import shipped
from gitops_dr.rules.conditions import Predicate, compile_when

OMITTED = "outward"
"""The rule of what is not made before the release."""


@dataclass(frozen=True, slots=True)
class Of:
    """The field that names what an object is about: a map with a name."""

    path: FieldPath
    group: str
    kind: str
    """Group and kind where the map does not say them."""

    def named(self, ref: Ref, body: Body) -> tuple[Ref, ...]:
        """What it names: in the object's own namespace, or in none."""
        found = get(body, self.path)
        if not isinstance(found, dict) or not isinstance(found.get("name"), str):
            return ()
        group, slash, _ = str(found.get("apiVersion", "")).rpartition("/")
        of_group = group if slash else str(found.get("group") or self.group)
        kind = str(found.get("kind") or self.kind)
        return tuple(Ref(of_group, kind, space, found["name"]) for space in (ref.namespace, ""))


@dataclass(frozen=True, slots=True)
class Outward:
    """One row: which objects act outward, and how one is held."""

    place: str
    """Where it is written, for messages: the id of a shipped row, or the key of the file."""
    because: str
    objects: tuple[ObjectSelector, ...]
    """It is about an object that is one of these; their labels do not count where an image fits."""
    images: tuple[str, ...] = ()
    when: Predicate | None = None
    path: FieldPath = ()
    value: Any = None
    omit: bool = False
    waits: bool = False
    of: Of | None = None
    let_go: bool = False
    """People say that these objects do not act outward: they are never held."""
    link: str = ""

    @property
    def ships(self) -> bool:
        """Whether it comes with gitops-dr, and is not people's own."""
        return bool(self.link)

    @property
    def field(self) -> str:
        """The field by which an object is held; empty if it is held otherwise."""
        return format_fieldpath(self.path) if self.path else ""

    def names_kind(self, group_kind: GroupKind) -> bool:
        """Whether it is about some objects of a kind."""
        return any(_names_kind(one, group_kind) for one in self.objects)

    def fits(self, ref: Ref, body: Body) -> bool:
        """Whether the object is one of those, as far as it says so itself."""
        if not any(self._chooses(one, ref, body) for one in self.objects):
            return False
        return self.when is None or self.when(body)

    def _chooses(self, objects: ObjectSelector, ref: Ref, body: Body) -> bool:
        if not _names_kind(objects, ref.group_kind) or not objects.names(ref):
            return False
        if self.images and _has_image(ref, body, self.images):
            return True
        if self.images and not objects.labels:
            return False
        labels = body["metadata"].get("labels") or {}
        return all(one.holds(labels) for one in objects.labels)

    def held(self, body: Body) -> Body:
        """The object as it is while it is held; the very same where it is so already."""
        found: Body = with_value(body, self.path, self.value) if self.path else body
        return found

    def is_held(self, body: Body) -> bool:
        """Whether the object says of itself that it is held, or could be."""
        return self.held(body) is body

    def is_hold(self, change: FieldChange) -> bool:
        """Whether a change, from Git to the cluster, is what :meth:`held` does to an object."""
        if not self.path or change.op == "remove":
            return False
        value = self.value
        for length in range(len(self.path), 0, -1):
            if change.path == format_fieldpath(self.path[:length]) and change.new == value:
                return True
            value = {self.path[length - 1]: value}
        return False


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held."""

    rows: tuple[Outward, ...] = ()
    only: frozenset[Ref] | None = None
    """The objects of the source that may be; None: all that a row fits."""


NO_HOLD = Hold()


class Holder:
    """Finds the row of an object."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._by_kind: dict[GroupKind, tuple[Outward, ...]] = {}
        self.held: set[Ref] = set()
        """The objects of the source that were found to be held; of them rows may depend."""

    def __bool__(self) -> bool:
        """Whether anything is ever held."""
        return bool(self._hold.rows)

    def touches(self, ref: Ref) -> bool:
        """Whether the object may be held, so that its body must be looked at."""
        only = self._hold.only
        return (only is None or ref in only) and bool(self._rows(ref.group_kind))

    def is_about_another(self, ref: Ref) -> bool:
        """Whether it is held only where another object is, which must be looked at before."""
        return any(row.of for row in self._rows(ref.group_kind))

    def row(self, ref: Ref, body: Body, serves: Callable[[Ref, Body], bool]) -> Outward | None:
        """The row by which the object is held; None if it is not.

        ``serves``: whether the API server asks a workload, so that nothing could be written while
        it is at zero; that one is never held.
        """
        if not self.touches(ref):
            return None
        for row in self._rows(ref.group_kind):
            if row.of and self.held.isdisjoint(row.of.named(ref, body)):
                continue
            if row.fits(ref, body):
                asked = is_workload(ref.group_kind) and serves(ref, body)
                return None if row.let_go or asked else row
        return None

    def _rows(self, group_kind: GroupKind) -> tuple[Outward, ...]:
        if group_kind not in self._by_kind:
            rows = tuple(row for row in self._hold.rows if row.names_kind(group_kind))
            self._by_kind[group_kind] = rows
        return self._by_kind[group_kind]


def with_value(node: Any, path: FieldPath, value: Any) -> Any:
    """A copy that has the value at a path of keys; the very same where it has it already."""
    if not path:
        return node if type(node) is type(value) and node == value else value
    below = node if isinstance(node, dict) else {}
    step = path[0]
    changed = with_value(below.get(step), path[1:], value)
    return node if step in below and changed is below[step] else {**below, step: changed}


def is_workload(group_kind: GroupKind) -> bool:
    """Whether objects of a kind have pods that stay, so that the API server may ask one."""
    return group_kind in pod_spec_paths() and group_kind[0] != "batch"


@cache
def shipped_rows() -> tuple[Outward, ...]:
    """The rows of ``outward.yaml``, in its order."""
    rows = yamlrocks.loads(shipped("desired/outward.yaml").read_bytes())
    return tuple(_row(row) for row in rows)


def _row(row: Mapping[str, Any]) -> Outward:
    of = row.get("of")
    labels = equal_labels(row.get("labels") or {})
    kinds = [parse_kind(kind) for kind in row["kinds"]]
    return Outward(
        place=row["id"],
        because=row["because"],
        objects=tuple(ObjectSelector(group, kind, labels=labels) for group, kind in kinds),
        images=tuple(row.get("images", ())),
        when=compile_when(row.get("when", ())),
        path=parse_fieldpath(row["path"]) if "path" in row else (),
        value=row.get("value"),
        omit=row.get("omit", False),
        waits=row.get("waits", False),
        of=Of(parse_fieldpath(of["path"]), of["group"], of["kind"]) if of else None,
        link=row["link"],
    )


def _names_kind(objects: ObjectSelector, of_kind: GroupKind) -> bool:
    group, kind = of_kind
    if (objects.kind is None or ANY in objects.kind) and _is_built_in(group):
        return False
    return (objects.group is None or pattern_matches(objects.group, group)) and (
        objects.kind is None or pattern_matches(objects.kind, kind)
    )


def _is_built_in(group: str) -> bool:
    """Whether a group is one of Kubernetes itself; whoever else makes one names a domain of theirs.

    https://kubernetes.io/docs/reference/using-api/#api-groups
    """
    return "." not in group or group.endswith(".k8s.io")


def _has_image(ref: Ref, body: Body, patterns: Collection[str]) -> bool:
    names = image_names(ref, body)
    return any(_is_image(pattern, name) for name in names for pattern in patterns)


def _is_image(pattern: str, name: str) -> bool:
    return pattern_matches(pattern, name) or pattern_matches(f"*/{pattern}", name)
