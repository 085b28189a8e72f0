"""Reads from an object by what it is reached from outside, by the rows of ``endpoints.yaml``. Pure.

Most of it is in the status, which is in no manifest: it is read in passing from what the API server
answers, before the rules take the status away. Whatever is not of the form of an address, a host or
a reference is none, never an error: a status is written by whoever may.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import yamlrocks

from gitops_dr.desired.pod_specs import GroupKind
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.fieldpath import EVERY, FieldPath, get, parse_fieldpath
from gitops_dr.manifests.parse import parse_document
from gitops_dr.model import Body, Ref, parse_kind
from gitops_dr.resources import shipped
from gitops_dr.rules.conditions import keys_of, lookup

URL_LENGTH: Final = 1000

_ADDRESS: Final = re.compile(r"[A-Za-z0-9:._%-]{1,253}")
_HOST: Final = re.compile(r"[A-Za-z0-9*._-]{1,253}")
_WORD: Final = re.compile(r"[!-~]{1,500}")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_URL: Final = re.compile(rf"https?://[!-~]{{1,{URL_LENGTH}}}")
_NAME: Final = re.compile(r"[^/]+")
_INSIDE: Final = re.compile(r"(?:.*\.)?(?:svc|svc\.cluster\.local|localhost)\.?", re.IGNORECASE)
"""Names that mean something within a cluster, or a machine, only."""
_PRIVATE_API: Final = re.compile(
    r"(?:.*\.)?localhost|127\..*|::1|kubernetes(?:\.default(?:\.svc.*)?)?", re.IGNORECASE
)


class Gives(StrEnum):
    """What a field says; the head of ``endpoints.yaml`` explains each."""

    ADDRESS = "address"
    HOST = "host"
    ASKED = "asked"
    ROUTED = "routed"
    NODE_PORT = "nodePort"
    VIA = "via"
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class Exposed:
    """By what one object is reached from outside. Each list is sorted, and none is there twice."""

    addresses: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    """Addresses that people asked for, given or not."""
    routed: tuple[str, ...] = ()
    """Addresses that people bring to the nodes by themselves."""
    node_ports: tuple[str, ...] = ()
    via: tuple[Ref, ...] = ()
    """The objects whose addresses are its own."""
    trusts: tuple[str, ...] = ()
    """What outside trusts its tokens."""
    awaited: frozenset[Gives] = field(default=frozenset(), compare=False)
    """What a controller is to fill in and has not yet; no file says it."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to record of it."""
        return self == _NOTHING


_NOTHING: Final = Exposed()


@dataclass(frozen=True, slots=True)
class _Row:
    paths: tuple[FieldPath, ...]
    gives: Gives
    form: str
    when: tuple[tuple[tuple[str, ...], frozenset[str]], ...]
    awaited: bool
    to: str
    todo: str

    def applies(self, body: Body) -> bool:
        for keys, allowed in self.when:
            value = lookup(body, keys, "")
            if not isinstance(value, str) or value not in allowed:
                return False
        return True


_FIELDS: Final = {
    Gives.ADDRESS: "addresses",
    Gives.HOST: "hosts",
    Gives.ASKED: "asked",
    Gives.ROUTED: "routed",
    Gives.NODE_PORT: "node_ports",
    Gives.VIA: "via",
    Gives.TRUST: "trusts",
}


@dataclass(slots=True)
class _Node:
    """A field: the rows that it decides, the fields below it, and the node of its items."""

    rows: list[_Row] = field(default_factory=list)
    fields: dict[str, _Node] = field(default_factory=dict)
    items: _Node | None = None


class Exposing:
    """How objects of one kind say by what they are reached.

    An object is walked once, and only where it has fields: an export does it for every Service.
    """

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = tuple(rows)
        self._awaited = tuple(row for row in self._rows if row.awaited)
        self._tree = _Node()
        for row in self._rows:
            for path in row.paths:
                _plant(self._tree, path, row)

    def read(self, ref: Ref, body: Body) -> Exposed | None:
        """What the object, as the API server has it, is reached by; None for nothing at all."""
        hits: list[tuple[_Row, Any]] = []
        _walk(self._tree, body, hits)
        if not (hits or self._awaited):
            return None
        found: dict[str, set[Any]] = {}
        filled: set[int] = set()
        for row, raw in hits:
            if not row.applies(body):
                continue
            for value in _read(row, raw, ref):
                found.setdefault(_FIELDS[row.gives], set()).add(value)
                filled.add(id(row))
        awaited = frozenset(
            row.gives for row in self._awaited if id(row) not in filled and row.applies(body)
        )
        if not (found or awaited) or not _NAME.fullmatch(ref.name):
            return None
        lists: dict[str, Any] = {name: tuple(sorted(values)) for name, values in found.items()}
        return Exposed(**lists, awaited=awaited)

    @property
    def todo(self) -> str:
        """What is to be done about whoever trusts tokens of such objects."""
        return "; ".join(dict.fromkeys(row.todo for row in self._rows if row.todo))


def exposing(group_kind: GroupKind) -> Exposing | None:
    """How objects of a kind say by what they are reached; None if they do not."""
    return _by_kind().get(group_kind)


@dataclass(frozen=True, slots=True)
class ApiRow:
    """Where a cluster says by what its API server is reached."""

    order: int
    path: FieldPath
    form: str

    def read(self, body: Body) -> str:
        """The API server's URL; empty if the object does not say it, or says what is private."""
        text = get(body, self.path)
        if self.form == "kubeconfig":
            text = _of_kubeconfig(text)
        url = clean_url(text).rstrip("/")
        return "" if not url or _PRIVATE_API.fullmatch(urlsplit(url).hostname or "") else url


@cache
def api_rows(group_kind: GroupKind) -> Mapping[tuple[str, str], ApiRow]:
    """By namespace and name, the objects of a kind that say where the API server is reached."""
    rows = {}
    for order, raw in enumerate(_document()["api"]):
        if parse_kind(raw["kind"]) == group_kind:
            row = ApiRow(order, parse_fieldpath(raw["path"]), raw["form"])
            rows[raw.get("namespace", ""), raw["name"]] = row
    return rows


def clean_url(value: Any) -> str:
    """An http(s) URL that has a host and no credentials; empty for anything else."""
    if not isinstance(value, str) or not _URL.fullmatch(value):
        return ""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host or port == 0 or parts.username is not None or parts.query or parts.fragment:
        return ""
    return value


def _plant(node: _Node, path: FieldPath, row: _Row) -> None:
    for step in path:
        if step is EVERY:
            node.items = node.items or _Node()
            node = node.items
        else:
            node = node.fields.setdefault(str(step), _Node())
    node.rows.append(row)


def _walk(node: _Node, value: Any, hits: list[tuple[_Row, Any]]) -> None:
    if node.rows:
        hits.extend((row, value) for row in node.rows)
    if isinstance(value, dict):
        for key, child in node.fields.items():
            inner = value.get(key)
            if inner is not None:
                _walk(child, inner, hits)
    elif node.items is not None and isinstance(value, list):
        for item in value:
            _walk(node.items, item, hits)


def _read(row: _Row, raw: Any, ref: Ref) -> Iterator[Any]:
    if row.gives is Gives.VIA:
        yield from _via(row, raw, ref)
        return
    if row.gives is Gives.NODE_PORT:
        if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw < 65536:
            yield str(raw)
        return
    if not isinstance(raw, str):
        return
    texts = raw.split(",") if row.form == "list" else [raw]
    for text in texts:
        word = (urlsplit(clean_url(text)).hostname or "") if row.form == "url" else text.strip()
        if is_sound(row.gives, word):
            yield word


def is_sound(gives: Gives, text: str) -> bool:
    """Whether a text is of the form of what it is said to be."""
    match gives:
        case Gives.HOST:
            return bool(_HOST.fullmatch(text)) and not _INSIDE.fullmatch(text)
        case Gives.TRUST:
            return bool(_WORD.fullmatch(text))
        case Gives.NODE_PORT:
            return bool(_PORT.fullmatch(text))
        case _:
            return bool(_ADDRESS.fullmatch(text))


def _via(row: _Row, raw: Any, ref: Ref) -> Iterator[Ref]:
    if not isinstance(raw, dict):
        return
    group, kind = parse_kind(row.to)
    found = [
        raw.get("group", group),
        raw.get("kind", kind),
        raw.get("namespace", ref.namespace),
        raw.get("name"),
    ]
    names = [part for part in found if isinstance(part, str) and "/" not in part]
    if len(names) == len(found) and names[1] and names[-1]:
        yield Ref(*names)


def _of_kubeconfig(text: Any) -> Any:
    """The server of a kubeconfig's first cluster."""
    if not isinstance(text, str):
        return None
    try:
        document = parse_document(text.encode(), "kubeconfig")
    except (ManifestError, UnicodeEncodeError):
        return None
    return get(document, ("clusters", 0, "cluster", "server"))


@cache
def api_kinds() -> frozenset[GroupKind]:
    """Of which kinds the objects are that say where the API server is reached."""
    return frozenset(parse_kind(raw["kind"]) for raw in _document()["api"])


@cache
def _by_kind() -> Mapping[GroupKind, Exposing]:
    rows: dict[GroupKind, list[_Row]] = {}
    for raw in _document()["rows"]:
        paths = raw["path"] if isinstance(raw["path"], list) else [raw["path"]]
        row = _Row(
            paths=tuple(map(parse_fieldpath, paths)),
            gives=Gives(raw["gives"]),
            form=raw.get("form", "text"),
            when=tuple(
                (keys_of(path), frozenset(allowed)) for path, allowed in raw.get("when", {}).items()
            ),
            awaited=raw.get("awaited", False),
            to=raw.get("to", ""),
            todo=raw.get("todo", ""),
        )
        for kind in raw["in"]:
            rows.setdefault(parse_kind(kind), []).append(row)
    return {kind: Exposing(found) for kind, found in rows.items()}


@cache
def _document() -> Any:
    return yamlrocks.loads(shipped("desired/endpoints.yaml").read_bytes())
