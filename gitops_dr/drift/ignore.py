"""Holds the ignore rules of ``gitops-dr.yaml`` against the differences: they hide what they name.

Pure. Why a rule hid nothing is told by ``misspelt.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from gitops_dr.manifests.fieldpath import (
    EVERY,
    FieldPath,
    Step,
    Wildcard,
    format_fieldpath,
    get,
    parse_fieldpath,
)
from gitops_dr.manifests.selector import ALL, ObjectSelector, has_wildcard, pattern_matches
from gitops_dr.model import Body, Difference, FieldChange, FieldManager, Presence, Ref


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One rule: of which objects it hides what, and why.

    With ``field`` or ``manager`` it hides field changes; with ``state``, or if it names one object
    by kind and name, whole objects. What is unknown is never hidden.
    """

    place: str
    """Where it stands, such as ``ignore[2]``."""
    because: str
    objects: ObjectSelector = ALL
    field: FieldPath = ()
    """Changes at or below it; empty: of any field. A key names a member of a set, too."""
    manager: str = ""
    """A pattern: changes whose known managers all fit it. What nobody is known to have written does
    not."""
    state: Presence | None = None
    """Missing, modified or unmanaged: only objects of which that is so."""
    until: date | None = None
    """The last day on which it hides anything."""

    def __str__(self) -> str:
        """Where it stands and what it names, in one line."""
        words = [f"{self.place}:", str(self.objects)]
        words += [self.state.value] if self.state else []
        words += [format_fieldpath(self.field)] if self.field else []
        words += [f"by {self.manager}"] if self.manager else []
        return " ".join(words)

    @property
    def of_changes(self) -> bool:
        """Whether it hides single changes of modified objects, and not all of them."""
        return bool(self.field or self.manager)

    @property
    def of_objects(self) -> bool:
        """Whether it hides whole objects."""
        return not self.field and (self.state is not None or not self.manager)

    def problem(self) -> str:
        """Say why it is no rule, in words that follow its place; empty if it is one."""
        if self.field and self.state not in (None, Presence.MODIFIED):
            return f"an object that is {self.state} differs as a whole, so it has no field to name"
        if self.manager and self.state is Presence.MISSING:
            return "of what is missing nobody knows the manager"
        if self.state is Presence.UNKNOWN:
            return "what is unknown cannot be ignored"
        named = (self.objects.kind, self.objects.name)
        if not (self.of_changes or self.state) and not all(
            text and not has_wildcard(text) for text in named
        ):
            return "names neither a field, a manager, a state nor one object by kind and name"
        return ""


@dataclass(frozen=True, slots=True)
class RuleUse:
    """What one ignore rule of ``gitops-dr.yaml`` did in a comparison."""

    rule: str
    """Where it stands, such as ``ignore[2]``, and what it names, in one line."""
    because: str
    hidden: int
    """Field changes and whole differences that it hid, be it with other rules."""
    problem: str = ""
    """``unused``, ``expired`` or ``misspelt``, with the details; empty for a rule that works."""
    hint: str = ""


LabelsOf = Callable[[Ref], Mapping[str, str]]
BodyOf = Callable[[Ref, str], Body | None]
"""The body of a differing object in which the field of a change with this ``op`` is to be found:
Git's for ``remove``, else the cluster's. None if it is not to be had."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The differences without what the rules hide."""

    kept: tuple[Difference, ...]
    hidden: tuple[int, ...]
    """How much each rule hid, in their order; what two rules hide counts for both."""


def ignored(
    differences: Iterable[Difference],
    rules: Sequence[IgnoreRule],
    *,
    labels_of: LabelsOf,
    body_of: BodyOf,
    today: date,
) -> Ignored:
    """Take out of the differences what the rules name, and nothing else.

    A change that covers more than the field of a rule is hidden only if the rules name all that it
    adds or removes. ``labels_of`` is asked only where a rule asks for labels, ``body_of`` only
    where a path names a list item in another way than a rule does.
    """
    valid = [(i, rule) for i, rule in enumerate(rules) if not is_expired(rule, today)]
    hidden = [0] * len(rules)
    kept: list[Difference] = []
    for difference in differences:
        matching = [(i, rule) for i, rule in valid if _is_about(rule, difference, labels_of)]
        left: Difference | None = difference
        if matching:
            left, used = _without(difference, matching, body_of)
            for i in used:
                hidden[i] += 1
        if left is not None:
            kept.append(left)
    return Ignored(tuple(kept), tuple(hidden))


def is_expired(rule: IgnoreRule, today: date) -> bool:
    """Whether its last day has passed."""
    return rule.until is not None and rule.until < today


def _is_about(rule: IgnoreRule, difference: Difference, labels_of: LabelsOf) -> bool:
    if difference.presence is Presence.UNKNOWN or not rule.objects.names(difference.ref):
        return False
    if rule.state not in (None, difference.presence):
        return False
    return not rule.objects.labels or rule.objects.matches(
        difference.ref, labels_of(difference.ref)
    )


_Numbered = Sequence[tuple[int, IgnoreRule]]


def _without(
    difference: Difference, rules: _Numbered, body_of: BodyOf
) -> tuple[Difference | None, list[int]]:
    """What is left of a difference, and the number of a rule for each thing that it hid."""
    whole = [i for i, rule in rules if _hides_object(rule, difference)]
    if whole:
        return None, whole
    used: list[int] = []
    left = []
    for change in difference.changes:
        body = _Lazy(difference.ref, change.op, body_of)
        hiding = _hiding(change, rules, body)
        used += hiding
        if not hiding:
            left.append(change)
    if len(left) == len(difference.changes):
        return difference, used
    return (replace(difference, changes=tuple(left)) if left else None), used


def _hides_object(rule: IgnoreRule, difference: Difference) -> bool:
    if not rule.of_objects:
        return False
    return not rule.manager or _all_by(rule, difference.managers)


def _all_by(rule: IgnoreRule, managers: Sequence[FieldManager]) -> bool:
    return bool(managers) and all(pattern_matches(rule.manager, m.name) for m in managers)


@dataclass(frozen=True, slots=True)
class _Lazy:
    """The body in which a change's field is, loaded when somebody asks."""

    ref: Ref
    op: str
    body_of: BodyOf

    def at(self, path: FieldPath) -> Any:
        return get(self.body_of(self.ref, self.op), path)


def _hiding(change: FieldChange, rules: _Numbered, body: _Lazy) -> set[int]:
    """The numbers of the rules that hide a change: each does so alone, or all do together."""
    by_author = [
        (i, rule) for i, rule in rules if not rule.manager or _all_by(rule, change.managers)
    ]
    if not by_author:
        return set()
    path = parse_fieldpath(change.path)
    alone = {i for i, rule in by_author if _covers(rule.field, path, body)}
    if alone or change.op == "replace":
        return alone
    value = change.new if change.op == "add" else change.old
    together: set[int] = set()
    for leaf in _leaves(value, path):
        naming = {i for i, rule in by_author if _covers(rule.field, leaf, body)}
        if not naming:
            return set()
        together |= naming
    return together


def _leaves(value: Any, at: FieldPath) -> Iterator[FieldPath]:
    """The paths of all that is in a value; what is empty, or no container, is one itself."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*at, key))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from _leaves(child, (*at, index))
    else:
        yield at


def _covers(field: FieldPath, path: FieldPath, body: _Lazy) -> bool:
    """Whether ``path`` is at or below ``field``."""
    return len(field) <= len(path) and all(
        _is_step(wanted, path, depth, body) for depth, wanted in enumerate(field)
    )


def _is_step(wanted: Step, path: FieldPath, depth: int, body: _Lazy) -> bool:
    step = path[depth]
    if wanted == step or wanted is EVERY:
        return True
    if isinstance(step, str | Wildcard):
        return False
    if isinstance(wanted, str):
        # A member of a set has no name but itself.
        return isinstance(step, int) and bool(body.at(path[: depth + 1]) == wanted)
    if isinstance(wanted, int) and isinstance(step, int):
        return False
    if isinstance(wanted, tuple) and isinstance(step, tuple):
        keys, asked = _pairs(step), _pairs(wanted)
        if asked.keys() <= keys.keys():
            return all(keys[key] == value for key, value in asked.items())
    # They name the item in different ways, so the item must be looked at.
    item = body.at(path[: depth + 1])
    items = body.at(path[:depth]) if isinstance(wanted, int) else [item]
    return item is not None and get(items, (wanted,)) is item


def _pairs(selector: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(selector[::2], selector[1::2], strict=True))
