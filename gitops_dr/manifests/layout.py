"""Where in a file's text each value of it stands: a tree with places. Pure.

Made from the tokens of ruamel.yaml, which say where every key, dash, colon and comma is. Only
``edit.py`` needs it; what a value means is ``parse``'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_BLANK_END: Final = re.compile(r"(?:\r?\n[ \t]*)+\Z")
_LAST_BREAK: Final = re.compile(r"\r?\n\Z")


class OddLayoutError(ValueError):
    """The text is laid out in a way that is not edited in place."""


@dataclass(slots=True)
class Node:
    """One value and its place: offsets in the text, ``end`` behind its last character."""

    kind: str
    """``scalar``, ``mapping``, ``sequence`` or ``alias``."""
    start: int
    """Where it begins, its anchor and tag included."""
    body: int
    """Where it begins without them."""
    end: int
    """Behind its last character; line breaks and comments that follow are no part of it."""
    text: str = ""
    """Of a scalar: what it says. Of an alias: the name of its anchor."""
    style: str = ""
    """Of a scalar: its first character, if that is one of ``'"|>``."""
    flow: bool = False
    """Of a collection: whether it is in braces or brackets."""
    anchor: str = ""
    tagged: bool = False
    pairs: list[Pair] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    @property
    def is_block(self) -> bool:
        """Whether it is a mapping or list in block style."""
        return self.kind in ("mapping", "sequence") and not self.flow


@dataclass(slots=True)
class Pair:
    """One key of a mapping and its value."""

    start: int
    """Where the key begins, or its question mark."""
    key: Node
    lead: int
    """Behind the colon."""
    value: Node
    comma: int = -1
    """In braces: where the comma that follows is; -1 if none does."""

    @property
    def end(self) -> int:
        """Behind the last character of the value, or behind the colon."""
        return self.value.end

    @property
    def merges(self) -> bool:
        """Whether it brings in the keys of other mappings."""
        return self.key.text == "<<" and not self.key.style


@dataclass(slots=True)
class Item:
    """One item of a sequence."""

    start: int
    """Where its dash is; in brackets, where its value begins."""
    lead: int
    """Behind the dash."""
    value: Node
    comma: int = -1

    @property
    def end(self) -> int:
        """Behind the last character of the value, or behind the dash."""
        return self.value.end


def read_layout(text: str) -> Node:
    """Find the places of the one mapping in ``text``, without a byte-order mark.

    A key that has a tab in it may be said to have a blank there.
    Raises ``OddLayoutError`` for what ruamel.yaml does not read, and for rare ways of writing that
    are not worth an edit in place: a key without a colon, a pair within a list in brackets.
    """
    from ruamel.yaml.error import YAMLError

    try:
        try:
            return _root(text)
        except YAMLError:
            if "\t" not in text:
                raise
            # It stops at a tab between two tokens, where YAML allows one.
            return _root(text.replace("\t", " "))
    except YAMLError as error:
        raise OddLayoutError(f"ruamel.yaml: {str(error).splitlines()[0]}") from error


def _root(text: str) -> Node:
    from ruamel.yaml import YAML

    return _Reader(text, YAML(typ="safe", pure=True).scan(text)).root()


_IGNORED: Final = {"StreamStartToken", "StreamEndToken", "DocumentStartToken", "DocumentEndToken"}
_PROPERTIES: Final = {"AnchorToken", "TagToken"}


class _Reader:
    """Descends through the tokens, one of them ahead. One for each text."""

    def __init__(self, text: str, tokens: Iterator[Any]) -> None:
        self._text = text
        self._tokens = tokens
        self._token: Any = None
        self._next = ""
        self._advance()

    def root(self) -> Node:
        found = []
        while self._next:
            token = self._token
            found.append(self._node(0))
            if self._token is token:
                raise OddLayoutError(f"a {self._next} where a mapping should be")
        mappings = [node for node in found if node.kind == "mapping"]
        if len(mappings) != 1:
            raise OddLayoutError("not one mapping")
        return mappings[0]

    def _advance(self) -> Any:
        """Take the token and look at the next one, whose name is ``""`` at the end."""
        taken = self._token
        self._token = next(self._tokens, None)
        while self._token is not None and type(self._token).__name__ in _IGNORED:
            self._token = next(self._tokens, None)
        self._next = type(self._token).__name__ if self._token is not None else ""
        return taken

    def _start(self) -> int:
        return int(self._token.start_mark.index)

    def _node(self, lead: int, *, in_mapping: bool = False) -> Node:
        """Read one value; ``lead`` is where it would begin if there is nothing."""
        start, anchor, tagged, body = -1, "", False, lead
        while self._next in _PROPERTIES:
            start = self._start() if start < 0 else start
            tagged = tagged or self._next == "TagToken"
            anchor = str(self._token.value) if self._next == "AnchorToken" else anchor
            body = int(self._advance().end_mark.index)
        node = self._content(body, in_mapping=in_mapping)
        node.start = node.body if start < 0 else start
        node.anchor, node.tagged = anchor, tagged
        return node

    def _content(self, lead: int, *, in_mapping: bool) -> Node:
        match self._next:
            case "AliasToken":
                token = self._advance()
                return _leaf("alias", token, str(token.value))
            case "ScalarToken":
                return self._scalar(self._advance())
            case "BlockMappingStartToken":
                return self._block_mapping()
            case "BlockSequenceStartToken":
                self._advance()
                return self._block_sequence(closed=True)
            case "BlockEntryToken" if in_mapping:
                return self._block_sequence(closed=False)
            case "FlowMappingStartToken":
                return self._flow_mapping()
            case "FlowSequenceStartToken":
                return self._flow_sequence()
            case _:
                return Node("scalar", lead, lead, lead)

    def _scalar(self, token: Any) -> Node:
        style = token.style if token.style in ("'", '"', "|", ">") else ""
        node = _leaf("scalar", token, token.value)
        node.style = style
        if style in ("|", ">"):
            written = self._text[node.body : node.end]
            keeps = "+" in written.split("\n", 1)[0].split("#", 1)[0]
            ending = (_LAST_BREAK if keeps else _BLANK_END).search(written)
            node.end -= len(ending[0]) if ending else 0
        return node

    def _block_mapping(self) -> Node:
        node = Node("mapping", 0, self._start(), 0)
        self._advance()
        while self._next != "BlockEndToken":
            node.pairs.append(self._pair(in_mapping=True))
        self._advance()
        node.end = node.pairs[-1].end
        return node

    def _pair(self, *, in_mapping: bool) -> Pair:
        if self._next != "KeyToken":
            raise OddLayoutError("a key without a colon")
        start = self._start()
        self._advance()
        key = self._node(start)
        if self._next != "ValueToken":
            raise OddLayoutError("a key without a colon")
        lead = int(self._advance().end_mark.index)
        return Pair(start, key, lead, self._node(lead, in_mapping=in_mapping))

    def _block_sequence(self, *, closed: bool) -> Node:
        node = Node("sequence", 0, self._start(), 0)
        while self._next == "BlockEntryToken":
            start = self._start()
            lead = int(self._advance().end_mark.index)
            node.items.append(Item(start, lead, self._node(lead)))
        if closed:
            self._advance()
        node.end = node.items[-1].end
        return node

    def _flow_mapping(self) -> Node:
        node = Node("mapping", 0, self._start(), 0, flow=True)
        self._advance()
        while self._next != "FlowMappingEndToken":
            node.pairs.append(self._pair(in_mapping=False))
            node.pairs[-1].comma = self._comma()
        node.end = int(self._advance().end_mark.index)
        return node

    def _flow_sequence(self) -> Node:
        node = Node("sequence", 0, self._start(), 0, flow=True)
        self._advance()
        while self._next != "FlowSequenceEndToken":
            if self._next == "KeyToken":
                raise OddLayoutError("a pair in brackets")
            value = self._node(self._start())
            node.items.append(Item(value.start, value.start, value, self._comma()))
        node.end = int(self._advance().end_mark.index)
        return node

    def _comma(self) -> int:
        return int(self._advance().start_mark.index) if self._next == "FlowEntryToken" else -1


def _leaf(kind: str, token: Any, text: str) -> Node:
    start = int(token.start_mark.index)
    return Node(kind, start, start, int(token.end_mark.index), text)
