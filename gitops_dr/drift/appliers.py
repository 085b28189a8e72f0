"""Knows which field managers apply what is in Git: the rows of ``appliers.yaml``. Pure.

A controller that applies comes back by itself: what somebody else writes into its fields does not
stay. Whoever applies on the server's side and is in no row is taken for one, such as an operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import yamlrocks

from gitops_dr.model import FieldManager
from gitops_dr.resources import shipped


@dataclass(frozen=True, slots=True)
class Applier:
    """A field manager that applies what is in Git."""

    name: str
    because: str
    link: str
    operation: str = ""
    """Only by this one; empty: by any."""
    by_hand: bool = False
    """It runs when a person runs it, and not by itself."""


@cache
def appliers() -> tuple[Applier, ...]:
    """Read the rows, in file order."""
    raw = yamlrocks.loads(shipped("drift/appliers.yaml").read_bytes())
    return tuple(Applier(by_hand=row.pop("byHand", False), **row) for row in raw)


def applies_git(manager: FieldManager) -> bool:
    """Whether a manager is known to apply what is in Git."""
    return any(
        row.name == manager.name and row.operation in ("", manager.operation) for row in appliers()
    )


def puts_back(manager: FieldManager) -> bool:
    """Whether a manager applies by itself, and so puts back what somebody else has changed."""
    if manager.trusted or manager.subresource:
        return False
    rows = [row for row in appliers() if row.name == manager.name]
    if rows:
        return any(not row.by_hand and row.operation in ("", manager.operation) for row in rows)
    return manager.operation == "Apply"


def whose(path: str, managers: Iterable[FieldManager]) -> str:
    """Say whom a field belongs to who would put it back; empty if there is nobody."""
    for manager in managers:
        if puts_back(manager):
            when = f", {manager.time}" if manager.time else ""
            return f"{path} belongs to {manager.name} ({manager.operation}{when})"
    return ""
