"""Reads manifests as kubectl would, or says in which line it will not. Pure.

A file in canonical form is recognised by writing what was read and comparing the bytes; canonical
bytes mean the same to every reader, so nothing else is to be checked. Any other file is read with
the care of ``document.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import orjson
import yamlrocks

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.document import STRICT, Document, has_aliases, kind_of, read_documents
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.limits import MAX_BYTES, MAX_FILE_BYTES
from gitops_dr.model import Body

_ODD_ENDS: Final = (b".0\n", b"e+", b".inf\n", b".nan\n")
_ODD_NUMBER: Final = re.compile(rb" -?(?:[0-9.]+(?:\.0|e\+[0-9]+)|\.(?:inf|nan))\n")
"""Canonical, but not one to one with JSON: kubectl turns 3.0 into 3, and JSON has no infinity."""

_STRING_MAPS: Final = ("labels", "annotations")


def parse(data: bytes, path: str) -> Body:
    """Read the one manifest in ``data``; ``path`` is only for messages.

    Raises ``ManifestError`` with path and line for anything that is not exactly one manifest with
    apiVersion, kind and metadata.name.
    """
    return _parse_one(data, path, "manifest", _check_identity)


def parse_canonical(data: bytes) -> Body | None:
    """Read the one manifest in ``data`` if that is its canonical form; None for all else.

    What is None here :func:`parse_carefully` reads, or refuses.
    """
    return _parse_canonical(data, _check_identity)


def parse_carefully(data: bytes, path: str) -> Body:
    """Read as :func:`parse` does what is known not to be in canonical form."""
    return _parse_carefully(data, path, "manifest", _check_identity)


def parse_again(data: bytes) -> Body:
    """Read the very bytes once more that :func:`parse_canonical` has read in this process.

    What was proved of them then is not proved again: that takes longer than to read them.
    """
    body: Body = yamlrocks.loads(data, option=STRICT)
    return body


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
    for document in read_documents(data, path, MAX_FILE_BYTES):
        _check_identity(document)
        manifests.append(document.mapping)
    return manifests


def parse_rendered(data: bytes, path: str) -> list[Body]:
    """Read all manifests in ``data`` as :func:`parse_documents` does, and each item of a list.

    A list is a ``List`` or ``<Kind>List`` with ``items``. Items of the latter may lack what they
    share, apiVersion and kind.
    """
    manifests = []
    for document in read_documents(data, path, MAX_FILE_BYTES):
        for item in _items(document):
            _check_identity(item)
            manifests.append(item.mapping)
    return manifests


def _items(document: Document) -> Iterator[Document]:
    """Give the document itself, or what it is a list of."""
    body = document.body
    kind = body.get("kind") if isinstance(body, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in body:
        yield document
        return
    shared = {"apiVersion": body.get("apiVersion"), "kind": kind.removesuffix("List")}
    items = body["items"] or []
    if not isinstance(items, list):
        raise document.error(("items",), f"items is {kind_of(items)}, not a list")
    for index, item in enumerate(items):
        whole = {**shared, **item} if isinstance(item, dict) and shared["kind"] else item
        yield from _items(Document(document.path, document.line(("items", index)) - 1, whole))


def _parse_one(data: bytes, path: str, what: str, check: Callable[[Document], None]) -> Body:
    body = _parse_canonical(data, check)
    return _parse_carefully(data, path, what, check) if body is None else body


def _parse_carefully(data: bytes, path: str, what: str, check: Callable[[Document], None]) -> Body:
    documents = list(read_documents(data, path, MAX_BYTES))
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


def _parse_canonical(data: bytes, check: Callable[[Document], None]) -> Body | None:
    """Read canonical bytes whose body passes ``check``; None means: read carefully."""
    if len(data) > MAX_BYTES or has_aliases(data) or _has_odd_number(data):
        return None
    try:
        body = yamlrocks.loads(data, option=STRICT)
        if not isinstance(body, dict) or canonical(body) != data:
            return None
        orjson.dumps(body)  # which refuses keys that are no strings and integers beyond 64 bits
        check(Document("", 0, body))
    except (yamlrocks.YAMLRocksDecodeError, orjson.JSONEncodeError, ManifestError):
        return None
    return body


def _has_odd_number(data: bytes) -> bool:
    return any(end in data for end in _ODD_ENDS) and _ODD_NUMBER.search(data) is not None


def _check_mapping(document: Document) -> None:
    """Whether the document is a mapping. Raises ``ManifestError``."""
    if not isinstance(document.body, dict):
        raise document.error((), f"not a mapping but {kind_of(document.body)}")


def _check_identity(document: Document) -> None:
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


def _check_strings(document: Document, metadata: Body, key: str) -> None:
    strings = metadata.get(key)
    if strings is None:
        return
    if not isinstance(strings, dict):
        raise document.error(("metadata", key), f"metadata.{key} is {kind_of(strings)}")
    for name, value in strings.items():
        if value is not None and not isinstance(value, str):
            raise document.error(
                ("metadata", key, name),
                f'metadata.{key}["{name}"] is {kind_of(value)}, not a string',
                hint="put quotes around it",
            )
