"""A real API server as tests of the rules see it: raw objects, as a user makes them.

Objects are told by their bodies: a collection's path and whether it has namespaces come from the
server's own discovery.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.listing import collection_path, object_path
from gitops_dr.model import Resource

SECONDS = 120.0
"""As a busy machine needs: a namespace goes only once its controller has looked at it twice."""
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def group_kind(body: Any) -> tuple[str, str]:
    return body["apiVersion"].rpartition("/")[0], body["kind"]


class ApiServer:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._served = discover(connection).versions()

    def resource(self, body: Any) -> Resource:
        if group_kind(body) not in self._served:
            self._served = discover(self.connection).versions()
        version = body["apiVersion"].rpartition("/")[2]
        return next(r for r in self._served[group_kind(body)] if r.version == version)

    def create(self, body: Any, *, manager: str = "kubectl-create", dry_run: bool = False) -> Any:
        """As kubectl does it; raises ``ApiError`` for a refusal."""
        path = collection_path(self.resource(body), body["metadata"].get("namespace", ""))
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        return self.connection.json("POST", path, query=query, body=orjson.dumps(body))

    def define(self, crd: Any) -> None:
        """Create a CustomResourceDefinition, and wait until it is established."""
        self.create(crd)
        self.until(crd, _is_established)

    def listed(self, body: Any) -> Any:
        """The object as the LIST of its collection has it, which is what an export reads."""
        resource = self.resource(body)
        metadata = body["metadata"]
        path = collection_path(resource, metadata.get("namespace", ""))
        for item in self.connection.json("GET", path)["items"]:
            if item["metadata"]["name"] == metadata["name"]:
                return item | {"apiVersion": resource.api_version, "kind": resource.kind}
        return None

    def everything(self) -> Iterator[Any]:
        """Every object of every kind that can be listed and made, raw."""
        for served in discover(self.connection).versions().values():
            resource = served[0]
            if {"list", "create"} <= resource.verbs:
                for item in self.connection.json("GET", collection_path(resource))["items"]:
                    yield item | {"apiVersion": resource.api_version, "kind": resource.kind}

    def until(self, body: Any, holds: Callable[[Any], bool], seconds: float = SECONDS) -> Any:
        """The listed object once the condition holds for it."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.listed(body)
            if found is not None and holds(found):
                return found
            assert time.monotonic() < deadline, f"stays {found}"
            time.sleep(0.05)

    def patch(self, body: Any, change: Any, subresource: str = "", **query: str) -> Any:
        query = {"fieldManager": "kubectl-edit", **query}
        return self.connection.json(
            "PATCH",
            self._path(body) + (f"/{subresource}" if subresource else ""),
            query=query,
            body=orjson.dumps(change),
            content_type=MERGE,
        )

    def apply(self, body: Any, manager: str) -> Any:
        """Server-side apply, as kubectl or a controller does it with force."""
        return self.connection.json(
            "PATCH",
            self._path(body),
            query={"fieldManager": manager, "force": "true"},
            body=orjson.dumps(body),
            content_type=APPLY,
        )

    def delete(self, body: Any, *, wait: bool = False, **query: str) -> None:
        try:
            self.connection.request("DELETE", self._path(body), query=query)
        except ApiError as error:
            if error.status != 404:
                raise
        deadline = time.monotonic() + SECONDS
        while wait and self.listed(body) is not None:
            assert time.monotonic() < deadline, f"{self._path(body)} is still there"
            time.sleep(0.05)

    def _path(self, body: Any) -> str:
        metadata = body["metadata"]
        return object_path(self.resource(body), metadata.get("namespace", ""), metadata["name"])


def _is_established(body: Any) -> bool:
    conditions = body.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
