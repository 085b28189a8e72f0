"""Judges by the rows of ``readiness.yaml``. Pure; reads that shipped file, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.manifests.fieldpath import EVERY, FieldPath, get, parse_fieldpath
from gitops_dr.model import Body, parse_kind
from gitops_dr.readiness.status import (
    READY,
    UNSEEN,
    Readiness,
    as_list,
    as_map,
    condition_of,
    not_seen,
    one_line,
    told,
)
from gitops_dr.resources import shipped

_PATIENCE = 15.0
"""Seconds after which what nobody has touched, or what has an error, is not waited for any more."""

_LEAST = 30.0
"""Seconds that every kind may take, as far as there is so much time."""

_EMPTY = frozenset({"", "Cg=="})
"""Values that hold a place for a bundle: nothing, and an empty line in base64.
https://github.com/argoproj/argo-cd/issues/817"""


def timeout_of(group_kind: tuple[str, str], timeout: float) -> float:
    """Seconds that an object of this kind may take, where one may take ``timeout`` in general."""
    share = _shares().get(group_kind, 1.0)
    return max(timeout * share, min(timeout, _LEAST))


def is_built_in(group: str) -> bool:
    """Whether Kubernetes itself serves an API group, and not a custom definition."""
    return group in _builtin_groups()


@dataclass(frozen=True, slots=True)
class _Filled:
    """What somebody else fills in."""

    above: FieldPath
    below: FieldPath | None
    """After ``above``, over its items; ``None``: there is no list."""
    field: str
    only_with: str
    unless: str
    so: str
    unannounced: str


@dataclass(frozen=True, slots=True)
class _Rule:
    conditions: tuple[str, ...]
    fatal: tuple[str, ...]
    phases: tuple[str, ...]
    lost: tuple[str, ...]
    flag: str
    untouched: str
    seen: bool
    filled: _Filled | None
    settles: float


def by_rule(body: Body, rule: _Rule, *, wait_for_consumer: bool) -> Readiness:
    """Judge an object by the row of its kind."""
    status = as_map(body.get("status"))
    if rule.seen and not_seen(body):
        return UNSEEN
    announced = _is_announced(body)
    lacking = _unfilled(body, rule.filled, announced=announced) if rule.filled else ""
    for name in rule.conditions:
        condition = condition_of(body, name)
        if condition.get("status") != "True":
            failed = name in rule.fatal and condition.get("status") == "False"
            about = told(condition, name)
            reason = one_line(f"{lacking}: {about}") if lacking and not failed else about
            return Readiness(ready=False, reason=reason, failed=failed)
    if lacking and rule.filled and rule.filled.so != "reason":
        if not announced:
            return Readiness(ready=True, reason=lacking, observable=False)
        return Readiness(ready=False, reason=lacking, usable=rule.filled.so == "usable")
    if rule.phases:
        phase = status.get("phase") or "Pending"
        if phase not in rule.phases and not (phase == "Pending" and wait_for_consumer):
            said = one_line(status.get("message"))
            reason = f"is {phase}: {said}" if said else f"is {phase}"
            return Readiness(ready=False, reason=reason, failed=phase in rule.lost)
    if rule.flag and status.get(rule.flag) is not True:
        error = one_line(as_map(status.get("error")).get("message"))
        reason = error or (rule.untouched if not status else "")
        # Controllers try again after an error, and a conflict of two writers is one too.
        patience = _PATIENCE if reason else None
        reason = reason or f"{rule.flag} is not true yet"
        return Readiness(ready=False, reason=reason, patience=patience)
    return Readiness(ready=True, settles=rule.settles) if rule.settles else READY


def _is_announced(body: Body) -> bool:
    """Whether an annotation asks somebody to fill something in."""
    return not _injected().isdisjoint(as_map(as_map(body.get("metadata")).get("annotations")))


def _unfilled(body: Body, rule: _Filled, *, announced: bool) -> str:
    """Say which field nobody has filled in that somebody has to; empty if all are."""
    if not announced and rule.unannounced == "ready":
        return ""
    found = get(body, rule.above)
    for item in [found] if rule.below is None else as_list(found):
        holder = as_map(item if rule.below is None else get(item, rule.below))
        asked = bool(holder) if announced else rule.only_with in holder
        if asked and holder.get(rule.unless) is not True and _is_empty(holder.get(rule.field)):
            name = one_line(as_map(item).get("name")) if rule.below is not None else ""
            what = f"the {rule.field} of {name}" if name else f"the {rule.field}"
            if announced:
                return f"nobody has injected {what} yet"
            return f"{what} is empty, and nothing says who fills it in"
    return ""


def _is_empty(value: Any) -> bool:
    return not isinstance(value, str) or value in _EMPTY


@cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = yamlrocks.loads(shipped("readiness/readiness.yaml").read_bytes())
    return loaded


@cache
def _builtin_groups() -> frozenset[str]:
    return frozenset(_data()["builtinGroups"])


@cache
def rows() -> dict[tuple[str, str], _Rule]:
    """The row of each kind that has one."""
    rules = {}
    for raw in _data()["rules"]:
        rules[parse_kind(raw["kind"])] = _Rule(
            conditions=tuple(raw.get("conditions", ())),
            fatal=tuple(raw.get("fatal", ())),
            phases=tuple(raw.get("phases", ())),
            lost=tuple(raw.get("lost", ())),
            flag=raw.get("flag", ""),
            untouched=raw.get("untouched", ""),
            seen=raw.get("seen", False),
            filled=_filled(raw["filled"]) if "filled" in raw else None,
            settles=float(raw.get("settles", 0)),
        )
    return rules


def _filled(raw: Mapping[str, str]) -> _Filled:
    path = parse_fieldpath(raw["at"])
    at = path.index(EVERY) if EVERY in path else None
    return _Filled(
        above=path[:at],
        below=path[at + 1 :] if at is not None else None,
        field=raw["field"],
        only_with=raw.get("with", ""),
        unless=raw.get("unless", ""),
        so=raw.get("so", "unready"),
        unannounced=raw.get("unannounced", "ready"),
    )


@cache
def _injected() -> frozenset[str]:
    return frozenset(name for row in _data()["injected"] for name in row["annotations"])


@cache
def _shares() -> dict[tuple[str, str], float]:
    shares = {}
    for row in _data()["timeouts"]:
        for text in row["kinds"]:
            shares[parse_kind(text)] = float(row["share"])
    return shares
