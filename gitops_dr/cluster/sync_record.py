"""Keeps in our namespace to which commit a cluster was last brought: one ConfigMap.

It cannot be read back from anything else: what left Git since is known only by the commit before.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitops_dr.cluster.apply import create, get, merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.record import NAMESPACE, ensure_namespace
from gitops_dr.model import Resource

_CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


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
        found = get(connection, _CONFIG_MAPS, NAMESPACE, _name(cluster))
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    data = found.get("data") or {}
    commit, target = data.get("commit"), data.get("target", "")
    if not isinstance(commit, str) or not isinstance(target, str) or not commit:
        return None
    return SyncedTo(commit, target)


def write_synced(connection: Connection, cluster: str, synced: SyncedTo) -> None:
    """Note it down. Raises ``ApiError``."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": _name(cluster)},
        "data": {"commit": synced.commit, "target": synced.target},
    }
    try:
        merge(connection, _CONFIG_MAPS, body)
    except ApiError as error:
        if error.status != 404:
            raise
        ensure_namespace(connection)
        create(connection, _CONFIG_MAPS, body)


def _name(cluster: str) -> str:
    return f"synced-{cluster}"
