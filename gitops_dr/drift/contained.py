"""Says how a cluster differs from what a person wrote: Git must be contained in it. Pure.

What the manifest says must be so. What it does not say may be there if the API server filled it in,
if admission put it there, or if one of Kubernetes' own controllers wrote it. Anything else that the
cluster has beside it is a change: somebody added it, or it stood in Git once and was removed there.

``managedFields`` tells these apart. The facts, each tried on a real API server:

- Server-side apply makes its manager the owner of what the manifest says, and of nothing else: the
  defaults are nobody's. Whoever creates or updates an object in another way owns the defaults too,
  so those are known by the rows of ``defaults.yaml`` and by the schemas of custom resources.
- What admission (a webhook, a policy, a LimitRange) puts into an object is nobody's. So is what
  somebody scales whose replicas were nobody's before.
- A dry run of server-side apply leaves other managers' fields alone, so it never shows them.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gitops_dr.drift.appliers import applies_git
from gitops_dr.drift.attribute import Owners
from gitops_dr.drift.compare import field_changes
from gitops_dr.drift.defaults import Defaults, defaults_of
from gitops_dr.drift.items import identity
from gitops_dr.drift.judge import Judged, certain, masked, questions
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.rows import Items
from gitops_dr.drift.settle import IsAutoscaled, settled
from gitops_dr.drift.undo import undone
from gitops_dr.manifests.fieldpath import (
    FieldPath,
    Step,
    format_fieldpath,
    get,
    parse_fieldpath,
)
from gitops_dr.model import SECRET, Body, FieldChange, FieldManager, Ref

_ABSENT: Final = object()

_ZEROS: Final[tuple[Any, ...]] = ("", False, 0, [], {})


_OPEN: Final = ("annotations", "labels")
"""Maps of which each entry is a thing of its own, also where no schema says so."""


@dataclass(frozen=True, slots=True)
class Contained:
    """What of an object differs from what a person wrote."""

    changes: tuple[FieldChange, ...]
    unsure: tuple[str, ...] = ()
    """Paths of those changes that may be defaults of the API server's of which nobody knows."""


def contained(
    git: Body, live: Body, *, meaning: Meaning, defaults: Defaults, owners: Owners
) -> Contained:
    """Compare a manifest with a live object, both without what rules take out.

    ``meaning`` is that of the kind's schema, ``defaults`` are the kind's, ``owners`` those of the
    live object's fields. Where nothing is known of them, whatever is no default counts.
    """
    judge = _Judge(git, live, defaults, owners)
    changes = tuple(
        found
        for change in field_changes(git, live, (), meaning)
        for found in _counted(change, git, meaning, judge)
    )
    return Contained(changes, tuple(judge.unsure))


def judged_as_written(
    ref: Ref,
    git: Body,
    managed_fields: Any,
    seen: Body,
    meaning: Meaning = LITERALLY,
    *,
    trusted: Collection[str],
    is_autoscaled: IsAutoscaled = lambda _ref: False,
) -> Judged:
    """Judge what a person wrote as :func:`~gitops_dr.drift.judge.judged` does what was exported.

    ``managed_fields`` are those of the live object, of which ``seen`` is what rules leave.
    """
    ours = settled(ref, git, seen, meaning, is_autoscaled=is_autoscaled)
    found = contained(
        ours,
        seen,
        meaning=meaning,
        defaults=defaults_of(*ref.group_kind),
        owners=Owners(managed_fields, seen, trusted=trusted),
    )
    if not found.changes:
        return Judged((), "", seen)
    changes = tuple(masked(found.changes)) if ref.group_kind == SECRET else found.changes
    question = next(_questions(ref, found, meaning), "")
    wanted = undone(seen, found.changes, ours, meaning)
    return Judged(changes, question, wanted, certain(ref, found.changes, meaning))


def _questions(ref: Ref, found: Contained, meaning: Meaning) -> Iterator[str]:
    if found.unsure:
        yield f"whether the API server fills in {found.unsure[0]} by itself is not known"
    written = (change for change in found.changes if change.op != "add")
    yield from questions(ref, written, meaning)


def _counted(
    change: FieldChange, git: Body, meaning: Meaning, judge: _Judge
) -> Iterator[FieldChange]:
    """What of one change counts."""
    path = parse_fieldpath(change.path)
    if change.op == "remove":
        if change.old is not None and not judge.defaults.omits(path, change.old):
            yield change
    elif change.op == "replace" and change.old is not None:
        yield change
    elif get(git, path, _ABSENT) is None and change.new in _ZEROS:
        return  # A null says nothing, and the API server has written it out.
    else:
        within = any(_is_one(meaning.at(path[:end]), path[end]) for end in range(len(path)))
        verdict = judge.addition(path, change.new, meaning.at(path), within=within)
        for part in verdict.counted:
            path_of_it = format_fieldpath(part.path)
            yield FieldChange(path_of_it, "add", new=part.value, removed_from_git=part.applied)


def _is_one(meaning: Meaning, step: Step) -> bool:
    """Whether a step leads into something that is one value: Git has then written all of it."""
    if isinstance(step, str):
        return _is_atomic(meaning)
    return meaning.items is None and (meaning.shape is not None or isinstance(step, int))


def _is_atomic(meaning: Meaning) -> bool:
    shape = meaning.shape
    return shape is not None and shape.marks.get("x-kubernetes-map-type") == "atomic"


@dataclass(frozen=True, slots=True)
class _Part:
    """A value that counts."""

    path: FieldPath
    value: Any
    applied: bool
    """Somebody wrote it who applies what is in Git."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is to be said of a value that only the cluster has."""

    counted: tuple[_Part, ...] = ()
    """The parts that count."""
    whole: bool = False
    """It counts as a whole."""
    neutral: bool = False
    """It is a default, and goes with what it is a part of."""


_DEFAULT: Final = _Verdict(neutral=True)
_NOTHING: Final = _Verdict()


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges what of one object only the cluster has."""

    git: Body
    live: Body
    defaults: Defaults
    owners: Owners
    unsure: list[str] = field(default_factory=list)

    def addition(self, path: FieldPath, value: Any, meaning: Meaning, *, within: bool) -> _Verdict:
        """Judge a value. ``within``: it is a part of something that is one value in Git too."""
        if value is None or self._is_default(path, value, meaning):
            return _DEFAULT
        if not (isinstance(path[-1], str) or within) and self._counts(path):
            # No default adds an item to a list, so the defaults in one go with it.
            return self._whole(path, value)
        if isinstance(value, dict) and value and (within or not _is_atomic(meaning)):
            children = [
                self.addition((*path, key), child, meaning.field(key), within=within)
                for key, child in value.items()
            ]
            return _folded(path, value, children, apart=self._is_apart(path, meaning))
        if isinstance(value, list) and not within:
            items = [
                self.addition(at, item, meaning.item(), within=False)
                for at, item in _items(path, value, meaning)
            ]
            if items:
                return _folded(path, value, items, apart=True)
        return self._leaf(path, value, meaning, within=within)

    def _leaf(self, path: FieldPath, value: Any, meaning: Meaning, *, within: bool) -> _Verdict:
        if not (within or self._counts(path)):
            return _NOTHING
        if self._may_be_default(path, meaning, within=within):
            self.unsure.append(format_fieldpath(path))
        return self._whole(path, value)

    def _whole(self, path: FieldPath, value: Any) -> _Verdict:
        applied = any(map(applies_git, self.owners.of(path)))
        return _Verdict((_Part(path, value, applied),), whole=True)

    def _is_apart(self, path: FieldPath, meaning: Meaning) -> bool:
        """Whether what is in a map does not belong together: entries of their own, or defaults."""
        open_map = meaning.shape is not None and meaning.shape.entry() is not None
        return open_map or path[-1] in _OPEN or self.defaults.makes(path)

    def _is_default(self, path: FieldPath, value: Any, meaning: Meaning) -> bool:
        if isinstance(value, dict) and value and _is_atomic(meaning):
            return all(self._is_filled_in((*path, key), child) for key, child in value.items())
        default = meaning.default
        by_schema = default is not None and type(default) is type(value) and default == value
        return by_schema or self._is_filled_in(path, value)

    def _is_filled_in(self, path: FieldPath, value: Any) -> bool:
        # What follows from a value of Git's that somebody has changed is no change of its own.
        return any(self.defaults.fills_in(body, path, value) for body in (self.live, self.git))

    def _may_be_default(self, path: FieldPath, meaning: Meaning, *, within: bool) -> bool:
        """Whether no row and no schema can say that the API server would not fill this in."""
        marks = meaning.shape.marks if meaning.shape else {"go": True}
        if marks.get("entry") or not marks.get("go") or self.defaults.knows(path):
            return False
        return within or all(owner.operation != "Apply" for owner in self.owners.of(path))

    def _counts(self, path: FieldPath) -> bool:
        """Whether somebody wrote the field who is none of Kubernetes' own controllers."""
        owners = self.owners.of(path)
        if not owners:
            return not self.owners or self.defaults.may_be_unowned(path)
        return any(map(_is_somebody, owners))


def _is_somebody(manager: FieldManager) -> bool:
    # What is written through the status says how things are, not how anybody wants them.
    return not manager.trusted and manager.subresource != "status"


def _items(path: FieldPath, value: list[Any], meaning: Meaning) -> Iterator[tuple[FieldPath, Any]]:
    """The items of a list that are things of their own; none if the list is one value."""
    if meaning.items is Items.SET:
        yield from (((*path, place), item) for place, item in enumerate(value))
        return
    names = identity(meaning, value)
    if names is not None and (meaning.items is Items.KEYED or meaning.shape is None):
        yield from (((*path, names.of(item) or ()), item) for item in value)


def _folded(path: FieldPath, value: Any, children: Sequence[_Verdict], *, apart: bool) -> _Verdict:
    """Put the verdicts on the parts of a value together: as one, if all of it counts."""
    counted = tuple(part for child in children for part in child.counted)
    if not counted:
        return _DEFAULT if all(child.neutral for child in children) else _NOTHING
    if all(child.whole or (child.neutral and not apart) for child in children):
        return _Verdict((_Part(path, value, any(part.applied for part in counted)),), whole=True)
    return _Verdict(counted)
