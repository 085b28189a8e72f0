"""Finds credentials that stand in an object in plain text, where a Secret belongs. Pure.

What a credential looks like is said by the rows of ``exposed.yaml``. Only where one stands is told,
never what it is. The values of Secrets are not looked at: that is where credentials belong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import orjson
import yamlrocks

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath
from gitops_dr.model import SECRET, Body, Ref
from gitops_dr.resources import shipped
from gitops_dr.secrets.guard import COPIES
from gitops_dr.secrets.policy import VALUES

_SHORTEST, _SHORTEST_FORM = 4, 12
LARGEST = 1 << 20
"""Characters of one string that are looked at; more than an object in etcd can have."""

_IN_CAMELS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[^a-z0-9]+")
_NAME = r"(?P<name>[A-Za-z][\w.-]{1,60})"
_VALUE = r"""(?P<quote>["'])?(?P<value>(?(quote)[^"'\n]{1,512}|[^\s"',;{}\[\]&]{1,512}))"""
_LINE = re.compile(
    rf"""(?:^-{{0,2}}|(?<=[\s;,{{&?"'])-{{0,2}}){_NAME}["']?[ \t]*(?:=>|[:=])[ \t]*{_VALUE}""",
    re.MULTILINE,
)
"""``name: value``, ``name=value``, ``"name": "value"``, ``--name=value`` wherever it stands."""
_HINT = re.compile("(?i:pass|pwd|secret|token|key|pw|auth)")
"""What every name of a row has in it."""
_IS_OPTION = re.compile(r"--?[A-Za-z][\w.-]*\Z")
_OPTION = re.compile(rf"--{_NAME}[ \t]+(?!-){_VALUE}")


@dataclass(frozen=True, slots=True, order=True)
class Exposed:
    """A credential in plain text: where it stands, never what it is."""

    ref: Ref
    field: str
    """As reports write it, such as ``data["app.ini"]``."""
    name: str
    """What the value is called there, where a name gave it away; empty otherwise."""
    row: str
    because: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of credential looks like. ``exposed.yaml`` says what each column means."""

    id: str
    because: str
    link: str
    anywhere: str = ""
    named: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class _Table:
    forms: tuple[tuple[Row, re.Pattern[str]], ...]
    names: tuple[tuple[Row, re.Pattern[str], re.Pattern[str]], ...]
    later: re.Pattern[str]
    elsewhere: re.Pattern[str]
    look_away: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Form:
    row: Row
    start: int
    end: int


def exposed_in(ref: Ref, body: Body) -> tuple[Exposed, ...]:
    """List the credentials of an object, as they come.

    Annotations in which a tool keeps the object as it applied it are looked into as well; what is
    in the object too is not told twice.
    """
    table = _table()
    if (f"{ref.kind}.{ref.group}" if ref.group else ref.kind) in table.look_away:
        return ()
    if ref.group_kind == SECRET:
        body = {key: value for key, value in body.items() if key not in VALUES}
    found = {(one.field, one.name): one for one in _found(ref, body, table)}
    for annotation, copy in _copies(body):
        for one in _found(ref, copy, table):
            if (one.field, one.name) not in found:
                place = format_fieldpath(("metadata", "annotations", annotation))
                found.setdefault((place, one.name), replace(one, field=place))
    return tuple(found.values())


def _found(ref: Ref, body: Body, table: _Table) -> Iterator[Exposed]:
    for path, name, text in _strings(body):
        for called, row in _credentials(name, text[:LARGEST], table):
            yield Exposed(ref, format_fieldpath(path), called, row.id, row.because)


def _credentials(name: str, text: str, table: _Table) -> Iterator[tuple[str, Row]]:
    """The credentials in a string that has this name: what each is called there, and by which row.

    The first is called nothing if the form of the string, or its own name, says what it is.
    """
    if len(text) < _SHORTEST:
        return
    form = _by_form(text, table)
    if form:
        yield "", form.row
    elif row := _by_name(name, text, table):
        yield "", row
        return
    for line in _lines(text):
        if form and form.start < line.end("value") and line.start() < form.end:
            continue
        if row := _by_name(line["name"], line["value"], table):
            yield line["name"], row


def _by_form(text: str, table: _Table) -> _Form | None:
    for row, pattern in table.forms if len(text) >= _SHORTEST_FORM else ():
        for found in pattern.finditer(text):
            value = found.groupdict().get("value") or found[0]
            if not table.later.fullmatch(value):
                return _Form(row, found.start(), found.end())
    return None


def _by_name(name: str, text: str, table: _Table) -> Row | None:
    value = text.strip()
    for row, like in _rows_named(name) if name else ():
        if like.fullmatch(value) and not (
            table.later.fullmatch(value) or table.elsewhere.fullmatch(value)
        ):
            return row
    return None


@lru_cache(maxsize=1 << 14)
def _rows_named(name: str) -> tuple[tuple[Row, re.Pattern[str]], ...]:
    words = _NO_WORD.sub("_", _IN_CAMELS.sub("_", name).lower()).strip("_")
    return tuple((row, like) for row, named, like in _table().names if named.search(words))


def _lines(text: str) -> Iterator[re.Match[str]]:
    if not _HINT.search(text):
        return
    if "=" in text or ":" in text:
        yield from _LINE.finditer(text)
    if "--" in text:
        yield from _OPTION.finditer(text)


def _strings(body: Body) -> Iterator[tuple[FieldPath, str, str]]:
    """Every string of an object: its path, what it is called, itself."""
    waiting: list[tuple[FieldPath, str, Any]] = [((), "", body)]
    while waiting:
        path, name, value = waiting.pop()
        if isinstance(value, str):
            yield path, name, value
        elif isinstance(value, dict):
            called = value.get("name")
            for key, child in reversed(value.items()):
                # A variable of a container is called as its name says.
                known = called if key == "value" and isinstance(called, str) else str(key)
                waiting.append(((*path, str(key)), known, child))
        elif isinstance(value, list):
            for index, child in reversed(list(enumerate(value))):
                before = value[index - 1] if index else None
                option = before if isinstance(before, str) and _IS_OPTION.match(before) else ""
                waiting.append(((*path, _step(index, child)), option, child))


def _step(index: int, item: Any) -> int | tuple[str, str]:
    name = item.get("name") if isinstance(item, dict) else None
    return ("name", name) if isinstance(name, str) and name else index


def _copies(body: Body) -> Iterator[tuple[str, Body]]:
    """The annotations that hold a copy of the object, and the copies that can be read."""
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(annotations, dict):
        return
    for name in sorted(COPIES & annotations.keys()):
        try:
            copy = orjson.loads(annotations[name])
        except (ValueError, TypeError):
            continue
        if isinstance(copy, dict):
            yield name, copy


@cache
def rows() -> tuple[Row, ...]:
    """Read the shipped rows, in file order."""
    raw = yamlrocks.loads(shipped("secrets/exposed.yaml").read_bytes())
    return tuple(map(read_row, raw["rows"]))


def read_row(raw: Mapping[str, Any]) -> Row:
    """Make a row of decoded YAML. Raises ``GitOpsDRError`` naming the row if it does not fit."""
    name = raw.get("id", "?")
    try:
        row = Row(**raw)
        for pattern in (row.anywhere, row.named, row.value):
            re.compile(pattern)
    except (TypeError, re.error) as error:
        raise GitOpsDRError(f"credential {name}: {error}") from error
    if bool(row.anywhere) == bool(row.named) or bool(row.named) != bool(row.value):
        raise GitOpsDRError(f"credential {name}: needs anywhere, or named and value")
    return row


@cache
def _table() -> _Table:
    raw = yamlrocks.loads(shipped("secrets/exposed.yaml").read_bytes())
    every = rows()
    return _Table(
        forms=tuple((row, re.compile(row.anywhere)) for row in every if row.anywhere),
        names=tuple(
            (row, re.compile(row.named), re.compile(row.value)) for row in every if row.named
        ),
        later=_any_of(raw["later"]),
        elsewhere=_any_of(raw["elsewhere"]),
        look_away=frozenset(kind for one in raw["look_away"] for kind in one["kinds"]),
    )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one})" for one in patterns), re.DOTALL)
