"""``gitops-dr volumes restore``: gives claims the data of a recovery point. Writes the cluster.

gather: the records of the point, what the cluster has. compute: what is replaced, or copied. act:
in place all of it or nothing (``engine/in_place.py``); elsewhere claim by claim.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gitops_dr.cluster.apply import late_binding_classes
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.discover import identify
from gitops_dr.engine.claims import find_claim
from gitops_dr.engine.elsewhere import copy, is_begun
from gitops_dr.engine.holding import holding
from gitops_dr.engine.in_place import Failpoint, InPlace, no_failpoint
from gitops_dr.engine.interrupts import signals_interrupt
from gitops_dr.engine.opening import Opened, Where, open_cluster, open_repo
from gitops_dr.engine.point import read_point, refuse_another_cluster
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.engine.replaceable import Survey, survey
from gitops_dr.engine.restoring import (
    read_pruned_handles,
    read_records,
    storage_facts,
    torn_sets,
)
from gitops_dr.errors import ClusterError, RefusedError, UsageError
from gitops_dr.events import Emit, phase, silent
from gitops_dr.model import Identity, Ref
from gitops_dr.repository.history import commit_info
from gitops_dr.results.rebuild import Goal
from gitops_dr.results.volumes import ClaimRestore, RestorePlan, VolumesRestored
from gitops_dr.volumes.records import SnapshotRecord, Survives
from gitops_dr.volumes.restore import (
    CannotRestoreError,
    Restoration,
    StorageFacts,
    claim_of,
    restoration,
)
from gitops_dr.volumes.retention import handle_of

Confirm = Callable[[RestorePlan], None]
"""Called before the first write; raises ``RefusedError`` to stop."""

_CLAIM = ("", "PersistentVolumeClaim")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where copies go."""

    namespace: str
    name: str = ""
    """Of the one claim that is copied; empty for the name that it has."""


def restore(
    where: Where,
    confirm: Confirm,
    claims: Collection[tuple[str, str]],
    *,
    at: str | None = None,
    to: Elsewhere | None = None,
    dry_run: bool = False,
    timeout: float = 300.0,
    emit: Emit = silent,
    failpoint: Failpoint = no_failpoint,
) -> VolumesRestored:
    """Give ``claims`` (namespace and name) the data that the recovery point ``at`` has of them.

    In place: each gets another volume under its name, and the workloads that use it are stopped
    meanwhile. With ``to`` copies of them are made there instead. ``timeout``: seconds of each wait.
    ``dry_run`` stops before the first write. Raises ``RefusedError`` where it cannot be, with the
    reason, what ``confirm`` raises, ``UsageError``, ``RepositoryError`` and ``ClusterError``.
    """
    opened = open_repo(where, emit)
    tree = read_point(opened, at)
    connection = open_cluster(where, opened.settings)
    identity = identify(connection)
    if to is None:
        refuse_another_cluster(tree, identity, opened.settings.name)
    elif to.name and len(claims) != 1:
        raise UsageError(
            f"--to {to.namespace}/{to.name}: one name for {len(claims)} claims",
            hint="name only the namespace, and the copies keep their names",
        )
    records = _records(opened, tree, claims)
    goal = _goal(opened, tree, connection, identity)
    facts = storage_facts(connection)
    late = late_binding_classes(connection)
    if to is None:
        found = survey(connection, records, facts, target_uid=identity.uid, binds_late=late)
        plan = _plan_in_place(goal, records, found)
        if not dry_run:
            confirm(plan)
            run = InPlace(connection, found.replacements, found.workloads, timeout, emit, failpoint)
            with holding("volumes restore", connection=connection, emit=emit):
                return _in_place(run, plan)
    else:
        copies = _copies(connection, records, to, facts, identity)
        plan = _plan_elsewhere(goal, records, copies)
        if not dry_run:
            confirm(plan)
            return _elsewhere(
                plan,
                copies,
                lambda made: copy(
                    connection,
                    made,
                    late=late(made.bodies[made.claim]),
                    timeout=timeout,
                    emit=emit,
                ),
                emit,
            )
    return VolumesRestored(plan, dry_run=True, claims=plan.claims)


def _records(
    opened: Opened, tree: Tree, claims: Collection[tuple[str, str]]
) -> dict[Ref, SnapshotRecord]:
    """The records of the claims; refuses those that have none that can be used."""
    known = read_records(tree)
    gone = read_pruned_handles(read_tree(opened.repo, opened.head, opened.settings.prefix))
    unprotected = tree.coverage.unprotected if tree.coverage else {}
    found = {}
    for namespace, name in sorted(set(claims)):
        ref = Ref(*_CLAIM, namespace, name)
        record = known.get(ref)
        if record is None:
            why = unprotected.get(ref)
            raise RefusedError(
                f"{ref}: the recovery point {tree.commit[:12]} has no snapshot of it"
                + (f": {why}" if why else ""),
                hint="gitops-dr points list shows which have volumes; choose one with --at",
            )
        if handle_of(record) in gone:
            raise RefusedError(
                f"{ref}: its snapshot of {record.created} was pruned",
                hint="choose another recovery point with --at",
            )
        found[ref] = record
    return found


def _goal(opened: Opened, tree: Tree, connection: Connection, identity: Identity) -> Goal:
    return Goal(
        opened.settings.name,
        tree.commit,
        connection.context,
        connection.server,
        identity,
        committed=commit_info(tree.repo, tree.commit).time,
        asked=datetime.now(UTC),
    )


# -- in place ---------------------------------------------------------------------------------


def _plan_in_place(goal: Goal, records: Mapping[Ref, SnapshotRecord], found: Survey) -> RestorePlan:
    done = [f"{ref}: is restored already, by a run that did not end" for ref in found.finished]
    return RestorePlan(
        goal=goal,
        in_place=True,
        claims=tuple(
            ClaimRestore(one.ref, one.record, old_volume=one.volume) for one in found.replacements
        ),
        workloads=found.workloads,
        notes=(*found.notes, *done, *torn_sets(records.values())),
    )


def _in_place(run: InPlace, plan: RestorePlan) -> VolumesRestored:
    with phase("restore", run.emit, len(plan.claims)), signals_interrupt():
        ended = run.run()
    return VolumesRestored(
        plan,
        dry_run=False,
        claims=tuple(replace(one, volume=ended.volumes.get(one.claim, "")) for one in plan.claims),
        reason=ended.reason,
        hint=ended.hint,
        problems=ended.problems,
    )


# -- elsewhere --------------------------------------------------------------------------------


def _copies(
    connection: Connection,
    records: Mapping[Ref, SnapshotRecord],
    to: Elsewhere,
    facts: StorageFacts,
    identity: Identity,
) -> list[Restoration]:
    _refuse_no_namespace(connection, to.namespace)
    found = []
    for source, record in records.items():
        target = Ref(*_CLAIM, to.namespace, to.name or source.name)
        try:
            body = claim_of(record, target, facts)
            made = restoration(target, body, record, facts, target_uid=identity.uid)
        except CannotRestoreError as error:
            raise RefusedError(f"{target}: {error}", hint=error.hint) from error
        live = find_claim(connection, target)
        if live is not None and not is_begun(live, made):
            raise RefusedError(
                f"{target}: is there already, and is left as it is",
                hint="choose another name with --to NAMESPACE/NAME, or say --in-place",
            )
        found.append(made)
    return found


def _refuse_no_namespace(connection: Connection, namespace: str) -> None:
    try:
        connection.request("GET", f"/api/v1/namespaces/{namespace}")
    except ApiError as error:
        if error.status != 404:
            raise
        raise RefusedError(
            f"Namespace/{namespace}: is not in the cluster", hint="create it first"
        ) from error


def _plan_elsewhere(
    goal: Goal, records: Mapping[Ref, SnapshotRecord], copies: Collection[Restoration]
) -> RestorePlan:
    claims = tuple(
        ClaimRestore(made.claim, record)
        for made, record in zip(copies, records.values(), strict=True)
    )
    dying = [
        f"{one.record.ref}: its snapshot dies with its volume, so that must still be there"
        for one in claims
        if one.record.survives is Survives.VOLUME
    ]
    notes = [note for made in copies for note in made.notes]
    return RestorePlan(goal, in_place=False, claims=claims, notes=(*notes, *dying))


def _elsewhere(
    plan: RestorePlan,
    copies: Collection[Restoration],
    make: Callable[[Restoration], str],
    emit: Emit,
) -> VolumesRestored:
    done: list[ClaimRestore] = []
    result = VolumesRestored(plan, dry_run=False)
    with phase("restore", emit, len(plan.claims)), signals_interrupt():
        for one, made in zip(plan.claims, copies, strict=True):
            try:
                volume = make(made)
            except ClusterError as error:
                result = replace(result, reason=error.message, hint=error.hint)
                break
            done.append(replace(one, volume=volume))
    return replace(result, claims=tuple(done))
