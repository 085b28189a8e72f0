"""Writes single values as YAML text that fits into a file that a person has laid out. Pure.

What must be quoted is decided by ``emit``; how far things are indented, by the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gitops_dr.manifests.emit import canonical

QUOTES: Final = ("'", '"')
BLOCKS: Final = ("|", ">")

_FLOW_MARKS: Final = re.compile(r"[,\[\]{}]")
_ODD: Final = "\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
_ESCAPED: Final = re.compile(f"[{_ODD}]")
_NO_LITERAL: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_ODD}]")
"""Characters that a block of text cannot hold as they are: ``docs/format.md``."""
_BREAKS: Final = re.compile(r"\n+")
_ONE_BLANK: Final = re.compile(r"(?<![ \t]) (?![ \t])")


@dataclass(frozen=True, slots=True)
class Indent:
    """How far a file indents what is below a key."""

    step: int = 2
    """Columns from a key to the keys below it."""
    dash: int = 0
    """Columns from a key to the dashes below it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value as text: what stands on the line of its key or dash, and the lines below."""

    head: str
    """Empty for a mapping or list that is written below."""
    lines: tuple[str, ...] = ()


def block(
    value: Any, column: int, indent: Indent, *, style: str = "", order: Sequence[str] = ()
) -> Written:
    """Write the value of a key that stands at ``column``.

    ``style``: of text, ``'``, ``"``, ``|`` or ``>`` (written as ``|``), kept where it can be.
    ``order``: keys that go first, in this order; the others follow as in the canonical form.
    """
    if isinstance(value, dict) and value:
        place = {key: index for index, key in enumerate(order)}
        keys = sorted(value, key=lambda key: (place.get(key, len(place)), key))
        inner = column + indent.step
        return Written("", _joined(block_pair(key, value[key], inner, indent) for key in keys))
    if isinstance(value, list) and value:
        inner = column + indent.dash
        return Written("", _joined(block_item(item, inner, indent) for item in value))
    return _text(value, column + indent.step, style) if isinstance(value, str) else _plain(value)


def block_pair(
    key: str, value: Any, column: int, indent: Indent, *, style: str = ""
) -> tuple[str, ...]:
    """Write a key at ``column`` and its value; ``style``: of text that has one line."""
    written = block(value, column, indent, style=_for_one_line(style, value))
    name = canonical({key: 0}).decode().removesuffix(": 0\n")
    head = f"{' ' * column}{name}:"
    return (f"{head} {written.head}" if written.head else head, *written.lines)


def block_item(
    value: Any,
    column: int,
    indent: Indent,
    *,
    gap: int = 2,
    style: str = "",
    order: Sequence[str] = (),
) -> tuple[str, ...]:
    """Write an item of a list whose dashes stand at ``column``, its dash included.

    ``gap``: columns from the dash to what follows it. ``style`` and ``order`` as for ``block``.
    """
    dash = f"{' ' * column}{'-':<{gap}}"
    if isinstance(value, dict) and value:
        first, *rest = block(value, column + gap - indent.step, indent, order=order).lines
        return (dash + first.lstrip(" "), *rest)
    written = block(value, column, Indent(gap, gap), style=_for_one_line(style, value))
    return ((dash + written.head).rstrip(" "), *written.lines)


def flow(value: Any, *, quoted: bool = False, style: str = "") -> str:
    """Write a value for braces or brackets, on one line.

    ``quoted``: as JSON would. ``style``: of text, ``'`` or ``"``.
    """
    if isinstance(value, dict):
        pairs = (
            f"{flow(key, quoted=quoted)}: {flow(child, quoted=quoted)}"
            for key, child in sorted(value.items())
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(flow(child, quoted=quoted) for child in value)}]"
    if not isinstance(value, str):
        return _plain(value).head
    if quoted or "\n" in value:
        return double_quoted(value)
    written = _text(value, 0, style if style in QUOTES else "")
    bare = written.head[0] not in QUOTES
    return double_quoted(value) if bare and _FLOW_MARKS.search(value) else written.head


def double_quoted(text: str) -> str:
    """Write any text in double quotes, on one line, with what a reader could misread escaped."""
    return _ESCAPED.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def literal(text: str, column: int, *, keep: bool = False) -> Written | None:
    """Write text as a literal block whose lines stand at ``column``; None where that cannot be.

    ``keep``: whether it may end with several line breaks. That takes in the blank lines which
    follow in the file, so that they must be the block's already.
    """
    chomping = _chomping(text, keep=keep)
    return None if chomping is None else _lines(f"|{chomping}", text.removesuffix("\n"), column)


def folded(text: str, column: int, width: int, *, keep: bool = False) -> Written | None:
    """Write text as a folded block, in lines that end before ``width`` where they can.

    None as from ``literal``, and for lines that begin or end with a blank: those are not folded.
    """
    chomping, whole = _chomping(text, keep=keep), text.removesuffix("\n")
    if chomping is None or any(line != line.strip(" \t") for line in whole.split("\n")):
        return None
    # A single line break is read as a blank, so each one that is meant has another beside it.
    paragraphs = _BREAKS.sub(lambda breaks: breaks[0] + "\n", whole).split("\n")
    lines = [line for text in paragraphs for line in _filled(text, width - column)]
    return _lines(f">{chomping}", "\n".join(lines), column)


def _filled(text: str, width: int) -> Iterator[str]:
    """Break text into lines where there is exactly one blank."""
    line = ""
    for word in _ONE_BLANK.split(text):
        if line and len(line) + len(word) >= width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _chomping(text: str, *, keep: bool) -> str | None:
    """What stands behind ``|`` or ``>`` for the line breaks at the end; None if neither is fit."""
    first = next(filter(None, text.split("\n")), " ")
    several = text.endswith("\n\n")
    if first[0] in " \t" or _NO_LITERAL.search(text) or (several and not keep):
        return None
    return "+" if several else "" if text.endswith("\n") else "-"


def _lines(head: str, text: str, column: int) -> Written:
    lines = text.split("\n")
    return Written(head, tuple(" " * column + line if line else "" for line in lines))


def _text(text: str, column: int, style: str) -> Written:
    if style == "'" and text.isprintable():
        return Written("'" + text.replace("'", "''") + "'")
    if style in QUOTES:
        return Written(double_quoted(text))
    if style in BLOCKS or "\n" in text:
        return literal(text, column) or Written(double_quoted(text))
    return _plain(text)


def _plain(value: Any) -> Written:
    return Written(canonical({"k": value}).decode().removeprefix("k: ").removesuffix("\n"))


def _for_one_line(style: str, value: Any) -> str:
    return "" if isinstance(value, str) and "\n" in value else style


def _joined(parts: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(line for part in parts for line in part)
