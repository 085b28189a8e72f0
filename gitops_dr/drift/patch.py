"""Makes the JSON Patch that puts Git's values back where an object differs. Pure.

Source: RFC 6902 (JSON Patch), RFC 6901 (JSON Pointer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gitops_dr.drift.compare import ABSENT, differ, is_null
from gitops_dr.drift.items import by_name
from gitops_dr.drift.meaning import LITERALLY, Meaning
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


def json_patch(
    live: Body, seen: Body, wanted: Body, meaning: Meaning = LITERALLY
) -> list[Operation]:
    """The operations after which ``live`` says what Git says wherever the two differ.

    ``live`` is the object as the API server sent it; ``seen`` is the same without what rules take
    out, which is what was compared with ``wanted``, Git's, by the same ``meaning``. What rules take
    out is left as it is, and so is what says the same in other words. The first operation tests the
    resourceVersion, so that the patch fails if somebody was faster; there is no other where nothing
    differs.
    """
    version = live["metadata"]["resourceVersion"]
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [guard, *_operations(live, _restored(live, seen, wanted, meaning), ())]


def _restored(live: Any, seen: Any, wanted: Any, meaning: Meaning) -> Any:
    """``live`` with Git's values where ``seen`` differs from ``wanted``; nothing is changed."""
    if not differ(seen, wanted, meaning):
        return live
    if all(isinstance(value, dict) for value in (live, seen, wanted)):
        return _restored_fields(live, seen, wanted, meaning)
    if all(isinstance(value, list) for value in (live, seen, wanted)):
        return _restored_items(live, seen, wanted, meaning)
    return wanted


def _restored_fields(live: Body, seen: Body, wanted: Body, meaning: Meaning) -> Body:
    result = dict(live)
    wanted = {key: value for key, value in wanted.items() if not is_null(value, meaning.field(key))}
    for key in {**seen, **wanted}:
        below = meaning.field(key)
        if not differ(seen.get(key, ABSENT), wanted.get(key, ABSENT), below):
            continue
        shared = _SHARED.get(key)
        sides = [side[key] for side in (live, seen, wanted) if key in side]
        if shared and all(isinstance(value, shared) for value in sides):
            now, before, then = (side.get(key, shared()) for side in (live, seen, wanted))
            result[key] = _restored(now, before, then, below)
            if not result[key] and key not in wanted:
                del result[key]
        elif key not in wanted:
            result.pop(key, None)
        elif key in live and key in seen:
            result[key] = _restored(live[key], seen[key], wanted[key], below)
        else:
            result[key] = wanted[key]
    return result


def _restored_items(
    live: list[Any], seen: list[Any], wanted: list[Any], meaning: Meaning
) -> list[Any]:
    """Git's items in Git's order, each with what rules take out of it, then what rules take out."""
    named = by_name(meaning, seen, wanted, live)
    if named is not None:
        before, then, now = named
        items = [
            _restored(now[name], before[name], item, meaning.item())
            if name in now and name in before
            else item
            for name, item in then.items()
        ]
        known = before.keys() | then.keys()
        return [*items, *(item for name, item in now.items() if name not in known)]
    if len(live) == len(seen) == len(wanted):
        return [_restored(*sides, meaning.item()) for sides in zip(live, seen, wanted, strict=True)]
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
    elif differ(old, new):
        yield {"op": "replace", "path": _pointer(at), "value": new}


def _pointer(keys: Iterable[str | int]) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
