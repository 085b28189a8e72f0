"""Compares two States by fingerprint, and two bodies field by field. Pure.

Only objects whose fingerprints differ need their bodies; whoever calls loads those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath
from gitops_dr.model import Body, Difference, FieldChange, Presence, Ref, State
from gitops_dr.rules.completion import runs_to_an_end

# The keys by which Kubernetes' keyed lists tell their items apart, the commonest first.
# Source: x-kubernetes-list-map-keys and patchMergeKey in the API server's OpenAPI documents.
_ITEM_KEYS = ("name", "type", "key", "ip", "topologyKey", "devicePath", "uid")


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

    ``bodies`` holds Git's and the cluster's body of each modified object. A modified object whose
    bodies turn out to be equal in meaning is none.
    """
    found = [Difference(ref, Presence.MISSING, paths[ref]) for ref in comparison.missing]
    found += [Difference(ref, Presence.UNMANAGED, paths[ref]) for ref in comparison.unmanaged]
    found += [
        Difference(ref, Presence.UNKNOWN, paths[ref], reason=reason)
        for ref, reason in comparison.unknown
    ]
    for ref in comparison.modified:
        old, new = bodies[ref]
        changes = tuple(field_changes(old, new))
        if changes:
            found.append(Difference(ref, Presence.MODIFIED, paths[ref], changes))
    return tuple(sorted(found, key=lambda difference: difference.ref))


def field_changes(old: Any, new: Any, at: FieldPath = ()) -> Iterator[FieldChange]:
    """Each leaf at which two decoded values differ, in order of the keys.

    Items of a list are matched by their key where all of them have one and no two share it;
    otherwise by position while the lengths agree, else the list differs as a whole.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            path = (*at, key)
            if key not in new:
                yield FieldChange(format_fieldpath(path), "remove", old=old[key])
            elif key not in old:
                yield FieldChange(format_fieldpath(path), "add", new=new[key])
            else:
                yield from field_changes(old[key], new[key], path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, at)
    elif old != new or type(old) is not type(new):
        yield FieldChange(format_fieldpath(at), "replace", old=old, new=new)


def _list_changes(old: list[Any], new: list[Any], at: FieldPath) -> Iterator[FieldChange]:
    key = shared_key(old, new)
    if key is not None:
        before = {item[key]: item for item in old}
        after = {item[key]: item for item in new}
        for name in [*before, *(name for name in after if name not in before)]:
            path: FieldPath = (*at, (key, name))
            if name not in after:
                yield FieldChange(format_fieldpath(path), "remove", old=before[name])
            elif name not in before:
                yield FieldChange(format_fieldpath(path), "add", new=after[name])
            else:
                yield from field_changes(before[name], after[name], path)
        common = [name for name in before if name in after]
        if common != [name for name in after if name in before]:
            # Same items, other order: it is a change of the list, whatever the items hold.
            yield FieldChange(format_fieldpath(at), "replace", old=old, new=new)
    elif len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from field_changes(one, other, (*at, index))
    else:
        yield FieldChange(format_fieldpath(at), "replace", old=old, new=new)


def shared_key(*sides: list[Any]) -> str | None:
    """Name the key by which the items of these lists are told apart; ``None`` if there is none."""
    items = [item for side in sides for item in side]
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for key in _ITEM_KEYS:
        if all(isinstance(item.get(key), str) for item in items) and all(
            len({item[key] for item in side}) == len(side) for side in sides
        ):
            return key
    return None
