"""Gives the claims of a warm standby the data of each later commit. Reads Git, writes the target.

Only those that we filled, from older data, and that nothing is known to have used. The volume that
one had is kept until the next replacement of that claim: ``docs/adr/0019``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gitops_dr.cluster.apply import late_binding_classes, merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.cluster.rest_record import rests_since
from gitops_dr.engine.claim_history import History, records_ever
from gitops_dr.engine.claim_users import used_by
from gitops_dr.engine.claims import CLAIMS, VOLUMES
from gitops_dr.engine.importing import forget
from gitops_dr.engine.in_place import find_volume
from gitops_dr.engine.point import tree_of_head
from gitops_dr.engine.point_claims import (
    PointClaims,
    begun_runs,
    look_at_claims,
    replace_claims,
)
from gitops_dr.engine.prepare import Prepared
from gitops_dr.engine.restoring import read_pruned_handles, storage_facts
from gitops_dr.engine.snapshots import listed
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, phase, silent
from gitops_dr.model import Body, Gap, Ref
from gitops_dr.results.standby import ClaimsBrought, ClaimsPlan, KeptVolume
from gitops_dr.results.volumes import ClaimRestore
from gitops_dr.volumes.at_rest import read_rested, replaced_for, why_it_is_kept, why_it_stays
from gitops_dr.volumes.held_data import source_of, volume_of
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.restore import CannotRestoreError, restoration
from gitops_dr.volumes.retention import Handle


@dataclass(frozen=True, slots=True)
class StandbyClaims:
    """The claims of a standby beside those of a commit, and the volumes that they had before."""

    plan: ClaimsPlan
    claims: PointClaims
    """Of those that hold other data, only those that are replaced."""
    history: History
    pruned: frozenset[Handle]


def refuse_no_standby(prepared: Prepared) -> None:
    """Raise ``RefusedError`` unless the target is a warm standby that rests, and not the source."""
    target = prepared.target
    coverage = prepared.examined.recorded.tree.coverage
    why = ""
    if target.active:
        why = "is active, and its claims hold what was written there"
    elif not target.at_rest:
        why = f"its strategy is {target.strategy}, and only a warm one's claims are ours to replace"
    elif coverage is not None and coverage.uid == prepared.examined.observation.identity.uid:
        why = f"is the source itself (UID {coverage.uid})"
    if why:
        raise RefusedError(
            f"target {target.name}: {why}; nothing was written",
            hint="leave out --replace-claims",
        )


def refuse_begun_replacement(prepared: Prepared) -> None:
    """Raise ``RefusedError`` while claims of a resting standby are being replaced.

    One that is deleted by now would be made anew from another snapshot, and nobody could go on.
    """
    target = prepared.target
    if not target.at_rest:
        return
    for run in begun_runs(prepared.connection):
        if run.at_rest:
            raise RefusedError(
                f"target {target.name}: its claims are being replaced by a sync that did not end "
                f"({min(run.claims)}); nothing was written",
                hint=f"gitops-dr sync --target {target.name} --replace-claims goes on with it",
            )


def look_at_standby(prepared: Prepared, *, drop: bool) -> StandbyClaims:
    """Say which claims get the commit's data, and which do not, and why.

    ``drop``: of each that does, the volumes of earlier replacements are given back. Raises
    ``RefusedError`` where a person's restore in place did not end, ``RepositoryError`` and
    ``ClusterError``.
    """
    connection = prepared.connection
    claims = look_at_claims(prepared)
    begun = _begun(connection, claims)
    volumes = _replaced_volumes(connection)
    kept = {_claim(replaced_for(body)) for body in volumes}
    history = records_ever(prepared, kept.union(gap.ref for gap in claims.stale))
    pruned = read_pruned_handles(tree_of_head(prepared.opened, prepared.examined.recorded.tree))
    stays = _stay(prepared, claims, history, begun)
    replaced = tuple(gap for gap in claims.stale if gap.ref not in stays)
    left = [Gap(ref, f"keeps other data than the commit's: {why}") for ref, why in stays.items()]
    # What is gone on with is begun already, and keeps what it had kept.
    anew = {gap.ref for gap in replaced} - begun
    going = [
        one
        for one in _kept(volumes, history, pruned)
        if drop and not one.stays and _claim(one.claim) in anew
    ]
    for ref in sorted(begun - {gap.ref for gap in replaced}):
        replaced += (Gap(ref, "a sync that did not end has begun with it"),)
    plan = ClaimsPlan(replaced, tuple(sorted([*left, *claims.unknown])), tuple(going))
    stale = tuple(gap for gap in claims.stale if gap.ref not in stays)
    return StandbyClaims(plan, replace(claims, stale=stale), history, pruned)


def _begun(connection: Connection, claims: PointClaims) -> frozenset[Ref]:
    """The claims that an earlier sync has begun to replace. Raises ``RefusedError`` for others."""
    begun: frozenset[Ref] = frozenset()
    for run in begun_runs(connection):
        if run.at_rest:
            begun |= run.snapshots.keys()
        elif run.claims & claims.records.keys():
            raise RefusedError(
                f"{min(run.claims)}: a restore in place of it did not end, and it was no sync's; "
                "nothing was written",
                hint="run that one again first; it goes on from where it was",
            )
    return begun


def _stay(
    prepared: Prepared, claims: PointClaims, history: History, begun: frozenset[Ref]
) -> dict[Ref, str]:
    """Those of the claims with other data that keep it, and why."""
    connection = prepared.connection
    asked = [gap.ref for gap in claims.stale if gap.ref not in begun]
    if not asked:
        return {}
    since = rests_since(connection, prepared.opened.settings.name)
    is_late = late_binding_classes(connection)
    volumes = {ref: volume_of(claims.live[ref]) for ref in asked}
    users = used_by(connection, volumes)
    found: dict[Ref, str] = {}
    for ref in asked:
        live = claims.live[ref]
        why = why_it_stays(
            live,
            history[ref].get(source_of(live)),
            claims.records[ref],
            rests_since=since,
            late=is_late(live),
            used_by=users.get(ref, ""),
            claims=len(claims.live),
        )
        if why:
            found[ref] = why
    return found


def bring_up_to_date(
    prepared: Prepared, found: StandbyClaims, *, timeout: float, emit: Emit = silent
) -> ClaimsBrought:
    """Replace what is to be replaced, and then give back what may go.

    ``timeout``: seconds of each wait. Raises ``ClusterError`` and ``RefusedError``; the claims have
    what they had then.
    """
    connection = prepared.connection
    done: tuple[ClaimRestore, ...] = ()
    if found.plan.replaced:
        done = replace_claims(prepared, found.claims, at_rest=True, timeout=timeout, emit=emit)
    gone: list[KeptVolume] = []
    if found.plan.going:
        with phase("give back", emit, len(found.plan.going)):
            gone += [one for one in found.plan.going if _give_back(prepared, found, one)]
    names = {one.volume for one in gone}
    kept = _kept(_replaced_volumes(connection), found.history, found.pruned)
    return ClaimsBrought(
        replaced=done,
        left=found.plan.left,
        gone=tuple(gone),
        kept=tuple(one for one in kept if one.volume not in names),
    )


def _replaced_volumes(connection: Connection) -> list[Body]:
    """Every volume that a replaced claim had. Raises ``ApiError``."""
    return [body for body in listed(connection, collection_path(VOLUMES)) if replaced_for(body)]


def _kept(volumes: Iterable[Body], history: History, pruned: frozenset[Handle]) -> list[KeptVolume]:
    """Each of these volumes, and why it stays."""
    return [
        KeptVolume(
            body["metadata"]["name"],
            replaced_for(body),
            why_it_is_kept(body, _source_of(body, history), pruned),
        )
        for body in volumes
    ]


def _source_of(volume: Body, history: History) -> SnapshotRecord | None:
    rested = read_rested(volume)
    ever = history.get(_claim(replaced_for(volume)), {})
    return ever.get(rested.snapshot) if rested else None


def _claim(told: str) -> Ref:
    """The claim that is written as ``namespace/name``."""
    namespace, _, name = told.partition("/")
    return Ref(*CLAIMS.group_kind, namespace, name)


def _give_back(prepared: Prepared, found: StandbyClaims, one: KeptVolume) -> bool:
    """Give a volume back to its reclaim policy, and let go what was brought in to fill it.

    False if it is another by now than it was when it was looked at.
    """
    connection = prepared.connection
    volume = find_volume(connection, one.volume)
    source = _source_of(volume, found.history) if volume else None
    rested = read_rested(volume) if volume else None
    if volume is None or source is None or rested is None:
        return False
    if why_it_is_kept(volume, source, found.pruned):
        return False
    metadata = {"name": one.volume, "resourceVersion": volume["metadata"]["resourceVersion"]}
    spec = {"persistentVolumeReclaimPolicy": rested.reclaim_policy}
    try:
        merge(connection, VOLUMES, {"metadata": metadata, "spec": spec})
    except ApiError as error:
        if error.status not in (404, 409):
            raise
        return False
    ref = _claim(one.claim)
    facts = storage_facts(connection, prepared.examined.recorded)
    uid = prepared.examined.observation.identity.uid
    try:
        made = restoration(ref, found.claims.live[ref], source, facts, target_uid=uid)
    except CannotRestoreError:
        return True
    forget(connection, [made])
    return True
