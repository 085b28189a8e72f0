"""Keeps what runs to an end from running a second time. Pure; by the rows of ``completion.yaml``.

Objects that have finished never reach Git (``clean.py`` leaves them out), so whatever of these
kinds Git holds had not: it comes back held, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from gitops_dr.model import Body, Difference, FieldChange, Presence, Ref
from gitops_dr.rules.conditions import Predicate, compile_when, keys_of, lookup
from gitops_dr.rules.rows import CompletionRow, completion_rows, names_kind


def runs_to_an_end(group_kind: tuple[str, str]) -> bool:
    """Whether objects of this kind finish; of Pods only some do, so the kind as such does not."""
    row = _row(*group_kind)
    return row is not None and not (row.hold and row.hold.when)


def cannot_be_held(group_kind: tuple[str, str]) -> str | None:
    """Say why an object of this kind in Git must not be created; ``None`` if it may be.

    The reason for a gap: it had not finished when it was exported, and nothing of its kind keeps it
    from starting over.
    """
    row = _row(*group_kind)
    if row is None or row.hold is not None:
        return None
    return "it had not finished, and its kind cannot be held back: it would run a second time"


def held(ref: Ref, body: Body) -> Body:
    """Give the body with which to create the object: itself, or a copy that does not start yet.

    What is held already (a Job that was suspended at the source) or is being ended (a cancelled
    pipeline) stays as it is. Only for kinds of which :func:`cannot_be_held` says nothing.
    """
    row = _row(*ref.group_kind)
    if row is None or row.hold is None:
        return body
    when, keys = _when(row.id), keys_of(row.hold.path)
    if lookup(body, keys, None) or (when and not when(body)):
        return body
    copy = deepcopy(body)
    holder: Any = copy
    for key in keys[:-1]:
        if not isinstance(holder.get(key), dict):
            holder[key] = {}
        holder = holder[key]
    holder[keys[-1]] = deepcopy(row.hold.value)
    return copy


def is_held_back(difference: Difference) -> bool:
    """Whether an object differs from Git by nothing but the hold that a rebuild gave it.

    Such a difference is intended: it is shown as held back, not as a failure.
    """
    return (
        difference.presence is Presence.MODIFIED
        and bool(difference.changes)
        and all(is_hold(difference.ref, change) for change in difference.changes)
    )


def is_hold(ref: Ref, change: FieldChange) -> bool:
    """Whether this change, from Git to the cluster, is what :func:`held` does to the object."""
    row = _row(*ref.group_kind)
    if row is None or row.hold is None or change.op == "remove":
        return False
    return any(
        change.path == path and change.new == value
        for path, value in _as_changes(row.hold.path, row.hold.value)
    )


def release(ref: Ref) -> str | None:
    """Name the field that a person changes to let a held object start; ``None`` if none is held."""
    row = _row(*ref.group_kind)
    return row.hold.path if row is not None and row.hold is not None else None


def _as_changes(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The hold as a difference tells it: at its own field, or at the parent that was not there."""
    while path:
        yield path, value
        path, _, last = path.rpartition(".")
        value = {last: value}


@cache
def _row(group: str, kind: str) -> CompletionRow | None:
    return next((row for row in completion_rows() if names_kind(row.kinds, group, kind)), None)


@cache
def _when(row_id: str) -> Predicate | None:
    hold = next(row.hold for row in completion_rows() if row.id == row_id)
    return compile_when(hold.when) if hold else None
