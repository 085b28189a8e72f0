"""Reads the documents of a file as kubectl would, whatever form they are written in. Pure.

Bare words are what kubectl takes them for, aliases become copies, sizes have limits, and whatever
two readers could understand differently is refused, with the line that it stands in.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

import orjson
import yamlrocks

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import too_long
from gitops_dr.manifests.limits import (
    MAX_ALIASES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DOCUMENTS,
    MAX_LINE_WORK,
    MAX_NODES,
)
from gitops_dr.manifests.scalars import as_json, fits, resolve
from gitops_dr.model import Body

STRICT: Final = yamlrocks.OPT_DUPLICATE_KEYS_ERROR | yamlrocks.OPT_REJECT_COMPLEX_KEYS

# kubectl splits a file at these lines before any YAML is read:
# https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/util/yaml/decoder.go (YAMLReader)
_SEPARATOR: Final = re.compile(rb"^---[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)", re.MULTILINE)

_ANCHOR: Final = re.compile(rb"&(?<![^ \t\r\n\[{,:]&)[^ \t\r\n]")
_ALIAS: Final = re.compile(rb"\*(?<![^ \t\r\n\[{,:]\*)[^ \t\r\n]")
_MARKS: Final = (b"\n", b",", b"[", b"{")

_UNICODE_BREAK: Final = re.compile("[\x85\u2028\u2029]")
_SYNTAX_POSITION: Final = re.compile(r" at line \d+, column \d+$")

_TAGS: Final = {"!!str": "scalar", "!!map": "mapping", "!!seq": "sequence"}


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, read; ``first_line`` is the line of the file before it."""

    path: str
    first_line: int
    body: Any
    tree: Any = None
    data: bytes = b""

    def line(self, where: tuple[str | int, ...], lead: bytes = b"") -> int:
        """Find the line in the file of a place in this document, or of what encloses it.

        ``lead``: a regular expression for what stands before the value and is meant, its tag or its
        key: a tree knows only where values are, and those may begin further down.
        """
        node = self._node(where)
        if node is not None:
            before = re.finditer(lead, self.data[: node.offset]) if lead else ()
            found = max((match.start() for match in before), default=None)
            return self.first_line + (int(node.line) if found is None else self._line_of(found))
        if not where:
            return self.first_line + 1
        *outer, last = where
        found = self._key(tuple(outer), lead or _key_before_value(str(last)))
        return self.line(tuple(outer)) if found is None else self.first_line + self._line_of(found)

    def _node(self, where: tuple[str | int, ...]) -> Any:
        """The node at a place; None if there is none, or if it is nothing that was written."""
        node = self.tree.locate(where) if self.tree is not None else None
        return None if node is None or (where and not node.end_offset) else node

    def _key(self, mapping: tuple[str | int, ...], lead: bytes) -> int | None:
        """Where a key of a mapping in block style begins, in bytes."""
        node = self._node(mapping)
        if node is None:
            return None
        for found in re.compile(lead).finditer(self.data, node.offset):
            if found.start() - self.data.rfind(b"\n", 0, found.start()) == node.column:
                return found.start()
        return None

    def _line_of(self, offset: int) -> int:
        return self.data.count(b"\n", 0, offset) + 1

    def error(
        self,
        where: tuple[str | int, ...],
        problem: str,
        *,
        hint: str = "",
        lead: bytes = b"",
    ) -> ManifestError:
        """Make an error about a place in this document; ``lead`` as :meth:`line` takes it."""
        return ManifestError(self.path, self.line(where, lead), problem, hint=hint)

    @property
    def mapping(self) -> Body:
        """The body, once it is known to be a mapping."""
        body: Body = self.body
        return body


def kind_of(value: Any) -> str:
    """How a message calls a decoded value."""
    names = {dict: "a mapping", list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(value), "null" if value is None else "a number")


def has_aliases(data: bytes) -> bool:
    """Whether there may be aliases in it, so that it may stand for far more than its own bytes."""
    return _ANCHOR.search(data) is not None and _ALIAS.search(data) is not None


def read_documents(data: bytes, path: str, max_bytes: int) -> Iterator[Document]:
    """Read the documents of a file one after the other; empty ones are left out.

    Raises ``ManifestError`` with path and line for what kubectl could not read, or what another
    reader would take for something else.
    """
    if len(data) > max_bytes:
        raise ManifestError(path, 1, f"{len(data)} bytes; a manifest has at most {max_bytes}")
    _check_text(data, path)
    start, line = 0, 0
    for index, separator in enumerate(_SEPARATOR.finditer(data)):
        if index >= MAX_DOCUMENTS:
            raise ManifestError(path, line, f"more than {MAX_DOCUMENTS} documents")
        if document := _read(data[start : separator.start()], path, line):
            yield document
        line += data.count(b"\n", start, separator.end())
        start = separator.end()
    if document := _read(data[start:], path, line):
        yield document


def _check_text(data: bytes, path: str) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        raise ManifestError(
            path,
            data.count(b"\n", 0, error.start) + 1,
            "not UTF-8" + (", but UTF-16" if utf16 else f": byte 0x{data[error.start]:02x}"),
            hint="save the file as UTF-8",
        ) from error
    if (null := data.find(b"\0")) >= 0:
        raise ManifestError(
            path,
            data.count(b"\n", 0, null) + 1,
            "a null byte, so not UTF-8 text",
            hint="save the file as UTF-8",
        )
    if not data.isascii() and (found := _UNICODE_BREAK.search(text)):
        raise ManifestError(
            path,
            text.count("\n", 0, found.start()) + 1,
            f"U+{ord(found[0]):04X}, which YAML 1.1 takes for a line break and YAML 1.2 does not",
            hint=f'in a double-quoted string write it as "\\u{ord(found[0]):04x}"',
        )


def _read(data: bytes, path: str, first_line: int) -> Document | None:
    """Read one document; None if it is empty."""
    document = Document(path, first_line, None)
    if len(data) > MAX_BYTES:
        raise document.error((), f"{len(data)} bytes; a manifest has at most {MAX_BYTES}")
    try:
        _check_work(data, document)
        trees = yamlrocks.loads_all(data, option=STRICT | yamlrocks.OPT_ROUND_TRIP)
    except yamlrocks.YAMLRocksDecodeError as error:
        raise ManifestError(
            path,
            first_line + (error.line or 1),
            _SYNTAX_POSITION.sub("", error.message),
            hint="a template must be rendered first" if b"{{" in data else "",
        ) from error
    if not trees:
        return None
    if len(trees) > 1:
        raise ManifestError(
            path,
            first_line + max(1, trees[1].node.line),
            "a second document that does not begin with --- on a line of its own",
        )
    if yamlrocks.yaml_version(data) is not None:
        raise document.error(
            (),
            "a %YAML directive",
            hint="remove it; Kubernetes reads manifests in its own dialect",
        )
    document = replace(document, tree=trees[0], data=data)
    root = trees[0].to_tree()
    _measure(root, 0, {}, document)
    body = _Resolver(document).value(root, ())
    return None if body is None else replace(document, body=body)


def _check_work(data: bytes, document: Document) -> None:
    """Refuse what could not be read with all its places within a second or two.

    Raises ``ManifestError``, or ``YAMLRocksDecodeError`` for what is no YAML.
    """
    if has_aliases(data):
        # To read it plainly would replace the aliases, so the values are only estimated.
        if sum(1 for _ in _ALIAS.finditer(data)) > MAX_ALIASES:
            raise document.error((), f"more than {MAX_ALIASES} aliases")
        values = sum(map(data.count, _MARKS))
    else:
        values = _count(yamlrocks.loads_all(data, option=STRICT))
    if values > MAX_NODES:
        raise document.error((), f"more than {MAX_NODES} values")
    longest_line = max(map(len, data.split(b"\n")))
    if values * longest_line > MAX_LINE_WORK:
        raise document.error(
            (),
            f"{values} values and a line of {longest_line} bytes",
            hint="write it in block style",
        )


def _count(plain: list[Any]) -> int:
    values, level = 0, plain
    while level:
        values += len(level)
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
    return values


def _key_before_value(key: str) -> bytes:
    """A regular expression for a key as it stands before its value, plain or in quotes."""
    return rb"(?<![^\s{,])[\"']?" + re.escape(key.encode()) + rb"[\"']?\s*:"


@dataclass(frozen=True, slots=True)
class _Size:
    """How much a node stands for once its aliases are replaced."""

    values: int
    characters: int
    depth: int


def _measure(node: Any, level: int, anchors: dict[str, _Size], document: Document) -> _Size:
    """Measure a node of the syntax tree. Raises ``ManifestError`` where it exceeds a limit."""
    size = anchors[node.value] if node.kind == "alias" else None
    if level + (size.depth if size else 0) > MAX_DEPTH:
        raise document.error((), f"nested deeper than {MAX_DEPTH}")
    if size is not None:
        return size
    values, depth = 1, 0
    characters = len(node.value) if isinstance(node.value, str) else 0
    for child in _children(node):
        inner = _measure(child, level + 1, anchors, document)
        values += inner.values
        characters += inner.characters
        depth = max(depth, inner.depth + 1)
        if values > 2 * MAX_NODES:
            raise document.error((), f"more than {MAX_NODES} values")
        if characters > MAX_BYTES:
            raise document.error((), f"more than {MAX_BYTES} bytes with its aliases replaced")
    size = _Size(values, characters, depth)
    if node.anchor is not None:
        anchors[node.anchor] = size
    return size


def _children(node: Any) -> Iterable[Any]:
    if node.kind == "mapping":
        return chain.from_iterable(node.value)
    return node.value if node.kind == "sequence" else ()


@dataclass(slots=True)
class _Resolver:
    """Turns a syntax tree into what kubectl would send. One for each document."""

    document: Document
    anchors: dict[str, Any] = field(default_factory=dict)

    def value(self, node: Any, where: tuple[str | int, ...]) -> Any:
        kind = node.kind
        if kind == "alias":
            # A copy, so that no two places of a body change together.
            return copy.deepcopy(self.anchors[node.value])
        if node.tag is not None and _TAGS.get(node.tag) != kind:
            raise self.document.error(
                where,
                f"the tag {node.tag}",
                hint="write the value without a tag",
                lead=re.escape(node.tag.encode()),
            )
        if kind == "mapping":
            result: Any = self._mapping(node, where)
        elif kind == "sequence":
            result = [self.value(item, (*where, i)) for i, item in enumerate(node.value)]
        else:
            result = self._scalar(node, where)
        if node.anchor is not None:
            self.anchors[node.anchor] = result
        return result

    def _scalar(self, node: Any, where: tuple[str | int, ...]) -> Any:
        value = node.value
        if isinstance(value, str):
            return resolve(value) if node.style == "plain" and node.tag is None else value
        if isinstance(value, float) and not math.isfinite(value):
            raise self.document.error(
                where, "a number that JSON does not have", hint="put quotes around a string"
            )
        if isinstance(value, int) and not fits(value):
            raise self.document.error(
                where, "an integer of more than 64 bits", hint="put quotes around a string"
            )
        return as_json(value) if isinstance(value, int | float) else value

    def _mapping(self, node: Any, where: tuple[str | int, ...]) -> Body:
        result: Body = {}
        merged = False
        for key_node, value_node in node.value:
            if key_node.is_merge_key:
                if merged:
                    raise self.document.error(where, "<< a second time", hint="use << : [*a, *b]")
                self._merge(value_node, where, result)
                merged = True
                continue
            key = self._key(key_node, where)
            result[key] = self.value(value_node, (*where, key))
        return result

    def _key(self, node: Any, where: tuple[str | int, ...]) -> str:
        if node.kind != "scalar":
            raise self.document.error(where, f"a key that is no string but {node.kind}")
        key = self.value(node, where)
        if not isinstance(key, str):
            written = node.value if isinstance(node.value, str) else orjson.dumps(key).decode()
            raise self.document.error(
                (*where, written),
                f"the key {written}, which is {kind_of(key)}",
                hint="put quotes around it",
                lead=b"(?i)" + _key_before_value(written),
            )
        if too_long(key):
            raise self.document.error(
                (*where, key),
                f"the key {key[:40]!r}... has {len(key)} characters",
                lead=_key_before_value(key),
            )
        return key

    def _merge(self, node: Any, where: tuple[str | int, ...], result: Body) -> None:
        before = set(result)
        source = self.value(node, where)
        for mapping in source if isinstance(source, list) else [source]:
            if not isinstance(mapping, dict):
                raise self.document.error(where, "<< with something else than mappings")
            for key, value in mapping.items():
                # kubectl lets << win over what stands before it, other readers do not.
                if key in before:
                    raise self.document.error(
                        (*where, key),
                        f"<< brings the key {key!r} a second time",
                        hint="write << as the first key",
                    )
                result.setdefault(key, value)
