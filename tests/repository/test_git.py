"""The door: nothing foreign runs, nothing leaks, nothing deadlocks."""

from __future__ import annotations

import pytest

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.checkout import dirty
from gitops_dr.repository.git import Git, check_version, scrub, user_revision
from gitops_dr.repository.history import commit_info, resolve
from gitops_dr.repository.repository import open_repository
from gitops_dr.repository.tree import blobs, read, read_file, tree_changes


def test_no_program_of_the_repository_runs(repo, trap, save, plain, files):
    first = save(repo, {"clusters/x/a.yaml": b"a\n"}).id
    marker = trap(repo)
    repo = open_repository(repo.root / "clusters")
    changes = {"clusters/x/a.yaml": b"a\r\nb\n$Id$\n", "clusters/x/b.yaml": b"b\n"}
    made = save(repo, changes, trailers={"Trap": "x"})
    again = save(repo, {"clusters/x/a.yaml": None})

    assert blobs(repo, made.id, "clusters/x").keys() == {"a.yaml", "b.yaml"}
    assert read_file(repo, made.id, "clusters/x/a.yaml") == changes["clusters/x/a.yaml"]
    assert resolve(repo, "main", cluster_prefix="clusters/x") == again.id
    assert resolve(repo, "2999-01-01 00:00", cluster_prefix="clusters/x") == again.id
    assert commit_info(repo, made.id).trailers == {"Trap": "x"}
    assert len(tree_changes(repo, first, made.id)) == 2
    assert dirty(repo, "clusters/x") == []
    assert dirty(repo) == [".gitattributes"]
    with pytest.raises(RepositoryError):
        list(read(repo, ["1" * 40]))
    assert not marker.exists(), marker.read_text()
    assert files(repo)["clusters/x/b.yaml"] == b"b\n"

    # The trap works: plain git springs it, with hooks, filters and the remote alike.
    plain(repo, "update-ref", "refs/heads/other", made.id)
    (repo.root / "clusters/x/b.yaml").write_bytes(b"edited\n")
    plain(repo, "add", "clusters", check=False)
    plain(repo, "cat-file", "-e", "1" * 40, check=False)
    sprung = marker.read_text()
    assert "reference-transaction" in sprung
    assert "trap.sh \n" in sprung
    assert "git-upload-pack" in sprung


def test_bytes_are_what_was_given_despite_attributes(repo, save, plain, files):
    plain(repo, "config", "core.autocrlf", "true")
    changes = {
        ".gitattributes": b"* text eol=crlf working-tree-encoding=UTF-16 ident\n",
        "a.yaml": b"one\ntwo\r\nthree\r$Id$\n",
        "b.yaml": b"no newline",
        "c.yaml": "\ufeffü\x85\u2028".encode(),
        "d.yaml": bytes(range(256)),
    }
    commit = save(repo, changes).id
    assert files(repo) == changes
    assert {path: read_file(repo, commit, path) for path in changes} == changes
    assert dirty(repo) == []


def test_the_callers_git_variables_are_dropped(repo, save, tmp_path, monkeypatch):
    save(repo, {"a": b"a"})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    opened = open_repository(repo.root)
    assert opened == repo
    save(opened, {"b": b"b"})
    assert not (tmp_path / "elsewhere").exists()


def test_replacements_do_not_change_what_a_commit_is(repo, save, plain):
    first = save(repo, {"a": b"first"}).id
    second = save(repo, {"a": b"second"}).id
    plain(repo, "replace", second, first)
    assert plain(repo, "show", f"{second}:a") == "first"
    assert read_file(repo, second, "a") == b"second"


def test_without_git_the_error_says_so(repo, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="git: not found") as caught:
        open_repository(repo.root)
    assert "install git" in caught.value.hint


def test_an_old_git_is_named(tmp_path, monkeypatch):
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.25.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(RepositoryError, match=r"2\.25 is too old"):
        check_version()


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(RepositoryError, match="gone: No such file"):
        Git(tmp_path / "gone").run(["version"])


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("hint: x\nfatal: real\nmore\n", "real"),
        ("error: broken\n", "broken"),
        (
            "fatal: unable to access 'https://me:s3cret@host/x': no",
            "unable to access 'https://***@host/x': no",
        ),
        ("fatal: https://tok/en@en@host/x", "https://tok/en@en@host/x"),
        ("warning: https://p@w@host/x", "warning: https://***@host/x"),
        ("fatal: \x1b[31mred\x07", "?[31mred?"),
    ],
)
def test_complaints_are_scrubbed(said, line):
    assert scrub(said) == line


def test_a_failure_shows_no_credentials(repo):
    with pytest.raises(RepositoryError) as caught:
        repo.git.run(["ls-remote", "https://me:s3cret@example.invalid/x"])
    assert "s3cret" not in caught.value.message
    assert "not allowed" in caught.value.message


@pytest.mark.parametrize("text", ["", "-x", "--upload-pack=x", "^main", "a\nb", "a\0b"])
def test_no_option_is_taken_for_a_revision(repo, text):
    with pytest.raises(RepositoryError, match="not the name of a commit"):
        user_revision(text)
    with pytest.raises(RepositoryError):
        blobs(repo, text, "x")
    with pytest.raises(RepositoryError):
        resolve(repo, text, cluster_prefix="x")


def test_a_command_that_ends_early_is_reported_not_hung(repo):
    with pytest.raises(RepositoryError, match="fast-import"):
        repo.git.feed(["fast-import", "--quiet"], (b"nonsense\n" for _ in range(100_000)))


def test_an_error_while_feeding_ends_the_command(repo):
    def chunks():
        yield b"blob\ndata 3\nabc\n"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        repo.git.feed(["fast-import", "--quiet", "--done"], chunks())
    assert list(repo.git_dir.glob("objects/pack/*.pack")) == []
