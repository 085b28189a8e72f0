"""A fake cluster that serves what a test puts into it, and repositories made with the real git."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fake_api import Answer, FakeApi, api, connection, listed, reply

from gitops_dr.cluster.listing import collection_path
from gitops_dr.model import Resource
from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import Repository, create_repository, head

__all__ = ["api", "connection"]

UID = "5ca1ab1e-0000-4000-8000-000000000000"


def live(name: str, namespace: str = "", **parts: Any) -> dict[str, Any]:
    """An object as a list gives it: without apiVersion and kind, with what the server adds."""
    metadata = {"name": name, "uid": f"uid of {name}", "resourceVersion": "7", "generation": 1}
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata | parts.pop("metadata", {}), **parts}


@dataclass
class FakeCluster:
    """Kinds with their objects, behind discovery and lists; ``ready()`` after each change."""

    api: FakeApi
    revision: str = "100"
    uid: str = UID
    kinds: dict[Resource, list[dict[str, Any]] | Answer] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the OpenAPI documents say of a kind of Kubernetes' own, by its name."""

    def serve(self, api_version: str, kind: str, *objects: Any, **options: Any) -> Resource:
        """Serve a kind; its first version is the preferred one. Gives the resource."""
        group, _, version = api_version.rpartition("/")
        resource = Resource(
            group,
            version,
            kind,
            options.get("plural", f"{kind.lower()}s"),
            options.get("namespaced", True),
            frozenset(options.get("verbs", ("create", "list"))),
        )
        self.kinds[resource] = options.get("answer") or list(objects)
        self.ready()
        return resource

    def path(self, kind: str, version: str = "") -> str:
        return next(
            collection_path(each)
            for each in self.kinds
            if each.kind == kind and version in ("", each.version)
        )

    def queries(self, kind: str, version: str = "") -> list[dict[str, str]]:
        """What was asked of a kind, across all namespaces."""
        return [request.query for request in self.api.asked(self.path(kind, version))]

    def ready(self) -> None:
        self._identity()
        self._discovery()
        self._documents()
        for resource, objects in self.kinds.items():
            if isinstance(objects, Answer):
                self.api.on(collection_path(resource), objects)
                continue
            self.api.on(collection_path(resource), self._lister(objects))
            for namespace in {each["metadata"].get("namespace", "") for each in objects}:
                here = [o for o in objects if o["metadata"].get("namespace", "") == namespace]
                self.api.on(collection_path(resource, namespace), self._lister(here, objects))

    def _lister(self, objects: Any, everything: Any = None) -> Callable[..., Answer]:
        def answer(request: Any) -> Answer:
            name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
            across = "/namespaces/" not in request.path and everything is not None
            chosen = [
                each
                for each in (everything if across else objects)
                if name in ("", each["metadata"]["name"])
            ]
            if "PartialObjectMetadataList" in request.headers["Accept"]:
                chosen = [{"metadata": each["metadata"]} for each in chosen]
            return reply(listed(*chosen, revision=self.revision))

        return answer

    def _identity(self) -> None:
        self.api.on("/version", reply({"gitVersion": "v1.37.2"}))
        system = {"metadata": {"name": "kube-system", "uid": self.uid}}
        self.api.on("/api/v1/namespaces/kube-system", reply(system))
        self.api.on("/api/v1/namespaces", reply(listed(revision=self.revision)))

    def _documents(self) -> None:
        """A schema of each kind: objects that may hold anything, unless ``schemas`` says more."""
        documents: dict[str, dict[str, Any]] = {}
        for resource in self.kinds:
            place = "apis" if resource.group else "api"
            named = {"group": resource.group, "version": resource.version, "kind": resource.kind}
            schema = self.schemas.get(resource.kind, {"type": "object"})
            name = f"io.k8s.api.fake.{resource.kind}" if resource.kind in self.schemas else "any"
            documents.setdefault(f"/openapi/v3/{place}/{resource.api_version}", {})[
                f"{name}.{resource.kind}"
            ] = {**schema, "x-kubernetes-group-version-kind": [named]}
        for path, schemas in documents.items():
            self.api.on(path, reply({"components": {"schemas": schemas}}))

    def _discovery(self) -> None:
        groups: dict[str, dict[str, list[Any]]] = {"": {}}
        for resource in self.kinds:
            versions = groups.setdefault(resource.group, {})
            versions.setdefault(resource.version, []).append(
                {
                    "resource": resource.plural,
                    "responseKind": {"kind": resource.kind},
                    "scope": "Namespaced" if resource.namespaced else "Cluster",
                    "verbs": sorted(resource.verbs),
                }
            )
        items = {
            name: [{"version": v, "resources": r} for v, r in versions.items()]
            for name, versions in groups.items()
        }
        for name in self.stale:
            items[name] = [{"version": "v1", "freshness": "Stale"}]
        for path, wanted in (("/api", True), ("/apis", False)):
            found = [
                {"metadata": {"name": name}, "versions": versions}
                for name, versions in items.items()
                if (name == "") is wanted
            ]
            self.api.on(path, reply({"kind": "APIGroupDiscoveryList", "items": found}))


@pytest.fixture
def cluster(api: FakeApi) -> FakeCluster:
    empty = FakeCluster(api)
    empty.ready()
    return empty


@pytest.fixture
def make_live() -> Callable[..., dict[str, Any]]:
    return live


@pytest.fixture
def repo(tmp_path: Any, monkeypatch: Any) -> Repository:
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    return create_repository(tmp_path / "repo")


@pytest.fixture
def save(repo: Repository) -> Callable[[dict[str, bytes | str | None]], str]:
    """Commit changes of files; gives the commit."""

    def run(changes: dict[str, bytes | str | None]) -> str:
        encoded = {p: d.encode() if isinstance(d, str) else d for p, d in changes.items()}
        made = commit(
            repo,
            changes=encoded,
            message="Save",
            trailers={},
            guard=lambda _path, _data: None,
            expected=head(repo),
        )
        return made.id

    return run
