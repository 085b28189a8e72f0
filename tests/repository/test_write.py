"""Changes that go into the files and nowhere else."""

import os

import pytest

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository.checkout import exclusive
from gitops_dr.repository.repository import create_repository, head, open_repository
from gitops_dr.repository.write import write_files


def put(repo, changes, guard=lambda path, data: None, **options) -> None:
    write_files(repo, changes=changes, guard=guard, **({"expected": head(repo)} | options))


@pytest.fixture
def kept(repo, save):
    save(repo, {"c/a.yaml": b"1", "c/b.yaml": b"1", "c/d/e.yaml": b"1", "run": b"1"})
    return repo


def test_files_are_written_and_neither_index_nor_history(kept, files, plain):
    before = head(kept)
    put(kept, {"c/a.yaml": b"2", "c/d/e.yaml": None, "c/new/f.yaml": b"3"})
    assert files(kept) == {"c/a.yaml": b"2", "c/b.yaml": b"1", "c/new/f.yaml": b"3", "run": b"1"}
    assert not (kept.root / "c/d").exists()
    assert head(kept) == before
    assert plain(kept, "diff", "--cached", "--name-only") == ""
    assert plain(kept, "status", "--porcelain").split("\n") == [
        " M c/a.yaml",
        " D c/d/e.yaml",
        "?? c/new/",
    ]


def test_once_more_writes_nothing_more(kept, files):
    changes = {"c/a.yaml": b"2", "c/d/e.yaml": None}
    put(kept, changes)
    before = (kept.root / "c/a.yaml").stat().st_ino
    put(kept, {**changes, "c/b.yaml": b"2"})
    assert (kept.root / "c/a.yaml").stat().st_ino == before
    assert files(kept) == {"c/a.yaml": b"2", "c/b.yaml": b"2", "run": b"1"}


@pytest.mark.parametrize("staged", [False, True])
def test_uncommitted_work_is_never_lost(kept, files, plain, staged):
    (kept.root / "c/b.yaml").write_bytes(b"mine")
    if staged:
        plain(kept, "add", "c/b.yaml")
    before = files(kept)
    with pytest.raises(RefusedError, match=r"c/b\.yaml: it has uncommitted changes"):
        put(kept, {"c/a.yaml": b"2", "c/b.yaml": b"2"})
    with pytest.raises(RefusedError, match=r"c/b\.yaml"):
        put(kept, {"c/a.yaml": b"2", "c/b.yaml": None})
    assert files(kept) == before
    put(kept, {"c/a.yaml": b"2"})


def test_a_file_that_nobody_has_committed_is_never_overwritten(kept, files):
    (kept.root / "c/new.yaml").write_bytes(b"mine")
    with pytest.raises(RefusedError, match=r"c/new\.yaml"):
        put(kept, {"c/new.yaml": b"2"})
    assert files(kept)["c/new.yaml"] == b"mine"


def test_what_the_guard_refuses_is_not_written_and_nothing_else_is(kept, files):
    before = files(kept)

    def guard(path: str, data: bytes) -> str | None:
        return "holds a private key" if data == b"key" else None

    with pytest.raises(RefusedError, match=r"c/b\.yaml: holds a private key"):
        put(kept, {"c/a.yaml": b"2", "c/b.yaml": b"key"}, guard)
    with pytest.raises(RefusedError, match="reaches into"):
        put(kept, {"c/a.yaml": b"2", ".git/config": b"x"})
    assert files(kept) == before


def test_what_is_executable_stays_so(kept, plain):
    plain(kept, "update-index", "--chmod=+x", "run")
    plain(kept, "commit", "-qm", "x")
    plain(kept, "reset", "-q", "--hard")
    put(kept, {"run": b"2"})
    assert os.access(kept.root / "run", os.X_OK)


def test_a_head_that_moved_a_bare_repository_and_another_run(kept, save, tmp_path, plain):
    before = head(kept)
    save(kept, {"other": b"1"})
    with pytest.raises(RepositoryError, match="HEAD moved"):
        put(kept, {"c/a.yaml": b"2"}, expected=before)
    with exclusive(kept), pytest.raises(RepositoryError, match="another gitops-dr"):
        put(kept, {"c/a.yaml": b"2"})
    plain(kept, "clone", "-q", "--bare", str(kept.root), str(tmp_path / "bare"))
    with pytest.raises(RepositoryError, match="bare"):
        put(open_repository(tmp_path / "bare"), {"c/a.yaml": b"2"})


def test_before_the_first_commit(tmp_path, files):
    repo = create_repository(tmp_path / "new")
    put(repo, {"a": b"1", "b": None})
    assert files(repo) == {"a": b"1"}
