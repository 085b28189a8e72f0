"""What the checks of a plan say, to people and to programs, and above a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gitops_dr.checks.findings import Checked, Finding, blocker, warning
from gitops_dr.checks.of_plan import PLAN_ROWS
from gitops_dr.checks.rows import ROWS
from gitops_dr.errors import ExitCode
from gitops_dr.model import Gap, Identity, Plan, Ref
from gitops_dr.reports import plan, plan_checks
from gitops_dr.resources import shipped
from gitops_dr.results.rebuild import Goal, Planned

SCHEMA = json.loads(shipped("reports/schemas/checks.json").read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"
GOAL = Goal("prod", "a" * 40, "standby", "https://standby", Identity("u1", "v1.37.2", "7"))


def checked(name: str, *findings: Finding) -> Checked:
    return Checked(name, f"about {name}", findings, "Because.", "https://example.com/")


CALM = checked("clock")
UNSEEN = replace(checked("nodes"), findings=None)
WARNED = checked("addresses", warning("Service/shop/web\x1b[2J", "its port is taken", "free it"))
STOPPED = checked("data", blocker("PersistentVolumeClaim/shop/d", "no snapshot", "say --at"))


def planned(*checks: Checked, blocked: tuple[Gap, ...] = ()) -> Planned:
    return Planned(GOAL, Plan(()), "d", 7, (), blocked, checks=checks)


@pytest.mark.parametrize(
    ("checks", "alone", "with_plan"),
    [
        ((CALM,), ExitCode.DONE, ExitCode.DONE),
        ((CALM, WARNED, UNSEEN), ExitCode.DONE, ExitCode.DONE),
        ((STOPPED, CALM), ExitCode.PARTIAL, ExitCode.PARTIAL),
    ],
)
def test_how_it_ends(checks, alone: ExitCode, with_plan: ExitCode) -> None:
    assert plan_checks.exit_code(planned(*checks)) == alone
    assert plan.exit_code(planned(*checks)) == with_plan


def test_for_a_person() -> None:
    text = plan_checks.as_table(planned(CALM, WARNED, STOPPED, UNSEEN))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "Target context standby, https://standby",
        "clock ok about clock",
        "addresses warning about addresses",
        "data blocker about data",
        "nodes not known about nodes",
        "blocker: PersistentVolumeClaim/shop/d: no snapshot",
        "say --at",
        "warning: Service/shop/web\\u001b[2J: its port is taken",
        "1 blocker, 1 warning",
    ):
        assert line in lines, text
    assert lines.index("blocker: PersistentVolumeClaim/shop/d: no snapshot") < lines.index(
        "warning: Service/shop/web\\u001b[2J: its port is taken"
    )
    assert plan_checks.as_table(planned(CALM)).endswith("nothing is in the way")


def test_for_a_program() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(plan_checks.as_json(planned(CALM, WARNED, STOPPED, UNSEEN)))
    Draft202012Validator(SCHEMA).validate(document)
    assert [one["standing"] for one in document["checks"]] == [
        "ok",
        "warning",
        "blocker",
        "not known",
    ]
    assert document["checks"][2]["findings"] == [
        {
            "severity": "blocker",
            "about": "PersistentVolumeClaim/shop/d",
            "reason": "no snapshot",
            "remedy": "say --at",
        }
    ]
    # A plan has the same ones.
    whole = json.loads(plan.as_json(planned(CALM, WARNED, STOPPED, UNSEEN)))
    assert whole["checks"] == document["checks"]


@pytest.mark.parametrize("key", ["cluster", "checks", "target"])
def test_the_schema_takes_no_other_document(key: str) -> None:
    document = json.loads(plan_checks.as_json(planned(CALM)))
    assert not list(Draft202012Validator(SCHEMA).iter_errors(document))
    without = {name: value for name, value in document.items() if name != key}
    assert list(Draft202012Validator(SCHEMA).iter_errors(without))
    assert list(Draft202012Validator(SCHEMA).iter_errors({**document, "more": 1}))


def test_a_plan_begins_with_what_is_in_the_way() -> None:
    text = plan.as_table(planned(CALM, WARNED, STOPPED))
    assert (
        "Checks:\n  blocker: PersistentVolumeClaim/shop/d: no snapshot\n  warning: Service" in text
    )
    assert "Checks:" not in plan.as_table(planned(CALM, UNSEEN))


def test_what_a_plan_lists_as_blocked_is_said_once() -> None:
    gap = Gap(Ref("", "PersistentVolumeClaim", "shop", "d"), "no snapshot")
    text = plan.as_table(planned(STOPPED, blocked=(gap,)))
    assert text.count("no snapshot") == 1
    assert "Checks:" not in text


def test_many_are_cut_and_that_is_said() -> None:
    many = [warning(f"Service/shop/{number:02}", "its port is taken", "") for number in range(14)]
    text = plan.as_table(planned(checked("addresses", *many)))
    assert "Service/shop/09" in text
    assert "Service/shop/10" not in text
    assert "and 4 more (plan --checks-only)" in text


def test_the_page_has_every_check() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in (*ROWS, *PLAN_ROWS):
        assert f"| `{row.id}` |" in page
