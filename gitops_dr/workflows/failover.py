"""``gitops-dr failover``: everything runs at a target from now on. Commits, writes both clusters.

gather: the target's plan as if it were active, and whether the source still answers. compute: what
must be stopped there, which claims hold other data. act, each part so that a run that was killed
goes on from it:

    note that it has begun -> stop the source -> its last recovery point -> commit that the target
    is active -> give claims the point's data -> carry out the plan -> release what acts outward
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gitops_dr.cluster.fence_record import lift_fence, moment_of, read_fence
from gitops_dr.cluster.standing_record import Standing, read_standing, write_standing
from gitops_dr.desired.fence import Found, Stoppable
from gitops_dr.engine.activating import (
    activate,
    failover_begun,
    refuse_older_checkout,
    refuse_unfinished_work,
)
from gitops_dr.engine.carrying import refuse_what_is_blocked
from gitops_dr.engine.fencing import Fencing
from gitops_dr.engine.handover import hand_over_all
from gitops_dr.engine.holding import holding
from gitops_dr.engine.last_point import make_last_point, newest_export
from gitops_dr.engine.opening import Opened, Where, open_repo, target_as_written
from gitops_dr.engine.point_claims import (
    PointClaims,
    look_at_claims,
    refuse_other_data,
    replace_claims,
    with_perhaps_used,
)
from gitops_dr.engine.prepare import Prepared, prepare
from gitops_dr.engine.releasing import carry_out_and_release
from gitops_dr.engine.sources import Source, find_source
from gitops_dr.engine.targets import open_target
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, Notice, phase, silent
from gitops_dr.manifests.versioned import as_moment
from gitops_dr.planning.selection import Intent
from gitops_dr.repository.checkout import finish_interrupted_checkout
from gitops_dr.repository.history import resolve
from gitops_dr.repository.push import push as push_branch
from gitops_dr.repository.repository import current_branch
from gitops_dr.results.export import Pushed
from gitops_dr.results.failover import AlreadyActive, FailedOver, FailoverPlan
from gitops_dr.results.rebuild import Rebuilt

_INTENT = Intent(overwrite=True, hand_over=True)

Confirm = Callable[[FailoverPlan], None]
"""Called before the first write; raises ``RefusedError`` to stop."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person says of a failover."""

    target: str
    at: str | None = None
    """The recovery point; None: the newest, or a last one of the source if that answers."""
    fence: bool = False
    """Stop the source first."""
    fenced: bool = False
    """The person says that the source writes nothing any more."""
    last_point: bool = True
    """Make a last recovery point of the source, if it answers and no other is meant."""
    replace_claims: bool = False
    """Claims of the target that hold other data get the recovery point's."""
    push: bool = False
    """Push the branch as soon as it says that the target is active."""
    source_context: str | None = None
    intent: Intent = _INTENT
    accept_rewritten_history: bool = False
    timeout: float = 300.0
    """Seconds that an object may take to become ready."""
    snapshot_timeout: float = 300.0
    """Seconds that a snapshot may take to become usable."""


def failover(
    where: Where,
    wanted: Wanted,
    confirm: Confirm,
    confirm_dead: Confirm,
    *,
    emit: Emit = silent,
) -> FailedOver | AlreadyActive:
    """Bring everything up at a target, from the newest recovery point that can be had.

    If an earlier failover there has ended, there is nothing to do, and the result says so.

    ``confirm_dead`` is asked where the source does not answer and nobody has said that it is
    fenced: one that cannot be reached may still write.

    Raises ``RefusedError``, before anything is written, while the source may still write, where a
    claim holds other data than the recovery point's, and what ``rebuild`` refuses; and what the
    callbacks raise. Running it again goes on with an interrupted failover.
    """
    opened = open_repo(where, emit, target=wanted.target)
    current_branch(opened.repo)
    opened.trust.require_own_key()
    with holding("failover", repo=opened.repo):
        finish_interrupted_checkout(opened.repo)
        refuse_unfinished_work(opened)
        before = _begun_before(where, opened, wanted)
        if before is not None and before.ended:
            return _already(opened, before, wanted)
        known = _gather(where, opened, wanted, before, emit)
        _refuse_what_may_still_write(known, wanted, confirm_dead)
        refuse_other_data(
            known.claims,
            wanted.target,
            replace=wanted.replace_claims,
            will_be=known.plan.last_point,
        )
        refuse_what_is_blocked(known.prepared.planned)
        confirm(known.plan)

        with holding("failover", connection=known.prepared.connection, emit=emit):
            _begin(known)
            _fence(known, wanted, emit)
            point = _point(where, known, wanted, emit)
            prepared, claims = known.prepared, known.claims
            if known.plan.last_point:
                prepared = _prepare_again(where, wanted, point, emit)
                claims = look_at_claims(prepared)
                refuse_other_data(
                    claims, wanted.target, replace=wanted.replace_claims, will_be=False
                )
            commit, left, pushed = _activate(where, known, wanted, point, emit)
            replaced = replace_claims(prepared, claims, timeout=wanted.timeout, emit=emit)
            standing = replace(known.standing, point=point, commit=commit, active="true")
            _note(known, replace(standing, filled="true"))
            if claims.stale or replaced:
                prepared = _prepare_again(where, wanted, point, emit)
            rebuilt = carry_out_and_release(
                prepared, wanted.intent, timeout=wanted.timeout, emit=emit
            )
            _hand_over(prepared, emit)
            _end(known, rebuilt, standing)
    return FailedOver(
        plan=known.plan,
        rebuilt=rebuilt,
        point=point,
        exported=newest[1] if (newest := newest_export(opened, point)) else None,
        records=tuple(claims.records[ref] for ref in sorted(claims.records)),
        commit=commit,
        left=left,
        made_point=known.plan.last_point,
        stopped=_stopped(known),
        replaced=replaced,
        pushed=pushed,
        ended=datetime.now(UTC),
    )


def _hand_over(prepared: Prepared, emit: Emit) -> None:
    """Give what syncs have made to those who applied it at the source, and go on from here."""
    served = prepared.examined.observation.resources
    for ref, reason in hand_over_all(prepared.connection, prepared.holders(), served).items():
        emit(Notice(f"{ref}: is ours still, and not its controller's: {reason}"))


# -- gather -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    opened: Opened
    prepared: Prepared
    claims: PointClaims
    source: Source
    fencing: Fencing | None
    """None where the source does not answer."""
    standing: Standing
    """As far as an earlier run has come; else the beginning."""
    plan: FailoverPlan

    @property
    def source_uid(self) -> str:
        coverage = self.prepared.examined.recorded.tree.coverage
        return coverage.uid if coverage else ""


def _gather(
    where: Where, opened: Opened, wanted: Wanted, before: Standing | None, emit: Emit
) -> _Known:
    pinned = before.point if before else ""
    prepared = _prepare(where, wanted, pinned or wanted.at, emit)
    coverage = prepared.examined.recorded.tree.coverage
    uid = coverage.uid if coverage else ""
    if uid == prepared.planned.goal.target.uid:
        raise RefusedError(
            f"target {wanted.target}: is the source itself (UID {uid}), so there is nothing to "
            "fail over to",
            hint="gitops-dr sync brings it to a commit",
        )
    with phase("source", emit):
        source = find_source(where, opened, uid, wanted.source_context)
        asked = Stoppable(opened.settings.outward, prepared.target.standby.kept)
        fencing = Fencing(source.connection, asked) if source.connection else None
        found = fencing.look() if fencing else Found()
    now = datetime.now(UTC)
    standing = before or Standing(wanted.target, begun=now.isoformat(timespec="milliseconds"))
    claims = look_at_claims(prepared)
    if not (before and before.filled):
        claims = with_perhaps_used(prepared, claims)
    plan = FailoverPlan(
        planned=prepared.planned,
        source=source.cluster,
        source_context=source.context,
        silence=source.trouble,
        writers=(*found.writers, *found.acting),
        stops=tuple(stop.ref for stop in found.stops) if wanted.fence else (),
        last_point=fencing is not None and wanted.last_point and wanted.at is None and not pinned,
        stale=claims.stale,
        continued=before is not None,
        begun=as_moment(standing.begun) or now,
    )
    return _Known(opened, prepared, claims, source, fencing, standing, plan)


def _prepare(where: Where, wanted: Wanted, at: str | None, emit: Emit) -> Prepared:
    return prepare(
        where,
        at=at,
        intent=wanted.intent,
        target=wanted.target,
        as_active=True,
        refuse_rewritten=not wanted.accept_rewritten_history,
        emit=emit,
    )


def _prepare_again(where: Where, wanted: Wanted, point: str, emit: Emit) -> Prepared:
    """The same, of what has changed meanwhile; claims must still get their data."""
    prepared = _prepare(where, wanted, point, emit)
    # What else is in the way was looked at before the first write, and we are at work there now.
    refuse_what_is_blocked(replace(prepared.planned, checks=()))
    return prepared


def _begun_before(where: Where, opened: Opened, wanted: Wanted) -> Standing | None:
    """What an earlier run has begun, and this one goes on with; None if it is a new failover.

    Raises ``RefusedError`` if there is nothing to go on with, or from elsewhere.
    """
    name = wanted.target
    target = target_as_written(opened.repo, opened.head, name) if opened.head else None
    if target is None:
        return None  # Whoever reads the target says so.
    noted = read_standing(open_target(where, opened, target), opened.settings.name)
    refuse_older_checkout(opened, noted, target)
    standing = failover_begun(noted, target)
    if standing is None:
        return None
    if standing.ended or not wanted.at or _is_meant(opened, standing, wanted.at):
        return standing
    raise RefusedError(
        f"target {name}: a failover to recovery point {standing.point[:12]} did not end",
        hint="leave out --at, and it goes on",
    )


def _is_meant(opened: Opened, standing: Standing, at: str) -> bool:
    return resolve(opened.repo, at, cluster_prefix=opened.settings.prefix) == standing.point


def _already(opened: Opened, standing: Standing, wanted: Wanted) -> AlreadyActive:
    """Say that there is nothing to do; refuses what cannot be done any more."""
    name = wanted.target
    if wanted.at and not _is_meant(opened, standing, wanted.at):
        raise RefusedError(
            f"target {name}: has been failed over to at {standing.ended} already, to another "
            f"recovery point ({standing.point[:12]})",
            hint=f"gitops-dr sync --target {name} brings it to a later commit",
        )
    if wanted.fence:
        raise RefusedError(
            f"target {name}: has been failed over to at {standing.ended} already, and the source "
            "is stopped before that only; nothing was written",
            hint="stop what still runs at the source by its own means: docs/failover.md",
        )
    return AlreadyActive(
        opened.settings.name, name, standing.commit, standing.point, standing.ended
    )


def _refuse_what_may_still_write(known: _Known, wanted: Wanted, confirm_dead: Confirm) -> None:
    plan = known.plan
    if plan.silence:
        if wanted.fence:
            raise RefusedError(
                f"cluster {plan.source}: cannot be stopped: {plan.silence}; nothing was written",
                hint="make sure by other means that it writes nothing, and say --fenced",
            )
        if not wanted.fenced and not plan.continued:
            confirm_dead(plan)
    elif plan.writers and not (wanted.fence or wanted.fenced):
        more = f" (and {len(plan.writers) - 1} more)" if plan.writers[1:] else ""
        raise RefusedError(
            f"cluster {plan.source}: it answers, and {plan.writers[0]}{more} may still write, "
            "or act outward; nothing was written",
            hint="say --fence to stop what runs there first; or --fenced, if you have cut it off "
            "from its storage and its clients",
        )


# -- act --------------------------------------------------------------------------------------


def _begin(known: _Known) -> None:
    if not known.plan.continued:
        _note(known, known.standing)


def _fence(known: _Known, wanted: Wanted, emit: Emit) -> None:
    """Stop the source, while nobody else works on it."""
    if wanted.fence and known.fencing is not None:
        with holding("failover", connection=known.source.connection, emit=emit):
            known.fencing.stop(wanted.target, timeout=wanted.timeout, emit=emit)


def _point(where: Where, known: _Known, wanted: Wanted, emit: Emit) -> str:
    """The recovery point that the target gets, from now on whatever happens."""
    point = known.standing.point or known.prepared.planned.goal.commit
    if known.plan.last_point and known.source.connection is not None:
        point = make_last_point(
            known.opened,
            where,
            known.source.connection,
            snapshot_timeout=wanted.snapshot_timeout,
            emit=emit,
        )
    standing = replace(known.standing, point=point)
    if standing != known.standing:
        _note(known, standing)
    return point


def _activate(
    where: Where, known: _Known, wanted: Wanted, point: str, emit: Emit
) -> tuple[str, tuple[str, ...], Pushed | None]:
    """Say in Git and in the clusters where everything runs from now on."""
    with phase("activate", emit):
        opened = open_repo(where, target=wanted.target)
        done = activate(opened, wanted.target, known.source_uid, point)
        pushed = push_branch(opened.repo, opened.trust) if wanted.push else None
        if pushed is not None and pushed.reason:
            emit(Notice(f"that {wanted.target} is active could not be pushed: {pushed.reason}"))
        commit = pushed.commit or done.commit if pushed else done.commit
        _note(known, replace(known.standing, point=point, commit=commit, active="true"))
        # From now on it is no longer one that was stopped by a failover from here.
        lift_fence(known.prepared.connection)
        for name, cluster in done.at_rest.items():
            if known.source.connection is not None:
                was = Standing(name, commit=commit, active="false")
                write_standing(known.source.connection, cluster, was)
    return commit, done.left, pushed


def _end(known: _Known, rebuilt: Rebuilt, standing: Standing) -> None:
    """Note that it is complete."""
    if rebuilt.failed or rebuilt.open_differences or rebuilt.outward.stays:
        return
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    _note(known, replace(standing, filled="true", ended=ended))


def _note(known: _Known, standing: Standing) -> None:
    write_standing(known.prepared.connection, known.source.cluster, standing)


def _stopped(known: _Known) -> datetime | None:
    """Since when the source writes nothing because a failover to this target has stopped it."""
    connection = known.source.connection
    fence = read_fence(connection) if connection else None
    return moment_of(fence) if fence and fence.target == known.standing.target else None
