"""A target's State beside the source's, object by object, with the reason of each field. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitops_dr.model import Difference, Ref


class Change(StrEnum):
    """How an object differs between the source and a target."""

    CHANGED = "changed"
    ADDED = "added"
    """Only at the target."""
    LEFT_OUT = "left out"
    """Only at the source."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What a target makes of one object."""

    change: Change
    difference: Difference
    """Its Ref is the target's, unless it is left out; ``old`` is the source's value of a field,
    ``new`` the target's."""
    source: Ref | None = None
    """Which object of the source it is; None if it is only at the target."""
    reasons: tuple[str, ...] = ()
    """Why each of the difference's fields is another, in their order."""
    because: str = ""
    """Why it is only on one side, and where that is said."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A target's State beside the source's."""

    cluster: str
    commit: str
    target: str
    rewritings: tuple[Rewriting, ...]
    same: int
    """Objects that are the same in both."""
    idle: tuple[str, ...] = ()
    """Patches and mappings that are about no object."""
    unreadable: tuple[str, ...] = ()
    """Files of the commit that are no manifests."""
