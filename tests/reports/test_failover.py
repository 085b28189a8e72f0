"""What a failover says, for a person and for a program."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from reports.samples import COMMIT, LIVE, MISSING, WEB
from volumes_samples import RECORD

from gitops_dr.errors import ExitCode
from gitops_dr.model import Gap, Plan, Ref
from gitops_dr.reports import failover as report
from gitops_dr.resources import shipped
from gitops_dr.results.export import Pushed
from gitops_dr.results.failover import AlreadyActive, FailedOver, FailoverPlan, GivenBack
from gitops_dr.results.rebuild import Goal, Planned, Rebuilt
from gitops_dr.results.volumes import ClaimRestore

SCHEMA = json.loads(shipped("reports/schemas/failover.json").read_text(encoding="utf-8"))
HOSTILE = "a\x1b[2J\nGaps:\u202e"
BEGUN = datetime(2026, 11, 26, 11, 0, tzinfo=UTC)
CLAIM = Ref("", "PersistentVolumeClaim", "shop", "data-db-0")
PLANNED = Planned(
    goal=Goal("prod", COMMIT, "standby", "https://192.0.2.1", LIVE, name="standby"),
    plan=Plan(()),
    digest="d",
    equal=7,
    gaps=(),
)
PLAN = FailoverPlan(
    planned=PLANNED,
    source="prod",
    source_context="primary",
    silence="no answer",
    begun=BEGUN,
)
DONE = FailedOver(
    plan=PLAN,
    rebuilt=Rebuilt(PLANNED, (), (), 7, ()),
    point=COMMIT,
    exported=BEGUN - timedelta(minutes=1),
    records=(RECORD, replace(RECORD, claim="late", created="2026-11-26T10:59:00Z")),
    commit=COMMIT,
    ended=BEGUN + timedelta(seconds=12.3456),
)


def document(result: FailedOver) -> Any:
    found = json.loads(report.as_json(result, {"execute": 1.23456}))
    jsonschema.validate(found, SCHEMA)
    return found


def test_for_a_person() -> None:
    lines = report.as_table(DONE, {"execute": 1.0}).splitlines()
    assert lines[0] == "Failover of prod to standby is complete"
    assert (
        "RPO      data 15m (PersistentVolumeClaim/shop/data-db-0, of 2026-11-26T10:45:00Z)" in lines
    )
    assert "         configuration 1m" in lines
    assert "RTO      12.3 s since the failover began" in lines
    assert any("gitops-dr export --cluster standby" in line for line in lines)
    assert any("git push" in line for line in lines)


def test_for_a_program() -> None:
    found = document(DONE)
    assert found["complete"] is True
    assert found["rpo"]["dataSeconds"] == 900
    assert found["rpo"]["configurationSeconds"] == 60
    assert [one["seconds"] for one in found["rpo"]["claims"]] == [900, 60]
    assert found["rto"] == {
        "begun": "2026-11-26T11:00:00+00:00",
        "ended": "2026-11-26T11:00:12.345600+00:00",
        "seconds": 12.346,
    }
    assert found["source"]["answers"] is False
    assert found["seconds"] == {"execute": 1.235}


LOST = [
    pytest.param(BEGUN - timedelta(minutes=20), 0, id="stopped before the data was cut"),
    pytest.param(BEGUN - timedelta(minutes=10), 300, id="stopped some time after it"),
    pytest.param(BEGUN + timedelta(minutes=10), 900, id="stopped by this very run"),
    pytest.param(None, 900, id="never stopped"),
]


@pytest.mark.parametrize(("stopped", "lost"), LOST)
def test_what_was_lost_is_counted_to_when_it_was_stopped(
    stopped: datetime | None, lost: int
) -> None:
    result = replace(DONE, stopped=stopped, plan=replace(PLAN, silence=""))
    assert document(result)["rpo"]["dataSeconds"] == lost
    assert ("data 0s: nothing was lost" in report.as_table(result, {})) is (lost == 0)


def test_of_what_nobody_knows_nothing_is_said() -> None:
    odd = replace(RECORD, created="some time ago")
    result = replace(
        DONE, records=(odd,), exported=None, ended=None, plan=replace(PLAN, begun=None)
    )
    found = document(result)
    assert found["rpo"]["dataSeconds"] is found["rpo"]["configurationSeconds"] is None
    assert found["rto"]["seconds"] is None
    assert "RPO" not in report.as_table(result, {})
    assert "RTO" not in report.as_table(result, {})


def test_what_did_not_come_back() -> None:
    result = replace(DONE, rebuilt=replace(DONE.rebuilt, differences=(MISSING,)))
    assert report.exit_code(result) == ExitCode.PARTIAL
    assert report.exit_code(DONE) == ExitCode.DONE
    said = report.as_table(result, {})
    assert said.startswith("Failover of prod to standby is not complete\n")
    assert "run the same command again" in said
    assert document(result)["complete"] is False


def test_what_was_replaced_is_kept_and_named() -> None:
    result = replace(
        DONE,
        replaced=(ClaimRestore(CLAIM, RECORD, "pv-old", "pv-new"),),
        left=("primary",),
        pushed=Pushed("origin/main", COMMIT),
    )
    said = report.as_table(result, {})
    assert f"{CLAIM}: volume pv-old is kept, pv-new is new" in said
    assert "no longer active: primary" in said
    assert "git push" not in said
    found = document(result)
    assert found["replaced"][0]["oldVolume"] == "pv-old"
    assert found["active"]["noLonger"] == ["primary"]
    assert found["active"]["pushed"] is True


def test_the_question_names_both_clusters_and_what_is_done_first() -> None:
    plan = replace(
        PLAN, silence="", writers=(WEB,), stops=(WEB,), last_point=True, stale=(Gap(CLAIM, "old"),)
    )
    said = report.plan_as_table(plan)
    assert "Source   cluster prod, context primary: answers" in said
    assert "stopped there first: 1 object" in said
    assert "a last recovery point of it is made before" in said
    assert "https://192.0.2.1" in said
    assert f"{CLAIM}: old" in said
    assert "you say that it is fenced" in report.plan_as_table(replace(plan, stops=()))


@pytest.mark.parametrize("key", ["silence", "source_context"])
def test_text_of_others_cannot_move_the_cursor(key: str) -> None:
    plan = replace(PLAN, **{key: HOSTILE})
    texts = [
        report.plan_as_table(plan),
        report.as_table(replace(DONE, plan=plan), {}),
        "\n".join(report.announcement(plan)),
    ]
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nGaps:" not in text


def test_what_was_given_back() -> None:
    result = GivenBack("prod", "primary", (WEB,), ("Job/x: 403",))
    assert report.given_back_exit_code(result) == ExitCode.PARTIAL
    assert "Job/x: 403" in report.given_back_as_table(result, {})
    assert json.loads(report.given_back_as_json(result, {}))["problems"] == ["Job/x: 403"]


def test_one_that_has_ended_is_told_and_nothing_else() -> None:
    already = AlreadyActive("prod", "standby", COMMIT, COMMIT, "2026-11-26T11:00:00+00:00")
    found = json.loads(report.already_as_json(already, {}))
    jsonschema.validate(found, SCHEMA)
    assert found["complete"] is True
    assert found["alreadyActive"]["since"] == already.since
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: found[key] for key in ("complete", "seconds")}, SCHEMA)
    text = report.already_as_table(replace(already, since=HOSTILE), {})
    assert text.startswith("standby is active already: prod was failed over to it at a")
    assert "\x1b" not in text
    assert len(text.splitlines()) == 4
