"""Writes a manifest as a person might: any style, any indentation, comments everywhere.

Each line is known by the field that it belongs to, so that a test can say which lines an edit of
some fields must leave alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from gitops_dr.manifests.emit import canonical

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Line:
    text: str
    path: Path
    kind: str
    """``comment``: above the field; ``key``: the field's own line, with more below; ``whole``: all
    of it, or a part that changes with any of it."""


@dataclass
class Hand:
    """One person's habits."""

    rng: random.Random
    step: int = 2
    dash: int = 0
    numbers: Iterator[int] = field(default_factory=count)

    def maybe(self, chance: float = 0.3) -> bool:
        return self.rng.random() < chance

    def comment(self) -> str:
        return f"# c{next(self.numbers)}."

    def tail(self) -> str:
        return f"{self.rng.choice([' ', '  ', '   '])}{self.comment()}" if self.maybe() else ""


def laid_out(body: dict[str, Any], rng: random.Random) -> list[Line]:
    """The lines of a file that says ``body``."""
    hand = Hand(rng, step=rng.choice([2, 2, 3, 4]), dash=rng.choice([0, 0, 2]))
    top = [Line("---", (), "comment")] if hand.maybe() else []
    return [*top, *_mapping(body, 0, (), hand)]


def _mapping(value: dict[str, Any], column: int, path: Path, hand: Hand) -> Iterator[Line]:
    keys = sorted(value)
    if hand.maybe(0.5):
        hand.rng.shuffle(keys)
    for key in keys:
        here = (*path, key)
        if path:
            yield from _above(column, here, hand)
        name = _key(key, hand)
        yield from _value(f"{' ' * column}{name}:", value[key], column, here, hand)


def _above(column: int, path: Path, hand: Hand) -> Iterator[Line]:
    if hand.maybe(0.2):
        yield Line("", path, "blank")
    while hand.maybe(0.2):
        yield Line(" " * column + hand.comment(), path, "comment")


def _value(head: str, value: Any, column: int, path: Path, hand: Hand) -> Iterator[Line]:
    if isinstance(value, dict | list) and (not value or hand.maybe(0.2)):
        yield Line(f"{head} {_flow(value, hand)}{hand.tail()}", path, "whole")
    elif isinstance(value, dict):
        yield Line(head + hand.tail(), path, "key")
        yield from _mapping(value, column + hand.step, path, hand)
    elif isinstance(value, list):
        yield Line(head + hand.tail(), path, "key")
        yield from _items(value, column + hand.dash, path, hand)
    else:
        yield from _scalar(head, value, column + hand.step, path, hand)


def _items(value: list[Any], column: int, path: Path, hand: Hand) -> Iterator[Line]:
    gap = hand.rng.choice([2, 2, 4])
    dash = f"{' ' * column}{'-':<{gap}}"
    for index, item in enumerate(value):
        here = (*path, item["name"] if isinstance(item, dict) and "name" in item else index)
        yield from _above(column, here, hand)
        if isinstance(item, dict) and item:
            first, *rest = (
                line for line in _mapping(item, column + gap, here, hand) if line.kind != "blank"
            )
            if first.kind == "comment":
                yield Line(dash.rstrip(), here, "key")
                yield first
            else:
                yield Line(dash + first.text.lstrip(" "), first.path, first.kind)
            yield from rest
        elif isinstance(item, list | dict):
            yield Line(dash + _flow(item, hand) + hand.tail(), here, "whole")
        else:
            yield from _scalar(dash.removesuffix(" "), item, column + gap, here, hand)


def _scalar(head: str, value: Any, column: int, path: Path, hand: Hand) -> Iterator[Line]:
    if value is None and hand.maybe(0.5):
        yield Line(head + hand.tail(), path, "whole")
        return
    text = canonical({"k": value}).decode().removeprefix("k: ").removesuffix("\n")
    if isinstance(value, str):
        if text.startswith("|"):
            header, *lines = text.split("\n")
            # After a block that keeps the line breaks at its end no blank line could follow.
            if "+" not in header and hand.maybe(0.7):
                yield Line(f"{head} {header}{hand.tail()}", path, "whole")
                for line in lines:
                    yield Line(" " * column + line[2:] if line else "", path, "whole")
                return
            text = _double(value)
        if hand.maybe():
            text = _quoted(value, hand)
    yield Line(f"{head} {text}{hand.tail()}", path, "whole")


def _flow(value: Any, hand: Hand) -> str:
    if isinstance(value, dict):
        pairs = [f"{_quoted(key, hand)}: {_flow(child, hand)}" for key, child in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(child, hand) for child in value)}]"
    if isinstance(value, str):
        return _quoted(value, hand)
    return canonical({"k": value}).decode().removeprefix("k: ").removesuffix("\n")


def _key(key: str, hand: Hand) -> str:
    if hand.maybe(0.1):
        return _quoted(key, hand)
    return canonical({key: 0}).decode().removesuffix(": 0\n")


def _quoted(text: str, hand: Hand) -> str:
    if text.isprintable() and hand.maybe(0.5):
        return "'" + text.replace("'", "''") + "'"
    return _double(text)


def _double(text: str) -> str:
    marks = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(marks.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
        + '"'
    )
