"""The patch that puts Git's values back: applied, nothing differs and nothing else has changed."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.drift.compare import differ, field_changes
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.patch import json_patch
from gitops_dr.manifests.shape import Shape

# -- an applier of our own (RFC 6902, RFC 6901) ----------------------------------------------------


def apply(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Apply a JSON Patch as strictly as an API server does."""
    document = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        node = document
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        OPERATIONS[operation["op"]](node, last, copy.deepcopy(operation.get("value")))
    return document


def apply_add(node: Any, last: str, value: Any) -> None:
    if isinstance(node, list):
        assert int(last) <= len(node)
        node.insert(int(last), value)
    else:
        node[last] = value


def apply_remove(node: Any, last: str, _value: Any) -> None:
    del node[int(last) if isinstance(node, list) else last]


def apply_replace(node: Any, last: str, value: Any) -> None:
    key = int(last) if isinstance(node, list) else last
    assert key < len(node) if isinstance(node, list) else key in node
    node[key] = value


def apply_test(node: Any, last: str, value: Any) -> None:
    assert node[last] == value


OPERATIONS = {
    "add": apply_add,
    "remove": apply_remove,
    "replace": apply_replace,
    "test": apply_test,
}

GUARD = {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}


def stored(body: dict[str, Any]) -> dict[str, Any]:
    """The body as an API server sends it."""
    return {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": "7", "uid": "u"}}


def put_back(
    seen: Any, wanted: Any, live: Any = None, meaning: Meaning = LITERALLY
) -> tuple[Any, list[dict[str, Any]]]:
    """What the object is after the patch, and the patch without its guard."""
    live = live or stored(seen)
    before = copy.deepcopy((live, seen, wanted))
    guard, *operations = json_patch(live, seen, wanted, meaning)
    assert guard == GUARD
    assert (live, seen, wanted) == before
    return apply(live, [guard, *operations]), operations


# -- one change ------------------------------------------------------------------------------------

A, B, C = ({"name": name, "value": name.lower()} for name in "ABC")
PORT, TLS = {"port": 80}, {"port": 443}


@pytest.mark.parametrize(
    ("seen", "wanted", "operations"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="nothing"),
        pytest.param({"a": 1}, {"a": 2}, [("replace", "/a", 2)], id="a value"),
        pytest.param({"a": True}, {"a": 1}, [("replace", "/a", 1)], id="true is not 1"),
        pytest.param({}, {"a": {"b": 1}}, [("add", "/a", {"b": 1})], id="a parent that is missing"),
        pytest.param({"a": {}}, {"a": {"b": 1}}, [("add", "/a/b", 1)], id="into an empty parent"),
        pytest.param({"a": {"b": 1}}, {}, [("remove", "/a", None)], id="added in the cluster"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, [("remove", "/a/b", None)], id="empty stays"),
        pytest.param({"a": []}, {}, [("remove", "/a", None)], id="an empty list too"),
        pytest.param({"a": None}, {"a": 1}, [("replace", "/a", 1)], id="null"),
        pytest.param({"a": "x"}, {"a": {"b": 1}}, [("replace", "/a", {"b": 1})], id="another type"),
        pytest.param(
            {"d": {"x/y~z": 1}}, {"d": {"x/y~z": 2}}, [("replace", "/d/x~1y~0z", 2)], id="escaped"
        ),
        pytest.param(
            {"e": [A, {**B, "value": "x"}]}, {"e": [A, B]}, [("replace", "/e/1/value", "b")],
            id="in a keyed item",
        ),
        pytest.param({"e": [B]}, {"e": [A, B]}, [("replace", "/e", [A, B])], id="first item gone"),
        pytest.param({"e": [A]}, {"e": [A, B]}, [("replace", "/e", [A, B])], id="last item gone"),
        pytest.param({"e": [A, C, B]}, {"e": [C]}, [("replace", "/e", [C])], id="several new"),
        pytest.param({"e": [B, A]}, {"e": [A]}, [("replace", "/e", [A])], id="one new in front"),
        pytest.param({"e": [A, B]}, {"e": []}, [("replace", "/e", [])], id="all new"),
        pytest.param(
            {"p": [PORT, TLS]}, {"p": [PORT, PORT]}, [("replace", "/p/1/port", 80)],
            id="by position",
        ),
        pytest.param(
            {"p": [PORT, TLS]}, {"p": [TLS]}, [("replace", "/p", [TLS])], id="another length"
        ),
    ],
)  # fmt: skip
def test_the_patch(seen: Any, wanted: Any, operations: Any) -> None:
    after, made = put_back(seen, wanted)
    assert [(o["op"], o["path"], o.get("value")) for o in made] == operations
    assert list(field_changes(stored(wanted), after)) == []


def test_another_order_is_put_right_with_all_that_is_in_the_items() -> None:
    changed = {**B, "value": "changed"}
    after, _ = put_back({"e": [changed, A]}, {"e": [A, B]})
    assert after["e"] == [A, B]


def test_the_guard_comes_first_even_where_nothing_differs() -> None:
    assert json_patch(stored({"a": 1}), {"a": 1}, {"a": 1}) == [GUARD]


# -- what rules take out stays ---------------------------------------------------------------------

OURS, THEIRS = "kubernetes.io/pvc-protection", "example.com/keep"
TOKEN = {"name": "default-token-abcde"}
REVISION = {"deployment.kubernetes.io/revision": "3"}


@pytest.mark.parametrize(
    ("live", "seen", "wanted", "after"),
    [
        pytest.param(
            {"annotations": REVISION}, {}, {"annotations": {"a": "1"}},
            {"annotations": REVISION | {"a": "1"}}, id="an annotation beside theirs",
        ),
        pytest.param(
            {"annotations": REVISION | {"a": "1"}}, {"annotations": {"a": "1"}}, {},
            {"annotations": REVISION}, id="ours goes, theirs stays",
        ),
        pytest.param(
            {"annotations": {"a": "1"}}, {"annotations": {"a": "1"}}, {}, {}, id="the last one goes"
        ),
        pytest.param(
            {"labels": REVISION | {"a": "1"}}, {"labels": {"a": "1"}}, {"labels": {"a": "2"}},
            {"labels": REVISION | {"a": "2"}}, id="a value beside theirs",
        ),
        pytest.param(
            {"finalizers": [OURS]}, {}, {"finalizers": [THEIRS]},
            {"finalizers": [THEIRS, OURS]}, id="a finalizer beside theirs",
        ),
        pytest.param(
            {"finalizers": [OURS, "x"]}, {"finalizers": ["x"]}, {"finalizers": [THEIRS]},
            {"finalizers": [THEIRS, OURS]}, id="not by position in the live list",
        ),
        pytest.param(
            {"finalizers": [OURS, "x"]}, {"finalizers": ["x"]}, {},
            {"finalizers": [OURS]}, id="ours goes, their finalizer stays",
        ),
        pytest.param(
            {"finalizers": [OURS]}, {}, {"finalizers": [OURS]},
            {"finalizers": [OURS]}, id="once is enough",
        ),
        pytest.param(
            {"secrets": [TOKEN]}, {}, {"secrets": [A]}, {"secrets": [A, TOKEN]}, id="named items"
        ),
        pytest.param(
            {"secrets": [TOKEN, B]}, {"secrets": [B]}, {"secrets": [A]},
            {"secrets": [A, TOKEN]}, id="named items, one of them ours",
        ),
        pytest.param(
            {"ports": [{"name": "A", "port": 1, "nodePort": 3}, {"name": "B", "port": 2}]},
            {"ports": [{"name": "A", "port": 1}, {"name": "B", "port": 2}]},
            {"ports": [{"name": "B", "port": 2}, {"name": "A", "port": 9}]},
            {"ports": [{"name": "B", "port": 2}, {"name": "A", "port": 9, "nodePort": 3}]},
            id="a field inside an item that moved",
        ),
        pytest.param(
            {"ports": [{"port": 1, "nodePort": 3}]}, {"ports": [{"port": 1}]},
            {"ports": [{"port": 2}]}, {"ports": [{"port": 2, "nodePort": 3}]},
            id="a field inside an item by position",
        ),
        pytest.param(
            {"claimRef": {"name": "a", "uid": "1"}}, {"claimRef": {"name": "a"}}, {}, {},
            id="a whole field goes with all that is in it",
        ),
        pytest.param(
            {"ipFamilies": ["IPv4"]}, {}, {"ipFamilies": ["IPv6"]}, {"ipFamilies": ["IPv6"]},
            id="a field that rules take out whole is Git's if Git has it",
        ),
        pytest.param(
            {"status": {"x": 1}, "a": 1}, {"a": 1}, {"a": 2}, {"status": {"x": 1}, "a": 2},
            id="a field that Git never has",
        ),
        pytest.param({"a": 1}, {"a": 1, "put": 2}, {"a": 1, "put": 2}, {"a": 1}, id="a value put"),
    ],
)  # fmt: skip
def test_what_rules_take_out_is_left_as_it_is(
    live: Any, seen: Any, wanted: Any, after: Any
) -> None:
    made, _ = put_back({"f": seen}, {"f": wanted}, stored({"f": live}))
    assert made == stored({"f": after})


# -- any bodies ------------------------------------------------------------------------------------

LEAVES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "1"])
KEYS = st.sampled_from(["a", "b", "name", "x/y~z", "annotations", "finalizers"])


def keyed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.lists(st.sampled_from("abcd"), max_size=4, unique=True)
    return names.flatmap(
        lambda chosen: st.tuples(
            *(
                st.dictionaries(KEYS, inner, max_size=2).map(
                    lambda body, name=name: {**body, "name": name}
                )
                for name in chosen
            )
        ).map(list)
    )


VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | keyed(inner) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(["spec", "data", "annotations"]), VALUES, max_size=3)


@given(BODIES, BODIES)
def test_after_the_patch_nothing_differs(seen: Any, wanted: Any) -> None:
    after, operations = put_back(seen, wanted)
    assert list(field_changes(stored(wanted), after)) == []
    assert bool(operations) == any(field_changes(wanted, seen))


@given(BODIES, BODIES)
def test_a_patch_of_what_was_put_back_is_empty(seen: Any, wanted: Any) -> None:
    after, _ = put_back(seen, wanted)
    assert json_patch(after, wanted, wanted) == [GUARD]


HIDDEN = "rules take it out"


def without_hidden(value: Any) -> Any:
    """A copy without the fields that stand for what rules take out, and what is empty then."""
    if isinstance(value, dict):
        kept = {key: without_hidden(inner) for key, inner in value.items() if key != HIDDEN}
        return {k: v for k, v in kept.items() if v or k not in ("annotations", "finalizers")}
    return [without_hidden(item) for item in value] if isinstance(value, list) else value


def hide(value: Any) -> Any:
    """A copy with such a field in each map."""
    if isinstance(value, dict):
        return {HIDDEN: "x", **{key: hide(inner) for key, inner in value.items()}}
    return [hide(item) for item in value] if isinstance(value, list) else value


@given(BODIES, BODIES)
def test_what_is_hidden_in_the_live_object_changes_nothing(seen: Any, wanted: Any) -> None:
    live = stored(hide(seen))
    after, _ = put_back(seen, wanted, live)
    assert list(field_changes(without_hidden(stored(wanted)), without_hidden(after))) == []
    assert after[HIDDEN] == "x"


# -- by meaning ------------------------------------------------------------------------------------

QUANTITY = {"named": "io.k8s.apimachinery.pkg.api.resource.Quantity"}
FIELDS = {
    "cpu": QUANTITY,
    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    "hosts": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "ports": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {
            "properties": {"port": {}, "protocol": {"default": "TCP"}, "cpu": QUANTITY, "name": {}}
        },
    },
}
BY_SCHEMA = Meaning(Shape({"properties": {**FIELDS, "f": {"properties": FIELDS}}, "go": True}, {}))

TCP, UDP = {"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}


@pytest.mark.parametrize(
    ("seen", "wanted", "operations"),
    [
        pytest.param({"cpu": "1"}, {"cpu": "1000m"}, [], id="the same amount"),
        pytest.param({"cpu": "2"}, {"cpu": "1000m"}, [("replace", "/cpu", "1000m")], id="another"),
        pytest.param(
            {"cpu": "1", "a": 1}, {"cpu": "1000m", "a": 2}, [("replace", "/a", 2)],
            id="only what differs",
        ),
        pytest.param(
            {"ports": [{**TCP, "name": "a"}, {**UDP, "cpu": "1"}]},
            {"ports": [{"port": 80, "name": "b"}, {**UDP, "cpu": "1000m"}]},
            [("replace", "/ports/0/name", "b")], id="in an item whose key is a default",
        ),
        pytest.param(
            {"ports": [TCP, UDP]}, {"ports": [{"port": 80}]},
            [("replace", "/ports", [TCP])], id="an item gone, the other as it is",
        ),
        pytest.param({"hosts": ["b", "a"]}, {"hosts": ["a", "b"]}, [], id="a set"),
        pytest.param(
            {"hosts": ["b", "a"]}, {"hosts": ["a", "c", "b"]},
            [("replace", "/hosts", ["a", "c", "b"])], id="a larger set",
        ),
        pytest.param({}, {"hosts": [], "annotations": {}, "cpu": None}, [], id="nothing"),
        pytest.param(
            {"annotations": {"a": "1"}}, {"annotations": None},
            [("remove", "/annotations", None)], id="null is nothing",
        ),
    ],
)  # fmt: skip
def test_the_patch_is_of_what_differs_in_meaning(seen: Any, wanted: Any, operations: Any) -> None:
    after, made = put_back(seen, wanted, meaning=BY_SCHEMA)
    assert [(o["op"], o["path"], o.get("value")) for o in made] == operations
    assert not differ(stored(wanted), after, BY_SCHEMA)


def test_what_rules_take_out_of_an_item_stays_with_it() -> None:
    live = [{**UDP, "nodePort": 2}, {**TCP, "nodePort": 1}]
    seen, wanted = [UDP, TCP], [{"port": 80, "name": "web"}, UDP]
    after, _ = put_back(
        {"f": {"ports": seen}},
        {"f": {"ports": wanted}},
        stored({"f": {"ports": live}}),
        BY_SCHEMA,
    )
    assert after["f"]["ports"] == [
        {**TCP, "name": "web", "nodePort": 1},
        {**UDP, "nodePort": 2},
    ]


def test_a_null_does_not_take_out_what_rules_hide() -> None:
    live = stored({"f": {"annotations": REVISION | {"a": "1"}}})
    seen = {"f": {"annotations": {"a": "1"}}}
    after, _ = put_back(seen, {"f": {"annotations": None}}, live, BY_SCHEMA)
    assert after["f"]["annotations"] == REVISION


PORTS = st.lists(
    st.fixed_dictionaries(
        {"port": st.integers(80, 81)},
        optional={
            "protocol": st.sampled_from(["TCP", "UDP"]),
            "cpu": st.sampled_from(["1", "1000m", 1, "2"]),
        },
    ),
    max_size=3,
)
BY_FIELD = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from([None, "1", "1000m", 1, "2"]),
        "annotations": st.none() | st.dictionaries(st.sampled_from("ab"), st.just("x")),
        "hosts": st.none() | st.lists(st.sampled_from("abc"), max_size=3),
        "ports": st.none() | PORTS,
        "x": st.integers(0, 1),
    },
)
SCHEMED = st.fixed_dictionaries({"f": BY_FIELD}, optional={"ports": PORTS, "cpu": st.just("1")})


@given(SCHEMED, SCHEMED)
def test_after_the_patch_nothing_differs_in_meaning(seen: Any, wanted: Any) -> None:
    after, operations = put_back(seen, wanted, meaning=BY_SCHEMA)
    assert not differ(stored(wanted), after, BY_SCHEMA)
    assert bool(operations) == differ(wanted, seen, BY_SCHEMA)
