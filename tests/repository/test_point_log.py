"""The log of recovery points: what a branch has lost is noticed, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.repository.point_log import (
    Logged,
    format_log,
    lost,
    parse_log,
    read_log,
    with_point,
    write_log,
)
from gitops_dr.repository.repository import head, open_repository

MAIN = "refs/heads/main"


ROOT = "0" * 40


def point(commit, cluster="prod", branch=MAIN, root=ROOT):
    return Logged(commit, cluster, branch, root)


@pytest.fixture
def commits(repo, save):
    return [save(repo, {"a": str(number).encode()}).id for number in range(3)]


def test_a_log_is_kept_and_read_back(repo, commits):
    assert read_log(repo) == ()
    points = (point(commits[0]), point(commits[1], "shop", "refs/heads/ü"))
    write_log(repo, points)
    assert read_log(repo) == points


@given(st.text())
def test_lines_that_are_none_are_left_out(text):
    good = point("a" * 40)
    assert parse_log(format_log([good]) + text)[0] == good
    a, x = "a" * 40, "x" * 40
    wrong = ("nonsense", f"{a} prod ../x {a}", f"{x} prod {MAIN} {a}", f"{a} prod {MAIN}")
    assert parse_log("\n".join(wrong)) == ()


def test_a_damaged_note_is_an_empty_log(repo, commits):
    write_log(repo, [point(commits[0])])
    (repo.git_dir / "gitops-dr" / "points").write_bytes(b"\xff\0\n")
    assert read_log(repo) == ()


def test_the_newest_stands_for_those_before_it(repo, commits):
    log = with_point(repo, (), point(commits[0]), forget=False)
    log = with_point(repo, log, point(commits[2]), forget=False)
    assert log == (point(commits[2]),)
    assert with_point(repo, log, point(commits[2]), forget=False) == log


def test_other_clusters_and_branches_stay(repo, commits):
    others = (point(commits[0], "shop"), point(commits[0], branch="refs/heads/x"))
    assert with_point(repo, others, point(commits[2]), forget=False) == (
        point(commits[2]),
        *others,
    )


def test_points_of_another_repository_stay_until_they_are_to_be_forgotten(repo, commits):
    others = (point("1" * 40, root="2" * 40),)
    assert with_point(repo, others, point(commits[2]), forget=False) == (
        point(commits[2]),
        *others,
    )
    assert with_point(repo, others, point(commits[2]), forget=True) == (point(commits[2]),)


def test_history_that_goes_on_has_lost_nothing(repo, commits):
    assert lost(repo, commits[2], "prod", [point(commit) for commit in commits]) == ()


def test_a_reset_is_noticed(repo, commits, plain):
    plain(repo, "reset", "--quiet", "--hard", commits[0])
    assert lost(repo, commits[0], "prod", [point(commits[2])]) == (commits[2],)


def test_an_amended_commit_is_noticed_also_when_it_is_there_no_more(repo, commits, plain):
    plain(repo, "commit", "--quiet", "--amend", "-m", "anew")
    points = [point(commits[2]), point("1" * 40), point(commits[1])]
    assert lost(repo, head(repo), "prod", points) == (commits[2], "1" * 40)
    plain(repo, "reflog", "expire", "--expire=now", "--all")
    plain(repo, "gc", "--quiet", "--prune=now")
    assert lost(repo, head(repo), "prod", points) == (commits[2], "1" * 40)


def test_what_is_lost_is_kept_until_it_is_to_be_forgotten(repo, commits, plain, save):
    plain(repo, "reset", "--quiet", "--hard", commits[0])
    new = save(repo, {"a": b"other"}).id
    log = with_point(repo, [point(commits[2])], point(new), forget=False)
    assert log == (point(new), point(commits[2]))
    assert lost(repo, new, "prod", log) == (commits[2],)
    assert with_point(repo, log, point(new), forget=True) == (point(new),)


def test_another_branch_or_cluster_is_none_of_this_one(repo, commits, plain):
    plain(repo, "checkout", "--quiet", "-b", "other", commits[0])
    assert lost(repo, commits[0], "prod", [point(commits[2])]) == ()
    plain(repo, "checkout", "--quiet", "main")
    plain(repo, "reset", "--quiet", "--hard", commits[0])
    assert lost(repo, commits[0], "shop", [point(commits[2])]) == ()


def test_to_look_at_an_older_commit_is_no_loss(repo, commits, plain):
    plain(repo, "checkout", "--quiet", "--detach", commits[0])
    assert lost(repo, commits[0], "prod", [point(commits[2])]) == ()


def test_a_detached_head_beside_all_that_is_known_is_noticed(repo, commits, plain):
    plain(repo, "checkout", "--quiet", "--detach", commits[0])
    plain(repo, "commit", "--quiet", "--allow-empty", "-m", "beside")
    beside = head(repo)
    assert lost(repo, beside, "prod", [point(commits[2])]) == (commits[2],)
    assert lost(repo, beside, "prod", [point(commits[2]), point(beside)]) == ()
    assert lost(repo, beside, "prod", []) == ()


def test_in_a_shallow_clone_nobody_can_tell(repo, commits, plain, tmp_path):
    plain(repo, "clone", "--quiet", "--depth=1", f"file://{repo.root}", str(tmp_path / "clone"))
    clone = open_repository(tmp_path / "clone")
    assert lost(clone, head(clone), "prod", [point(commits[0])]) is None
    assert lost(clone, head(clone), "prod", [point(commits[2])]) == ()


def test_many_lines_are_few_processes_and_no_more_lines(repo, commits, plain, monkeypatch):
    started = []
    real = type(repo.git)._run
    monkeypatch.setattr(
        type(repo.git), "_run", lambda *a, **k: started.append(a[1]) or real(*a, **k)
    )
    many = [point(f"{number:040x}") for number in range(500)]
    assert len(lost(repo, commits[2], "prod", many)) == 500
    assert len(started) < 6
    assert len(with_point(repo, many, point(commits[2]), forget=False)) == 11
    others = [point(f"{number:040x}", f"c{number}") for number in range(500)]
    assert len(with_point(repo, others, point(commits[2]), forget=False)) == 200
