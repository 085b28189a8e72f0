"""Drift at a terminal: every line, what is cut, and what hostile text becomes."""

from dataclasses import replace

import pytest
from reports.samples import (
    BASE,
    CLEAN,
    CONFIG,
    CONTROLLER,
    EDIT,
    FULL,
    HELM,
    MERGING,
    MODIFIED,
    SCALE,
    SMALL,
    WEB,
    hostile,
    many,
)

from gitops_dr.drift.ignore import RuleUse
from gitops_dr.model import Difference, FieldChange, FieldManager, Presence, Ref
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.table import as_table
from gitops_dr.results.drift import Against, Drifted


def lines(result: Drifted) -> list[str]:
    text = as_table(result)
    assert text == text.rstrip()
    assert all(line == line.rstrip() for line in text.splitlines())
    return text.splitlines()


def test_nothing_differs() -> None:
    assert lines(CLEAN) == [
        "prod: no difference, 12 objects equal; compared with commit 0123456789ab"
    ]
    assert lines(replace(CLEAN, existing=12))[1:] == [
        "coverage: 12 of 12 existing objects compared (100.0%)"
    ]


def test_everything_that_may_be_told() -> None:
    assert lines(FULL) == [
        (
            "prod: 1 missing, 4 modified, 1 unmanaged, 1 unknown, 100 objects equal;"
            " compared with commit 0123456789ab"
        ),
        "coverage: 105 of 107 existing objects compared (98.1%)",
        "missing    ConfigMap/shop/a  by unknown",
        "unmanaged  ConfigMap/shop/old  by kubectl-edit, Update, 2026-11-24T10:00:00Z",
        "modified   Secret/books/db",
        (
            "             ~ data.password: *** (a) → *** (b)"
            "  by kubectl-edit, Update, 2026-11-24T10:00:00Z"
        ),
        "modified   Deployment.apps/books/api",
        "             ~ spec.replicas: 1 → 2  by kubectl, Update of scale, 2026-11-24T10:05:00Z",
        "             compared locally: the webhook policy.example.com allows no dry run",
        "modified   Deployment.apps/shop/web",
        "             ~ spec.replicas: 2 → 3  by kubectl, Update of scale, 2026-11-24T10:05:00Z",
        '             + metadata.labels.team: "a"',
        (
            "                 by kubectl-edit, Update, 2026-11-24T10:00:00Z;"
            " helm, Apply, 2026-11-23T09:00:00Z"
        ),
        "             - spec.paused: true  by unknown",
        "             2 fields by kube-controller-manager (trusted)",
        "unknown    Shop.example.com/*  (403 Forbidden)",
        "modified   ClusterRole.rbac.authorization.k8s.io/operators",
        (
            '             ~ rules: [{"verbs":["get"]}] → [{"verbs":["*"]}]'
            "  by kubectl-edit, Update, 2026-11-24T10:00:00Z"
        ),
        "Ignore rules to mend:",
        "  ignore[1] ConfigMap/shpo/*: misspelt: shpo; did you mean shop?",
        "Hidden by ignore rules:",
        "  4 by ignore[0] Deployment.apps/*: The scaler decides.",
        "left out of it by 1 rule, which docs/rules.md explains and -o json names",
        "Gaps:",
        "  Shop.example.com/*: 403 Forbidden",
    ]


def test_what_merging_would_change_stands_apart_from_drift() -> None:
    text = lines(MERGING)
    assert text[0].endswith("; compared with commit fedcba987654")
    assert text[2:8] == [
        "Merging 0123456789ab will configure 1, create 1, skip 1:",
        "  create     ConfigMap/shop/a",
        "  configure  Deployment.apps/shop/web",
        "             ~ spec.replicas: 3 → 5",
        "  skip       ClusterRole.rbac.authorization.k8s.io/operators  (its rules are aggregated)",
        "Drift already, measured against fedcba987654:",
    ]
    assert text[8:] == lines(FULL)[2:]
    nothing = lines(replace(CLEAN, against=Against(BASE, ())))
    assert nothing[1:] == [
        "Merging 0123456789ab will change nothing:",
        "Drift already, measured against fedcba987654:",
        "  nothing",
    ]


def changed(*changes: FieldChange) -> list[str]:
    found = Difference(WEB, Presence.MODIFIED, "p", changes)
    return [line.strip() for line in lines(replace(CLEAN, differences=(found,)))[2:]]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (2, "2", '2 → "2"'),
        (None, "a", 'null → "a"'),
        (True, 1, "true → 1"),
        ({}, [], "{} → []"),
        ("a\nb", "a\tc", r'"a\nb" → "a\tc"'),
        ("\u202ea", "é", '"\\u202ea" → "é"'),
        (None, None, "changed"),
        ("x" * 61, "x" * 60 + "y", f'"…{"x" * 20}x" → "…{"x" * 20}y"'),
        (
            "a" * 100 + "b" + "c" * 100,
            "a" * 100 + "d" + "c" * 100,
            f'"…{"a" * 20}b{"c" * 39}…" → "…{"a" * 20}d{"c" * 39}…"',
        ),
        ("a", "a" * 100, f'"a" → "{"a" * 60}…"'),
        ([1] * 40, [*[1] * 39, 2], f"…1{',1' * 10}] → …1{',1' * 9},2]"),
    ],
)
def test_old_and_new_stand_side_by_side(old: object, new: object, expected: str) -> None:
    text = "  ".join(changed(FieldChange("spec.a", "replace", old, new)))
    assert text == f"~ spec.a: {expected}  by unknown"


def test_a_long_value_that_is_only_on_one_side_is_cut_at_its_end() -> None:
    assert changed(FieldChange("a", "add", new="b" * 100)) == [f'+ a: "{"b" * 58}…  by unknown']
    assert changed(FieldChange("a", "remove", ["b" * 100])) == [f'- a: ["{"b" * 57}…  by unknown']


def test_many_fields_are_counted_and_those_of_trusted_managers_apart() -> None:
    own = [FieldChange(f"data.k{n}", "add", new=n, managers=(EDIT,)) for n in range(10)]
    both = FieldChange("data.x", "add", new=1, managers=(EDIT, CONTROLLER))
    scheduler = FieldManager("kube-scheduler", "Update", trusted=True)
    trusted = [
        FieldChange(f"data.t{n}", "add", new=1, managers=(manager,))
        for n, manager in enumerate([CONTROLLER, scheduler, CONTROLLER])
    ]
    text = changed(*trusted, *own, both)
    assert [line.split(":")[0] for line in text[:8]] == [f"+ data.k{n}" for n in range(8)]
    assert text[8:] == [
        "and 3 more fields (-o json has them all)",
        "2 fields by kube-controller-manager (trusted)",
        "1 field by kube-scheduler (trusted)",
    ]


def test_many_objects_are_counted_by_kind() -> None:
    text = lines(many(10_000))
    assert len(text) == 2 + 200 * 2 + 1
    assert text[-1] == (
        "and 9800 more (-o json has them all): 3267 StatefulSet.apps, 3267 ConfigMap,"
        " 3266 Deployment.apps"
    )
    kinds = tuple(
        replace(MODIFIED, ref=Ref("", f"Kind{n % 9}", "", str(n)), changes=()) for n in range(209)
    )
    assert lines(replace(CLEAN, differences=kinds))[-1].endswith(", 1 Kind7, others")


def test_coverage_is_not_rounded_up() -> None:
    almost = replace(CLEAN, equal=99_999, existing=100_000)
    assert words.coverage(almost) == "99999 of 100000 existing objects compared (99.9%)"


def test_a_rule_that_works_is_only_counted() -> None:
    rules = (RuleUse("ignore[0]", "So.", 0), RuleUse("ignore[1]", "So.", 1, "expired on Monday"))
    assert lines(replace(CLEAN, ignored=rules))[1:] == [
        "Ignore rules to mend:",
        "  ignore[1]: expired on Monday",
        "Hidden by ignore rules:",
        "  1 by ignore[1]: So.",
    ]


def test_an_author_is_as_much_as_is_known() -> None:
    assert words.written_by(()) == "by unknown"
    assert words.written_by((SCALE,)) == "by kubectl, Update of scale, 2026-11-24T10:05:00Z"
    assert words.written_by((FieldManager("x", ""),)) == "by x"
    assert words.written_by((CONTROLLER, HELM)) == (
        "by kube-controller-manager, Update (trusted); helm, Apply, 2026-11-23T09:00:00Z"
    )


def test_hostile_text_begins_no_line_and_makes_none_endless() -> None:
    ours = (
        "a\\u001b[2J",
        "coverage",
        "Merging",
        "Drift already",
        "missing",
        "modified",
        "left out",
    )
    ours += ("unmanaged", "unknown", "Ignore", "Hidden", "Left out", "Gaps:", " ")
    for line in lines(hostile()):
        assert line.startswith(ours)
        assert len(line) < 2500
    for line in lines(hostile("x" * 100_000))[1:]:
        assert len(line) < 1000 or line.startswith("  ")


def test_a_name_of_a_mebibyte_is_cut() -> None:
    found = replace(SMALL.differences[0], ref=replace(CONFIG, name="n" * (1 << 20)))
    assert max(map(len, lines(replace(CLEAN, differences=(found,))))) < 300
