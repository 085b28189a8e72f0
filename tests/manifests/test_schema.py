"""Fields that a schema does not know are found, and what is open is left alone."""

import copy
from typing import Any

import pytest

from gitops_dr.manifests.schema import unknown_fields

META = "io.k8s.ObjectMeta"
SCHEMAS: dict[str, Any] = {
    META: {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
    "io.k8s.Deployment": {
        "type": "object",
        "x-kubernetes-group-version-kind": [
            {"group": "apps", "version": "v1", "kind": "Deployment"}
        ],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # As Kubernetes writes a reference that has a description or a default of its own.
            "metadata": {"allOf": [{"$ref": f"#/components/schemas/{META}"}], "default": {}},
            "spec": {"$ref": "#/components/schemas/io.k8s.Spec"},
        },
    },
    "io.k8s.Spec": {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "containers": {
                "type": "array",
                "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.Container"}]},
            },
            "args": {"type": "array", "items": {"type": "string"}},
            "limits": {
                "type": "object",
                "additionalProperties": {"$ref": "#/components/schemas/io.k8s.Limit"},
            },
            "any": {"type": "object"},
            "open": {
                "type": "object",
                "properties": {"known": {"properties": {"x": {}}}},
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "true": {"properties": {"x": {}}, "additionalProperties": True},
            "closed": {"type": "object", "additionalProperties": False},
            "nowhere": {"$ref": "#/components/schemas/not.here"},
            "elsewhere": {"$ref": "https://example.com/schema"},
            "either": {"allOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]},
        },
    },
    "io.k8s.Container": {"properties": {"name": {"type": "string"}}},
    "io.k8s.Limit": {"properties": {"cpu": {"type": "string"}}},
    "io.k8s.Pod": {
        "x-kubernetes-group-version-kind": [
            {"group": "", "version": "v1", "kind": "Pod"},
            {"group": "legacy", "version": "v1", "kind": "Pod"},
        ],
        "properties": {"apiVersion": {}, "kind": {}, "spec": {"properties": {"x": {}}}},
    },
}


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"any": "key"}},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("spec", "unknown"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"replicas": 1, "args": ["x"]}, [], id="known"),
        pytest.param({"new": 1}, ["spec.new"], id="new"),
        pytest.param({"new": {"a": {"b": 1}}}, ["spec.new"], id="new, named once"),
        pytest.param({"new": 1, "other": 2}, ["spec.new", "spec.other"], id="two of them"),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b", "new": 1}]},
            ["spec.containers[1].new"],
            id="in an item",
        ),
        pytest.param({"limits": {"a": {"cpu": "1"}}}, [], id="any key"),
        pytest.param(
            {"limits": {"a.b": {"gpu": "1"}}}, ['spec.limits["a.b"].gpu'], id="below any key"
        ),
        pytest.param({"any": {"a": {"b": 1}}}, [], id="an object without properties"),
        pytest.param({"open": {"a": {"b": 1}, "known": {"x": 1}}}, [], id="unknown is preserved"),
        pytest.param(
            {"open": {"known": {"y": 1}}}, ["spec.open.known.y"], id="known below what is open"
        ),
        pytest.param({"true": {"a": 1}}, [], id="others are allowed"),
        pytest.param({"closed": {"a": 1}}, ["spec.closed.a"], id="others are forbidden"),
        pytest.param({"nowhere": {"a": 1}, "elsewhere": {"a": 1}}, [], id="no such schema"),
        pytest.param({"either": {"z": 1}}, [], id="what is said in two places is not judged"),
        pytest.param({"replicas": {"a": 1}, "args": {"b": 1}}, [], id="types are not judged"),
        pytest.param({"containers": ["x"], "limits": None}, [], id="nor odd values"),
    ],
)
def test_fields_that_the_schema_lacks(spec: Any, unknown: list[str]) -> None:
    body = deployment(**spec)
    before = copy.deepcopy((body, SCHEMAS))
    assert unknown_fields(body, SCHEMAS) == unknown
    assert (body, SCHEMAS) == before


def test_fields_beside_the_spec_are_judged_too() -> None:
    body = deployment() | {"extra": 1}
    body["metadata"]["selfie"] = "x"
    assert unknown_fields(body, SCHEMAS) == ["metadata.selfie", "extra"]


@pytest.mark.parametrize(
    ("api_version", "kind", "unknown"),
    [
        ("v1", "Pod", ["spec.y"]),
        ("legacy/v1", "Pod", ["spec.y"]),
        ("v2", "Pod", []),
        ("other/v1", "Pod", []),
        ("v1", "Deployment", []),
        ("apps/v1", "Spec", []),
    ],
)
def test_the_kind_is_found_by_its_whole_name(
    api_version: str, kind: str, unknown: list[str]
) -> None:
    body = {"apiVersion": api_version, "kind": kind, "spec": {"y": 1}}
    assert unknown_fields(body, SCHEMAS) == unknown


def test_without_a_schema_nothing_can_be_said() -> None:
    assert unknown_fields(deployment(new=1), {}) == []
    assert unknown_fields({}, SCHEMAS) == []
