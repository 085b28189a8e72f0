"""Gives an object that is there Git's values, by a patch of the fields that differ. Writes."""

from __future__ import annotations

import time

from gitops_dr.cluster.apply import apply, get, patch
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.drift.patch import json_patch
from gitops_dr.engine.aims import Aim, Aimed
from gitops_dr.engine.likeness import cleaned
from gitops_dr.engine.owners import without_owners
from gitops_dr.model import Body, Ref, Resource, Result

_ATTEMPTS = 8
"""How often a patch is made anew because somebody else wrote to the object meanwhile: while a
Deployment is rolled out, its controller writes several times a second."""

_PAUSE = 0.05
"""Seconds before the second attempt, doubled before each other up to half a second."""


def configure(
    connection: Connection,
    ref: Ref,
    resource: Resource,
    body: Body,
    wanted: Body,
    *,
    aim: Aim,
    dry_run: bool,
) -> tuple[Result, Body, tuple[str, ...]]:
    """Write the fields of an object that differ and that ``aim`` means.

    Once more if somebody wrote to the object meanwhile. ``body`` is Git's, ``wanted`` the same with
    the owners that it has here. Also gives the fields that were left alone since they are somebody
    else's. Raises ``ApiError``.
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
