"""What a failover says in Git, and which checkouts are refused because they do not know it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import commit_all, git
from small_cluster import new_repo

from gitops_dr.cluster.standing_record import Standing
from gitops_dr.desired.target import Strategy, Target
from gitops_dr.engine import activating
from gitops_dr.engine.activating import (
    activate,
    refuse_failed_over,
    refuse_older_checkout,
    refuse_unfinished_work,
    refuse_unsettled,
    settle,
)
from gitops_dr.engine.opening import Opened, Where, open_repo
from gitops_dr.errors import RefusedError, UsageError

SETTINGS = "format: 1\nclusters:\n  primary: {context: one}\n  standby: {context: two}\n"
STANDBY = "# Why it is there.\nformat: 1\ncluster: primary   # ours\ncontext: two\nuid: U2\n"
PRIMARY = "format: 1\ncluster: standby\ncontext: one\nuid: U1\n"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    path = new_repo(tmp_path / "repository", settings=SETTINGS)
    write(path, "standby", STANDBY)
    write(path, "primary", PRIMARY)
    commit_all(path)
    return path


def write(repo: Path, target: str, text: str) -> Path:
    file = repo / f"targets/{target}/target.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def opened(repo: Path, target: str = "standby") -> Opened:
    return open_repo(Where(repo), target=target)


def text(repo: Path, target: str) -> str:
    return git(repo, "show", f"HEAD:targets/{target}/target.yaml")


def test_the_cluster_is_the_targets(repo: Path) -> None:
    assert opened(repo, "standby").settings.name == "primary"
    assert opened(repo, "primary").settings.name == "standby"
    assert open_repo(Where(repo, "primary"), target="primary").settings.name == "primary"
    with pytest.raises(UsageError, match="which cluster is meant"):
        open_repo(Where(repo))
    write(repo, "other", "format: 1\ncluster: primry\n")
    commit_all(repo)
    with pytest.raises(UsageError) as caught:
        opened(repo, "other")
    assert str(caught.value).startswith("cluster 'primry' (from targets/other/target.yaml)")


def test_it_is_one_commit_that_keeps_what_people_wrote(repo: Path) -> None:
    before = opened(repo)
    done = activate(before, "standby", "U1", "p" * 40)
    assert git(repo, "rev-parse", "HEAD", "HEAD~1").split() == [done.commit, before.head]
    assert text(repo, "standby") == f"{STANDBY}active: true\n"
    assert text(repo, "primary") == PRIMARY
    message = git(repo, "show", "--no-patch", "--format=%B", "HEAD")
    assert message.startswith("Fail over primary to standby\n")
    assert f"Failover-Point: {'p' * 40}" in message
    assert not done.left
    assert done.at_rest == {"primary": "standby"}


def test_a_second_time_is_no_commit(repo: Path) -> None:
    activate(opened(repo), "standby", "U1", "p")
    now = opened(repo)
    again = activate(now, "standby", "U1", "p")
    assert again.commit == now.head
    # A run that was killed before the source knew says it once more.
    assert again.at_rest == {"primary": "standby"}


LEFT = [
    pytest.param("uid: U1\n", "U1", True, id="by its UID"),
    pytest.param("uid: U9\n", "U1", False, id="another cluster by its UID, whatever the context"),
    pytest.param("", "U1", True, id="by the context, where no UID is pinned"),
]


@pytest.mark.parametrize(("uid", "source", "left"), LEFT)
def test_where_everything_ran_it_does_not_any_more(
    repo: Path, uid: str, source: str, left: bool
) -> None:
    write(repo, "primary", f"format: 1\ncluster: standby\ncontext: one\n{uid}active: true\n")
    write(repo, "third", "format: 1\ncontext: three\nuid: U3\nactive: true\n")
    commit_all(repo)
    done = activate(opened(repo), "standby", source, "p")
    assert done.left == (("primary",) if left else ())
    assert ("active: false" in text(repo, "primary")) is left
    assert "active: true" in text(repo, "third")


def test_uncommitted_work_on_targets_is_seen_before_anything_is_done(repo: Path) -> None:
    refuse_unfinished_work(opened(repo))
    write(repo, "standby", STANDBY + "strategy: warm\n")
    with pytest.raises(RefusedError, match="it has uncommitted changes"):
        refuse_unfinished_work(opened(repo))


def test_what_was_failed_over_from_is_not_exported(repo: Path) -> None:
    refuse_failed_over(open_repo(Where(repo, "primary")))
    activate(opened(repo), "standby", "U1", "p")
    refuse_failed_over(open_repo(Where(repo, "standby")))
    with pytest.raises(RefusedError, match="has been failed over to target standby"):
        refuse_failed_over(open_repo(Where(repo, "primary")))


@pytest.mark.parametrize(
    ("uid", "active", "refused"),
    [("U1", True, True), ("U1", False, False), ("another", True, False)],
    ids=["the source, failed over from", "the source", "a drill elsewhere"],
)
def test_the_source_itself_is_not_started_besides(
    repo: Path, uid: str, active: bool, refused: bool
) -> None:
    if active:
        activate(opened(repo), "standby", "U1", "p")
    tree = SimpleNamespace(coverage=SimpleNamespace(uid="U1"))
    prepared: Any = SimpleNamespace(
        opened=open_repo(Where(repo, "primary")),
        connection=None,
        target=Target(),
        examined=SimpleNamespace(
            recorded=SimpleNamespace(tree=tree),
            observation=SimpleNamespace(identity=SimpleNamespace(uid=uid)),
        ),
    )
    if not refused:
        refuse_unsettled(prepared)
        return
    with pytest.raises(RefusedError, match="and would run besides"):
        refuse_unsettled(prepared)


# what the cluster knows: active, and by which commit (its place in the history); what the checkout
# says; whether it is refused
CHECKOUTS = [
    pytest.param(None, None, False, False, id="nobody knows anything"),
    pytest.param("true", "later", False, True, id="older than the failover"),
    pytest.param("true", "later", True, False, id="it says so, too, though it lacks the history"),
    pytest.param("true", "before", False, False, id="it was gone back since"),
    pytest.param("false", "later", True, True, id="older than the way back"),
    pytest.param("false", "before", True, False, id="another failover since"),
    pytest.param("true", "", False, False, id="begun, and not said in Git yet"),
]


@pytest.mark.parametrize(("knows", "by", "says", "refused"), CHECKOUTS)
def test_an_older_checkout_is_refused(
    repo: Path,
    knows: str | None,
    by: str | None,
    says: bool,
    refused: bool,
) -> None:
    known = git(repo, "rev-parse", "HEAD~1").strip()
    commit = {"later": "f" * 40, "before": known}.get(by or "", "")
    standing = None if knows is None else Standing("standby", commit=commit, active=knows)
    target = Target("standby", strategy=Strategy.WARM, active=says)
    if not refused:
        refuse_older_checkout(opened(repo), standing, target)
        return
    with pytest.raises(RefusedError) as caught:
        refuse_older_checkout(opened(repo), standing, target)
    assert "git pull" in caught.value.hint
    # Of another target of the cluster it says nothing.
    refuse_older_checkout(opened(repo), standing, Target("cold", active=says))


BEGUN = Standing("standby", point="p", begun="2026-11-26T10:00:00+00:00")
UNSETTLED = [
    pytest.param(None, True, False, False, id="no failover at all"),
    pytest.param(BEGUN, False, False, False, id="not said in Git: nothing is done there"),
    pytest.param(BEGUN, True, True, True, id="said, and killed before it was noted"),
    pytest.param(
        Standing("standby", "c", "true", "p", "b"), True, True, True, id="claims not filled"
    ),
    pytest.param(
        Standing("standby", "c", "true", "p", "b", filled="true"), True, False, True, id="filled"
    ),
    pytest.param(
        Standing("standby", "c", "true", "p", "b", "true", "e"), True, False, False, id="ended"
    ),
    pytest.param(
        Standing("other", "c", "true", "p", "b"), True, False, False, id="another target's"
    ),
]


@pytest.mark.parametrize(("standing", "active", "refused", "settled"), UNSETTLED)
def test_nothing_else_goes_on_before_the_claims_are_filled(
    repo: Path,
    monkeypatch: pytest.MonkeyPatch,
    standing: Standing | None,
    active: bool,
    refused: bool,
    settled: bool,
) -> None:
    written: list[Standing] = []
    monkeypatch.setattr(activating, "read_standing", lambda *_: standing)
    monkeypatch.setattr(activating, "write_standing", lambda *args: written.append(args[-1]))
    prepared: Any = SimpleNamespace(
        opened=opened(repo), connection=None, target=Target("standby", active=active)
    )
    check: Callable[[Any], None] = refuse_unsettled
    if refused:
        with pytest.raises(RefusedError, match="a failover to it did not end"):
            check(prepared)
    else:
        check(prepared)
    settle(prepared)
    assert bool(written) is settled
    assert all(one.ended for one in written)
