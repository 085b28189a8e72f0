"""Makes the JSON Patch that puts Git's values back where an object differs. Pure.

Source: RFC 6902 (JSON Patch), RFC 6901 (JSON Pointer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gitops_dr.drift.compare import field_changes, shared_key
from gitops_dr.model import Body

Operation = dict[str, Any]

# Rules take single entries out of these, and the field itself with its last entry.
_SHARED: dict[str, type] = {
    "annotations": dict,
    "labels": dict,
    "finalizers": list,
    "secrets": list,
    "imagePullSecrets": list,
}


def json_patch(live: Body, seen: Body, wanted: Body) -> list[Operation]:
    """The operations after which ``live`` says what Git says wherever the two differ.

    ``live`` is the object as the API server sent it; ``seen`` is the same without what rules take
    out, which is what was compared with ``wanted``, Git's. What rules take out is left as it is.
    The first operation tests the resourceVersion, so that the patch fails if somebody was faster;
    there is no other where nothing differs.
    """
    version = live["metadata"]["resourceVersion"]
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [guard, *_operations(live, _restored(live, seen, wanted), ())]


def _restored(live: Any, seen: Any, wanted: Any) -> Any:
    """``live`` with Git's values where ``seen`` differs from ``wanted``; nothing is changed."""
    if not _differ(seen, wanted):
        return live
    if all(isinstance(value, dict) for value in (live, seen, wanted)):
        return _restored_fields(live, seen, wanted)
    if all(isinstance(value, list) for value in (live, seen, wanted)):
        return _restored_items(live, seen, wanted)
    return wanted


def _restored_fields(live: Body, seen: Body, wanted: Body) -> Body:
    result = dict(live)
    for key in {**seen, **wanted}:
        shared = _SHARED.get(key)
        sides = [side[key] for side in (live, seen, wanted) if key in side]
        if shared and all(isinstance(value, shared) for value in sides):
            result[key] = _restored(*(side.get(key, shared()) for side in (live, seen, wanted)))
            if not result[key] and key not in wanted:
                del result[key]
        elif key not in wanted:
            result.pop(key, None)
        elif key in live and key in seen:
            result[key] = _restored(live[key], seen[key], wanted[key])
        else:
            result[key] = wanted[key]
    return result


def _restored_items(live: list[Any], seen: list[Any], wanted: list[Any]) -> list[Any]:
    """Git's items in Git's order, each with what rules take out of it, then what rules take out."""
    key = shared_key(seen, wanted, live)
    if key is not None:
        now = {item[key]: item for item in live}
        before = {item[key]: item for item in seen}
        items = [
            _restored(now[item[key]], before[item[key]], item)
            if item[key] in now and item[key] in before
            else item
            for item in wanted
        ]
        known = before.keys() | {item[key] for item in wanted}
        return [*items, *(item for name, item in now.items() if name not in known)]
    if len(live) == len(seen) == len(wanted):
        return [_restored(*sides) for sides in zip(live, seen, wanted, strict=True)]
    if len(live) == len(seen):
        return wanted
    return [*wanted, *(item for item in live if item not in seen and item not in wanted)]


def _operations(old: Any, new: Any, at: tuple[str | int, ...]) -> Iterator[Operation]:
    if old is new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            path = (*at, key)
            if key not in new:
                yield {"op": "remove", "path": _pointer(path)}
            elif key not in old:
                yield {"op": "add", "path": _pointer(path), "value": new[key]}
            else:
                yield from _operations(old[key], new[key], path)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _operations(one, other, (*at, index))
    elif _differ(old, new):
        yield {"op": "replace", "path": _pointer(at), "value": new}


def _differ(one: Any, other: Any) -> bool:
    return next(field_changes(one, other), None) is not None


def _pointer(keys: Iterable[str | int]) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
