"""Compares two States by fingerprint, and two bodies field by field. Pure.

Only objects whose fingerprints differ need their bodies; whoever calls loads those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gitops_dr.drift.items import by_name, members
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.rows import Absent
from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath
from gitops_dr.model import Body, Difference, FieldChange, Presence, Ref, State
from gitops_dr.rules.completion import runs_to_an_end

ABSENT: Final = object()
"""Stands for a field that is not there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two States side by side, before any body is loaded."""

    missing: tuple[Ref, ...]
    modified: tuple[Ref, ...]
    unmanaged: tuple[Ref, ...]
    unknown: tuple[tuple[Ref, str], ...]
    """With the reason why nothing can be said."""
    equal: int

    @property
    def differences(self) -> int:
        """How many objects differ or are unknown."""
        return len(self.missing) + len(self.modified) + len(self.unmanaged) + len(self.unknown)


def compare(desired: State, observed: State) -> Comparison:
    """Sort the objects of both States by how they differ.

    An object that is not seen is unknown, not missing, where a gap of ``observed`` covers it; an
    object that is not in Git is unknown, not unmanaged, where a gap of ``desired`` covers it.
    """
    missing, modified, unknown = [], [], []
    for ref, entry in desired.entries.items():
        seen = observed.entries.get(ref)
        if seen is None and ref in observed.unlisted and runs_to_an_end(ref.group_kind):
            continue  # It is there and has finished since; the next export drops it from Git.
        if seen is None:
            gap = observed.gap_for(ref)
            if gap is None:
                missing.append(ref)
            else:
                unknown.append((ref, gap.reason))
        elif seen.fingerprint != entry.fingerprint:
            modified.append(ref)
    unmanaged = []
    for ref in observed.entries.keys() - desired.entries.keys():
        gap = desired.gap_for(ref)
        if gap is None:
            unmanaged.append(ref)
        else:
            unknown.append((ref, gap.reason))
    return Comparison(
        missing=tuple(sorted(missing)),
        modified=tuple(sorted(modified)),
        unmanaged=tuple(sorted(unmanaged)),
        unknown=tuple(sorted(unknown)),
        equal=len(desired.entries.keys() & observed.entries.keys()) - len(modified),
    )


def differences(
    comparison: Comparison,
    paths: Mapping[Ref, str],
    bodies: Mapping[Ref, tuple[Body, Body]],
) -> tuple[Difference, ...]:
    """Write the comparison out: each modified object with its field changes, sorted by Ref.

    ``bodies`` holds Git's and the cluster's body of each modified object. They are compared without
    a schema. A modified object whose bodies turn out to be equal in meaning is none.
    """
    modified = []
    for ref in comparison.modified:
        changes = tuple(field_changes(*bodies[ref]))
        if changes:
            modified.append(Difference(ref, Presence.MODIFIED, paths[ref], changes))
    return tuple(sorted([*unlike(comparison, paths), *modified], key=lambda d: d.ref))


def unlike(comparison: Comparison, paths: Mapping[Ref, str]) -> Iterator[Difference]:
    """Write out what needs no body: the objects that are on one side only, or unknown."""
    for ref in comparison.missing:
        yield Difference(ref, Presence.MISSING, paths[ref])
    for ref in comparison.unmanaged:
        yield Difference(ref, Presence.UNMANAGED, paths[ref])
    for ref, reason in comparison.unknown:
        yield Difference(ref, Presence.UNKNOWN, paths[ref], reason=reason)


def field_changes(
    old: Any, new: Any, at: FieldPath = (), meaning: Meaning = LITERALLY
) -> Iterator[FieldChange]:
    """Each leaf at which two decoded values say something else, in order of the keys.

    ``meaning`` is what the schema says of the value at ``at``; without it everything means just
    what it says. Items of a list are matched by the keys that the schema names, or by a usual one,
    where all of them have it and no two share it; members of a set by themselves; otherwise by
    position while the lengths agree, else the list differs as a whole.
    """
    if _is_copy(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            below = meaning.field(key)
            yield from value_changes(old.get(key, ABSENT), new.get(key, ABSENT), (*at, key), below)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, at, meaning)
    elif not meaning.same(old, new):
        yield FieldChange(format_fieldpath(at), "replace", old=old, new=new)


def _is_copy(old: Any, new: Any) -> bool:
    """Whether both are word for word the same, which is quickly found out of most.

    For ``==`` alone 1 is true; and of maps in another order this says no, which costs time only.
    """
    return isinstance(old, dict | list) and bool(old == new) and repr(old) == repr(new)


def value_changes(
    old: Any, new: Any, at: FieldPath, meaning: Meaning = LITERALLY
) -> Iterator[FieldChange]:
    """As :func:`field_changes`, of a field that may be :data:`ABSENT` on one side or both."""
    old, new = (ABSENT if is_null(value, meaning) else value for value in (old, new))
    if old is not ABSENT and new is not ABSENT:
        yield from field_changes(old, new, at, meaning)
    elif new is not ABSENT and not says_nothing(new, meaning):
        yield FieldChange(format_fieldpath(at), "add", new=new)
    elif old is not ABSENT and not says_nothing(old, meaning):
        yield FieldChange(format_fieldpath(at), "remove", old=old)


def says_nothing(value: Any, meaning: Meaning) -> bool:
    """Whether a field might as well be left out as have this value."""
    if value is ABSENT or is_null(value, meaning):
        return True
    if Absent.EMPTY in meaning.absent and value in ({}, []):
        return True
    return Absent.DEFAULT in meaning.absent and not differ(meaning.default, value, meaning)


def is_null(value: Any, meaning: Meaning) -> bool:
    """Whether the value is a null that the API server drops."""
    return value is None and Absent.NULL in meaning.absent


def differ(old: Any, new: Any, meaning: Meaning = LITERALLY) -> bool:
    """Whether two values, either of which may be :data:`ABSENT`, say something else."""
    return next(value_changes(old, new, (), meaning), None) is not None


def _list_changes(
    old: list[Any], new: list[Any], at: FieldPath, meaning: Meaning
) -> Iterator[FieldChange]:
    tokens = members(meaning, old, new)
    named = by_name(meaning, old, new)
    if tokens is not None:
        yield from _set_changes(old, new, at, tokens)
    elif named is not None:
        before, after = named
        for name in [*before, *(name for name in after if name not in before)]:
            path = (*at, name)
            one, other = before.get(name, ABSENT), after.get(name, ABSENT)
            if one is ABSENT:
                yield FieldChange(format_fieldpath(path), "add", new=other)
            elif other is ABSENT:
                yield FieldChange(format_fieldpath(path), "remove", old=one)
            else:
                yield from field_changes(one, other, path, meaning.item())
        common = [name for name in before if name in after]
        if common != [name for name in after if name in before]:
            # Same items, other order: it is a change of the list, whatever the items hold.
            yield FieldChange(format_fieldpath(at), "replace", old=old, new=new)
    elif len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from field_changes(one, other, (*at, index), meaning.item())
    else:
        yield FieldChange(format_fieldpath(at), "replace", old=old, new=new)


def _set_changes(
    old: list[Any], new: list[Any], at: FieldPath, tokens: list[dict[str, int]]
) -> Iterator[FieldChange]:
    """Each member that comes or goes, by its place on the side that has it."""
    before, after = tokens
    for token, place in before.items():
        if token not in after:
            yield FieldChange(format_fieldpath((*at, place)), "remove", old=old[place])
    for token, place in after.items():
        if token not in before:
            yield FieldChange(format_fieldpath((*at, place)), "add", new=new[place])
