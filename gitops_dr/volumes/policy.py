"""What people want of their volumes: which are captured, how, and what a restore may do. Pure.

The rows come from ``volumes:`` in ``gitops-dr.yaml``; the first that matches a claim counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from gitops_dr.manifests.selector import ObjectSelector
from gitops_dr.model import Ref

_EVERY = ObjectSelector()


class WithoutData(StrEnum):
    """What a rebuild does about a claim that no usable snapshot fills."""

    REQUIRED = "required"
    """Stops before the first write."""
    EMPTY = "empty"
    """Starts it empty, and says so."""
    SKIP = "skip"
    """Leaves the claim out."""


class OnError(StrEnum):
    """What becomes of a snapshot whose hook fails."""

    FAIL = "fail"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Hook:
    """A command in a container of the pod that uses the volume."""

    command: tuple[str, ...]
    container: str = ""
    """Empty: the pod's first."""
    timeout: float = 30.0
    """Seconds."""
    on_error: OnError = OnError.FAIL


@dataclass(frozen=True, slots=True)
class VolumePolicy:
    """One row: the claims that it is about, and what is wanted of them."""

    selector: ObjectSelector = _EVERY
    capture: bool = True
    """False: no snapshot is taken, on purpose."""
    snapshot_class: str = ""
    """The VolumeSnapshotClass to use; empty: the driver's only one."""
    without_data: WithoutData | None = None
    """None: ``required`` for a claim that ever had a snapshot."""
    pre: Hook | None = None
    post: Hook | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """How many recovery points of volumes retention keeps, as restic counts them."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """All that ``gitops-dr.yaml`` says of volumes."""

    policies: tuple[VolumePolicy, ...] = ()
    snapshot_classes: Mapping[str, str] = field(default_factory=dict)
    """Driver to the VolumeSnapshotClass to use where no policy names one."""
    survives: Mapping[str, str] = field(default_factory=dict)
    """Driver to what must go for its snapshots to go, where the shipped table is wrong."""
    keep: Keep = Keep()
    max_age: timedelta | None = None
    """How old the newest snapshot of a claim may be; None: as old as it is."""


NO_POLICY = VolumePolicy()


def policy_for(
    claim: Ref, labels: Mapping[str, str], policies: Iterable[VolumePolicy]
) -> VolumePolicy:
    """The first policy that matches the claim, or the default one."""
    return next((one for one in policies if one.selector.matches(claim, labels)), NO_POLICY)
