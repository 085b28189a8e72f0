"""What bringing a standby's claims up to date would do, and did. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_dr.model import Gap

if TYPE_CHECKING:
    from gitops_dr.results.volumes import ClaimRestore


@dataclass(frozen=True, slots=True)
class KeptVolume:
    """A PersistentVolume that a claim had before it was replaced."""

    volume: str
    claim: str
    """``namespace/name``."""
    stays: str = ""
    """Why it is not given back to its reclaim policy by itself; empty if it may be."""


@dataclass(frozen=True, slots=True)
class ClaimsPlan:
    """What of a standby's claims is replaced."""

    replaced: tuple[Gap, ...] = ()
    """Claims that get the commit's data, and what they hold now. Their volumes are kept."""
    left: tuple[Gap, ...] = ()
    """Claims that hold other data and keep it, with the reason."""
    going: tuple[KeptVolume, ...] = ()
    """Volumes of earlier replacements that are given back to their reclaim policy."""


@dataclass(frozen=True, slots=True)
class ClaimsBrought:
    """What was done to a standby's claims."""

    replaced: tuple[ClaimRestore, ...] = ()
    left: tuple[Gap, ...] = ()
    """Claims that hold other data and keep it, with the reason."""
    gone: tuple[KeptVolume, ...] = ()
    """Volumes that were given back to their reclaim policy, which deletes them."""
    kept: tuple[KeptVolume, ...] = ()
    """Every volume of the cluster that a replaced claim had and that is there still."""
