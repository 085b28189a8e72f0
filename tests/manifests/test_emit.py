"""Canonical bytes: every reader reads them alike, and equal objects give equal bytes."""

import gzip
import re
from typing import Any

import orjson
import pytest
import yaml
import yamlrocks
from corpus import corpus
from hypothesis import given
from hypothesis import strategies as st
from yaml_traps import TRAPS

from gitops_dr.errors import ManifestError
from gitops_dr.manifests import emit
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.manifests.scalars import resolve

TRAP_TEXT = st.text(
    alphabet=st.sampled_from(
        "ab01_xoe.+-:#=~ \n\t\r'\"\\|>&*!%@{}[],?é\x85\u2028\u2029\ufeff\x00😀"
    )
)
TEXT = st.one_of(st.sampled_from(TRAPS), TRAP_TEXT, st.text(max_size=20))
SCALARS = st.one_of(
    TEXT,
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
BODIES = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


class Kubernetes12(yaml.CSafeLoader):
    """PyYAML's scanner and YAML 1.1's words, and on top of them whatever Go resolves."""


def _as_go(loader: Any, node: Any) -> Any:
    return resolve(node.value)


Kubernetes12.add_constructor("tag:yaml.org,2002:str", lambda _, node: node.value)
Kubernetes12.yaml_implicit_resolvers = {}
Kubernetes12.add_implicit_resolver("!null", re.compile("^(?:~|null|)$"), None)
Kubernetes12.add_implicit_resolver("!plain", re.compile("", 0), None)
Kubernetes12.add_constructor("!null", lambda _, node: None)
Kubernetes12.add_constructor("!plain", _as_go)


def read_back(data: bytes) -> list[Any]:
    """What YAML 1.1, YAML 1.2 and Kubernetes make of these bytes."""
    return [
        yaml.load(data, yaml.CSafeLoader),
        yamlrocks.loads(data),
        yaml.load(data, Kubernetes12),
    ]


@pytest.mark.parametrize("text", TRAPS, ids=ascii)
def test_every_reader_reads_a_trap_back_as_value_item_and_key(text: str) -> None:
    body = {"value": text, "items": [text, {"deep": text}], "key": {text: 1}}
    data = canonical(body)
    assert read_back(data) == [body] * 3
    assert data.endswith(b"\n")
    assert not data.startswith(b"---")


@given(BODIES)
def test_any_object_is_read_back_by_every_reader(body: dict[str, Any]) -> None:
    assert read_back(canonical(body)) == [body] * 3


@given(BODIES)
def test_the_careful_writing_changes_nothing_where_none_was_needed(body: dict[str, Any]) -> None:
    data = canonical(body)
    assert emit._careful(body) == data


@given(TEXT, TEXT)
def test_the_form_of_a_string_does_not_depend_on_its_neighbours(one: str, other: str) -> None:
    alone = canonical({"k": one})
    assert canonical({"k": one, "k2": other, "k3": "08"}).startswith(alone)


@given(BODIES)
def test_order_of_keys_in_the_input_means_nothing(body: dict[str, Any]) -> None:
    assert canonical(dict(reversed(body.items()))) == canonical(body)


def test_the_form_is_kubectls() -> None:
    body = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {}, "finalizers": []},
        "data": {"script": "#!/bin/sh\nexit 0\n", "mode": "0755", "open": "a\nb", "y": "yes"},
        "list": [{"b": 1, "a": [1.5, None, True]}, "x"],
    }
    assert canonical(body).decode() == (
        "apiVersion: v1\n"
        "data:\n"
        '  mode: "0755"\n'
        "  open: |-\n    a\n    b\n"
        "  script: |\n    #!/bin/sh\n    exit 0\n"
        '  "y": "yes"\n'
        "kind: ConfigMap\n"
        "list:\n"
        "- a:\n  - 1.5\n  - null\n  - true\n  b: 1\n"
        "- x\n"
        "metadata:\n"
        "  finalizers: []\n"
        "  labels: {}\n"
        "  name: a\n"
    )


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1, -(2**63), 1e21, 1e-7, 0.1, 1, 1.5e300])
def test_numbers_keep_their_value_and_type(number: float) -> None:
    for value in read_back(canonical({"n": number})):
        assert value["n"] == number
        assert type(value["n"]) is type(number)


def test_one_object_at_two_places_is_written_twice() -> None:
    shared = {"a": 1}
    assert canonical({"x": shared, "y": [shared]}) == b'x:\n  a: 1\n"y":\n- a: 1\n'


@pytest.mark.parametrize(
    ("value", "problem"),
    [("\ud800", "surrogate"), ({"k" * 1001: 1}, "1001 characters"), ({"k": object()}, "")],
)
def test_what_yaml_cannot_carry_is_refused_by_name(value: Any, problem: str) -> None:
    body = {"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": [value]}
    with pytest.raises(ManifestError, match="ConfigMap/cm") as caught:
        canonical(body)
    assert problem in caught.value.message


def test_a_long_first_key_is_refused_as_well_and_a_long_value_is_not() -> None:
    with pytest.raises(ManifestError, match="characters"):
        canonical({"K" * 1001: 1})
    assert read_back(canonical({"a": "x" * 5000, "b": {"k" * 990: 1}}))[0]["a"] == "x" * 5000


def test_nesting_beyond_reason_is_refused() -> None:
    body: dict[str, Any] = {}
    for _ in range(5000):
        body = {"a": body}
    with pytest.raises(ManifestError, match="nested"):
        canonical(body)


def test_real_objects_come_back_and_need_no_care_to_keep_their_form() -> None:
    with gzip.open(corpus() / "objects.jsonl.gz") as lines:
        for line in lines:
            body = orjson.loads(line)["object"]
            data = canonical(body)
            assert emit._careful(body) == data
            assert yamlrocks.loads(data) == body
            assert "generateName" in body["metadata"] or parse(data, "x.yaml") == body
