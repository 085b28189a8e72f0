"""Which recovery point is the newest: only a rebuild of that one releases what acts outward."""

from pathlib import Path

from command import commit_all, git
from small_cluster import SmallCluster, config_map, new_repo

from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.outward import newest_point
from gitops_dr.workflows.export import export


def head(repo: Path) -> str:
    return git(repo, "rev-parse", "HEAD").strip()


def test_it_is_the_last_export_or_what_came_after(repo: Path, cluster: SmallCluster) -> None:
    first = head(repo)
    cluster.put(config_map("a", v="2"))
    assert export(Where(repo)).created
    second = head(repo)
    (repo / "README.md").write_text("Words.\n")
    commit_all(repo, "Words")
    third = head(repo)
    opened = open_repo(Where(repo))
    assert newest_point(opened, first) == second
    assert newest_point(opened, second) == second
    assert newest_point(opened, third) == third


def test_one_beside_the_history_is_not(repo: Path, cluster: SmallCluster) -> None:
    git(repo, "checkout", "--quiet", "-b", "other")
    (repo / "README.md").write_text("Words.\n")
    commit_all(repo, "Words")
    beside = head(repo)
    git(repo, "checkout", "--quiet", "main")
    cluster.put(config_map("a", v="2"))
    assert export(Where(repo)).created
    assert newest_point(open_repo(Where(repo)), beside) == head(repo)


def test_where_nobody_exported_nobody_knows(tmp_path: Path, cluster: SmallCluster) -> None:
    repo = new_repo(tmp_path / "other")
    before = head(repo)
    (repo / "README.md").write_text("Words.\n")
    commit_all(repo, "Words")
    opened = open_repo(Where(repo))
    assert newest_point(opened, before) is None
    assert newest_point(opened, head(repo)) == head(repo)
