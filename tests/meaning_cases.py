"""The cases of ``drift/meaning.yaml``, with schemas as an API server's documents have them."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yamlrocks

from gitops_dr.drift import rows
from gitops_dr.drift.meaning import Meaning
from gitops_dr.manifests.shape import kind_shape
from gitops_dr.model import Ref

_FILE = yamlrocks.loads((Path(__file__).parent / "drift" / "meaning.yaml").read_bytes())
CASES: list[dict[str, Any]] = _FILE["cases"]
DEFINITIONS: list[dict[str, Any]] = _FILE["definitions"]

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TEXTS = {"type": "object", "additionalProperties": {"type": "string", "default": ""}}
COMMON = {
    META: {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "labels": _TEXTS,
            "annotations": _TEXTS,
            "finalizers": {
                "type": "array",
                "items": {"type": "string", "default": ""},
                "x-kubernetes-list-type": "set",
            },
            "ownerReferences": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["uid"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
            },
        },
    },
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "oneOf": [{"type": "string"}, {"type": "number"}]
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
}


def document(api_version: str, kind: str, name: str, properties: Any) -> dict[str, Any]:
    """``components.schemas`` with one kind in it."""
    group, _, version = api_version.rpartition("/")
    return COMMON | {
        name: {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"default": {}, "allOf": [{"$ref": f"#/components/schemas/{META}"}]},
                **properties,
            },
            "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": kind}],
        }
    }


def meaning_of(body: Any) -> Meaning:
    """What the schema of a case's kind means."""
    api_version, kind = body["apiVersion"], body["kind"]
    group, _, version = api_version.rpartition("/")
    for definition in DEFINITIONS:
        spec = definition["spec"]
        if (spec["group"], spec["names"]["kind"]) == (group, kind):
            properties = spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
            name = f"com.example.{version}.{kind}"
            break
    else:
        properties, name = _FILE["schemas"][kind], f"io.k8s.api.some.{version}.{kind}"
    shape = kind_shape(document(api_version, kind, name, properties), group, version, kind)
    assert shape is not None
    return Meaning(shape)


def ref_of(body: Any) -> Ref:
    metadata = body["metadata"]
    group = body["apiVersion"].rpartition("/")[0]
    return Ref(group, body["kind"], metadata.get("namespace", ""), metadata["name"])


def comparisons(case: Any) -> Iterator[dict[str, Any]]:
    """The case itself and its near misses, each with git, made, live and differs."""
    whole = {"differs": [], "made": case["git"], **case}
    for one in (whole, *({**whole, "differs": [], **near} for near in case.get("near", ()))):
        yield {key: copy.deepcopy(one[key]) for key in ("git", "made", "live", "differs")}


@contextmanager
def without(row_id: str) -> Iterator[None]:
    """As if there were no such row."""
    others = tuple(row for row in rows.rows() if row.id != row_id)
    assert len(others) < len(rows.rows())
    readers = (rows.field_rows, rows.object_rows, rows.ask_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "rows", lambda: others)
        try:
            for reader in readers:
                reader.cache_clear()
            yield
        finally:
            for reader in readers:
                reader.cache_clear()
