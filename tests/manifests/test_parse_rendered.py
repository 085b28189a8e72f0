"""What Helm and Kustomize write: many documents, lists of objects, comments, empty documents."""

import pytest

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.parse import parse_rendered

A = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def names(text: str) -> list[str]:
    return [body["metadata"]["name"] for body in parse_rendered(text.encode(), "out.yaml")]


FLOW = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"


@pytest.mark.parametrize(
    "text",
    [
        A,
        f"---\n{A}",
        f"# Source: chart/templates/a.yaml\n---\n# nothing\n---\n{A}---\n",
        f"---\nnull\n---\n{A}",
        f"apiVersion: v1\nkind: List\nitems:\n- {FLOW}\n",
        "apiVersion: v1\nkind: ConfigMapList\nmetadata: {}\nitems:\n- {metadata: {name: a}}\n",
        f"apiVersion: v1\nkind: List\nitems: []\n---\n{A}",
        f"apiVersion: v1\nkind: List\nitems:\n---\n{A}",
    ],
)
def test_an_object_is_found_in_whatever_it_is_wrapped(text):
    assert names(text) == ["a"]
    (body,) = parse_rendered(text.encode(), "out.yaml")
    assert (body["apiVersion"], body["kind"]) == ("v1", "ConfigMap")


def test_lists_may_hold_lists_and_several_kinds():
    text = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: v1, kind: Secret, metadata: {name: b}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: c}}
"""
    assert names(text) == ["a", "b", "c"]


def test_a_kind_that_only_sounds_like_a_list_is_an_object():
    text = "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {items: []}\n"
    assert names(text) == ["a"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (f"{A}---\nkind: ConfigMap\n", 5, "no apiVersion"),
        ("apiVersion: v1\nkind: List\nitems: {a: b}\n", 3, "items is a mapping, not a list"),
        ("apiVersion: v1\nkind: List\nitems:\n- a\n", 4, "not a mapping but a string"),
        (
            (
                f"apiVersion: v1\nkind: List\nitems:\n- {FLOW}\n"
                "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {}\n"
            ),
            5,
            "no metadata.name",
        ),
        (f"{A}---\ndata: {{{{ .Values.x }}}}\n", 5, "."),
        ("a\n", 1, "not a mapping"),
    ],
)
def test_what_is_no_manifest_is_named_by_line(text, line, problem):
    with pytest.raises(ManifestError, match=problem) as raised:
        parse_rendered(text.encode(), "out.yaml")
    assert (raised.value.path, raised.value.line) == ("out.yaml", line)
