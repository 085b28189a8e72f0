"""Takes entries out of a text and puts lines into it, without touching the rest. Pure.

Knows lines, indentation and comments, but not what the text says. A comment right above an entry,
at its column, belongs to it; so does one right below that is further in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from gitops_dr.manifests.layout import Item, Node, Pair

Entries = Sequence[Pair] | Sequence[Item]

Added = Mapping[int, Sequence[str]]
"""What follows so many of the entries: lines; in braces or brackets, entries."""

_BLANK: Final = re.compile(r"\s*")


class Splice:
    """Changes to one text, collected first and made together."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._line_break = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
        self._changes: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """The text with all changes."""
        parts, at = [], 0
        for start, end, text in sorted(self._changes, key=lambda change: change[:2]):
            parts += [self.text[at:start], text]
            at = end
        # Readers disagree whether a block of text that ends the file has a line break at its end.
        ended = at < len(self.text) or self.text.endswith("\n") or "\n" not in parts[-1]
        return "".join([*parts, self.text[at:], "" if ended else self._line_break])

    def mark(self) -> int:
        """How many changes there are, for :meth:`undo`."""
        return len(self._changes)

    def undo(self, mark: int) -> None:
        """Forget the changes since ``mark``."""
        del self._changes[mark:]

    def put(self, start: int, end: int, text: str) -> None:
        """Replace what is from ``start`` to ``end``; line feeds become the text's line breaks."""
        self._changes.append((start, end, text.replace("\n", self._line_break)))

    def put_below(self, at: int, lines: Iterable[str]) -> None:
        """Put lines below the line that ``at`` is in."""
        end = self.line_end(at)
        self.put(end, end, "".join(f"\n{line}" for line in lines))

    # -- places ---------------------------------------------------------------------------------

    def column(self, at: int) -> int:
        """How far in something stands, in characters."""
        return at - self._line_start(at)

    def line_end(self, at: int) -> int:
        """Where the line ends that ``at`` is in, before its line break."""
        end = self.text.find("\n", at)
        if end < 0:
            return len(self.text)
        return end - 1 if end > at and self.text[end - 1] == "\r" else end

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _next_line(self, end: int) -> int:
        return self._skip_break(self.line_end(end))

    def _skip_break(self, at: int) -> int:
        return at + (2 if self.text.startswith("\r\n", at) else 1 if at < len(self.text) else 0)

    def _line_before(self, start: int) -> int:
        """Where the line above ends, before its line break."""
        return start - 2 if self.text.endswith("\r\n", 0, start) else start - 1

    def _starts_line(self, at: int) -> bool:
        return not self.text[self._line_start(at) : at].strip()

    def _comment_column(self, start: int) -> int:
        """The column of the comment that the line is; -1 if it is none."""
        line = self.text[start : self.line_end(start)]
        bare = line.lstrip(" ")
        return len(line) - len(bare) if bare.startswith("#") else -1

    def _own_start(self, start: int) -> int:
        """The line where an entry begins, or the comments right above it that are its own."""
        column, line = self.column(start), self._line_start(start)
        while line > 0:
            above = self._line_start(line - 1)
            if self._comment_column(above) != column:
                break
            line = above
        return line

    def _own_end(self, end: int, column: int) -> int:
        """The end of the line where an entry ends, or of comments right below that are its own."""
        end = self.line_end(end)
        while end < len(self.text):
            below = self._skip_break(end)
            if self._comment_column(below) <= column:
                break
            end = self.line_end(below)
        return end

    # -- entries of a mapping or a list in block style --------------------------------------------

    def change_block(
        self, entries: Entries, gone: Collection[int], added: Added, *, top: bool = False
    ) -> None:
        """Take out the entries ``gone``, but not all of them, and put in lines.

        ``top``: the comments above the first entry belong to the file.
        """
        column = self.column(entries[0].start)
        inline = not self._starts_line(entries[0].start)
        leading = next(index for index in range(len(entries)) if index not in gone)
        for count, lines in added.items():
            before = [index for index in range(count) if index not in gone]
            if before:
                self.put_below(self._own_end(entries[before[-1]].end, column), lines)
            elif inline:
                first = entries[0].start
                self.put(first, first, "\n".join([*lines, " " * column]).lstrip(" "))
            else:
                self._put_above(self._first_line(entries, 0, top=top), lines)
        if inline and leading:
            # The first that stays moves up to the dash.
            end = self._own_end(entries[leading - 1].end, column)
            blank = _BLANK.match(self.text, end)
            self.put(entries[0].start, blank.end() if blank else end, "")
        for index in gone:
            if not inline or index > leading:
                line = self._first_line(entries, index, top=top)
                self._cut_lines(line, self._own_end(entries[index].end, column))

    def _first_line(self, entries: Entries, index: int, *, top: bool) -> int:
        start = entries[index].start
        if top and index == 0:
            return self._line_start(start)
        return self._own_start(start)

    def _put_above(self, line: int, lines: Sequence[str]) -> None:
        if line:
            self.put_below(self._line_before(line), lines)
        else:
            self.put(0, 0, "".join(f"{text}\n" for text in lines))

    def _cut_lines(self, line: int, end: int) -> None:
        if line:
            self.put(self._line_before(line), end, "")
        else:
            self.put(0, self._skip_break(end), "")

    # -- entries in braces or brackets ------------------------------------------------------------

    def change_flow(
        self, node: Node, entries: Entries, gone: Collection[int], added: Added
    ) -> None:
        """The same for what stands in braces or brackets."""
        stay = [index for index in range(len(entries)) if index not in gone]
        last = stay[-1]
        for start, stop in _runs(gone):
            if stop < len(entries):
                self._cut_run(entries, start, stop)
        ends_with_comma = entries[-1].comma >= 0
        if last + 1 < len(entries):
            self._cut_tail(entries, last)
        for count, texts in added.items():
            before = [index for index in stay if index < count]
            if before:
                follows = before[-1] < last or ends_with_comma
                self._put_behind(node, entries, before[-1], texts, follows=follows)
            else:
                first = entries[0].start
                space = f"\n{' ' * self.column(first)}" if self._starts_line(first) else " "
                self.put(first, first, "".join(f"{text},{space}" for text in texts))

    def _cut_run(self, entries: Entries, start: int, stop: int) -> None:
        """Take out the entries from ``start`` on, before ``stop``."""
        begin, end = entries[start].start, entries[stop].start
        if start and not self._starts_line(begin):
            # What follows may be on a line of its own, and stays there.
            begin, end = entries[start - 1].comma + 1, entries[stop - 1].comma + 1
        self.put(begin, end, "")

    def _cut_tail(self, entries: Entries, last: int) -> None:
        """Take out all that follows the entry ``last``, its comma too if none is at the end."""
        comma, following = entries[last].comma, entries[last + 1].start
        start = comma + 1
        if "\n" in self.text[start:following]:
            start = self._line_before(self._line_start(following))
        closing = entries[-1].comma
        if closing < 0:
            self.put(comma, comma + 1, "")
        self.put(start, entries[-1].end if closing < 0 else closing + 1, "")

    def _put_behind(
        self, node: Node, entries: Entries, index: int, texts: Sequence[str], *, follows: bool
    ) -> None:
        """Put entries behind another; ``follows``: whether a comma stays behind that one."""
        end, comma = entries[index].end, entries[index].comma
        after = entries[index + 1].start if index + 1 < len(entries) else node.end - 1
        if not (self._starts_line(entries[index].start) and "\n" in self.text[end:after]):
            self.put(end, end, "".join(f", {text}" for text in texts))
            return
        space = f"\n{' ' * self.column(entries[index].start)}"
        lines = f",{space}".join(texts)
        at = self.line_end(max(end, comma))
        if not follows:
            self.put(end, end, ",")
        self.put(at, at, space + lines + ("," if follows else ""))


def _runs(indexes: Collection[int]) -> Iterator[tuple[int, int]]:
    """Group indexes that follow each other: the first, and the one behind the last."""
    for index in sorted(indexes):
        if index - 1 in indexes:
            continue
        stop = index + 1
        while stop in indexes:
            stop += 1
        yield index, stop
