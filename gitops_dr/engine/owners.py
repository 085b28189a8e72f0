"""Links objects to the new UIDs of their owners. Writes to the cluster only in ``relink``."""

from __future__ import annotations

from collections.abc import Callable

from gitops_dr.cluster.apply import patch
from gitops_dr.cluster.connect import Connection
from gitops_dr.model import Body, Ref, Resource

FindUid = Callable[[Ref], str | None]
"""The UID that an owner has in the target, or None if it is not there."""


def with_owners(body: Body, ref: Ref, find_uid: FindUid) -> Body:
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


def owners_of(body: Body) -> int:
    """How many owners an object names."""
    return len(body["metadata"].get("ownerReferences") or ())


def without_uids(body: Body) -> Body:
    """The body as Git has it, with its owners by name alone."""
    owners = body["metadata"].get("ownerReferences") or ()
    return _owned_by(body, [{k: v for k, v in owner.items() if k != "uid"} for owner in owners])


def without_owners(body: Body) -> Body:
    """The body as if nobody owned it."""
    return _owned_by(body, [])


def _owned_by(body: Body, owners: list[Body]) -> Body:
    metadata = {key: value for key, value in body["metadata"].items() if key != "ownerReferences"}
    if owners:
        metadata["ownerReferences"] = owners
    return {**body, "metadata": metadata}


def relink(
    connection: Connection, ref: Ref, resource: Resource, body: Body, find_uid: FindUid
) -> bool:
    """Give an object that was created before its owners the owners that are there by now.

    Returns whether it had to be written. Raises ``ApiError``.
    """
    owners = with_owners(body, ref, find_uid)["metadata"].get("ownerReferences")
    if not owners:
        return False
    operations = [{"op": "add", "path": "/metadata/ownerReferences", "value": owners}]
    patch(connection, resource, ref.namespace, ref.name, operations)
    return True
