"""Says who is known to have written what differs: the reading of ``metadata.managedFields``. Pure.

The API server notes for each manager the fields that it wrote last: ``f:`` a key, ``k:`` an item of
a list by its keys, ``v:`` an item of a set by its value, ``i:`` an item by its place, ``.`` the
thing itself. A removed field is nobody's, so nothing is known of who removed it. No time is noted
of a write through ``scale``, nor of an apply of what was there already.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import orjson
import yamlrocks

from gitops_dr.manifests.fieldpath import FieldPath, Step, get, parse_fieldpath, selected_by
from gitops_dr.model import Body, Difference, FieldChange, FieldManager, Presence
from gitops_dr.resources import shipped

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_ABSENT: Final = object()

_Fields = Mapping[str, Any]
_Reach = list[tuple[FieldManager, _Fields]]
"""The managers whose field sets reach a value, each with the part of its set that is below it."""


@dataclass(frozen=True, slots=True)
class TrustedManager:
    """A field manager that is trusted without anybody saying so."""

    name: str
    because: str
    link: str


@cache
def trusted_rows() -> tuple[TrustedManager, ...]:
    """Read the shipped rows of ``managers.yaml``, in file order."""
    raw = yamlrocks.loads(shipped("drift/managers.yaml").read_bytes())
    return tuple(TrustedManager(row["name"], row["because"].strip(), row["link"]) for row in raw)


@cache
def trusted_managers() -> frozenset[str]:
    """Name Kubernetes' own controllers."""
    return frozenset(row.name for row in trusted_rows())


def attributed(
    difference: Difference,
    managed_fields: Any,
    live_body: Body,
    *,
    trusted: Collection[str],
) -> Difference:
    """Add to a difference who wrote it.

    ``managed_fields`` is ``metadata.managedFields`` as the API server sent it; whatever in it makes
    no sense says nothing. ``live_body`` is the object that was compared, ``trusted`` the names of
    managers to mark. Each change gets those who own its field, the newest first; what was added as
    a whole gets those who own any of it. Where nobody owns the field itself, those who own what it
    is a part of, as one value, count. Removed fields and missing objects get nobody.

    Field names are taken to be the same in every version of the API that a manager wrote in.
    """
    writers = _writers(managed_fields, trusted)
    authors = _Authors()
    if difference.presence is Presence.UNMANAGED:
        reach = _written(writers)
        found = authors.of_value(live_body, reach, ()) or {
            # Of an object that has nothing but a name nobody owns anything.
            manager
            for manager, _ in writers
            if not manager.subresource
        }
        return replace(difference, managers=_newest_first(found))
    if difference.presence is Presence.MODIFIED:
        changes = tuple(
            replace(change, managers=_newest_first(authors.of_change(change, writers, live_body)))
            for change in difference.changes
        )
        return replace(difference, changes=changes)
    return difference


class Owners:
    """Who owns single fields of one object, asked one path at a time."""

    def __init__(self, managed_fields: Any, live_body: Body, *, trusted: Collection[str]) -> None:
        """The parameters are those of :func:`attributed`."""
        self._reach = _written(_writers(managed_fields, trusted))
        self._body = live_body
        self._authors = _Authors()

    def __bool__(self) -> bool:
        """Whether anything is known of who wrote the object."""
        return bool(self._reach)

    def of(self, path: FieldPath) -> tuple[FieldManager, ...]:
        """Those who own the field itself and not only, as one value, what it is a part of.

        Of a list item, those who put it there.
        """
        return _newest_first(self._authors.of_field(path, self._reach, self._body))


def _writers(managed_fields: Any, trusted: Collection[str]) -> _Reach:
    return list(_read(managed_fields, trusted)) if isinstance(managed_fields, list) else []


def _read(entries: Iterable[Any], trusted: Collection[str]) -> Iterator[tuple[FieldManager, Any]]:
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        name, fields = entry.get("manager"), entry.get("fieldsV1")
        if not (isinstance(name, str) and name and isinstance(fields, dict)):
            continue
        time = _text(entry.get("time"))
        manager = FieldManager(
            name=name,
            operation=_text(entry.get("operation")),
            subresource=_text(entry.get("subresource")),
            time=time if _TIME.fullmatch(time) else "",
            trusted=name in trusted,
        )
        yield manager, fields


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _written(writers: _Reach) -> _Reach:
    """Without those who wrote nothing: an empty set below the root is no claim to all of it."""
    return [(manager, fields) for manager, fields in writers if fields]


def _newest_first(managers: Iterable[FieldManager]) -> tuple[FieldManager, ...]:
    by_name = sorted(set(managers))
    return tuple(sorted(by_name, key=lambda manager: manager.time, reverse=True))


class _Authors:
    """Follows field sets and a body side by side; remembers the list items that it has read."""

    def __init__(self) -> None:
        self._items: dict[int, _Items] = {}
        self._selected: dict[tuple[int, tuple[str, ...]], dict[Any, Any]] = {}

    def of_change(
        self, change: FieldChange, writers: _Reach, live_body: Body
    ) -> Collection[FieldManager]:
        if change.op == "remove":
            return ()
        try:
            path = parse_fieldpath(change.path)
        except ValueError:
            return ()
        reach, above = _written(writers), set[FieldManager]()
        node: Any = live_body
        for step in path:
            above = _whole(reach) or above
            child = self._child(node, step)
            if child is _ABSENT:
                return ()
            reach, node = self._step(reach, node, step, child), child
        if change.op == "replace":
            return self._of_replaced(change.old, change.new, reach, above)
        return self.of_value(change.new, reach, above)

    def of_field(self, path: FieldPath, writers: _Reach, live_body: Body) -> set[FieldManager]:
        reach, node = writers, live_body
        for step in path:
            child = self._child(node, step)
            if child is _ABSENT:
                return set()
            reach, node = self._step(reach, node, step, child), child
        return _itself(reach)

    def of_value(
        self, value: Any, reach: _Reach, above: Collection[FieldManager]
    ) -> set[FieldManager]:
        """Those who own any leaf of ``value``; ``above`` own, as one, what it is a part of."""
        if not reach:
            return set(above)
        if not _is_container(value):
            return _itself(reach) or {manager for manager, _ in reach} or set(above)
        here = _whole(reach) or above
        found: set[FieldManager] = set()
        for step, child in _children(value):
            found |= self.of_value(child, self._step(reach, value, step, child), here)
        return found

    def _of_replaced(
        self, old: Any, new: Any, reach: _Reach, above: Collection[FieldManager]
    ) -> Collection[FieldManager]:
        """Those who own what ``new`` has and ``old`` has not; of an order nobody is the owner."""
        if not reach or not _is_container(new):
            return self.of_value(new, reach, above)
        whole = _whole(reach)
        if whole:
            return whole
        found: set[FieldManager] = set()
        for step, child in _added(old, new):
            found |= self.of_value(child, self._step(reach, new, step, child), above)
        return found

    def _child(self, node: Any, step: Step) -> Any:
        if isinstance(step, tuple) and isinstance(node, list):
            keys = step[::2]
            items = self._selected.get((id(node), keys))
            if items is None:
                items = self._selected[id(node), keys] = {
                    selected_by(item, keys): item
                    for item in reversed(node)
                    if isinstance(item, dict)
                }
            return items.get(step[1::2], _ABSENT)
        try:
            return get(node, (step,), _ABSENT)
        except ValueError:
            return _ABSENT

    def _step(self, reach: _Reach, node: Any, step: Step, child: Any) -> _Reach:
        """The part of the field sets that is about ``child``, which is at ``step`` of ``node``."""
        if isinstance(node, dict):
            found = [(manager, fields.get(f"f:{step}")) for manager, fields in reach]
        else:
            index = step if isinstance(step, int) else -1
            found = [(manager, self._item(fields, child, index)) for manager, fields in reach]
        return [(manager, fields) for manager, fields in found if isinstance(fields, dict)]

    def _item(self, fields: _Fields, item: Any, index: int) -> Any:
        items = self._items.get(id(fields))
        if items is None:
            items = self._items[id(fields)] = _Items(fields)
        return items.find(item, index)


class _Items:
    """The items of one list that one field set names."""

    def __init__(self, fields: _Fields) -> None:
        self._by_name = fields
        self._by_value: dict[_Token, Any] = {}
        self._keyed: dict[tuple[str, ...], list[tuple[Body, Any]]] = {}
        self._tables: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[Any, list[Any]]] = {}
        for name, below in fields.items():
            kind, value = name[:2], _decoded(name[2:])
            if kind == "v:" and not _is_container(value):
                self._by_value[_token(value)] = below
            elif kind == "k:" and isinstance(value, dict) and value:
                self._keyed.setdefault(tuple(sorted(value)), []).append((value, below))

    def find(self, item: Any, index: int) -> Any:
        """What is named of this item, which is the one at ``index``; None if nothing is."""
        found = self._find_keyed(item) if isinstance(item, dict) else None
        if found is None and not _is_container(item):
            found = self._by_value.get(_token(item))
        return self._by_name.get(f"i:{index}") if found is None else found

    def _find_keyed(self, item: Body) -> Any:
        """By all keys that the item has, of the most keys first.

        A key that it lacks has its default in the field set, so one that is lacking may be any, as
        long as that leaves only one.
        """
        for names in sorted(self._keyed, key=len, reverse=True):
            present = tuple(name for name in names if name in item)
            if not present:
                continue
            found = self._table(names, present).get(tuple(_token(item[name]) for name in present))
            if found is not None and len(found) == 1:
                return found[0]
        return None

    def _table(self, names: tuple[str, ...], present: tuple[str, ...]) -> dict[Any, list[Any]]:
        table = self._tables.get((names, present))
        if table is None:
            table = self._tables[names, present] = {}
            for values, below in self._keyed[names]:
                key = tuple(_token(values[name]) for name in present)
                table.setdefault(key, []).append(below)
        return table


_Token = tuple[bool, Any]


def _token(value: Any) -> _Token:
    """A scalar by which it can be looked up: true is not 1. What is none equals only itself."""
    return isinstance(value, bool), id(value) if isinstance(value, dict | list) else value


def _decoded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _ABSENT


def _children(value: Any) -> Iterable[tuple[Step, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _added(old: Any, new: Any) -> Iterator[tuple[Step, Any]]:
    """The children of ``new`` that ``old`` has not, or not with this value."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from ((key, child) for key, child in new.items() if old.get(key, _ABSENT) != child)
    elif isinstance(old, list) and isinstance(new, list):
        known = {_written_out(item) for item in old}
        yield from ((i, item) for i, item in enumerate(new) if _written_out(item) not in known)
    else:
        yield from _children(new)


def _written_out(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=repr)


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _is_whole(fields: _Fields) -> bool:
    return not fields.keys() - {"."}


def _whole(reach: _Reach) -> set[FieldManager]:
    """Those who own the value as one, with whatever is in it."""
    return {manager for manager, fields in reach if _is_whole(fields)}


def _itself(reach: _Reach) -> set[FieldManager]:
    return {manager for manager, fields in reach if _is_whole(fields) or "." in fields}
