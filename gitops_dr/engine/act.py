"""Carries out one step of a plan and says what came of it. Writes to the cluster."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass

from gitops_dr.cluster.apply import apply, create, get, merge, patch
from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError, Connection
from gitops_dr.desired.managers import Holder
from gitops_dr.drift.patch import json_patch
from gitops_dr.engine.aims import Aim, Aimed, whole
from gitops_dr.engine.claims import delete_unbound
from gitops_dr.engine.handover import create_for
from gitops_dr.engine.importing import revive
from gitops_dr.engine.owners import FindUid, owners_of, with_owners, without_owners, without_uids
from gitops_dr.engine.refusals import is_going, perhaps_done, too_early, unserved
from gitops_dr.engine.replacement import find, replace_object
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import SECRET, Action, Body, EmptyVolume, Outcome, Ref, Resource, Result, Step
from gitops_dr.planning.conflicts import TAKE
from gitops_dr.readiness import readiness
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import held
from gitops_dr.rules.relations import RelationFacts, apply_autoscaler
from gitops_dr.secrets.masking import without_values_of
from gitops_dr.volumes.restore import SOURCES, contains, source_lost
from gitops_dr.volumes.started_empty import note_taken_off, with_note

# Controllers make these in a new namespace; if they were faster, ours is laid over theirs.
_MADE_BY_CONTROLLERS = {("", "ServiceAccount", "default")}


_ATTEMPTS = 8
"""How often a patch is made anew because somebody else wrote to the object meanwhile: while a
Deployment is rolled out, its controller writes several times a second."""

_PAUSE = 0.05
"""Seconds before the second attempt, doubled before each other up to half a second."""


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
    perhaps_done: bool = False
    """The answer does not tell whether it was made: look before the next attempt."""
    unserved: bool = False
    """Its kind is not served yet."""


def act(
    connection: Connection,
    step: Step,
    resource: Resource,
    body: Body,
    find_uid: FindUid,
    *,
    aim: Aim = whole,
    holder: Holder | None = None,
    look_first: bool = False,
    dry_run: bool = False,
) -> Act:
    """Create the step's object, or find that it is there and equal; or configure or replace it.

    Creating, an object that is there and differs is left as it is, and the step has failed.
    Replacing deletes the one that is there first. Configuring puts Git's values back by a patch of
    just the fields that differ and that ``aim`` means, or takes a claim's note of an empty volume
    off. A claim is made whether or not its volume can be freed for it: the reason of the outcome
    says that it could not. ``look_first``: an earlier attempt may have made it. ``dry_run``: only
    of a step that configures, which then is all done but for the writing.
    """
    started = time.monotonic()

    def outcome(result: Result, reason: str = "") -> Outcome:
        return Outcome(step.ref, step.action, result, reason, time.monotonic() - started)

    try:
        if step.empty_volume is EmptyVolume.ACCEPTED:
            stored = merge(connection, resource, note_taken_off(step.ref))
            return Act(outcome(Result.DONE), stored)
        if step.action in (Action.CREATE, Action.REPLACE):
            body = held(step.ref, body)
        wanted = with_owners(body, step.ref, find_uid)
        ownerless = owners_of(wanted) < owners_of(body)
        if step.action is Action.CONFIGURE:
            result, stored, conflicts = _configure(
                connection, step.ref, resource, body, wanted, aim=aim, dry_run=dry_run
            )
            if conflicts and not dry_run:
                reason = f"left alone: {', '.join(conflicts)}; {TAKE}"
                return Act(outcome(Result.FAILED, reason), stored)
            return Act(outcome(result), stored)
        if step.action is Action.REPLACE:
            done = replace_object(
                connection,
                step.ref,
                resource,
                lambda live: same(step.ref, live, wanted, resource),
                lambda: _make(connection, step, resource, wanted, holder)[0],
            )
            return Act(
                outcome(done.result, _without_values(step.ref, body, done.reason)),
                done.stored,
                too_early=done.again,
                ownerless=ownerless,
                perhaps_done=done.perhaps_done,
            )
        made = _made_before(connection, step.ref, resource, holder) if look_first else None
        try:
            stored, told = (made, "") if made else _make(connection, step, resource, wanted, holder)
            if lost := source_lost(wanted, stored):
                left = delete_unbound(connection, stored)
                return Act(outcome(Result.FAILED, "; ".join(filter(None, [lost, left]))))
            note = told or _free_released_volume(connection, step.ref, stored)
            return Act(outcome(Result.DONE, note), stored, ownerless=ownerless)
        except ApiError as error:
            if error.status != 409 or error.reason != "AlreadyExists" or too_early(error):
                raise
        if (step.ref.group, step.ref.kind, step.ref.name) in _MADE_BY_CONTROLLERS:
            stored = merge(connection, resource, wanted)
            return Act(outcome(Result.DONE), stored)
        live = get(connection, resource, step.ref.namespace, step.ref.name)
        if _is_as_wanted(step.ref, live, wanted, resource):
            # Perhaps made by an attempt of ours that got no further.
            if step.ref.group_kind in SOURCES:
                revive(connection, step.ref, live)
            note = _free_released_volume(connection, step.ref, live)
            return Act(outcome(Result.PRESENT, note), live, ownerless=ownerless)
    except ApiError as error:
        said = _said(connection, step.ref, resource, body, error)
        # The plan may have known that it would be refused, and why it is not done in another way.
        told = f"{said} ({step.reason})" if step.reason and error.status == 422 else said
        return Act(
            outcome(Result.FAILED, told),
            too_early=too_early(error),
            perhaps_done=perhaps_done(error),
            unserved=unserved(error),
        )
    return Act(outcome(Result.FAILED, "exists and differs; left untouched"), live)


def _make(
    connection: Connection, step: Step, resource: Resource, wanted: Body, holder: Holder | None
) -> tuple[Body, str]:
    """Create an object, in its holder's name if it has one; as stored, and what is to be said."""
    if step.empty_volume is EmptyVolume.NOTED:
        # The note is ours, and nobody else's to take off.
        return create(connection, resource, with_note(wanted)), ""
    if holder is None:
        return create(connection, resource, wanted), ""
    return create_for(connection, step.ref, resource, wanted, holder)


def _said(connection: Connection, ref: Ref, resource: Resource, body: Body, error: ApiError) -> str:
    """Why it was refused, without what nobody may read."""
    said = error.message
    if is_going(error):
        said = _why_it_stays(connection, ref, resource) or said
    return _without_values(ref, body, said)


def _without_values(ref: Ref, body: Body, said: str) -> str:
    # A webhook may quote what it refuses.
    return without_values_of(body, said) if ref.group_kind == SECRET else said


def _why_it_stays(connection: Connection, ref: Ref, resource: Resource) -> str:
    """What holds an object that is being deleted; empty if that cannot be told."""
    try:
        live = get(connection, resource, ref.namespace, ref.name)
    except ApiError:
        return ""
    typed = {**live, "apiVersion": resource.api_version, "kind": resource.kind}
    return readiness(typed).reason if live["metadata"].get("deletionTimestamp") else ""


def _made_before(
    connection: Connection, ref: Ref, resource: Resource, holder: Holder | None
) -> Body | None:
    """The object, if it is the one that an earlier attempt of ours has made.

    It was not there when the plan was made, so it is ours if we have written to it, in our name or
    its holder's; what somebody has changed since, the comparison at the end tells.
    """
    live = find(connection, ref, resource)
    if live is None:
        return None
    metadata = live["metadata"]
    managers = {each.get("manager") for each in metadata.get("managedFields") or ()}
    names = {FIELD_MANAGER} | ({holder.manager} if holder else set())
    is_ours = names & managers and not metadata.get("deletionTimestamp")
    return live if is_ours else None


def _configure(
    connection: Connection,
    ref: Ref,
    resource: Resource,
    body: Body,
    wanted: Body,
    *,
    aim: Aim,
    dry_run: bool,
) -> tuple[Result, Body, tuple[str, ...]]:
    """Write the fields that differ; once more if somebody wrote to the object meanwhile.

    Also gives the fields that were left alone since they are somebody else's.
    """
    result = Result.PRESENT
    for attempt in range(_ATTEMPTS):
        live = get(connection, resource, ref.namespace, ref.name)
        aimed = aim(ref, resource, body, live)
        if aimed is not None and aimed.applied is not None and attempt == 0 and not dry_run:
            stored = _apply(connection, resource, aimed.applied)
            if stored is not None:
                result, live = Result.DONE, stored
                aimed = aim(ref, resource, body, live)
        owners = wanted["metadata"].get("ownerReferences")
        if aimed is None:
            aimed = Aimed(_with_zero(live, cleaned(ref, live, body, resource)), body)
        elif not _owners_are_meant(aimed):
            owners = None
        operations = json_patch(live, without_owners(aimed.seen), without_owners(aimed.wanted))
        if owners and owners != live["metadata"].get("ownerReferences"):
            operations.append({"op": "add", "path": "/metadata/ownerReferences", "value": owners})
        if len(operations) == 1:
            return result, live, aimed.conflicts
        try:
            place = (resource, ref.namespace, ref.name)
            stored = patch(connection, *place, operations, dry_run=dry_run)
        except ApiError as error:
            if attempt == _ATTEMPTS - 1 or not _has_moved(connection, ref, resource, live, error):
                raise
            time.sleep(min(_PAUSE * 2**attempt, 0.5))
        else:
            return Result.DONE, stored, aimed.conflicts
    raise AssertionError("the loop returns or raises")


def _apply(connection: Connection, resource: Resource, body: Body) -> Body | None:
    """Apply a manifest; None if it was refused, which a patch of the same may not be.

    Applied, an item of a list under another key stands beside the one that it should replace:
    https://github.com/kubernetes/kubernetes/issues/105610
    """
    try:
        return apply(connection, resource, body)
    except ApiError as error:
        if error.status in (400, 409, 422):
            return None
        raise


def _owners_are_meant(aimed: Aimed) -> bool:
    sides = (aimed.seen, aimed.wanted)
    seen, wanted = (side["metadata"].get("ownerReferences") for side in sides)
    return bool(seen != wanted)


def _has_moved(
    connection: Connection, ref: Ref, resource: Resource, live: Body, error: ApiError
) -> bool:
    """Whether a patch was refused because somebody else has written to the object meanwhile."""
    if error.status not in (409, 422):
        return False
    try:
        now = get(connection, resource, ref.namespace, ref.name)
    except ApiError:
        # What was said of the patch tells more than this.
        return False
    return bool(now["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"])


def _with_zero(live: Body, seen: Body) -> Body:
    """What was seen, with the replicas of a workload that is held at zero.

    No autoscaler takes one up again that has none, so its replicas are nobody's decision.
    https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
    """
    if (live.get("spec") or {}).get("replicas") == 0:
        seen["spec"]["replicas"] = 0
    return seen


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


def _free_released_volume(connection: Connection, ref: Ref, claim: Body) -> str:
    """Let a claim have its static volume again that a deleted claim of the same name has released.

    The volume stays Released while it names the old claim's UID, and the new claim stays Pending:
    https://github.com/vmware-tanzu/velero/issues/5141
    Returns why it could not be done, empty if nothing was wrong: the claim is there all the same.
    Raises ``ApiError`` only where time may help.
    """
    name = (claim.get("spec") or {}).get("volumeName")
    if ref.group_kind != _CLAIM or not name:
        return ""
    try:
        _release(connection, name, claim)
    except ApiError as error:
        if too_early(error):
            raise
        # A volume that is not there yet knows no old claim.
        if error.status != 404:
            return f"its volume may still be held for a claim that is gone: {error.message}"
    return ""


def _release(connection: Connection, name: str, claim: Body) -> None:
    volume = get(connection, _VOLUME, "", name)
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


def _is_as_wanted(ref: Ref, live: Body, wanted: Body, resource: Resource) -> bool:
    if ref.group_kind not in SOURCES:
        return same(ref, live, wanted, resource)
    # Made for a restore and in no commit; its controllers have added to it since.
    return not live["metadata"].get("deletionTimestamp") and contains(live, wanted)


def same(ref: Ref, live: Body, wanted: Body, resource: Resource) -> bool:
    """Whether a live object, cleaned, is what was wanted; the UIDs of owners do not count.

    One that was to be filled from somewhere and is not is another, though rules pass over that.
    """
    expected = without_uids(wanted)
    if source_lost(expected, live):
        return False
    sides = (cleaned(ref, side, expected, resource) for side in (live, expected))
    try:
        return len({canonical(side) for side in sides}) == 1
    except ManifestError:
        # What Git has can be written, so something else is there.
        return False
