"""Patches: strategic merge as the API server does it, JSON Merge Patch, and JSON Patch."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.patches import PatchError, json6902, merge, strategic
from gitops_dr.model import Body

DEPLOYMENT = ("apps", "Deployment")


def pods(**spec: Any) -> Body:
    return {"spec": {"template": {"spec": spec}}}


def strategic_pods(before: Body, patch: Body) -> Any:
    return strategic(pods(**before), pods(**patch), DEPLOYMENT)["spec"]["template"]["spec"]


A, B, C = ({"name": name, "image": name} for name in "abc")

CASES: list[tuple[str, Body, Body, Body]] = [
    (
        # The example of kubectl's own page: what is new comes first.
        "an item is added before those that the patch does not name",
        {"containers": [A]},
        {"containers": [B]},
        {"containers": [B, A]},
    ),
    (
        "an item is merged by its key",
        {"containers": [A, B]},
        {"containers": [{"name": "b", "image": "x", "tty": True}]},
        {"containers": [A, {"name": "b", "image": "x", "tty": True}]},
    ),
    (
        "items of the patch go in its order, the others where they were",
        {"containers": [A, B, C]},
        {"containers": [{"name": "c"}, {"name": "a"}]},
        {"containers": [B, C, A]},
    ),
    (
        "an item is deleted",
        {"containers": [A, B]},
        {"containers": [{"$patch": "delete", "name": "a"}]},
        {"containers": [B]},
    ),
    (
        "deleting what is not there is nothing",
        {"containers": [A]},
        {"containers": [{"$patch": "delete", "name": "z"}]},
        {"containers": [A]},
    ),
    (
        "a list is replaced",
        {"containers": [A, B]},
        {"containers": [{"$patch": "replace"}, C]},
        {"containers": [C]},
    ),
    (
        "a list without a merge key is replaced whole",
        {"tolerations": [{"key": "a"}, {"key": "b"}]},
        {"tolerations": [{"key": "c"}]},
        {"tolerations": [{"key": "c"}]},
    ),
    (
        "environment is merged by name, within its container",
        {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}]},
        {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}]},
        {
            "containers": [
                {"name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}
            ]
        },
    ),
    (
        "a variable gets another source",
        {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}]},
        {
            "containers": [
                {"name": "a", "env": [{"name": "X", "value": None, "valueFrom": {"k": "v"}}]}
            ]
        },
        {"containers": [{"name": "a", "env": [{"name": "X", "valueFrom": {"k": "v"}}]}]},
    ),
    (
        "ports are told apart by their number",
        {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
        {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "http"}]}]},
        {
            "containers": [
                {
                    "name": "a",
                    "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}],
                }
            ]
        },
    ),
    ("null takes a field away", {"hostNetwork": True}, {"hostNetwork": None}, {}),
    (
        "maps are merged",
        {"nodeSelector": {"a": "1"}},
        {"nodeSelector": {"b": "2"}},
        {"nodeSelector": {"a": "1", "b": "2"}},
    ),
    (
        "a map is replaced",
        {"nodeSelector": {"a": "1"}},
        {"nodeSelector": {"$patch": "replace", "b": "2"}},
        {"nodeSelector": {"b": "2"}},
    ),
    ("a map is deleted", {"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "delete"}}, {}),
    (
        "only some keys are retained",
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {
            "volumes": [
                {"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}
            ]
        },
        {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
    ),
    (
        "an order is asked for",
        {"containers": [A, B, C]},
        {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "containers": [{"name": "a", "tty": True}],
        },
        {"containers": [B, {**A, "tty": True}, C]},
    ),
]


@pytest.mark.parametrize(
    ("before", "patch", "after"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_strategic_patch(before: Body, patch: Body, after: Body) -> None:
    body, given_patch = deepcopy(before), deepcopy(patch)
    assert strategic_pods(body, given_patch) == after
    assert (body, given_patch) == (before, patch)


def test_values_of_a_set_are_added_and_taken_away() -> None:
    body = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic(body, {"metadata": {"finalizers": ["c", "a"]}}, DEPLOYMENT)
    assert sorted(added["metadata"]["finalizers"]) == ["a", "b", "c"]
    taken = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic(body, taken, DEPLOYMENT) == {"metadata": {"finalizers": ["b"]}}


def test_ports_of_a_service() -> None:
    body = {"spec": {"ports": [{"port": 80, "nodePort": 1}]}}
    patch = {"spec": {"ports": [{"port": 80, "nodePort": 2}, {"port": 443}]}}
    found = strategic(body, patch, ("", "Service"))
    assert found == {"spec": {"ports": [{"port": 80, "nodePort": 2}, {"port": 443}]}}


def test_kinds_that_are_not_kubernetes_own_have_no_merge_keys() -> None:
    body = {"spec": {"containers": [A], "x": {"y": 1, "z": 2}}}
    patch = {"spec": {"containers": [B], "x": {"y": None}}}
    assert strategic(body, patch, ("example.com", "App")) == {
        "spec": {"containers": [B], "x": {"z": 2}}
    }


@pytest.mark.parametrize(
    ("before", "patch", "said"),
    [
        ({"containers": [A]}, {"containers": [{"image": "x"}]}, "lacks its name"),
        ({"containers": [A]}, {"containers": ["x"]}, "is no map"),
        ({"containers": {"a": 1}}, {"containers": [A]}, "is no list"),
        ({}, {"containers": [{"$patch": "remove", "name": "a"}]}, "is no directive"),
        ({}, {"$pach": "delete"}, "is no directive"),
    ],
)
def test_a_strategic_patch_that_is_none(before: Body, patch: Body, said: str) -> None:
    with pytest.raises(PatchError, match=said):
        strategic_pods(before, patch)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab$", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text("abc", max_size=2), JSON, max_size=3)


@given(OBJECTS)
def test_an_empty_patch_changes_nothing(body: Body) -> None:
    assert strategic(body, {}, DEPLOYMENT) == merge(body, {}) == json6902(body, []) == body


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_that_patch_once(body: Body, patch: Body) -> None:
    once = merge(body, patch)
    assert merge(once, patch) == once


CONTAINERS = st.lists(
    st.builds(
        lambda n, i: {"name": n, "image": i}, st.sampled_from("abcd"), st.text("xy", max_size=1)
    ),
    max_size=4,
    unique_by=lambda one: one["name"],
)


@given(CONTAINERS, CONTAINERS)
def test_merging_containers_keeps_all_of_both_and_no_name_twice(one: Any, other: Any) -> None:
    found = strategic_pods({"containers": one}, {"containers": other})["containers"]
    names = [each["name"] for each in found]
    assert len(names) == len(set(names))
    by_name = {each["name"]: each for each in found}
    assert by_name == {each["name"]: each for each in [*one, *other]}
    assert [n for n in names if n in {o["name"] for o in other}] == [o["name"] for o in other]
    again = strategic_pods({"containers": found}, {"containers": other})["containers"]
    assert again == found


# From RFC 6902, appendix A, and what it leaves to the reader.
PATCHES: list[tuple[Body, list[Body], Any]] = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"a": ["x", "y"]}, [{"op": "add", "path": "/a/1", "value": "q"}], {"a": ["x", "q", "y"]}),
    ({"a": ["x"]}, [{"op": "add", "path": "/a/-", "value": ["q"]}], {"a": ["x", ["q"]]}),
    ({"b": "q", "f": "b"}, [{"op": "remove", "path": "/b"}], {"f": "b"}),
    ({"a": ["x", "y", "z"]}, [{"op": "remove", "path": "/a/1"}], {"a": ["x", "z"]}),
    ({"b": "q"}, [{"op": "replace", "path": "/b", "value": None}], {"b": None}),
    (
        {"a": {"b": 1}, "c": {}},
        [{"op": "move", "from": "/a/b", "path": "/c/d"}],
        {"a": {}, "c": {"d": 1}},
    ),
    (
        {"a": ["1", "2", "3"]},
        [{"op": "move", "from": "/a/0", "path": "/a/2"}],
        {"a": ["2", "3", "1"]},
    ),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a~/b": 1}, [{"op": "test", "path": "/a~0~1b", "value": 1}], {"a~/b": 1}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"": {"a": 1}}, [{"op": "remove", "path": "//a"}], {"": {}}),
]


@pytest.mark.parametrize(("before", "patch", "after"), PATCHES)
def test_a_json_patch(before: Body, patch: list[Body], after: Any) -> None:
    body = deepcopy(before)
    assert json6902(body, patch) == after
    assert body == before


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"op": "remove", "path": "/x"}, "/x is not there"),
        ({"op": "replace", "path": "/a/x", "value": 1}, "/a/x is not there"),
        ({"op": "add", "path": "/x/y", "value": 1}, "/x is not there"),
        ({"op": "add", "path": "/l/3", "value": 1}, "no item 3"),
        ({"op": "add", "path": "/l/01", "value": 1}, "no index"),
        ({"op": "remove", "path": "/l/-"}, "no index"),
        ({"op": "add", "path": "/s/x", "value": 1}, "neither a map nor a list"),
        ({"op": "test", "path": "/a", "value": {"b": True}}, "another value"),
        ({"op": "move", "from": "/a", "path": "/a/c"}, "inside of"),
        ({"op": "remove", "path": ""}, "the object itself"),
        ({"op": "replace", "path": "", "value": 1}, "leaves no object"),
        ({"op": "add", "path": "/x"}, "lacks its value"),
        ({"op": "move", "path": "/x"}, "lacks its from"),
        ({"op": "put", "path": "/x"}, "is none of"),
        ({"path": "/x"}, "is none of"),
        ({"op": "remove", "path": "x"}, "no JSON pointer"),
        ({"op": "remove", "path": 1}, "no JSON pointer"),
        ({"op": "remove", "path": "/l/99999999999999999999"}, "no item"),
    ],
)
def test_a_json_patch_that_does_not_fit(operation: Body, said: str) -> None:
    body = {"a": {"b": 1}, "l": [1, 2], "s": "text"}
    with pytest.raises(PatchError, match=said):
        json6902(body, [operation])
    assert body == {"a": {"b": 1}, "l": [1, 2], "s": "text"}
