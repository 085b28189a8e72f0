"""Makes the VolumeSnapshots of one set, looks at them and takes them back. Writes the cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson

from gitops_dr.cluster.apply import get, patch
from gitops_dr.cluster.connect import CONNECTIONS, ApiError, Connection
from gitops_dr.cluster.listing import collection_path, object_path
from gitops_dr.model import Body, Ref, Resource
from gitops_dr.volumes.capture import (
    GROUP,
    SET,
    CannotCaptureError,
    Protectable,
    error_of,
    is_cut,
    snapshot_body,
    snapshot_name,
    unsound,
)

SNAPSHOTS = Resource(GROUP, "v1", "VolumeSnapshot", "volumesnapshots", namespaced=True)
CONTENTS = Resource(
    GROUP, "v1", "VolumeSnapshotContent", "volumesnapshotcontents", namespaced=False
)
AT_ONCE = CONNECTIONS
"""Requests in flight at once."""
MERGE = "application/merge-patch+json"
TAKEN_BACK = "gitops-dr.dev/taken-back"
"""Annotation of a content: when we last asked for its snapshot to be deleted."""
LOOK_AGAIN = 0.25
"""Seconds between two looks at the snapshots of a set; a look is one list of them."""

_NOBODY_ANSWERS = 15.0
"""Seconds after which snapshots that nobody has touched mean that no snapshot controller runs."""
_UNTOUCHED = (
    "nobody has taken its VolumeSnapshot up: is the snapshot controller running, and the driver's "
    "csi-snapshotter beside it?"
)


class SnapshotSet:
    """The snapshots of one run. Threads may share it, and share its looks at the cluster."""

    def __init__(self, connection: Connection, name: str, source: str) -> None:
        self.name = name
        self._connection = connection
        self._source = source
        self._taken: dict[Ref, float] = {}
        """When each snapshot was there, on the monotonic clock."""
        self._newest = 0.0
        self._looking = threading.Lock()
        self._looked = float("-inf")
        """When the last look began."""
        self._seen: Mapping[tuple[str, str], Body] = {}
        self._touched = 0
        self._news = 0.0
        """When somebody was last seen to have touched more of them than before."""

    @property
    def taken(self) -> frozenset[Ref]:
        """The claims of which there was a snapshot, whatever became of it."""
        return frozenset(self._taken)

    def take(self, ones: Sequence[Protectable]) -> dict[Ref, str]:
        """Create snapshots, several at once; gives the reasons where there is none."""
        if not ones:
            return {}
        with ThreadPoolExecutor(min(AT_ONCE, len(ones))) as pool:
            reasons = list(pool.map(self._create, ones))
        return {
            one.claim: f"no snapshot can be taken of it: {reason}"
            for one, reason in zip(ones, reasons, strict=True)
            if reason
        }

    def await_cut(
        self, claims: Collection[Ref], limit: float, stop: threading.Event
    ) -> dict[Ref, str]:
        """Wait until the data of all is cut; gives the reasons where it is not.

        ``limit`` is in seconds. Once ``stop`` is set no longer is waited. Raises ``ApiError``.
        """
        reasons: dict[Ref, str] = {}
        waiting = set(claims)
        while waiting:
            for ref, found in self.look(waiting, is_cut, limit).items():
                waiting.discard(ref)
                if isinstance(found, str):
                    reasons[ref] = found
            if stop.is_set():
                return reasons | dict.fromkeys(waiting, "the run was interrupted")
            if waiting:
                stop.wait(LOOK_AGAIN)
        return reasons

    def look(
        self,
        claims: Collection[Ref],
        wanted: Callable[[Body], bool],
        limit: float,
        still: Callable[[Ref, str], None] = lambda _ref, _lacking: None,
    ) -> dict[Ref, Body | str]:
        """Look at the snapshots of claims; ``limit`` is how many seconds each may take.

        Gives those that are as ``wanted``, and the reasons for those that will not be waited for
        any longer; ``still`` is told what the others lack. Raises ``ApiError``.
        """
        seen = self._fresh() if claims else {}
        found: dict[Ref, Body | str] = {}
        for ref in sorted(claims):
            snapshot = seen.get((ref.namespace, snapshot_name(ref, self.name)))
            if snapshot is None:
                found[ref] = "its snapshot was deleted while it was taken"
            elif wanted(snapshot):
                found[ref] = snapshot
            else:
                now = time.monotonic()
                passed = now - self._taken[ref]
                # A controller with many to do takes them one after the other.
                lacking = _lacking(snapshot, min(passed, now - self._news))
                if passed > limit or lacking is _UNTOUCHED:
                    found[ref] = lacking
                else:
                    still(ref, lacking)
        return found

    def _create(self, one: Protectable) -> str:
        body = orjson.dumps(snapshot_body(one, self.name, self._source))
        path = collection_path(SNAPSHOTS, one.claim.namespace)
        try:
            self._connection.request("POST", path, body=body)
        except ApiError as error:
            # A write that was stored but not answered is repeated, and then it is there.
            if error.reason != "AlreadyExists":
                return error.message
        self._newest = self._taken[one.claim] = time.monotonic()
        return ""

    def _fresh(self) -> Mapping[tuple[str, str], Body]:
        """The snapshots as they are; what somebody else has just seen will do."""
        with self._looking:
            now = time.monotonic()
            if self._looked < self._newest or now - self._looked >= LOOK_AGAIN:
                query = {"labelSelector": f"{SET}={self.name}"}
                self._seen = {
                    (body["metadata"]["namespace"], body["metadata"]["name"]): body
                    for body in listed(self._connection, collection_path(SNAPSHOTS), query)
                }
                touched = sum(bool(body.get("status")) for body in self._seen.values())
                if touched > self._touched:
                    self._touched, self._news = touched, now
                self._looked = now
            return self._seen


def secure(connection: Connection, snapshot: Body) -> Body:
    """Keep a snapshot's data when its object goes, and check that it is sound; gives its content.

    Otherwise deleting the VolumeSnapshot, or its namespace, deletes the data. One request, because
    there may be thousands: the API server itself sees to it that only this snapshot's content is
    changed. Raises ``ApiError`` and ``CannotCaptureError``.
    """
    name = snapshot["status"].get("boundVolumeSnapshotContentName")
    if not name:
        raise CannotCaptureError("it is bound to no content")
    uid = snapshot["metadata"]["uid"]
    operations: list[Body] = [
        {"op": "test", "path": "/spec/volumeSnapshotRef/uid", "value": uid},
        {"op": "replace", "path": "/spec/deletionPolicy", "value": "Retain"},
    ]
    try:
        content = patch(connection, CONTENTS, "", name, operations)
    except ApiError as error:
        if error.status != 422:
            raise
        reason = unsound(snapshot, get(connection, CONTENTS, "", name))
        raise CannotCaptureError(reason or error.message) from error
    if reason := unsound(snapshot, content):
        raise CannotCaptureError(reason)
    return content


def delete(connection: Connection, namespace: str, name: str) -> None:
    """Delete a snapshot of ours and its data. What is not there any more is as good.

    Raises ``ApiError``.
    """
    path = object_path(SNAPSHOTS, namespace, name)
    with _unless_gone():
        body = connection.json("GET", path)
        content = (body.get("status") or {}).get("boundVolumeSnapshotContentName")
        if content:
            # Of a snapshot that failed, was deleted and was made after all, the driver's sidecar
            # takes no more notice until its content changes, or for a quarter of an hour.
            change = {
                "metadata": {"annotations": {TAKEN_BACK: datetime.now(UTC).isoformat()}},
                "spec": {"deletionPolicy": "Delete"},
            }
            where = object_path(CONTENTS, "", content)
            with _unless_gone():
                connection.request("PATCH", where, body=orjson.dumps(change), content_type=MERGE)
        connection.request("DELETE", path)


@contextmanager
def _unless_gone() -> Iterator[None]:
    """End the block where the API server says that there is nothing."""
    try:
        yield
    except ApiError as error:
        if error.status != 404:
            raise


def listed(
    connection: Connection, path: str, query: Mapping[str, str] | None = None
) -> Iterator[Body]:
    """Every object under a path, page by page; none where the API is not served.

    Raises ``ApiError``.
    """
    continuation = ""
    while True:
        asked = {"limit": "500", **(query or {})}
        if continuation:
            asked["continue"] = continuation
        try:
            document = connection.json("GET", path, query=asked)
        except ApiError as error:
            if error.status == 404:
                return
            raise
        yield from document.get("items") or ()
        continuation = (document.get("metadata") or {}).get("continue") or ""
        if not continuation:
            return


def _lacking(snapshot: Body, passed: float) -> str:
    """What a snapshot lacks so many seconds after it was made."""
    if not snapshot.get("status") and passed > _NOBODY_ANSWERS:
        return _UNTOUCHED
    error = error_of(snapshot)
    if error:
        return f"its snapshot fails: {error}"
    return "its snapshot is cut, but not ready to use" if is_cut(snapshot) else "it is not cut yet"
