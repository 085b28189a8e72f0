"""``target.yaml``: what it may hold, what is said of anything else, and its JSON Schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gitops_dr.desired.target import Form, Holds, Kept, Strategy, Target
from gitops_dr.desired.target_file import check_target_name, read_target, schema_text
from gitops_dr.errors import ManifestError, UsageError
from gitops_dr.manifests.selector import ObjectSelector
from gitops_dr.resources import shipped

WHOLE: dict[str, Any] = {
    "format": 1,
    "cluster": "prod",
    "context": "standby",
    "uid": "0-1",
    "namespaces": {"include": ["shop-*"], "exclude": ["shop-test"]},
    "mappings": {
        "images": {"docker.io/": "mirror.example.net/"},
        "namespaces": {"shop-a": "shop-b"},
        "hosts": {".example.com": ".standby.example.com"},
        "storageClasses": {"fast": "slow"},
        "snapshotClasses": {"one": "two"},
        "handles": {"snap-*": "copy-*"},
        "ingressClasses": {"public": "internal"},
        "serviceTypes": {"LoadBalancer": "NodePort"},
        "nodeSelectors": {"zone=a": "zone=b", "disk=ssd": ""},
    },
    "fields": [{"group": "example.com", "kind": "App", "path": "spec.image", "holds": "image"}],
    "strategy": "warm",
    "active": False,
    "standby": {"except": [{"kind": "Deployment", "because": "It watches."}]},
    "values": {"city": "Graz", "ports": {"http": 80}},
    "patches": [
        {"kind": "Deployment", "labels": "app=web", "because": "Small.", "strategic": {"spec": {}}},
        {"name": "x", "labels": {"a": "b"}, "because": "Other.", "json6902": []},
    ],
}


def read(document: Any) -> Target:
    return read_target(yaml.safe_dump(document).encode(), "standby")


def test_everything_that_may_be_said() -> None:
    target = read(WHOLE)
    assert (target.name, target.context, target.uid) == ("standby", "standby", "0-1")
    assert target.cluster == "prod"
    assert target.namespaces.include == ("shop-*",)
    assert target.namespaces.exclude == ("shop-test",)
    assert target.mappings.node_labels == {"zone=a": "zone=b", "disk=ssd": ""}
    assert target.fields[0].holds is Holds.IMAGE
    assert target.strategy is Strategy.WARM
    assert not target.active
    assert target.standby.kept == (Kept(ObjectSelector(kind="Deployment"), "It watches."),)
    assert [patch.form for patch in target.patches] == [Form.STRATEGIC, Form.JSON6902]
    assert target.patches[0].place == "targets/standby/target.yaml: patches[0]"
    assert target.values["ports"] == {"http": 80}


def test_an_empty_file_with_a_format_is_the_source_by_another_name() -> None:
    assert read({"format": 1}) == Target("standby")


STANDINGS = [
    # strategy, active: it is at rest, nothing is there
    ({}, False, False),
    ({"strategy": "hot"}, False, False),
    ({"strategy": "warm"}, True, False),
    ({"strategy": "warm", "active": True}, False, False),
    ({"strategy": "cold"}, False, True),
    ({"strategy": "cold", "active": True}, False, False),
]


@pytest.mark.parametrize(("written", "at_rest", "is_empty"), STANDINGS)
def test_what_is_there_before_a_failover(written, at_rest, is_empty) -> None:
    target = read({"format": 1, **written})
    assert (target.at_rest, target.is_empty) == (at_rest, is_empty)


def without(*path: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(WHOLE))
    node = document
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return document


def changed(value: Any, *path: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(WHOLE))
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return document


UNKNOWN = [
    (changed({}, "mapings"), "mapings", "'mappings'"),
    (changed({}, "mappings", "image"), "mappings.image", "'images'"),
    (changed({}, "mappings", "storageClass"), "mappings.storageClass", "'storageClasses'"),
    (changed("x", "patches", 0, "becuase"), "patches[0].becuase", "'because'"),
    (changed("x", "fields", 0, "hold"), "fields[0].hold", "'holds'"),
    (changed("warm", "strateg"), "strateg", "'strategy'"),
    (changed(True, "actve"), "actve", "'active'"),
    (changed([], "standby", "exept"), "standby.exept", "'except'"),
    (changed("x", "standby", "except", 0, "knd"), "standby.except[0].knd", "'kind'"),
    (changed([], "namespaces", "exlude"), "namespaces.exlude", "'exclude'"),
]


@pytest.mark.parametrize(("document", "place", "near"), UNKNOWN, ids=[one[1] for one in UNKNOWN])
def test_an_unknown_key_is_an_error_with_a_near_one(document, place, near) -> None:
    with pytest.raises(UsageError) as caught:
        read(document)
    assert str(caught.value) == f"targets/standby/target.yaml: {place}: unknown key"
    assert caught.value.hint == f"did you mean {near}?"


WRONG = [
    (changed(2, "format"), "format 2"),
    (changed(7, "context"), "context"),
    (changed("lukewarm", "strategy"), "strategy: "),
    (changed("yes", "active"), "active: "),
    (changed("zero", "standby", "replicas"), "standby.replicas: unknown key"),
    (changed("  ", "patches", 0, "because"), "patches[0].because: says nothing"),
    (without("patches", 0, "because"), "patches[0].because"),
    (without("patches", 0, "strategic"), "exactly one of strategic and json6902"),
    (changed([], "patches", 0, "json6902"), "exactly one of strategic and json6902"),
    (without("patches", 1, "json6902"), "exactly one"),
    (changed("a b c", "patches", 0, "labels"), "no label selector"),
    (changed({"because": "x", "json6902": []}, "patches", 0), "names no objects"),
    (changed("a..b", "fields", 0, "path"), "fields[0].path"),
    (changed("colour", "fields", 0, "holds"), "fields[0].holds"),
    (changed({"a": "B_"}, "mappings", "namespaces"), "no name for a namespace"),
    (changed({".a": "b"}, "mappings", "hosts"), "begin with a dot"),
    (changed({"a*": "b"}, "mappings", "handles"), "end with *"),
    (changed({"zone": "x=y"}, "mappings", "nodeSelectors"), "no label"),
    (changed({"a=b": "x"}, "mappings", "nodeSelectors"), "no label"),
    (changed({"a": ""}, "mappings", "storageClasses"), "empty"),
    (changed({"": "a"}, "mappings", "images"), "empty"),
    (changed({"a-b": 1}, "values"), "values.a-b"),
]


@pytest.mark.parametrize(("document", "said"), WRONG, ids=[one[1] for one in WRONG])
def test_what_makes_no_sense_is_named(document, said) -> None:
    with pytest.raises(UsageError) as caught:
        read(document)
    assert str(caught.value).startswith("targets/standby/target.yaml: ")
    assert said in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"[]", b"a: {", b"a: 1\na: 2\n", b"\xff"])
def test_what_is_no_mapping_is_an_error_of_the_file(data: bytes) -> None:
    with pytest.raises(ManifestError):
        read_target(data, "standby")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a" * 64, "a\n"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_target_name(name)


def test_the_shipped_schema_is_the_readers() -> None:
    assert shipped("desired/target.schema.json").read_text(encoding="utf-8") == schema_text()


SCHEMA = json.loads(schema_text())


def test_the_schema_takes_what_the_reader_takes() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(WHOLE, SCHEMA)
    jsonschema.validate({"format": 1}, SCHEMA)


@pytest.mark.parametrize("document", [one[0] for one in UNKNOWN], ids=[one[1] for one in UNKNOWN])
def test_the_schema_refuses_unknown_keys_too(document) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_the_shipped_example_is_a_target() -> None:
    data = Path(shipped("templates/target/target.yaml")).read_bytes()
    target = read_target(data, "standby")
    assert target.patches
    assert target.at_rest
    jsonschema.validate(yaml.safe_load(data), SCHEMA)
