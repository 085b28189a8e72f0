"""Says what came of each ignore rule, and why one hid nothing. Pure.

A rule that hides nothing has expired, is not needed, or names what is not there; a near match of
what it names makes it misspelt.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from gitops_dr.drift.ignore import IgnoreRule, RuleUse, is_expired
from gitops_dr.manifests.fieldpath import EVERY, FieldPath, Step, format_fieldpath, get
from gitops_dr.manifests.selector import pattern_matches
from gitops_dr.model import Body, Ref

_NEAR: Final = 0.6
_NOT_NEEDED: Final = "take it out if it is not needed any more"
_EXPIRED: Final = "take it out, or give it a later day"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there was for a rule to name."""

    refs: Collection[Ref]
    """Every object of either side, those that are left out of the comparison included."""
    managers: Collection[str]
    """Names of those who wrote what differs, and of those who are trusted."""
    bodies: Callable[[Sequence[Ref]], Iterable[Body]]
    """Bodies of these objects, or of some of them: which fields are there to be named."""
    whole: bool
    """Everything was compared, so that what was not seen is not there."""


def rule_uses(
    rules: Sequence[IgnoreRule], hidden: Sequence[int], seen: Seen, *, today: date
) -> tuple[RuleUse, ...]:
    """Account for the rules, in their order; ``hidden`` says how much each hid.

    A rule of which only this is known, that it hid nothing, is reported where all was compared.
    """
    return tuple(_use(rule, count, seen, today) for rule, count in zip(rules, hidden, strict=True))


def _use(rule: IgnoreRule, hidden: int, seen: Seen, today: date) -> RuleUse:
    problem, hint = "", ""
    if is_expired(rule, today):
        problem, hint = f"expired: its last day was {rule.until}", _EXPIRED
    elif not hidden:
        reason, near = _reason(rule, seen)
        if near:
            problem, hint = f"misspelt: {reason}", f"did you mean {near!r}?"
        elif seen.whole:
            problem, hint = f"unused: {reason}", _NOT_NEEDED
    return RuleUse(str(rule), rule.because, hidden, problem, hint)


_Reason = tuple[str, str]
"""Why a rule hid nothing, and what was probably meant: empty if nothing is near."""


def _reason(rule: IgnoreRule, seen: Seen) -> _Reason:
    refs, reason = _named(rule, seen.refs)
    if reason:
        return reason
    if rule.field and (reason := _field_reason(rule.field, seen.bodies(refs))):
        return reason
    if rule.manager and not any(pattern_matches(rule.manager, name) for name in seen.managers):
        near = _near(rule.manager, seen.managers)
        return f"no manager {rule.manager!r} wrote anything that differs", near
    return "nothing that it names differs", ""


def _named(rule: IgnoreRule, refs: Collection[Ref]) -> tuple[Sequence[Ref], _Reason | None]:
    """The objects that fit the rule's patterns; or, if there is none, at which of them it ends."""
    left = list(refs)
    for part in ("group", "kind", "namespace", "name"):
        pattern = getattr(rule.objects, part)
        if pattern is None:
            continue
        fitting = [ref for ref in left if pattern_matches(pattern, getattr(ref, part))]
        if not fitting:
            near = _near(pattern, {getattr(ref, part) for ref in left})
            such = "no object" if len(left) == len(refs) else "no such object"
            return (), (f"{such} has the {part} {pattern!r}", near)
        left = fitting
    return left, None


def _near(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that is nearest; empty if none is near. Capitals count for nothing."""
    close = {name.lower(): name for name in sorted(known) if abs(len(name) - len(word)) <= 3}
    found = difflib.get_close_matches(word.lower(), close, n=1, cutoff=_NEAR)
    return close[found[0]] if found else ""


def _field_reason(field: FieldPath, bodies: Iterable[Body]) -> _Reason | None:
    """Where the path ends in all of the bodies; None if one has the field, or there is no body."""
    deepest, there = -1, list[Any]()
    for body in bodies:
        depth, nodes = _follow(body, field)
        if depth == len(field):
            return None
        if depth > deepest:
            deepest, there = depth, []
        if depth == deepest:
            there += nodes
    if deepest < 0:
        return None
    missing = format_fieldpath(field[: deepest + 1])
    near = next(_near_steps(field[deepest], there), None)
    corrected = (*field[:deepest], *near, *field[deepest + 1 :]) if near else ()
    return f"no object looked at has the field {missing!r}", format_fieldpath(corrected)


def _follow(body: Body, field: FieldPath) -> tuple[int, list[Any]]:
    """How many steps of the path can be gone, and where they lead."""
    nodes: list[Any] = [body]
    for depth, step in enumerate(field):
        found = [child for node in nodes for child in _children(node, step)]
        if not found:
            return depth, nodes
        nodes = found
    return len(field), nodes


def _children(node: Any, step: Step) -> Iterator[Any]:
    if isinstance(node, dict):
        if step is EVERY:
            yield from node.values()
        elif isinstance(step, str) and step in node:
            yield node[step]
    elif isinstance(node, list):
        if isinstance(step, int):
            yield from node[step : step + 1]
        else:
            yield from (item for item in node if step is EVERY or _is_named(item, step))


def _is_named(item: Any, step: Step) -> bool:
    return bool(item == step) if isinstance(step, str) else get([item], (step,)) is not None


def _near_steps(step: Step, nodes: Iterable[Any]) -> Iterator[FieldPath]:
    """What may have been meant by a step that leads nowhere from any of the nodes."""
    maps = [node for node in nodes if isinstance(node, dict)]
    items = [item for node in nodes if isinstance(node, list) for item in node]
    keys = {key for item in items if isinstance(item, dict) for key in item}
    if isinstance(step, str):
        members = {item for item in items if isinstance(item, str)}
        near = _near(step, {key for node in maps for key in node} | members)
        if near:
            yield (near,)
        elif step in keys:
            yield (EVERY, step)
    elif isinstance(step, tuple):
        for place in range(0, len(step), 2):
            key, value = step[place : place + 2]
            values = {item[key] for item in items if isinstance(item, dict) and _is_text(item, key)}
            nearest = (_near(key, keys), value) if key not in keys else (key, _near(value, values))
            if all(nearest) and nearest != (key, value):
                yield ((*step[:place], *nearest, *step[place + 2 :]),)


def _is_text(item: Body, key: str) -> bool:
    return isinstance(item.get(key), str)
