"""Finds out how the claims of a plan come back with their data. Reads from Git and the target.

What is found are rewritten objects; they are planned, ordered and made like all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.fitting import target_facts
from gitops_dr.engine.recorded import Recorded, Tree
from gitops_dr.engine.snapshots import CONTENTS, SNAPSHOTS, listed
from gitops_dr.errors import RepositoryError
from gitops_dr.model import Body, Entry, Gap, Ref
from gitops_dr.repository.tree import read
from gitops_dr.volumes.fitting import Lacking, lacking
from gitops_dr.volumes.policy import VolumeSettings, WithoutData, policy_for
from gitops_dr.volumes.records import VOLUMES, SnapshotRecord, read_record, record_path
from gitops_dr.volumes.restore import (
    GROUP,
    SNAPSHOT,
    CannotRestoreError,
    StorageFacts,
    read_classes,
    restoration,
)
from gitops_dr.volumes.retention import PRUNED, Handle, handle_of, read_pruned

_CLAIM = ("", "PersistentVolumeClaim")
_CLASS = ("storage.k8s.io", "StorageClass")
_SNAPSHOT_CLASS = ("snapshot.storage.k8s.io", "VolumeSnapshotClass")


@dataclass(frozen=True, slots=True)
class Restored:
    """The claims that come back with their data, and what becomes of the others."""

    bodies: Mapping[Ref, Body] = field(default_factory=dict)
    """Claims with their source, and the snapshots and contents that fill them."""
    entries: Mapping[Ref, Entry] = field(default_factory=dict)
    """Of the snapshots and contents, which are in no commit."""
    records: Mapping[Ref, SnapshotRecord] = field(default_factory=dict)
    """The record that each restored claim is made from."""
    blocked: tuple[Gap, ...] = ()
    """Claims whose data is required and cannot be had: nothing may be written."""
    skipped: Mapping[Ref, str] = field(default_factory=dict)
    """Claims that are left out by policy, with the reason."""
    empty: frozenset[Ref] = frozenset()
    """Claims that policy lets start empty."""
    notes: tuple[str, ...] = ()


def restored(
    connection: Connection,
    recorded: Recorded,
    claims: Collection[Ref],
    *,
    settings: VolumeSettings,
    ever: Collection[Ref],
    gone: Collection[Handle] = (),
    accept_empty: bool,
    target_uid: str,
) -> Restored:
    """Say for each missing claim how it comes back.

    ``ever``: claims that have had a snapshot at any time, whose data is therefore required unless a
    policy says otherwise. ``gone``: snapshots that were pruned since. ``accept_empty``: the person
    lets claims without data start empty. Raises ``ClusterError`` if the target cannot be asked,
    ``RepositoryError`` for a record that is none.
    """
    wanted = [ref for ref in claims if ref.group_kind == _CLAIM]
    if not wanted:
        return Restored()
    records = recorded.rewriter.records(read_records(recorded.tree))
    facts = storage_facts(connection, recorded)
    bodies: dict[Ref, Body] = {}
    entries: dict[Ref, Entry] = {}
    used: dict[Ref, SnapshotRecord] = {}
    blocked: list[Gap] = []
    skipped: dict[Ref, str] = {}
    empty: set[Ref] = set()
    notes: list[str] = []
    for ref, body in recorded.bodies(wanted):
        labels = body["metadata"].get("labels") or {}
        policy = policy_for(recorded.sources.get(ref, ref), labels, settings.policies)
        if (body.get("spec") or {}).get("volumeName"):
            continue  # A static volume is there, or comes from Git itself.
        try:
            record = _usable(records.get(ref), gone)
            made = restoration(ref, body, record, facts, target_uid=target_uid)
        except CannotRestoreError as error:
            reason = f"{error} ({error.hint})" if error.hint else str(error)
        else:
            bodies |= made.bodies
            entries |= made.entries
            used[ref] = record
            notes += made.notes
            continue
        required = ref in ever
        if (source := _own_source(body)) and ref not in records:
            trouble = _source_trouble(connection, ref, body, source, facts)
            if not trouble:
                continue  # It is filled from a snapshot that the target has.
            reason, required = trouble, True
        without = policy.without_data or (WithoutData.REQUIRED if required else None)
        if source and (accept_empty or without is WithoutData.EMPTY):
            bodies[ref] = _without_source(body)
        if without is WithoutData.SKIP:
            skipped[ref] = reason
        elif without is WithoutData.EMPTY or (source and accept_empty):
            empty.add(ref)
            said = "as its policy says" if without is WithoutData.EMPTY else "which was accepted"
            notes.append(f"{ref}: starts empty, {said}: {reason}")
        elif without is WithoutData.REQUIRED and not accept_empty:
            blocked.append(Gap(ref, f"its data is required, and {reason}"))
    lacks = Lacking()
    if used:
        facts_of_target = target_facts(connection, recorded.state.entries, used.values())
        lacks = lacking(used, bodies, facts_of_target)
    return Restored(
        bodies=bodies,
        entries=entries,
        records=used,
        blocked=(*sorted(blocked), *lacks.blocked),
        skipped=skipped,
        empty=frozenset(empty),
        notes=(*notes, *torn_sets(used.values()), *lacks.notes),
    )


def _usable(record: SnapshotRecord | None, gone: Collection[Handle]) -> SnapshotRecord:
    """The record, if its snapshot is still there. Raises ``CannotRestoreError``."""
    if record is None:
        raise CannotRestoreError("the recovery point has no snapshot of it")
    if handle_of(record) in gone:
        raise CannotRestoreError(f"its snapshot of {record.created} was pruned")
    return record


def _own_source(body: Body) -> str:
    """The VolumeSnapshot that a claim in Git is to be filled from; empty for none."""
    spec = body.get("spec") or {}
    source = spec.get("dataSourceRef") or spec.get("dataSource") or {}
    snapshot = source.get("kind") == SNAPSHOT[1] and source.get("apiGroup") == GROUP
    return str(source.get("name") or "") if snapshot else ""


def _source_trouble(
    connection: Connection, ref: Ref, body: Body, source: str, facts: StorageFacts
) -> str:
    """Why a claim would wait for ever for the snapshot that it names; empty if it would not."""
    name = f"VolumeSnapshot {source}"
    path = object_path(SNAPSHOTS, ref.namespace, source)
    try:
        snapshot = connection.json("GET", path)
        content = (snapshot.get("status") or {}).get("boundVolumeSnapshotContentName")
        if not content:
            return f"{name}, which it is to be filled from, is not bound to a content"
        driver = connection.json("GET", object_path(CONTENTS, "", content))["spec"]["driver"]
    except ApiError as error:
        if error.status == 404:
            return f"{name}, which it is to be filled from, is neither in Git nor in the target"
        raise
    storage_class = (body.get("spec") or {}).get("storageClassName") or facts.default_class
    provisioner = facts.provisioners.get(storage_class, "nobody")
    if provisioner != driver:
        return f"its StorageClass {storage_class} is of {provisioner}, and {name} is of {driver}"
    return ""


def _without_source(body: Body) -> Body:
    left = {k: v for k, v in body["spec"].items() if k not in ("dataSource", "dataSourceRef")}
    return {**body, "spec": left}


def read_records(tree: Tree) -> dict[Ref, SnapshotRecord]:
    """Every snapshot record of a tree, by claim.

    Raises ``RepositoryError`` for a file that is none, and for one of another claim than its place
    says.
    """
    paths = {path: blob for path, blob in tree.files.items() if path.startswith(VOLUMES)}
    contents = read(tree.repo, list(paths.values()))
    found: dict[Ref, SnapshotRecord] = {}
    for path, (_, data) in zip(paths, contents, strict=True):
        record = read_record(data, f"{tree.prefix}/{path}")
        if record_path(record.ref) != path:
            raise RepositoryError(
                f"{tree.prefix}/{path}: is the record of {record.ref}, which has another place",
                hint="restore it from the commit of gitops-dr that wrote it",
            )
        found[record.ref] = record
    return found


def read_pruned_handles(tree: Tree) -> frozenset[Handle]:
    """The snapshots that a tree says are gone. Raises ``RepositoryError``."""
    blob = tree.files.get(PRUNED)
    if blob is None:
        return frozenset()
    return read_pruned(tree.blob(blob), f"{tree.prefix}/{PRUNED}")


def storage_facts(connection: Connection, recorded: Recorded | None = None) -> StorageFacts:
    """Classes of the target, and those that a commit brings. Raises ``ApiError``."""
    drivers: dict[str, set[str]] = {}
    kinds = (_CLASS, _SNAPSHOT_CLASS)
    in_git: dict[tuple[str, str], list[Body]] = {kind: [] for kind in kinds}
    if recorded is not None:
        refs = [ref for ref in recorded.state.entries if ref.group_kind in kinds]
        for ref, body in recorded.bodies(refs):
            in_git[ref.group_kind].append(body)
    live = listed(connection, "/apis/storage.k8s.io/v1/storageclasses")
    provisioners, defaults = read_classes([*in_git[_CLASS], *live])
    live = listed(connection, "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses")
    for body in [*in_git[_SNAPSHOT_CLASS], *live]:
        drivers.setdefault(str(body.get("driver", "")), set()).add(body["metadata"]["name"])
    return StorageFacts(
        provisioners=provisioners,
        default_class=defaults[0] if len(defaults) == 1 else "",
        snapshot_classes={driver: tuple(sorted(names)) for driver, names in drivers.items()},
    )


def torn_sets(records: Iterable[SnapshotRecord]) -> list[str]:
    """Warn of a StatefulSet whose volumes are not all of the same moment."""
    sets: dict[Ref, set[str]] = {}
    for record in records:
        if record.owner is not None:
            sets.setdefault(record.owner, set()).add(record.snapshot_set)
    return [
        f"{owner}: its volumes come from {len(found)} snapshot sets, which are not of one moment"
        for owner, found in sorted(sets.items())
        if len(found) > 1
    ]
