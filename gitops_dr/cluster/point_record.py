"""Keeps the log of recovery points in our namespace of the cluster, if there is one.

Reads and writes one ConfigMap there. Whoever may not does without: the log is kept in the clone,
too, and only together are they hard to lose.
"""

from __future__ import annotations

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.record import keep, kept

_NAME, _KEY = "recovery-points", "points"


def read_point_record(connection: Connection) -> str:
    """The log as the cluster has it; empty if it has none, or if nobody lets us look."""
    try:
        text = (kept(connection, _NAME) or {}).get(_KEY)
    except ApiError as error:
        if error.status == 403:
            return ""
        raise
    return text if isinstance(text, str) else ""


def write_point_record(connection: Connection, text: str) -> None:
    """Keep the log in the cluster; not if our namespace is not there, or nobody lets us."""
    try:
        keep(connection, _NAME, {_KEY: text})
    except ApiError as error:
        # 409: somebody else made it in this very moment, with a log that is as new.
        if error.status not in (403, 404, 409):
            raise
