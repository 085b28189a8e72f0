"""Keeps the log of recovery points in our namespace of the cluster, if there is one.

Reads and writes one ConfigMap there. Whoever may not does without: the log is kept in the clone,
too, and only together are they hard to lose.
"""

from __future__ import annotations

from gitops_dr.cluster.apply import create, get, merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.record import NAMESPACE
from gitops_dr.model import Resource

_CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
_NAME, _KEY = "recovery-points", "points"
_REFUSED = (403, 404)


def read_point_record(connection: Connection) -> str:
    """The log as the cluster has it; empty if it has none, or if nobody lets us look."""
    try:
        found = get(connection, _CONFIG_MAPS, NAMESPACE, _NAME)
    except ApiError as error:
        if error.status in _REFUSED:
            return ""
        raise
    text = (found.get("data") or {}).get(_KEY)
    return text if isinstance(text, str) else ""


def write_point_record(connection: Connection, text: str) -> None:
    """Keep the log in the cluster; not if our namespace is not there, or nobody lets us."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": _NAME},
        "data": {_KEY: text},
    }
    try:
        try:
            merge(connection, _CONFIG_MAPS, body)
        except ApiError as error:
            if error.status != 404:
                raise
            create(connection, _CONFIG_MAPS, body)
    except ApiError as error:
        # 409: somebody else made it in this very moment, with a log that is as new.
        if error.status not in (*_REFUSED, 409):
            raise
