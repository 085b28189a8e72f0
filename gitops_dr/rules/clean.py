"""Applies the object rules: leaves an object out, or takes out what does not belong in Git. Pure.

Rows are compiled once per kind into a few closures; cleaning an object is then some dictionary
look-ups, because an export does it for every object of the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from gitops_dr.manifests.fieldpath import (
    FieldPath,
    compile_drop,
    compile_drops,
    parse_fieldpath,
)
from gitops_dr.model import ANY, Body, Omission, Ref
from gitops_dr.rules.conditions import (
    Predicate,
    compile_when,
    is_unowned,
    item_key,
    keys_of,
    owned_paths,
)
from gitops_dr.rules.rows import ItemDrop, Omit, Row, UnownedDrop, object_rows

Operation = Callable[[Body], None]

_EVERY_KIND = "*"


@dataclass(frozen=True, slots=True)
class KindRules:
    """The rows of one kind, compiled."""

    omit_kind: Row | None
    omissions: tuple[tuple[Predicate | None, Row], ...]
    always: tuple[Operation, ...]
    conditional: tuple[tuple[Predicate, Operation], ...]

    def omission(self, body: Body) -> Row | None:
        """Find the row that leaves this object out; ``None`` if it belongs in Git."""
        for predicate, row in self.omissions:
            if predicate is None or predicate(body):
                return row
        return None

    def clean(self, body: Body) -> None:
        """Take out of ``body``, in place, what does not belong in Git.

        Cleaning twice changes nothing.
        """
        # All conditions are asked before anything is taken out: they look at the whole object.
        chosen = [operation for predicate, operation in self.conditional if predicate(body)]
        for operation in chosen:
            operation(body)
        for operation in self.always:
            operation(body)


@cache
def rules_for(group: str, kind: str) -> KindRules:
    """Compile the rows that apply to a kind."""
    rows = [row for row in object_rows() if row.applies_to(group, kind)]
    omitting = [row for row in rows if row.omit in (Omit.QUIETLY, Omit.BY_NAME)]
    dropped: list[FieldPath] = []
    always: list[Operation] = []
    conditional: list[tuple[Predicate, Operation]] = []
    for row in rows:
        predicate = compile_when(row.when)
        paths = [parse_fieldpath(path) for path in row.drop]
        operations = list(_operations(row))
        if predicate is not None:
            conditional += [(predicate, each) for each in (*compile_drops(paths), *operations)]
        elif row.drop_unowned:
            # It reads managedFields, so it runs while they are still there.
            conditional += [(_always, each) for each in operations]
        else:
            dropped += paths
            always += operations
    return KindRules(
        omit_kind=next((row for row in rows if row.omit is Omit.KIND), None),
        omissions=tuple((compile_when(row.when), row) for row in omitting),
        always=(*compile_drops(dropped), *always),
        conditional=tuple(conditional),
    )


def standing_omissions(group: str, kind: str) -> tuple[Omission, ...]:
    """Account for what leaves objects of a kind out without naming them, be there any or not.

    So the account of an unchanged cluster does not change when a Job finishes.
    """
    return tuple(
        Omission(Ref(group, kind, "", ANY), row.id, row.because)
        for row in object_rows()
        if row.omit in (Omit.KIND, Omit.QUIETLY)
        and _EVERY_KIND not in row.kinds
        and row.applies_to(group, kind)
    )


def common_omissions() -> tuple[Omission, ...]:
    """Account for what leaves objects of any kind out without naming them."""
    return tuple(
        Omission(Ref("", ANY, "", ANY), row.id, row.because)
        for row in object_rows()
        if row.omit is Omit.QUIETLY and _EVERY_KIND in row.kinds
    )


def _always(_body: Body) -> bool:
    return True


def _operations(row: Row) -> Iterator[Operation]:
    """Everything that the row does but its drops."""
    if row.drop_items:
        yield _compile_item_drop(row.drop_items)
    if row.drop_unowned:
        yield _compile_unowned_drop(row.drop_unowned)
    for path, value in (row.put or {}).items():
        yield _compile_put(path.split("."), value)


def _compile_put(parts: list[str], value: Any) -> Operation:
    *parents, last = parts

    def put(body: Body) -> None:
        holders: list[Any] = [body]
        for part in parents:
            name = part.removesuffix("[*]")
            if name == part:
                holders = [holder.setdefault(name, {}) for holder in holders]
            else:
                holders = [item for holder in holders for item in holder.get(name) or ()]
        for holder in holders:
            holder[last] = value

    return put


def _lists(body: Any, parts: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the holder of each list that a path with ``[*]`` steps leads to, and its key."""
    *parents, last = parts
    holders = [body]
    for part in parents:
        name = part.removesuffix("[*]")
        values = [holder[name] for holder in holders if isinstance(holder, dict) and name in holder]
        if part.endswith("[*]"):
            values = [item for value in values if isinstance(value, list) for item in value]
        holders = values
    for holder in holders:
        if isinstance(holder, dict) and isinstance(holder.get(last), list):
            yield holder, last


def _compile_item_drop(rule: ItemDrop) -> Operation:
    parts = rule.path.split(".")
    pattern = re.compile(rule.matches)
    key = rule.key

    def goes(item: Any) -> bool:
        text = item.get(key) if key and isinstance(item, dict) else item
        return isinstance(text, str) and pattern.search(text) is not None

    def drop(body: Body) -> None:
        for holder, name in _lists(body, parts):
            kept = [item for item in holder[name] if not goes(item)]
            if not kept and holder[name]:
                del holder[name]
            else:
                holder[name] = kept

    return drop


def _compile_unowned_drop(rule: UnownedDrop) -> Operation:
    if "[*]." not in rule.path:
        keys = keys_of(rule.path)
        drop_field = compile_drop(keys)

        def drop(body: Body) -> None:
            if is_unowned(body, keys):
                drop_field(body)

        return drop

    list_path, field = rule.path.split("[*].")
    parts = list_path.split(".")

    def drop_in_items(body: Body) -> None:
        items = [
            item
            for holder, name in _lists(body, parts)
            for item in holder[name]
            if isinstance(item, dict) and field in item
        ]
        if not items:
            return
        sets = list(owned_paths(body))
        if not sets:
            return
        for part in parts:
            sets = [fields[f"f:{part}"] for fields in sets if f"f:{part}" in fields]
        for item in items:
            named = item_key(item, rule.keys)
            if not any(f"f:{field}" in fields.get(named, ()) for fields in sets):
                del item[field]

    return drop_in_items
