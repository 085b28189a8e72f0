"""Says which changes an API server may not make in place, and what is lost by a replacement. Pure.

The rows of ``immutable.yaml`` name the fields and what goes with an object that is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import yamlrocks

from gitops_dr.manifests.fieldpath import get, parse_fieldpath
from gitops_dr.model import Action, Body, FieldChange, Plan, Ref, Step
from gitops_dr.readiness import is_built_in
from gitops_dr.resources import shipped
from gitops_dr.rules.rows import names_kind

ORPHAN: Final = "Orphan"
_ABSENT: Final = object()

_HARMLESS = frozenset({"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"})
"""Finalizers that only wait for others."""


@dataclass(frozen=True, slots=True)
class Losing:
    """What of a running object says that something would be lost with it."""

    path: str
    because: str
    value: Any = None
    """Only if the field has just this value; None: if it has any."""


@dataclass(frozen=True, slots=True)
class ImmutableRow:
    """Fields of some kinds that are never changed in place; the columns of ``immutable.yaml``."""

    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    because: str
    link: str
    when: tuple[tuple[str, Any], ...] = ()
    loses: str = ""
    loses_if: tuple[Losing, ...] = ()
    propagation: str = ORPHAN
    makes: tuple[str, ...] = ()
    rights: bool = False

    def names(self, path: str) -> bool:
        """Whether a field is one of the row's, or in one, or around one."""
        return any(_within(path, fixed) or _within(fixed, path) for fixed in self.paths)


@dataclass(frozen=True, slots=True)
class Fixed:
    """An object that cannot be made what Git says by a write to it."""

    fields: tuple[str, ...]
    """The fields that the API server does not change; empty where only its words tell."""
    said: str
    """Its own words."""
    stays: str = ""
    """Why the object must not be deleted and made again; empty if nothing is lost by it."""


@cache
def immutable_rows() -> tuple[ImmutableRow, ...]:
    """Read the shipped rows, in file order."""
    raw = yamlrocks.loads(shipped("planning/immutable.yaml").read_bytes())
    return tuple(map(_row, raw))


def _row(raw: Mapping[str, Any]) -> ImmutableRow:
    values = dict(raw)
    values["loses_if"] = tuple(
        Losing(each["path"], each["because"], each.get("is")) for each in raw.get("loses_if", ())
    )
    values["when"] = tuple(raw.get("when", {}).items())
    for name in ("kinds", "paths", "makes"):
        values[name] = tuple(raw.get(name, ()))
    return ImmutableRow(**values)


def may_be_refused(ref: Ref, changes: Iterable[FieldChange], git: Body) -> bool:
    """Whether a row names one of the fields that differ, or nobody but the API server knows.

    ``changes`` are those of the comparison, ``git`` is the object as it is to become.
    """
    changes = [change for change in changes if not change.path.startswith("metadata.")]
    if not is_built_in(ref.group):
        return bool(changes)
    rows = [row for row in _rows_of(ref.group_kind) if _holds(row, git, changes)]
    return any(row.names(change.path) for row in rows for change in changes)


def named_fields(ref: Ref, changes: Iterable[FieldChange], git: Body, said: str) -> tuple[str, ...]:
    """Those of the fields that differ which cannot be changed, by the rows or as ``said`` names."""
    changes = list(changes)
    rows = [row for row in _rows_of(ref.group_kind) if _holds(row, git, changes)]
    paths = [change.path for change in changes]
    found = [path for path in paths if any(row.names(path) for row in rows)]
    return tuple(found or (path for path in paths if _plain(path) in said))


def what_is_lost(ref: Ref, fields: Collection[str], live: Body) -> str:
    """What goes with the running object if it is deleted; empty for nothing that is known.

    ``fields`` are those that cannot be changed; none where that is not known.
    """
    rows = [row for row in _rows_of(ref.group_kind) if _holds(row, live, ())]
    meant = [row for row in rows if any(map(row.names, fields))]
    certain = meant or [row for row in rows if row.when or all(each.loses for each in rows)]
    for row in certain:
        if row.loses:
            return row.loses
    for losing in (losing for row in meant or rows for losing in row.loses_if):
        value = _value(live, losing.path)
        if value is not _ABSENT and (value == losing.value if losing.value else value):
            return losing.because
    held = [f for f in live["metadata"].get("finalizers") or () if f not in _HARMLESS]
    if held:
        return f"What is done before it goes ({', '.join(held)}) is known to nobody here."
    return ""


def propagation(ref: Ref) -> str:
    """What becomes of the objects that it owns: the API's ``propagationPolicy``."""
    return next((row.propagation for row in _rows_of(ref.group_kind)), ORPHAN)


def made_again(ref: Ref) -> tuple[str, ...]:
    """Kinds of objects that the controller of this one makes again."""
    return tuple(kind for row in _rows_of(ref.group_kind) for kind in row.makes)


def gives_rights(ref: Ref) -> bool:
    """Whether the object gives rights, perhaps those of whoever replaces it."""
    return any(row.rights for row in _rows_of(ref.group_kind))


def with_fixed(plan: Plan, fixed: Mapping[Ref, Fixed], *, replacing: bool) -> Plan:
    """The plan, with what cannot be changed in place named, and replaced where that is asked for.

    A step that is not replaced keeps its place: it fails, and says why.
    """
    return replace(
        plan,
        steps=tuple(
            _told(step, fixed[step.ref], replacing=replacing) if step.ref in fixed else step
            for step in plan.steps
        ),
    )


def _told(step: Step, found: Fixed, *, replacing: bool) -> Step:
    what = f"cannot be changed in place: {', '.join(found.fields) or found.said}"
    if found.stays:
        return replace(step, reason=f"{what}; it is not replaced: {found.stays}")
    if replacing:
        return replace(step, action=Action.REPLACE, reason=what)
    return replace(step, reason=f"{what}; --replace deletes it and makes it again")


def _rows_of(group_kind: tuple[str, str]) -> Sequence[ImmutableRow]:
    return [row for row in immutable_rows() if names_kind(row.kinds, *group_kind)]


def _holds(row: ImmutableRow, body: Body, changes: Iterable[FieldChange]) -> bool:
    """Whether an object has what a row asks for, in ``body`` or in what differs from it."""
    either = {change.path: (change.old, change.new) for change in changes}
    return all(
        _value(body, path) == value or value in either.get(path, ()) for path, value in row.when
    )


def _value(body: Body, path: str) -> Any:
    return get(body, parse_fieldpath(path), _ABSENT)


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def _plain(path: str) -> str:
    """A path as the API server names it in its answers, as far as that is sure."""
    return path.partition("[")[0]
