"""Says which fields of a manifest an OpenAPI v3 schema does not know. Pure.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3 and, for what an
API server does with the answer, its strict field validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath
from gitops_dr.model import Body

Schemas = Mapping[str, Any]
"""``components.schemas`` of one document of ``/openapi/v3``."""

REFERENCE = "#/components/schemas/"
"""How a schema begins the name of another one."""


def unknown_fields(body: Body, schemas: Schemas) -> list[str]:
    """Paths of the fields that the schema of the body's kind does not have.

    Empty also where the document describes no such kind, or describes it only as an object: then
    nothing can be said. Known are what ``properties`` names and everything below a schema that is
    open (``additionalProperties``, ``x-kubernetes-preserve-unknown-fields``, no properties).
    """
    group, _, version = str(body.get("apiVersion", "")).rpartition("/")
    found = kind_schema(schemas, group, version, body.get("kind"))
    if found is None:
        return []
    return [format_fieldpath(path) for path in _unknown(body, found[1], schemas, ())]


def kind_schema(
    schemas: Schemas, group: str, version: str, kind: Any
) -> tuple[str, Mapping[str, Any]] | None:
    """Find the schema of a kind, with its name; None if the document describes no such kind."""
    wanted = {"group": group, "version": version, "kind": kind}
    for name, schema in schemas.items():
        if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
            return name, schema
    return None


def _unknown(value: Any, schema: Any, schemas: Schemas, at: FieldPath) -> Iterator[FieldPath]:
    schema = _resolved(schema, schemas)
    if isinstance(value, dict):
        properties = schema.get("properties")
        rest = schema.get("additionalProperties")
        is_open = schema.get("x-kubernetes-preserve-unknown-fields") or (
            not properties and rest is None
        )
        for key, child in value.items():
            path = (*at, key)
            if properties and key in properties:
                yield from _unknown(child, properties[key], schemas, path)
            elif isinstance(rest, dict):
                yield from _unknown(child, rest, schemas, path)
            elif not is_open and not rest:
                yield path
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _unknown(item, schema["items"], schemas, (*at, index))


def _resolved(schema: Any, schemas: Schemas) -> Mapping[str, Any]:
    """Follow ``$ref`` and the ``allOf`` of one that Kubernetes wraps it in."""
    while isinstance(schema, dict):
        wrapped = schema.get("allOf")
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(REFERENCE):
            schema = schemas.get(reference.removeprefix(REFERENCE))
        elif isinstance(wrapped, list) and len(wrapped) == 1:
            schema = wrapped[0]
        else:
            return schema
    return {}
