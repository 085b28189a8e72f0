"""Which objects are meant: patterns over Refs and label selectors."""

import fnmatch
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_dr.manifests.selector import (
    ObjectSelector,
    equal_labels,
    parse_labels,
    pattern_matches,
    selector_labels,
)
from gitops_dr.model import Ref

WEB = Ref("apps", "Deployment", "shop", "web")
ROLE = Ref("rbac.authorization.k8s.io", "ClusterRole", "", "system:aggregate-to-[view]")
CONFIG = Ref("", "ConfigMap", "shop", "web")


@pytest.mark.parametrize(
    ("selector", "ref", "expected"),
    [
        (ObjectSelector(), WEB, True),
        (ObjectSelector(), ROLE, True),
        (ObjectSelector(group="apps"), WEB, True),
        (ObjectSelector(group="apps"), CONFIG, False),
        (ObjectSelector(group=""), CONFIG, True),
        (ObjectSelector(group=""), WEB, False),
        (ObjectSelector(group="*.k8s.io"), ROLE, True),
        (ObjectSelector(kind="deployment"), WEB, False),
        (ObjectSelector(kind="Deploy*"), WEB, True),
        (ObjectSelector(namespace="shop"), WEB, True),
        (ObjectSelector(namespace=""), WEB, False),
        (ObjectSelector(namespace=""), ROLE, True),
        (ObjectSelector(namespace="*"), ROLE, True),
        (ObjectSelector(namespace="sh?p"), WEB, True),
        (ObjectSelector(name="system:aggregate-to-[view]"), ROLE, True),
        (ObjectSelector(name="system:*-[view]"), ROLE, True),
        (ObjectSelector(name="[w]eb"), WEB, False),
        (ObjectSelector(name="we"), WEB, False),
        (ObjectSelector("apps", "Deployment", "shop", "web"), WEB, True),
        (ObjectSelector("apps", "Deployment", "shop", "db"), WEB, False),
        (ObjectSelector("apps", "Deployment", "prod", "web"), WEB, False),
        (ObjectSelector("apps", "StatefulSet", "shop", "web"), WEB, False),
        (ObjectSelector("batch", "Deployment", "shop", "web"), WEB, False),
    ],
)
def test_every_pattern_must_fit(selector, ref, expected):
    assert selector.names(ref) is expected
    assert selector.matches(ref, {}) is expected


def test_labels_count_beside_the_patterns():
    selector = ObjectSelector(kind="Deployment", labels=equal_labels({"app": "web", "tier": "f*"}))
    labels = {"app": "web", "tier": "front", "more": "x"}
    assert selector.names(WEB)
    assert selector.matches(WEB, labels)
    assert not selector.matches(CONFIG, labels)
    assert not selector.matches(WEB, {"app": "web"})
    assert not selector.matches(WEB, {})


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("app=web", {"app": "web"}, True),
        ("app==web", {"app": "web"}, True),
        (" app = web\n", {"app": "web"}, True),
        ("app=web", {"app": "db"}, False),
        ("app=web", {}, False),
        ("app=", {"app": ""}, True),
        ("app=", {}, False),
        ("app=w*", {"app": "web"}, True),
        ("app!=web", {"app": "web"}, False),
        ("app!=web", {"app": "db"}, True),
        ("app!=web", {}, True),
        ("app in (web, db)", {"app": "db"}, True),
        ("app in (web,db)", {"app": "x"}, False),
        ("app in ()", {"app": ""}, True),
        ("app notin (web,db)", {"app": "x"}, True),
        ("app notin (web,db)", {"app": "db"}, False),
        ("app notin (web)", {}, True),
        ("app", {"app": "any"}, True),
        ("app", {}, False),
        ("!app", {}, True),
        ("! app", {"app": "any"}, False),
        ("in", {"in": "x"}, True),
        ("app.kubernetes.io/name=web,!old", {"app.kubernetes.io/name": "web"}, True),
        ("a=1,b=2", {"a": "1", "b": "3"}, False),
    ],
)
def test_a_label_selector_means_what_it_means_to_kubectl(text, labels, expected):
    parsed = parse_labels(text)
    assert ObjectSelector(labels=parsed).matches(WEB, labels) is expected
    again = parse_labels(",".join(map(str, parsed)))
    assert ObjectSelector(labels=again).matches(WEB, labels) is expected


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", 1),
        (",", 1),
        ("app=web,", 9),
        ("=web", 1),
        ("app=web tier=db", 1),
        ("app in web", 1),
        ("app in (web", 1),
        ("a=b,app~web", 5),
        ("app=a/b", 1),
        ("é=a", 1),
        ("-a=b", 1),
    ],
)
def test_what_is_no_label_selector_is_refused_with_the_place(text, where):
    with pytest.raises(ValueError, match=f"no label selector: stopped at character {where}$"):
        parse_labels(text)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (ObjectSelector(), "*/*"),
        (ObjectSelector("apps", "Deployment", "team-*", "web"), "Deployment.apps/team-*/web"),
        (ObjectSelector(kind="Node", name="a"), "Node/a"),
        (ObjectSelector(kind="Node", labels=parse_labels("a=b,!c")), "Node/* a=b,!c"),
        (ObjectSelector(labels=parse_labels("a in (b,c),d!=e,f")), "*/* a in (b,c),d notin (e),f"),
    ],
)
def test_a_selector_can_be_shown(selector, text):
    assert str(selector) == text


TEXTS = st.text("ab.*?[\n", max_size=12)


@given(TEXTS, TEXTS)
@example("*a*b", "aab\nb")
@example("a**b", "a*b")
def test_patterns_fit_what_the_shell_would_say(pattern, text):
    literal = pattern.replace("[", "[[]")
    assert pattern_matches(pattern, text) is fnmatch.fnmatchcase(text, literal)


def test_a_pattern_of_many_stars_takes_no_time():
    started = time.monotonic()
    assert not pattern_matches("*a" * 4 + "b", "a" * 253)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {"a": "b"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]},
            {"a": "c"},
            True,
        ),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        (
            {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]},
            {"a": "b"},
            False,
        ),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"b": "x"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"b": "x"}, True),
        (
            {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]},
            {"a": "b"},
            False,
        ),
        ({"matchLabels": {"a": 3}}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": 3}]}, {"a": "b"}, False),
        ({"matchLabels": 3, "matchExpressions": [None, {"key": "a", "operator": "Odd"}]}, {}, True),
    ],
)
def test_a_selector_of_a_manifest(selector, labels, expected):
    assert all(one.holds(labels) for one in selector_labels(selector)) is expected
