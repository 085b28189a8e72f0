"""Asks an API server which kinds it serves. Reads from the cluster only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.errors import ClusterError
from gitops_dr.model import ANY, Gap, Identity, Ref, Resource

# A server that knows no aggregated discovery answers in the old form, rather than 406.
_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True, slots=True)
class Discovery:
    """Everything one API server serves, in each version, preferred version first."""

    resources: tuple[Resource, ...]
    gaps: tuple[Gap, ...]
    """Groups whose backend does not answer: their kinds are unknown, not absent."""

    def versions(self) -> Mapping[tuple[str, str], tuple[Resource, ...]]:
        """Per group and kind its versions, preferred first."""
        found: dict[tuple[str, str], list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.group_kind, []).append(resource)
        return {key: tuple(value) for key, value in found.items()}


def discover(connection: Connection) -> Discovery:
    """Read aggregated discovery. Raises ``ClusterError`` if the server cannot be reached."""
    documents = [connection.json("GET", path, accept=_ACCEPT) for path in ("/api", "/apis")]
    if any(document.get("kind") != "APIGroupDiscoveryList" for document in documents):
        raise ClusterError(
            f"{connection.server}: serves no aggregated discovery",
            hint="Kubernetes 1.30 or newer is needed",
        )
    groups = [group for document in documents for group in document.get("items") or ()]
    resources: list[Resource] = []
    gaps: list[Gap] = []
    for group in groups:
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                gaps.append(silence(f"{version['version']}.{name}"))
                continue
            resources += _resources(name, version)
    return Discovery(tuple(resources), tuple(dict.fromkeys(gaps)))


def silence(api_service: str) -> Gap:
    """The gap of an API service, ``<version>.<group>``, that does not answer."""
    group = api_service.partition(".")[2]
    return Gap(Ref(group, ANY, "", ANY), f"its API service ({api_service}) does not answer")


def _resources(group: str, version: Mapping[str, Any]) -> Iterable[Resource]:
    for resource in version.get("resources") or ():
        kind = resource.get("responseKind") or {}
        yield Resource(
            group=group,
            version=version["version"],
            kind=kind.get("kind", ""),
            plural=resource["resource"],
            namespaced=resource.get("scope") == "Namespaced",
            verbs=frozenset(resource.get("verbs") or ()),
        )


def identify(connection: Connection) -> Identity:
    """Which cluster answers, at which version, at which moment. Raises ``ClusterError``."""
    version = connection.json("GET", "/version").get("gitVersion", "")
    try:
        namespace = connection.json("GET", "/api/v1/namespaces/kube-system")
        listed = connection.json("GET", "/api/v1/namespaces", query={"limit": 1})
    except ApiError as error:
        raise ClusterError(
            f"{connection.server}: cannot be identified: {error.message}",
            hint="reading and listing namespaces is the least that is needed",
        ) from error
    return Identity(
        uid=namespace["metadata"]["uid"],
        version=version,
        revision=listed["metadata"]["resourceVersion"],
    )
