"""Opening and creating repositories."""

from __future__ import annotations

import pytest

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.repository import (
    create_repository,
    current_branch,
    head,
    open_repository,
)
from gitops_dr.repository.tree import blobs, read_file


def test_it_is_found_from_below_and_through_a_link(repo, tmp_path):
    (repo.root / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(repo.root / "a")
    assert open_repository(repo.root / "a/b") == repo
    assert open_repository(tmp_path / "link") == repo


def test_a_fresh_one_is_on_main_without_commits_or_hooks(repo, tmp_path, plain):
    template = tmp_path / "template/hooks"
    template.mkdir(parents=True)
    (template / "pre-commit").write_text("x")
    plain(repo, "config", "--global", "init.templateDir", str(template.parent))
    plain(repo, "config", "--global", "init.defaultBranch", "other")
    fresh = create_repository(tmp_path / "new/deep")
    assert current_branch(fresh) == "refs/heads/main"
    assert head(fresh) is None
    assert not (fresh.git_dir / "hooks").exists()


def test_creating_keeps_what_is_there(repo, save):
    commit = save(repo, {"a": b"a"}).id
    assert head(create_repository(repo.root)) == commit


def test_no_repository_is_an_error_with_a_remedy(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RepositoryError) as caught:
            open_repository(path)
        assert caught.value.message.startswith(str(path))
        assert "gitops-dr init" in caught.value.hint
    (tmp_path / "file").write_text("")
    with pytest.raises(RepositoryError, match="file: File exists"):
        create_repository(tmp_path / "file")


def test_files_kept_elsewhere_are_refused(repo, tmp_path, plain):
    (tmp_path / "elsewhere").mkdir()
    plain(repo, "config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(RepositoryError, match="keeps its files in"):
        open_repository(repo.root)


def test_an_unborn_and_a_detached_head(repo, save, plain):
    assert head(repo) is None
    commit = save(repo, {"a": b"a"}).id
    plain(repo, "switch", "--quiet", "--detach")
    assert head(repo) == commit
    with pytest.raises(RepositoryError, match="HEAD is detached"):
        current_branch(repo)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_both_object_formats(tmp_path, plain, save, files, object_format):
    plain(tmp_path, "init", "-q", f"--object-format={object_format}", "r")
    repo = open_repository(tmp_path / "r")
    assert repo.object_format == object_format
    data = b"data\r\n"
    commit = save(repo, {"d/a.yaml": data})
    assert repo.blob_id(data) == plain(repo, "rev-parse", "HEAD:d/a.yaml")
    assert repo.empty_tree == plain(repo, "hash-object", "-t", "tree", "/dev/null")
    assert blobs(repo, commit.id, "d") == {"a.yaml": repo.blob_id(data)}
    assert read_file(repo, "HEAD", "d/a.yaml") == data
    assert files(repo) == {"d/a.yaml": data}
    assert save(repo, {"d/a.yaml": data}).created is False
    assert len(repo.null_id) == len(commit.id)


def test_a_bare_repository_takes_commits(tmp_path, plain, save):
    plain(tmp_path, "init", "-q", "--bare", "-b", "main", "r.git")
    repo = open_repository(tmp_path / "r.git")
    assert repo.bare
    save(repo, {"a/b": b"1", "c": b"2"})
    commit = save(repo, {"a/b": None})
    assert blobs(repo, commit.id, "") == {"c": repo.blob_id(b"2")}
    assert not (repo.root / "c").exists()
    assert not (repo.root / "index").exists()


def test_a_linked_worktree_commits_to_its_own_branch(repo, save, plain, tmp_path, files):
    base = save(repo, {"a": b"a"}).id
    plain(repo, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = open_repository(tmp_path / "side")
    made = save(side, {"b": b"b"}).id
    assert (head(repo), head(side)) == (base, made)
    assert files(side) == {"a": b"a", "b": b"b"}
    assert files(repo) == {"a": b"a"}
