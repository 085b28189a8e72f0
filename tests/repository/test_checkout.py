"""Files and index follow the commit, also after the process was killed on its way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitops_dr.errors import RepositoryError
from gitops_dr.repository import worktree
from gitops_dr.repository.checkout import checkout_paths, dirty, finish_interrupted_checkout
from gitops_dr.repository.repository import head

OLD = {"c/keep": b"keep", "c/edit": b"old", "c/d/gone": b"old", "c/e/gone": b"old"}
CHANGES = {"c/edit": b"new", "c/d/gone": None, "c/e/gone": None, "c/f/1": b"one", "c/f/2": b"two"}
NEW = {"c/keep": b"keep", "c/edit": b"new", "c/f/1": b"one", "c/f/2": b"two"}
FOREIGN = {"c/d/mine": b"mine"}

BEFORE_THE_BRANCH = ["blobs", "tree", "commit", "recorded"]
AFTER_THE_BRANCH = ["branch", "removed", "written", "files", "index"]

CHILD = f"""
import os, sys
from pathlib import Path
from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import head, open_repository

def die(step):
    if step == sys.argv[2]:
        os._exit(9)

repo = open_repository(Path(sys.argv[1]))
commit(repo, changes={CHANGES!r}, message="Export", trailers={{}}, guard=lambda p, d: None,
       expected=head(repo), failpoint=die)
"""


@pytest.fixture
def killed(repo, save):
    """A commit whose process ended at the step; gives the repository and the old commit."""

    def at(step):
        old = save(repo, OLD).id
        for path, data in FOREIGN.items():
            (repo.root / path).write_bytes(data)
        child = subprocess.run([sys.executable, "-c", CHILD, str(repo.root), step], check=False)
        assert child.returncode == 9
        return repo, old

    return at


@pytest.mark.parametrize("step", BEFORE_THE_BRANCH)
def test_killed_before_the_branch_moved_nothing_has_happened(killed, step, files, plain, save):
    repo, old = killed(step)
    assert head(repo) == old
    assert finish_interrupted_checkout(repo) is None
    assert files(repo) == OLD | FOREIGN
    assert plain(repo, "status", "--porcelain") == "?? c/d/mine"
    assert save(repo, CHANGES).created
    assert files(repo) == NEW | FOREIGN


@pytest.mark.parametrize("step", AFTER_THE_BRANCH)
def test_killed_after_it_the_next_run_finishes(killed, step, files, plain):
    repo, old = killed(step)
    assert plain(repo, "rev-parse", "HEAD~1") == old
    assert finish_interrupted_checkout(repo) == ()
    assert files(repo) == NEW | FOREIGN
    assert plain(repo, "status", "--porcelain") == "?? c/d/"
    assert finish_interrupted_checkout(repo) is None


def test_half_a_file_of_a_killed_run_is_cleared(killed, files):
    repo, _ = killed("branch")
    (repo.root / "c/f").mkdir()
    (repo.root / "c/f/.gitops-dr.tmp").write_bytes(b"half")
    assert finish_interrupted_checkout(repo) == ()
    assert files(repo) == NEW | FOREIGN


@pytest.mark.parametrize("half", [b"", b"o", b"on"])
def test_the_beginning_of_a_new_file_is_completed(killed, files, plain, half):
    repo, _ = killed("branch")
    (repo.root / "c/f").mkdir()
    (repo.root / "c/f/1").write_bytes(half)
    assert finish_interrupted_checkout(repo) == ()
    assert files(repo) == NEW | FOREIGN
    assert plain(repo, "status", "--porcelain") == "?? c/d/"


@pytest.mark.parametrize("theirs", [b"two", b"ones", b"on\0"])
def test_any_other_file_in_its_place_is_kept(killed, files, theirs):
    repo, _ = killed("branch")
    (repo.root / "c/f").mkdir()
    (repo.root / "c/f/1").write_bytes(theirs)
    assert finish_interrupted_checkout(repo) == ("c/f/1",)
    assert files(repo) == NEW | FOREIGN | {"c/f/1": theirs}


def test_the_beginning_of_a_file_that_was_there_is_somebodys_work(killed, files):
    repo, _ = killed("branch")
    (repo.root / "c/edit").write_bytes(b"n")
    assert finish_interrupted_checkout(repo) == ("c/edit",)
    assert files(repo) == NEW | FOREIGN | {"c/edit": b"n"}


@pytest.mark.parametrize("step", AFTER_THE_BRANCH)
def test_the_next_commit_finishes_by_itself(killed, step, files, plain, save):
    repo, _ = killed(step)
    assert save(repo, CHANGES).created is False
    assert files(repo) == NEW | FOREIGN
    assert plain(repo, "status", "--porcelain") == "?? c/d/"
    assert not (repo.git_dir / "gitops-dr/checkout").exists()


def test_an_edit_after_the_kill_is_kept(killed, files, plain):
    repo, _ = killed("branch")
    (repo.root / "c/edit").write_bytes(b"mine")
    assert finish_interrupted_checkout(repo) == ("c/edit",)
    assert files(repo) == NEW | FOREIGN | {"c/edit": b"mine"}
    assert plain(repo, "status", "--porcelain") == " M c/edit\n?? c/d/"


def test_a_commit_on_top_after_the_kill_is_respected(killed, files, plain):
    repo, _ = killed("branch")
    plain(repo, "read-tree", "HEAD")
    plain(repo, "commit", "-qm", "theirs", "--allow-empty")
    assert finish_interrupted_checkout(repo) == ()
    assert files(repo) == NEW | FOREIGN
    assert plain(repo, "status", "--porcelain") == "?? c/d/"


def test_only_the_paths_of_the_killed_commit_are_finished(killed, files, plain):
    repo, _ = killed("branch")
    plain(repo, "read-tree", "HEAD")
    (repo.root / "c/keep").write_bytes(b"theirs")
    plain(repo, "commit", "-qm", "theirs", "c/keep")
    plain(repo, "restore", "--source=HEAD~1", "c/keep")
    assert finish_interrupted_checkout(repo) == ()
    assert files(repo) == NEW | FOREIGN
    assert plain(repo, "status", "--porcelain") == " M c/keep\n?? c/d/"


def test_a_reset_after_the_kill_is_respected(killed, files, plain):
    repo, old = killed("written")
    plain(repo, "reset", "-q", "--hard", old)
    before = files(repo)
    assert finish_interrupted_checkout(repo) is None
    assert files(repo) == before
    assert not (repo.git_dir / "gitops-dr/checkout").exists()


def test_a_record_that_is_not_ours_is_named(repo, save):
    save(repo, {"a": b"1"})
    (repo.git_dir / "gitops-dr/checkout").write_text("nonsense")
    with pytest.raises(RepositoryError, match="not written by gitops-dr"):
        finish_interrupted_checkout(repo)


def test_dirty_tells_every_kind_of_change(repo, save, plain):
    names = ("edited", "staged", "deleted", "unstaged", "linked", "same")
    save(repo, {f"c/{name}": b"1" for name in names} | {"other": b"1"})
    assert dirty(repo) == []
    for name in ("edited", "staged"):
        (repo.root / "c" / name).write_bytes(b"2")
    plain(repo, "add", "c/staged")
    (repo.root / "c/staged").write_bytes(b"1")
    (repo.root / "c/deleted").unlink()
    plain(repo, "rm", "-q", "--cached", "c/unstaged")
    (repo.root / "c/linked").unlink()
    (repo.root / "c/linked").symlink_to("same")
    (repo.root / "c/untracked").write_bytes(b"1")
    (repo.root / ".gitignore").write_text("*.swp\n")
    (repo.root / "c/x.swp").write_bytes(b"1")
    (repo.root / "other").write_bytes(b"2")
    expected = [f"c/{name}" for name in ("deleted", "edited", "linked", "staged", "unstaged")]
    assert dirty(repo, "c") == [*expected, "c/untracked"]
    assert dirty(repo, "c/") == dirty(repo, "c")
    assert dirty(repo, "nothing") == []
    assert dirty(repo, "*") == []
    assert dirty(repo, ":(top)c") == []
    assert dirty(repo, paths=["c/same", "c/edited", "c/new", "c/x.swp"]) == ["c/edited", "c/x.swp"]
    assert dirty(repo) == [".gitignore", *expected, "c/untracked", "other"]


def test_a_conflict_is_dirty(repo, save, plain):
    save(repo, {"a": b"1"})
    plain(repo, "switch", "-qc", "side")
    save(repo, {"a": None})
    plain(repo, "switch", "-q", "main")
    save(repo, {"a": b"3"})
    plain(repo, "merge", "side", check=False)
    (repo.root / "a").write_bytes(b"3")
    assert dirty(repo) == ["a"]


def test_on_an_unborn_branch_everything_is_new(repo):
    (repo.root / "a").write_bytes(b"1")
    assert dirty(repo) == ["a"]
    assert dirty(repo, paths=["b"]) == []


def test_foreign_links_are_neither_dirty_nor_moved(repo, save, plain, tmp_path):
    (repo.root / "link").symlink_to(tmp_path)
    plain(repo, "add", ".")
    plain(repo, "commit", "-qm", "theirs")
    first = head(repo)
    assert dirty(repo) == []
    (repo.root / "link").unlink()
    (repo.root / "link").write_bytes(b"file")
    plain(repo, "commit", "-qam", "theirs too")
    plain(repo, "reset", "-q", "--hard", first)
    assert checkout_paths(repo, first, plain(repo, "rev-parse", "ORIG_HEAD")) == ("link",)
    assert (repo.root / "link").is_symlink()


def test_executables_stay_executable(repo, save, plain):
    save(repo, {"run": b"1"})
    plain(repo, "update-index", "--chmod=+x", "run")
    plain(repo, "commit", "-qm", "x")
    target = head(repo)
    (repo.root / "run").unlink()
    plain(repo, "rm", "-q", "--cached", "run")
    assert checkout_paths(repo, None, target) == ()
    assert os.access(repo.root / "run", os.X_OK)


def test_nothing_that_is_no_file_is_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"1")
    paths = [
        "fifo",
        "folder",
        "link",
        "loop",
        "file",
        "file/x",
        "link/x",
        "loop/x",
        "none/x",
        "none",
    ]
    found = dict(worktree.contents(tmp_path, paths))
    obstacles = {path for path, what in found.items() if what is worktree.Obstacle.OBSTACLE}
    assert obstacles == {"fifo", "folder", "link", "loop", "file/x", "link/x", "loop/x"}
    assert (found["file"], found["none"], found["none/x"]) == (b"1", None, None)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", ".git/x"])
def test_the_worktree_refuses_unsafe_paths_by_itself(tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    for act in (
        lambda: list(worktree.contents(root, [path])),
        lambda: list(worktree.write(root, [(path, b"1", False)])),
        lambda: worktree.remove(root, path),
    ):
        with pytest.raises(RepositoryError, match="the path"):
            act()
    assert list(tmp_path.iterdir()) == [root]


def test_writing_through_a_link_fails_and_leaves_nothing(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "kept").write_bytes(b"1")
    (root / "link").symlink_to(outside)
    with pytest.raises(RepositoryError, match="link"):
        list(worktree.write(root, [("link/x", b"1", False)]))
    with pytest.raises(RepositoryError, match="link"):
        worktree.remove(root, "link/kept")
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_fresh_file_replaces_nobodys(tmp_path):
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(RepositoryError, match="a: File exists"):
        list(worktree.write(tmp_path, [("a", b"ours", False)], fresh=True))
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_folders_are_found_again_in_any_order(tmp_path):
    paths = ["a/b/c/1", "a/b/2", "a/3", "4", "a/b/c/5", "d/e/6", "a/b/7", "ab/8"]
    files = [(path, path.encode(), False) for path in paths]
    assert list(worktree.write(tmp_path, files, fresh=True)) == paths
    assert dict(worktree.contents(tmp_path, paths)) == {path: path.encode() for path in paths}
    missing = ["a/x/y/1", "a/b/c/d", "x", "a/b/2/y"]
    found = dict(worktree.contents(tmp_path, [*missing, *paths]))
    assert [found[path] for path in missing] == [None, None, None, worktree.Obstacle.OBSTACLE]
    assert found["a/b/7"] == b"a/b/7"
    for path in paths:
        worktree.remove(tmp_path, path)
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_is_left_open(tmp_path):
    before = len(list(Path("/dev/fd").iterdir()))
    (tmp_path / "file").write_bytes(b"1")
    paths = ["a/b/1", "file/x", "nothing/at/all", "a/2"]
    list(worktree.write(tmp_path, [("a/b/1", b"1", False)]))
    list(worktree.contents(tmp_path, paths))
    next(iter(worktree.contents(tmp_path, paths)))
    with pytest.raises(RepositoryError):
        list(worktree.write(tmp_path, [("a/2", b"1", False), ("file/x", b"1", False)]))
    worktree.remove(tmp_path, "a/b/1")
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(RepositoryError, match="d: Is a directory"):
        list(worktree.write(tmp_path, [("d", b"1", False)]))
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
