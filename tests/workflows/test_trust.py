"""Whose commits an export goes on from, and that it notices a history that was written anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import commit_all, git, gitops_dr
from signing import ssh_key
from small_cluster import SmallCluster, config_map, new_repo

from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.point import read_point
from gitops_dr.errors import RefusedError
from gitops_dr.events import Notice
from gitops_dr.workflows.export import export

SETTINGS = "format: 1\nclusters:\n  prod:\n"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return ssh_key(tmp_path_factory.mktemp("keys"), "alice")


@pytest.fixture
def signers(key, tmp_path) -> Path:
    file = tmp_path / "signers"
    file.write_text(f"{key.line}\n")
    return file


def notices(events) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def sign(repo: Path, key) -> None:
    git(repo, *key.settings, "commit", "--quiet", "--allow-empty", "-S", "-m", "Vouch")


def test_nothing_is_read_from_a_commit_that_nobody_signed(repo, signers):
    """Not even to find out that it makes no sense."""
    (repo / "gitops-dr.yaml").write_text("format: [")
    commit_all(repo)
    with pytest.raises(RefusedError, match=r"HEAD, with the configuration.*it is not signed"):
        open_repo(Where(repo, trusted_signers=signers))
    with pytest.raises(RefusedError, match="it is not signed"):
        open_repo(Where(repo, environment={"GITOPS_DR_TRUSTED_SIGNERS": str(signers)}))


def test_nor_from_an_older_one(repo, key, signers):
    (repo / "clusters/prod/recovery/coverage.yaml").write_text("nonsense: [")
    bad = commit_all(repo)
    git(repo, "revert", "--no-edit", bad)
    sign(repo, key)
    opened = open_repo(Where(repo, trusted_signers=signers))
    with pytest.raises(RefusedError, match=r"the recovery point.*it is not signed"):
        read_point(opened, bad)
    assert read_point(opened, None).coverage is not None


def test_the_flag_wins_over_the_variable(repo, key, signers, tmp_path):
    sign(repo, key)
    nobody = tmp_path / "nobody"
    nobody.write_text(f"{ssh_key(tmp_path, 'bob').line}\n")
    environment = {"GITOPS_DR_TRUSTED_SIGNERS": str(nobody)}
    assert open_repo(Where(repo, environment=environment, trusted_signers=signers)).trust.signers


READERS = [
    ("accept",), ("drift",), ("export",), ("plan",), ("points", "list"), ("points", "show"),
    ("rebuild", "--yes"), ("render",), ("revert",), ("secrets", "check"),
    ("secrets", "init", "--key-file", "/dev/null/key"), ("secrets", "list"), ("secrets", "rotate"),
    ("sync", "--yes"), ("volumes", "list"), ("volumes", "prune"),
]  # fmt: skip


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_whoever_reads_the_repository_can_say_whose_commits_count(repo, signers, command):
    said = gitops_dr(*command, "--repo", str(repo), "--trusted-signers", str(signers))
    assert said.code == 6, said.err
    assert "it is not signed" in said.err


def test_a_file_that_is_not_committed_is_signed_by_nobody(repo, key, signers):
    git(repo, "rm", "--quiet", "--cached", "gitops-dr.yaml")
    git(repo, *key.settings, "commit", "--quiet", "-S", "-m", "Without")
    with pytest.raises(RefusedError, match=r"^gitops-dr.yaml: not committed"):
        open_repo(Where(repo, cluster="prod", trusted_signers=signers))


def test_an_export_puts_no_signature_over_what_nobody_signed(repo, cluster, key, signers):
    """Else whoever can push would have it vouch for the configuration."""
    cluster.meanwhile = lambda: pytest.fail("the cluster was asked")
    with pytest.raises(RefusedError, match="it is not signed"):
        export(Where(repo, trusted_signers=signers))


def test_exports_are_signed_and_go_on_from_one_another(repo, cluster, key, signers, monkeypatch):
    sign(repo, key)
    where = Where(repo, trusted_signers=signers)
    with pytest.raises(RefusedError, match="ours would not be signed"):
        export(where)
    assert not export(where, dry_run=True).created
    monkeypatch.setenv("GITOPS_DR_SIGNING_KEY", str(key.file))
    cluster.put(config_map("new"))
    assert export(where).created
    cluster.put(config_map("newer"))
    assert export(where).created
    assert open_repo(where).head == git(repo, "rev-parse", "HEAD").strip()


# History that was written anew.


def anew(repo: Path) -> str:
    """Amend the newest export, as somebody would who puts something else in its place."""
    lost = git(repo, "rev-parse", "HEAD").strip()
    git(repo, "commit", "--quiet", "--amend", "--reset-author", "-m", "Anew")
    return lost


def test_a_history_that_goes_on_is_not_mentioned(repo, cluster):
    for name in ("one", "two"):
        events: list[object] = []
        cluster.put(config_map(name))
        assert export(Where(repo), emit=events.append).created
        assert not any("history" in text for text in notices(events))


@pytest.mark.parametrize("known_by", ["the clone", "the cluster"])
def test_a_history_written_anew_is_told_until_it_is_accepted(repo, cluster: SmallCluster, known_by):
    lost = anew(repo)
    if known_by == "the clone":
        cluster.points = ""
    else:
        (repo / ".git" / "gitops-dr" / "points").unlink()
    for _ in range(2):
        events: list[object] = []
        export(Where(repo), cluster_wins=True, emit=events.append)
        assert [text for text in notices(events) if lost in text]
    export(Where(repo), accept_rewritten_history=True)
    events = []
    export(Where(repo), emit=events.append)
    assert not any(lost in text for text in notices(events))


def test_a_dry_run_remembers_nothing(repo, cluster: SmallCluster):
    before = (repo / ".git" / "gitops-dr" / "points").read_text(), cluster.points
    cluster.put(config_map("new"))
    export(Where(repo), dry_run=True)
    assert ((repo / ".git" / "gitops-dr" / "points").read_text(), cluster.points) == before


def test_both_logs_say_the_same(repo, cluster: SmallCluster):
    log = (repo / ".git" / "gitops-dr" / "points").read_text()
    assert log == cluster.points
    newest, first = git(repo, "rev-list", "HEAD").split()
    assert log == f"{newest} prod refs/heads/main {first}\n"


def test_a_second_repository_of_a_cluster_is_told_once(repo, cluster: SmallCluster, tmp_path):
    """It may be one that somebody made in the place of the first; or a good one."""
    first = git(repo, "rev-parse", "HEAD").strip()
    other = new_repo(tmp_path / "other", settings=f"{SETTINGS}# the other one\n")
    said = []
    for _ in range(2):
        events: list[object] = []
        export(Where(other), emit=events.append)
        said.append([text for text in notices(events) if "of another repository" in text])
    assert [len(each) for each in said] == [1, 0]
    assert first in said[0][0]
    # The first one has no reason to complain of the second, nor of itself.
    events = []
    cluster.put(config_map("new"))
    export(Where(repo), emit=events.append)
    assert notices(events) == []
