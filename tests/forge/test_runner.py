"""What the runner says about the job: believed where it can be, refused where not."""

import json
from pathlib import Path
from typing import Any

import pytest

from gitops_dr.errors import ExitCode, UsageError
from gitops_dr.forge import runner
from gitops_dr.forge.api import ForgeError
from gitops_dr.forge.github import from_environment
from gitops_dr.forge.runner import SUMMARY_LIMIT, append_summary, read_job, run_address

REPOSITORY = {"GITHUB_REPOSITORY": "o/r"}
COMMIT = "a" * 40


def with_event(tmp_path: Path, event: Any, **more: str) -> dict[str, str]:
    path = tmp_path / "event.json"
    path.write_bytes(event if isinstance(event, bytes) else json.dumps(event).encode())
    return REPOSITORY | {"GITHUB_EVENT_PATH": str(path)} | more


# -- which pull request -------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["refs/pull/12/merge", "refs/pull/12/head"])
def test_the_number_is_in_the_ref(ref: str) -> None:
    assert read_job(REPOSITORY | {"GITHUB_REF": ref}).number == 12


@pytest.mark.parametrize(
    "event",
    [
        {"pull_request": {"number": 12}, "number": 3},
        {"issue": {"number": 12, "pull_request": {"url": "x"}}},
    ],
)
def test_or_in_the_event(tmp_path: Path, event: dict[str, Any]) -> None:
    variables = with_event(tmp_path, event, GITHUB_REF="refs/heads/main")
    assert read_job(variables).number == 12


def test_what_is_said_goes_first(tmp_path: Path) -> None:
    variables = with_event(tmp_path, {}, GITHUB_REF="refs/pull/12/merge", GITHUB_JOB="drift")
    job = read_job(variables, number=5, name="mine")
    assert (job.number, job.name, job.head) == (5, "mine", "")
    assert read_job(variables).name == "drift"


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        None,
        {"pull_request": None},
        {"pull_request": {"number": "12"}},
        {"pull_request": {"number": True}},
        {"pull_request": {"number": 0}},
        {"pull_request": {"number": -1}},
        {"pull_request": [12]},
        {"issue": {"number": 12}},
    ],
)
def test_an_event_about_no_pull_request(tmp_path: Path, event: Any) -> None:
    variables = with_event(tmp_path, event, GITHUB_REF="refs/heads/main")
    with pytest.raises(UsageError, match=r"^pull request: its number is unknown"):
        read_job(variables)


@pytest.mark.parametrize(
    "ref", ["", "refs/heads/refs/pull/1/merge", "refs/pull/0/merge", "refs/pull/1/merge/x"]
)
def test_a_ref_that_is_no_pull_request_s(ref: str) -> None:
    with pytest.raises(UsageError, match=r"^pull request: its number is unknown") as caught:
        read_job(REPOSITORY | {"GITHUB_REF": ref})
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint


@pytest.mark.parametrize("number", [0, -3])
def test_a_number_that_is_none(number: int) -> None:
    with pytest.raises(UsageError, match=f"^pull request {number}: "):
        read_job(REPOSITORY, number=number)


@pytest.mark.parametrize("event", [b"{", b"\xff", b"[" * 100_000])
def test_an_event_that_is_no_json(tmp_path: Path, event: bytes) -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_EVENT_PATH .*: is no JSON$"):
        read_job(with_event(tmp_path, event))


def test_an_event_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_LARGEST_EVENT", 10)
    with pytest.raises(UsageError, match=r"^GITHUB_EVENT_PATH .*: is too large for an event$"):
        read_job(with_event(tmp_path, {"pull_request": {"number": 5}}))


def test_an_event_that_is_not_there(tmp_path: Path) -> None:
    variables = REPOSITORY | {"GITHUB_EVENT_PATH": str(tmp_path / "none")}
    with pytest.raises(UsageError, match=r"^GITHUB_EVENT_PATH .*: No such file"):
        read_job(variables)


@pytest.mark.parametrize(
    "name", ["", "o", "o/", "/r", "o/r/x", "o r/x", "../r", "o/..", "o/.", "o/r?x", "o/r\n", "ü/r"]
)
def test_a_repository_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_REPOSITORY "):
        read_job({"GITHUB_REPOSITORY": name}, number=1)


# -- after a workflow_run -----------------------------------------------------------------------


def after(tmp_path: Path, run: Any) -> dict[str, str]:
    return with_event(
        tmp_path,
        {"workflow_run": run, "pull_request": {"number": 3}},
        GITHUB_EVENT_NAME="workflow_run",
        GITHUB_REF="refs/heads/main",
    )


def test_after_a_workflow_run_the_head_must_be_the_one_that_it_was_for(tmp_path: Path) -> None:
    job = read_job(after(tmp_path, {"head_sha": COMMIT}), number=5)
    assert (job.number, job.head) == (5, COMMIT)


def test_after_a_workflow_run_the_number_must_be_said(tmp_path: Path) -> None:
    run = {"head_sha": COMMIT, "pull_requests": [{"number": 3}]}
    with pytest.raises(UsageError, match=r"^pull request: its number is unknown"):
        read_job(after(tmp_path, run))


@pytest.mark.parametrize("run", [None, {}, {"head_sha": 5}, {"head_sha": "main"}, [COMMIT]])
def test_after_a_workflow_run_nothing_goes_without_the_commit(tmp_path: Path, run: Any) -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_EVENT_PATH: the event does not say which"):
        read_job(after(tmp_path, run), number=5)


def test_after_a_workflow_run_nothing_goes_without_the_event() -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_EVENT_PATH "):
        read_job(REPOSITORY | {"GITHUB_EVENT_NAME": "workflow_run"}, number=5)


# -- token and run ------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", " \n"])
def test_without_a_token_nothing_is_posted(token: str) -> None:
    with pytest.raises(UsageError, match=r"^GITHUB_TOKEN: is not set") as caught:
        from_environment(REPOSITORY | {"GITHUB_TOKEN": token}, number=1)
    assert "github.token" in caught.value.hint


def test_github_com_is_where_nothing_else_is_said() -> None:
    made = from_environment(REPOSITORY | {"GITHUB_TOKEN": "x\n"}, number=1)
    assert made.api.base == "https://api.github.com"


def test_the_address_of_the_run() -> None:
    variables = REPOSITORY | {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "99"}
    assert run_address(variables) == "https://github.com/o/r/actions/runs/99"
    assert read_job(variables, number=1).run == run_address(variables)


@pytest.mark.parametrize(
    "wrong",
    [
        {"GITHUB_RUN_ID": ""},
        {"GITHUB_RUN_ID": "1/../.."},
        {"GITHUB_SERVER_URL": "javascript:alert(1)//"},
        {"GITHUB_SERVER_URL": "https://a.example/) [x](https://b.example"},
        {"GITHUB_REPOSITORY": "o"},
    ],
)
def test_an_address_that_would_be_something_else(wrong: dict[str, str]) -> None:
    variables = REPOSITORY | {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "99"}
    assert run_address(variables | wrong) == ""


# -- the step's summary -------------------------------------------------------------------------


def summary(path: Path) -> dict[str, str]:
    return {"GITHUB_STEP_SUMMARY": str(path)}


def test_the_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    assert append_summary(summary(path), lambda _: "## first")
    assert append_summary(summary(path), lambda _: "## second")
    assert path.read_text() == "## first\n\n\n## second\n"


def test_there_is_not_always_a_summary() -> None:
    assert not append_summary({}, lambda _: "## x")


@pytest.mark.parametrize("there", [0, 1, 999_000])
def test_the_summary_is_told_how_much_room_there_is(tmp_path: Path, there: int) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * there)
    assert append_summary(summary(path), lambda room: "ü" * (room // 2) + "x" * (room % 2))
    assert path.stat().st_size in (SUMMARY_LIMIT, SUMMARY_LIMIT - 2)


@pytest.mark.parametrize("there", [0, 999_000, SUMMARY_LIMIT - 3, SUMMARY_LIMIT, 1 << 20])
def test_what_does_not_fit_is_not_begun(tmp_path: Path, there: int) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * there)
    assert not append_summary(summary(path), lambda room: "ü" * (room // 2 + 1))
    assert path.stat().st_size == there


def test_a_summary_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ForgeError, match=r"^GITHUB_STEP_SUMMARY .*: Is a directory$"):
        append_summary(summary(tmp_path), lambda _: "## x")
