"""Drift as a page, before any browser has it: what is in it, and that nothing of it is live."""

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports.pages import Node, read_html
from reports.samples import BASE, CLEAN, EDIT, FULL, GAP, HOSTILE, MERGING, MODIFIED, hostile, many

from gitops_dr.model import FieldChange
from gitops_dr.reports.drift.html import as_html
from gitops_dr.results.drift import Against, Drifted


def page(result: Drifted) -> Node:
    text = as_html(result)
    assert text.startswith("<!doctype html>")
    return read_html(text.removeprefix("<!doctype html>"))


def words(node: Node) -> str:
    return " ".join(node.text.split())


def test_nothing_differs() -> None:
    found = page(CLEAN)
    assert words(found.every("title")[0]) == "Drift of prod: no difference"
    assert words(found.every("p", class_="clean")[0]) == "No difference."
    assert not found.every(class_="row")
    assert not found.every("form")
    gaps = page(replace(CLEAN, gaps=(GAP,)))
    assert words(gaps.every("p", class_="clean")[0]) == "No difference in what could be read."
    assert words(gaps.every("li")[-1]) == "Shop.example.com/*: 403 Forbidden"


def test_all_of_a_report() -> None:
    found = page(FULL)
    assert [words(tile) for tile in found.every(class_="tile")] == [
        *("1 missing", "4 modified", "1 unmanaged", "1 unknown", "100 equal"),
    ]
    assert words(found.every(class_="coverage")[0]) == (
        "105 of 107 existing objects compared (98.1%)"
    )
    assert [words(each) for each in found.every("h3")] == [
        *("(cluster-scoped) 2", "books 2", "shop 3"),
    ]
    assert [words(each) for each in found.every(class_="head")] == [
        "unknown * Shop.example.com",
        "modified operators ClusterRole.rbac.authorization.k8s.io by kubectl-edit",
        "modified db Secret by kubectl-edit",
        "modified api Deployment.apps by kubectl",
        "missing a ConfigMap by unknown",
        "unmanaged old ConfigMap by kubectl-edit, Update, 2026-11-24T10:00:00Z",
        "modified web Deployment.apps by kubectl, kubectl-edit, helm and 1 more",
    ]
    (web,) = [row for row in found.every(class_="row") if row.every("b")[0].text == "web"]
    assert web.attributes["data-authors"].split("\n") == [
        *("kubectl", "kubectl-edit", "helm", "unknown", "kube-controller-manager"),
    ]
    assert [words(each) for each in web.every(class_="path")] == [
        "~ spec.replicas by kubectl, Update of scale, 2026-11-24T10:05:00Z",
        (
            "+ metadata.labels.team by kubectl-edit, Update, 2026-11-24T10:00:00Z;"
            " helm, Apply, 2026-11-23T09:00:00Z"
        ),
        "- spec.paused by unknown",
    ]
    assert [each.text for each in web.every("pre")] == ["- 2\n+ 3\n", '+ "a"\n', "- true\n"]
    assert words(web.every(class_="note")[0]) == "2 fields by kube-controller-manager (trusted)"
    lists = {words(each.every("summary")[0]): each for each in found.every(class_="list")}
    assert list(lists) == [
        "Gaps: nothing is said of these 1",
        "Ignore rules to mend 1",
        "Hidden by ignore rules 1",
        "Left out of the comparison 1",
    ]
    assert words(lists["Hidden by ignore rules 1"].every("li")[0]) == (
        "4 by ignore[0] Deployment.apps/*: The scaler decides."
    )


def test_what_merging_would_change_stands_apart() -> None:
    found = page(MERGING)
    assert [words(each) for each in found.every("h2")] == [
        "Merging 0123456789ab will configure 1, create 1, skip 1",
        "Drift already, measured against fedcba987654",
    ]
    (merging,) = found.every("section", id="merging")
    assert [words(each) for each in merging.every(class_="head")] == [
        *("create a ConfigMap", "configure web Deployment.apps"),
        "skip operators ClusterRole.rbac.authorization.k8s.io",
    ]
    assert [each.text for each in merging.every("pre")] == ["- 3\n+ 5\n"]
    assert words(merging.every(class_="note")[0]) == "its rules are aggregated"
    nothing = page(replace(CLEAN, against=Against(BASE, ())))
    assert "will change nothing" in words(nothing.every("h2")[0])


def test_few_differences_are_unfolded_and_many_are_not() -> None:
    assert all("open" in row.attributes for row in page(many(12)).every("details", class_="row"))
    assert not [
        row for row in page(many(13)).every("details", class_="row") if "open" in row.attributes
    ]


def test_the_more_there_is_the_less_of_each() -> None:
    changes = tuple(FieldChange(f"data.k{n}", "add", new=n, managers=(EDIT,)) for n in range(50))
    one = replace(MODIFIED, changes=changes)
    few = page(replace(CLEAN, differences=(one,)))
    assert len(few.every(class_="field")) == 40
    assert words(few.every(class_="note")[0]) == "and 10 more fields (-o json has them all)"
    lots = page(replace(CLEAN, differences=(one,) * 1001))
    assert len(lots.every(class_="field")) == 8 * 1001


def test_it_needs_nothing_from_elsewhere() -> None:
    text = as_html(MERGING)
    assert not re.search(r"https?:|\bsrc=|\bhref=|url\(|@import|\bfetch\b|XMLHttpRequest", text)
    assert text.count("<script>") == text.count("<style>") == 1


def test_its_policy_lets_only_its_own_script_and_style_run() -> None:
    found = page(FULL)
    (policy,) = [
        meta.attributes["content"]
        for meta in found.every("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for tag in ("script", "style"):
        digest = hashlib.sha256(found.every(tag)[0].text.encode()).digest()
        assert parts.pop(f"{tag}-src") == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert parts == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}


def test_no_style_and_no_handler_stands_in_an_attribute() -> None:
    for node in page(MERGING).every():
        assert not [name for name in node.attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("text", [HOSTILE, '"', "'", "</script>", "<!--", "{{ 1 }}", "&lt;b&gt;"])
def test_hostile_text_is_text(text: str) -> None:
    plain, found = page(hostile("a")), page(hostile(text))
    assert shape(found) == shape(plain)
    for row in found.every(class_="row"):
        assert "\x1b" not in row.text
    if "\n" not in text:
        assert text in found.every("title")[0].text
        assert {each.text for each in found.every("h1")[0].every("b")} == {text}
        assert found.every(class_="row")[-1].attributes["data-namespace"] == text


@given(st.text(st.characters(codec=None), min_size=1, max_size=20))
@settings(max_examples=30)
def test_any_text_is_text(text: str) -> None:
    assert shape(page(hostile(text))) == shape(page(hostile("a")))


def shape(found: Node) -> list[tuple[str, tuple[str, ...]]]:
    """The elements and their attributes by name, but for the lines of values, which may be many."""
    return [
        (node.tag, tuple(node.attributes))
        for node in found.every()
        if node.attributes.get("class") not in ("add", "del", "same")
    ]


def test_jinja_is_loaded_only_for_a_page() -> None:
    code = (
        "import sys; from gitops_dr.reports import drift;"
        "print({'jinja2', 'yamlrocks', 'kubernetes', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "jinja2" not in done.stdout
