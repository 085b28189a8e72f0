"""Edits the text of a manifest that a person has written: only what changes is touched. Pure.

The text is not written anew: each value that changes is replaced where it stands. Comments, order,
quotes, indentation, anchors, line endings and whatever else is outside of those places keep their
bytes. What comes out is read again and must mean exactly what was wanted; where it does not, the
canonical form is the answer, and a note says so.
"""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

import orjson

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.layout import Item, Node, OddLayoutError, Pair, read_layout
from gitops_dr.manifests.parse import parse
from gitops_dr.manifests.render import (
    BLOCKS,
    QUOTES,
    Indent,
    Written,
    block,
    block_item,
    block_pair,
    flow,
    folded,
    literal,
)
from gitops_dr.manifests.splice import Splice
from gitops_dr.model import Body

_ITEM_KEYS: Final = (
    "name",
    "key",
    "mountPath",
    "containerPort",
    "port",
    "topologyKey",
    "ip",
    "type",
    "host",
    "path",
)
"""What may tell the items of a list apart. It decides only which item's text is kept for which
value, never what the list says in the end."""

_WORTH_MATCHING: Final = 4_000_000
"""Items of one list times those of another, at most, to look for what they have in common."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A file's new bytes."""

    data: bytes
    note: str = ""
    """Why its comments and layout could not be kept; empty where they were."""


def edited(
    data: bytes, wanted: Body, path: str, *, read: Callable[[bytes, str], Body] = parse
) -> Edited:
    """Make a file say ``wanted`` by changing only what is different in it.

    ``path`` is for messages; ``read`` reads the file, which need be no manifest then. A file that
    says so already keeps its bytes; one in canonical form stays in it. An alias is kept while what
    it stands for is wanted in its place. Raises ``ManifestError`` if ``read`` does not take
    ``data``, or ``wanted`` cannot be written.
    """
    target = canonical(wanted)
    body = read(data, path)
    now = canonical(body)
    if now == target:
        return Edited(data)
    if now == data:
        return Edited(target)
    try:
        return Edited(_edited(data, body, wanted, path, read))
    except (OddLayoutError, ManifestError) as error:
        problem = error.problem if isinstance(error, ManifestError) else str(error)
        return Edited(target, f"written anew, without its comments: {problem}")


def _edited(
    data: bytes, body: Body, wanted: Body, path: str, read: Callable[[bytes, str], Body]
) -> bytes:
    """Edit until it says what is wanted: what the first pass did to aliases, the second sees."""
    target = canonical(wanted)
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    text = data.removeprefix(mark).decode()
    for aliases in (False, True, True):
        text = _Pass(text, aliases=aliases).edit(body, wanted)
        body = read(text.encode(), path)
        if canonical(body) == target:
            return mark + text.encode()
    raise OddLayoutError("it could not be edited in place")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands."""

    node: Node
    lead: int
    """Behind the colon or dash."""
    column: int
    """Of the key or dash."""
    gap: int = 0
    """Columns from the dash to the value; 0 for the value of a key."""
    flow: bool = False
    quoted: bool = False
    """Within braces whose keys are in double quotes, as in JSON."""


class _Pass:
    """One pass over one text."""

    def __init__(self, text: str, *, aliases: bool) -> None:
        """``aliases``: whether an alias that stands for something else than wanted is replaced."""
        self._splice = Splice(text)
        self._root = read_layout(text)
        self._aliases = aliases
        self._indent = _indent_of(self._root, self._splice)
        self._is_json = self._root.flow and _in_double_quotes(self._root)

    def edit(self, old: Body, new: Body) -> str:
        """The text, which says ``old``, with what makes ``new`` of it."""
        self._mapping(self._root, old, new, top=True)
        return self._splice.result()

    # -- one value --------------------------------------------------------------------------------

    def _change(self, place: _Place, old: Any, new: Any) -> None:
        if _same(old, new):
            return
        node, mark = place.node, self._splice.mark()
        if node.kind == "alias":
            if self._aliases:
                self._replace(place, new)
            return
        try:
            if node.kind == "mapping" and isinstance(new, dict):
                self._mapping(node, old, new)
                return
            if node.kind == "sequence" and isinstance(new, list):
                self._sequence(node, old, new)
                return
        except OddLayoutError:
            self._splice.undo(mark)
        self._replace(place, new)

    def _replace(self, place: _Place, new: Any) -> None:
        """Put a value in the place of another, whatever either is."""
        node = place.node
        anchor = f"&{node.anchor}" if node.anchor else ""
        if place.flow:
            value = flow(new, quoted=place.quoted, style=node.style)
            space = " " if node.start == node.end else ""
            self._splice.put(node.start, node.end, space + _words(anchor, value))
        elif not self._replace_text_block(node, new):
            self._put_block(place, self._written(place, new, anchor))

    def _replace_text_block(self, node: Node, new: Any) -> bool:
        """Replace a block of text by another in the same place; False where that cannot be."""
        if node.style not in BLOCKS or node.tagged or not isinstance(new, str):
            return False
        header, *lines = self._splice.text[node.body : node.end].split("\n")
        first = next(filter(str.strip, lines), None)
        if first is None:
            return False
        column = len(first) - len(first.lstrip(" "))
        keep = "+" in header.partition("#")[0]
        written = None
        if node.style == ">":
            written = folded(new, column, max(map(len, lines)), keep=keep)
        written = written or literal(new, column, keep=keep)
        if written is None:
            return False
        head = written.head + _comment(header)
        self._splice.put(node.body, node.end, "\n".join([head, *written.lines]))
        return True

    def _written(self, place: _Place, new: Any, anchor: str) -> Written:
        style, gap, column = place.node.style, place.gap, place.column
        if gap and not anchor and isinstance(new, dict) and new:
            first, *rest = block_item(new, column, self._indent, gap=gap)
            return Written(first[column + gap :], tuple(rest))
        indent = Indent(gap, gap) if gap else self._indent
        written = block(new, column, indent, style=style)
        return Written(_words(anchor, written.head), written.lines)

    def _put_block(self, place: _Place, written: Written) -> None:
        """Put text behind a key or dash, in the place of what is there."""
        splice, node, lead = self._splice, place.node, place.lead
        head, end = written.head, node.end
        if "\n" in splice.text[lead : node.start]:
            # It begins below; the key's own line may have a comment.
            if head and not written.lines and not node.is_block:
                splice.put(node.start, end, head)
                return
            if head:
                splice.put(lead, lead, f" {head}")
            end = splice.line_end(end) if written.lines else end
            splice.put(splice.line_end(lead), end, "".join(f"\n{line}" for line in written.lines))
            return
        start = node.start if head else lead
        if head and node.start == node.end:
            head = f" {head}"
        if node.kind == "scalar" and node.style in BLOCKS:
            head += _comment(splice.text[node.body : end].partition("\n")[0])
        elif not node.is_block:
            splice.put(start, end, head)
            if written.lines:
                splice.put_below(end, written.lines)
            return
        elif written.lines:
            end = splice.line_end(end)
        splice.put(start, end, "\n".join([head, *written.lines]))

    # -- mappings and lists -----------------------------------------------------------------------

    def _mapping(self, node: Node, old: Body, new: Body, *, top: bool = False) -> None:
        """Change a mapping entry by entry. Raises ``OddLayoutError`` where it must be replaced."""
        pairs = {pair.key.text: pair for pair in node.pairs if not pair.merges}
        merges = len(pairs) < len(node.pairs)
        if not pairs.keys() <= old.keys():
            raise OddLayoutError("a key with a tab")
        kept = [key for key in pairs if key in new]
        if not kept and not merges:
            raise OddLayoutError("nothing of a mapping stays")
        column = self._splice.column(node.pairs[0].start)
        quoted = self._is_json or (node.flow and _in_double_quotes(node))
        for key in kept:
            pair = pairs[key]
            place = _Place(pair.value, pair.lead, column, flow=node.flow, quoted=quoted)
            self._change(place, old[key], new[key])
        added = new.keys() - old.keys()
        if self._aliases:
            # What << brought in is overridden by a key beside it, but cannot be taken away.
            brought = old.keys() - pairs.keys()
            if not brought <= new.keys():
                raise OddLayoutError("a key that << brings in is gone")
            added |= {key for key in brought if not _same(old[key], new[key])}
        gone = {
            index
            for index, pair in enumerate(node.pairs)
            if not pair.merges and pair.key.text not in new
        }
        style = _shared_style(pairs[key].value for key in kept)
        texts: dict[int, list[str]] = {}
        for key in sorted(added):
            if node.flow:
                value = flow(new[key], quoted=quoted, style=style)
                text = [f"{flow(key, quoted=quoted)}: {value}"]
            else:
                text = [*block_pair(key, new[key], column, self._indent, style=style)]
            texts.setdefault(_place_of(key, node.pairs), []).extend(text)
        if node.flow:
            self._splice.change_flow(node, node.pairs, gone, texts)
        else:
            self._splice.change_block(node.pairs, gone, texts, top=top)

    def _sequence(self, node: Node, old: list[Any], new: list[Any]) -> None:
        """Change a list item by item. Raises ``OddLayoutError`` where it must be replaced."""
        items, matched = node.items, _matched(old, new)
        if not matched:
            raise OddLayoutError("nothing of a list stays")
        column = self._splice.column(items[0].start)
        for index, other in matched:
            item = items[index]
            place = _Place(
                item.value,
                item.lead,
                column,
                0 if node.flow else self._gap(item),
                flow=node.flow,
                quoted=self._is_json,
            )
            self._change(place, old[index], new[other])
        gone = set(range(len(items))) - {index for index, _ in matched}
        stays = {other: index for index, other in matched}
        texts: dict[int, list[str]] = {}
        count = 0
        for other, value in enumerate(new):
            if other in stays:
                count = stays[other] + 1
            else:
                model = items[max(count - 1, 0)]
                text = self._new_item(node, model, column, value)
                texts.setdefault(count, []).extend(text)
        if node.flow:
            self._splice.change_flow(node, items, gone, texts)
        else:
            self._splice.change_block(items, gone, texts)

    def _new_item(self, node: Node, model: Item, column: int, value: Any) -> Sequence[str]:
        """A new item of a list, written as ``model`` is."""
        style = _shared_style(item.value for item in node.items)
        if node.flow:
            quoted = self._is_json or style == '"' or _in_double_quotes(model.value)
            return [flow(value, quoted=quoted, style=style)]
        gap = self._gap(model)
        if model.value.flow and isinstance(value, dict | list):
            quoted = _in_double_quotes(model.value)
            return [f"{' ' * column}{'-':<{gap}}{flow(value, quoted=quoted)}"]
        order = [pair.key.text for pair in model.value.pairs]
        return block_item(value, column, self._indent, gap=gap, style=style, order=order)

    def _gap(self, item: Item) -> int:
        """Columns from a dash to its value; 2 where that begins on another line."""
        value = item.value
        if "\n" in self._splice.text[item.start : value.start] or value.start == value.end:
            return 2
        return max(2, value.start - item.start)


def _place_of(key: str, pairs: Sequence[Pair]) -> int:
    """Behind how many of a mapping's keys a new one goes: at the end, unless they are sorted."""
    keys = [pair.key.text for pair in pairs]
    if len(keys) > 1 and not any(pair.merges for pair in pairs) and keys == sorted(keys):
        return bisect_left(keys, key)
    return len(keys)


def _matched(old: list[Any], new: list[Any]) -> list[tuple[int, int]]:
    """Which items of two lists are the same one, by key or by position: pairs, in order."""
    key = next((k for k in _ITEM_KEYS if _tells_apart(k, old) and _tells_apart(k, new)), None)
    one, other = ([_mark(item, key) for item in items] for items in (old, new))
    start, most = 0, min(len(one), len(other))
    while start < most and one[start] == other[start]:
        start += 1
    end = 0
    while end < most - start and one[-1 - end] == other[-1 - end]:
        end += 1
    found = [(index, index) for index in range(start)]
    rest = one[start : len(one) - end], other[start : len(other) - end]
    if len(rest[0]) * len(rest[1]) <= _WORTH_MATCHING:
        for tag, i, i_end, j, j_end in SequenceMatcher(None, *rest, autojunk=False).get_opcodes():
            if tag == "equal" or (tag == "replace" and key is None):
                pairs = zip(range(i, i_end), range(j, j_end), strict=False)
                found += [(start + index, start + match) for index, match in pairs]
    return found + [(len(one) - left, len(other) - left) for left in range(end, 0, -1)]


def _tells_apart(key: str, items: list[Any]) -> bool:
    values = [item.get(key) for item in items if isinstance(item, dict)]
    texts = {str(value) for value in values if isinstance(value, str | int)}
    return len(texts) == len(items)


def _mark(item: Any, key: str | None) -> bytes:
    return orjson.dumps(item if key is None else item[key], option=orjson.OPT_SORT_KEYS)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are written the same: ``1`` is neither ``1.0`` nor ``true``."""
    return one is other or (one == other and _mark(one, None) == _mark(other, None))


def _in_double_quotes(node: Node) -> bool:
    """Whether a mapping's keys are written as in JSON."""
    return bool(node.pairs) and all(pair.key.style == '"' for pair in node.pairs)


def _shared_style(nodes: Iterable[Node]) -> str:
    """The quotes that all the scalars of a mapping or list are in; empty if they are not."""
    styles = {node.style for node in nodes if node.kind == "scalar"}
    return styles.pop() if len(styles) == 1 and styles <= set(QUOTES) else ""


def _indent_of(root: Node, splice: Splice) -> Indent:
    """How far this file indents, most of the time."""
    steps: Counter[int] = Counter()
    dashes: Counter[int] = Counter()
    for pair in _block_pairs(root):
        column = splice.column(pair.start)
        if pair.value.pairs and not pair.value.flow:
            steps[splice.column(pair.value.pairs[0].start) - column] += 1
        elif pair.value.items and not pair.value.flow:
            dashes[splice.column(pair.value.items[0].start) - column] += 1
    step, dash = (
        counted.most_common(1)[0][0] if counted else default
        for counted, default in ((steps, 2), (dashes, 0))
    )
    return Indent(step, dash)


def _block_pairs(node: Node) -> Iterator[Pair]:
    if node.flow:
        return
    for pair in node.pairs:
        yield pair
        yield from _block_pairs(pair.value)
    for item in node.items:
        yield from _block_pairs(item.value)


def _words(*words: str) -> str:
    return " ".join(filter(None, words))


def _comment(header: str) -> str:
    """The comment on the first line of a block of text, with the blanks before it."""
    marks, hash_sign, _ = header.partition("#")
    return header[len(marks.rstrip()) :].rstrip() if hash_sign else ""
