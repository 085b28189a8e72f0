"""Deletes an object and makes it again, since the API server does not change it. Writes.

Deleted is only the object that was looked at: by its UID and resourceVersion. What comes instead is
Git's, so whoever is killed in between finds it missing the next time, and makes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from gitops_dr.cluster.apply import get
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.refusals import perhaps_done, too_early
from gitops_dr.model import Body, Ref, Resource, Result
from gitops_dr.planning.immutable import propagation, what_is_lost

_WHILE = 3.0
"""Seconds for which the end of the old object is awaited; then the step is tried again later."""

_LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class Replaced:
    """What one attempt at a replacement led to."""

    result: Result
    reason: str = ""
    stored: Body | None = None
    again: bool = False
    """It is not done; try again."""
    perhaps_done: bool = False


def replace_object(
    connection: Connection,
    ref: Ref,
    resource: Resource,
    is_as_wanted: Callable[[Body], bool],
    make: Callable[[], Body],
) -> Replaced:
    """Delete an object and make another in its place; go on with what an attempt before began.

    ``is_as_wanted`` judges a live object, ``make`` creates the new one. An object with which
    something would be lost by now is left. Raises ``ApiError`` for what was refused before anything
    was deleted.
    """
    live = find_served(connection, ref, resource)
    if live is not None and not live["metadata"].get("deletionTimestamp"):
        if is_as_wanted(live):
            return Replaced(Result.PRESENT, stored=live)
        if lost := what_is_lost(ref, (), live):
            return Replaced(Result.FAILED, f"not replaced: {lost}", live)
        _delete(connection, ref, resource, live)
    held = _awaited(connection, ref, resource) if live is not None else None
    if held is not None:
        return Replaced(Result.FAILED, f"is being deleted, and is held by {held}", again=True)
    try:
        return Replaced(Result.DONE, stored=make())
    except ApiError as error:
        if error.reason != "AlreadyExists" or too_early(error):
            # The quota may still count the old one, and nothing must stay deleted for less.
            said = f"was deleted, and is not made again yet: {error.message}"
            return Replaced(Result.FAILED, said, again=True, perhaps_done=perhaps_done(error))
    live = get(connection, resource, ref.namespace, ref.name)
    if is_as_wanted(live):
        return Replaced(Result.PRESENT, stored=live)
    return Replaced(Result.FAILED, "was deleted, and somebody else has made another", live)


def _delete(connection: Connection, ref: Ref, resource: Resource, live: Body) -> None:
    metadata = live["metadata"]
    same = {key: metadata[key] for key in ("uid", "resourceVersion") if metadata.get(key)}
    options = {"preconditions": same, "propagationPolicy": propagation(ref)}
    path = object_path(resource, ref.namespace, ref.name)
    try:
        connection.request("DELETE", path, body=orjson.dumps(options))
    except ApiError as error:
        if error.status != 404 or too_early(error):
            raise


def _awaited(connection: Connection, ref: Ref, resource: Resource) -> str | None:
    """Wait until the object is gone; who holds it if it is still there, else None."""
    deadline = time.monotonic() + _WHILE
    while (live := find_served(connection, ref, resource)) is not None:
        if not live["metadata"].get("deletionTimestamp"):
            return None  # Somebody has made another; whoever makes ours is told so.
        if time.monotonic() > deadline:
            return ", ".join(live["metadata"].get("finalizers") or ()) or "nobody says by whom"
        time.sleep(_LOOK_AGAIN)
    return None


def find_served(connection: Connection, ref: Ref, resource: Resource) -> Body | None:
    """An object as it is; None if it is not there. Raises ``ApiError``, also if its kind is not."""
    try:
        return get(connection, resource, ref.namespace, ref.name)
    except ApiError as error:
        if error.status == 404 and not too_early(error):
            return None
        raise
