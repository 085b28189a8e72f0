"""Sees to it that no claim is used that holds other data than a recovery point's.

Reads the target; replaces claims there, as a restore in place does.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from gitops_dr.cluster.apply import late_binding_classes
from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.cluster.rest_record import rests_since
from gitops_dr.cluster.standing_record import read_standing
from gitops_dr.desired.target import Strategy
from gitops_dr.engine.claim_history import records_ever
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
from gitops_dr.volumes.at_rest import perhaps_used
from gitops_dr.volumes.held_data import has_volume, other_data
from gitops_dr.volumes.in_place import CannotReplaceError, Note
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.restore import restored_name
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
    live: Mapping[Ref, Body] = field(default_factory=dict)
    """Those that are there, as they are."""


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A restore in place that did not end."""

    claims: frozenset[Ref]
    """All of it, those that it had done with among them."""
    snapshots: Mapping[Ref, str]
    """Of those that it had not: the VolumeSnapshot that each is filled from."""
    at_rest: bool
    """It is one of a standby's claims, by a sync."""


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
        live,
    )


def with_perhaps_used(prepared: Prepared, claims: PointClaims) -> PointClaims:
    """The same, and what may have been used since it was filled from the point is stale, too.

    So it is after a failover that was taken back by hand. At a hot target claims are used, and what
    they hold is its own. Raises ``ApiError``.
    """
    connection, cluster = prepared.connection, prepared.opened.settings.name
    if prepared.target.strategy is Strategy.HOT:
        return claims
    since = rests_since(connection, cluster)
    if since is None:
        standing = read_standing(connection, cluster)
        if standing is None or not standing.commit:
            return claims  # Nothing of ours has ever started anything there.
    known = {gap.ref for gap in claims.stale}
    used = tuple(
        Gap(ref, why)
        for ref in claims.there
        if ref not in known and has_volume(claims.live[ref])
        if (why := perhaps_used(claims.live[ref], since))
    )
    return replace(claims, stale=(*claims.stale, *used))


def refuse_other_data(claims: PointClaims, target: str, *, replace: bool, will_be: bool) -> None:
    """Raise ``RefusedError`` unless each claim that is there holds the point's data.

    ``target``: its name. ``replace``: they may be replaced. ``will_be``: a newer point will be
    made, so that none of them can hold its data.
    """
    remedy = "say --replace-claims: they get that data, and their old volumes are kept"
    before = f"; gitops-dr sync --target {target} --replace-claims does it before it is needed"
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
        raise RefusedError(
            f"{gap.ref}: {gap.reason}{more}; nothing was written", hint=remedy + before
        )
    if will_be and claims.there:
        more = f" (and {len(claims.there) - 1} more claims)" if claims.there[1:] else ""
        raise RefusedError(
            f"{claims.there[0]}: is there already, with older data than the last recovery point "
            f"that would be made{more}; nothing was written",
            hint=f"{remedy}; or --no-last-point to use what is there",
        )


def replace_claims(
    prepared: Prepared,
    claims: PointClaims,
    *,
    at_rest: bool = False,
    timeout: float,
    emit: Emit = silent,
) -> tuple[ClaimRestore, ...]:
    """Give the stale claims the point's data; gives what was replaced, with old and new volumes.

    One that never got a volume is deleted: the plan makes it anew. What a run that was killed has
    begun is gone on with first, from the snapshots that it was begun with. ``at_rest``: they are a
    standby's, and nobody used them. Raises ``RefusedError`` where one cannot be replaced, and
    ``ClusterError``; then what had begun is taken back.
    """
    connection, wanted = prepared.connection, claims.records
    runs = [run for run in begun_runs(connection) if run.at_rest or run.claims & wanted.keys()]
    rest = {gap.ref for gap in claims.stale}
    if not (rest or runs):
        return ()
    started = time.monotonic()
    emit(PhaseStarted("claims", len(rest)))
    done: list[ClaimRestore] = []
    for run in runs:
        records = _records_of(prepared, run, wanted)
        done += _in_place(prepared, records, at_rest=at_rest, timeout=timeout, emit=emit)
        right = {ref for ref in run.snapshots if records[ref] == wanted.get(ref)}
        rest = (rest | (run.snapshots.keys() & wanted.keys())) - right
    for ref in sorted(rest):
        live = find_claim(connection, ref)
        if live is None:
            rest.discard(ref)
        elif not has_volume(live):
            delete_claim(connection, live)
            await_gone(connection, live, timeout, emit)
            rest.discard(ref)
    if rest:
        records = {ref: wanted[ref] for ref in rest}
        done += _in_place(prepared, records, at_rest=at_rest, timeout=timeout, emit=emit)
    emit(PhaseEnded("claims", time.monotonic() - started, len(done)))
    return tuple(done)


def _records_of(
    prepared: Prepared, run: BegunRun, wanted: Mapping[Ref, SnapshotRecord]
) -> dict[Ref, SnapshotRecord]:
    """What the claims of a begun run are filled from: the point's, or what it was begun with."""
    uid = prepared.examined.observation.identity.uid
    names = {ref: restored_name(ref, wanted[ref], uid) for ref in run.claims & wanted.keys()}
    if all(names.get(ref) == name for ref, name in run.snapshots.items()):
        return {ref: wanted[ref] for ref in names}
    ever = records_ever(prepared, run.claims)
    known = {ref: ever[ref].get(name) for ref, name in run.snapshots.items()}
    found = {**wanted, **{ref: record for ref, record in known.items() if record is not None}}
    return {ref: found[ref] for ref in run.claims if ref in found}


def _in_place(
    prepared: Prepared,
    records: Mapping[Ref, SnapshotRecord],
    *,
    at_rest: bool,
    timeout: float,
    emit: Emit,
) -> list[ClaimRestore]:
    connection = prepared.connection
    found = survey(
        connection,
        records,
        storage_facts(connection, prepared.examined.recorded),
        target_uid=prepared.planned.goal.target.uid,
        binds_late=late_binding_classes(connection),
        at_rest=at_rest,
    )
    run = InPlace(connection, found.replacements, found.workloads, timeout, emit)
    ended = run.run()
    if ended.reason:
        raise ClusterError(ended.reason, hint=ended.hint)
    return [
        ClaimRestore(one.ref, one.record, one.volume, ended.volumes.get(one.ref, ""))
        for one in found.replacements
    ]


def begun_runs(connection: Connection) -> list[BegunRun]:
    """The restores in place that did not end.

    Raises ``RefusedError`` for a note of one that cannot be read, and ``ApiError``.
    """
    together: dict[frozenset[Ref], list[Note]] = {}
    try:
        found = notes(connection)
    except CannotReplaceError as error:
        raise RefusedError(f"restore in place: {error}", hint=error.hint) from error
    for note in found.values():
        claims = frozenset(_claim(told) for told in note.together)
        together.setdefault(claims, []).append(note)
    return [
        BegunRun(
            claims,
            {note.ref: note.snapshot for note in of_run},
            all(note.at_rest for note in of_run),
        )
        for claims, of_run in together.items()
    ]


def _claim(told: str) -> Ref:
    """The claim that is written as ``namespace/name``."""
    namespace, _, name = told.partition("/")
    return Ref(*CLAIMS.group_kind, namespace, name)


def _live(connection: Connection, claims: Collection[Ref]) -> dict[Ref, Body]:
    wanted = set(claims)
    found = {
        Ref(*CLAIMS.group_kind, namespace, body["metadata"]["name"]): body
        for namespace in sorted({ref.namespace for ref in wanted})
        for body in listed(connection, collection_path(CLAIMS, namespace))
    }
    return {ref: body for ref, body in found.items() if ref in wanted}
