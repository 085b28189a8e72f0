"""Brings a snapshot that only its handle tells of into a cluster. Writes the cluster.

Content and VolumeSnapshot have names that follow from what is restored, so that a second run finds
what the first has made.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from gitops_dr.cluster.apply import create, get, merge, patch
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.snapshots import CONTENTS, LOOK_AGAIN, SNAPSHOTS
from gitops_dr.errors import ClusterError
from gitops_dr.events import Emit, Waiting, silent
from gitops_dr.model import Body, Ref, Resource
from gitops_dr.readiness import Readiness, readiness
from gitops_dr.volumes.restore import CONTENT, SNAPSHOT, Restoration, contains

# https://github.com/kubernetes-csi/external-provisioner/blob/master/pkg/controller/controller.go
_AS_SOURCE = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
_ASKED = "gitops-dr.dev/asked-again"
"""Annotation on a content: when it was; any change makes its controller look at it."""
_GOES_WITHIN = 10.0
"""Seconds within which a snapshot that nothing holds any more goes."""
_RESOURCES: Mapping[tuple[str, str], Resource] = {CONTENT: CONTENTS, SNAPSHOT: SNAPSHOTS}


def import_snapshot(connection: Connection, made: Restoration) -> Ref:
    """Make content and VolumeSnapshot, or find them there and equal; gives the VolumeSnapshot.

    Raises ``ClusterError``, also where something else has their name.
    """
    for ref in sources(made):
        resource, wanted = _RESOURCES[ref.group_kind], made.bodies[ref]
        try:
            create(connection, resource, wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            live = get(connection, resource, ref.namespace, ref.name)
            if live["metadata"].get("deletionTimestamp"):
                held = ", ".join(live["metadata"].get("finalizers") or ()) or "nobody says why"
                raise ClusterError(
                    f"{ref}: is being deleted, and stays ({held})",
                    hint="once it is gone, run the same command again",
                ) from error
            if not contains(live, wanted):
                raise ClusterError(
                    f"{ref}: exists and differs from what would restore {made.claim}",
                    hint="if nothing uses it, delete it and run the same command again",
                ) from error
            revive(connection, ref, live)
    return sources(made)[-1]


def revive(connection: Connection, ref: Ref, live: Body) -> None:
    """Let what an earlier run has brought in be of use again; nothing for a VolumeSnapshot.

    A content that had an error is looked at again at once, and not once its controller has waited
    for the longest time it knows. One whose VolumeSnapshot is gone is let go. Raises ``ApiError``.
    """
    if ref.group_kind != CONTENT:
        return
    if (live.get("status") or {}).get("error"):
        metadata = {"name": ref.name, "annotations": {_ASKED: datetime.now(UTC).isoformat()}}
        merge(connection, CONTENTS, {"metadata": metadata})
    _free(connection, ref, live["spec"].get("volumeSnapshotRef") or {})


def _free(connection: Connection, ref: Ref, told: Mapping[str, str]) -> None:
    """Let a content be bound again if the VolumeSnapshot that it was bound to is gone.

    It outlives its VolumeSnapshot, which goes with its namespace, and remembers its UID; another
    one of the same name would be refused: "is bound to a different snapshot".
    """
    if not told.get("uid"):
        return
    try:
        snapshot = get(connection, SNAPSHOTS, told["namespace"], told["name"])
        if snapshot["metadata"]["uid"] == told["uid"]:
            return
    except ApiError as error:
        if error.status != 404:
            raise
    operations: list[Body] = [
        {"op": "test", "path": "/spec/volumeSnapshotRef/uid", "value": told["uid"]},
        {"op": "remove", "path": "/spec/volumeSnapshotRef/uid"},
    ]
    if "resourceVersion" in told:
        operations.append({"op": "remove", "path": "/spec/volumeSnapshotRef/resourceVersion"})
    patch(connection, CONTENTS, "", ref.name, operations)


def sources(made: Restoration) -> tuple[Ref, ...]:
    """The content and the VolumeSnapshot of a restoration, in the order in which they are made."""
    return tuple(ref for ref in made.bodies if ref.group_kind in _RESOURCES)


def await_usable(
    connection: Connection, snapshots: Collection[Ref], timeout: float, emit: Emit = silent
) -> None:
    """Wait until volumes can be made from imported VolumeSnapshots.

    ``timeout``: seconds. Raises ``ClusterError`` with what is lacking.
    """
    started = time.monotonic()
    for ref in snapshots:
        while not (found := _readiness(connection, ref)).ready:
            passed = time.monotonic() - started
            limit = timeout if found.patience is None else min(timeout, found.patience)
            if found.failed or passed > limit:
                raise ClusterError(f"{ref}: {found.reason}", hint=_HINT)
            emit(Waiting(ref, found.reason))
            time.sleep(LOOK_AGAIN)


_HINT = "does the storage still have this snapshot, and can the cluster's driver reach it?"


def _readiness(connection: Connection, ref: Ref) -> Readiness:
    body: Body = get(connection, SNAPSHOTS, ref.namespace, ref.name)
    return readiness({**body, "apiVersion": SNAPSHOTS.api_version, "kind": ref.kind})


def forget(connection: Connection, made: Iterable[Restoration]) -> None:
    """Delete imported snapshots and contents again; the storage keeps its snapshot.

    No claim may be filled from them any more. What cannot be deleted is left: a later run finds it.
    """
    for one in made:
        for ref in reversed(sources(one)):
            resource = _RESOURCES[ref.group_kind]
            try:
                live = get(connection, resource, ref.namespace, ref.name)
                if contains(live, one.bodies[ref]):
                    # Contents are only ours, and harmless to delete, while they say Retain.
                    connection.request("DELETE", object_path(resource, ref.namespace, ref.name))
                if ref.group_kind == SNAPSHOT:
                    _let_go(connection, ref)
            except ApiError:
                continue


def _let_go(connection: Connection, ref: Ref) -> None:
    """Take off the provisioner's finalizer, with which neither the snapshot nor its namespace goes.

    The provisioner sets it before it makes a volume, and forgets it if the claim is deleted before
    the volume is made. Raises ``ApiError``, with status 404 once the snapshot is gone.
    """
    deadline = time.monotonic() + _GOES_WITHIN
    while time.monotonic() < deadline:
        live = get(connection, SNAPSHOTS, ref.namespace, ref.name)
        finalizers = live["metadata"].get("finalizers") or []
        kept = [each for each in finalizers if each != _AS_SOURCE]
        revision = live["metadata"]["resourceVersion"]
        metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": revision}
        try:
            if kept != finalizers:
                merge(connection, SNAPSHOTS, {"metadata": {**metadata, "finalizers": kept}})
        except ApiError as error:
            # Its controllers write to it too.
            if error.status != 409:
                raise
        time.sleep(LOOK_AGAIN)
