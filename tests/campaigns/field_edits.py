"""Changes and removes any field of an object by kubectl, as far as the API server takes that."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from campaigns.edits import Way, by, pointer
from campaigns.independent import Body, normalised
from campaigns.kubectl import Hand, Recorded, Refused
from campaigns.mutations import leaves
from campaigns.told import Edit, Where, at

_TELLING = {"containerPort", "ip", "key", "mountPath", "name", "port", "protocol", "type"}
"""With another one an item of a list is another item."""

_Act = Callable[[Hand, Recorded, Body, Where, Any], Edit]


def change_leaf(act: _Act) -> Way:
    """Change a random field as far as the API server takes it, and nothing else of the object."""

    def way(hand: Hand, one: Recorded) -> Edit:
        live = hand.live(one)
        path = hand.any(_fields(one.body, live))
        value = _other(at(live, path), hand.word())
        would_be = hand.dry_run(one, {"op": "replace", "path": pointer(path), "value": value})
        if [*_differing(normalised(live, live), normalised(would_be, live))] != [path]:
            raise Refused("something else would change, too")
        return act(hand, one, live, path, value)

    return way


def by_editor(hand: Hand, one: Recorded, _live: Body, path: Where, value: Any) -> Edit:
    asked = {"EDIT_PATH": json.dumps(path), "EDIT_VALUE": json.dumps(value)}
    hand.run(one, "edit", "-o", "json", f"{one.kind}/{one.key[3]}", **asked)
    return Edit("edit", one.key, "changed", path, by("kubectl-edit"))


def by_replacing(hand: Hand, one: Recorded, live: Body, path: Where, value: Any) -> Edit:
    hand.run(one, "replace", "-f", "-", given=_with(live, path, value))
    return Edit("replace", one.key, "changed", path, by("kubectl-replace"))


def by_patch(hand: Hand, one: Recorded, _live: Body, path: Where, value: Any) -> Edit:
    change = [{"op": "replace", "path": pointer(path), "value": value}]
    hand.patch(one, change, "--type=json")
    return Edit("patch json", one.key, "changed", path, by("kubectl-patch"))


def by_applying(hand: Hand, one: Recorded, live: Body, path: Where, value: Any) -> Edit:
    if any(at(live, leaf) is None for leaf in leaves(live)):
        raise Refused("a null is what such an apply takes away")
    body = _with(live, path, value)
    for name in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"):
        body["metadata"].pop(name, None)
    body.pop("status", None)
    hand.run(one, "apply", "-f", "-", given=body)
    return Edit("apply", one.key, "changed", path, by("kubectl-client-side-apply"))


def remove_field(hand: Hand, one: Recorded) -> Edit:
    live = hand.live(one)
    path = hand.any([p for p in _fields(one.body, live) if not isinstance(p[-1], int)])
    operation = {"op": "remove", "path": pointer(path)}
    found = [*_differing(normalised(live, live), normalised(hand.dry_run(one, operation), live))]
    if len(found) != 1 or path[: len(found[0])] != found[0]:
        raise Refused("something else would go, or nothing")
    hand.patch(one, [operation], "--type=json")
    return Edit("patch json", one.key, "removed", path)


def _fields(git: Body, live: Body) -> list[Where]:
    """Where both have the same scalar, apart from metadata and from what tells items of lists."""
    return [
        path
        for path in leaves(live)
        if path[0] not in ("apiVersion", "kind", "metadata", "status")
        and not (isinstance(path[-2:][0], int) and path[-1] in _TELLING)
        and isinstance(value := at(git, path), str | int | bool)
        and value == at(live, path)
    ]


def _other(value: Any, word: str) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case _:
            return f"{value}{word}" if value and value[-1].isalnum() else word


def _with(body: Body, path: Where, value: Any) -> Body:
    changed = copy.deepcopy(body)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def _differing(one: Any, other: Any, path: Where = ()) -> Iterator[Where]:
    """Each leaf at which two bodies differ; the topmost of what only one has."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key in one and key in other:
                yield from _differing(one[key], other[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing(*pair, (*path, place))
    elif one != other or type(one) is not type(other):
        yield path
