"""Takes a snapshot of each claim in scope and waits until it can be relied on. Writes the cluster.

One run is one snapshot set. Labels on its VolumeSnapshots say whose they are, and that their record
is in no commit yet: what a run that was killed has left is told from other people's snapshots, and
cleared away by the next one. Applications with hooks are held still (``engine/quiesce.py``) beside
the claims without, which need not wait for them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import collection_path, object_path
from gitops_dr.engine.quiesce import freezing
from gitops_dr.engine.snapshots import (
    AT_ONCE,
    LOOK_AGAIN,
    MERGE,
    SNAPSHOTS,
    SnapshotSet,
    delete,
    listed,
    secure,
)
from gitops_dr.events import Advanced, Emit, Notice, PhaseEnded, PhaseStarted, Waiting, silent
from gitops_dr.model import Body, Gap, Ref
from gitops_dr.rules.clean import rules_for
from gitops_dr.volumes.capture import (
    GROUP,
    KEPT,
    SET,
    SOURCE,
    STATE,
    TAKING,
    CannotCaptureError,
    Protectable,
    is_usable,
    protectable,
    record_of,
    snapshot_name,
)
from gitops_dr.volumes.hooks import HookPlan, plan_hooks
from gitops_dr.volumes.policy import VolumeSettings, policy_for
from gitops_dr.volumes.records import Hooks, SnapshotRecord

CLAIM = ("", "PersistentVolumeClaim")
LONGEST_FREEZE = 60.0
"""Seconds that an application is held still for its data to be cut; then it is let go without."""

_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_STATEFUL_SETS = "/apis/apps/v1/statefulsets"
_SNAPSHOT_CLASSES = f"/apis/{GROUP}/v1/volumesnapshotclasses"
_FEW = 8
"""Namespaces that are asked for their Pods one by one; if there are more, all Pods are listed."""

InScope = Callable[[Ref, Mapping[str, str]], bool]
"""Whether a claim with these labels is to be captured."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One snapshot set."""

    snapshot_set: str
    records: tuple[SnapshotRecord, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """Claims in scope that have no usable snapshot now, with the reason."""
    left_out: Mapping[Ref, str] = field(default_factory=dict)
    """Claims that a policy leaves out."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """A claim that is captured, and what its record is made from."""

    one: Protectable
    claim: Body
    volume: Body
    storage_class: Body | None
    stateful_sets: tuple[Body, ...]
    """Of the claim's namespace."""


@dataclass(slots=True)
class _Taken:
    """What came of the snapshots of a run."""

    usable: dict[Ref, tuple[Body, Future[Body]]] = field(default_factory=dict)
    """Snapshots and their contents, which are made safe meanwhile."""
    failed: dict[Ref, str] = field(default_factory=dict)
    hooks: dict[Ref, Hooks] = field(default_factory=dict)
    """Of the claims that have hooks."""


def new_set() -> str:
    """A name for the next snapshot set: the time, and a few random letters."""
    now = datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
    return f"{now}-{secrets.token_hex(3)}"


def capture(
    connection: Connection,
    settings: VolumeSettings,
    source: str,
    *,
    in_scope: InScope = lambda _ref, _labels: True,
    timeout: float = 300.0,
    longest_freeze: float = LONGEST_FREEZE,
    emit: Emit = silent,
) -> Captured:
    """Snapshot every claim in scope.

    ``source`` is the label by which this repository knows its own snapshots again. ``timeout``:
    seconds until a snapshot must be usable; ``longest_freeze``: seconds until its data must be cut
    where an application is held still for it. A claim that cannot be protected, or whose snapshot
    or hook fails, is a gap and has no record; its snapshot is taken back. Raises ``ClusterError``
    if the cluster cannot be read. However it ends, no application stays held still.
    """
    started = time.monotonic()
    volumes, gaps, left_out = _volumes(connection, settings, in_scope)
    emit(PhaseStarted("snapshots", len(volumes)))
    policies = {ref: volume.one.policy for ref, volume in volumes.items()}
    plan = plan_hooks(policies, _pods(connection, volumes))
    for note in plan.notes:
        emit(Notice(note))
    snapshots = SnapshotSet(connection, new_set(), source)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        taken = _take(
            connection,
            volumes,
            plan,
            snapshots,
            pool,
            timeout=timeout,
            longest_freeze=longest_freeze,
            emit=emit,
        )
        records = _records(volumes, taken, snapshots.name, settings)
    _take_back(connection, snapshots, snapshots.taken - records.keys(), emit)
    emit(PhaseEnded("snapshots", time.monotonic() - started, len(records)))
    return Captured(
        snapshots.name,
        tuple(records[ref] for ref in sorted(records)),
        tuple(sorted([*gaps, *(Gap(ref, reason) for ref, reason in taken.failed.items())])),
        left_out,
    )


def mark_kept(connection: Connection, records: Iterable[SnapshotRecord]) -> None:
    """Say on the snapshots that their record is in a commit, so that nobody clears them away.

    One that is not there any more needs no word. Raises ``ApiError``.
    """
    change = orjson.dumps({"metadata": {"labels": {STATE: KEPT}}})

    def mark(record: SnapshotRecord) -> None:
        path = object_path(SNAPSHOTS, record.namespace, record.snapshot)
        try:
            connection.request("PATCH", path, body=change, content_type=MERGE)
        except ApiError as error:
            if error.status != 404:
                raise

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(mark, records):
            pass


def discard(connection: Connection, records: Iterable[SnapshotRecord]) -> None:
    """Take snapshots back whose record comes into no commit. Raises ``ApiError``."""
    for record in records:
        delete(connection, record.namespace, record.snapshot)


def clear_unfinished(
    connection: Connection, source: str, is_recorded: Callable[[str], bool]
) -> list[Ref]:
    """Remove what a run of ours that was killed has left: snapshots whose record is in no commit.

    ``is_recorded``: whether the repository's history knows a snapshot set; its snapshots are marked
    as kept instead. Returns the snapshots that were removed. Raises ``ApiError``.
    """
    query = {"labelSelector": f"{SOURCE}={source},{STATE}={TAKING}"}
    try:
        items = connection.json("GET", collection_path(SNAPSHOTS), query=query).get("items") or ()
    except ApiError as error:
        if error.status == 404:
            return []
        raise
    removed = []
    for body in items:
        metadata = body["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        if is_recorded(metadata["labels"].get(SET, "")):
            change = orjson.dumps({"metadata": {"labels": {STATE: KEPT}}})
            path = object_path(SNAPSHOTS, namespace, name)
            connection.request("PATCH", path, body=change, content_type=MERGE)
        else:
            delete(connection, namespace, name)
            removed.append(Ref(GROUP, "VolumeSnapshot", namespace, name))
    return removed


def _volumes(
    connection: Connection, settings: VolumeSettings, in_scope: InScope
) -> tuple[dict[Ref, _Volume], list[Gap], dict[Ref, str]]:
    volumes = {body["metadata"]["name"]: body for body in listed(connection, _VOLUMES)}
    classes = {body["metadata"]["name"]: body for body in listed(connection, _CLASSES)}
    drivers: dict[str, tuple[str, ...]] = {}
    for body in listed(connection, _SNAPSHOT_CLASSES):
        driver = str(body.get("driver", ""))
        drivers[driver] = (*drivers.get(driver, ()), body["metadata"]["name"])
    stateful_sets: dict[str, tuple[Body, ...]] = {}
    for body in listed(connection, _STATEFUL_SETS):
        namespace = body["metadata"]["namespace"]
        stateful_sets[namespace] = (*stateful_sets.get(namespace, ()), body)
    found: dict[Ref, _Volume] = {}
    gaps: list[Gap] = []
    left_out: dict[Ref, str] = {}
    for claim in listed(connection, _CLAIMS):
        metadata, spec = claim["metadata"], claim.get("spec") or {}
        ref = Ref(*CLAIM, metadata["namespace"], metadata["name"])
        labels = metadata.get("labels") or {}
        if not in_scope(ref, labels):
            continue
        policy = policy_for(ref, labels, settings.policies)
        rule = rules_for(*CLAIM).omission(claim)
        if rule is not None:
            left_out[ref] = rule.because
            continue
        if not policy.capture:
            left_out[ref] = "a policy in gitops-dr.yaml says that it is not captured"
            continue
        volume = volumes.get(spec.get("volumeName", ""))
        try:
            one = protectable(claim, volume, drivers, policy, settings)
        except CannotCaptureError as error:
            gaps.append(Gap(ref, f"{error} ({error.hint})" if error.hint else str(error)))
            continue
        if volume is not None:
            storage_class = classes.get(spec.get("storageClassName", ""))
            sets = stateful_sets.get(ref.namespace, ())
            found[ref] = _Volume(one, claim, volume, storage_class, sets)
    return found, gaps, left_out


@dataclass(frozen=True, slots=True)
class Survey:
    """Every claim of a cluster, and whether it can be captured."""

    claims: tuple[Body, ...]
    drivers: Mapping[Ref, str]
    """Of the claims that can be."""
    reasons: Mapping[Ref, str]
    """Why the others cannot be, or are not."""


def survey(connection: Connection, settings: VolumeSettings) -> Survey:
    """Look at every claim, and take no snapshot. Raises ``ClusterError``."""
    found, gaps, left_out = _volumes(connection, settings, lambda _ref, _labels: True)
    return Survey(
        claims=tuple(listed(connection, _CLAIMS)),
        drivers={ref: volume.one.driver for ref, volume in found.items()},
        reasons={**left_out, **{gap.ref: gap.reason for gap in gaps}},
    )


def _pods(connection: Connection, claims: Iterable[Ref]) -> Iterator[Body]:
    """The Pods of the namespaces of claims, and maybe others."""
    namespaces = sorted({ref.namespace for ref in claims})
    if len(namespaces) > _FEW:
        yield from listed(connection, "/api/v1/pods")
        return
    for namespace in namespaces:
        yield from listed(connection, f"/api/v1/namespaces/{namespace}/pods")


def _take(
    connection: Connection,
    volumes: Mapping[Ref, _Volume],
    plan: HookPlan,
    snapshots: SnapshotSet,
    pool: ThreadPoolExecutor,
    *,
    timeout: float,
    longest_freeze: float,
    emit: Emit,
) -> _Taken:
    """Take the snapshots and wait for each, or for the reason why it does not come.

    What can be used is made safe in the pool while others are waited for.
    """

    def take(claims: Iterable[Ref]) -> dict[Ref, str]:
        return snapshots.take([volumes[ref].one for ref in claims])

    def cut(claims: Collection[Ref], stop: threading.Event) -> Mapping[Ref, str]:
        reasons = take(claims)
        left = [ref for ref in claims if ref not in reasons]
        return reasons | snapshots.await_cut(left, longest_freeze, stop)

    def say(ref: Ref, lacking: str) -> None:
        emit(Waiting(ref, lacking))

    held = {ref for freeze in plan.freezes for ref in freeze.claims}
    free = [ref for ref in volumes if ref not in held and ref not in plan.refused]
    taken = _Taken()
    with freezing(connection, plan.freezes, cut, emit) as freezes:
        taken.failed = {**plan.refused, **take(free)}
        waiting = set(free) - taken.failed.keys()
        while True:
            for ref, found in snapshots.look(waiting, is_usable, timeout, say).items():
                waiting.discard(ref)
                if isinstance(found, str):
                    taken.failed[ref] = found
                else:
                    taken.usable[ref] = found, pool.submit(secure, connection, found)
                emit(Advanced("snapshots", len(taken.usable) + len(taken.failed), str(ref)))
            if not waiting and not freezes.busy:
                return taken
            for frozen in freezes.ended(LOOK_AGAIN):
                for note in frozen.notes:
                    emit(Notice(note))
                taken.failed.update(frozen.reasons)
                taken.hooks.update(dict.fromkeys(frozen.claims, frozen.hooks))
                waiting |= set(frozen.claims) - frozen.reasons.keys()


def _records(
    volumes: Mapping[Ref, _Volume], taken: _Taken, snapshot_set: str, settings: VolumeSettings
) -> dict[Ref, SnapshotRecord]:
    """The records of the usable snapshots; those that are not sound fail after all."""
    records = {}
    for ref, (snapshot, content) in taken.usable.items():
        volume = volumes[ref]
        try:
            records[ref] = record_of(
                volume.claim,
                volume.volume,
                volume.storage_class,
                snapshot,
                content.result(),
                stateful_sets=volume.stateful_sets,
                snapshot_set=snapshot_set,
                settings=settings,
                hooks=taken.hooks.get(ref, Hooks()),
            )
        except (ApiError, CannotCaptureError) as error:
            taken.failed[ref] = f"its snapshot cannot be relied on: {error}"
    return records


def _take_back(
    connection: Connection, snapshots: SnapshotSet, claims: Iterable[Ref], emit: Emit
) -> None:
    """Delete the snapshots of claims that have no record. Where that fails, a later run does it."""
    for ref in sorted(claims):
        name = snapshot_name(ref, snapshots.name)
        try:
            delete(connection, ref.namespace, name)
        except ApiError as error:
            emit(Notice(f"VolumeSnapshot {ref.namespace}/{name} is left for now: {error.message}"))
