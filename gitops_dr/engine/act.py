"""Carries out one step of a plan and says what came of it. Writes to the cluster."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass

from gitops_dr.cluster.apply import create, get, merge, patch
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.drift.patch import json_patch
from gitops_dr.engine.owners import FindUid, owners_of, with_owners, without_owners, without_uids
from gitops_dr.engine.refusals import too_early
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Action, Body, Outcome, Ref, Resource, Result, Step
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import held
from gitops_dr.rules.relations import RelationFacts, apply_autoscaler

# Controllers make these in a new namespace; if they were faster, ours is laid over theirs.
_MADE_BY_CONTROLLERS = {("", "ServiceAccount", "default")}


_ATTEMPTS = 3
"""How often a patch is made anew because somebody else wrote to the object meanwhile."""


@dataclass(frozen=True, slots=True)
class Act:
    """What one attempt at a step led to."""

    outcome: Outcome
    stored: Body | None = None
    """The object as the API server has it now."""
    too_early: bool = False
    """It was refused for a reason that passes; try again."""
    ownerless: bool = False
    """It was made without an owner that was not there yet."""


def act(
    connection: Connection, step: Step, resource: Resource, body: Body, find_uid: FindUid
) -> Act:
    """Create the step's object, or find that it is there already and equal; or configure it.

    Creating, an object that is there and differs is left as it is, and the step has failed.
    Configuring puts Git's values back by a patch of just the fields that differ.
    """
    started = time.monotonic()

    def outcome(result: Result, reason: str = "") -> Outcome:
        return Outcome(step.ref, step.action, result, reason, time.monotonic() - started)

    try:
        if step.action is Action.CREATE:
            body = held(step.ref, body)
        wanted = with_owners(body, step.ref, find_uid)
        ownerless = owners_of(wanted) < owners_of(body)
        if step.action is Action.CONFIGURE:
            result, stored = _configure(connection, step.ref, resource, body, wanted)
            return Act(outcome(result), stored)
        try:
            stored = create(connection, resource, wanted)
            _free_released_volume(connection, step.ref, stored)
            return Act(outcome(Result.DONE), stored, ownerless=ownerless)
        except ApiError as error:
            if error.status != 409 or error.reason != "AlreadyExists" or too_early(error):
                raise
        if (step.ref.group, step.ref.kind, step.ref.name) in _MADE_BY_CONTROLLERS:
            stored = merge(connection, resource, wanted)
            return Act(outcome(Result.DONE), stored)
        live = get(connection, resource, step.ref.namespace, step.ref.name)
        if same(step.ref, live, wanted, resource):
            # Perhaps made by an attempt of ours that got no further.
            _free_released_volume(connection, step.ref, live)
            return Act(outcome(Result.PRESENT), live, ownerless=ownerless)
    except ApiError as error:
        return Act(outcome(Result.FAILED, error.message), too_early=too_early(error))
    return Act(outcome(Result.FAILED, "exists and differs; left untouched"), live)


def _configure(
    connection: Connection, ref: Ref, resource: Resource, body: Body, wanted: Body
) -> tuple[Result, Body]:
    """Patch the fields that differ; once more if somebody wrote to the object meanwhile."""
    for attempt in range(_ATTEMPTS):
        live = get(connection, resource, ref.namespace, ref.name)
        seen = cleaned(ref, live, body, resource)
        operations = json_patch(live, without_owners(seen), without_owners(body))
        owners = wanted["metadata"].get("ownerReferences")
        if owners and owners != live["metadata"].get("ownerReferences"):
            operations.append({"op": "add", "path": "/metadata/ownerReferences", "value": owners})
        if len(operations) == 1:
            return Result.PRESENT, live
        try:
            return Result.DONE, patch(connection, resource, ref.namespace, ref.name, operations)
        except ApiError as error:
            now = get(connection, resource, ref.namespace, ref.name)
            unmoved = now["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
            if error.status not in (409, 422) or unmoved or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


def cleaned(ref: Ref, live: Body, wanted: Body, resource: Resource) -> Body:
    """A copy of a live object without what rules take out, to be held against ``wanted``."""
    copy = deepcopy({**live, "apiVersion": resource.api_version, "kind": resource.kind})
    rules_for(resource.group, resource.kind).clean(copy)
    spec = wanted.get("spec")
    if isinstance(spec, dict) and "replicas" not in spec:
        # What an autoscaler decides is not in Git, but the API server fills it in.
        apply_autoscaler(ref, copy, RelationFacts(autoscaled={ref}))
    return copy


_CLAIM = ("", "PersistentVolumeClaim")
_VOLUME = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)


def _free_released_volume(connection: Connection, ref: Ref, claim: Body) -> None:
    """Let a claim have its static volume again that a deleted claim of the same name has released.

    The volume stays Released while it names the old claim's UID, and the new claim stays Pending:
    https://github.com/vmware-tanzu/velero/issues/5141
    """
    name = (claim.get("spec") or {}).get("volumeName")
    if ref.group_kind != _CLAIM or not name:
        return
    try:
        volume = get(connection, _VOLUME, "", name)
    except ApiError as error:
        if error.status == 404:
            return
        raise
    held_for = volume.get("spec", {}).get("claimRef") or {}
    metadata = claim["metadata"]
    same_claim = (held_for.get("namespace"), held_for.get("name")) == (
        metadata["namespace"],
        metadata["name"],
    )
    if same_claim and held_for.get("uid") not in (None, metadata["uid"]):
        operations = [
            {"op": "test", "path": "/spec/claimRef/uid", "value": held_for["uid"]},
            {"op": "remove", "path": "/spec/claimRef/uid"},
        ]
        if "resourceVersion" in held_for:
            operations.append({"op": "remove", "path": "/spec/claimRef/resourceVersion"})
        patch(connection, _VOLUME, "", name, operations)


def same(ref: Ref, live: Body, wanted: Body, resource: Resource) -> bool:
    """Whether a live object, cleaned, is what was wanted; the UIDs of owners do not count."""
    expected = without_uids(wanted)
    try:
        return canonical(cleaned(ref, live, expected, resource)) == canonical(expected)
    except ManifestError:
        # What Git has can be written, so something else is there.
        return False
