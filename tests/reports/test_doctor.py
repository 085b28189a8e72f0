"""What doctor shows, and how it ends."""

from __future__ import annotations

import json

import pytest
import yaml

from gitops_dr.checks.findings import Checked, Finding, Severity
from gitops_dr.checks.needs import Job, Need, grants
from gitops_dr.cli.doctor import For
from gitops_dr.errors import ExitCode
from gitops_dr.reports import doctor
from gitops_dr.results.doctor import Diagnosis

WARNED = Finding(Severity.WARNING, "https://prod", "its clock is 12 s ahead", "let NTP set it")
STOPPED = Finding(Severity.BLOCKER, "alice\x1b[2J", "may not list pods", "ask for it")
GRANTS = grants([Need("", "pods", "list")], Job.DRIFT, "alice")


def diagnosis(*checks: Checked, missing=()) -> Diagnosis:
    return Diagnosis(Job.DRIFT, "prod", "prod-admin", "https://prod", checks, missing)


WELL = Checked("git", "git is there", ())


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ((WELL,), ExitCode.DONE),
        ((WELL, Checked("clock", "clocks", (WARNED,))), ExitCode.DONE),
        ((WELL, Checked("permissions", "may", (STOPPED,))), ExitCode.PARTIAL),
        ((WELL, Checked("permissions", "may", None)), ExitCode.PARTIAL),
    ],
)
def test_how_it_ends(checks, code: ExitCode) -> None:
    assert doctor.exit_code(diagnosis(*checks)) == code


def test_for_a_person() -> None:
    found = diagnosis(
        WELL,
        Checked("clock", "clocks", (WARNED,)),
        Checked("permissions", "may", (WARNED, STOPPED)),
        Checked("alone", "alone", None),
        missing=GRANTS,
    )
    text = doctor.as_table(found)
    assert "\x1b" not in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "prod by prod-admin, for drift"
    for line in (
        "git ok git is there",
        "clock warning clocks",
        "permissions blocker may",
        "alone not known alone",
        "blocker: alice\\u001b[2J: may not list pods",
        "ask for it",
        "1 blocker, 2 warnings",
    ):
        assert line in lines
    assert lines.index("blocker: alice\\u001b[2J: may not list pods") < lines.index(
        "warning: https://prod: its clock is 12 s ahead"
    )
    assert "nothing is in the way" in doctor.as_table(diagnosis(WELL))


def test_for_a_program() -> None:
    document = json.loads(doctor.as_json(diagnosis(WELL, Checked("may", "x", (STOPPED,)))))
    assert document["checks"][0] == {
        "id": "git",
        "about": "git is there",
        "because": "",
        "link": "",
        "standing": "ok",
        "findings": [],
    }
    assert document["checks"][1]["findings"][0]["severity"] == "blocker"
    assert set(document) == {"job", "cluster", "context", "server", "checks", "missing"}


def test_the_manifests_alone() -> None:
    said = list(yaml.safe_load_all(doctor.as_yaml(diagnosis(WELL, missing=GRANTS))))
    assert said == list(GRANTS)
    assert list(yaml.safe_load_all(doctor.as_yaml(diagnosis(WELL)))) in ([], [None])


def test_the_flag_has_every_job() -> None:
    assert [job.value for job in For] == [job.value for job in Job]
