"""Finds the objects that others own, whatever their kind. Reads from the cluster only."""

from __future__ import annotations

from collections.abc import Mapping

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.listing import ListRequest, list_pages
from gitops_dr.model import Ref
from gitops_dr.rules.clean import rules_for


def dependents(connection: Connection, owners: Mapping[str, Ref]) -> dict[Ref, list[Ref]]:
    """Find what the given objects own, by their UIDs: the owner to the objects, in no order.

    Lists the metadata of every kind that belongs in Git, so it is for the few that are deleted.
    Raises the ``ApiError`` of a kind that cannot be listed: what is not seen would be lost.
    """
    found: dict[Ref, list[Ref]] = {}
    if not owners:
        return found
    requests = [
        ListRequest(served[0], metadata_only=True)
        for kind, served in discover(connection).versions().items()
        if "list" in served[0].verbs and not rules_for(*kind).omit_kind
    ]
    for page in list_pages(connection, requests):
        if page.error is not None:
            raise page.error
        resource = page.resource
        for body in page.items:
            metadata = body["metadata"]
            for reference in metadata.get("ownerReferences") or ():
                owner = owners.get(reference.get("uid", ""))
                if owner is not None:
                    name, namespace = metadata["name"], metadata.get("namespace", "")
                    ref = Ref(resource.group, resource.kind, namespace, name)
                    found.setdefault(owner, []).append(ref)
    return found
