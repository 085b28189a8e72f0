"""Text from a cluster inside GitHub's Markdown, where it stays text. Pure.

Every function takes text that anybody may have written and gives Markdown that renders as that
text: no markup, no HTML, no mention of a person, no reference to an issue, no link. Control
characters are shown as escapes. The syntax is https://github.github.com/gfm/; mentions and
references are made by GitHub after rendering, so a backslash does not stop them: an invisible space
(``&#8203;``) does, and they are never made in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gitops_dr.reports.text import shown, shown_line

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = re.compile(r"[\\`*_{}\[\]!|~$]")
_LINE_START = re.compile(r"^( *)([-+=#]|\d{1,9}(?=[.)]))")
"""What makes a list or a heading, but only where a line begins."""

_REFERENCE = re.compile(r"([@#](?=\w)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.))", re.IGNORECASE)
"""What begins a mention (``@name``), a reference (``#1``, ``GH-1``) or a link without brackets."""

_EDGE = re.compile(r"\A\s|\s\Z")
_INVISIBLE = "&#8203;"
_RUN = re.compile("`+")
_WORD = re.compile(r"[A-Za-z0-9-]*")
_SPECIAL = re.compile(r"[!-,:-@\[-`{-~]|(?<=www)\.", re.IGNORECASE)
"""ASCII punctuation, but for what names are made of; a dot where it would begin a link."""


def escape(text: object) -> str:
    """Make one line of Markdown that reads as ``text``, in a table's cell too."""
    escaped = "".join(_ENTITIES.get(char, char) for char in shown(text))
    escaped = _MARKUP.sub(r"\\\g<0>", escaped)
    escaped = _REFERENCE.sub(rf"\1{_INVISIBLE}", escaped)
    escaped = _LINE_START.sub(_at_line_start, escaped)
    # Blanks make a block of code where a line begins, and a line break where it ends.
    return _EDGE.sub(lambda found: f"&#{ord(found[0])};", escaped)


def code(text: object) -> str:
    """Make a span of code that reads as ``text``, in a table's cell too.

    Backticks and bars end a span or a cell wherever they are, and Markdown trims a span, so text
    with one of those becomes :func:`code_tag`.
    """
    line = shown(text)
    if not line or "`" in line or "|" in line or line != line.strip():
        return code_tag(text)
    return f"`{line}`"


def code_tag(text: object) -> str:
    """Make a ``<code>`` element: the span of code for what is HTML, such as a ``<summary>``."""
    inner = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", shown(text))
    return f"<code>{inner}</code>"


def fence(text: str, language: str = "") -> str:
    """Make a block of code of several lines, whose fence is longer than any run inside.

    ``language`` is one of the program's own words, such as ``diff``; ends without a line break.
    """
    if not _WORD.fullmatch(language):
        raise ValueError(f"{language!r} is no language")
    # Only \n ends a line here: everything else that could is shown as an escape.
    inner = "\n".join(map(shown_line, text.split("\n")))
    longest = max((len(run) for run in _RUN.findall(inner)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{inner}\n{ticks}"


def cell(text: str) -> str:
    """Make the content of a table's cell: lines stay lines."""
    return "<br>".join(escape(line) for line in text.split("\n"))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Put ready Markdown (of :func:`cell`, :func:`code`) under headings; one string a line."""
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _at_line_start(found: re.Match[str]) -> str:
    spaces, mark = found.groups()
    # A number becomes a list by the dot after it.
    return f"{spaces}{mark}\\" if mark.isdigit() else f"{spaces}\\{mark}"
