"""Sees to it that no claim is used that holds other data than a recovery point's.

Reads the target; replaces claims there, as a restore in place does.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gitops_dr.cluster.apply import late_binding_classes
from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine.claims import CLAIMS, await_gone, delete_claim, find_claim
from gitops_dr.engine.in_place import InPlace, notes
from gitops_dr.engine.point import tree_of_head
from gitops_dr.engine.prepare import Prepared
from gitops_dr.engine.replaceable import survey
from gitops_dr.engine.restoring import read_pruned_handles, read_records, storage_facts
from gitops_dr.engine.snapshots import listed
from gitops_dr.errors import ClusterError, RefusedError
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import Body, Gap, Ref
from gitops_dr.results.volumes import ClaimRestore
from gitops_dr.volumes.held_data import has_volume, other_data
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.retention import handle_of


@dataclass(frozen=True, slots=True)
class PointClaims:
    """The target's claims that are there, beside what the recovery point has of them."""

    records: Mapping[Ref, SnapshotRecord]
    """Of each claim that the target is to have: what it is, or was, filled from."""
    stale: tuple[Gap, ...] = ()
    """Claims that hold other data, and can be given the point's."""
    unknown: tuple[Gap, ...] = ()
    """Claims whose data nobody knows, and of which the point has none."""
    there: tuple[Ref, ...] = ()
    """All that are there and of which the point has data."""


def look_at_claims(prepared: Prepared) -> PointClaims:
    """Say which claims hold other data than the commit's. Raises ``ClusterError``."""
    examined = prepared.examined
    recorded, wanted = examined.recorded, examined.desired.entries
    rewriter, tree = recorded.rewriter, recorded.tree
    today = tree_of_head(prepared.opened, tree)
    of_point = rewriter.records(read_records(tree))
    ever = rewriter.records(read_records(today)).keys() | of_point.keys()
    gone = read_pruned_handles(today)
    claims = [ref for ref in wanted if ref.group_kind == CLAIMS.group_kind]
    seen = examined.observation.state.entries
    live = _live(prepared.connection, [ref for ref in claims if ref in seen])
    uid = examined.observation.identity.uid
    stale, unknown, there = [], [], []
    for ref, body in recorded.bodies(sorted(live)):
        if (body.get("spec") or {}).get("volumeName"):
            continue  # A static volume, which is whatever Git says.
        record = of_point.get(ref)
        if record is None:
            if ref in ever and ref not in examined.observation.started_empty:
                unknown.append(Gap(ref, "is there, and the recovery point has no snapshot of it"))
            continue
        there.append(ref)
        why = other_data(ref, live[ref], record, uid)
        if why and handle_of(record) in gone:
            unknown.append(Gap(ref, f"{why}, which was pruned"))
        elif why:
            stale.append(Gap(ref, why))
    return PointClaims(
        {ref: of_point[ref] for ref in claims if ref in of_point},
        tuple(stale),
        tuple(unknown),
        tuple(there),
    )


def refuse_other_data(claims: PointClaims, *, replace: bool, will_be: bool) -> None:
    """Raise ``RefusedError`` unless each claim that is there holds the point's data.

    ``replace``: they may be replaced. ``will_be``: a newer point will be made, so that none of them
    can hold its data.
    """
    remedy = "say --replace-claims: they get that data, and their old volumes are kept"
    for gap in claims.unknown:
        raise RefusedError(
            f"{gap.ref}: {gap.reason}; nothing was written",
            hint="look at its data, and delete it if it is of no use: its volume may be all there "
            "is",
        )
    if replace:
        return
    for gap in claims.stale:
        more = f" (and {len(claims.stale) - 1} more claims)" if claims.stale[1:] else ""
        raise RefusedError(f"{gap.ref}: {gap.reason}{more}; nothing was written", hint=remedy)
    if will_be and claims.there:
        more = f" (and {len(claims.there) - 1} more claims)" if claims.there[1:] else ""
        raise RefusedError(
            f"{claims.there[0]}: is there already, with older data than the last recovery point "
            f"that would be made{more}; nothing was written",
            hint=f"{remedy}; or --no-last-point to use what is there",
        )


def replace_claims(
    prepared: Prepared, claims: PointClaims, *, timeout: float, emit: Emit = silent
) -> tuple[ClaimRestore, ...]:
    """Give the stale claims the point's data; gives what was replaced, with old and new volumes.

    One that never got a volume is deleted: the plan makes it anew. Raises ``RefusedError`` where
    one cannot be replaced, and ``ClusterError``; then what had begun is taken back.
    """
    connection = prepared.connection
    begun = _begun(connection)
    stale = {gap.ref for gap in claims.stale} | {ref for ref in begun if ref in claims.records}
    if not stale:
        return ()
    started = time.monotonic()
    emit(PhaseStarted("claims", len(stale)))
    rest = stale - begun
    for ref in sorted(rest):
        live = find_claim(connection, ref)
        if live is None:
            rest.discard(ref)
        elif not has_volume(live):
            delete_claim(connection, live)
            await_gone(connection, live, timeout, emit)
            rest.discard(ref)
    done: list[ClaimRestore] = []
    # What a run that was killed has begun goes on by itself, with just its own claims.
    for together in (stale & begun, rest):
        if together:
            done += _in_place(prepared, claims, together, timeout, emit)
    emit(PhaseEnded("claims", time.monotonic() - started, len(done)))
    return tuple(done)


def _in_place(
    prepared: Prepared, claims: PointClaims, refs: Collection[Ref], timeout: float, emit: Emit
) -> list[ClaimRestore]:
    connection = prepared.connection
    found = survey(
        connection,
        {ref: claims.records[ref] for ref in refs},
        storage_facts(connection, prepared.examined.recorded),
        target_uid=prepared.planned.goal.target.uid,
        binds_late=late_binding_classes(connection),
    )
    run = InPlace(connection, found.replacements, found.workloads, timeout, emit)
    ended = run.run()
    if ended.reason:
        raise ClusterError(ended.reason, hint=ended.hint)
    return [
        ClaimRestore(one.ref, one.record, one.volume, ended.volumes.get(one.ref, ""))
        for one in found.replacements
    ]


def _begun(connection: Connection) -> set[Ref]:
    """The claims of a restore in place that did not end, those that it had done with among them."""
    found: set[Ref] = set()
    for note in notes(connection).values():
        for name in note.together:
            namespace, _, claim = name.partition("/")
            found.add(Ref(*CLAIMS.group_kind, namespace, claim))
    return found


def _live(connection: Connection, claims: Collection[Ref]) -> dict[Ref, Body]:
    wanted = set(claims)
    found = {
        Ref(*CLAIMS.group_kind, namespace, body["metadata"]["name"]): body
        for namespace in sorted({ref.namespace for ref in wanted})
        for body in listed(connection, collection_path(CLAIMS, namespace))
    }
    return {ref: body for ref, body in found.items() if ref in wanted}
