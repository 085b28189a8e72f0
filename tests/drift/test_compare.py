"""Two States and two bodies, compared: each difference is seen once and named so one finds it."""

import copy
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops_dr.drift.compare import Comparison, compare, differences, field_changes
from gitops_dr.manifests.fieldpath import get, parse_fieldpath
from gitops_dr.model import ANY, Difference, Entry, FieldChange, Gap, Presence, Ref, State

A, B, C, D = (Ref("", "ConfigMap", "shop", name) for name in "abcd")
POD = Ref("", "Pod", "shop", "web")


def state(*gaps: Gap, **fingerprints: str) -> State:
    refs = {"a": A, "b": B, "c": C, "d": D, "pod": POD}
    entries = {
        refs[name]: Entry(value, f"{name}.yaml", "v1") for name, value in fingerprints.items()
    }
    return State(entries, gaps=gaps)


# -- States -----------------------------------------------------------------------------------

ALL_MAPS = Gap(Ref("", "ConfigMap", "", ANY), "403 Forbidden")
JUST_A = Gap(A, "broken")


@pytest.mark.parametrize(
    ("desired", "observed", "expected"),
    [
        pytest.param(state(), state(), Comparison((), (), (), (), 0), id="nothing"),
        pytest.param(state(a="1"), state(a="1"), Comparison((), (), (), (), 1), id="equal"),
        pytest.param(state(a="1"), state(), Comparison((A,), (), (), (), 0), id="missing"),
        pytest.param(state(a="1"), state(a="2"), Comparison((), (A,), (), (), 0), id="modified"),
        pytest.param(state(), state(a="1"), Comparison((), (), (A,), (), 0), id="unmanaged"),
        pytest.param(
            state(d="1", b="1", a="1"),
            state(c="1", b="2", a="1"),
            Comparison((D,), (B,), (C,), (), 1),
            id="all of them",
        ),
        pytest.param(
            state(a="1", pod="1"),
            state(ALL_MAPS),
            Comparison((POD,), (), (), ((A, "403 Forbidden"),), 0),
            id="not listed is not missing",
        ),
        pytest.param(
            state(a="1", b="1"),
            state(JUST_A),
            Comparison((B,), (), (), ((A, "broken"),), 0),
            id="one gap hides one object",
        ),
        pytest.param(
            state(JUST_A, b="1"),
            state(a="1", b="1", c="1"),
            Comparison((), (), (C,), ((A, "broken"),), 1),
            id="unreadable in Git is not unmanaged",
        ),
        pytest.param(
            state(a="1", b="1"),
            state(ALL_MAPS, a="1", b="2"),
            Comparison((), (B,), (), (), 1),
            id="what was seen is known in spite of a gap",
        ),
        pytest.param(
            state(ALL_MAPS), state(ALL_MAPS), Comparison((), (), (), (), 0), id="in neither"
        ),
        pytest.param(
            state(b="1", a="1", d="1"),
            state(),
            Comparison((A, B, D), (), (), (), 0),
            id="sorted",
        ),
    ],
)
def test_objects_are_sorted_by_how_they_differ(
    desired: State, observed: State, expected: Comparison
) -> None:
    found = compare(desired, observed)
    assert found == expected
    assert found.differences + found.equal == len(desired.entries.keys() | observed.entries.keys())


ACCOUNT = Ref("", "ServiceAccount", "shop", "default")
JOB = Ref("batch", "Job", "shop", "migrate")
ENTRY = Entry("1", "path", "v1")


@pytest.mark.parametrize(
    ("ref", "missing"),
    [
        pytest.param(JOB, False, id="a Job that has finished since"),
        pytest.param(ACCOUNT, True, id="an account that lost what was added to it"),
        pytest.param(POD, True, id="a Pod: of some kinds only some finish"),
    ],
)
def test_what_is_there_and_left_out_by_a_rule(ref: Ref, missing: bool) -> None:
    desired, there = State({ref: ENTRY}), State({}, unlisted=frozenset({ref}))
    assert compare(desired, there).missing == ((ref,) if missing else ())
    assert compare(desired, there).differences == missing
    # Not there at all, each is missing.
    assert compare(desired, State({})).missing == (ref,)
    # Left out by a rule, and not in Git: nothing is said.
    assert compare(State({}), there).differences == 0


def test_differences_are_written_out_in_order() -> None:
    comparison = Comparison((D,), (B, POD), (A,), ((C, "403"),), 0)
    paths = {ref: f"{ref.name}.yaml" for ref in (A, B, C, D, POD)}
    body = {"data": {"k": "v"}}
    bodies = {B: (body, {"data": {"k": "w"}}), POD: (body, copy.deepcopy(body))}
    assert differences(comparison, paths, bodies) == (
        Difference(A, Presence.UNMANAGED, "a.yaml"),
        Difference(B, Presence.MODIFIED, "b.yaml", (FieldChange("data.k", "replace", "v", "w"),)),
        Difference(C, Presence.UNKNOWN, "c.yaml", reason="403"),
        Difference(D, Presence.MISSING, "d.yaml"),
    )


# -- bodies -----------------------------------------------------------------------------------


def add(path: str, new: Any) -> FieldChange:
    return FieldChange(path, "add", new=new)


def remove(path: str, old: Any) -> FieldChange:
    return FieldChange(path, "remove", old=old)


def replace(path: str, old: Any, new: Any) -> FieldChange:
    return FieldChange(path, "replace", old=old, new=new)


ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
PORTS = [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {}, [], id="empty"),
        pytest.param({"a": 1}, {}, [remove("a", 1)], id="removed"),
        pytest.param({}, {"a": {"b": 1}}, [add("a", {"b": 1})], id="added whole"),
        pytest.param({"a": {}}, {"a": {"b": 1}}, [add("a.b", 1)], id="added into an empty map"),
        pytest.param({"a": {}}, {}, [remove("a", {})], id="an empty map is something"),
        pytest.param({"a": None}, {}, [remove("a", None)], id="null is not nothing"),
        pytest.param(
            {"b": 1, "a": {"x": 1}}, {"b": 2, "a": {"x": 2}},
            [replace("a.x", 1, 2), replace("b", 1, 2)], id="nested, in order",
        ),
        pytest.param({"a": 1}, {"a": True}, [replace("a", 1, True)], id="1 is not true"),
        pytest.param({"a": 1}, {"a": 1.0}, [replace("a", 1, 1.0)], id="1 is not 1.0"),
        pytest.param({"a": 1}, {"a": "1"}, [replace("a", 1, "1")], id="1 is no text"),
        pytest.param({"a": False}, {"a": 0}, [replace("a", False, 0)], id="false is not 0"),
        pytest.param({"a": ""}, {"a": None}, [replace("a", "", None)], id="empty is not null"),
        pytest.param({"a": {}}, {"a": []}, [replace("a", {}, [])], id="map and list"),
        pytest.param({"a": []}, {"a": "x"}, [replace("a", [], "x")], id="list and text"),
        pytest.param(
            {"l": {"app.kubernetes.io/name": "a"}}, {"l": {"app.kubernetes.io/name": "b"}},
            [replace('l["app.kubernetes.io/name"]', "a", "b")], id="a key with dots",
        ),
        # Lists whose items have keys.
        pytest.param(
            {"env": ENV}, {"env": [ENV[0], {"name": "B", "value": "3"}]},
            [replace("env[name=B].value", "2", "3")], id="an item changed",
        ),
        pytest.param({"env": ENV}, {"env": ENV[1:]}, [remove("env[name=A]", ENV[0])], id="gone"),
        pytest.param({"env": ENV[1:]}, {"env": ENV}, [add("env[name=A]", ENV[0])], id="item new"),
        pytest.param({"env": ENV}, {"env": []},
            [remove("env[name=A]", ENV[0]), remove("env[name=B]", ENV[1])], id="all items gone",
        ),
        pytest.param(
            {"env": ENV}, {"env": ENV[::-1]}, [replace("env", ENV, ENV[::-1])], id="other order",
        ),
        pytest.param(
            {"env": ENV}, {"env": [{"name": "B", "value": "3"}, ENV[0]]},
            [
                replace("env[name=B].value", "2", "3"),
                replace("env", ENV, [{"name": "B", "value": "3"}, ENV[0]]),
            ],
            id="other order and an item changed",
        ),
        pytest.param(
            {"env": [ENV[0]]}, {"env": [{"name": "N"}, ENV[0]]},
            [add("env[name=N]", {"name": "N"})], id="new at the front is no other order",
        ),
        pytest.param(
            {"c": [{"type": "Ready", "status": "True"}]},
            {"c": [{"type": "Ready", "status": "No"}]},
            [replace("c[type=Ready].status", "True", "No")], id="keyed by type",
        ),
        pytest.param(
            {"c": [{"name": "w", "env": ENV}]}, {"c": [{"name": "w", "env": ENV[:1]}]},
            [remove("c[name=w].env[name=B]", ENV[1])], id="keyed in keyed",
        ),
        # Lists whose items have none.
        pytest.param(
            {"p": PORTS}, {"p": [PORTS[0], {"port": 82, "protocol": "TCP"}]},
            [replace("p[1].port", 81, 82)], id="by position",
        ),
        pytest.param(
            {"p": PORTS}, {"p": PORTS[:1]}, [replace("p", PORTS, PORTS[:1])], id="other length",
        ),
        pytest.param({"a": ["x", "y"]}, {"a": ["x", "z"]}, [replace("a[1]", "y", "z")], id="texts"),
        pytest.param({"a": []}, {"a": ["x"]}, [replace("a", [], ["x"])], id="from an empty list"),
        pytest.param({"a": [[1], [2]]}, {"a": [[1], [3]]}, [replace("a[1][0]", 2, 3)], id="lists"),
        pytest.param(
            {"t": [{"key": "a", "effect": "x"}, {"key": "a", "effect": "y"}]},
            {"t": [{"key": "a", "effect": "x"}, {"key": "a", "effect": "z"}]},
            [replace("t[1].effect", "y", "z")], id="two items share the key",
        ),
        pytest.param(
            {"m": [{"name": "a"}, {"x": 1}]}, {"m": [{"name": "b"}, {"x": 1}]},
            [replace("m[0].name", "a", "b")], id="not all have the key",
        ),
    ],
)  # fmt: skip
def test_fields_that_differ(old: Any, new: Any, expected: list[FieldChange]) -> None:
    # As text, because to == a change to True is the same as one to 1.
    assert [repr(change) for change in field_changes(old, new)] == [repr(c) for c in expected]


LEAVES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "b", "1"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(
            st.builds(lambda n, v: {"name": n, "v": v}, st.sampled_from("abc"), inner), max_size=3
        )
        | st.dictionaries(st.sampled_from(["a", "b", "name", "x.y/z"]), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(OBJECTS)
@settings(deadline=None)
def test_an_object_does_not_differ_from_its_copy(body: Any) -> None:
    assert list(field_changes(body, copy.deepcopy(body))) == []


@given(OBJECTS, OBJECTS)
def test_what_differs_has_a_change_and_each_says_what_is_there(old: Any, new: Any) -> None:
    changes = list(field_changes(old, new))
    assert bool(changes) == (repr(sort(old)) != repr(sort(new)))
    for change in changes:
        path = parse_fieldpath(change.path)
        if change.op != "add":
            assert repr(get(old, path, "nothing")) == repr(change.old)
        if change.op != "remove":
            assert repr(get(new, path, "nothing")) == repr(change.new)


@given(OBJECTS, OBJECTS)
def test_seen_from_the_other_side_the_same_fields_differ(old: Any, new: Any) -> None:
    other_way = {"add": "remove", "remove": "add", "replace": "replace"}
    there = Counter(repr((c.path, c.op, c.old, c.new)) for c in field_changes(old, new))
    back = Counter(repr((c.path, other_way[c.op], c.new, c.old)) for c in field_changes(new, old))
    assert there == back


def sort(value: Any) -> Any:
    """The value with its keys in order, so that equal ones have one text."""
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value)}
    return [sort(item) for item in value] if isinstance(value, list) else value
