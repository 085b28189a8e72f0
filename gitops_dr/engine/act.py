"""Carries out one step of a plan and says what came of it. Writes to the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gitops_dr.cluster.apply import create, get, merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Body, Outcome, Ref, Resource, Result, Step
from gitops_dr.rules.clean import rules_for
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
    """Create the step's object, or find that it is there already and equal.

    An object that is there and differs is left as it is, and the step has failed.
    """
    started = time.monotonic()

    def outcome(result: Result, reason: str = "") -> Outcome:
        return Outcome(step.ref, step.action, result, reason, time.monotonic() - started)

    try:
        wanted = _with_owners(body, step.ref, find_uid)
        try:
            stored = create(connection, resource, wanted)
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


def _too_early(error: ApiError) -> bool:
    return any(
        error.status == refusal.status and refusal.contains in error.message
        for refusal in TOO_EARLY
    )


def same(ref: Ref, live: Body, wanted: Body, resource: Resource) -> bool:
    """Whether a live object, cleaned, is what was wanted; the UIDs of owners do not count."""
    copy = {**live, "metadata": dict(live["metadata"]), "apiVersion": resource.api_version}
    rules_for(resource.group, resource.kind).clean(copy)
    try:
        expected = canonical(_without_uids(wanted))
        if canonical(copy) == expected:
            return True
        # What an autoscaler decides is not in Git, but the API server fills it in. Where Git has
        # it, the two stay different.
        apply_autoscaler(ref, copy, RelationFacts(autoscaled={ref}))
        return canonical(copy) == expected
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
