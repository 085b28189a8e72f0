"""Writes single objects to the cluster: create, apply, patch. Writes to the cluster.

Every write is strict about fields (an unknown field is an error, not silently dropped) and carries
our field manager. Create and patch may be dry runs: the API server does all but store the object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError, Connection
from gitops_dr.cluster.listing import collection_path, object_path
from gitops_dr.model import Body, Resource

_QUERY = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


_ANY_VERSION = "1"
"""A resourceVersion that no object has, since etcd counts from one before the first is stored."""


def create(
    connection: Connection,
    resource: Resource,
    body: Body,
    *,
    dry_run: bool = False,
    manager: str = FIELD_MANAGER,
) -> Body:
    """Create an object; returns it as stored. Raises ``ApiError``, with status 409 if it exists."""
    path = collection_path(resource, body["metadata"].get("namespace", ""))
    query = {**_query(dry_run=dry_run), "fieldManager": manager}
    return _body(connection.json("POST", path, query=query, body=orjson.dumps(body)), path)


def find(connection: Connection, resource: Resource, namespace: str, name: str) -> Body | None:
    """Read an object; None if it is not there, or its kind not served. Raises ``ApiError``."""
    try:
        return get(connection, resource, namespace, name)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def merge(connection: Connection, resource: Resource, body: Body) -> Body:
    """Lay an object over the one that is there (JSON merge patch). Raises ``ApiError``."""
    metadata = body["metadata"]
    path = object_path(resource, metadata.get("namespace", ""), metadata["name"])
    answer = connection.json(
        "PATCH",
        path,
        query=_QUERY,
        body=orjson.dumps(body),
        content_type="application/merge-patch+json",
    )
    return _body(answer, path)


def apply(connection: Connection, resource: Resource, body: Body) -> Body:
    """Apply a manifest on the server's side: its fields become ours, others stay as they are.

    Where others own a field, it is taken from them. Raises ``ApiError``.
    """
    metadata = body["metadata"]
    path = object_path(resource, metadata.get("namespace", ""), metadata["name"])
    answer = connection.json(
        "PATCH",
        path,
        query={**_QUERY, "force": "true"},
        body=orjson.dumps(body),
        content_type="application/apply-patch+yaml",
    )
    return _body(answer, path)


def apply_new(connection: Connection, resource: Resource, body: Body, *, manager: str) -> Body:
    """Create an object by server-side apply, as ``manager``: all its fields are that one's.

    An object that is there has another resourceVersion than the one that is sent along, so it is
    not written to. Raises ``ApiError``, with status 409 if it exists.
    """
    metadata = {**body["metadata"], "resourceVersion": _ANY_VERSION}
    path = object_path(resource, metadata.get("namespace", ""), metadata["name"])
    answer = connection.json(
        "PATCH",
        path,
        query={**_QUERY, "fieldManager": manager},
        body=orjson.dumps({**body, "metadata": metadata}),
        content_type="application/apply-patch+yaml",
    )
    return _body(answer, path)


def patch(
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    operations: list[Body],
    *,
    dry_run: bool = False,
) -> Body:
    """Change an object by JSON Patch (RFC 6902). Raises ``ApiError``; a failed test is a 422."""
    path = object_path(resource, namespace, name)
    answer = connection.json(
        "PATCH",
        path,
        query=_query(dry_run=dry_run),
        body=orjson.dumps(operations),
        content_type="application/json-patch+json",
    )
    return _body(answer, path)


def get(connection: Connection, resource: Resource, namespace: str, name: str) -> Body:
    """Read one object. Raises ``ApiError``, with status 404 if it is not there."""
    path = object_path(resource, namespace, name)
    return _body(connection.json("GET", path), path)


def late_binding_classes(connection: Connection) -> Callable[[Body], bool]:
    """Tells of a claim whether it binds only once a pod uses it.

    That is so if its StorageClass, or the default class for a claim that names none, has
    ``volumeBindingMode: WaitForFirstConsumer``. Raises ``ApiError``.
    """
    path = "/apis/storage.k8s.io/v1/storageclasses"
    late: dict[str | None, bool] = {}

    def waits(claim: Body) -> bool:
        name = (claim.get("spec") or {}).get("storageClassName")
        if name not in late:
            # Asked again for each new name: the class may be part of the same rebuild.
            for body in connection.json("GET", path).get("items") or ():
                waiting = body.get("volumeBindingMode") == "WaitForFirstConsumer"
                late[body["metadata"]["name"]] = waiting
                annotations = body["metadata"].get("annotations") or {}
                if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
                    late[None] = waiting
        return late.get(name, False)

    return waits


def _query(*, dry_run: bool) -> dict[str, str]:
    return {**_QUERY, "dryRun": "All"} if dry_run else _QUERY


def _body(answer: Any, path: str) -> Body:
    if not isinstance(answer, dict) or not isinstance(answer.get("metadata"), dict):
        raise ApiError(f"{path}: the answer is not an object", status=0)
    return answer
