"""Takes single field changes back in a body, or turns them round. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, Final

from gitops_dr.drift.items import Identity, identity
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.manifests.fieldpath import FieldPath, Step, get, parse_fieldpath
from gitops_dr.model import Body, FieldChange, MaskedValue

_ABSENT: Final = object()
_TURNED: Final = {"add": "remove", "remove": "add", "replace": "replace"}


def flipped(change: FieldChange) -> FieldChange:
    """The same change seen from the other side; nobody is its author there."""
    return FieldChange(change.path, _TURNED[change.op], old=change.new, new=change.old)


def undone(
    body: Body, changes: Iterable[FieldChange], origin: Body, meaning: Meaning = LITERALLY
) -> Body:
    """A copy of ``body`` with the old values of the changes, and all else as it is.

    The changes lead from ``origin`` to ``body``, by ``meaning``. An item of a list that is put back
    stands where ``origin`` has it; a list whose items are only in another order is put into the
    order of ``origin``, and keeps what else is in it.
    """
    result: Body = deepcopy(body)
    steps = [(parse_fieldpath(change.path), change) for change in changes]
    for path, change in steps:
        if change.op != "add":
            _put(result, path, change, origin, meaning)
    # From the end, so that no place of an item moves before it is its turn.
    for path, _ in sorted(
        ((path, change) for path, change in steps if change.op == "add"),
        key=lambda found: _place(found[0][-1]),
        reverse=True,
    ):
        _take_out(result, path)
    return result


def _place(step: Step) -> int:
    return step if isinstance(step, int) else -1


def _take_out(body: Body, path: FieldPath) -> None:
    holder = get(body, path[:-1])
    step = path[-1]
    if isinstance(holder, dict) and isinstance(step, str):
        holder.pop(step, None)
    elif isinstance(holder, list):
        place = _find(holder, step)
        if place is not None:
            del holder[place]


def _put(body: Body, path: FieldPath, change: FieldChange, origin: Body, meaning: Meaning) -> None:
    holder, step = _made_holder(body, path, origin), path[-1]
    now = get(body, path, _ABSENT)
    # What is shown masks a Secret's values; a body has them.
    masked = isinstance(change.old, MaskedValue)
    value = change.old.reveal() if masked else deepcopy(change.old)
    if isinstance(now, list) and isinstance(value, list):
        names = identity(meaning.at(path), value, now)
        if names is not None:
            now[:] = _in_order(now, value, names)
            return
    if isinstance(holder, dict) and isinstance(step, str):
        holder[step] = value
    elif isinstance(holder, list):
        place = _find(holder, step) if change.op == "replace" else None
        if place is not None:
            holder[place] = value
        else:
            before = get(origin, path[:-1])
            holder.insert(_slot(holder, before, value, meaning.at(path[:-1])), value)


def _made_holder(body: Any, path: FieldPath, origin: Any) -> Any:
    """What holds the field at ``path``, with the maps and lists on the way to it.

    A change may name but a part of what only ``origin`` has; of a list item on the way the keys
    that name it come along.
    """
    node = body
    child: Any
    for end, step in enumerate(path[:-1], 1):
        child = get(node, (step,), _ABSENT)
        if child is _ABSENT:
            child = {} if isinstance(path[end], str) else []
            if isinstance(node, dict) and isinstance(step, str):
                node[step] = child
            elif isinstance(node, list) and isinstance(step, tuple):
                there = get(origin, path[:end], {})
                child |= {key: there[key] for key in step[::2] if key in there}
                node.append(child)
        node = child
    return node


def _find(items: list[Any], step: Step) -> int | None:
    """Which item of a list a step leads to; None if to none."""
    if isinstance(step, int):
        return step if step < len(items) else None
    found = get(items, (step,), _ABSENT)
    return next((place for place, item in enumerate(items) if item is found), None)


def _in_order(items: list[Any], wanted: list[Any], names: Identity) -> list[Any]:
    """The items in another order: those that ``wanted`` has change places among themselves."""
    rank = {names.of(item): place for place, item in enumerate(wanted)}
    common = sorted((i for i in items if names.of(i) in rank), key=lambda i: rank[names.of(i)])
    moved = iter(common)
    return [next(moved) if names.of(item) in rank else item for item in items]


def _slot(items: list[Any], before: Any, value: Any, meaning: Meaning) -> int:
    """Where an item belongs: behind the nearest one that stood before it and is there."""
    names = identity(meaning, items, before) if isinstance(before, list) else None
    if names is None:
        return len(items)
    there = {names.of(item): place for place, item in enumerate(items)}
    order = [names.of(item) for item in before]
    place = order.index(names.of(value)) if names.of(value) in order else len(order)
    return next((there[name] + 1 for name in reversed(order[:place]) if name in there), 0)
