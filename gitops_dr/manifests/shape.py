"""Walks an OpenAPI v3 schema beside a value: what is known of each field of a manifest. Pure.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gitops_dr.manifests.schema import REFERENCE, Schemas, kind_schema

# Names of the schemas that are made from the API server's own Go types. All others describe custom
# resources, or what an API server of their own serves.
_GO: Final = (
    "io.k8s.api.",
    "io.k8s.apimachinery.",
    "io.k8s.apiextensions-apiserver.",
    "io.k8s.kube-aggregator.",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema says of one field.

    ``marks`` holds the schema's own keys (``type``, ``format``, ``default``,
    ``x-kubernetes-list-type`` ...) and three of ours: ``named``, the name of the type if it has
    one; ``go``, that it is one of the API server's own Go types; ``entry``, that it is the value of
    a map of arbitrary keys.
    """

    marks: Mapping[str, Any]
    _schemas: Schemas = field(repr=False)

    def properties(self) -> Mapping[str, Any]:
        """The fields that the schema names; anything may be there beside them."""
        found = self.marks.get("properties")
        return found if isinstance(found, dict) else {}

    def field(self, key: str) -> Shape | None:
        """One of the named fields; None if there is no such name."""
        schema = self.properties().get(key)
        return None if schema is None else self._below(schema, entry=False)

    def entry(self) -> Shape | None:
        """The value of any key that is not named; None if nothing is known of such."""
        rest = self.marks.get("additionalProperties")
        return self._below(rest, entry=True) if isinstance(rest, dict) else None

    def item(self) -> Shape | None:
        """An item of the list; None if nothing is known of them."""
        items = self.marks.get("items")
        return self._below(items, entry=False) if isinstance(items, dict) else None

    def _below(self, schema: Any, *, entry: bool) -> Shape:
        return _shape(schema, self._schemas, go=bool(self.marks["go"]), entry=entry)


def kind_shape(schemas: Schemas, group: str, version: str, kind: str) -> Shape | None:
    """The shape of the objects of a kind; None if the document does not describe it."""
    found = kind_schema(schemas, group, version, kind)
    if found is None:
        return None
    name, schema = found
    return _shape({**schema, "named": name}, schemas, go=name.startswith(_GO), entry=False)


def _shape(schema: Any, schemas: Schemas, *, go: bool, entry: bool) -> Shape:
    """Follow references; what stands beside one (a default, say) counts more than what it names."""
    marks: dict[str, Any] = {}
    followed: set[str] = set()
    while isinstance(schema, dict):
        marks = {**{key: schema[key] for key in schema if key not in ("$ref", "allOf")}, **marks}
        wrapped, reference = schema.get("allOf"), schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(REFERENCE):
            name = reference.removeprefix(REFERENCE)
            if name in followed:
                break
            followed.add(name)
            go = name.startswith(_GO)
            marks.setdefault("named", name)
            schema = schemas.get(name)
        elif isinstance(wrapped, list) and len(wrapped) == 1:
            schema = wrapped[0]
        else:
            break
    return Shape({"named": "", **marks, "go": go, "entry": entry}, schemas)
