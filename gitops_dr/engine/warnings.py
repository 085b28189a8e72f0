"""Reads what the events of a namespace warn of. Reads from the cluster only."""

from __future__ import annotations

from collections.abc import Callable

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.engine.snapshots import listed
from gitops_dr.model import Body


def newest_warnings(
    connection: Connection, namespace: str, about: str = ""
) -> dict[tuple[str, str], str]:
    """The newest warning about each object of a namespace, on one line, by its kind and name.

    ``about``: a field selector for which events are read. Raises ``ApiError``.
    """
    selector = f"{about},type=Warning" if about else "type=Warning"
    path = f"/api/v1/namespaces/{namespace}/events"
    found: dict[tuple[str, str], str] = {}
    for event in sorted(listed(connection, path, {"fieldSelector": selector}), key=_when):
        of = event.get("involvedObject") or {}
        message = " ".join(str(event.get("message") or "").split())
        found[str(of.get("kind")), str(of.get("name"))] = message
    return found


class PerNamespace[T]:
    """What is read of each namespace once, where it is asked for.

    Nothing is read any more once one has failed: outcomes stand without it, and each further one
    could take minutes to fail.
    """

    def __init__(self, read: Callable[[str], T]) -> None:
        self._read = read
        self._known: dict[str, T] = {}
        self._answers = True

    def of(self, namespace: str) -> T | None:
        """What is known of a namespace; None if it cannot be had."""
        if self._answers and namespace not in self._known:
            try:
                self._known[namespace] = self._read(namespace)
            except ApiError:
                self._answers = False
        return self._known.get(namespace)


def _when(event: Body) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
