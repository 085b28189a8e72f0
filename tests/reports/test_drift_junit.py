"""Drift as JUnit XML: well-formed whatever is in it, and counted so that CI servers believe it."""

from dataclasses import replace
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports.samples import CLEAN, FULL, HOSTILE, MERGING, hostile

from gitops_dr.reports.drift.junit import as_junit
from gitops_dr.results.drift import Drifted


def read(result: Drifted) -> Element:
    root = fromstring(as_junit(result))
    assert root.tag == "testsuites"
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for suite in root:
        cases = suite.findall("testcase")
        counts = {
            "tests": len(cases),
            "failures": sum(case.find("failure") is not None for case in cases),
            "errors": sum(case.find("error") is not None for case in cases),
        }
        assert counts == {key: int(suite.get(key, "")) for key in counts}
        totals = {key: totals[key] + counts[key] for key in totals}
    assert totals == {key: int(root.get(key, "")) for key in totals}
    return root


def test_nothing_differs_and_a_test_passed() -> None:
    root = read(CLEAN)
    assert root.get("tests") == "1"
    (case,) = root.iter("testcase")
    assert (case.get("classname"), case.get("name")) == ("prod", "12 objects as Git has them")
    assert not list(case)


def test_each_object_is_a_test_in_the_suite_of_its_namespace() -> None:
    root = read(FULL)
    assert [suite.get("name") for suite in root] == ["prod", "(cluster-scoped)", "books", "shop"]
    cases = {
        (case.get("classname"), case.get("name")): [
            (problem.tag, problem.get("type"), problem.get("message")) for problem in case
        ]
        for suite in root[1:]
        for case in suite
    }
    edited = "by kubectl-edit, Update, 2026-11-24T10:00:00Z"
    assert cases == {
        ("shop.ConfigMap", "a"): [
            ("failure", "missing", "missing: ConfigMap/shop/a  by unknown"),
        ],
        ("shop.ConfigMap", "old"): [
            ("failure", "unmanaged", f"unmanaged: ConfigMap/shop/old  {edited}"),
        ],
        ("books.Secret", "db"): [("failure", "modified", "modified: Secret/books/db")],
        ("books.Deployment.apps", "api"): [
            ("failure", "modified", "modified: Deployment.apps/books/api"),
        ],
        ("shop.Deployment.apps", "web"): [
            ("failure", "modified", "modified: Deployment.apps/shop/web"),
        ],
        ("Shop.example.com", "*"): [("error", "gap", "gap: 403 Forbidden")],
        ("ClusterRole.rbac.authorization.k8s.io", "operators"): [
            ("failure", "modified", "modified: ClusterRole.rbac.authorization.k8s.io/operators"),
        ],
    }
    web = root.find(".//testcase[@name='web']/failure")
    assert web is not None
    assert "~ spec.replicas: 2 → 3  by kubectl, Update of scale" in (web.text or "")


def test_the_rest_is_told_with_the_suite_of_the_cluster() -> None:
    told = read(MERGING).findtext("testsuite/system-out")
    assert told is not None
    assert told.splitlines() == [
        (
            "prod: 1 missing, 4 modified, 1 unmanaged, 1 unknown, 100 objects equal;"
            " compared with commit fedcba987654"
        ),
        "105 of 107 existing objects compared (98.1%)",
        "merging will configure 1, create 1, skip 1",
        "ignore rule to mend: ignore[1] ConfigMap/shpo/*: misspelt: shpo; did you mean shop?",
        "hidden by ignore rules: 4 by ignore[0] Deployment.apps/*: The scaler decides.",
        "left out: 2 by generated: Its owner makes it.",
    ]


@pytest.mark.parametrize("text", [HOSTILE, "]]>", "<a>&amp;", "\x00\x0b\ufffe\uffff", "\ud800"])
def test_hostile_text_is_text(text: str) -> None:
    plain, found = read(hostile("a")), read(hostile(text))
    assert [each.tag for each in found.iter()] == [each.tag for each in plain.iter()]


@given(st.text(st.characters(codec=None)))
def test_any_text_makes_a_document(text: str) -> None:
    read(hostile(text))


def test_a_message_is_short_and_one_line() -> None:
    result = hostile("x\n" * 10_000)
    for problem in [*read(result).iter("failure"), *read(result).iter("error")]:
        assert len(problem.get("message", "")) <= 400
        assert "\n" not in problem.get("message", "")
    assert read(replace(CLEAN, gaps=hostile().gaps)).find(".//error") is not None
