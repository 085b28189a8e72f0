"""Deletes what left Git, one object after the other. Writes to the cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import orjson

from gitops_dr.cluster.apply import find
from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.events import Advanced, Emit, PhaseEnded, PhaseStarted, StepEnded, Waiting, silent
from gitops_dr.model import Action, Outcome, Ref, Resource, Result, Step

_LOOK_AGAIN = 0.2


def is_written_by_us(managed: bytes) -> bool:
    """Whether an object's managedFields (JSON) say that we wrote it."""
    return any(
        entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
        for entry in orjson.loads(managed)
    )


def delete(
    connection: Connection,
    steps: Iterable[Step],
    resources: Mapping[tuple[str, str], Resource],
    *,
    timeout: float = 300.0,
    emit: Emit = silent,
) -> tuple[Outcome, ...]:
    """Carry out steps that delete, in their order; what a finalizer holds is awaited.

    Only the very object that is there now is deleted, not one that takes its name meanwhile. One
    that is still there after ``timeout`` seconds is unready, with who holds it.
    """
    steps = list(steps)
    began = time.monotonic()
    emit(PhaseStarted("prune", len(steps)))
    outcomes = []
    for done, step in enumerate(steps, 1):
        resource = replace(resources[step.ref.group_kind], version=step.version)
        outcome = _delete(connection, step.ref, resource, timeout, emit)
        outcomes.append(outcome)
        emit(StepEnded(outcome))
        emit(Advanced("prune", done, str(step.ref)))
    emit(PhaseEnded("prune", time.monotonic() - began, len(steps)))
    return tuple(outcomes)


def _delete(
    connection: Connection, ref: Ref, resource: Resource, timeout: float, emit: Emit
) -> Outcome:
    started = time.monotonic()

    def outcome(result: Result, reason: str = "") -> Outcome:
        return Outcome(ref, Action.DELETE, result, reason, time.monotonic() - started)

    path = object_path(resource, ref.namespace, ref.name)
    try:
        live = find(connection, resource, ref.namespace, ref.name)
        if live is None:
            return outcome(Result.PRESENT, "is gone already")
        uid = live["metadata"].get("uid")
        options = {
            "preconditions": {"uid": uid} if uid else {},
            "propagationPolicy": "Background",
        }
        try:
            connection.request("DELETE", path, body=orjson.dumps(options))
        except ApiError as error:
            if error.status != 404:
                raise
        while (live := find(connection, resource, ref.namespace, ref.name)) is not None:
            if live["metadata"].get("uid") != uid:
                return outcome(Result.DONE, "somebody has made it again")
            held = ", ".join(live["metadata"].get("finalizers") or ()) or "nobody says by whom"
            if time.monotonic() - started > timeout:
                return outcome(Result.UNREADY, f"is still there, held by {held}")
            emit(Waiting(ref, f"is being deleted, and is held by {held}"))
            time.sleep(_LOOK_AGAIN)
    except ApiError as error:
        return outcome(Result.FAILED, error.message)
    return outcome(Result.DONE)
