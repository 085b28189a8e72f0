"""What a sync says of a standby's claims, and of the volumes that they had."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from reports.samples import COMMIT, LIVE
from volumes_samples import RECORD

from gitops_dr.errors import ExitCode
from gitops_dr.model import Gap, Plan, Ref
from gitops_dr.reports import plan as plan_report
from gitops_dr.reports import sync as report
from gitops_dr.results.rebuild import Goal, Planned, Rebuilt, Synced
from gitops_dr.results.standby import ClaimsBrought, ClaimsPlan, KeptVolume
from gitops_dr.results.volumes import ClaimRestore

HOSTILE = "a\x1b[2J\nGaps:\u202e"
CLAIM = Ref("", "PersistentVolumeClaim", "shop", "data")
OTHER = Ref("", "PersistentVolumeClaim", "shop", "log")
GOAL = Goal("prod", COMMIT, "standby", "https://192.0.2.1", LIVE, name="standby")
PLANNED = Planned(goal=GOAL, plan=Plan(()), digest="d", equal=7, gaps=())
IN_USE = Gap(OTHER, "keeps other data than the commit's: Pod/shop/x has it")
OLDER = KeptVolume("pv-0", "shop/data")
KEPT = (KeptVolume("pv-1", "shop/data"), KeptVolume("pv-9", "shop/log", "a claim has it"))
BROUGHT = ClaimsBrought((ClaimRestore(CLAIM, RECORD, "pv-1", "pv-2"),), (IN_USE,), (OLDER,), KEPT)


def synced(claims: ClaimsBrought | None) -> Synced:
    return Synced(Rebuilt(PLANNED, (), (), 7, ()), "", claims=claims)


def document(claims: ClaimsBrought | None) -> Any:
    return json.loads(report.as_json(synced(claims), {}))


def test_the_plan_names_them_before_the_question() -> None:
    plan = ClaimsPlan((Gap(CLAIM, "was filled from another snapshot"),), (IN_USE,), (OLDER,))
    text = plan_report.as_table(replace(PLANNED, claims=plan))
    assert "Replaced by the commit's data; the old volumes are kept:\n  " + str(CLAIM) in text
    assert "PersistentVolume/pv-0 of shop/data" in text
    assert f"{OTHER}: keeps other data than the commit's: Pod/shop/x has it" in text


def test_for_a_person() -> None:
    text = report.as_table(synced(BROUGHT), {})
    assert f"{CLAIM}: volume pv-1 is kept, pv-2 is new" in text
    assert "Kept: 2 volumes of claims that were replaced" in text
    assert "pv-9 of shop/log: a claim has it" in text
    told = next(line for line in text.splitlines() if "can be had again: " in line)
    # What may be nowhere else is not deleted by a command that somebody copies.
    assert "kubectl --context standby patch pv pv-1 --type merge -p " in told
    assert '\'{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}\'' in told


def test_for_a_program() -> None:
    found = document(BROUGHT)
    assert found["claims"]["replaced"][0]["oldVolume"] == "pv-1"
    assert found["claims"]["left"][0]["reason"] == IN_USE.reason
    assert found["claims"]["gone"] == [{"volume": "pv-0", "claim": "shop/data"}]
    assert [one["volume"] for one in found["claims"]["kept"]] == ["pv-1", "pv-9"]
    assert found["complete"] is False
    assert "pv-9" not in found["claims"]["deleteKept"]
    assert document(replace(BROUGHT, kept=KEPT[1:]))["claims"]["deleteKept"] == ""
    assert document(None)["claims"] is None


def test_a_claim_that_is_left_is_something_left_to_do() -> None:
    assert report.exit_code(synced(BROUGHT)) is ExitCode.PARTIAL
    assert report.exit_code(synced(replace(BROUGHT, left=()))) is ExitCode.DONE
    assert report.exit_code(synced(None)) is ExitCode.DONE


def test_nothing_of_a_cluster_reaches_the_terminal_raw() -> None:
    hostile = KeptVolume(HOSTILE, HOSTILE, HOSTILE)
    both = (hostile, replace(hostile, stays=""))
    claims = ClaimsBrought(left=(Gap(CLAIM, HOSTILE),), gone=(hostile,), kept=both)
    goal = replace(GOAL, context=HOSTILE)
    result = Synced(Rebuilt(replace(PLANNED, goal=goal), (), (), 7, ()), "", claims=claims)
    plan = ClaimsPlan((Gap(CLAIM, HOSTILE),), (Gap(CLAIM, HOSTILE),), (hostile,))
    for text in (
        report.as_table(result, {}),
        plan_report.as_table(replace(PLANNED, claims=plan)),
    ):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nGaps:" not in text
