"""Field paths: read, written, followed, and compiled to deletions."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.manifests.fieldpath import (
    EVERY,
    FieldPath,
    compile_drop,
    format_fieldpath,
    get,
    parse_fieldpath,
)

READ: dict[str, FieldPath] = {
    "spec": ("spec",),
    "spec.replicas": ("spec", "replicas"),
    'metadata.labels["app.kubernetes.io/name"]': ("metadata", "labels", "app.kubernetes.io/name"),
    "metadata.annotations.kubectl.kubernetes.io/restartedAt": (
        "metadata",
        "annotations",
        "kubectl",
        "kubernetes",
        "io/restartedAt",
    ),
    "spec.containers[name=web].env[0].value": (
        "spec",
        "containers",
        ("name", "web"),
        "env",
        0,
        "value",
    ),
    "spec.ports[containerPort=80,protocol=TCP]": (
        "spec",
        "ports",
        ("containerPort", "80", "protocol", "TCP"),
    ),
    'rules[name="a b, [c]=\\"d\\""]': ("rules", ("name", 'a b, [c]="d"')),
    "spec.containers[*].resources": ("spec", "containers", EVERY, "resources"),
    "[0][*]": (0, EVERY),
    '["a"]["b"]': ("a", "b"),
    '["\\u00e9\\n"]': ("é\n",),
    "data.é-1:2": ("data", "é-1:2"),
}
NOT_READ = {
    "": 1,
    ".": 1,
    ".spec": 1,
    "spec.": 5,
    "spec..replicas": 5,
    "spec replicas": 5,
    "spec.containers[": 16,
    "spec.containers[]": 16,
    "spec.containers[-1]": 16,
    "metadata.labels[app]": 16,
    "a[name=]": 2,
    "a[name=x,]": 2,
    'a["x]': 2,
    "a[0]b": 5,
    "a.*": 2,
    'a.b"c"': 4,
    "a\n": 2,
    "a[\u0661]": 2,
}


@pytest.mark.parametrize(("text", "path"), READ.items())
def test_paths_that_people_write(text: str, path: FieldPath) -> None:
    assert parse_fieldpath(text) == path


@pytest.mark.parametrize(("text", "character"), NOT_READ.items())
def test_errors_say_at_which_character(text: str, character: int) -> None:
    with pytest.raises(ValueError, match=f"stopped at character {character}$") as caught:
        parse_fieldpath(text)
    assert str(caught.value).startswith(f"{text!r} is not a field path")


def test_a_bad_escape_is_placed_too() -> None:
    with pytest.raises(ValueError, match="after character 3"):
        parse_fieldpath('ab["\\x"]')


KEYS = st.text(st.sampled_from('ab9_$/-.[]"=,*\\ \n\té😀\x00'), max_size=6)
STEPS = st.one_of(
    KEYS,
    st.integers(0, 10**6),
    st.just(EVERY),
    st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=3).map(
        lambda pairs: tuple(text for pair in pairs for text in pair)
    ),
)


@given(st.lists(STEPS, min_size=1, max_size=6).map(tuple))
def test_what_was_written_is_read_back(path: FieldPath) -> None:
    assert parse_fieldpath(format_fieldpath(path)) == path


def test_paths_are_written_as_people_write_them() -> None:
    for text in (
        "spec.containers[name=web].env[0].value",
        "spec.ports[containerPort=80,protocol=TCP]",
        'metadata.labels["app.kubernetes.io/name"]',
        "spec.containers[*].resources",
        '["a.b"].c',
    ):
        assert format_fieldpath(parse_fieldpath(text)) == text


BODY: dict[str, Any] = {
    "metadata": {"annotations": {"a.b/c": "1", "d": "2"}, "labels": {"only": "x"}},
    "spec": {
        "replicas": None,
        "paused": False,
        "containers": [
            {"name": "web", "image": "w", "ports": [{"port": 80, "protocol": "TCP", "on": True}]},
            {"name": "log", "image": "l", "ports": [{"port": 53, "protocol": "UDP"}]},
            {"name": "web", "image": "second"},
        ],
        "args": ["--one", "--two"],
        "empty": {},
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.paused", False),
        ("spec.replicas", None),
        ("spec.args[1]", "--two"),
        ("spec.args[2]", "absent"),
        ("spec.args.x", "absent"),
        ("spec.paused.x", "absent"),
        ("spec.paused[0]", "absent"),
        ("spec.empty[0]", "absent"),
        ("spec.empty.x", "absent"),
        ("spec.nothing.at.all", "absent"),
        ("spec.containers[0].image", "w"),
        ("spec.containers[name=web].image", "w"),
        ("spec.containers[name=log].ports[port=53,protocol=UDP].port", 53),
        ("spec.containers[name=log].ports[port=53,protocol=TCP].port", "absent"),
        ("spec.containers[name=web].ports[on=true].port", 80),
        ("spec.containers[name=none].image", "absent"),
        ("spec.args[name=x]", "absent"),
        ('metadata.annotations["a.b/c"]', "1"),
    ],
)
def test_get(path: str, value: Any) -> None:
    assert get(BODY, parse_fieldpath(path), "absent") == value


def test_get_refuses_what_names_many_fields() -> None:
    with pytest.raises(ValueError, match="many fields"):
        get(BODY, parse_fieldpath("spec.containers[*].name"))


def _dropped(path: str) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    compile_drop(parse_fieldpath(path))(body)
    return body


def _names(body: dict[str, Any], key: str = "name") -> list[Any]:
    return [container.get(key) for container in body["spec"]["containers"]]


def test_dropping_a_key_leaves_what_encloses_it() -> None:
    body = {"status": {"x": 1}, "spec": {"strategy": {"type": "a"}}}
    compile_drop(("status",))(body)
    compile_drop(("spec", "strategy", "type"))(body)
    assert body == {"spec": {"strategy": {}}}


def test_annotations_and_labels_go_when_they_were_emptied() -> None:
    body = _dropped("metadata.labels.only")
    assert "labels" not in body["metadata"]
    body = _dropped('metadata.annotations["a.b/c"]')
    assert body["metadata"]["annotations"] == {"d": "2"}


def test_annotations_that_were_empty_before_stay() -> None:
    body: dict[str, Any] = {"metadata": {"annotations": {}, "labels": None}}
    before = copy.deepcopy(body)
    compile_drop(("metadata", "annotations", "a"))(body)
    compile_drop(("metadata", "labels", "a"))(body)
    assert body == before


def test_annotations_of_a_template_within_a_list_go_as_well() -> None:
    body: dict[str, Any] = {"t": [{"metadata": {"labels": {"a": "1"}}}, {"metadata": {}}]}
    compile_drop(parse_fieldpath("t[*].metadata.labels.a"))(body)
    assert body == {"t": [{"metadata": {}}, {"metadata": {}}]}


def test_dropping_through_lists() -> None:
    assert _names(_dropped("spec.containers[*].image"), "image") == [None, None, None]
    assert _names(_dropped("spec.containers[1].image"), "image") == ["w", None, "second"]
    assert _names(_dropped("spec.containers[name=web].image"), "image") == [None, "l", None]
    nested = _dropped("spec.containers[name=web].ports[port=80,protocol=TCP].on")
    assert nested["spec"]["containers"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]
    pods = {"a": [[{"x": 1}], [{"x": 2, "y": 3}], "no list"]}
    compile_drop(parse_fieldpath("a[*][*].x"))(pods)
    assert pods == {"a": [[{}], [{"y": 3}], "no list"]}


def test_dropping_items() -> None:
    assert _names(_dropped("spec.containers[name=web]")) == ["log"]
    assert _names(_dropped("spec.containers[0]")) == ["log", "web"]
    assert _dropped("spec.containers[*]")["spec"]["containers"] == []
    assert _dropped("spec.args[0]")["spec"]["args"] == ["--two"]


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "metadata.nothing.deeper",
        "metadata.annotations.none",
        "metadata.annotations.d.deeper",
        "metadata.none.labels.x",
        "spec.replicas.x",
        "spec.args.x",
        "spec.args.labels.x",
        "spec.args[5]",
        "spec.args[*].x",
        "spec.args[name=x]",
        "spec.empty[*]",
        "spec.replicas[0].x",
        "spec.containers[name=none].image",
        "spec.containers[name=none]",
        "spec.containers[port=80]",
        "spec.containers[*].none.deeper",
        "spec.containers[*][0]",
    ],
)
def test_absent_fields_change_nothing(path: str) -> None:
    assert _dropped(path) == BODY


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "labels", "annotations"]), inner, max_size=3)
    ),
    max_leaves=12,
)
SOME_STEPS = st.sampled_from(["a", "b", "labels", "annotations", 0, 1, EVERY, ("a", "b")])
SOME_PATHS = st.lists(SOME_STEPS, min_size=1, max_size=4).map(tuple)


@given(st.dictionaries(st.sampled_from(["a", "b", "labels"]), VALUES), SOME_PATHS)
def test_a_dropped_key_is_gone_and_dropping_it_again_changes_nothing(
    body: dict[str, Any], path: FieldPath
) -> None:
    drop = compile_drop(path)
    before = copy.deepcopy(body)
    drop(body)
    if isinstance(path[-1], str):
        if all(isinstance(step, str) for step in path):
            assert get(body, path, "absent") == "absent"
            assert (body == before) == (get(before, path, "absent") == "absent")
        once = copy.deepcopy(body)
        drop(body)
        assert body == once


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        compile_drop(())
