"""``gitops-dr volumes list``: every claim, and whether its data is protected.

Reads Git and the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.capture import survey
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.engine.restoring import read_pruned_handles, read_records
from gitops_dr.engine.snapshots import listed
from gitops_dr.events import Emit, silent
from gitops_dr.model import Body, Ref
from gitops_dr.results.volumes import VolumeStanding
from gitops_dr.volumes.records import SnapshotRecord, Survives
from gitops_dr.volumes.retention import handle_of

_CLAIM = ("", "PersistentVolumeClaim")


def volumes(where: Where, *, emit: Emit = silent) -> tuple[VolumeStanding, ...]:
    """Every claim of the cluster, sorted, and the newest snapshot that Git has of it.

    Raises ``ClusterError`` and ``RepositoryError``.
    """
    opened = open_repo(where, emit)
    tree = read_tree(opened.repo, opened.head, opened.settings.prefix)
    connection = open_cluster(where, opened.settings)
    surveyed = survey(connection, opened.settings.volumes)
    gone = read_pruned_handles(tree)
    records = {r: one for r, one in read_records(tree).items() if handle_of(one) not in gone}
    max_age = opened.settings.volumes.max_age
    oldest = None if max_age is None else datetime.now(UTC) - max_age
    users = _users(listed(connection, "/api/v1/pods"), _owners(connection))
    found = []
    for body in surveyed.claims:
        metadata, spec = body["metadata"], body.get("spec") or {}
        ref = Ref(*_CLAIM, metadata["namespace"], metadata["name"])
        record = records.get(ref)
        found.append(
            VolumeStanding(
                claim=ref,
                driver=surveyed.drivers.get(ref, ""),
                size=((body.get("status") or {}).get("capacity") or {}).get("storage")
                or ((spec.get("resources") or {}).get("requests") or {}).get("storage", ""),
                workload=users.get((ref.namespace, ref.name), ""),
                record=record,
                reason=surveyed.reasons.get(ref) or _reason(record, ref, tree, oldest),
            )
        )
    return tuple(sorted(found, key=lambda standing: standing.claim))


def _reason(record: SnapshotRecord | None, ref: Ref, tree: Tree, oldest: datetime | None) -> str:
    """Why a claim that can be captured is not protected; empty if it is."""
    last_time = tree.coverage.unprotected.get(ref, "") if tree.coverage else ""
    if record is None:
        return last_time or "no snapshot of it was taken yet"
    if record.survives is Survives.VOLUME:
        return "its snapshots die with the volume"
    if oldest is not None and (record.moment is None or record.moment < oldest):
        return last_time or "its newest snapshot is older than volumes.maxAge allows"
    return last_time


def _owners(connection: Connection) -> Mapping[tuple[str, str], str]:
    """The controller of each ReplicaSet, as ``Kind/name``, by namespace and name."""
    found = {}
    for body in listed(connection, "/apis/apps/v1/replicasets"):
        metadata = body["metadata"]
        found[metadata["namespace"], metadata["name"]] = _controller(body)
    return found


def _users(
    pods: Iterable[Body], owners: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], str]:
    """What uses each claim, by namespace and name: its workload, or else its pod."""
    found = {}
    for pod in pods:
        metadata = pod["metadata"]
        user = _controller(pod)
        kind, _, name = user.partition("/")
        if kind == "ReplicaSet":
            user = owners.get((metadata["namespace"], name)) or user
        for volume in (pod.get("spec") or {}).get("volumes") or ():
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim:
                found[metadata["namespace"], claim] = user or f"Pod/{metadata['name']}"
    return found


def _controller(body: Body) -> str:
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']}/{owner['name']}"
    return ""
