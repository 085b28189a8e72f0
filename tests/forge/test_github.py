"""The sticky comment, against GitHub's API on loopback: found, kept, and nobody else's."""

import re

import pytest
from fake_github import BOT, HEAD, START, FakeClock, GitHub, environment

from gitops_dr.errors import ExitCode, RefusedError
from gitops_dr.forge.api import ForgeError
from gitops_dr.forge.github import BODY_LIMIT, Deed, PullRequest, from_environment, marker
from gitops_dr.reports.comment import BUDGET

MARKER = "<!-- gitops-dr cluster=shop job=drift -->"
COMMENTS = "/issues/7/comments"
ONE = "/issues/comments/"


def post(pull_request: PullRequest, body: str = "report", **more: bool):
    return pull_request.post("shop", body, **({"clean": False} | more))


# -- one comment, kept up to date ---------------------------------------------------------------


def test_the_first_report_is_a_new_comment(github: GitHub, pull_request: PullRequest) -> None:
    github.comment("what a person says", "ada", "User")
    posted = post(pull_request)
    assert github.bodies() == ["what a person says", f"{MARKER}\nreport"]
    assert (posted.deed, posted.address) == (Deed.CREATED, github.comments[1]["html_url"])


def test_the_next_report_replaces_it_in_place(github: GitHub, pull_request: PullRequest) -> None:
    post(pull_request, "two objects drift")
    github.comment("thanks", "ada", "User")
    posted = post(pull_request, "no drift", clean=True)
    assert github.bodies() == [f"{MARKER}\nno drift", "thanks"]
    assert (posted.deed, posted.address) == (Deed.UPDATED, github.comments[0]["html_url"])


def test_no_comment_is_made_only_to_say_that_there_is_no_drift(
    github: GitHub, pull_request: PullRequest
) -> None:
    assert post(pull_request, clean=True).deed is Deed.NOTHING
    assert not github.comments
    assert post(pull_request, "no drift", clean=True, always=True).deed is Deed.CREATED
    assert github.bodies() == [f"{MARKER}\nno drift"]


def test_each_cluster_and_job_has_its_own(github: GitHub, time: FakeClock) -> None:
    for job in ("drift", "drift2"):
        for cluster in ("shop", "shop-2"):
            wanted = from_environment(environment(github), job=job, clock=time.clock)
            wanted.post(cluster, f"{cluster} {job}", clean=False)
            wanted.post(cluster, f"{cluster} {job} again", clean=False)
    assert [body.split("\n")[1] for body in github.bodies()] == [
        "shop drift again",
        "shop-2 drift again",
        "shop drift2 again",
        "shop-2 drift2 again",
    ]


def test_it_is_found_on_a_later_page(github: GitHub, pull_request: PullRequest) -> None:
    for number in range(4):
        github.comment(f"talk {number}", "ada", "User")
    github.comment(f"{MARKER}\nold")
    github.comment("more talk", "ada", "User")
    assert post(pull_request, "new").deed is Deed.UPDATED
    assert github.bodies()[4] == f"{MARKER}\nnew"
    assert len(github.comments) == 6
    assert [r.path.rpartition("page=")[2] for r in github.asked("GET", COMMENTS)] == [
        "100",
        "2",
        "3",
    ]


def test_of_two_that_met_one_is_left(github: GitHub, pull_request: PullRequest) -> None:
    for body in (f"{MARKER}\nolder", "talk", f"{MARKER}\nyounger"):
        github.comment(body)
    post(pull_request, "new")
    assert github.bodies() == [f"{MARKER}\nnew", "talk"]


def test_the_older_one_is_kept_however_they_are_listed(
    github: GitHub, pull_request: PullRequest
) -> None:
    for body in (f"{MARKER}\nolder", f"{MARKER}\nyounger"):
        github.comment(body)
    kept = github.comments[0]["id"]
    github.comments.reverse()
    post(pull_request, "new")
    assert [comment["id"] for comment in github.comments] == [kept]


# -- whose it is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "login", "kind"),
    [
        (f"{MARKER}\nforged", "mallory", "User"),
        (f"{MARKER}\nforged", "mallory[bot]", "Bot"),
        (f"{MARKER}\nforged", "", ""),
        (f"quoting a person: {MARKER}", BOT, "Bot"),
        (f" {MARKER}\nnot the first thing", BOT, "Bot"),
        ("<!-- gitops-dr cluster=shop job=drift2 -->\nanother job", BOT, "Bot"),
        (None, BOT, "Bot"),
    ],
)
def test_no_other_comment_is_taken_for_ours(
    github: GitHub, pull_request: PullRequest, body: str | None, login: str, kind: str
) -> None:
    github.comment(body, login, kind)
    assert post(pull_request).deed is Deed.CREATED
    assert github.bodies() == [body, f"{MARKER}\nreport"]
    assert not github.asked("PATCH")


def test_a_person_with_a_token_finds_the_own_comment(
    github: GitHub, pull_request: PullRequest
) -> None:
    github.viewer = "Ada"
    github.comment(f"{MARKER}\nold", "ada", "User")
    assert post(pull_request).deed is Deed.UPDATED


def test_where_nobody_says_who_we_are_a_bot_is_close_enough_and_nothing_is_deleted(
    github: GitHub, pull_request: PullRequest
) -> None:
    github.viewer = None
    github.comment(f"{MARKER}\nforged", "mallory", "User")
    github.comment(f"{MARKER}\nold")
    github.comment(f"{MARKER}\nold too")
    assert post(pull_request).deed is Deed.UPDATED
    assert github.bodies() == [f"{MARKER}\nforged", f"{MARKER}\nreport", f"{MARKER}\nold too"]


def test_a_limit_is_no_reason_not_to_know_who_we_are(
    github: GitHub, pull_request: PullRequest, time: FakeClock
) -> None:
    github.comment(f"{MARKER}\nforged", "mallory[bot]", "Bot")
    github.fail("POST", "/graphql", 403, headers={"Retry-After": "5"})
    assert post(pull_request).deed is Deed.CREATED
    assert time.slept == [5.0]


def test_who_we_are_is_asked_where_an_enterprise_server_has_it(
    github: GitHub, time: FakeClock
) -> None:
    variables = environment(github, GITHUB_API_URL=f"{github.address}/api/v3")
    post(from_environment(variables, clock=time.clock))
    assert [r.path for r in github.requests] == [
        "/api/graphql",
        "/api/v3/repos/o/r/issues/7/comments?per_page=100",
        "/api/v3/repos/o/r/issues/7/comments",
    ]


@pytest.mark.parametrize("name", ["-->", "a--b", "x -->\n<!-- gitops-dr", "a job=b", "ü\ud800", ""])
def test_no_name_ends_the_marker(name: str) -> None:
    made = marker(name, name)
    inside = made.removeprefix("<!-- ").removesuffix(" -->")
    assert made == f"<!-- {inside} -->"
    assert re.fullmatch(r"gitops-dr cluster=[\w.%-]* job=[\w.%-]*", inside, re.ASCII)
    assert "--" not in inside
    assert made != marker("", name) or not name


# -- the pull request ---------------------------------------------------------------------------


def for_workflow_run(github: GitHub, time: FakeClock, tmp_path, commit: str) -> PullRequest:
    event = tmp_path / "event.json"
    event.write_text(f'{{"workflow_run": {{"head_sha": "{commit}"}}}}')
    variables = environment(
        github,
        GITHUB_EVENT_NAME="workflow_run",
        GITHUB_REF="refs/heads/main",
        GITHUB_EVENT_PATH=str(event),
    )
    return from_environment(variables, number=7, clock=time.clock)


def test_a_number_that_a_fork_may_have_made_up_is_checked(
    github: GitHub, time: FakeClock, tmp_path
) -> None:
    post(for_workflow_run(github, time, tmp_path, HEAD))
    assert len(github.comments) == 1
    github.head = "d" * 40
    with pytest.raises(RefusedError, match=r"^pull request o/r#7: its head is not") as caught:
        post(for_workflow_run(github, time, tmp_path, HEAD))
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.hint
    assert len(github.comments) == 1
    assert not github.asked("PATCH")


# -- faults -------------------------------------------------------------------------------------


def test_a_comment_deleted_meanwhile_is_made_anew(
    github: GitHub, pull_request: PullRequest
) -> None:
    github.comment(f"{MARKER}\nold")
    github.fail("PATCH", ONE, 404, body={"message": "Not Found"})
    assert post(pull_request).deed is Deed.CREATED
    assert github.bodies()[1:] == [f"{MARKER}\nreport"]


def test_a_clean_result_does_not_bring_a_deleted_comment_back(
    github: GitHub, pull_request: PullRequest
) -> None:
    github.comment(f"{MARKER}\nold")
    github.fail("PATCH", ONE, 404)
    assert post(pull_request, clean=True).deed is Deed.NOTHING


def test_a_duplicate_that_is_gone_already_does_no_harm(
    github: GitHub, pull_request: PullRequest
) -> None:
    github.comment(f"{MARKER}\nolder")
    github.comment(f"{MARKER}\nyounger")
    github.fail("DELETE", ONE, 404)
    assert post(pull_request).deed is Deed.UPDATED


def test_a_comment_that_was_taken_without_saying_so_is_not_made_twice(
    github: GitHub, pull_request: PullRequest, time: FakeClock
) -> None:
    github.fail("POST", COMMENTS, 502, carried_out=True)
    assert post(pull_request).deed is Deed.UPDATED
    assert github.bodies() == [f"{MARKER}\nreport"]
    assert time.slept == [2.0]


def test_a_comment_that_was_lost_is_made_again(github: GitHub, pull_request: PullRequest) -> None:
    github.fail("POST", COMMENTS, 502)
    github.fail("POST", COMMENTS, 504)
    assert post(pull_request).deed is Deed.CREATED
    assert github.bodies() == [f"{MARKER}\nreport"]


def test_a_comment_that_is_never_taken_is_an_error(
    github: GitHub, pull_request: PullRequest
) -> None:
    for _ in range(3):
        github.fail("POST", COMMENTS, 502, body=b"<html>Bad gateway</html>")
    with pytest.raises(ForgeError) as caught:
        post(pull_request)
    assert str(caught.value) == (
        "pull request o/r#7: posting the comment: the forge answers HTTP 502"
    )
    assert caught.value.exit_code == ExitCode.PARTIAL


def test_a_fork_s_token_may_only_read(github: GitHub, pull_request: PullRequest) -> None:
    said = {"message": "Resource not accessible by integration"}
    github.fail("POST", COMMENTS, 403, body=said)
    with pytest.raises(ForgeError) as caught:
        post(pull_request)
    assert str(caught.value) == (
        "pull request o/r#7: posting the comment: the forge answers HTTP 403: "
        "Resource not accessible by integration"
    )
    assert "pull-requests: write" in caught.value.hint
    assert len(github.asked("POST", COMMENTS)) == 1


def test_what_is_too_long_is_not_sent(github: GitHub, pull_request: PullRequest) -> None:
    room = 65_536 - len(MARKER) - 1
    post(pull_request, "ü" * (room // 2))
    with pytest.raises(ForgeError, match=r"^pull request o/r#7: a comment of 655\d\d bytes"):
        post(pull_request, "ü" * (room // 2 + 1))
    assert len(github.asked("PATCH")) == 0


def test_posting_takes_no_longer_than_its_patience(
    github: GitHub, pull_request: PullRequest, time: FakeClock
) -> None:
    for _ in range(50):
        github.fail("GET", COMMENTS, 403, headers={"Retry-After": "70"})
    with pytest.raises(ForgeError, match="70 seconds until the next try"):
        post(pull_request)
    assert time.slept == [70.0] * 4
    assert time.time - START <= pull_request.patience


def test_the_largest_comment_has_room_for_its_marker() -> None:
    assert BUDGET + 1 + len(marker("c" * 63, "j" * 1000)) <= BODY_LIMIT
