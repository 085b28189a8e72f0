"""Keeps in our namespace to which commit a cluster was last brought: one ConfigMap.

It cannot be read back from anything else: what left Git since is known only by the commit before.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.record import keep, kept


@dataclass(frozen=True, slots=True)
class SyncedTo:
    """What a cluster was last brought to."""

    commit: str
    """Full id."""
    target: str = ""
    """Name of the target; empty for the source itself."""


def read_synced(connection: Connection, cluster: str) -> SyncedTo | None:
    """The commit of ``cluster`` that this one was last brought to; None if nobody knows.

    Raises ``ApiError`` if it cannot be read although it may be there.
    """
    try:
        data = kept(connection, _name(cluster))
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    commit, target = data.get("commit"), data.get("target", "")
    if not isinstance(commit, str) or not isinstance(target, str) or not commit:
        return None
    return SyncedTo(commit, target)


def write_synced(connection: Connection, cluster: str, synced: SyncedTo) -> None:
    """Note it down. Raises ``ApiError``."""
    data = {"commit": synced.commit, "target": synced.target}
    keep(connection, _name(cluster), data, make_namespace=True)


def _name(cluster: str) -> str:
    return f"synced-{cluster}"
