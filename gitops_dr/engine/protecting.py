"""Makes the snapshots of a recovery point and its commit one: both are there, or neither.

Writes to the cluster; reads Git.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.capture import (
    Captured,
    InScope,
    capture,
    clear_unfinished,
    discard,
    mark_kept,
)
from gitops_dr.engine.opening import Opened
from gitops_dr.engine.recorded import Tree
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import Ref
from gitops_dr.repository.history import first_commit, has_trailer
from gitops_dr.volumes.records import VOLUMES, record_path, write_record

SNAPSHOT_SET = "Snapshot-Set"
"""The trailer that names the snapshot set of a commit."""

NO_SNAPSHOTS = Captured("")


@contextmanager
def snapshots(
    connection: Connection,
    opened: Opened,
    in_scope: InScope | None,
    *,
    timeout: float,
    emit: Emit = silent,
) -> Iterator[Captured]:
    """Take the snapshots for the commit that is made inside; none without a scope.

    What an earlier run has left without a commit is cleared away first. If the commit fails, the
    snapshots are taken back; a run that is killed leaves that to the next. Raises ``ClusterError``.
    """
    if in_scope is None:
        yield NO_SNAPSHOTS
        return
    source = repository_label(opened)
    for ref in clear_left_over(connection, opened, source):
        emit(Notice(f"{ref}: left by a run that did not end, and removed"))
    captured = capture(
        connection, opened.settings.volumes, source, in_scope=in_scope, timeout=timeout, emit=emit
    )
    try:
        yield captured
    except BaseException:
        discard(connection, captured.records)
        raise
    mark_kept(connection, captured.records)


def clear_left_over(connection: Connection, opened: Opened, source: str) -> list[Ref]:
    """Remove the snapshots of runs that did not end; returns them. Raises ``ClusterError``."""

    def is_recorded(snapshot_set: str) -> bool:
        return opened.head is not None and has_trailer(
            opened.repo, opened.head, SNAPSHOT_SET, snapshot_set
        )

    return clear_unfinished(connection, source, is_recorded)


def repository_label(opened: Opened) -> str:
    """By what snapshots of this repository and cluster are told from others': a label's value."""
    first = first_commit(opened.repo, opened.head) if opened.head else ""
    told = f"{first}\0{opened.settings.name}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def record_files(
    tree: Tree, captured: Captured, claims: Collection[Ref]
) -> dict[str, bytes | None]:
    """The record files that change: path to bytes, None to delete.

    A record goes with its claim. One whose claim has no new snapshot stays: its data is still to
    be had. ``claims``: those that Git has after the commit.
    """
    kept = {record_path(ref) for ref in claims}
    files: dict[str, bytes | None] = {
        path: None for path in tree.files if path.startswith(VOLUMES) and path not in kept
    }
    for record in captured.records:
        if record.ref in claims:
            files[record_path(record.ref)] = write_record(record)
    return files


def unprotected(
    before: Mapping[Ref, str], captured: Captured, claims: Collection[Ref]
) -> dict[Ref, str]:
    """Why claims have no snapshot of this or of the last set that they were in; by claim.

    ``before``: what the last recovery point says.
    """
    found = {**before, **{gap.ref: gap.reason for gap in captured.gaps}}
    for record in captured.records:
        found.pop(record.ref, None)
    return {ref: reason for ref, reason in sorted(found.items()) if ref in claims}
