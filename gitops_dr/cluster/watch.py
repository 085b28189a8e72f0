"""Follows the objects of one resource as they change. Reads from the cluster only."""

from __future__ import annotations

import threading
from collections.abc import Callable

import orjson

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import ListRequest, collection_path, list_pages
from gitops_dr.model import Body, Resource

_RESTART = 1.0
"""Seconds before a watch that broke is taken up again."""

_LIFE = 240
"""Seconds after which the server ends a watch, so that none outlives a dead connection unseen."""


def watch(
    connection: Connection,
    resource: Resource,
    seen: Callable[[Body], None],
    stop: threading.Event,
) -> None:
    """Call ``seen`` with each object that is there and then with each change, until ``stop``.

    Runs in the caller's thread. Failures of the server are waited out: whoever waits for readiness
    has its own deadline.
    """
    while not stop.is_set():
        try:
            revision = _list(connection, resource, seen)
            while not stop.is_set() and revision:
                revision = _follow(connection, resource, revision, seen, stop)
        except ApiError:
            stop.wait(_RESTART)


def _list(connection: Connection, resource: Resource, seen: Callable[[Body], None]) -> str:
    for page in list_pages(connection, [ListRequest(resource)]):
        if page.error:
            raise page.error
        for body in page.items:
            seen(body)
    query = {"limit": 1}
    listed = connection.json("GET", collection_path(resource), query=query)
    return str(listed["metadata"]["resourceVersion"])


def _follow(
    connection: Connection,
    resource: Resource,
    revision: str,
    seen: Callable[[Body], None],
    stop: threading.Event,
) -> str:
    """Read one watch to its end; returns where to go on, empty if everything must be listed again."""
    query: dict[str, str | int] = {
        "watch": 1,
        "resourceVersion": revision,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": _LIFE,
    }
    stream = connection.open_stream(collection_path(resource), query=query, read_timeout=_LIFE + 30)
    try:
        rest = b""
        for piece in stream.stream(1 << 16):
            if stop.is_set():
                return revision
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    return ""
                body = event["object"]
                revision = body["metadata"]["resourceVersion"]
                if event["type"] in ("ADDED", "MODIFIED"):
                    seen(body)
    except (OSError, ValueError) as error:
        raise ApiError(f"{resource.plural}: the watch broke off: {error}", status=0) from error
    finally:
        stream.close()
    return revision
