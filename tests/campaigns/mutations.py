"""Changes one random leaf of an object, and says whether a report of the change is right. Pure."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gitops_dr.manifests.fieldpath import parse_fieldpath

Path = tuple[str | int, ...]
Body = dict[str, Any]

IDENTITY: tuple[Path, ...] = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
)
"""With another identity it is another object, which no API lets anybody do."""

# How often a leaf is taken from each part of an object that has it.
_WEIGHTS = {
    "metadata.annotations": 10,
    "metadata.finalizers": 10,
    "metadata.labels": 10,
    "metadata.managedFields": 3,
    "metadata.ownerReferences": 10,
    "metadata": 6,
    "status": 4,
    "content": 50,
}
_ADDITIONS = ("annotation", "controller", "finalizer", "label", "owner")

NOBODY: Body = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "nobody"}
"""As ownerReferences name an owner that is not there."""


@dataclass(frozen=True)
class Mutation:
    """One leaf of a body, changed."""

    deed: str
    """change, retype, remove or add."""
    path: Path
    body: Body
    """The whole object after it."""
    value: Any = None
    """What stands at ``path`` now."""

    @property
    def part(self) -> str:
        """Which part of the object the leaf is in."""
        return _part(self.path)

    @property
    def is_controller(self) -> bool:
        """Whether the object now seems to be made by a controller."""
        return isinstance(self.value, dict) and self.value.get("controller") is True

    @property
    def text(self) -> str:
        """The path, to be read."""
        return ".".join(map(str, self.path))


def leaves(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every scalar and every empty map or list."""
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    if not children:
        yield at
    for key, child in children:
        yield from leaves(child, (*at, key))


def mutate(body: Body, chance: random.Random, owner: Body = NOBODY) -> Mutation:
    """Change, remove or add one leaf of a copy; ``owner`` is one that may be added."""
    if chance.random() < 0.1:
        return _add(body, chance.choice(_ADDITIONS), owner)
    parts: dict[str, list[Path]] = {}
    for path in leaves(body):
        if path not in IDENTITY:
            parts.setdefault(_part(path), []).append(path)
    part = chance.choices(list(parts), [_WEIGHTS[each] for each in parts])[0]
    path = chance.choice(parts[part])
    changed = copy.deepcopy(body)
    holder, last = _holder(changed, path), path[-1]
    old = holder[last]
    # An API server keeps the types of all but custom resources, and of what may be either.
    free = part == "content" and (_is_custom(body) or type(old) is int)
    weights = (80, 10 if free else 0, 0 if _is_required(body, path) else 10)
    deed = chance.choices(("change", "retype", "remove"), weights)[0]
    if deed == "remove":
        del holder[last]
        return Mutation(deed, path, changed)
    if deed == "change" and old == {}:
        old["mutated"] = "x"
        return Mutation("add", (*path, "mutated"), changed, "x")
    holder[last] = _other(old) if deed == "change" else _retyped(old)
    return Mutation(deed, path, changed, holder[last])


def _is_required(body: Body, path: Path) -> bool:
    """Whether no API server would ever send the object without this field."""
    if body["kind"] == "CustomResourceDefinition":
        return not {"schema", "metadata"} & {*path}
    return path[-1] == "name" and not _is_custom(body)


def _is_custom(body: Body) -> bool:
    group, _, version = body["apiVersion"].partition("/")
    return bool(version) and "." in group and not group.endswith(".k8s.io")


def _part(path: Path) -> str:
    if path[0] == "metadata":
        part = ".".join(map(str, path[:2]))
        return part if part in _WEIGHTS else "metadata"
    return "status" if path[0] == "status" else "content"


def _holder(body: Any, path: Path) -> Any:
    for key in path[:-1]:
        body = body[key]
    return body


def _other(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case list():
            return ["mutated"]
        case _:
            return "mutated"


def _retyped(value: Any) -> Any:
    """What looks alike and is of another type."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return [value]
        case dict():
            return []
        case list():
            return {}
        case _:
            return "null"


def _add(body: Body, what: str, owner: Body) -> Mutation:
    changed = copy.deepcopy(body)
    metadata = changed["metadata"]
    if what in ("annotation", "label"):
        field, key, value = f"{what}s", "campaign.example/mutated", "x"
        metadata[field] = {**(metadata.get(field) or {}), key: value}
        return Mutation("add", ("metadata", field, key), changed, value)
    if what == "finalizer":
        field, item = "finalizers", "campaign.example/mutated"
    else:
        field = "ownerReferences"
        item = {**owner, "controller": True} if what == "controller" else owner
    metadata[field] = [*(metadata.get(field) or ()), item]
    return Mutation("add", ("metadata", field, len(metadata[field]) - 1), changed, item)


def names(reported: str, path: Path) -> str:
    """Whether a reported field path is that leaf (``exactly``), or what ``holds`` it; else nothing.

    List items may be told by a key or by their place, so their steps are not compared. A whole
    list is named where items come, go or change their order, and a field where it was not there.
    """
    said = ["*" if not isinstance(step, str) else step for step in parse_fieldpath(reported)]
    leaf = ["*" if isinstance(step, int) else step for step in path]
    rest = leaf[len(said) :]
    if leaf[: len(said)] != said:
        return ""
    if not rest:
        return "exactly"
    # A report that stops earlier must stop at a list, at an item, or right above the leaf.
    return "by what holds it" if len(rest) == 1 or "*" in (rest[0], said[-1]) else ""
