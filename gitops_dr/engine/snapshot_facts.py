"""Finds out whether snapshots are served and somebody looks at them. Reads from the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from gitops_dr.checks.facts import Problem, SnapshotFacts
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.discover import Discovery
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine.snapshots import CONTENTS, SNAPSHOTS, listed
from gitops_dr.model import Body

_VOLUMES = "/api/v1/persistentvolumes"
_CLASSES = f"/apis/{CONTENTS.group}/v1/volumesnapshotclasses"
_LEADER = "snapshot-controller-leader"
"""The Lease of kubernetes-csi/external-snapshotter's controller."""
_SLOW = 60.0
"""Seconds after which a snapshot that nobody has looked at says that nobody does."""
_SILENT = 300.0
"""Seconds after which a leader that renews its Lease every few seconds is gone, whatever clocks."""


def snapshot_facts(connection: Connection, discovery: Discovery) -> SnapshotFacts:
    """How the cluster is fit for snapshots. What may not be looked at is a problem of it."""
    served = any(
        (r.group, r.version, r.plural) == (SNAPSHOTS.group, "v1", SNAPSHOTS.plural)
        for r in discovery.resources
    )
    if not served:
        return SnapshotFacts(served=False)
    classes: dict[str, int] = {}
    try:
        for one in listed(connection, _CLASSES):
            driver = str(one.get("driver", ""))
            classes[driver] = classes.get(driver, 0) + 1
        drivers = {
            str(csi.get("driver", ""))
            for one in listed(connection, _VOLUMES)
            if (csi := (one.get("spec") or {}).get("csi"))
        }
        leader = _leader(connection)
        untouched = _untouched(listed(connection, collection_path(SNAPSHOTS)))
    except ApiError as error:
        return SnapshotFacts(served=True, problem=Problem(error.message, error.hint))
    return SnapshotFacts(
        served=True,
        drivers=tuple(sorted(drivers)),
        classes=classes,
        untouched=tuple(sorted(untouched)),
        leader=leader,
    )


def _leader(connection: Connection) -> str:
    """Why the snapshot controller seems dead; empty if there is no sign of that.

    Where a provider runs it there may be no Lease to see, which is no sign. Raises ``ApiError``.
    """
    leases = _leases(connection)
    renewed = [
        datetime.fromisoformat(time)
        for lease in leases
        if (time := (lease.get("spec") or {}).get("renewTime"))
    ]
    if not renewed:
        return ""
    ago = (datetime.now(UTC) - max(renewed)).total_seconds()
    return f"its Lease was renewed {ago / 60:.0f} minutes ago for the last time" * (ago > _SILENT)


def _leases(connection: Connection) -> list[Body]:
    try:
        path = "/apis/coordination.k8s.io/v1/leases"
        query = {"fieldSelector": f"metadata.name={_LEADER}"}
        found: list[Body] = connection.json("GET", path, query=query).get("items") or []
    except ApiError as error:
        if error.status in (403, 404):
            return []
        raise
    return found


def _untouched(snapshots: Iterable[Body]) -> list[str]:
    found = []
    for one in snapshots:
        metadata = one["metadata"]
        made = datetime.fromisoformat(metadata["creationTimestamp"])
        waited = (datetime.now(UTC) - made).total_seconds()
        if not one.get("status") and waited > _SLOW:
            found.append(f"{metadata['namespace']}/{metadata['name']}")
    return found
