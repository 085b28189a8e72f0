"""Knows what an API server fills in where a manifest says nothing, and what it does not keep. Pure.

The rows of ``defaults.yaml``, compiled once per kind. They are about Kubernetes' own kinds; custom
resources have their defaults in their schemas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import yamlrocks

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import EVERY, FieldPath, Step, get, parse_fieldpath
from gitops_dr.model import Body
from gitops_dr.resources import shipped

_ANY_KEY: Final = "*"
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class DefaultRow:
    """What is filled in, or not kept, at one kind of place."""

    id: str
    place: str
    because: str
    link: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)
    omits_zero: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    unowned: tuple[str, ...] = ()


@cache
def default_rows() -> tuple[DefaultRow, ...]:
    """Read the shipped rows of ``defaults.yaml``, in file order."""
    return tuple(
        DefaultRow(
            row["id"],
            row["in"],
            row["because"],
            row["link"],
            row.get("fields", {}),
            row.get("copies", {}),
            row.get("derived", {}),
            tuple(row.get("omits_zero", ())),
            tuple(row.get("makes", ())),
            tuple(row.get("unowned", ())),
        )
        for row in _file()["defaults"]
    )


_Value = Callable[[Body, FieldPath], Iterator[Any]]
"""The values that may be filled in at a path of a body; none where it cannot be said."""


@dataclass(slots=True)
class _Node:
    """A field, by what leads to it."""

    below: dict[Step, _Node] = field(default_factory=dict)
    values: list[_Value] = field(default_factory=list)
    omits_zero: bool = False
    is_made: bool = False
    may_be_unowned: bool = False

    def at(self, path: FieldPath) -> _Node:
        """The node of a pattern, made where it is not there yet."""
        node = self
        for step in path:
            node = node.below.setdefault(step, _Node())
        return node

    def find(self, path: FieldPath) -> list[_Node]:
        """The nodes whose patterns fit a path."""
        nodes = [self]
        for step in path:
            wanted = (step, _ANY_KEY) if isinstance(step, str) else (EVERY,)
            nodes = [node.below[one] for node in nodes for one in wanted if one in node.below]
        return nodes


class Defaults:
    """The defaults of one kind; :func:`defaults_of` gives them."""

    def __init__(self, root: _Node) -> None:
        self._root = root

    def fills_in(self, live: Body, path: FieldPath, value: Any) -> bool:
        """Whether the API server gives the field at ``path`` this value where nobody gives any.

        ``live`` is the whole object, because some defaults follow from its other fields.
        """
        return any(
            _same(value, default)
            for node in self._root.find(path)
            for give in node.values
            for default in give(live, path)
        )

    def omits(self, path: FieldPath, value: Any) -> bool:
        """Whether the API server does not store this value, false, 0 or empty text, at ``path``."""
        zero = value in ("", 0) and not isinstance(value, float)
        return zero and any(node.omits_zero for node in self._root.find(path))

    def makes(self, path: FieldPath) -> bool:
        """Whether the map at ``path`` is made to hold defaults, where nobody wrote it."""
        return any(node.is_made for node in self._root.find(path))

    def may_be_unowned(self, path: FieldPath) -> bool:
        """Whether somebody can write the field at ``path`` and not become its owner."""
        return any(node.may_be_unowned for node in self._root.find(path))

    def knows(self, path: FieldPath) -> bool:
        """Whether it is known what, if anything, is filled in at ``path``."""
        return any(node.values for node in self._root.find(path))


@cache
def defaults_of(group: str, kind: str) -> Defaults:
    """Compile the rows that are about a kind."""
    root = _Node()
    for row in default_rows():
        for prefix in _prefixes(row.place, group, kind):
            for text, value in row.fields.items():
                root.at((*prefix, *_pattern(text))).values.append(_fixed(value))
            for text, source in row.copies.items():
                root.at((*prefix, *_pattern(text))).values.append(_copied(source))
            for text, name in row.derived.items():
                root.at((*prefix, *_pattern(text))).values.append(_derived(name))
            for text in row.omits_zero:
                root.at((*prefix, *_pattern(text))).omits_zero = True
            for text in row.makes:
                root.at((*prefix, *_pattern(text))).is_made = True
            for text in row.unowned:
                root.at((*prefix, *_pattern(text))).may_be_unowned = True
    return Defaults(root)


@cache
def _file() -> Mapping[str, Any]:
    file: Mapping[str, Any] = yamlrocks.loads(shipped("drift/defaults.yaml").read_bytes())
    return file


def _prefixes(place: str, group: str, kind: str) -> list[FieldPath]:
    """Where a place is in the objects of a kind; a kind's own name is the place of all of it."""
    full = f"{kind}.{group}" if group else kind
    if place == full:
        return [()]
    found = _file()["places"].get(place)
    if found is None:
        return []
    if "kinds" in found:
        return [_pattern(found["kinds"][full])] if full in found["kinds"] else []
    return [
        (*outer, *_pattern(inner))
        for outer in _prefixes(found["in"], group, kind)
        for inner in found["at"]
    ]


@cache
def _pattern(text: str) -> FieldPath:
    return parse_fieldpath(text.replace(".*", f'["{_ANY_KEY}"]')) if text else ()


def _fixed(value: Any) -> _Value:
    def give(_live: Body, _path: FieldPath) -> Iterator[Any]:
        yield value

    return give


def _copied(source: str) -> _Value:
    """The value of another field; several in the order in which they are asked."""
    alternatives = [_relative(text.strip()) for text in source.split("|")]

    def give(live: Body, path: FieldPath) -> Iterator[Any]:
        for up, steps in alternatives:
            start = () if up is None else path[: len(path) - 1 - up]
            target = (*start, *(path[-1] if step == _ANY_KEY else step for step in steps))
            value = get(live, target, _ABSENT)
            if value is not _ABSENT:
                yield value
                return

    return give


def _relative(text: str) -> tuple[int | None, FieldPath]:
    """How many maps up a path begins, None for the top, and the path from there."""
    if text.startswith("/"):
        return None, _pattern(text[1:])
    up = text.count("../")
    return up, _pattern(text[3 * up :])


def _derived(name: str) -> _Value:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise GitOpsDRError(f"defaults.yaml: there is no function {name!r}")

    def give(live: Body, path: FieldPath) -> Iterator[Any]:
        holder = get(live, path[:-1])
        if isinstance(holder, dict):
            yield function(holder)

    return give


# https://github.com/distribution/reference/blob/main/reference.go
_REFERENCE: Final = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*"
    r"(?P<tag>:\w[\w.-]*)?(?P<digest>@.+)?",
    re.ASCII,
)


def _pull_policy(container: Body) -> str:
    found = _REFERENCE.fullmatch(str(container.get("image", container.get("reference", ""))))
    # Of what is no reference, such as a placeholder that a tool replaces, there is no latest.
    newest = found and not found["digest"] and found["tag"] in (None, ":latest")
    return "Always" if newest else "IfNotPresent"


def _policy_types(spec: Body) -> list[str]:
    return ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _subject_group(subject: Body) -> str:
    return "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"


def _pod_replacement_policy(spec: Body) -> str:
    return "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"


_FUNCTIONS: Final[Mapping[str, Callable[[Body], Any]]] = {
    "list-kind": lambda names: f"{names.get('kind', '')}List",
    "pod-replacement-policy": _pod_replacement_policy,
    "policy-types": _policy_types,
    "pull-policy": _pull_policy,
    "singular": lambda names: str(names.get("kind", "")).lower(),
    "subject-group": _subject_group,
}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: true is not 1."""
    return type(one) is type(other) and bool(one == other)
