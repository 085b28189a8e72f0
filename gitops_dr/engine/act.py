"""Carries out one step of a plan and says what came of it. Writes to the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from gitops_dr.cluster.apply import create, get, merge, patch
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.drift.compare import field_changes
from gitops_dr.drift.patch import json_patch
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Action, Body, Outcome, Ref, Resource, Result, Step
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import held
from gitops_dr.rules.relations import RelationFacts, apply_autoscaler

FindUid = Callable[[Ref], str | None]
"""The UID that an owner has in the target, or None if it is not there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is a matter of time: the same request may succeed a little later."""

    status: int
    contains: str
    because: str
    link: str


# The first attempt at these comes too early; everything else is final.
TOO_EARLY = (
    Refusal(
        404,
        "could not find the requested resource",
        "A CRD is established a moment before the API server serves its kind.",
        "https://github.com/kubernetes/kubernetes/issues/117467",
    ),
    Refusal(
        404,
        "404 page not found",
        "The same, answered in plain text.",
        "https://github.com/kubernetes/kubernetes/issues/117467",
    ),
    Refusal(
        403,
        "error looking up service account",
        "The default ServiceAccount of a new namespace is made by a controller.",
        "https://github.com/kubernetes/kubernetes/issues/66689",
    ),
    Refusal(
        403,
        "status unknown for quota",
        "A quota counts only once its controller has filled in the status.",
        "https://github.com/kubernetes/kubernetes/issues/93955",
    ),
    Refusal(
        409,
        "object is being deleted",
        "One of the same name is on its way out; its finalizers take their time.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
    ),
    Refusal(
        0,
        "",
        "No answer: the API server restarts or the network fails.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
    ),
    Refusal(
        500,
        "",
        "etcd changes its leader, or a webhook's backend is not up yet.",
        "https://github.com/carvel-dev/kapp/blob/develop/pkg/kapp/resources/resources.go",
    ),
    Refusal(
        429,
        "",
        "The API server has too much to do.",
        "https://kubernetes.io/docs/concepts/cluster-administration/flow-control/",
    ),
    Refusal(
        502,
        "",
        "The load balancer found no API server that runs.",
        "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/",
    ),
    Refusal(
        503,
        "",
        "The API server or an aggregated one restarts.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
    ),
    Refusal(
        504,
        "",
        "The API server, or the load balancer before it, waited for too long.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
    ),
)

# Controllers make these in a new namespace; if they were faster, ours is laid over theirs.
_MADE_BY_CONTROLLERS = {("", "ServiceAccount", "default")}


_ATTEMPTS = 3
"""How often a patch is made anew because somebody else wrote to the object meanwhile."""

_OWNERS = "metadata.ownerReferences"


@dataclass(frozen=True, slots=True)
class Act:
    """What one attempt at a step led to."""

    outcome: Outcome
    stored: Body | None = None
    """The object as the API server has it now."""
    too_early: bool = False
    """It was refused for a reason that passes; try again."""


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
        body = held(step.ref, body)
        wanted = _with_owners(body, step.ref, find_uid)
        if step.action is Action.CONFIGURE:
            result, stored = _configure(connection, step.ref, resource, body, wanted)
            return Act(outcome(result), stored)
        try:
            stored = create(connection, resource, wanted)
            if step.ref.group_kind == ("", "PersistentVolumeClaim"):
                _free_released_volume(connection, stored)
            return Act(outcome(Result.DONE), stored)
        except ApiError as error:
            if error.status != 409 or error.reason != "AlreadyExists" or _too_early(error):
                raise
        if (step.ref.group, step.ref.kind, step.ref.name) in _MADE_BY_CONTROLLERS:
            stored = merge(connection, resource, wanted)
            return Act(outcome(Result.DONE), stored)
        live = get(connection, resource, step.ref.namespace, step.ref.name)
    except ApiError as error:
        return Act(outcome(Result.FAILED, error.message), too_early=_too_early(error))
    if same(step.ref, live, wanted, resource):
        return Act(outcome(Result.PRESENT), live)
    return Act(outcome(Result.FAILED, "exists and differs; left untouched"), live)


def _configure(
    connection: Connection, ref: Ref, resource: Resource, body: Body, wanted: Body
) -> tuple[Result, Body]:
    """Patch the fields that differ; once more if somebody wrote to the object meanwhile."""
    for attempt in range(_ATTEMPTS):
        live = get(connection, resource, ref.namespace, ref.name)
        changes = [
            change
            for change in field_changes(body, cleaned(ref, live, body, resource))
            if not change.path.startswith(_OWNERS)
        ]
        operations = json_patch(live, changes)
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


_VOLUME = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)


def _free_released_volume(connection: Connection, claim: Body) -> None:
    """Let a claim have its static volume again that a deleted claim of the same name has released.

    The volume stays Released while it names the old claim's UID, and the new claim stays Pending:
    https://github.com/vmware-tanzu/velero/issues/5141
    """
    name = (claim.get("spec") or {}).get("volumeName")
    if not name:
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


def _too_early(error: ApiError) -> bool:
    return any(
        error.status == refusal.status and refusal.contains in error.message
        for refusal in TOO_EARLY
    )


def same(ref: Ref, live: Body, wanted: Body, resource: Resource) -> bool:
    """Whether a live object, cleaned, is what was wanted; the UIDs of owners do not count."""
    expected = _without_uids(wanted)
    try:
        return canonical(cleaned(ref, live, expected, resource)) == canonical(expected)
    except ManifestError:
        # What Git has can be written, so something else is there.
        return False


def _with_owners(body: Body, ref: Ref, find_uid: FindUid) -> Body:
    """The body with its owners' new UIDs; an owner that did not come back is left out.

    Written with a UID that nobody has, the object would be collected as garbage at once.
    """
    linked = []
    for owner in body["metadata"].get("ownerReferences") or ():
        group = owner["apiVersion"].rpartition("/")[0]
        for namespace in dict.fromkeys((ref.namespace, "")):
            uid = find_uid(Ref(group, owner["kind"], namespace, owner["name"]))
            if uid:
                linked.append({**owner, "uid": uid})
                break
    return _owned_by(body, linked)


def _without_uids(body: Body) -> Body:
    owners = body["metadata"].get("ownerReferences") or ()
    return _owned_by(body, [{k: v for k, v in owner.items() if k != "uid"} for owner in owners])


def _owned_by(body: Body, owners: list[Body]) -> Body:
    metadata = {key: value for key, value in body["metadata"].items() if key != "ownerReferences"}
    if owners:
        metadata["ownerReferences"] = owners
    return {**body, "metadata": metadata}
