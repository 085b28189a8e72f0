"""Rewrites a commit's State for the cluster it is meant for. Pure.

The identity target is the source itself: everything is wanted as it stands in Git.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitops_dr.model import State


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rebuild goes. Without a name it is the identity target."""

    name: str = ""


IDENTITY = Target()


def desired(recorded: State, target: Target) -> State:
    """Say which State ``target`` should have, given what Git recorded of the source.

    Everything that compares or rebuilds goes through here, so that an intended difference of a
    target can never be taken for drift.
    """
    if target != IDENTITY:
        raise ValueError(f"target {target.name!r}: only the identity target exists")
    return recorded
