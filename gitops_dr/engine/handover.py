"""Gives what we make to those who applied it at the source. Writes to the cluster.

Whoever applies manifests on the server's side takes away what left them only where nobody else owns
the field. Made by us, an object would keep for ever what its GitOps controller drops later.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial

import orjson

from gitops_dr.cluster.apply import apply_new, create, get, patch
from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError, Connection
from gitops_dr.cluster.listing import ListRequest, list_pages
from gitops_dr.desired.managers import APPLY, Holder
from gitops_dr.drift.holders import LAST_APPLIED, handed_over
from gitops_dr.engine.asking import AT_ONCE
from gitops_dr.model import ANY, SECRET, Body, Ref, Resource

_ATTEMPTS = 5
"""How often it is tried again because somebody else wrote to the object meanwhile."""

_ANNOTATIONS = 200_000
"""Bytes of a manifest beyond which it is not written down: annotations may have 256 KiB in all."""


def create_for(
    connection: Connection, ref: Ref, resource: Resource, body: Body, holder: Holder
) -> tuple[Body, str]:
    """Create an object in the name of who applied it; as stored, and what did not work out.

    One that is there is never written to. Raises ``ApiError``, with status 409 if it exists.
    """
    if holder.operation != APPLY:
        noted = _noted(ref, body) if holder.last_applied else body
        return create(connection, resource, noted, manager=holder.manager), ""
    if holder.shares:
        # Made in its name, the object would be all the holder's for a moment; and one that applies
        # just its own part in that moment, as a controller does, takes the rest away.
        stored = create(connection, resource, body)
        try:
            return hand_over(connection, ref, resource, holder, stored), ""
        except ApiError as error:
            return stored, f"is not yet {holder.manager}'s, who applied it: {error.message}"
    try:
        return apply_new(connection, resource, body, manager=holder.manager), ""
    except ApiError as error:
        if not _may_be_posted(error):
            raise
        # Whether it is there, or on its way out, this tells better; and not all can be applied.
        return create(connection, resource, body, manager=holder.manager), ""


def hand_over(
    connection: Connection,
    ref: Ref,
    resource: Resource,
    holder: Holder,
    live: Body | None = None,
) -> Body:
    """Give our part of an object that is there to its holders of old; as it is then.

    ``live``: as it is known, which spares a look. Raises ``ApiError``.
    """
    place = (resource, ref.namespace, ref.name)
    for attempt in range(_ATTEMPTS):
        live = live or get(connection, *place)
        entries = handed_over(live["metadata"].get("managedFields"), holder, ours=FIELD_MANAGER)
        if entries is None:
            return live
        metadata = live["metadata"]
        operations: list[Body] = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {
                "op": "test",
                "path": "/metadata/resourceVersion",
                "value": metadata["resourceVersion"],
            },
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        ]
        try:
            return patch(connection, *place, operations)
        except ApiError as error:
            if error.status not in (409, 422) or attempt == _ATTEMPTS - 1:
                raise
        live = None
    raise AssertionError("the loop returns or raises")


def _may_be_posted(error: ApiError) -> bool:
    """Whether a refusal may be about how it was sent: as something to apply."""
    if error.status == 500:
        return "typed" in error.message
    return error.status in (400, 403, 405, 409, 415, 422)


def _noted(ref: Ref, body: Body) -> Body:
    """With the annotation by which ``kubectl apply`` knows what it has applied.

    Not of a Secret: its values would stand there a second time.
    """
    if ref.group_kind == SECRET:
        return body
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    if len(text) > _ANNOTATIONS:
        return body
    noted = deepcopy(body)
    annotations = noted["metadata"].setdefault("annotations", {})
    annotations[LAST_APPLIED] = text.decode()
    return noted


def hand_over_all(
    connection: Connection,
    holders: Mapping[Ref, Holder],
    resources: Mapping[tuple[str, str], Resource],
) -> dict[Ref, str]:
    """Give what is there and ours to its holders of old; what could not be given, and why.

    ``resources`` says how each kind is served; what is not there is passed over. Only metadata is
    read, and only what is ours is written to, so that a second time nothing is done.
    """
    kinds = sorted({ref.group_kind for ref in holders} & resources.keys())
    requests = [ListRequest(resources[kind], metadata_only=True) for kind in kinds]
    failed: dict[Ref, str] = {}

    def give(resource: Resource, body: Body) -> tuple[Ref, str] | None:
        metadata = body["metadata"]
        ref = Ref(*resource.group_kind, metadata.get("namespace", ""), metadata["name"])
        holder = holders.get(ref)
        if holder is None:
            return None
        try:
            hand_over(connection, ref, resource, holder, body)
        except ApiError as error:
            # One that went away meanwhile is nobody's.
            return None if error.status == 404 else (ref, error.message)
        return None

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hand-over") as workers:
        for page in list_pages(connection, requests):
            if page.error is not None:
                kind = page.resource.group_kind
                failed[Ref(*kind, "", ANY)] = page.error.message
            failed.update(filter(None, workers.map(partial(give, page.resource), page.items)))
    return failed
