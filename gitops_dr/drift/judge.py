"""Says what differs in meaning, and what of that only the API server can tell. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gitops_dr.drift.compare import field_changes
from gitops_dr.drift.defaults import defaults_of
from gitops_dr.drift.filled import without_defaults
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.rows import ask_rows
from gitops_dr.drift.settle import IsAutoscaled, settled
from gitops_dr.drift.undo import undone
from gitops_dr.manifests.fieldpath import (
    FieldPath,
    format_fieldpath,
    may_overlap,
    parse_fieldpath,
)
from gitops_dr.model import SECRET, Body, FieldChange, MaskedValue, Ref

OWNERS: Final = ("metadata", "ownerReferences")
"""In Git owners have no UID, without which no API server takes them: of these it is never asked."""

_HELD_IN: Final = ("data", "stringData")
_UNREAD: Final = (FieldChange("data", "replace", MaskedValue("in Git"), MaskedValue("live")),)
"""That the values differ, where nobody can say which."""


IsEdited = Callable[[Ref], bool]
"""Whether Git's manifest need not be as an export wrote it, so that what it says may say nothing.
Asked only where the answer matters, as of autoscalers."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of one object without asking anybody."""

    changes: tuple[FieldChange, ...]
    """None means that Git and the cluster say the same. A Secret's values mask themselves."""
    question: str
    """Why a dry run may show that some of them are none; empty if it cannot."""
    wanted: Body
    """What Git has, beside the live object: it differs from that by these changes, and by no other
    in meaning."""
    certain: frozenset[str] = frozenset()
    """Paths of the changes that are some whatever the API server would make of Git's version."""


def judged(
    ref: Ref,
    git: Body,
    seen: Body,
    meaning: Meaning = LITERALLY,
    *,
    is_autoscaled: IsAutoscaled = lambda _ref: False,
    is_edited: IsEdited = lambda _ref: True,
) -> Judged:
    """Compare Git's manifest with a live object of which rules have taken out what is not Git's."""
    closed = _closed(ref, git)
    if closed:
        git = {**git, "data": {**git["data"], **_shared(git["data"], seen.get("data"))}}
    ours = settled(ref, git, seen, meaning, is_autoscaled=is_autoscaled)
    differing = tuple(field_changes(ours, seen, (), meaning))
    changes = tuple(without_defaults(differing, ours, seen, meaning, defaults_of(*ref.group_kind)))
    wanted = ours if changes == differing else undone(seen, changes, ours, meaning)
    question = next(questions(ref, changes, meaning, is_edited=is_edited), "")
    sure = certain(ref, changes, meaning, is_edited=is_edited)
    if ref.group_kind == SECRET:
        changes = (*masked(changes), *(_UNREAD if closed else ()))
    return Judged(changes, question, wanted, sure)


def _closed(ref: Ref, git: Body) -> bool:
    """Whether Git's version of a Secret could not be opened, so that its values are not known."""
    data = git.get("data")
    return (
        ref.group_kind == SECRET
        and isinstance(data, dict)
        and any(isinstance(value, str) and value.startswith("ENC[") for value in data.values())
    )


def _shared(git: Mapping[str, Any], seen: Any) -> dict[str, Any]:
    """The live values of the keys that both have."""
    return {key: seen[key] for key in git if key in seen} if isinstance(seen, dict) else {}


def questions(
    ref: Ref,
    changes: Iterable[FieldChange],
    meaning: Meaning,
    *,
    is_edited: IsEdited = lambda _ref: True,
) -> Iterator[str]:
    """Why only the API server can tell of some of the changes whether they are any."""
    for change in changes:
        path = parse_fieldpath(change.path)
        if path[: len(OWNERS)] == OWNERS:
            continue
        shape = meaning.at(path).shape
        for row in ask_rows():
            of_this = row.ask == change.op and not (row.zero and change.old)
            if not (of_this and row.applies_to(ref.group, ref.kind, path, shape)):
                continue
            if not row.edited or is_edited(ref):
                yield row.because


def certain(
    ref: Ref,
    changes: Iterable[FieldChange],
    meaning: Meaning,
    *,
    is_edited: IsEdited = lambda _ref: True,
) -> frozenset[str]:
    """Paths of the changes that no dry run can explain away.

    That is what Git says and the cluster has not, if no row asks about it: an API server that does
    not keep it, because a feature is switched off there, say, is no reason to be silent.
    """
    return frozenset(
        change.path
        for change in changes
        if parse_fieldpath(change.path)[: len(OWNERS)] == OWNERS
        or (
            change.op == "remove"
            and not any(questions(ref, [change], meaning, is_edited=is_edited))
        )
    )


def confirmed(
    changes: Iterable[FieldChange], predicted: Iterable[FieldChange], certain: Collection[str] = ()
) -> tuple[FieldChange, ...]:
    """Those of the changes that are still there once the API server has read Git's version.

    ``certain`` are the paths of those that are there in any case.

    ``changes`` are Git's version against the live object, ``predicted`` what the API server would
    make of it, against the same. A change that it would not see is none: Git left a default out,
    say. Of a change it may see but a part, which is then named. What it would change of its own
    accord besides is no difference from Git.
    """
    still = [(parse_fieldpath(change.path), change) for change in predicted]
    found: list[FieldChange] = []
    for change in changes:
        path = parse_fieldpath(change.path)
        if change.path in certain:
            found.append(change)
            continue
        seen = [(at, other) for at, other in still if may_overlap(path, at)]
        if seen and all(len(at) > len(path) for at, _ in seen):
            found += (_part(change, other) for _, other in seen)
        elif seen:
            found.append(change)
    return tuple({(change.path, change.op): change for change in found}.values())


def _part(change: FieldChange, seen: FieldChange) -> FieldChange:
    """What is left of a change, where Git has nothing of the field that is above it."""
    if change.op == "add" and seen.op != "remove":
        return replace(seen, op="add", old=None)
    return seen


def masked(changes: Iterable[FieldChange]) -> Iterator[FieldChange]:
    """A Secret's changes, each value by name alone."""
    for change in changes:
        path = parse_fieldpath(change.path)
        if path[0] not in _HELD_IN:
            yield change
        elif len(path) == 1 and all(isinstance(v, dict | None) for v in (change.old, change.new)):
            yield from _by_name(path, change)
        else:
            yield replace(change, old=_hidden(change.old), new=_hidden(change.new))


def _by_name(path: FieldPath, change: FieldChange) -> Iterator[FieldChange]:
    old, new = change.old or {}, change.new or {}
    for name in sorted(old.keys() | new.keys()):
        at = format_fieldpath((*path, name))
        yield FieldChange(at, change.op, _hidden(old.get(name)), _hidden(new.get(name)))


def _hidden(value: Any) -> Any:
    return None if value is None else MaskedValue(value if isinstance(value, str) else repr(value))
