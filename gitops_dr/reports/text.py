"""The words that every report is made of: names that are safe to show, tables, counts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import StringIO

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)

_HALF = re.compile("[\ud800-\udfff]")


def shown(value: object) -> str:
    """Text from a cluster or a repository as it may be put on a terminal.

    What could move the cursor, hide or reverse text, or cannot be written, becomes an escape.
    """
    return _CONTROL.sub(_escaped, str(value))


def shown_line(text: str) -> str:
    """The same for a line of a file, in which tabs stay."""
    return "\t".join(map(shown, text.split("\t")))


def shown_halves(text: str) -> str:
    """Show only halves of surrogate pairs as escapes, for which UTF-8 has no bytes."""
    return _HALF.sub(_escaped, text)


def count(number: int, singular: str, plural: str = "") -> str:
    """``1 object``, ``2 objects``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Put columns under headings, as wide as their content; no colour, no trailing blanks."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        grid.add_column(heading, no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(shown(cell)) for cell in row))
    out = StringIO()
    Console(file=out, width=400, color_system=None, force_terminal=False).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def listing(title: str, lines: Sequence[str], limit: int = 20) -> list[str]:
    """Make a titled list that is cut after ``limit`` lines and says so; nothing for no lines."""
    if not lines:
        return []
    more = [f"  and {len(lines) - limit} more (-o json has them all)"] if len(lines) > limit else []
    return [title, *(f"  {shown(line)}" for line in lines[:limit]), *more]


def shorten(text: str, width: int) -> str:
    """Cut text to ``width`` characters, the last of which is then an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def brief(value: object, width: int) -> str:
    """Show at most ``width`` characters of a text; a long one costs no more than its beginning."""
    return shorten(shown(str(value)[: width + 1]), width)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
