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

_QUIET = 90.0
"""Seconds in which a watch that lives says something: a bookmark comes about every minute. One that
says nothing is opened anew, from where it was."""


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
    revision = ""
    while not stop.is_set():
        try:
            revision = revision or _list(connection, resource, seen)
            revision = _follow(connection, resource, revision, seen, stop)
        except ApiError as error:
            # A server that answers may have forgotten the revision; one that does not has not.
            revision = "" if error.status else revision
        stop.wait(_RESTART)


def _list(connection: Connection, resource: Resource, seen: Callable[[Body], None]) -> str:
    """Show everything that is there; returns the revision from which to follow."""
    first = ""
    for page in list_pages(connection, [ListRequest(resource)]):
        if page.error:
            raise page.error
        # Later pages may be newer. What is then seen twice ends with the newest all the same.
        first = first or page.revision
        for body in page.items:
            seen(body)
    return first


def _follow(
    connection: Connection,
    resource: Resource,
    revision: str,
    seen: Callable[[Body], None],
    stop: threading.Event,
) -> str:
    """Read one watch to its end, good or bad.

    Returns the revision from which to go on; empty if everything must be listed again. Raises
    ``ApiError`` if the watch cannot be opened.
    """
    query: dict[str, str | int] = {
        "watch": 1,
        "resourceVersion": revision,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": _LIFE,
    }
    stream = connection.open_stream(collection_path(resource), query=query, read_timeout=_QUIET)
    try:
        rest = b""
        for piece in stream.stream(1 << 16):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if stop.is_set():
                    return revision
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    return ""
                body = event["object"]
                if event["type"] in ("ADDED", "MODIFIED"):
                    seen(body)
                # Only now: if it could not be taken in, it must come again.
                revision = body["metadata"]["resourceVersion"]
    except (ApiError, orjson.JSONDecodeError):
        return revision
    finally:
        stream.close()
    return revision
