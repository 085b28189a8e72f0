"""Reads manifests as kubectl would, or says in which line it will not. Pure.

A file in canonical form is recognised by writing what was read and comparing the bytes; canonical
bytes mean the same to every reader, so nothing else is to be checked. Any other file is read
carefully: bare words as kubectl takes them, aliases and sizes within limits, and whatever two
readers could understand differently is refused.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import yamlrocks

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical, too_long
from gitops_dr.manifests.limits import (
    MAX_ALIASES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DOCUMENTS,
    MAX_FILE_BYTES,
    MAX_LINE_WORK,
    MAX_NODES,
)
from gitops_dr.manifests.scalars import as_json, fits, resolve
from gitops_dr.model import Body

_STRICT: Final = yamlrocks.OPT_DUPLICATE_KEYS_ERROR | yamlrocks.OPT_REJECT_COMPLEX_KEYS

# kubectl splits a file at these lines before any YAML is read:
# https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/util/yaml/decoder.go (YAMLReader)
_SEPARATOR: Final = re.compile(rb"^---[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)", re.MULTILINE)

_ANCHOR: Final = re.compile(rb"&(?<![^ \t\r\n\[{,]&)[^ \t\r\n]")
_ALIAS: Final = re.compile(rb"\*(?<![^ \t\r\n\[{,]\*)[^ \t\r\n]")
_ODD_ENDS: Final = (b".0\n", b"e+", b".inf\n", b".nan\n")
_ODD_NUMBER: Final = re.compile(rb" -?(?:[0-9.]+(?:\.0|e\+[0-9]+)|\.(?:inf|nan))\n")
"""Canonical, but not one to one with JSON: kubectl turns 3.0 into 3, and JSON has no infinity."""

_UNICODE_BREAK: Final = re.compile("[\x85\u2028\u2029]")
_SYNTAX_POSITION: Final = re.compile(r" at line \d+, column \d+$")

_BOM: Final = b"\xef\xbb\xbf"
_TAGS: Final = {"!!str": "scalar", "!!map": "mapping", "!!seq": "sequence"}
_STRING_MAPS: Final = ("labels", "annotations")


def parse(data: bytes, path: str) -> Body:
    """Read the one manifest in ``data``; ``path`` is only for messages.

    Raises ``ManifestError`` with path and line for anything that is not exactly one manifest with
    apiVersion, kind and metadata.name.
    """
    return _parse_one(data, path, "manifest", _check_identity)


def parse_document(data: bytes, path: str) -> Body:
    """Read the one YAML mapping in ``data``, which need be no Kubernetes object.

    It is read with the same care. Raises ``ManifestError`` with path and line for anything that is
    not exactly one mapping.
    """
    return _parse_one(data, path, "document", _check_mapping)


def parse_documents(data: bytes, path: str) -> list[Body]:
    """Read all manifests in ``data``, separated by ``---`` lines; empty ones are skipped.

    Raises ``ManifestError`` as :func:`parse` does; an empty file is an empty list.
    """
    manifests = []
    for document in _read_documents(data, path, MAX_FILE_BYTES):
        _check_identity(document)
        manifests.append(document.mapping)
    return manifests


def _parse_one(data: bytes, path: str, what: str, check: Callable[[_Document], None]) -> Body:
    if (body := _parse_canonical(data, check)) is not None:
        return body
    documents = list(_read_documents(data, path, MAX_BYTES))
    if not documents:
        raise ManifestError(path, 1, f"no {what} in it", hint="delete the file if it is not used")
    if len(documents) > 1:
        raise ManifestError(
            path,
            documents[1].line(()),
            f"a second {what}; the file has {len(documents)}",
            hint=f"keep one {'object' if what == 'manifest' else what} in a file",
        )
    check(documents[0])
    return documents[0].mapping


def _parse_canonical(data: bytes, check: Callable[[_Document], None]) -> Body | None:
    """Read canonical bytes whose body passes ``check``; None means: read carefully."""
    if len(data) > MAX_BYTES or _ANCHOR.search(data) or _has_odd_number(data):
        return None
    try:
        body = yamlrocks.loads(data, option=_STRICT)
        if not isinstance(body, dict) or canonical(body) != data:
            return None
        orjson.dumps(body)  # which refuses keys that are no strings and integers beyond 64 bits
        check(_Document("", 0, body))
    except (yamlrocks.YAMLRocksDecodeError, orjson.JSONEncodeError, ManifestError):
        return None
    return body


def _has_odd_number(data: bytes) -> bool:
    return any(end in data for end in _ODD_ENDS) and _ODD_NUMBER.search(data) is not None


@dataclass(frozen=True, slots=True)
class _Document:
    """One document of a file, read; ``first_line`` is the line of the file before it."""

    path: str
    first_line: int
    body: Any
    tree: Any = None

    def line(self, where: tuple[str | int, ...]) -> int:
        """Find the line in the file of a place in this document, or of what encloses it."""
        for end in range(len(where), -1, -1):
            node = self.tree.locate(where[:end]) if self.tree is not None else None
            if node is not None:
                return self.first_line + int(node.line)
        return self.first_line + 1

    def error(self, where: tuple[str | int, ...], problem: str, *, hint: str = "") -> ManifestError:
        return ManifestError(self.path, self.line(where), problem, hint=hint)

    @property
    def mapping(self) -> Body:
        """The body, once it is known to be a mapping."""
        body: Body = self.body
        return body


def _read_documents(data: bytes, path: str, max_bytes: int) -> Iterator[_Document]:
    if len(data) > max_bytes:
        raise ManifestError(path, 1, f"{len(data)} bytes; a manifest has at most {max_bytes}")
    data = data.removeprefix(_BOM)
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


def _read(data: bytes, path: str, first_line: int) -> _Document | None:
    """Read one document carefully; None if it is empty."""
    if len(data) > MAX_BYTES:
        raise ManifestError(
            path, first_line + 1, f"{len(data)} bytes; a manifest has at most {MAX_BYTES}"
        )
    if _ANCHOR.search(data) and sum(1 for _ in _ALIAS.finditer(data)) > MAX_ALIASES:
        raise ManifestError(path, first_line + 1, f"more than {MAX_ALIASES} aliases")
    try:
        # The plain reading finds syntax errors, duplicate keys and alias bombs in bounded time,
        # and its size tells whether the reading with styles and tags is affordable.
        plain = yamlrocks.loads_all(data, option=_STRICT)
        _check_size(plain, data, path, first_line)
        trees = yamlrocks.loads_all(data, option=_STRICT | yamlrocks.OPT_ROUND_TRIP)
    except yamlrocks.YAMLRocksDecodeError as error:
        raise ManifestError(
            path,
            first_line + (error.line or 1),
            _SYNTAX_POSITION.sub("", error.message),
            hint="a template must be rendered first" if b"{{" in data else "",
        ) from error
    if not trees or plain == [None]:
        return None
    if len(trees) > 1:
        raise ManifestError(
            path,
            first_line + max(1, trees[1].node.line),
            "a second document that does not begin with --- on a line of its own",
        )
    if yamlrocks.yaml_version(data) is not None:
        raise ManifestError(
            path,
            first_line + 1,
            "a %YAML directive",
            hint="remove it; Kubernetes reads manifests in its own dialect",
        )
    document = _Document(path, first_line, None, trees[0])
    body = _Resolver(document).value(trees[0].to_tree(), ())
    return _Document(path, first_line, body, trees[0])


def _check_size(plain: Any, data: bytes, path: str, first_line: int) -> None:
    nodes = 0
    longest_line = max(map(len, data.split(b"\n")))
    level = [plain]
    for _ in range(MAX_DEPTH + 2):
        below: list[Any] = []
        for value in level:
            children = value.values() if isinstance(value, dict) else value
            if isinstance(value, dict | list):
                nodes += len(value)
                if nodes > MAX_NODES:
                    raise ManifestError(path, first_line + 1, f"more than {MAX_NODES} values")
                below.extend(children)
        if nodes * longest_line > MAX_LINE_WORK:
            raise ManifestError(
                path,
                first_line + 1,
                f"{nodes} values or more and a line of {longest_line} bytes",
                hint="write it in block style",
            )
        if not below:
            return
        level = below
    raise ManifestError(path, first_line + 1, f"nested deeper than {MAX_DEPTH}")


@dataclass(slots=True)
class _Resolver:
    """Turns a syntax tree into what kubectl would send. One for each document."""

    document: _Document
    anchors: dict[str, Any] = field(default_factory=dict)

    def value(self, node: Any, where: tuple[str | int, ...]) -> Any:
        kind = node.kind
        if kind == "alias":
            # A copy, so that no two places of a body change together.
            return copy.deepcopy(self.anchors[node.value])
        if node.tag is not None and _TAGS.get(node.tag) != kind:
            raise self.document.error(
                where, f"the tag {node.tag}", hint="write the value without a tag"
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
        merged: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.is_merge_key:
                self._merge(value_node, where, result, merged)
                continue
            key = self._key(key_node, where)
            result[key] = self.value(value_node, (*where, key))
            merged.discard(key)
        return result

    def _key(self, node: Any, where: tuple[str | int, ...]) -> str:
        if node.kind != "scalar":
            raise self.document.error(where, f"a key that is no string but {node.kind}")
        key = self.value(node, where)
        if not isinstance(key, str):
            written = node.value if isinstance(node.value, str) else orjson.dumps(key).decode()
            raise self.document.error(
                (*where, written),
                f"the key {written}, which is {_kind_of(key)}",
                hint="put quotes around it",
            )
        if too_long(key):
            raise self.document.error(
                (*where, key), f"the key {key[:40]!r}... has {len(key)} characters"
            )
        return key

    def _merge(
        self, node: Any, where: tuple[str | int, ...], result: Body, merged: set[str]
    ) -> None:
        source = self.value(node, where)
        for mapping in source if isinstance(source, list) else [source]:
            if not isinstance(mapping, dict):
                raise self.document.error(where, "<< with something else than mappings")
            for key, value in mapping.items():
                # kubectl lets << win over what stands before it, other readers do not.
                if key in result and key not in merged:
                    raise self.document.error(
                        (*where, key),
                        f"<< brings the key {key!r} a second time",
                        hint="write << as the first key",
                    )
                if key not in merged:
                    result[key] = value
                    merged.add(key)


def _check_mapping(document: _Document) -> None:
    """Whether the document is a mapping. Raises ``ManifestError``."""
    if not isinstance(document.body, dict):
        raise document.error((), f"not a mapping but {_kind_of(document.body)}")


def _check_identity(document: _Document) -> None:
    """Whether the document is one object with a name. Raises ``ManifestError``."""
    _check_mapping(document)
    body = document.mapping
    for key in ("apiVersion", "kind"):
        if not isinstance(body.get(key), str) or not body[key]:
            raise document.error((key,), f"no {key}" if key not in body else f"{key} is no string")
    if body["kind"].endswith("List") and isinstance(body.get("items"), list):
        raise document.error(("kind",), f"a {body['kind']}", hint="write each item by itself")
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        raise document.error(("metadata",), "no metadata")
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise document.error(
            ("metadata", "name"),
            "metadata.name is no string" if "name" in metadata else "no metadata.name",
            hint="generateName gives another name each time" if "generateName" in metadata else "",
        )
    if not isinstance(metadata.get("namespace", ""), str):
        raise document.error(("metadata", "namespace"), "metadata.namespace is no string")
    for key in _STRING_MAPS:
        _check_strings(document, metadata, key)


def _check_strings(document: _Document, metadata: Body, key: str) -> None:
    strings = metadata.get(key)
    if strings is None:
        return
    if not isinstance(strings, dict):
        raise document.error(("metadata", key), f"metadata.{key} is {_kind_of(strings)}")
    for name, value in strings.items():
        if value is not None and not isinstance(value, str):
            raise document.error(
                ("metadata", key, name),
                f'metadata.{key}["{name}"] is {_kind_of(value)}, not a string',
                hint="put quotes around it",
            )


def _kind_of(value: Any) -> str:
    """How a message calls a decoded value."""
    names = {dict: "a mapping", list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(value), "null" if value is None else "a number")
