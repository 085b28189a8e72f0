"""An export that pushes: what stands in the result, and what the next run makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command import commit_all, git
from small_cluster import SHOP, SmallCluster, config_map, new_repo

from gitops_dr.engine.opening import Where
from gitops_dr.errors import ExitCode
from gitops_dr.events import Notice
from gitops_dr.reports.export import exit_code
from gitops_dr.workflows.export import export

SETTINGS = "format: 1\nclusters:\n  prod:\n  standby:\n"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    path.mkdir()
    git(path, "init", "-q", "--bare", "--initial-branch=main")
    return path


@pytest.fixture
def one(tmp_path: Path, cluster: SmallCluster, bare: Path) -> Where:
    """A clone that exports ``prod``."""
    path = new_repo(tmp_path / "one", settings=SETTINGS)
    git(path, "remote", "add", "origin", str(bare))
    return Where(path, cluster="prod")


@pytest.fixture
def two(tmp_path: Path, one: Where, bare: Path) -> Where:
    """Another clone, that exports ``standby``."""
    export(one, push=True)
    git(tmp_path, "clone", "-q", str(bare), str(tmp_path / "two"))
    return Where(tmp_path / "two", cluster="standby")


def tip(bare: Path) -> str:
    return git(bare, "rev-parse", "main").strip()


def test_the_commit_is_pushed_and_an_unchanged_cluster_has_nothing_to_push(one, bare):
    done = export(one, push=True)
    assert done.created
    assert done.pushed.reason == ""
    assert done.commit == tip(bare)
    again = export(one, push=True)
    assert not again.created
    assert again.commit == tip(bare) == done.commit
    assert exit_code(again) == ExitCode.DONE


def test_a_dry_run_pushes_nothing(one, bare):
    assert export(one, push=True, dry_run=True).pushed is None
    assert git(bare, "for-each-ref") == ""


def test_nothing_is_pushed_unasked(one, bare):
    assert export(one).pushed is None
    assert git(bare, "for-each-ref") == ""


def test_what_could_not_be_pushed_is_pushed_by_the_next_run(one, bare, tmp_path):
    bare.rename(tmp_path / "away.git")
    done = export(one, push=True)
    assert done.created
    assert done.pushed.reason
    assert exit_code(done) == ExitCode.REPOSITORY
    (tmp_path / "away.git").rename(bare)
    again = export(one, push=True)
    assert not again.created
    assert again.pushed.reason == ""
    assert tip(bare) == done.commit


def test_two_exporters_on_one_branch(one, two, cluster, bare):
    """Each cluster has its own folder, so they never touch; and nobody takes it for a rewriting."""
    for turn in range(3):
        cluster.put(config_map("a", v=f"turn {turn}"))
        for where in (one, two):
            notices: list[str] = []
            done = export(
                where,
                push=True,
                emit=lambda e, to=notices: to.append(e.text) if isinstance(e, Notice) else None,
            )
            assert done.created
            assert (done.pushed.reason, done.commit) == ("", tip(bare))
            assert exit_code(done) == ExitCode.DONE
            assert not [text for text in notices if "history" in text]
    history = git(bare, "log", "--format=%s", "main").splitlines()
    assert len(history) == 1 + 2 * 3 + 1
    assert git(bare, "rev-list", "--merges", "main") == ""
    # What was put on top of the others' commits is still known as what the cluster was.
    cluster.put(SHOP)
    for where in (one, two):
        assert not export(where, push=True).created


def test_others_who_changed_the_same_file_stop_the_push_and_not_the_export(one, two, cluster, bare):
    web = two.repo / "clusters/prod/namespaces/shop/configmaps/a.yaml"
    web.write_text(web.read_text() + "# by hand\n")
    commit_all(two.repo)
    git(two.repo, "push", "-q")
    theirs = tip(bare)
    cluster.put(config_map("a", v="2"))
    done = export(one, push=True)
    assert done.created
    assert done.pushed.refused
    assert "a.yaml" in done.pushed.reason
    assert exit_code(done) == ExitCode.REFUSED
    assert tip(bare) == theirs


def test_to_another_place(one, tmp_path):
    other = tmp_path / "other.git"
    git(tmp_path, "init", "-q", "--bare", str(other))
    done = export(replace(one), push_to=str(other))
    assert done.commit == git(other, "rev-parse", "main").strip()
