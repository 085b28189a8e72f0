"""Keeps in our namespace since when a standby has been at rest: one ConfigMap a cluster.

Its ``creationTimestamp`` is that moment, by the cluster's own clock, as those of claims are.
"""

from __future__ import annotations

from datetime import datetime

from gitops_dr.cluster.apply import create, find
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.cluster.record import NAMESPACE, ensure_namespace
from gitops_dr.manifests.versioned import as_moment
from gitops_dr.model import Body, Resource

_CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


def rests_since(connection: Connection, cluster: str) -> datetime | None:
    """Since when nothing of ours has started anything of ``cluster`` here; None if nobody knows.

    Raises ``ApiError`` if it cannot be read although it may be there.
    """
    found = find(connection, _CONFIG_MAPS, NAMESPACE, _name(cluster))
    return as_moment(str(found["metadata"].get("creationTimestamp") or "")) if found else None


def begin_rest(connection: Connection, cluster: str) -> None:
    """Note that it is at rest from now on, unless that is noted. Raises ``ApiError``."""
    if rests_since(connection, cluster) is not None:
        return
    metadata = {"namespace": NAMESPACE, "name": _name(cluster)}
    body: Body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    ensure_namespace(connection)
    try:
        create(connection, _CONFIG_MAPS, body)
    except ApiError as error:
        if error.status != 409:
            raise


def end_rest(connection: Connection, cluster: str) -> None:
    """Note that something is started here. Raises ``ApiError``."""
    if rests_since(connection, cluster) is None:
        return
    try:
        connection.request("DELETE", object_path(_CONFIG_MAPS, NAMESPACE, _name(cluster)))
    except ApiError as error:
        if error.status != 404:
            raise


def _name(cluster: str) -> str:
    return f"at-rest-{cluster}"
