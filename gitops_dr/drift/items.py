"""Tells the items of a list apart, for showing a difference and for taking it back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gitops_dr.drift.meaning import Meaning
from gitops_dr.drift.rows import Items
from gitops_dr.manifests.fieldpath import selected_by

# Keys by which people tell items of lists apart of which no schema says it, the commonest first.
# Source: x-kubernetes-list-map-keys and patchMergeKey in the API server's OpenAPI documents.
_USUAL: Final = ("name", "type", "key", "ip", "topologyKey", "devicePath", "uid")

Selector = tuple[str, ...]
"""As a step of a field path: ``(key, value, key, value, ...)``, values as text."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys that tell the items of one list apart."""

    keys: tuple[str, ...]
    defaults: Mapping[str, Any]
    """What an item has that lacks the key."""

    def of(self, item: Any) -> Selector | None:
        """Name an item; None if it has no name by these keys."""
        if not isinstance(item, dict):
            return None
        if len(self.keys) == 1:
            # Most lists: without the detour that several keys take.
            value = item.get(self.keys[0])
            if isinstance(value, str):
                return (self.keys[0], value)
        whole = {**self.defaults, **item} if self.defaults else item
        values = selected_by(whole, self.keys)
        named = [value for value in values if value is not None]
        if len(named) < len(self.keys):
            return None
        return tuple(text for pair in zip(self.keys, named, strict=True) for text in pair)


def identity(meaning: Meaning, *sides: list[Any]) -> Identity | None:
    """By which keys the items of these lists are told apart; None if by none.

    By those that the schema names, or else by a usual one. Every item must have them, and no two of
    one side may share them.
    """
    return next((keys for keys, _ in _identities(meaning, *sides)), None)


def by_name(meaning: Meaning, *sides: list[Any]) -> list[dict[Selector, Any]] | None:
    """The items of each side by their names, in their order; None if they have none."""
    return next((named for _, named in _identities(meaning, *sides)), None)


def _identities(
    meaning: Meaning, *sides: list[Any]
) -> Iterator[tuple[Identity, list[dict[Selector, Any]]]]:
    if meaning.items is Items.SET or not any(sides):
        return
    for candidate in _candidates(meaning, *sides):
        named = [
            {name: item for item in side if (name := candidate.of(item)) is not None}
            for side in sides
        ]
        if all(len(names) == len(side) for names, side in zip(named, sides, strict=True)):
            yield candidate, named


def _candidates(meaning: Meaning, *sides: list[Any]) -> list[Identity]:
    found = []
    if meaning.items is Items.KEYED and meaning.shape:
        keys = meaning.shape.marks.get("x-kubernetes-list-map-keys") or ()
        item = meaning.item()
        defaults = {key: item.field(key).default for key in keys}
        known = {key: value for key, value in defaults.items() if value is not None}
        found.append(Identity(tuple(keys), known))
    items = [item for side in sides for item in side]
    if all(isinstance(item, dict) for item in items):
        usual = (k for k in _USUAL if all(isinstance(item.get(k), str) for item in items))
        found += (Identity((key,), {}) for key in usual)
    return found


def members(meaning: Meaning, *sides: list[Any]) -> list[dict[str, int]] | None:
    """The members of each side of a set, with their places; None if it is none.

    Nor is it one if a side has a member twice.
    """
    if meaning.items is not Items.SET:
        return None
    found = [{_token(item): place for place, item in enumerate(side)} for side in sides]
    if any(len(tokens) != len(side) for tokens, side in zip(found, sides, strict=True)):
        return None
    return found


def _token(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
