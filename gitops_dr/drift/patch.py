"""Turns field changes into the JSON Patch that puts Git's values back. Pure.

Source: RFC 6902 (JSON Patch), RFC 6901 (JSON Pointer).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitops_dr.manifests.fieldpath import FieldPath, parse_fieldpath
from gitops_dr.model import Body, FieldChange

Operation = dict[str, Any]


def json_patch(live: Body, changes: Iterable[FieldChange]) -> list[Operation]:
    """The operations that make ``live`` say what Git says in just these fields.

    ``live`` is the object as the API server sent it, with everything that rules take out; the
    changes say ``old`` for Git and ``new`` for the cluster. The first operation tests the
    resourceVersion, so that the patch fails if somebody was faster. Raises ``ValueError`` or
    ``TypeError`` if a change is not about this object.
    """
    parsed = [(parse_fieldpath(change.path), change) for change in changes]
    # A list that differs in its order is replaced, so nothing inside it is to be done apart.
    whole = {path for path, change in parsed if change.op == "replace"}
    removals: list[tuple[list[Any], Operation]] = []
    others: list[Operation] = []
    for path, change in parsed:
        if any(path[:end] in whole for end in range(len(path))):
            continue
        keys = _resolve(live, path, missing=change.op == "remove")
        pointer = _pointer(keys)
        match change.op:
            case "add":
                removals.append((keys, {"op": "remove", "path": pointer}))
            case "remove":
                others.append({"op": "add", "path": pointer, "value": change.old})
            case _:
                others.append({"op": "replace", "path": pointer, "value": change.old})
    # From the end of each list to its beginning, because each removal moves what follows.
    removals.sort(key=lambda removal: [_order(key) for key in removal[0]], reverse=True)
    version = live["metadata"]["resourceVersion"]
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [guard, *others, *(operation for _, operation in removals)]


def _resolve(live: Any, path: FieldPath, *, missing: bool) -> list[str | int]:
    """The keys and indices of a path; the last step may be ``missing``, then it is appended."""
    keys: list[str | int] = []
    node = live
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if isinstance(step, str):
            keys.append(step)
            node = node.get(step) if isinstance(node, dict) else None
        elif isinstance(node, list) and isinstance(step, int | tuple):
            index = step if isinstance(step, int) else _index(node, step)
            if index is None and not (last and missing):
                raise ValueError(f"{path}: the live object has no such item")
            keys.append("-" if index is None else index)
            node = node[index] if index is not None and index < len(node) else None
        else:
            raise TypeError(f"{path}: the live object has no list there")
    return keys


def _index(items: list[Any], selector: tuple[str, ...]) -> int | None:
    wanted = list(zip(selector[::2], selector[1::2], strict=True))
    for index, item in enumerate(items):
        if isinstance(item, dict) and all(item.get(key) == value for key, value in wanted):
            return index
    return None


def _pointer(keys: Iterable[str | int]) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def _order(key: str | int) -> tuple[int, int | str]:
    return (0, key) if isinstance(key, int) else (1, key)
