"""Turns a row's ``when`` into one fast predicate over a body. Pure.

A predicate sees the object as the API server sent it: conditions about managedFields and status
are answered before these fields are taken out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.model import Body

Predicate = Callable[[Body], bool]
_ABSENT = object()


def keys_of(path: str) -> tuple[str, ...]:
    """List the keys of a path that passes through no list; raises ``GitOpsDRError`` for others."""
    steps = parse_fieldpath(path)
    keys = tuple(step for step in steps if isinstance(step, str))
    if len(keys) != len(steps):
        raise GitOpsDRError(f"{path}: this place takes a path of keys only")
    return keys


def lookup(body: Any, keys: Sequence[str], default: Any = _ABSENT) -> Any:
    """Find the value under ``keys``, or ``default``: a private marker that equals nothing."""
    for key in keys:
        if not isinstance(body, dict):
            return default
        body = body.get(key, default)
    return body


def owned_paths(body: Body) -> Iterable[Mapping[str, Any]]:
    """Give the field sets of everyone who wrote the object itself, and not a subresource of it."""
    for entry in body.get("metadata", {}).get("managedFields", ()):
        if not entry.get("subresource"):
            yield entry.get("fieldsV1") or {}


def owns(fields: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a field set (``fieldsV1``) reaches the path made of plain keys."""
    return lookup(fields, [f"f:{key}" for key in keys]) is not _ABSENT


def is_unowned(body: Body, keys: Sequence[str]) -> bool:
    """Whether the field managers are known and the field is none of theirs.

    An object without managedFields (a server may have been told to forget them) says nothing about
    who set what, so nothing of it is unowned.
    """
    known = False
    for fields in owned_paths(body):
        if owns(fields, keys):
            return False
        known = True
    return known


def item_key(item: Mapping[str, Any], keys: Sequence[str]) -> str:
    """How managedFields names a list item by its list-map keys.

    Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    return "k:" + json.dumps({key: item.get(key) for key in sorted(keys)}, separators=(",", ":"))


def _by_path(spec: Mapping[str, Any]) -> Predicate:
    keys = keys_of(spec["path"])
    if "exists" in spec:
        wanted = bool(spec["exists"])
        return lambda body: (lookup(body, keys) is not _ABSENT) is wanted
    if "equals" in spec:
        value = spec["equals"]
        return lambda body: bool(lookup(body, keys) == value)
    if "differs" in spec:
        other = spec["differs"]
        return lambda body: bool(lookup(body, keys) != other)
    if "any_of" in spec:
        values = frozenset(spec["any_of"])

        def among(body: Body) -> bool:
            found = lookup(body, keys)
            return isinstance(found, str) and found in values

        return among
    if "matches" in spec:
        pattern = re.compile(spec["matches"])

        def matches(body: Body) -> bool:
            found = lookup(body, keys)
            candidates = found if isinstance(found, (dict, list)) else [found]
            return any(isinstance(text, str) and pattern.search(text) for text in candidates)

        return matches
    if "only" in spec:
        return _only(keys, re.compile(spec["only"]), spec.get("key", ""))
    raise GitOpsDRError(
        f"condition on {spec['path']}: needs exists, equals, differs, any_of, matches or only"
    )


def _only(keys: Sequence[str], pattern: re.Pattern[str], key: str) -> Predicate:
    def nothing_else(body: Body) -> bool:
        items = lookup(body, keys)
        if items is _ABSENT:
            return True
        texts = (item.get(key) if isinstance(item, dict) else item for item in items or ())
        return all(isinstance(text, str) and pattern.search(text) for text in texts)

    return nothing_else


def _status_condition(types: Sequence[str], statuses: Sequence[str]) -> Predicate:
    wanted, values = frozenset(types), frozenset(statuses)

    def holds(body: Body) -> bool:
        status = body.get("status")
        conditions = status.get("conditions") if isinstance(status, dict) else None
        return any(
            isinstance(condition, dict)
            and condition.get("status") in values
            and condition.get("type") in wanted
            for condition in conditions or ()
        )

    return holds


def _managers(names: Sequence[str]) -> Predicate:
    trusted = frozenset(names)

    def only_they_wrote(body: Body) -> bool:
        entries = body.get("metadata", {}).get("managedFields", ())
        return all(entry.get("manager") in trusted for entry in entries)

    return only_they_wrote


def _controlled_by(kind: str) -> Predicate:
    def is_controlled(body: Body) -> bool:
        owners = body.get("metadata", {}).get("ownerReferences") or ()
        return any(owner.get("controller") and owner.get("kind") == kind for owner in owners)

    return is_controlled


def _unowned(path: str) -> Predicate:
    keys = keys_of(path)
    return lambda body: is_unowned(body, keys)


def _one(spec: Mapping[str, Any]) -> Predicate:
    if "path" in spec:
        return _by_path(spec)
    if "true_condition" in spec:
        return _status_condition(spec["true_condition"], ["True"])
    if "condition" in spec:
        return _status_condition([spec["condition"]], spec["status"])
    if "managers" in spec:
        return _managers(spec["managers"])
    if "controlled_by" in spec:
        return _controlled_by(spec["controlled_by"])
    if "unowned" in spec:
        return _unowned(spec["unowned"])
    raise GitOpsDRError(f"condition {dict(spec)}: not one that exists")


def compile_when(specs: Sequence[Mapping[str, Any]]) -> Predicate | None:
    """One predicate that holds when all conditions do; ``None`` for no conditions."""
    predicates = [_one(spec) for spec in specs]
    if not predicates:
        return None
    if len(predicates) == 1:
        return predicates[0]
    return lambda body: all(predicate(body) for predicate in predicates)
