"""Drift in Markdown: rendered, it has all there is; nothing breaks out; it keeps to its budget."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from reports.pages import Node, read_html
from reports.samples import (
    BASE,
    CLEAN,
    CONFIG,
    EDIT,
    FULL,
    HOSTILE,
    MERGING,
    MODIFIED,
    hostile,
    many,
)

from gitops_dr.model import Difference, FieldChange, Presence, Ref
from gitops_dr.reports.drift.markdown import BUDGET, as_markdown
from gitops_dr.results.drift import Against, Drifted

RENDERER = MarkdownIt("commonmark").enable("table")


def page(result: Drifted, **options: int) -> Node:
    text = as_markdown(result, **options)
    assert text == text.rstrip()
    return read_html(RENDERER.render(text))


def headings(node: Node) -> list[str]:
    return [each.text for each in node.every() if each.tag in ("h1", "h2", "h3", "h4")]


def test_nothing_differs() -> None:
    assert as_markdown(CLEAN) == (
        "## Drift of `prod`\n\n"
        "**no difference**, 12 objects equal; compared with commit `0123456789ab`."
    )


def test_all_of_a_report() -> None:
    found = page(FULL)
    assert headings(found) == [
        *("Drift of prod", "Gaps", "Ignore rules to mend", "Hidden by ignore rules"),
        "Left out of the comparison",
    ]
    assert "105 of 107 existing objects compared (98.1%)" in found.text
    rows = [[cell.text for cell in row.every("td")] for row in found.every("tr")][1:]
    assert rows == [
        ["ConfigMap", "1", "", "1", ""],
        ["Deployment.apps", "", "2", "", ""],
        ["ClusterRole.rbac.authorization.k8s.io", "", "1", "", ""],
        ["Secret", "", "1", "", ""],
        ["Shop.example.com", "", "", "", "1"],
    ]
    assert [summary.text for summary in found.every("summary")] == [
        "modified Secret/books/db: 1 field by kubectl-edit",
        "modified Deployment.apps/books/api: 1 field by kubectl",
        "modified Deployment.apps/shop/web: 3 fields by kubectl, kubectl-edit, helm, 1 more",
        "modified ClusterRole.rbac.authorization.k8s.io/operators: 1 field by kubectl-edit",
    ]
    web = found.every("details")[2]
    assert web.every("code")[-1].attributes["class"] == "language-diff"
    assert web.every("code")[-1].text == (
        "@@ spec.replicas @@ by kubectl, Update of scale, 2026-11-24T10:05:00Z\n- 2\n+ 3\n"
        "@@ metadata.labels.team @@ by kubectl-edit, Update, 2026-11-24T10:00:00Z;"
        ' helm, Apply, 2026-11-23T09:00:00Z\n+ "a"\n'
        "@@ spec.paused @@ by unknown\n- true\n"
    )
    assert "2 fields by kube-controller-manager (trusted)" in web.text
    assert "compared locally: the webhook" in found.every("details")[1].text
    items = [item.text for item in found.every("li")]
    assert items == [
        "missing ConfigMap/shop/a (by unknown)",
        "unmanaged ConfigMap/shop/old (by kubectl-edit, Update, 2026-11-24T10:00:00Z)",
        "unknown Shop.example.com/* (403 Forbidden)",
        "Shop.example.com/*: 403 Forbidden",
        "ignore[1] ConfigMap/shpo/*: misspelt: shpo; did you mean shop?",
        "4 by ignore[0] Deployment.apps/*: The scaler decides.",
        "2 by generated: Its owner makes it.",
    ]


def test_what_merging_would_change_stands_apart() -> None:
    found = page(MERGING)
    assert headings(found)[1:3] == [
        "Merging 0123456789ab will configure 1, create 1, skip 1",
        "Drift already, measured against fedcba987654",
    ]
    merged = found.every("details")[0]
    assert merged.every("summary")[0].text == "configure Deployment.apps/shop/web: 1 field"
    assert merged.every("code")[-1].text == "@@ spec.replicas @@\n- 3\n+ 5\n"
    skipped = "skip ClusterRole.rbac.authorization.k8s.io/operators (its rules are aggregated)"
    assert skipped in [item.text for item in found.every("li")]
    nothing = page(replace(CLEAN, against=Against(BASE, ())))
    assert headings(nothing)[1] == "Merging 0123456789ab will change nothing"
    assert nothing.every("p")[-1].text == "nothing"


@pytest.mark.parametrize("text", [HOSTILE, "`" * 50, "</details>", "~~~", "    a", "\n\n# a", "|"])
def test_nothing_breaks_out(text: str) -> None:
    plain, found = page(hostile("a")), page(hostile(text))
    assert [each.tag for each in found.every()] == [each.tag for each in plain.every()]
    for block in found.every("code"):
        if block.attributes.get("class") == "language-diff":
            assert all(line[:2] in ("@@", "- ", "+ ", "  ") for line in block.text.splitlines())
    assert "@everybody" not in "".join(
        each.text for each in found.every() if each.tag in ("p", "li") and not each.every("code")
    )


def test_many_fields_are_counted() -> None:
    changes = tuple(FieldChange(f"data.k{n}", "add", new=n, managers=(EDIT,)) for n in range(25))
    result = replace(CLEAN, differences=(replace(MODIFIED, changes=changes),))
    text = page(result).text
    assert "data.k19" in text
    assert "data.k20" not in text
    assert "and 5 more fields (-o json has them all)" in text


def test_it_keeps_to_its_budget_names_and_then_counts_what_is_left() -> None:
    result = many(10_000)
    whole = as_markdown(many(1000))
    assert whole.count("<details>") == 1000
    assert "more (" not in whole
    for budget in (BUDGET, 300_000, 30_000):
        text = as_markdown(result, budget=budget)
        assert budget * 0.95 < len(text.encode()) <= budget
        full, named = text.count("<details>"), text.count("\n- modified ")
        assert full > 0
        assert named > 0
        assert f"and {10_000 - full - named} more (`-o json` has them all)" in text
        read_html(RENDERER.render(text))


def test_merging_and_drift_share_the_budget() -> None:
    drift = many(3000)
    merges = tuple(replace(MERGING.against.merges[1], ref=d.ref) for d in drift.differences)
    text = as_markdown(replace(drift, against=Against(BASE, merges)), budget=200_000)
    assert 150_000 < len(text.encode()) <= 200_000
    before, after = text.split("### Drift already")
    for half in (before, after):
        assert half.count("<details>") > 100
        assert "more (`-o json` has them all)" in half


@pytest.mark.parametrize("text", ["@a", "&", "\x1b", "|"])
def test_it_keeps_to_its_budget_whatever_the_text(text: str) -> None:
    wide = text * 1000
    ref = Ref("", "ConfigMap", wide, wide)
    changes = tuple(FieldChange(wide, "replace", f"{wide}\n" * 50, wide) for _ in range(30))
    nasty = hostile(wide)
    result = replace(
        CLEAN,
        differences=tuple(Difference(ref, Presence.MODIFIED, wide, changes) for _ in range(10)),
        gaps=nasty.gaps * 100,
        ignored=nasty.ignored * 100,
        omissions=tuple(
            replace(nasty.omissions[0], rule=f"{number}{wide}") for number in range(100)
        ),
    )
    written = as_markdown(result)
    assert 500_000 < len(written.encode()) <= BUDGET
    tail = as_markdown(replace(result, differences=()))
    assert len(tail.encode()) < 300_000


def test_many_kinds_are_summed_up() -> None:
    found = tuple(
        Difference(replace(CONFIG, kind=f"Kind{n:02}"), Presence.MISSING, "p") for n in range(25)
    )
    rows = page(replace(CLEAN, differences=found)).every("tr")
    assert len(rows) == 22
    assert [cell.text for cell in rows[-1].every("td")] == ["5 other kinds", "5", "", "", ""]
