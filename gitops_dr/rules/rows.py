"""Reads the shipped rule rows into frozen dataclasses; refuses a row that makes no sense. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.errors import GitOpsDRError
from gitops_dr.resources import shipped


class Omit(StrEnum):
    """How an object that a row leaves out is accounted for."""

    KIND = "kind"
    """The kind is not listed at all."""
    QUIETLY = "quietly"
    """The rule is named, its objects are not: they come and go by themselves."""
    BY_NAME = "by-name"
    """Each object is named."""


@dataclass(frozen=True, slots=True)
class ItemDrop:
    """Take items out of the list at ``path`` whose ``key`` (or which themselves) match a regex."""

    path: str
    matches: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class UnownedDrop:
    """Take out the field at ``path`` unless a field manager owns it.

    ``keys`` are the list-map keys of the list that ``path`` passes through, in the order in which
    managedFields writes them.
    """

    path: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One rule over single objects; exactly one of its five deeds is set."""

    id: str
    kinds: tuple[str, ...]
    because: str
    link: str
    when: tuple[Mapping[str, Any], ...] = ()
    omit: Omit | None = None
    drop: tuple[str, ...] = ()
    drop_items: ItemDrop | None = None
    drop_unowned: UnownedDrop | None = None
    put: Mapping[str, Any] | None = None
    """Values to write, by field path."""

    def applies_to(self, group: str, kind: str) -> bool:
        """Whether one of ``kinds`` names this kind."""
        return names_kind(self.kinds, group, kind)


@dataclass(frozen=True, slots=True)
class Hold:
    """How an object that runs to an end is created without starting."""

    path: str
    value: Any
    when: tuple[Mapping[str, Any], ...] = ()
    """Only objects that meet all of these run to an end."""


@dataclass(frozen=True, slots=True)
class CompletionRow:
    """A kind whose objects run to an end. Without ``hold`` an unfinished one cannot come back."""

    id: str
    kinds: tuple[str, ...]
    finished: tuple[Mapping[str, Any], ...]
    because: str
    link: str
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class RelationRow:
    """One rule over an object and what it is related to; ``relation`` names the function."""

    id: str
    relation: str
    because: str
    link: str
    except_kinds: tuple[str, ...] = ()
    breathing: tuple[str, ...] = ()
    """Kinds of which a running owner has now some and now none."""
    drop: tuple[str, ...] = ()


def names_kind(kinds: Iterable[str], group: str, kind: str) -> bool:
    """Whether one of ``kinds`` (``Kind[.group]``, ``*.group`` or ``*``) names this kind."""
    full = f"{kind}.{group}" if group else kind
    return any(
        named in ("*", full) or (named.startswith("*.") and group == named[2:]) for named in kinds
    )


def read_row(raw: Mapping[str, Any]) -> Row:
    """Make a row of decoded YAML. Raises ``GitOpsDRError`` naming the row if it does not fit."""
    values = dict(raw)
    name = str(values.get("id", "?"))
    deeds = {"omit", "drop", "drop_items", "drop_unowned", "put"} & values.keys()
    if len(deeds) != 1:
        raise GitOpsDRError(
            f"rule {name}: needs exactly one of omit, drop, drop_items, drop_unowned, put"
        )
    try:
        if "omit" in values:
            values["omit"] = Omit(values["omit"])
        if "drop_items" in values:
            values["drop_items"] = ItemDrop(**values["drop_items"])
        if "drop_unowned" in values:
            unowned = values["drop_unowned"]
            values["drop_unowned"] = UnownedDrop(unowned["path"], tuple(unowned.get("keys", ())))
        for key in ("kinds", "when", "drop"):
            if key in values:
                values[key] = tuple(values[key])
        return Row(**values)
    except (TypeError, ValueError, KeyError) as error:
        raise GitOpsDRError(f"rule {name}: {error}") from error


@cache
def object_rows() -> tuple[Row, ...]:
    """Read the shipped rows over single objects, in file order.

    Objects that ran to their end are among what is left out.
    """
    raw = yamlrocks.loads(shipped("rules/objects.yaml").read_bytes())
    finished = (
        Row(row.id, row.kinds, row.because, row.link, when=row.finished, omit=Omit.QUIETLY)
        for row in completion_rows()
    )
    return (*(read_row(row) for row in raw), *finished)


@cache
def completion_rows() -> tuple[CompletionRow, ...]:
    """Read the shipped rows over kinds that run to an end, in file order."""
    raw = yamlrocks.loads(shipped("rules/completion.yaml").read_bytes())
    return tuple(
        CompletionRow(
            id=row["id"],
            kinds=tuple(row["kinds"]),
            finished=tuple(row["finished"]),
            because=row["because"],
            link=row["link"],
            hold=_hold(row["hold"]) if "hold" in row else None,
        )
        for row in raw
    )


def _hold(raw: Mapping[str, Any]) -> Hold:
    return Hold(raw["path"], raw["value"], tuple(raw.get("when", ())))


@cache
def relation_rows() -> tuple[RelationRow, ...]:
    """Read the shipped rows over relations, in file order."""
    raw = yamlrocks.loads(shipped("rules/relations.yaml").read_bytes())
    return tuple(
        RelationRow(
            id=row["id"],
            relation=row["relation"],
            because=row["because"],
            link=row["link"],
            except_kinds=tuple(row.get("except_kinds", ())),
            breathing=tuple(row.get("breathing", ())),
            drop=tuple(row.get("drop", ())),
        )
        for row in raw
    )
