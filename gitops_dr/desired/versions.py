"""Writes an object in the version that a cluster serves, where Git's was removed. Pure.

Which versions, and which fields have moved, says ``versions.yaml``; the code knows no kind. The
source of its rows: https://kubernetes.io/docs/reference/using-api/deprecation-guide/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.desired.pod_specs import GroupKind
from gitops_dr.manifests.fieldpath import EVERY, FieldPath, get, parse_fieldpath
from gitops_dr.model import Body, parse_kind
from gitops_dr.resources import shipped

_TYPES: Mapping[str, type] = {"integer": int, "string": str}

_Change = Callable[[Body], None]
"""Done to the map that a move is at; that map may be changed."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One row: from a version that was removed to one that is served."""

    group: str
    version: str
    _fits: Callable[[Body], bool]
    _changes: tuple[tuple[FieldPath, _Change], ...]

    @property
    def api_version(self) -> str:
        """What the manifest says then."""
        return f"{self.group}/{self.version}"

    def fits(self, body: Body) -> bool:
        """Whether the object means the same in the new version."""
        return self._fits(body)

    def converted(self, body: Body) -> Body:
        """The object in the new version; the body is not changed."""
        found = deepcopy(body)
        found["apiVersion"] = self.api_version
        for at, change in self._changes:
            for holder in _at(found, at):
                if isinstance(holder, dict):
                    change(holder)
        return found


def conversion(kind: GroupKind, version: str) -> Conversion | None:
    """The row for a kind in a version; None if there is none."""
    return _conversions().get((kind, version))


@cache
def _conversions() -> Mapping[tuple[GroupKind, str], Conversion]:
    found: dict[tuple[GroupKind, str], Conversion] = {}
    for row in yamlrocks.loads(shipped("desired/versions.yaml").read_bytes()):
        group, _, version = row["to"].rpartition("/")
        made = Conversion(
            group,
            version,
            _condition(row),
            tuple(_move(each) for each in row.get("moves") or ()),
        )
        for kind in row["kinds"]:
            found |= {(parse_kind(kind), old): made for old in row["from"]}
    return found


def _condition(row: Mapping[str, Any]) -> Callable[[Body], bool]:
    only, unless = row.get("only"), row.get("unless")
    if only is not None:
        path, allowed = parse_fieldpath(only["path"]), only["any_of"]
        return lambda body: all(value in allowed for value in _values(body, path))
    if unless is not None:
        path, value = parse_fieldpath(unless["path"]), unless["equals"]
        return lambda body: all(found != value for found in _values(body, path))
    return lambda _body: True


def _values(body: Body, path: FieldPath) -> Iterator[Any]:
    """What is at the last key of each map that the path leads to; None where it is absent."""
    for holder in _at(body, path[:-1]):
        yield holder.get(path[-1]) if isinstance(holder, dict) else None


def _move(row: Mapping[str, Any]) -> tuple[FieldPath, _Change]:
    at = parse_fieldpath(row["at"])
    if "put" in row:
        key, value, beside = row["put"], row["value"], row.get("beside")

        def put(holder: Body) -> None:
            if beside is None or beside in holder:
                holder.setdefault(key, deepcopy(value))

        return at, put
    source = tuple(map(str, parse_fieldpath(row["move"])))
    target = tuple(map(str, parse_fieldpath(row["to"])))
    of = _TYPES.get(row.get("of", ""), object)

    def move(holder: Body) -> None:
        inner = get(holder, source[:-1])
        if not isinstance(inner, dict) or source[-1] not in inner:
            return
        if not isinstance(inner[source[-1]], of):
            return
        outer = holder
        for step in target[:-1]:
            below = outer.setdefault(step, {})
            if not isinstance(below, dict):
                return
            outer = below
        if target[-1] not in outer:
            outer[target[-1]] = inner.pop(source[-1])

    return at, move


def _at(value: Any, path: FieldPath) -> Iterator[Any]:
    """Everything that a path leads to; ``[*]`` goes into all that is in a list or a map."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if step is EVERY:
        inside = list(value.values()) if isinstance(value, dict) else value
        for item in inside if isinstance(inside, list) else ():
            yield from _at(item, rest)
    elif isinstance(value, dict) and step in value:
        yield from _at(value[step], rest)
