"""Keeps in our namespace to which commit a cluster was last brought: one ConfigMap.

It cannot be read back from anything else: what left Git since is known only by the commit before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.record import keep, kept

_KEYS: Final = ("commit", "target", "targets")


@dataclass(frozen=True, slots=True)
class SyncedTo:
    """What a cluster was last brought to."""

    commit: str
    """Full id."""
    target: str = ""
    """Name of the target; empty for the source itself."""
    targets: str = ""
    """Full id of the commit whose ``targets/`` counted, which ``commit`` need not be."""


def read_synced(connection: Connection, cluster: str) -> SyncedTo | None:
    """The commit of ``cluster`` that this one was last brought to; None if nobody knows.

    Raises ``ApiError`` if it cannot be read although it may be there.
    """
    data = kept(connection, _name(cluster))
    if data is None:
        return None
    found = [data.get(key, "") for key in _KEYS]
    if not found[0] or not all(isinstance(value, str) for value in found):
        return None
    return SyncedTo(*found)


def write_synced(connection: Connection, cluster: str, synced: SyncedTo) -> None:
    """Note it down. Raises ``ApiError``."""
    data = {key: getattr(synced, key) for key in _KEYS}
    keep(connection, _name(cluster), data, make_namespace=True)


def _name(cluster: str) -> str:
    return f"synced-{cluster}"
