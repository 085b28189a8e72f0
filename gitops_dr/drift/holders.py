"""Says who applied an object, and whose fields a rebuilt one is to have: sets of fields. Pure.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from gitops_dr.desired.managers import APPLY, UPDATE, Fields, Holder, Share
from gitops_dr.drift.appliers import applies_git
from gitops_dr.drift.attribute import trusted_managers
from gitops_dr.model import Body, FieldManager

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_SELF: Final = "."


def holder_of(managed_fields: Any, clean: Body, *, last_applied: bool, ours: str) -> Holder | None:
    """Tell who applied an object; None if nobody is known to.

    ``managed_fields`` is ``metadata.managedFields`` as the API server sent it, ``clean`` the object
    without what rules take out: fields of others count only if they are in it. ``last_applied``:
    it has the annotation of ``kubectl apply``. What ``ours`` wrote tells nothing.
    """
    entries = [each for each in _entries(managed_fields) if each["manager"] != ours]
    if not any(_may_hold(each["manager"], each["operation"]) for each in entries):
        # As of nearly every object of a cluster that nobody applies to.
        return None
    # Kubernetes' own controllers apply what they make, and nothing that was in Git.
    others = [each for each in entries if each["manager"] not in trusted_managers()]
    applied = [each for each in others if each["operation"] == APPLY]
    if applied:
        chosen = _first(applied)
        shares = tuple(_shares(chosen, entries, clean))
        return (
            _holder(chosen["manager"], APPLY)
            if not shares
            else Holder(chosen["manager"], APPLY, shares=shares)
        )
    updated = [each for each in others if each["operation"] == UPDATE and _is_known(each)]
    if not updated:
        return None
    return _holder(_first(updated)["manager"], UPDATE, last_applied=last_applied)


def handed_over(managed_fields: Any, holder: Holder, *, ours: str) -> list[Body] | None:
    """The ``managedFields`` of an object of ours once its holders of old have it again.

    None if there is nothing of ours, or of its holder's, to give.
    """
    entries = [each for each in managed_fields or () if isinstance(each, dict)]
    givers = (ours, holder.manager)
    given = [
        each
        for each in entries
        if each.get("manager") in givers
        and not each.get("subresource")
        and (each["manager"] == ours or holder.shares)
        and isinstance(each.get("fieldsV1"), dict)
    ]
    if not given:
        return None
    fields: Fields = {}
    for each in given:
        fields = plus(fields, each["fieldsV1"])
    others = []
    for share in holder.shares:
        theirs = common(fields, share.fields)
        if theirs:
            fields = minus(fields, theirs)
            others.append((share.manager, share.operation, theirs))
    pattern = {
        key: given[0][key] for key in ("apiVersion", "fieldsType", "time") if key in given[0]
    }
    made = [
        {**pattern, "manager": manager, "operation": operation, "fieldsV1": theirs}
        for manager, operation, theirs in [(holder.manager, holder.operation, fields), *others]
        if theirs
    ]
    kept = [each for each in entries if all(each is not one for one in given)]
    # Of one name and kind there is one entry.
    names = {(each["manager"], each["operation"]) for each in made}
    merged: list[Body] = []
    for each in kept:
        name = (each.get("manager"), each.get("operation"))
        if name in names and not each.get("subresource"):
            one = next(m for m in made if (m["manager"], m["operation"]) == name)
            if one.get("apiVersion") == each.get("apiVersion"):
                one["fieldsV1"] = plus(one["fieldsV1"], each.get("fieldsV1") or {})
                continue
        merged.append(each)
    return [*made, *merged]


def minus(fields: Fields, others: Fields) -> dict[str, Any]:
    """What of a set of fields is not in another one."""
    left: dict[str, Any] = {}
    for key, below in fields.items():
        if key not in others or bool(below) != bool(others[key]):
            left[key] = below
        elif rest := minus(below, others[key]):
            left[key] = rest
    return left


def common(fields: Fields, others: Fields) -> dict[str, Any]:
    """What is in both sets."""
    both: dict[str, Any] = {}
    for key in fields.keys() & others.keys():
        below, theirs = fields[key], others[key]
        rest = common(below, theirs)
        if rest or not (below or theirs):
            both[key] = rest
    return both


def plus(fields: Fields, others: Fields) -> dict[str, Any]:
    """What is in one of the sets."""
    either = dict(fields)
    for key, below in others.items():
        either[key] = plus(either[key], below) if key in either else below
    return either


def _entries(managed_fields: Any) -> Iterable[Body]:
    if not isinstance(managed_fields, list):
        return
    for each in managed_fields:
        if (
            isinstance(each, dict)
            and not each.get("subresource")
            and isinstance(each.get("manager"), str)
            and each.get("operation") in (APPLY, UPDATE)
        ):
            yield each


def _is_known(entry: Mapping[str, Any]) -> bool:
    return _applies(entry["manager"], entry["operation"])


@lru_cache(1024)
def _holder(manager: str, operation: str, *, last_applied: bool = False) -> Holder:
    # One for all objects: there are very many of them, and few who apply.
    return Holder(manager, operation, last_applied=last_applied)


@lru_cache(1024)
def _may_hold(manager: str, operation: str) -> bool:
    return manager not in trusted_managers() and (
        operation == APPLY or _applies(manager, operation)
    )


@lru_cache(1024)
def _applies(manager: str, operation: str) -> bool:
    # The same few names stand in every object.
    return applies_git(FieldManager(manager, operation))


def _first(entries: list[Body]) -> Body:
    # To measure what each holds takes its time, and nearly always there is but one.
    return min(entries, key=_order) if entries[1:] else entries[0]


def _order(entry: Body) -> tuple[bool, int, str]:
    """Known appliers first, then who holds most."""
    return not _is_known(entry), -len(orjson.dumps(entry.get("fieldsV1"))), entry["manager"]


def _shares(chosen: Body, entries: Iterable[Body], clean: Body) -> Iterable[Share]:
    """What others than the chosen one hold of what is in Git."""
    held = chosen.get("fieldsV1") or {}
    others = [e for e in entries if e is not chosen and isinstance(e.get("fieldsV1"), dict)]
    for each in sorted(others, key=lambda one: (one["manager"], one["operation"])):
        fields = _there(minus(each["fieldsV1"], held), clean)
        if fields:
            yield Share(each["manager"], each["operation"], fields)


def _there(fields: Fields, value: Any) -> dict[str, Any]:
    """What of a set is about something that a value has; that there is a map at all is nothing."""
    found: dict[str, Any] = {}
    for key, below in fields.items():
        child = _child(value, key)
        if child is None:
            continue
        is_item = _SELF in below and not key.startswith("f:")
        rest: dict[str, Any] = {_SELF: {}} if is_item else {}
        rest |= _there(below, child)
        if rest or not below:
            found[key] = rest
    return found


def _child(value: Any, key: str) -> Any:
    """What a step of a set leads to; None for nothing."""
    kind, name = key[:2], key[2:]
    if key == _SELF:
        return None
    if kind == "f:":
        return value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    try:
        wanted = orjson.loads(name)
    except orjson.JSONDecodeError:
        return None
    if kind == "k:" and isinstance(wanted, dict):
        items = (item for item in value if isinstance(item, dict))
        return next((i for i in items if all(i.get(k, v) == v for k, v in wanted.items())), None)
    if kind == "v:":
        return next((item for item in value if item == wanted), None)
    return value[wanted] if isinstance(wanted, int) and wanted < len(value) else None
