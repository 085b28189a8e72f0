"""Looks up what a target has for volumes to come back, apart from classes. Reads from the target.

Of Secrets it asks only whether they are there: their values never leave the API server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.snapshots import listed
from gitops_dr.model import Body, Ref, Resource
from gitops_dr.volumes.fitting import TargetFacts, secret_of
from gitops_dr.volumes.records import SnapshotRecord

_SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_DRIVER = ("storage.k8s.io", "CSIDriver")


def target_facts(
    connection: Connection, in_git: Collection[Ref], records: Iterable[SnapshotRecord]
) -> TargetFacts:
    """What the target has of what the records need; ``in_git`` is what comes with them.

    What we may not look at is not known, which is no reason to stop. Raises ``ApiError``.
    """
    records = list(records)
    secrets = {secret for record in records if (secret := secret_of(record))}
    missing = {each for each in secrets if Ref("", "Secret", *each) not in in_git}
    placed = any(record.topology for record in records)
    drivers = _seen(connection, "/apis/storage.k8s.io/v1/csidrivers")
    coming = {ref.name for ref in in_git if ref.group_kind == _DRIVER}
    return TargetFacts(
        drivers=None
        if drivers is None
        else frozenset({body["metadata"]["name"] for body in drivers} | coming),
        nodes=tuple(
            body["metadata"].get("labels") or {}
            for body in (_seen(connection, "/api/v1/nodes") if placed else None) or ()
            if not (body.get("spec") or {}).get("unschedulable")
        ),
        absent_secrets=frozenset(each for each in missing if _is_absent(connection, *each)),
        quotas=tuple(_seen(connection, "/api/v1/resourcequotas") or ()),
    )


def _seen(connection: Connection, path: str) -> list[Body] | None:
    """The objects under a path; None if we may not list them. Raises ``ApiError``."""
    try:
        return list(listed(connection, path))
    except ApiError as error:
        if error.status == 403:
            return None
        raise


def _is_absent(connection: Connection, namespace: str, name: str) -> bool:
    """Whether a Secret is known not to be there. Raises ``ApiError``."""
    try:
        connection.request("GET", object_path(_SECRETS, namespace, name), accept=_METADATA)
    except ApiError as error:
        if error.status in (403, 404):
            # Who may not look does not know.
            return error.status == 404
        raise
    return False
