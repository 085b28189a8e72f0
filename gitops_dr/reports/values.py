"""What of the values of fields may be shown. Pure.

Every report of a comparison goes through :func:`mask` before anything of it is written, so that no
format has to know what a secret is. What is masked keeps one thing: equal values have equal marks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from gitops_dr.manifests.fieldpath import FieldPath, parse_fieldpath
from gitops_dr.model import SECRET, Difference, FieldChange, MaskedValue, Ref
from gitops_dr.results.drift import Drifted
from gitops_dr.secrets.guard import COPIES, objection

WHOLE = 64 << 10
"""Bytes of a value, written as JSON, up to which a program is given it whole."""

_HELD_IN = ("data", "stringData")
_IN_URL = re.compile(
    r"""(?<=://)(?:[^\s/"'<>@:]*:[^\s/"'<>]+|[^\s/"'<>@:]{20,})(?=@)""",
)
"""User and password in a URL, or a token in the user's place."""


class Mark(str):
    """Stands for a value that must not be seen."""

    __slots__ = ()


class _Marks:
    """Numbers the values of one report, so that a mark says nothing but what equals what."""

    def __init__(self) -> None:
        self._seen: dict[MaskedValue, Mark] = {}

    def of(self, value: Any) -> Mark:
        if isinstance(value, MaskedValue):
            key = value
        else:
            key = MaskedValue(value if isinstance(value, str) else f"\0{compact(value)}")
        return self._seen.setdefault(key, Mark(f"*** ({_letters(len(self._seen))})"))


def mask(result: Drifted) -> Drifted:
    """Give the same result with a :class:`Mark` wherever a value must not be seen.

    That is what a Secret holds, copies of it in annotations, whatever the guard of commits objects
    to (private keys, age identities, Secrets inside of other objects), and passwords in URLs.
    """
    marks = _Marks()
    differences = _all_masked(result.differences, marks)
    if result.against is None:
        return replace(result, differences=differences)
    merges = tuple(
        replace(merge, changes=_masked(merge.ref, merge.changes, marks))
        for merge in result.against.merges
    )
    return replace(result, differences=differences, against=replace(result.against, merges=merges))


def mask_differences(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Give the same differences, masked as :func:`mask` does it."""
    return _all_masked(found, _Marks())


def is_masked(value: Any) -> bool:
    """Whether a mark stands in for the value or for a part of it."""
    if isinstance(value, dict):
        return any(map(is_masked, value.values()))
    if isinstance(value, list):
        return any(map(is_masked, value))
    return isinstance(value, Mark)


def within(value: Any, limit: int = WHOLE) -> tuple[Any, bool]:
    """Give the value, or its size in words where it is larger than ``limit`` bytes of JSON.

    The second item says whether it was too large.
    """
    size = len(compact(value).encode("utf-8", "surrogatepass"))
    return (f"({size} bytes, not shown)", True) if size > limit else (value, False)


def compact(value: Any) -> str:
    """Write a value as one line of JSON, keys sorted. The text may hold half a surrogate pair."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits.
        return json.dumps(
            value, default=str, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )


def _all_masked(found: Iterable[Difference], marks: _Marks) -> tuple[Difference, ...]:
    return tuple(
        replace(each, changes=_masked(each.ref, each.changes, marks)) if each.changes else each
        for each in found
    )


def _masked(ref: Ref, changes: Iterable[FieldChange], marks: _Marks) -> tuple[FieldChange, ...]:
    secret = ref.group_kind == SECRET
    return tuple(_mask_change(change, marks, secret=secret) for change in changes)


def _mask_change(change: FieldChange, marks: _Marks, *, secret: bool) -> FieldChange:
    path = _path(change.path) if secret else ()
    return replace(
        change,
        old=_safe(change.old, path, marks, secret=secret),
        new=_safe(change.new, path, marks, secret=secret),
    )


def _path(text: str) -> FieldPath:
    try:
        return parse_fieldpath(text) if text else ()
    except ValueError:
        # Nobody can say what it is a path to, so it may be one to a value.
        return _HELD_IN


def _safe(value: Any, path: FieldPath, marks: _Marks, *, secret: bool) -> Any:
    shown = _walk(value, path, marks, secret=secret)
    # A key whose lines are the items of a list is harmless only item by item.
    if isinstance(shown, dict | list) and _objectionable(compact(_without_marks(shown))):
        return marks.of(value)
    return shown


def _without_marks(value: Any) -> Any:
    """The guard takes a Secret with a mark for one with a value, and one with nothing for none."""
    if isinstance(value, dict):
        return {key: _without_marks(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    return None if isinstance(value, Mark) else value


def _walk(value: Any, path: FieldPath, marks: _Marks, *, secret: bool) -> Any:
    if value is None:
        return None
    if isinstance(value, MaskedValue) or (secret and _holds_secret(path, value)):
        return marks.of(value)
    if isinstance(value, dict):
        if value.get("kind") in ("Secret", "SecretList"):
            path, secret = (), True
        return {key: _walk(v, (*path, key), marks, secret=secret) for key, v in value.items()}
    if isinstance(value, list):
        # The items of a SecretList need not say what they are.
        inside = () if path == ("items",) else (*path, 0)
        return [_walk(item, inside, marks, secret=secret) for item in value]
    if isinstance(value, str):
        return marks.of(value) if _objectionable(value) else _without_credentials(value, marks)
    return value


def _without_credentials(text: str, marks: _Marks) -> str:
    """The text with a mark in the place of what opens a URL in it."""
    if "://" not in text:
        return text
    shown = _IN_URL.sub(lambda found: marks.of(found[0]), text)
    return text if shown == text else Mark(shown)


def _holds_secret(path: FieldPath, value: Any) -> bool:
    """Whether this field of a Secret is one of its values, or a copy of them."""
    if path[:1] in {(field,) for field in _HELD_IN}:
        return len(path) > 1 or not isinstance(value, dict)
    return path[:2] == ("metadata", "annotations") and len(path) > 2 and path[2] in COPIES


def _objectionable(text: str) -> bool:
    return objection("", text.encode("utf-8", "surrogatepass")) is not None


def _letters(number: int) -> str:
    """``a`` to ``z``, then ``aa``."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters
