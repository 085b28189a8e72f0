"""Finds what a target cannot take before anything is written to it. Reads from the cluster only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitops_dr.cluster.apply import find
from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import Discovery
from gitops_dr.cluster.openapi import schemas
from gitops_dr.manifests.schema import Schemas, unknown_fields
from gitops_dr.model import ANY, Body, Ref, Resource

CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
_API_SERVICE = ("apiregistration.k8s.io", "APIService")


@dataclass(slots=True)
class Preflight:
    """Looks at each object that would be created, one at a time.

    ``fields`` asks the target's schemas too, which is worth its time only where the target is of
    another version than the source.
    """

    connection: Connection
    discovery: Discovery
    fields: bool
    operators_define: bool = False
    _provided: set[tuple[str, str, str]] = field(default_factory=set)
    _seen: list[tuple[Ref, str]] = field(default_factory=list)
    _unknown: dict[Ref, str] = field(default_factory=dict)
    _schemas: dict[tuple[str, str], Schemas] = field(default_factory=dict)

    def look(self, ref: Ref, version: str, body: Body) -> None:
        """Take one object into account."""
        self._seen.append((ref, version))
        if ref.group_kind == CRD:
            self._provided |= set(_kinds_of(body))
        elif ref.group_kind == _API_SERVICE:
            self._provided |= set(_kinds_behind(body))
        elif self.fields:
            key = (ref.group, version)
            if key not in self._schemas:
                self._schemas[key] = schemas(self.connection, *key)
            found = unknown_fields(body, self._schemas[key])
            if found:
                self._unknown[ref] = f"the target does not know its {', '.join(found[:3])}"

    def refusals(self) -> Mapping[Ref, str]:
        """Objects that the target would refuse, with the reason, once all were looked at."""
        served = {(r.group, r.version, r.kind) for r in self.discovery.resources}
        others = self.discovery.versions()
        refused = dict(self._unknown)
        possible = served | self._provided
        for ref, version in self._seen:
            kinds = {(ref.group, version, kind) for kind in (ref.kind, ANY)}
            other = others.get(ref.group_kind)
            if possible & kinds or (self.operators_define and "." in ref.group and not other):
                continue
            instead = f"; it serves {other[0].version}" if other else ""
            refused[ref] = f"the target does not serve this kind in version {version}{instead}"
        return refused


def stored_versions(connection: Connection, name: str) -> tuple[str, ...]:
    """In which versions objects of a definition may be stored; none if it is not there.

    Raises ``ApiError``.
    """
    group, kind = CRD
    resource = Resource(group, "v1", kind, "customresourcedefinitions", namespaced=False)
    body = find(connection, resource, "", name) or {}
    return tuple(map(str, (body.get("status") or {}).get("storedVersions") or ()))


def _kinds_of(crd: Body) -> Iterable[tuple[str, str, str]]:
    spec = crd.get("spec") or {}
    for version in spec.get("versions") or ():
        if version.get("served"):
            yield spec["group"], version["name"], spec["names"]["kind"]


def _kinds_behind(api_service: Body) -> Iterable[tuple[str, str, str]]:
    spec = api_service.get("spec") or {}
    if spec.get("service"):
        yield spec.get("group", ""), spec.get("version", ""), ANY
