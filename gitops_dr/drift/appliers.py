"""Knows which field managers apply what is in Git: the rows of ``appliers.yaml``. Pure."""

from __future__ import annotations

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


@cache
def appliers() -> tuple[Applier, ...]:
    """Read the rows, in file order."""
    raw = yamlrocks.loads(shipped("drift/appliers.yaml").read_bytes())
    return tuple(Applier(**row) for row in raw)


def applies_git(manager: FieldManager) -> bool:
    """Whether a manager is known to apply what is in Git."""
    return any(
        row.name == manager.name and row.operation in ("", manager.operation) for row in appliers()
    )
