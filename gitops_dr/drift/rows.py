"""Reads the rows of ``meaning.yaml``; refuses one that makes no sense. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

import yamlrocks

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import FieldPath, Wildcard, parse_fieldpath
from gitops_dr.manifests.shape import Shape
from gitops_dr.resources import shipped
from gitops_dr.rules.rows import names_kind

_ANY: Final = "any"


class Equal(StrEnum):
    """How two values of a field are compared."""

    QUANTITY = "quantity"
    INT_OR_STRING = "int-or-string"
    NUMBER = "number"
    BYTES = "bytes"


class Items(StrEnum):
    """How the items of a list are told apart."""

    KEYED = "keyed"
    SET = "set"


class Absent(StrEnum):
    """What is the same as leaving a field out."""

    DEFAULT = "default"
    NULL = "null"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class FieldRow:
    """What the schema of a field says about its values; exactly one of its three deeds is set."""

    id: str
    fields: tuple[Mapping[str, Any], ...]
    because: str
    link: str
    equal: Equal | None = None
    items: Items | None = None
    absent: Absent | None = None

    def applies_to(self, shape: Shape) -> bool:
        """Whether one of ``fields`` fits the schema of the field."""
        return _fits(self.fields, shape)


@dataclass(frozen=True, slots=True)
class Fold:
    """A field that the API server writes into another one, encoded."""

    source: str
    into: str


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """What Git's manifest of a kind means beside the cluster's; one of its six deeds is set."""

    id: str
    kinds: tuple[str, ...]
    because: str
    link: str
    cleaned: bool = False
    fold: Fold | None = None
    filled_in: tuple[FieldPath, ...] = ()
    spent: tuple[FieldPath, ...] = ()
    grown: tuple[FieldPath, ...] = ()
    autoscaled: tuple[FieldPath, ...] = ()
    placeholders: tuple[Any, ...] = ()
    """With ``filled_in``: values of Git's that say nothing either."""

    def applies_to(self, group: str, kind: str) -> bool:
        """Whether one of ``kinds`` names this kind."""
        return names_kind(self.kinds, group, kind)


@dataclass(frozen=True, slots=True)
class AskRow:
    """A change of which only the API server knows whether it is one."""

    id: str
    ask: str
    """``add`` or ``remove``, as in ``FieldChange.op``."""
    because: str
    link: str
    zero: bool = False
    """Only if Git's value is an empty one."""
    edited: bool = False
    """Only where a person has edited what an export wrote: that has no value that says nothing."""
    fields: tuple[Mapping[str, Any], ...] = ()
    """Only of such fields; of any where it is empty."""
    kinds: tuple[str, ...] = ("*",)
    paths: tuple[FieldPath, ...] = ()
    """Only of these fields; of any where it is empty."""

    def applies_to(self, group: str, kind: str, path: FieldPath, shape: Shape | None) -> bool:
        """Whether the row is about this field of this kind; ``shape`` is what its schema says."""
        return (
            names_kind(self.kinds, group, kind)
            and (not self.paths or any(_matches(path, wanted) for wanted in self.paths))
            and (not self.fields or (shape is not None and _fits(self.fields, shape)))
        )


Row = FieldRow | ObjectRow | AskRow


def _fits(fields: tuple[Mapping[str, Any], ...], shape: Shape) -> bool:
    return any(
        all(_has(shape.marks, mark, value) for mark, value in wanted.items()) for wanted in fields
    )


def _matches(path: FieldPath, wanted: FieldPath) -> bool:
    return len(path) == len(wanted) and all(
        isinstance(step, Wildcard) or step == found
        for found, step in zip(path, wanted, strict=True)
    )


def _has(marks: Mapping[str, Any], mark: str, wanted: Any) -> bool:
    if wanted == _ANY:
        return mark in marks
    # A schema leaves out what is false.
    return bool(marks.get(mark, False) == wanted)


def read_row(raw: Mapping[str, Any]) -> Row:
    """Make a row of decoded YAML. Raises ``GitOpsDRError`` naming the row if it does not fit."""
    values = dict(raw)
    name = str(values.get("id", "?"))
    try:
        if "fields" in values:
            values["fields"] = tuple(values["fields"])
        if "ask" in values:
            if values["ask"] not in ("add", "remove"):
                raise ValueError("ask is add or remove")  # noqa: TRY301
            values["kinds"] = tuple(values.get("kinds", ("*",)))
            values["paths"] = _paths(values.get("paths", ()))
            return AskRow(**values)
        if "fields" in values:
            return FieldRow(**_one_deed(values, {"equal": Equal, "items": Items, "absent": Absent}))
        values["kinds"] = tuple(values["kinds"])
        values["placeholders"] = tuple(values.get("placeholders", ()))
        deeds = {"cleaned": bool, "fold": _fold}
        deeds |= dict.fromkeys(("filled_in", "spent", "grown", "autoscaled"), _paths)
        return ObjectRow(**_one_deed(values, deeds))
    except (TypeError, ValueError, KeyError) as error:
        raise GitOpsDRError(f"meaning {name}: {error}") from error


def _one_deed(values: dict[str, Any], deeds: Mapping[str, Any]) -> dict[str, Any]:
    named = deeds.keys() & values.keys()
    if len(named) != 1:
        raise ValueError(f"needs exactly one of {', '.join(sorted(deeds))}")
    return {**values, **{deed: deeds[deed](values[deed]) for deed in named}}


def _fold(raw: Mapping[str, str]) -> Fold:
    return Fold(source=raw["from"], into=raw["into"])


def _paths(raw: Iterable[str]) -> tuple[FieldPath, ...]:
    return tuple(parse_fieldpath(text) for text in raw)


@cache
def rows() -> tuple[Row, ...]:
    """Read the shipped rows, in file order."""
    raw = yamlrocks.loads(shipped("drift/meaning.yaml").read_bytes())
    return tuple(read_row(row) for row in raw)


@cache
def field_rows() -> tuple[FieldRow, ...]:
    """The rows over fields."""
    return tuple(row for row in rows() if isinstance(row, FieldRow))


@cache
def object_rows() -> tuple[ObjectRow, ...]:
    """The rows over objects."""
    return tuple(row for row in rows() if isinstance(row, ObjectRow))


@cache
def ask_rows() -> tuple[AskRow, ...]:
    """The rows that say what cannot be known without the API server."""
    return tuple(row for row in rows() if isinstance(row, AskRow))
