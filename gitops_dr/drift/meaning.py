"""What the values of a field mean, by its schema and the rows of ``meaning.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gitops_dr.drift.rows import Equal, Items, field_rows
from gitops_dr.manifests.fieldpath import FieldPath
from gitops_dr.manifests.quantity import amount
from gitops_dr.manifests.shape import Shape


class Meaning:
    """One field: how its values are compared, and what is the same as leaving it out.

    Without a schema (:data:`LITERALLY`) everything means just what it says. What is below a field
    is worked out once, when it is first asked for.
    """

    __slots__ = ("_entry", "_equal", "_fields", "_item", "absent", "items", "shape")

    def __init__(self, shape: Shape | None) -> None:
        self.shape = shape
        """None where no schema says anything."""
        rows = [row for row in field_rows() if shape and row.applies_to(shape)]
        self._equal = next((_EQUAL[row.equal] for row in rows if row.equal), None)
        self.items: Items | None = next((row.items for row in rows if row.items), None)
        self.absent = frozenset(row.absent for row in rows if row.absent)
        self._fields: dict[str, Meaning] = {}
        self._entry: Meaning | None = None
        self._item: Meaning | None = None

    def field(self, key: str) -> Meaning:
        """A field of this one, or the value of a map's key."""
        if self.shape is None:
            return LITERALLY
        found = self._fields.get(key)
        if found is None:
            shape = self.shape.field(key)
            if shape is None:
                return self._entries()
            found = self._fields[key] = Meaning(shape)
        return found

    def _entries(self) -> Meaning:
        if self._entry is None:
            shape = self.shape.entry() if self.shape else None
            self._entry = Meaning(shape) if shape else LITERALLY
        return self._entry

    def item(self) -> Meaning:
        """An item of this list."""
        if self._item is None:
            shape = self.shape.item() if self.shape else None
            self._item = Meaning(shape) if shape else LITERALLY
        return self._item

    def at(self, path: FieldPath) -> Meaning:
        """What a path leads to."""
        found = self
        for step in path:
            found = found.field(step) if isinstance(step, str) else found.item()
        return found

    @property
    def default(self) -> Any:
        """What the API server writes where the field is left out; None if it writes nothing."""
        return self.shape.marks.get("default") if self.shape else None

    def same(self, one: Any, other: Any) -> bool:
        """Whether two values, of which at least one is no map or list, say the same."""
        if type(one) is type(other) and one == other:
            return True
        return self._equal is not None and self._equal(one, other)


def _same_amount(one: Any, other: Any) -> bool:
    first = amount(one)
    return first is not None and first == amount(other)


def _same_int_or_string(one: Any, other: Any) -> bool:
    number, text = (one, other) if isinstance(other, str) else (other, one)
    return type(number) is int and isinstance(text, str) and str(number) == text


def _same_number(one: Any, other: Any) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (one, other))
    return numbers and bool(one == other)


def _same_bytes(one: Any, other: Any) -> bool:
    texts = [v.translate(_NO_LINES) for v in (one, other) if isinstance(v, str)]
    return len(texts) == 2 and texts[0] == texts[1]


_NO_LINES: Final = str.maketrans("", "", "\r\n")

_EQUAL: Final[dict[Equal, Callable[[Any, Any], bool]]] = {
    Equal.QUANTITY: _same_amount,
    Equal.INT_OR_STRING: _same_int_or_string,
    Equal.NUMBER: _same_number,
    Equal.BYTES: _same_bytes,
}

LITERALLY: Final = Meaning(None)
