"""The one function that commits."""

from __future__ import annotations

import errno
import os

import pytest

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository import commit as module
from gitops_dr.repository.checkout import exclusive
from gitops_dr.repository.history import commit_info
from gitops_dr.repository.repository import head, open_repository


def test_first_commit_change_and_deletion(repo, save, files, plain):
    first = save(repo, {"c/a.yaml": b"1", "c/d/b.yaml": b"2"})
    assert first.created
    assert files(repo) == {"c/a.yaml": b"1", "c/d/b.yaml": b"2"}
    second = save(repo, {"c/a.yaml": b"3", "c/d/b.yaml": None, "c/e": b"4"})
    assert files(repo) == {"c/a.yaml": b"3", "c/e": b"4"}
    assert not (repo.root / "c/d").exists()
    assert plain(repo, "rev-list", "HEAD").split() == [second.id, first.id]
    assert plain(repo, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert plain(repo, "status", "--porcelain") == ""
    assert plain(repo, "fsck", "--strict") == ""
    assert plain(repo, "reflog", "-1", "--format=%gs") == "gitops-dr: commit"


def test_an_equal_tree_makes_no_commit(repo, save):
    first = save(repo, {"a": b"1"})
    assert save(repo, {"a": b"1"}) == module.Commit(first.id, created=False)
    assert save(repo, {}) == module.Commit(first.id, created=False)
    assert save(repo, {"missing": None}).created is False
    assert head(repo) == first.id
    assert {path.name for path in (repo.git_dir / "gitops-dr").iterdir()} == {"lock"}


def test_what_somebody_made_executable_stays_so(repo, save, files, plain):
    save(repo, {"run": b"1", "other": b"1"})
    plain(repo, "update-index", "--chmod=+x", "run")
    plain(repo, "commit", "-qm", "x")
    plain(repo, "reset", "-q", "--hard")
    assert not save(repo, {"run": b"1"}).created, "the mode alone is no change"
    assert save(repo, {"run": b"2", "other": b"2", "new": b"2"}).created
    assert files(repo) == {"run": b"2", "other": b"2", "new": b"2"}
    modes = {
        line.split()[3]: line.split()[0] for line in plain(repo, "ls-files", "-s").splitlines()
    }
    assert modes == {"run": "100755", "other": "100644", "new": "100644"}
    assert os.access(repo.root / "run", os.X_OK)
    assert plain(repo, "status", "--porcelain") == ""


def test_a_file_and_a_folder_of_one_name_are_never_swapped_in_one_commit(repo, save, files):
    save(repo, {"a/b": b"1"})
    with pytest.raises(RefusedError, match="a: "):
        save(repo, {"a/b": None, "a": b"2"})
    save(repo, {"a/b": None})
    save(repo, {"a": b"2"})
    with pytest.raises(RefusedError, match="a/b: "):
        save(repo, {"a/b": b"3", "a": None})
    assert files(repo) == {"a": b"2"}


def test_message_trailers_and_author(repo, save, plain):
    made = save(
        repo, {"a": b"1"}, message="Export x\n\nbody", trailers={"Cluster": "x", "Torn": "no"}
    )
    info = commit_info(repo, made.id)
    assert (info.subject, info.trailers) == ("Export x", {"Cluster": "x", "Torn": "no"})
    who = "%an <%ae>|%cn <%ce>"
    ours = "gitops-dr <gitops-dr@localhost>"
    assert plain(repo, "log", "-1", f"--format={who}") == f"{ours}|{ours}"
    plain(repo, "config", "user.name", "Ana Ü")
    plain(repo, "config", "user.email", "ana@example.com")
    plain(repo, "config", "i18n.commitEncoding", "ISO-8859-1")
    save(repo, {"a": b"2"}, message="grüße")
    plain(repo, "config", "i18n.logOutputEncoding", "UTF-8")
    assert plain(repo, "log", "-1", f"--format={who}|%s") == (
        "Ana Ü <ana@example.com>|Ana Ü <ana@example.com>|grüße"
    )


def test_the_author_may_come_from_the_environment(repo, save, plain, monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_NAME", "CI")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ci@example.com")
    save(repo, {"a": b"1"})
    assert plain(repo, "log", "-1", "--format=%an %ae %cn") == "CI ci@example.com gitops-dr"


def test_time_and_odd_characters_of_a_name_are_as_git_has_them(repo, save, plain, monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_NAME", " <Ana> Ü\n")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ana@example.com")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2024-02-29T12:00:00 +0530")
    made = save(repo, {"a": b"1"}).id
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2024-02-29T12:00:00 +0530")
    tree = plain(repo, "rev-parse", f"{made}^{{tree}}")
    other = plain(repo, "commit-tree", "-m", "x", tree)
    who = "%an <%ae> %ai"
    assert plain(repo, "log", "-1", f"--format={who}", made) == plain(
        repo, "log", "-1", f"--format={who}", other
    )
    assert plain(repo, "log", "-1", "--format=%ai") == "2024-02-29 12:00:00 +0530"


def test_the_only_ref_is_the_branch_at_any_time(repo, save, plain):
    seen = set()

    def look(step):
        seen.update(plain(repo, "for-each-ref", "--format=%(refname)").split())

    save(repo, {"a": b"1"}, failpoint=look)
    save(repo, {"a": None, "b": b"2"}, failpoint=look)
    look("end")
    assert seen == {"refs/heads/main"}
    assert not (repo.git_dir / "logs/refs/gitops-dr").exists()
    assert plain(repo, "fsck", "--strict", "--no-dangling") == ""


NAMES = ['"quoted".yaml', "two\nlines", " space ", "ü", "a b", "'", "tab\t", "M 100644", "*", "[a]"]


def test_paths_are_what_they_are(repo, save, files, plain):
    changes = {f"{name}/{name}": name.encode() for name in NAMES}
    save(repo, changes)
    assert files(repo) == changes
    assert plain(repo, "status", "--porcelain") == ""
    save(repo, dict.fromkeys(changes))
    assert files(repo) == {}
    assert plain(repo, "ls-tree", "HEAD") == ""


def test_names_that_differ_in_case_only_are_two(repo, save, plain):
    plain(repo, "config", "core.ignoreCase", "true")
    save(repo, {"C/a": b"1", "c/A": b"2", "c/a": b"3"})
    save(repo, {"c/a": b"4"})
    assert plain(repo, "ls-tree", "-r", "--name-only", "HEAD").split() == ["C/a", "c/A", "c/a"]
    assert plain(repo, "show", "HEAD:C/a") == "1"


def test_a_folder_is_no_file_to_delete(repo, save, files, plain, tmp_path):
    first = save(repo, {"c/a": b"1"})
    plain(tmp_path, "clone", "-q", "--bare", "repo", "bare.git")
    bare = open_repository(tmp_path / "bare.git")
    assert save(bare, {"c": None}) == module.Commit(first.id, created=False)


def test_the_guard_sees_everything_and_stops_everything(repo, save, files):
    seen = []

    def guard(path, data):
        seen.append((path, data))
        return "holds a plaintext Secret" if path == "b" else None

    save(repo, {"old": b"x"})
    before = sorted(repo.git_dir.rglob("*"))
    with pytest.raises(RefusedError, match="b: holds a plaintext Secret"):
        save(repo, {"a": b"1", "old": None, "b": b"2", "c": b"3"}, guard=guard)
    assert seen == [("a", b"1"), ("b", b"2")]
    assert sorted(repo.git_dir.rglob("*")) == before
    assert files(repo) == {"old": b"x"}


@pytest.mark.parametrize("path", ["../x", "/x", ".GIT/hooks/x", "a\\b", "a\0", "a/../.git/x"])
@pytest.mark.parametrize("data", [b"x", None])
def test_unsafe_paths_are_refused(repo, save, path, data):
    with pytest.raises(RefusedError):
        save(repo, {"fine": b"1", path: data})
    assert head(repo) is None
    assert not (repo.git_dir / "gitops-dr").exists()


def test_a_file_that_could_not_be_read_back_is_refused(repo, save, monkeypatch):
    monkeypatch.setattr(module, "MAX_BLOB", 10)
    with pytest.raises(RefusedError, match="a: 11 bytes"):
        save(repo, {"a": b"x" * 11})


def test_foreign_files_stay(repo, save, plain, files):
    save(repo, {"c/a": b"1", "c/b": b"2"})
    (repo.root / "c/mine").write_text("untracked")
    (repo.root / "other").write_text("staged")
    plain(repo, "add", "other")
    save(repo, {"c/a": None, "c/b": None})
    assert files(repo) == {"c/mine": b"untracked", "other": b"staged"}
    assert plain(repo, "status", "--porcelain") == "A  other\n?? c/"
    assert plain(repo, "show", "--name-only", "--format=") == "c/a\nc/b"


@pytest.mark.parametrize("how", ["edited", "staged", "deleted", "untracked", "link", "obstacle"])
def test_uncommitted_work_in_the_way_is_refused(repo, save, plain, files, how):
    commit = save(repo, {"c/a": b"1"}).id
    path = repo.root / "c/a"
    target = "c/a"
    match how:
        case "edited":
            path.write_bytes(b"mine")
        case "staged":
            path.write_bytes(b"mine")
            plain(repo, "add", "c/a")
            path.write_bytes(b"1")
        case "deleted":
            path.unlink()
        case "untracked":
            target = "c/new"
            (repo.root / target).write_bytes(b"mine")
        case "link":
            path.unlink()
            path.symlink_to("/etc/passwd")
        case "obstacle":
            target = "c/a/b"
            path.write_bytes(b"mine")
    before = files(repo), plain(repo, "status", "--porcelain")
    with pytest.raises(RefusedError, match=f"{target}: .*uncommitted"):
        save(repo, {target: b"ours", "c/fine": b"x"})
    assert (files(repo), plain(repo, "status", "--porcelain")) == before
    assert head(repo) == commit


def test_a_head_that_moved_before_is_noticed(repo, save, plain):
    old = save(repo, {"a": b"1"}).id
    plain(repo, "commit", "-qm", "theirs", "--allow-empty")
    theirs = head(repo)
    with pytest.raises(RepositoryError, match="HEAD moved") as caught:
        save(repo, {"a": b"2"}, expected=old)
    assert theirs in caught.value.hint
    with pytest.raises(RepositoryError, match="HEAD moved"):
        save(repo, {}, expected=old)
    assert head(repo) == theirs


def test_a_head_that_moves_meanwhile_is_noticed(repo, save, plain, files):
    save(repo, {"a": b"1"})

    def meanwhile(step):
        if step == "recorded":
            plain(repo, "commit", "-qm", "theirs", "--allow-empty")

    with pytest.raises(RepositoryError, match="HEAD moved"):
        save(repo, {"a": b"2"}, failpoint=meanwhile)
    assert plain(repo, "log", "-1", "--format=%s") == "theirs"
    assert files(repo) == {"a": b"1"}
    assert plain(repo, "status", "--porcelain") == ""
    assert save(repo, {"a": b"2"}).created


def test_a_branch_that_is_born_meanwhile_is_noticed(repo, save, plain):
    def meanwhile(step):
        if step == "commit":
            plain(repo, "commit", "-qm", "theirs", "--allow-empty")

    with pytest.raises(RepositoryError, match="HEAD moved"):
        save(repo, {"a": b"2"}, failpoint=meanwhile)
    assert plain(repo, "log", "--format=%s") == "theirs"


def test_two_at_once_are_refused(repo, save):
    with exclusive(repo), pytest.raises(RepositoryError, match="another gitops-dr"):
        save(repo, {"a": b"1"})
    assert save(repo, {"a": b"1"}).created


def test_locks_of_git_are_named(repo, save, files):
    save(repo, {"a": b"1"})
    lock = repo.git_dir / "index.lock"
    lock.touch()
    with pytest.raises(RepositoryError, match=r"index\.lock") as caught:
        save(repo, {"a": b"2"})
    assert "delete the file" in caught.value.hint
    lock.rename(repo.git_dir / "refs/heads/main.lock")
    with pytest.raises(RepositoryError, match=r"main\.lock") as caught:
        save(repo, {"a": b"2"})
    assert "delete the .lock" in caught.value.hint
    assert files(repo) == {"a": b"1"}


def test_an_index_lock_that_appears_late_is_survived(repo, save, files, plain):
    save(repo, {"a": b"1"})
    lock = repo.git_dir / "index.lock"
    with pytest.raises(RepositoryError, match=r"index\.lock"):
        save(repo, {"a": b"2"}, failpoint=lambda step: lock.touch() if step == "branch" else None)
    lock.unlink()
    assert save(repo, {"a": b"2"}).created is False
    assert files(repo) == {"a": b"2"}
    assert plain(repo, "status", "--porcelain") == ""


def test_no_commit_while_head_is_detached_or_a_merge_is_under_way(repo, save, plain):
    commit = save(repo, {"a": b"1"}).id
    (repo.git_dir / "MERGE_HEAD").write_text(f"{commit}\n")
    with pytest.raises(RepositoryError, match="a merge is under way"):
        save(repo, {"a": b"2"})
    (repo.git_dir / "MERGE_HEAD").unlink()
    plain(repo, "switch", "-q", "--detach")
    with pytest.raises(RepositoryError, match="detached"):
        save(repo, {"a": b"2"})
    assert head(repo) == commit


def test_what_the_tree_has_in_the_way_is_not_replaced(tmp_path, repo, save, plain):
    (repo.root / "clusters").symlink_to("/tmp")
    (repo.root / "file").write_text("mine")
    plain(repo, "add", ".")
    plain(repo, "commit", "-qm", "theirs")
    plain(tmp_path, "clone", "-q", "--bare", "repo", "bare.git")
    bare = open_repository(tmp_path / "bare.git")
    before = head(bare)
    for path, way in (("clusters/x/a", "clusters"), ("file/x", "file")):
        with pytest.raises(RepositoryError, match=f"{way}: it is in the way"):
            save(bare, {path: b"1"})
    assert head(bare) == before


def test_a_linked_folder_is_never_written_through(repo, save, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo.root / "clusters").symlink_to(outside)
    with pytest.raises(RefusedError, match="clusters/a"):
        save(repo, {"clusters/a": b"1"})
    (repo.root / "clusters").unlink()

    def swap(step):
        if step == "branch":
            (repo.root / "clusters").symlink_to(outside)

    made = save(repo, {"clusters/a": b"1"}, failpoint=swap)
    assert made.left == ("clusters/a",)
    assert list(outside.iterdir()) == []


def test_the_users_edit_during_the_commit_is_kept(repo, save, files, plain):
    save(repo, {"a": b"1", "b": b"1"})

    def edit(step):
        if step == "branch":
            (repo.root / "a").write_bytes(b"mine")
            (repo.root / "b").write_bytes(b"staged")
            plain(repo, "add", "b")

    made = save(repo, {"a": b"2", "b": b"2", "c": b"2"}, failpoint=edit)
    assert made.left == ("a", "b")
    assert files(repo) == {"a": b"mine", "b": b"staged", "c": b"2"}
    assert plain(repo, "status", "--porcelain") == " M a\nM  b"


def test_a_full_disk_is_named_and_the_rest_finished_later(repo, save, files, monkeypatch):
    save(repo, {"d/a": b"1", "d/b": b"1"})
    rename = os.rename

    def full(source, target, **where):
        if target == "b":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target, **where)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(RepositoryError, match="d/b: No space left on device"):
            save(repo, {"d/a": b"2", "d/b": b"2"})
    assert files(repo) == {"d/a": b"2", "d/b": b"1"}
    save(repo, {})
    assert files(repo) == {"d/a": b"2", "d/b": b"2"}


def test_a_new_file_that_does_not_fit_is_not_left_there(repo, save, files, monkeypatch):
    write = os.write

    def full(file, data):
        if bytes(data).startswith(b"second half"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data[:10])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(RepositoryError, match="d/b: No space left on device"):
            save(repo, {"d/a": b"1", "d/b": b"first halfsecond half"})
    assert files(repo) == {"d/a": b"1"}
    save(repo, {})
    assert files(repo) == {"d/a": b"1", "d/b": b"first halfsecond half"}


def test_thousands_of_files_and_a_big_one(repo, save, files, plain):
    changes = {f"c/n{i % 20}/f{i}.yaml": f"{i}\n".encode() * 50 for i in range(1000)}
    changes["c/big.yaml"] = b"big " * 5_000_000
    save(repo, changes)
    assert files(repo) == changes
    assert plain(repo, "status", "--porcelain") == ""
    save(repo, dict.fromkeys(changes))
    assert files(repo) == {}
    assert not (repo.root / "c").exists()
