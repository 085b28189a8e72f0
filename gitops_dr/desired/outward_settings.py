"""Reads ``outward:`` of ``gitops-dr.yaml``: its shape, and what is meant by it. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitops_dr.desired.outward import Outward, shipped_rows
from gitops_dr.desired.pod_specs import pod_spec_paths
from gitops_dr.manifests.fieldpath import FieldPath, parse_fieldpath
from gitops_dr.manifests.selector import Labels, ObjectSelector, has_wildcard

if TYPE_CHECKING:
    from pydantic import BaseModel

Refuse = Callable[[str, str, str], Exception]
"""Makes the error about a key of the file: its path, the problem, and a hint or nothing."""

_DEEDS = ("path", "omit", "hold")
_SCALED = frozenset(
    {
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "ReplicaSet"),
        ("", "ReplicationController"),
    }
)
"""Kinds that are held at zero where nothing else is said."""


@dataclass(frozen=True, slots=True)
class OutwardSection:
    """What the file says of what acts outward, for all clusters."""

    rows: tuple[tuple[str | None, Outward], ...] = ()
    """Each with the only cluster that it is about; None: about all."""

    def of(self, cluster: str) -> tuple[Outward, ...]:
        """What counts for one cluster: people's rows, then those that ship."""
        own = (row for only, row in self.rows if only in (None, cluster))
        return (*own, *shipped_rows())


def shape(base: type[BaseModel]) -> tuple[type[BaseModel], dict[str, Collection[str]]]:
    """The model of one row, made from ``base``; and the keys that are known at each path."""
    from pydantic import Field

    class Row(base):  # type: ignore[misc, valid-type]
        group: str | None = None
        kind: str | None = Field(None, min_length=1)
        namespace: str | None = Field(None, min_length=1)
        name: str | None = Field(None, min_length=1)
        labels: Any = None
        images: list[str] | None = None
        cluster: str | None = None
        path: str | None = Field(None, min_length=1)
        value: Any = None
        omit: bool | None = None
        hold: bool | None = None
        because: str

    return Row, {"outward": Row.model_fields}


def read_section(
    written: Sequence[Mapping[str, Any]],
    clusters: Collection[str],
    read_labels: Callable[[Any], Labels],
    refuse: Refuse,
) -> OutwardSection:
    """Make rows of what has the shape.

    ``clusters`` are those of the file, ``read_labels`` reads a selector of labels. Raises what
    ``refuse`` makes for what makes no sense.
    """
    reader = _Reader(clusters, read_labels, refuse)
    return OutwardSection(tuple(reader.row(f"outward[{i}]", one) for i, one in enumerate(written)))


@dataclass(frozen=True, slots=True)
class _Reader:
    clusters: Collection[str]
    read_labels: Callable[[Any], Labels]
    refuse: Refuse

    def row(self, place: str, written: Mapping[str, Any]) -> tuple[str | None, Outward]:
        cluster: str | None = written.get("cluster")
        if cluster is not None and self.clusters and cluster not in self.clusters:
            near = difflib.get_close_matches(cluster, list(self.clusters), n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise self.refuse(f"{place}.cluster", f"no cluster {cluster!r}", hint)
        if not written["because"].strip():
            hint = "say what it does, for whoever reads why it is held"
            raise self.refuse(f"{place}.because", "says nothing", hint)
        if "kind" not in written:
            raise self.refuse(place, "names no kind", "say kind, and group unless it is the core's")
        objects = self._objects(place, written)
        images = tuple(written.get("images") or ())
        if images and (objects.group, objects.kind) not in pod_spec_paths():
            problem = f"{written['kind']} of group {objects.group!r} has no containers"
            raise self.refuse(f"{place}.images", problem, "say group: apps for a Deployment")
        path = self._path(place, written, objects)
        return cluster, Outward(
            place=place,
            because=written["because"].strip(),
            objects=(objects,),
            images=images,
            path=path,
            value=written["value"] if "path" in written else 0,
            omit=written.get("omit", False),
            let_go=not written.get("hold", True),
        )

    def _objects(self, place: str, written: Mapping[str, Any]) -> ObjectSelector:
        labels: Labels = ()
        if "labels" in written:
            try:
                labels = self.read_labels(written["labels"])
            except ValueError as error:
                raise self.refuse(f"{place}.labels", str(error), "") from error
        patterns = {key: written.get(key) for key in ("kind", "namespace", "name")}
        return ObjectSelector(group=written.get("group", ""), **patterns, labels=labels)

    def _path(self, place: str, written: Mapping[str, Any], objects: ObjectSelector) -> FieldPath:
        deeds = [key for key in _DEEDS if key in written]
        if len(deeds) > 1:
            raise self.refuse(place, f"says both {deeds[0]} and {deeds[1]}", "say one of them")
        if ("path" in written) != ("value" in written):
            missing = "value" if "path" in written else "path"
            raise self.refuse(place, f"lacks {missing}", "path and value say how it is held")
        if written.get("omit", True) is False or written.get("hold", False) is True:
            raise self.refuse(f"{place}.{deeds[0]}", "says what is so without it", "leave it out")
        if "path" in written:
            try:
                path = parse_fieldpath(written["path"])
            except ValueError as error:
                raise self.refuse(f"{place}.path", str(error), "") from error
            if not all(isinstance(step, str) for step in path):
                raise self.refuse(f"{place}.path", "passes through a list", "take a path of keys")
            if path[:1] not in (("spec",), ("metadata",)) or path[:2] == ("metadata", "name"):
                problem = "is no field by which an object can be held"
                raise self.refuse(f"{place}.path", problem, "take one of spec or an annotation")
            return path
        if deeds:
            return ()
        kind = objects.kind or ""
        if has_wildcard(kind) or (objects.group, objects.kind) not in _SCALED:
            hint = "say path and value, or omit: true if it is not to be made before the release"
            raise self.refuse(place, f"does not say how a {kind} is held", hint)
        return parse_fieldpath("spec.replicas")
