"""Creates the shop of ``cluster-repos/bookstore`` in a cluster by plain API calls, as people do.

Deliberately naive: it knows nothing of order and tries again what was refused, so that what the
export finds was not arranged by the code that is being shown.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.listing import ListRequest, collection_path, list_pages, object_path
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body, Resource
from gitops_dr.readiness import awaited, readiness
from gitops_dr.resources import shipped

PATIENCE = 90.0
"""Seconds for the whole shop to be created, and again to be ready."""


def create_shop(connection: Connection) -> int:
    """Create every object of the shop; returns how many there are."""
    root = shipped("cluster-repos/bookstore/clusters/bookstore")
    # What is in kube-system belongs to the cluster, which has its own already.
    others = {"recovery", "kube-system"}
    files = sorted(path for path in root.rglob("*.yaml") if not others & set(path.parts))
    # It runs to its end, so it is in no export: nothing may run a second time.
    files.append(Path(__file__).with_name("schema-migration.yaml"))
    left = [parse(path.read_bytes(), str(path)) for path in files]
    number = len(left)
    deadline = time.monotonic() + PATIENCE
    while left:
        served = {
            (resource.api_version, resource.kind): resource
            for resource in discover(connection).resources
        }
        refused: list[tuple[dict[str, Any], str]] = []
        for body in left:
            resource = served.get((body["apiVersion"], body["kind"]))
            reason = _create(connection, resource, body) if resource else "not served yet"
            if reason:
                refused.append((body, reason))
        if refused and time.monotonic() > deadline:
            body, reason = refused[0]
            raise SystemExit(f"{body['kind']}/{body['metadata']['name']}: {reason}")
        left = [body for body, _ in refused]
    return number


def _create(connection: Connection, resource: Resource, body: dict[str, Any]) -> str:
    """Why it could not be created; empty if it could."""
    namespace = body["metadata"].get("namespace", "")
    try:
        connection.request("POST", collection_path(resource, namespace), body=orjson.dumps(body))
    except ApiError as error:
        if error.reason != "AlreadyExists":
            return error.message
        path = object_path(resource, namespace, body["metadata"]["name"])
        patch = "application/merge-patch+json"
        connection.request("PATCH", path, body=orjson.dumps(body), content_type=patch)
    return ""


def wait_until_open(connection: Connection) -> None:
    """Wait until everything that can be ready is ready and the migration has run."""
    kinds = [r for r in discover(connection).resources if awaited(r.group_kind)]
    deadline = time.monotonic() + PATIENCE
    while True:
        waiting = [
            f"{page.resource.kind}/{body['metadata']['name']}: {found.reason}"
            for page in list_pages(connection, [ListRequest(kind) for kind in kinds])
            for body in page.items
            if not (found := readiness(_typed(body, page.resource))).ready
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"the shop does not open: {waiting[0]}")
        time.sleep(0.2)


def _typed(body: Body, resource: Resource) -> Body:
    """Items of a list carry neither apiVersion nor kind."""
    return {**body, "apiVersion": resource.api_version, "kind": resource.kind}
