"""The report of each verb: what a person reads, what a program reads, and the exit code."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gitops_dr.desired.outside import Outside
from gitops_dr.errors import ExitCode
from gitops_dr.model import (
    ANY,
    Action,
    Difference,
    EmptyVolume,
    FieldChange,
    Gap,
    Identity,
    Need,
    Omission,
    Outcome,
    Plan,
    Presence,
    Ref,
    Result,
    Step,
)
from gitops_dr.reports import drift, export, plan, rebuild, sync
from gitops_dr.results.export import Exported, Pushed
from gitops_dr.results.rebuild import Goal, HeldBack, Outwards, Planned, Rebuilt, Synced

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LIVE = Identity("7ce79e00", "v1.37.2", "390")
WEB = Ref("apps", "Deployment", "shop", "web")
CONFIG = Ref("", "ConfigMap", "shop", "a")
OLD = Ref("", "ConfigMap", "shop", "old")
SHOPS = Ref("example.com", "Shop", "", ANY)
GAP = Gap(SHOPS, "403 Forbidden")
MODIFIED = Difference(
    WEB,
    Presence.MODIFIED,
    "web.yaml",
    (
        FieldChange("spec.replicas", "replace", 2, 3),
        FieldChange("metadata.labels.team", "add", new="a"),
        FieldChange("spec.paused", "remove", old=True),
    ),
)
MISSING = Difference(CONFIG, Presence.MISSING, "a.yaml")
UNMANAGED = Difference(OLD, Presence.UNMANAGED, "old.yaml")
UNKNOWN = Difference(SHOPS, Presence.UNKNOWN, "s.yaml", reason="403 Forbidden")

HOSTILE = "a\x1b[2J\nGaps:\u202e\u2066x"


def lines(text: str) -> list[str]:
    assert text == text.rstrip()
    assert all(line == line.rstrip() for line in text.splitlines())
    return text.splitlines()


def hostile(text: str) -> None:
    """What a hostile name may not do: begin a line, send an escape, turn text round."""
    assert not {"\x1b", "\u202e", "\u2066"} & set(text)
    assert "a\\u001b[2J\\u000aGaps:\\u202e\\u2066x" in text


# -- export -----------------------------------------------------------------------------------

SECRET = Ref("", "Secret", "shop", "db")
EXPORTED = Exported(
    cluster="prod",
    source=LIVE,
    commit=COMMIT,
    created=True,
    objects=2,
    written=("a.yaml", "b.yaml"),
    deleted=("c.yaml",),
    omissions=(
        Omission(SECRET, "secrets-policy", "Left out."),
        Omission(Ref("", "Event", "", ANY), "events", "They tell what happened."),
    ),
    gaps=(),
    torn=(),
    left=(),
    dry_run=False,
)


def test_export_for_a_person() -> None:
    assert lines(export.as_table(EXPORTED, {"observe": 0.31, "commit": 1.25})) == [
        "prod: 2 objects; 2 files written, 1 deleted, commit 0123456789ab",
        "Left out of Git (each is named in coverage.yaml):",
        "  1 by secrets-policy: Left out.",
        "PHASE     SECONDS",
        "─────────────────",
        "observe   0.3",
        "commit    1.2",
    ]
    unchanged = replace(EXPORTED, created=False, written=(), deleted=(), omissions=())
    assert lines(export.as_table(unchanged, {})) == [
        "prod: 2 objects; unchanged since commit 0123456789ab"
    ]
    assert lines(
        export.as_table(
            replace(
                EXPORTED,
                commit=None,
                created=False,
                dry_run=True,
                written=("a.yaml",),
                omissions=(),
                gaps=(GAP,),
                torn=("pods",),
                left=("d.yaml",),
            ),
            {},
        )
    ) == [
        "prod: 2 objects; would write 1 file and delete 1; nothing was committed",
        "Would write:",
        "  a.yaml",
        "Would delete:",
        "  c.yaml",
        "Torn:",
        "  pods: could not be listed at the moment of the others",
        "Left:",
        "  d.yaml: edited while the export ran; your version stays in the folder",
        "Gaps:",
        "  Shop.example.com/*: 403 Forbidden",
    ]


def test_export_for_a_program() -> None:
    document = json.loads(export.as_json(replace(EXPORTED, gaps=(GAP,)), {"observe": 0.12345}))
    assert document["seconds"] == {"observe": 0.123}
    assert document["written"] == ["a.yaml", "b.yaml"]
    assert document["gaps"][0]["reason"] == "403 Forbidden"
    assert document["omissions"][0] == {
        "ref": {"group": "", "kind": "Secret", "namespace": "shop", "name": "db"},
        "rule": "secrets-policy",
        "reason": "Left out.",
    }
    assert set(document) == {
        *("cluster", "source", "commit", "created", "dryRun", "objects", "written", "deleted"),
        *("left", "pending", "conflicts", "torn", "gaps", "omissions", "seconds", "snapshots"),
        "push",
    }
    assert json.loads(export.as_json(replace(EXPORTED, commit=None), {}))["commit"] is None


def test_what_became_of_a_push() -> None:
    pushed = Pushed("origin (main)", "1" * 40, replayed=True, left=("x.yaml",))
    found = replace(EXPORTED, pushed=pushed)
    told = lines(export.as_table(found, {}))
    assert "pushed to origin (main), on top of what others had pushed" in told
    assert "  x.yaml: others changed it; your version stays in the folder" in told
    assert json.loads(export.as_json(found, {}))["push"] == {
        "to": "origin (main)",
        "done": True,
        "replayed": True,
        "left": ["x.yaml"],
        "reason": "",
        "hint": "",
    }
    assert json.loads(export.as_json(EXPORTED, {}))["push"] is None
    assert export.exit_code(found) == ExitCode.DONE


@pytest.mark.parametrize(
    ("refused", "code"), [(False, ExitCode.REPOSITORY), (True, ExitCode.REFUSED)]
)
def test_a_push_that_failed(refused: bool, code: ExitCode) -> None:
    pushed = Pushed("", "1" * 40, reason="origin: away\x1b[2J", hint="again", refused=refused)
    found = replace(EXPORTED, gaps=(GAP,), pushed=pushed)
    assert "Not pushed: origin: away\\u001b[2J" in lines(export.as_table(found, {}))
    assert json.loads(export.as_json(found, {}))["push"]["done"] is False
    assert export.exit_code(found) == code


def test_the_exit_code_of_an_export() -> None:
    assert export.exit_code(EXPORTED) == ExitCode.DONE
    assert export.exit_code(replace(EXPORTED, gaps=(GAP,))) == ExitCode.PARTIAL


def test_export_of_hostile_names() -> None:
    for found in (
        replace(EXPORTED, dry_run=True, written=(HOSTILE,)),
        replace(EXPORTED, dry_run=True, deleted=(HOSTILE,)),
        replace(EXPORTED, torn=(HOSTILE,)),
        replace(EXPORTED, left=(HOSTILE,)),
        replace(EXPORTED, omissions=(Omission(SECRET, "r", HOSTILE),)),
        replace(EXPORTED, gaps=(Gap(SHOPS, HOSTILE),)),
    ):
        hostile(export.as_table(found, {}))


# -- plan -------------------------------------------------------------------------------------

GOAL = Goal("prod", COMMIT, "standby", "https://192.0.2.1:6443", LIVE)
NAMESPACE = Ref("", "Namespace", "", "shop")
NEED = Need(NAMESPACE, hard=True, why="metadata.namespace")
PLAN = Plan(
    steps=(
        Step(NAMESPACE, Action.CREATE, "f1", "shop.yaml", "v1"),
        Step(CONFIG, Action.CREATE, "f2", "a.yaml", "v1", (NEED,)),
        Step(WEB, Action.SKIP, "f3", "web.yaml", "v1", reason="is there and differs"),
    ),
    gaps=(GAP,),
    notes=("a webhook has no backend",),
)
PLANNED = Planned(GOAL, PLAN, "d1", 7, (GAP,))
NOTHING = Planned(GOAL, Plan(()), "d0", 10, ())
JOB = HeldBack(Ref("batch", "CronJob", "shop", "a"), "spec.suspend", "It sends\x1b[31m mail.")
ISSUER = HeldBack(Ref("cert-manager.io", "ClusterIssuer", "", "le"), "", "It orders.")
RELEASED = Outwards((JOB, ISSUER))
HELD = replace(RELEASED, stays="--no-release was said", command="gitops-dr rebuild --release")


def test_plan_for_a_person() -> None:
    assert lines(plan.as_table(PLANNED)) == [
        "Target   context standby, https://192.0.2.1:6443",
        "         cluster UID 7ce79e00, Kubernetes v1.37.2",
        "From     cluster prod at commit 0123456789ab",
        "Plan     2 objects to create, 0 to overwrite, 1 left as they are, 7 there and equal",
        "",
        "KIND              CREATE   CONFIGURE   LEAVE",
        "────────────────────────────────────────────",
        "Namespace         1        0           0",
        "ConfigMap         1        0           0",
        "Deployment.apps   0        0           1",
        "",
        "Left as they are:",
        "  Deployment.apps/shop/web: is there and differs",
        "Gaps:",
        "  Shop.example.com/*: 403 Forbidden",
        "Notes:",
        "  a webhook has no backend",
    ]
    assert lines(plan.as_table(NOTHING))[-1] == (
        "Plan     0 objects to create, 0 to overwrite, 0 left as they are, 10 there and equal"
    )


def test_a_plan_names_what_it_would_overwrite() -> None:
    step = Step(WEB, Action.CONFIGURE, "f3", "web.yaml", "v1")
    text = plan.as_table(replace(PLANNED, plan=replace(PLAN, steps=(step,))))
    assert "1 to overwrite, 0 left as they are" in text
    assert "Overwritten with what Git has:\n  Deployment.apps/shop/web" in text


def test_a_volume_that_is_accepted_empty_is_not_called_overwritten() -> None:
    claim = Ref("", "PersistentVolumeClaim", "shop", "data")
    step = Step(claim, Action.CONFIGURE, "f3", "c.yaml", "v1", empty_volume=EmptyVolume.ACCEPTED)
    text = plan.as_table(replace(PLANNED, plan=replace(PLAN, steps=(step,))))
    assert "0 objects to create, 0 to overwrite, 0 left as they are" in text
    assert "Overwritten" not in text
    assert "empty or not:\n  PersistentVolumeClaim/shop/data" in text


def test_a_gap_is_shown_once_whoever_found_it() -> None:
    other = Gap(WEB, "not read")
    text = plan.as_table(replace(PLANNED, gaps=(GAP, other)))
    assert text.count("403 Forbidden") == 1
    assert text.count("not read") == 1


def test_a_target_inside_the_cluster_has_no_context() -> None:
    goal = replace(GOAL, context="")
    assert plan.announcement(goal)[0] == "Target   context in-cluster, https://192.0.2.1:6443"


def test_plan_for_a_program() -> None:
    document = json.loads(plan.as_json(PLANNED))
    assert document["digest"] == "d1"
    assert document["target"] == {
        "name": "",
        "context": "standby",
        "server": "https://192.0.2.1:6443",
        "uid": "7ce79e00",
        "version": "v1.37.2",
    }
    assert [step["action"] for step in document["steps"]] == ["create", "create", "skip"]
    assert document["steps"][1]["needs"] == [
        {
            "ref": {"group": "", "kind": "Namespace", "namespace": "", "name": "shop"},
            "ready": False,
            "why": "metadata.namespace",
        }
    ]
    assert document["steps"][2]["reason"] == "is there and differs"
    assert document["notes"] == ["a webhook has no backend"]
    assert len(document["gaps"]) == 1


@pytest.mark.parametrize(
    ("planned", "code"),
    [
        (NOTHING, ExitCode.DONE),
        (replace(PLANNED, gaps=()), ExitCode.DIFFERENCES),
        (PLANNED, ExitCode.PARTIAL),
        (replace(NOTHING, gaps=(GAP,)), ExitCode.PARTIAL),
        (replace(NOTHING, outward=RELEASED), ExitCode.DIFFERENCES),
        (replace(NOTHING, outward=HELD), ExitCode.DONE),
    ],
)
def test_the_exit_code_of_a_plan(planned: Planned, code: ExitCode) -> None:
    assert plan.exit_code(planned) == code


def test_plan_of_hostile_names() -> None:
    step = Step(Ref("", HOSTILE, "", "x"), Action.SKIP, "f", "p", "v1", reason=HOSTILE)
    for found in (
        replace(NOTHING, plan=Plan((step,))),
        replace(NOTHING, plan=Plan((), notes=(HOSTILE,))),
        replace(NOTHING, gaps=(Gap(WEB, HOSTILE),)),
        replace(NOTHING, goal=replace(GOAL, context=HOSTILE)),
        replace(NOTHING, goal=replace(GOAL, server=HOSTILE)),
        replace(NOTHING, goal=replace(GOAL, target=replace(LIVE, uid=HOSTILE))),
        replace(NOTHING, goal=replace(GOAL, target=replace(LIVE, version=HOSTILE))),
    ):
        hostile(plan.as_table(found))


# -- rebuild ----------------------------------------------------------------------------------


def outcome(result: Result, reason: str = "") -> Outcome:
    return Outcome(WEB, Action.CREATE, result, reason, 1.23456)


GOOD = (outcome(Result.DONE), outcome(Result.DONE), outcome(Result.PRESENT))
REBUILT = Rebuilt(replace(PLANNED, gaps=()), GOOD, (), 10, ())
FAILED = replace(
    REBUILT,
    outcomes=(*GOOD, outcome(Result.FAILED, "422 Invalid"), outcome(Result.UNREADY, "0 of 1")),
    differences=(MISSING, UNMANAGED),
    gaps=(GAP,),
)


def test_rebuild_for_a_person() -> None:
    assert lines(rebuild.as_table(REBUILT, {"plan": 0.5})) == [
        "prod: 2 done, 1 present; afterwards no difference, 10 objects equal",
        "PHASE   SECONDS",
        "───────────────",
        "plan    0.5",
    ]
    assert lines(rebuild.as_table(FAILED, {})) == [
        (
            "prod: 2 done, 1 present, 1 failed, 1 unready;"
            " afterwards 1 missing, 1 unmanaged, 10 objects equal"
        ),
        "Not done:",
        "  failed   Deployment.apps/shop/web: 422 Invalid",
        "  unready  Deployment.apps/shop/web: 0 of 1",
        "missing    ConfigMap/shop/a",
        "unmanaged  ConfigMap/shop/old",
        "Gaps:",
        "  Shop.example.com/*: 403 Forbidden",
    ]
    nothing = rebuild.as_table(replace(REBUILT, outcomes=()), {})
    assert nothing == "prod: nothing to do; afterwards no difference, 10 objects equal"


def test_rebuild_for_a_program() -> None:
    document = json.loads(rebuild.as_json(FAILED, {"execute": 2.0}))
    assert document["complete"] is False
    assert document["plan"]["digest"] == "d1"
    assert document["outcomes"][3] == {
        "ref": {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web"},
        "action": "create",
        "result": "failed",
        "reason": "422 Invalid",
        "seconds": 1.235,
    }
    assert [difference["state"] for difference in document["differences"]] == [
        "missing",
        "unmanaged",
    ]
    assert set(document) == {
        *("plan", "complete", "outcomes", "differences", "held", "equal", "gaps", "outside"),
        *("released", "outward", "seconds"),
    }


@pytest.mark.parametrize(
    ("change", "complete"),
    [
        ({}, True),
        ({"outcomes": ()}, True),
        ({"differences": (UNMANAGED,)}, True),
        ({"differences": (MISSING,)}, False),
        ({"differences": (MODIFIED,)}, False),
        ({"differences": (UNKNOWN,)}, False),
        ({"gaps": (GAP,)}, False),
        ({"outcomes": (outcome(Result.FAILED),)}, False),
        ({"outcomes": (outcome(Result.BLOCKED),)}, False),
        ({"outcomes": (outcome(Result.UNREADY),)}, False),
        ({"outcomes": (outcome(Result.UNOBSERVABLE),)}, True),
        ({"released": (outcome(Result.DONE),)}, True),
        ({"released": (outcome(Result.UNREADY),)}, False),
        ({"outward": HELD}, True),
    ],
    ids=str,
)
def test_a_rebuild_is_complete_when_all_is_there_and_ready(change: Any, complete: bool) -> None:
    result = replace(REBUILT, **change)
    assert result.complete is complete
    assert rebuild.exit_code(result) == (ExitCode.DONE if complete else ExitCode.PARTIAL)


def test_what_acts_outward_is_named_with_what_releases_it() -> None:
    told = [
        "  CronJob.batch/shop/a (spec.suspend): It sends\\u001b[31m mail.",
        "  ClusterIssuer.cert-manager.io/le (not made yet): It orders.",
    ]
    assert lines(rebuild.as_table(replace(REBUILT, outward=HELD), {}))[1:] == [
        (
            "Acts outward, and stays held, since --no-release was said. Release it with "
            "gitops-dr rebuild --release:"
        ),
        *told,
    ]
    assert lines(plan.as_table(replace(NOTHING, outward=RELEASED)))[-3:] == [
        "Acts outward; held, and released when everything else is there:",
        *told,
    ]
    released = replace(REBUILT, released=(outcome(Result.DONE), outcome(Result.UNREADY, "0 of 1")))
    assert lines(rebuild.as_table(released, {}))[1:3] == [
        "Released what acts outward: 1 done, 1 unready",
        "Not done:",
    ]
    document = json.loads(rebuild.as_json(replace(REBUILT, outward=HELD), {}))["outward"]
    assert document["releasedBy"] == "gitops-dr rebuild --release"
    assert [each["field"] for each in document["held"]] == ["spec.suspend", ""]


def test_what_says_nothing_is_named_and_called_neither_ready_nor_a_failure() -> None:
    book = Outcome(
        Ref("shop.example", "Book", "shop", "b"), Action.CREATE, Result.UNOBSERVABLE, "x"
    )
    result = replace(REBUILT, outcomes=(*GOOD, book))
    assert lines(rebuild.as_table(result, {})) == [
        "prod: 2 done, 1 present, 1 unobservable; afterwards no difference, 10 objects equal",
        "Not observable; they do not say whether they are ready:",
        "  Book.shop.example/shop/b",
    ]
    assert rebuild.exit_code(result) is ExitCode.DONE
    assert json.loads(rebuild.as_json(result, {}))["outcomes"][3]["result"] == "unobservable"


@pytest.mark.parametrize("good", [Result.DONE, Result.PRESENT])
def test_what_a_person_should_know_of_a_good_end_is_a_note(good: Result) -> None:
    result = replace(REBUILT, outcomes=(outcome(Result.DONE), outcome(good, "volume not freed")))
    assert lines(rebuild.as_table(result, {}))[1:] == [
        "Notes:",
        "  Deployment.apps/shop/web: volume not freed",
    ]
    assert rebuild.exit_code(result) is ExitCode.DONE


def test_many_failures_are_cut_and_it_says_so() -> None:
    many = replace(REBUILT, outcomes=(outcome(Result.FAILED, "x"),) * 60)
    text = lines(rebuild.as_table(many, {}))
    assert text[-1] == "  and 10 more (-o json has them all)"
    assert len(json.loads(rebuild.as_json(many, {}))["outcomes"]) == 60


def test_many_differences_and_fields_are_cut_and_it_says_so() -> None:
    changes = tuple(FieldChange(f"data.k{number}", "add") for number in range(10))
    many = tuple(replace(MODIFIED, changes=changes) for _ in range(201))
    text = lines(rebuild.as_table(replace(REBUILT, differences=many), {}))
    assert text[10] == "             and 2 more fields (-o json has them all)"
    assert text[-1] == "and 1 more (-o json has them all)"
    assert len(text) == 1 + 200 * 10 + 1
    nine = replace(MODIFIED, changes=changes[:9])
    assert "and 1 more field (" in rebuild.as_table(replace(REBUILT, differences=(nine,)), {})
    whole = json.loads(rebuild.as_json(replace(REBUILT, differences=many), {}))
    assert len(whole["differences"]) == 201
    assert len(whole["differences"][0]["fields"]) == 10


def test_no_value_is_in_the_report_of_a_rebuild() -> None:
    change = FieldChange("data.password", "replace", "hunter2", "hunter3")
    found = replace(REBUILT, differences=(replace(MODIFIED, changes=(change,)),))
    for report in rebuild.FORMATS.values():
        assert "data.password" in report(found, {})
        assert "hunter" not in report(found, {})


def test_rebuild_of_hostile_names() -> None:
    ref = Ref("", "ConfigMap", "shop", HOSTILE)
    for result in Result:
        found = replace(REBUILT, outcomes=(Outcome(ref, Action.CREATE, result, HOSTILE),))
        hostile(rebuild.as_table(found, {}))
    hostile(rebuild.as_table(replace(REBUILT, gaps=(Gap(ref, "x"),)), {}))
    change = FieldChange(f"data.{HOSTILE}", "add")
    for difference in (
        Difference(ref, Presence.MISSING, "p"),
        Difference(WEB, Presence.MODIFIED, "p", (change,)),
        Difference(WEB, Presence.UNKNOWN, "p", reason=HOSTILE),
    ):
        hostile(rebuild.as_table(replace(REBUILT, differences=(difference,)), {}))


@pytest.mark.parametrize("report", [drift, export, plan, rebuild], ids=lambda r: r.__name__)
def test_every_report_has_each_format(report: Any) -> None:
    from gitops_dr.cli.options import OutputFormat

    assert set(report.FORMATS) >= set(OutputFormat)


def test_a_sync_that_did_nothing_says_nothing_of_the_outside() -> None:
    looked = replace(REBUILT, outside=Outside())
    assert "Nothing changed outside." in sync.as_table(Synced(looked, ""), {})
    idle = Synced(replace(looked, outcomes=()), "")
    assert "outside" not in sync.as_table(idle, {})
    assert json.loads(sync.as_json(idle, {}))["outside"] is not None
