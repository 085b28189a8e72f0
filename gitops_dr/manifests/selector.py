"""Says which objects a person means: patterns over a Ref, and labels. Pure.

The only place for it: ignore rules, policies and targets choose their objects with this. In every
pattern ``*`` stands for any characters and ``?`` for one; all others stand for themselves, upper
and lower case apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from gitops_dr.model import Ref

_KEY: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE: Final = r"[A-Za-z0-9._*?-]*"
_REQUIREMENT: Final = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<equality>==?|!=)\s*(?P<value>{_VALUE})"
    rf"|\s+(?P<set>in|notin)\s*\((?P<values>\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*)\))?)"
    r"\s*(?P<end>,|\Z)",
    re.ASCII,
)


class Operator(StrEnum):
    """How a label is held against values; Kubernetes' own four."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    ABSENT = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on an object's labels. ``values`` are patterns."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it. As in Kubernetes, a label that is not there is ``NotIn``.

        Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
        """
        value = labels.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None
            case Operator.IN:
                return value is not None and self._has(value)
            case Operator.NOT_IN:
                return value is None or not self._has(value)

    def _has(self, value: str) -> bool:
        return any(pattern_matches(pattern, value) for pattern in self.values)

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.IN:
                return f"{self.key} in ({','.join(self.values)})"
            case Operator.NOT_IN:
                return f"{self.key} notin ({','.join(self.values)})"


Labels = tuple[Requirement, ...]
"""All of them must hold; none means any labels."""


@dataclass(frozen=True, slots=True)
class ObjectSelector:
    """The objects that meet all of it. A pattern that is ``None`` asks nothing."""

    group: str | None = None
    """Empty: the core group."""
    kind: str | None = None
    namespace: str | None = None
    """Empty: cluster-scoped objects."""
    name: str | None = None
    labels: Labels = ()

    def names(self, ref: Ref) -> bool:
        """Whether the patterns take in this identity, whatever labels the object has."""
        return (
            (self.group is None or pattern_matches(self.group, ref.group))
            and (self.kind is None or pattern_matches(self.kind, ref.kind))
            and (self.namespace is None or pattern_matches(self.namespace, ref.namespace))
            and (self.name is None or pattern_matches(self.name, ref.name))
        )

    def matches(self, ref: Ref, labels: Mapping[str, str]) -> bool:
        """Whether this object is one of them."""
        return self.names(ref) and all(one.holds(labels) for one in self.labels)

    def __str__(self) -> str:
        """``Kind[.group]/[namespace/]name`` with ``*`` for what is not asked, then the labels."""
        kind = "*" if self.kind is None else self.kind
        group = f".{self.group}" if self.group else ""
        namespace = f"{self.namespace}/" if self.namespace else ""
        words = [f"{kind}{group}/{namespace}{'*' if self.name is None else self.name}"]
        return " ".join([*words, ",".join(map(str, self.labels))]).rstrip()


ALL: Final = ObjectSelector()
"""Asks nothing."""


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether all of ``text`` fits the pattern."""
    if not has_wildcard(pattern):
        return pattern == text
    return _compiled(pattern).fullmatch(text) is not None


def has_wildcard(pattern: str) -> bool:
    """Whether the pattern can fit more than one text."""
    return "*" in pattern or "?" in pattern


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    first, *others = (
        "".join("." if one == "?" else re.escape(one) for one in part)
        for part in re.split(r"\*+", pattern)
    )
    if not others:
        return re.compile(first, re.DOTALL)
    # What stands between two stars is taken where it comes first, and no other place is tried: that
    # finds a fit where there is one, and patterns of many stars do not take for ever.
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{between}.*{others[-1]}", re.DOTALL)


def parse_labels(text: str) -> Labels:
    """Read a label selector as kubectl's ``-l`` takes it, such as ``app=web,tier notin (db),!old``.

    Values may be patterns. Raises ``ValueError`` that says where it stops being a selector.
    """
    found: list[Requirement] = []
    position, goes_on = 0, True
    while goes_on:
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is no label selector: stopped at character {position + 1}")
        found.append(_requirement(match))
        position, goes_on = match.end(), match["end"] == ","
    return tuple(found)


def _requirement(match: re.Match[str]) -> Requirement:
    if match["absent"] is not None:
        return Requirement(match["absent"], Operator.ABSENT)
    if match["equality"] is not None:
        operator = Operator.NOT_IN if match["equality"] == "!=" else Operator.IN
        return Requirement(match["key"], operator, (match["value"],))
    if match["set"] is not None:
        operator = Operator.IN if match["set"] == "in" else Operator.NOT_IN
        values = tuple(value.strip() for value in match["values"].split(","))
        return Requirement(match["key"], operator, values)
    return Requirement(match["key"], Operator.EXISTS)


def equal_labels(wanted: Mapping[str, str]) -> Labels:
    """Ask for each of these labels with its value, which may be a pattern."""
    return tuple(Requirement(key, Operator.IN, (value,)) for key, value in wanted.items())


def selector_labels(selector: Mapping[str, Any]) -> Labels:
    """Read a label selector as manifests have it (``matchLabels``, ``matchExpressions``).

    What is not as the API has it asks nothing.
    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/
    """
    equal, others = selector.get("matchLabels"), selector.get("matchExpressions")
    found = [
        Requirement(key, Operator.IN, (value,))
        for key, value in (equal.items() if isinstance(equal, dict) else ())
        if isinstance(value, str)
    ]
    for one in others if isinstance(others, list) else ():
        key, operator = (one.get("key"), one.get("operator")) if isinstance(one, dict) else ("", "")
        if isinstance(key, str) and isinstance(operator, str) and operator in _OPERATORS:
            values = one.get("values")
            listed = values if isinstance(values, list) else ()
            texts = tuple(each for each in listed if isinstance(each, str))
            found.append(Requirement(key, _OPERATORS[operator], texts))
    return tuple(found)


_OPERATORS: Final = {operator.value: operator for operator in Operator}
