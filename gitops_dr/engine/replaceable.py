"""Finds out what a restore in place would do, or goes on with. Reads the cluster only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.claims import find_claim
from gitops_dr.engine.in_place import Replacement, find_volume, notes
from gitops_dr.engine.suspending import users_of, workloads_of
from gitops_dr.errors import RefusedError
from gitops_dr.model import Body, Ref
from gitops_dr.volumes.held_data import source_of
from gitops_dr.volumes.in_place import CannotReplaceError, Note, Workload, made_again
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.restore import (
    CannotRestoreError,
    StorageFacts,
    restoration,
    restored_name,
)


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be done in place."""

    replacements: tuple[Replacement, ...]
    workloads: tuple[Workload, ...]
    finished: tuple[Ref, ...] = ()
    """Claims that an interrupted run of the same had done with."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Old:
    """A claim's old volume, and its note: the one that it has, or the one that it shall have."""

    volume: str
    note: Note


def survey(
    connection: Connection,
    records: Mapping[Ref, SnapshotRecord],
    facts: StorageFacts,
    *,
    target_uid: str,
    binds_late: Callable[[Body], bool],
    at_rest: bool = False,
) -> Survey:
    """Say how the claims of ``records`` are replaced.

    ``at_rest``: those that no earlier run has begun with are a standby's, and nobody used them.
    Raises ``RefusedError`` where one cannot be, with the reason, and ``ClusterError``.
    """
    try:
        begun = notes(connection)
    except CannotReplaceError as error:
        raise RefusedError(f"restore in place: {error}", hint=error.hint) from error
    _refuse_another_run(begun, records, target_uid)
    olds, finished = _old_volumes(connection, records, begun, target_uid, at_rest=at_rest)
    try:
        workloads = workloads_of(connection, olds)
    except CannotReplaceError as error:
        claims = ", ".join(map(str, olds))
        raise RefusedError(f"{claims}: {error}", hint=error.hint) from error
    _refuse_shared_workloads(connection, begun, olds, workloads)
    used = users_of(connection, workloads, olds)
    replacements = []
    told: list[str] = []
    for ref, old in olds.items():
        record = records[ref]
        try:
            made = restoration(ref, old.note.claim, record, facts, target_uid=target_uid)
        except CannotRestoreError as error:
            raise RefusedError(f"{ref}: {error}", hint=error.hint) from error
        late = binds_late(made.bodies[ref])
        told += made.notes
        replacements.append(
            Replacement(old.note, old.volume, record, made, late=late, used=ref in used)
        )
    return Survey(tuple(replacements), tuple(workloads), tuple(finished), tuple(told))


def _refuse_another_run(
    begun: Mapping[str, Note], records: Mapping[Ref, SnapshotRecord], target_uid: str
) -> None:
    wanted = {_name(ref) for ref in records}
    for note in begun.values():
        together = set(note.together)
        if not together & wanted:
            continue
        if together != wanted:
            raise RefusedError(
                f"{note.ref}: a restore in place of {', '.join(sorted(together))} did not end",
                hint="run that one again first, with just these claims; it goes on from there",
            )
        if note.ref in records and note.snapshot != restored_name(
            note.ref, records[note.ref], target_uid
        ):
            raise RefusedError(
                f"{note.ref}: a restore in place from another snapshot did not end",
                hint="run that one again first, with the same --at; it goes on from there",
            )


def _refuse_shared_workloads(
    connection: Connection,
    begun: Mapping[str, Note],
    olds: Collection[Ref],
    workloads: Collection[Workload],
) -> None:
    """Starting a workload would give it an empty volume where another restore has not ended."""
    others = [note.ref for note in begun.values() if note.ref not in olds]
    for ref in users_of(connection, workloads, others):
        raise RefusedError(
            f"{ref}: a restore in place of it did not end, and a workload of yours uses it too",
            hint="run that one again first; it goes on from where it was",
        )


def _old_volumes(
    connection: Connection,
    records: Mapping[Ref, SnapshotRecord],
    begun: Mapping[str, Note],
    target_uid: str,
    *,
    at_rest: bool,
) -> tuple[dict[Ref, _Old], list[Ref]]:
    """Each claim's old volume; and the claims that an interrupted run had done with."""
    noted = {note.ref: _Old(volume, note) for volume, note in begun.items() if note.ref in records}
    together = next((old.note.together for old in noted.values()), None)
    found: dict[Ref, _Old] = {}
    finished: list[Ref] = []
    fresh: dict[Ref, tuple[str, str, Body, str]] = {}
    for ref in sorted(records):
        if ref in noted:
            found[ref] = noted[ref]
            continue
        live = _there(connection, ref)
        volume = (live.get("spec") or {}).get("volumeName") or ""
        if together is not None and together[_name(ref)] != volume:
            finished.append(ref)
            continue
        source = source_of(live) if at_rest else ""
        fresh[ref] = (source, volume, *_replaceable(connection, ref, live))
    names = {_name(ref): volume for ref, (_, volume, _, _) in fresh.items()}
    for ref, (source, volume, claim, policy) in fresh.items():
        snapshot = restored_name(ref, records[ref], target_uid)
        note = Note(claim, snapshot, policy, together or names, at_rest=source)
        found[ref] = _Old(volume, note)
    return dict(sorted(found.items())), finished


def _there(connection: Connection, ref: Ref) -> Body:
    live = find_claim(connection, ref)
    if live is None:
        raise RefusedError(
            f"{ref}: is not in the cluster, so there is nothing to replace",
            hint="gitops-dr rebuild brings it back with its data",
        )
    return live


def _replaceable(connection: Connection, ref: Ref, live: Body) -> tuple[Body, str]:
    """The claim as it must be made again, and what its volume's reclaim policy is."""
    phase = (live.get("status") or {}).get("phase")
    if phase != "Bound":
        raise RefusedError(
            f"{ref}: is {phase or 'Pending'} and has no volume to replace",
            hint="delete it, and gitops-dr rebuild brings it back with its data",
        )
    try:
        claim = made_again(live)
    except CannotReplaceError as error:
        raise RefusedError(f"{ref}: {error}", hint=error.hint) from error
    name = live["spec"]["volumeName"]
    volume = find_volume(connection, name)
    if volume is None:
        raise RefusedError(
            f"{ref}: its PersistentVolume {name} is gone, so it could not be brought back",
            hint="delete the claim, and gitops-dr rebuild brings it back with its data",
        )
    return claim, volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain"


def _name(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}"
