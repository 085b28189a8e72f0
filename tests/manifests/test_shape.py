"""What a schema says of a field is found, through references, maps and lists."""

from typing import Any

import pytest

from gitops_dr.manifests.shape import Shape, kind_shape

PREFIX = "#/components/schemas/"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
SCHEMAS: dict[str, Any] = {
    QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "io.k8s.api.core.v1.Thing": {
        "type": "object",
        "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Thing"}],
        "properties": {
            "spec": {"default": {}, "allOf": [{"$ref": f"{PREFIX}io.k8s.api.core.v1.ThingSpec"}]},
            "nowhere": {"$ref": f"{PREFIX}not.here"},
            "elsewhere": {"$ref": "https://example.com/schema"},
            "round": {"$ref": f"{PREFIX}round"},
            "either": {"allOf": [{"type": "string"}, {"format": "byte"}]},
        },
    },
    "io.k8s.api.core.v1.ThingSpec": {
        "type": "object",
        "default": {"name": "x"},
        "properties": {
            "name": {"type": "string"},
            "limits": {"type": "object", "additionalProperties": {"$ref": PREFIX + QUANTITY}},
            "open": {"type": "object", "additionalProperties": True},
            "items": {"type": "array", "items": {"type": "string"}},
            "any": {"type": "array"},
        },
    },
    "round": {"allOf": [{"$ref": f"{PREFIX}round"}], "type": "object"},
    "com.example.v1.Custom": {
        "type": "object",
        "x-kubernetes-group-version-kind": [
            {"group": "example.com", "version": "v1", "kind": "Custom"}
        ],
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
            "metadata": {"allOf": [{"$ref": f"{PREFIX}io.k8s.api.core.v1.ThingSpec"}]},
        },
    },
}


def thing() -> Shape:
    found = kind_shape(SCHEMAS, "", "v1", "Thing")
    assert found is not None
    return found


def custom() -> Shape:
    found = kind_shape(SCHEMAS, "example.com", "v1", "Custom")
    assert found is not None
    return found


def below(shape: Shape, *keys: str) -> Shape:
    for key in keys:
        found = shape.field(key)
        assert found is not None, key
        shape = found
    return shape


@pytest.mark.parametrize(
    ("group", "version", "kind"),
    [("", "v2", "Thing"), ("example.com", "v1", "Thing"), ("", "v1", "Custom"), ("", "v1", "")],
)
def test_a_kind_is_found_by_its_whole_name(group: str, version: str, kind: str) -> None:
    assert kind_shape(SCHEMAS, group, version, kind) is None


def test_without_schemas_there_is_no_shape() -> None:
    assert kind_shape({}, "", "v1", "Thing") is None


def test_what_stands_beside_a_reference_counts_more_than_what_it_names() -> None:
    spec = below(thing(), "spec")
    assert spec.marks["default"] == {}
    assert spec.marks["type"] == "object"
    assert spec.marks["named"] == "io.k8s.api.core.v1.ThingSpec"


def test_a_type_that_has_a_name_says_it_and_its_fields_do_not() -> None:
    assert thing().marks["named"] == "io.k8s.api.core.v1.Thing"
    assert below(thing(), "spec", "name").marks["named"] == ""
    quantity = below(thing(), "spec", "limits").entry()
    assert quantity is not None
    assert (quantity.marks["named"], quantity.marks["entry"]) == (QUANTITY, True)


def test_kubernetes_own_types_are_told_from_custom_ones() -> None:
    assert thing().marks["go"]
    assert below(thing(), "spec", "name").marks["go"]
    assert not custom().marks["go"]
    assert not below(custom(), "spec", "size").marks["go"]
    # Metadata of a custom resource is Kubernetes' own.
    assert below(custom(), "metadata").marks["go"]


def test_a_group_that_sounds_like_one_is_none() -> None:
    schema = {**SCHEMAS["com.example.v1.Custom"]}
    shape = kind_shape({"io.k8s.gateway.v1.Custom": schema}, "example.com", "v1", "Custom")
    assert shape is not None
    assert not shape.marks["go"]


def test_items_and_entries() -> None:
    spec = below(thing(), "spec")
    item = below(spec, "items").item()
    assert item is not None
    assert (item.marks["type"], item.marks["entry"]) == ("string", False)
    assert below(spec, "any").item() is None
    assert below(spec, "open").entry() is None
    assert below(spec, "name").entry() is None


def test_a_field_that_is_not_named_has_no_shape() -> None:
    assert thing().field("other") is None
    assert below(thing(), "spec", "limits").field("cpu") is None


@pytest.mark.parametrize("key", ["nowhere", "elsewhere", "round", "either"])
def test_a_reference_that_leads_nowhere_or_round_says_nothing(key: str) -> None:
    shape = below(thing(), key)
    assert shape.field("x") is None
    assert shape.item() is None
    assert "format" not in shape.marks


@pytest.mark.parametrize("schema", [None, 1, "text", [], {"properties": []}, {"items": []}])
def test_what_is_no_schema_says_nothing(schema: Any) -> None:
    broken = {**SCHEMAS["io.k8s.api.core.v1.Thing"], "properties": {"spec": schema}}
    shape = kind_shape({"x": broken}, "", "v1", "Thing")
    assert shape is not None
    spec = shape.field("spec")
    assert spec is None or (spec.field("x") is None and spec.item() is None)
