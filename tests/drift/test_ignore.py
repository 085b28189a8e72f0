"""Ignore rules hide what they name, and nothing else."""

import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.drift.ignore import Ignored, IgnoreRule, ignored, is_expired
from gitops_dr.manifests.fieldpath import format_fieldpath, get, parse_fieldpath
from gitops_dr.manifests.selector import ObjectSelector, parse_labels
from gitops_dr.model import Difference, FieldChange, FieldManager, Presence, Ref

TODAY = date(2026, 11, 22)
WEB = Ref("apps", "Deployment", "shop", "web")
KEDA, EDIT = FieldManager("keda-operator", "Update"), FieldManager("kubectl-edit", "Update")


def rule(field="", manager="", state=None, until=None, labels="", **patterns) -> IgnoreRule:
    return IgnoreRule(
        place="ignore[0]",
        because="It is so.",
        objects=ObjectSelector(**patterns, labels=parse_labels(labels) if labels else ()),
        field=parse_fieldpath(field) if field else (),
        manager=manager,
        state=state and Presence(state),
        until=until,
    )


def change(path, op="replace", managers=(), **values) -> FieldChange:
    return FieldChange(path, op, managers=managers, **values)


def modified(*changes, ref=WEB) -> Difference:
    return Difference(ref, Presence.MODIFIED, "web.yaml", changes)


def whole(state, *managers, ref=WEB) -> Difference:
    return Difference(ref, Presence(state), "web.yaml", managers=managers)


def unasked(*_: Any) -> Any:
    raise AssertionError("nobody needs to know")


def apply(differences, *rules, labels_of=unasked, body_of=unasked, today=TODAY) -> Ignored:
    return ignored(differences, rules, labels_of=labels_of, body_of=body_of, today=today)


def hides(one: IgnoreRule, difference: Difference, **options) -> bool:
    """Whether the rule hides all of a difference; it is all or nothing of it."""
    found = apply([difference], one, **options)
    assert found.kept in ((), (difference,))
    assert found.hidden == (0 if found.kept else max(1, len(difference.changes)),)
    return not found.kept


POD = "spec.template.spec"


@pytest.mark.parametrize(
    ("field", "path", "expected"),
    [
        ("spec.replicas", "spec.replicas", True),
        ("spec.replicas", "spec.replicasx", False),
        ("spec.replicas", "spec.paused", False),
        ("spec.replicas", "spec", False),
        ("spec.replicas", "status.replicas", False),
        ("spec", "spec.replicas", True),
        ("spec", "spec", True),
        ("metadata.annotations", 'metadata.annotations["a.b/c"]', True),
        ('metadata.annotations["a.b/c"]', 'metadata.annotations["a.b/c"]', True),
        ('metadata.annotations["a.b/c"]', 'metadata.annotations["a.b/d"]', False),
        # items of lists
        (f"{POD}.containers[name=x].image", f"{POD}.containers[name=x].image", True),
        (f"{POD}.containers[name=x].image", f"{POD}.containers[name=y].image", False),
        (f"{POD}.containers[name=x]", f"{POD}.containers[name=x].env[name=A].value", True),
        (f"{POD}.containers[*].image", f"{POD}.containers[name=y].image", True),
        (f"{POD}.containers[*].image", f"{POD}.containers[3].image", True),
        (f"{POD}.containers[*].image", f"{POD}.containers[name=y].env", False),
        (f"{POD}.containers[name=x].env[*].value", f"{POD}.containers[name=x].env[name=A].value",
         True),
        (f"{POD}.containers[name=x].env[*].value", f"{POD}.containers[name=x].env[name=A]", False),
        (f"{POD}.containers", f"{POD}.containers[name=y]", True),
        (f"{POD}.containers[0].image", f"{POD}.containers[0].image", True),
        (f"{POD}.containers[0].image", f"{POD}.containers[1].image", False),
        ("ports[containerPort=53].name", "ports[containerPort=53,protocol=UDP].name", True),
        ("ports[protocol=UDP,containerPort=53].name", "ports[containerPort=53,protocol=UDP].name",
         True),
        ("ports[containerPort=53,protocol=TCP].name", "ports[containerPort=53,protocol=UDP].name",
         False),
        # of a map, [*] is every key
        ("spec.nodes[*].size", "spec.nodes.a.size", True),
        ("spec.nodes[*].size", "spec.nodes.a.count", False),
        ("spec.nodes[name=a].size", "spec.nodes.a.size", False),
        ("spec.nodes.a.size", "spec.nodes[name=a].size", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("op", ["add", "remove", "replace"])
def test_a_field_hides_what_is_at_it_or_below(field, path, expected, op):
    difference = modified(change(path, op, old=1, new=1))
    assert hides(rule(field), difference) is expected


BODY = {
    "list": [
        {"name": "a", "image": "x", "port": 80},
        {"name": "b", "image": "y", "on": True},
        "text",
    ]
}


@pytest.mark.parametrize(
    ("field", "path", "expected"),
    [
        ("list[name=a].image", "list[0].image", True),
        ("list[name=b].image", "list[0].image", False),
        ("list[image=x].image", "list[name=a].image", True),
        ("list[image=x].image", "list[name=b].image", False),
        ("list[image=x,name=a].image", "list[name=a].image", True),
        ("list[image=x,name=b].image", "list[name=a].image", False),
        ("list[port=80].image", "list[name=a].image", True),
        ("list[0].image", "list[name=a].image", True),
        ("list[1].image", "list[name=a].image", False),
        ("list[7].image", "list[name=a].image", False),
        ("list[name=a].image", "list[2].image", False),
        ("list[name=a].image", "list[9].image", False),
        ("list[name=a].image", "gone[0].image", False),
        # A member of a set has no name but itself.
        ('list["text"]', "list[2]", True),
        ("list", "list[2]", True),
        ('list["other"]', "list[2]", False),
        ('list["text"]', "list[0]", False),
    ],
)
@pytest.mark.parametrize(("op", "side"), [("add", "live"), ("replace", "live"), ("remove", "git")])
def test_an_item_that_two_paths_name_differently_is_looked_up(field, path, expected, op, side):
    bodies = {"live": BODY if side == "live" else {}, "git": BODY if side == "git" else {}}

    def body_of(ref, asked):
        assert ref == WEB
        return bodies["git" if asked == "remove" else "live"]

    difference = modified(change(path, op, old=1, new=1))
    assert hides(rule(field), difference, body_of=body_of) is expected
    assert hides(rule(field), difference, body_of=lambda *_: None) is (field == "list")


@pytest.mark.parametrize(
    ("field", "path", "value", "expected"),
    [
        # A whole that holds more than the rule names is not hidden,
        ("list[*].value", "list[name=a]", {"name": "a", "value": "b"}, False),
        ("metadata.annotations.a", "metadata.annotations", {"a": "1", "b": "2"}, False),
        ("metadata.annotations.a", "metadata.annotations", {}, False),
        ("spec.a.b", "spec", {"a": {"b": 1}, "c": {}}, False),
        # one that holds nothing else is.
        ("metadata.annotations.a", "metadata.annotations", {"a": "1"}, True),
        ("spec.a.b", "spec", {"a": {"b": {"c": 1, "d": [1]}}}, True),
        ("spec.list[*].a", "spec.list", [{"a": 1}, {"a": 2}], True),
        ("spec.list[*].a", "spec.list", [{"a": 1}, {"b": 2}], False),
        ("spec.list[*].a", "spec.list", [], False),
    ],
)
@pytest.mark.parametrize("op", ["add", "remove"])
def test_a_change_that_covers_more_than_the_field(field, path, value, expected, op):
    values = {"new" if op == "add" else "old": value}
    assert hides(rule(field), modified(change(path, op, **values))) is expected
    replaced = change(path, "replace", old=value, new=value)
    assert not hides(rule(field), modified(replaced))


def test_rules_that_together_name_all_of_a_change_hide_it():
    annotations = {"a": "1", "b": {"c": "2", "d": "3"}}
    difference = modified(change("metadata.annotations", "add", new=annotations))
    a, b, c = (rule(f"metadata.annotations.{key}") for key in ("a", "b", "c"))
    assert apply([difference], a, b, c) == Ignored((), (1, 1, 0))
    assert apply([difference], a, c) == Ignored((difference,), (0, 0))


@pytest.mark.parametrize(
    ("pattern", "managers", "expected"),
    [
        ("keda-operator", [KEDA], True),
        ("keda-*", [KEDA], True),
        ("Keda-*", [KEDA], False),
        ("keda-operator", [KEDA, EDIT], False),
        ("ke*", [KEDA], True),
        ("k*", [KEDA, EDIT], True),
        ("*", [], False),
        ("keda-operator", [EDIT], False),
    ],
)
def test_a_manager_hides_what_it_alone_is_known_to_have_written(pattern, managers, expected):
    one = change("spec.replicas", managers=tuple(managers))
    assert hides(rule(manager=pattern), modified(one)) is expected
    assert hides(rule("spec", manager=pattern), modified(one)) is expected
    assert not hides(rule("data", manager=pattern), modified(one))
    # An unmanaged object is hidden only where the rule says that it is about those.
    assert not hides(rule(manager=pattern), whole("unmanaged", *managers))
    assert (
        hides(rule(manager=pattern, state="unmanaged"), whole("unmanaged", *managers)) is expected
    )
    assert not hides(rule(manager=pattern, state="unmanaged"), modified(one))
    assert hides(rule(manager=pattern, state="modified"), modified(one)) is expected


@pytest.mark.parametrize("state", ["missing", "modified", "unmanaged", "unknown"])
def test_a_state_hides_whole_objects_of_that_state(state):
    difference = modified(change("a"), change("b")) if state == "modified" else whole(state)
    for asked in ("missing", "modified", "unmanaged"):
        found = apply([difference], rule(state=asked, kind="Deployment"))
        expected = asked == state
        assert found == Ignored(() if expected else (difference,), (1 if expected else 0,))


def test_a_state_beside_a_field_is_about_the_field():
    difference = modified(change("spec.a"), change("spec.b"))
    found = apply([difference], rule("spec.a", state="modified"))
    assert found == Ignored((modified(change("spec.b")),), (1,))


@pytest.mark.parametrize("state", ["missing", "modified", "unmanaged"])
def test_an_object_named_by_kind_and_name_is_hidden_whatever_its_state(state):
    difference = modified(change("a"), change("b")) if state == "modified" else whole(state)
    assert apply([difference], rule(kind="Deployment", name="web")) == Ignored((), (1,))
    assert apply([difference], rule(kind="Deployment", name="we")).kept == (difference,)


def test_what_is_unknown_is_never_hidden():
    difference = whole("unknown", KEDA)
    for one in (rule(kind="Deployment", name="web"), rule(manager="*"), rule("spec")):
        assert not hides(one, difference)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({}, True),
        ({"group": "apps", "kind": "Deployment", "namespace": "sh*", "name": "w?b"}, True),
        ({"group": ""}, False),
        ({"kind": "deployment"}, False),
        ({"namespace": "prod"}, False),
        ({"name": "db"}, False),
    ],
)
def test_only_the_objects_that_it_names_are_meant(patterns, expected):
    assert hides(rule("spec", **patterns), modified(change("spec.a"))) is expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("app=web", True), ("app=w*", True), ("app=db", False), ("!app", False)],
)
def test_labels_are_asked_for_where_a_rule_wants_them(labels, expected):
    asked = []

    def labels_of(ref):
        asked.append(ref)
        return {"app": "web"}

    one = rule("spec", labels=labels, kind="Deployment")
    other = Ref("", "ConfigMap", "shop", "web")
    assert hides(one, modified(change("spec.a")), labels_of=labels_of) is expected
    assert not hides(one, modified(change("spec.a"), ref=other), labels_of=labels_of)
    assert set(asked) == {WEB}


@pytest.mark.parametrize(
    ("until", "expired"),
    [(None, False), (date(2026, 11, 22), False), (date(2026, 11, 21), True)],
)
def test_a_rule_hides_until_the_end_of_its_last_day(until, expired):
    one = rule("spec", until=until)
    assert is_expired(one, TODAY) is expired
    assert hides(one, modified(change("spec.a"))) is not expired


def test_what_two_rules_hide_counts_for_both_and_what_is_left_stays():
    web = modified(change("spec.a"), change("spec.b"), change("data"))
    gone, new = whole("missing", ref=Ref("", "A", "", "a")), whole("unmanaged")
    found = apply(
        [gone, new, web],
        rule("spec"),
        rule("spec.b"),
        rule(state="missing", kind="A"),
        rule("nothing"),
        rule(state="missing", kind="B"),
    )
    assert found == Ignored((new, modified(change("data"))), (2, 1, 1, 0, 0))


def test_without_rules_all_is_kept():
    assert apply([modified(change("a"))]) == Ignored((modified(change("a")),), ())


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (rule("spec"), ""),
        (rule(manager="m"), ""),
        (rule(state="missing"), ""),
        (rule(state="unmanaged", manager="m"), ""),
        (rule(state="modified", field="spec"), ""),
        (rule(kind="A", name="b"), ""),
        (rule(), "names neither"),
        (rule(kind="A"), "names neither"),
        (rule(name="b", namespace="c"), "names neither"),
        (rule(kind="A", name="b*"), "names neither"),
        (rule(kind="?", name="b"), "names neither"),
        (rule(labels="a=b", kind="A"), "names neither"),
        (rule(state="unmanaged", field="spec"), "no field to name"),
        (rule(state="missing", field="spec"), "no field to name"),
        (rule(state="missing", manager="m"), "nobody knows"),
        (rule(state="unknown"), "cannot be ignored"),
    ],
)
def test_a_rule_that_makes_no_sense_says_so(one, problem):
    assert (problem in one.problem()) if problem else one.problem() == ""


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (rule("spec.replicas"), "ignore[0]: */* spec.replicas"),
        (
            rule("data", "keda-*", "modified", kind="A", group="b", namespace="c", labels="d=e"),
            "ignore[0]: A.b/c/* d=e modified data by keda-*",
        ),
    ],
)
def test_a_rule_can_be_shown(one, text):
    assert str(one) == text


# -- against a slow and simple judge ---------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c"])
LEAVES = st.sampled_from([1, "x", None, {}, []])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.dictionaries(KEYS, inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=2)
    ),
    max_leaves=6,
)


def all_paths(value, at=()):
    yield at
    children = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        children = enumerate(value)
    for step, child in children:
        yield from all_paths(child, (*at, step))


def leaves(value, at=()):
    return [path for path in all_paths(value, at) if not get({"": value}, ("", *path)) or
            not isinstance(get({"": value}, ("", *path)), dict | list)]  # fmt: skip


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_a_rule_hides_an_added_field_exactly_if_it_names_all_of_it(body, rng: random.Random):
    paths = [path for path in all_paths(body) if path]
    field, path = rng.choice(paths), rng.choice(paths)
    added = change(format_fieldpath(path), "add", new=get(body, path))
    below = [leaf for leaf in leaves(body) if leaf[: len(path)] == path]
    expected = all(leaf[: len(field)] == field for leaf in below)
    one = rule(format_fieldpath(field))
    assert hides(one, modified(added), body_of=lambda *_: body) is expected
