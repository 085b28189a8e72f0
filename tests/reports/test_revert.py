"""The report of a revert, before and after: from the cluster's value to Git's, nothing secret."""

import json

import pytest

from gitops_dr.errors import ExitCode
from gitops_dr.model import (
    Action,
    Difference,
    FieldChange,
    Gap,
    Identity,
    MaskedValue,
    Omission,
    Outcome,
    Plan,
    Presence,
    Ref,
    Result,
    Step,
)
from gitops_dr.reports.revert import as_json, as_plan, as_table, exit_code
from gitops_dr.results.drift import Reverted, Reverting
from gitops_dr.results.rebuild import Goal, Planned

WEB = Ref("apps", "Deployment", "shop", "web")
SETTINGS = Ref("", "ConfigMap", "shop", "settings")
EXTRA = Ref("", "ConfigMap", "shop", "extra")
JOB = Ref("batch", "Job", "shop", "once")
GOAL = Goal("prod", "0123456789abcdef", "prod-admin", "https://api", Identity("uid", "v1", "7"))

MODIFIED = Difference(
    WEB,
    Presence.MODIFIED,
    "web.yaml",
    (
        FieldChange("spec.replicas", "replace", 2, 7),
        FieldChange("metadata.labels.extra", "add", new="\x1b[31m"),
        FieldChange("spec.paused", "remove", old=True),
        FieldChange("data.password", "replace", MaskedValue("hunter2"), MaskedValue("hunter3")),
    ),
)
MISSING = Difference(SETTINGS, Presence.MISSING, "settings.yaml")
UNMANAGED = Difference(EXTRA, Presence.UNMANAGED, "extra.yaml")


def step(ref, action):
    return Step(ref, action, "f", "p", "v1")


def reverting(*steps, differences=(), gaps=(), unmanaged=(), omissions=()):
    plan = Plan(tuple(steps), omissions, gaps)
    return Reverting(Planned(GOAL, plan, "digest", 3, tuple(gaps)), tuple(differences), unmanaged)


FULL = reverting(
    step(WEB, Action.CONFIGURE),
    step(SETTINGS, Action.CREATE),
    differences=(MISSING, MODIFIED, UNMANAGED),
    gaps=(Gap(JOB, "field is immutable\nspec:\n"),),
    unmanaged=(EXTRA,),
    omissions=(Omission(JOB, "held-back", "came back held"),),
)


def test_the_plan_shows_each_field_from_the_cluster_to_git():
    text = as_plan(FULL)
    assert "Target   context prod-admin, https://api" in text
    assert "Revert   1 object to change, 1 to create" in text
    assert "configure  Deployment.apps/shop/web\n" in text
    assert "~ spec.replicas: 7 → 2\n" in text
    assert "- metadata.labels.extra: " in text
    assert "+ spec.paused: true\n" in text
    assert "create     ConfigMap/shop/settings\n" in text
    assert "Cannot be reverted:\n  Job.batch/shop/once: field is immutable" in text
    assert "left there (a revert deletes nothing):\n  ConfigMap/shop/extra" in text
    assert "Left alone:\n  Job.batch/shop/once: came back held" in text


def test_a_long_refusal_keeps_its_beginning_and_its_end():
    reason = f"Job is invalid: spec.template: Invalid value: {'x' * 5000}: field is immutable"
    text = as_plan(reverting(gaps=(Gap(JOB, reason),)))
    assert "Job is invalid: spec.template" in text
    assert "field is immutable" in text
    assert len(text) < 1000


def test_nothing_secret_and_nothing_that_moves_a_cursor_is_shown():
    for text in (as_plan(FULL), as_table(FULL, {}), as_json(FULL, {})):
        assert "hunter" not in text
        assert "\x1b" not in text


def test_long_plans_are_cut_and_say_so():
    many = [Difference(Ref("", "A", "", str(i)), Presence.MISSING, "") for i in range(250)]
    text = as_plan(reverting(*(step(d.ref, Action.CREATE) for d in many), differences=many))
    assert "and 50 more (-o json has them all)" in text
    fields = tuple(FieldChange(f"data.k{i}", "replace", 1, 2) for i in range(20))
    long = Difference(WEB, Presence.MODIFIED, "", fields)
    text = as_plan(reverting(step(WEB, Action.CONFIGURE), differences=(long,)))
    assert "and 12 more fields (-o json has them all)" in text


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (reverting(), ExitCode.DONE),
        (reverting(differences=(UNMANAGED,), unmanaged=(EXTRA,)), ExitCode.DONE),
        (reverting(step(WEB, Action.CONFIGURE), differences=(MODIFIED,)), ExitCode.DIFFERENCES),
        (reverting(gaps=(Gap(WEB, "immutable"),)), ExitCode.PARTIAL),
        (FULL, ExitCode.PARTIAL),
    ],
)
def test_a_dry_run_says_whether_there_is_something_to_do(result, code):
    assert exit_code(result) == code


def outcome(ref, result, reason=""):
    return Outcome(ref, Action.CONFIGURE, result, reason)


@pytest.mark.parametrize(
    ("outcomes", "left", "gaps", "code"),
    [
        ((), (), (), ExitCode.DONE),
        ((outcome(WEB, Result.DONE),), (), (), ExitCode.DONE),
        ((outcome(WEB, Result.UNREADY, "0 of 2"),), (), (), ExitCode.DONE),
        ((outcome(WEB, Result.FAILED, "no"),), (), (), ExitCode.PARTIAL),
        ((outcome(WEB, Result.DONE),), (MODIFIED,), (), ExitCode.PARTIAL),
        ((), (), (Gap(WEB, "immutable"),), ExitCode.PARTIAL),
    ],
)
def test_done_is_when_nothing_of_it_differs(outcomes, left, gaps, code):
    assert exit_code(Reverted(reverting(gaps=gaps), outcomes, left)) == code


def test_what_came_of_it_is_told():
    outcomes = (
        outcome(WEB, Result.UNREADY, "0 of 2 replicas"),
        outcome(SETTINGS, Result.FAILED, "forbidden"),
    )
    text = as_table(Reverted(FULL, outcomes, (MISSING,)), {"execute": 1.5})
    assert "prod: 1 failed, 1 unready; afterwards 1 missing of it" in text
    assert "Written, and not ready yet:\n  Deployment.apps/shop/web: 0 of 2 replicas" in text
    assert "failed   ConfigMap/shop/settings: forbidden" in text
    assert "missing    ConfigMap/shop/settings" in text
    assert "execute" in text
    document = json.loads(as_json(Reverted(FULL, outcomes, (MISSING,)), {"execute": 1.5}))
    assert document["complete"] is False
    assert [each["ref"]["name"] for each in document["left"]] == ["settings"]
    assert [ref["name"] for ref in document["unmanaged"]] == ["extra"]
    assert document["plan"]["steps"][0]["action"] == "configure"
