"""Finds the snapshots that a repository has recorded, and those of them that are still there.

Reads Git and the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine.opening import Opened
from gitops_dr.engine.recorded import read_tree
from gitops_dr.engine.restoring import read_pruned_handles, read_records
from gitops_dr.engine.snapshots import CONTENTS, SNAPSHOTS, listed
from gitops_dr.model import Body
from gitops_dr.repository.history import past_files, tagged
from gitops_dr.repository.tree import read
from gitops_dr.volumes.capture import SOURCE, is_usable
from gitops_dr.volumes.records import VOLUMES, SnapshotRecord, read_record
from gitops_dr.volumes.retention import Handle, handle_of


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """A VolumeSnapshot of ours and its content."""

    namespace: str
    name: str
    handle: Handle
    ready: bool


@dataclass(frozen=True, slots=True)
class KeptSnapshots:
    """What Git says of snapshots, and what the cluster has of them."""

    records: tuple[SnapshotRecord, ...]
    """Every one that a commit at or before HEAD holds and that is not pruned, once each."""
    gone: frozenset[Handle]
    """Those that Git says were pruned."""
    tagged: frozenset[Handle]
    """Those of recovery points that a tag names."""
    live: Mapping[Handle, LiveSnapshot]
    """Those of this repository that the cluster has."""


def kept_snapshots(connection: Connection, opened: Opened, source: str) -> KeptSnapshots:
    """Read them all. Raises ``RepositoryError`` and ``ClusterError``."""
    repo, prefix = opened.repo, opened.settings.prefix
    gone = read_pruned_handles(read_tree(repo, opened.head, prefix))
    files = past_files(repo, opened.head, f"{prefix}/{VOLUMES}") if opened.head else {}
    records: dict[Handle, SnapshotRecord] = {}
    for (blob, path), (_, data) in zip(files.items(), read(repo, list(files)), strict=True):
        record = read_record(data, f"{path} ({blob[:12]})")
        records.setdefault(handle_of(record), record)
    protected = {
        handle_of(record)
        for commit in tagged(repo)
        for record in read_records(read_tree(repo, commit, prefix)).values()
    }
    return KeptSnapshots(
        records=tuple(record for handle, record in records.items() if handle not in gone),
        gone=gone,
        tagged=frozenset(protected),
        live=_live(connection, source),
    )


def _live(connection: Connection, source: str) -> dict[Handle, LiveSnapshot]:
    contents: dict[str, Body] = {
        body["metadata"]["name"]: body for body in listed(connection, collection_path(CONTENTS))
    }
    query = {"labelSelector": f"{SOURCE}={source}"}
    found: dict[Handle, LiveSnapshot] = {}
    for body in listed(connection, collection_path(SNAPSHOTS), query):
        name = (body.get("status") or {}).get("boundVolumeSnapshotContentName") or ""
        content = contents.get(name)
        handle = ((content or {}).get("status") or {}).get("snapshotHandle")
        if content is None or not handle:
            continue
        metadata = body["metadata"]
        key = (str(content["spec"]["driver"]), str(handle))
        found[key] = LiveSnapshot(metadata["namespace"], metadata["name"], key, is_usable(body))
    return found
