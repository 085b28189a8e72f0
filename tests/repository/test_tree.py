"""Reading trees and blobs."""

from __future__ import annotations

import zlib

import pytest

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.tree import blobs, read, read_file, tree_changes


def test_paths_are_relative_to_the_prefix(repo, save):
    commit = save(
        repo, {"clusters/x/a.yaml": b"a", "clusters/x/d/b.yaml": b"b", "clusters/xy/c": b"c"}
    ).id
    wanted = {"a.yaml": repo.blob_id(b"a"), "d/b.yaml": repo.blob_id(b"b")}
    assert blobs(repo, commit, "clusters/x") == wanted
    assert blobs(repo, "HEAD", "clusters/x/") == wanted
    assert blobs(repo, commit, "clusters/z") == {}
    assert blobs(repo, commit, "clusters/*") == {}
    assert len(blobs(repo, commit, "")) == 3


def test_names_of_every_kind(repo, save, files, plain):
    long = "n" * 195 + ".yaml"
    changes = {
        f"clusters/x/{name}": name.encode()
        for name in (
            long,
            "ü/日本.yaml",
            "a b\t.yaml",
            '"quoted".yaml',
            "line\nbreak",
            "-rf",
            ":(top)x",
        )
    }
    commit = save(repo, changes).id
    assert files(repo) == changes
    found = blobs(repo, commit, "clusters/x")
    contents = dict(read(repo, found.values()))
    assert {f"clusters/x/{path}": contents[blob] for path, blob in found.items()} == changes
    assert read_file(repo, commit, "clusters/x/:(top)x") == b":(top)x"
    assert plain(repo, "status", "--porcelain") == ""


def test_links_and_submodules_are_refused_by_name(repo, save, plain):
    save(repo, {"clusters/x/a.yaml": b"a"})
    (repo.root / "clusters/x/link").symlink_to("/etc/passwd")
    plain(repo, "add", ".")
    gitlink = f"160000,{'1' * 40},clusters/x/sub"
    plain(repo, "update-index", "--add", "--cacheinfo", gitlink)
    plain(repo, "commit", "-qm", "foreign")
    with pytest.raises(RepositoryError) as caught:
        blobs(repo, "HEAD", "clusters/x")
    assert "clusters/x/link is a symbolic link" in caught.value.message
    assert "clusters/x/sub is a submodule" in caught.value.message
    with pytest.raises(RepositoryError, match="symbolic link"):
        read_file(repo, "HEAD", "clusters/x/link")
    with pytest.raises(RepositoryError, match="a folder"):
        read_file(repo, "HEAD", "clusters/x")
    assert blobs(repo, "HEAD", "clusters/y") == {}


def test_a_prefix_that_is_no_folder_is_refused(repo, save):
    save(repo, {"clusters": b"a"})
    with pytest.raises(RepositoryError, match="clusters: it is a file"):
        blobs(repo, "HEAD", "clusters")


@pytest.mark.parametrize("name", [b"..", b".git", b"a\\b", b"\xff\xfe"])
def test_a_tree_made_by_an_enemy_is_refused(repo, plain, name):
    blob = plain(repo, "hash-object", "-w", "--stdin")
    raw = b"100644 %b\0" % name + bytes.fromhex(blob)
    (repo.root / "tree").write_bytes(raw)
    inner = plain(repo, "hash-object", "-t", "tree", "-w", "--literally", "tree")
    (repo.root / "outer").write_bytes(b"40000 x\0" + bytes.fromhex(inner))
    outer = plain(repo, "hash-object", "-t", "tree", "-w", "--literally", "outer")
    commit = plain(repo, "commit-tree", "-m", "evil", outer)
    with pytest.raises(RepositoryError, match="the path"):
        blobs(repo, commit, "x")


def test_many_more_ids_than_a_pipe_holds_and_a_big_blob_do_not_block(repo, save):
    big = bytes(range(256)) * 80_000
    save(repo, {"small": b"s" * 30, "big": big})
    small = repo.blob_id(b"s" * 30)
    ids = [small] * 10_000 + [repo.blob_id(big)] + [small] * 10_000
    sizes = [len(data) for _, data in read(repo, iter(ids))]
    assert sizes == [30] * 10_000 + [len(big)] + [30] * 10_000


def test_reading_may_stop_early(repo, save):
    save(repo, {"a": b"a" * 100_000})
    reader = read(repo, [repo.blob_id(b"a" * 100_000)] * 1000)
    next(reader)
    reader.close()


def test_what_cannot_be_read_is_named(repo, save):
    commit = save(repo, {"a": b"a" * 101}).id
    blob = repo.blob_id(b"a" * 101)
    with pytest.raises(RepositoryError, match="101 bytes, more than the 100"):
        list(read(repo, [blob], limit=100))
    with pytest.raises(RepositoryError, match="missing"):
        list(read(repo, ["1" * 40]))
    with pytest.raises(RepositoryError, match="unreadable"):
        list(read(repo, [commit]))
    with pytest.raises(RepositoryError, match="not a blob id"):
        list(read(repo, ["HEAD:a\n"]))
    assert list(read(repo, [])) == []


def test_a_damaged_blob_is_found(repo, save):
    save(repo, {"a": b"true"})
    blob = repo.blob_id(b"true")
    path = repo.git_dir / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(b"blob 4\0lies"))
    with pytest.raises(RepositoryError, match=f"blob {blob}: damaged"):
        read_file(repo, "HEAD", "a")


def test_a_file_that_is_not_there_is_none(repo, save):
    save(repo, {"a/b": b""})
    assert read_file(repo, "HEAD", "a/b") == b""
    assert read_file(repo, "HEAD", "a/c") is None
    assert read_file(repo, "HEAD", "b/c") is None
    with pytest.raises(RepositoryError, match="plain relative"):
        read_file(repo, "HEAD", "../x")
    with pytest.raises(RepositoryError, match="nope"):
        read_file(repo, "nope", "a/b")


def test_changes_between_trees(repo, save):
    first = save(repo, {"a": b"a", "b": b"b"}).id
    second = save(repo, {"a": None, "b": b"c", "d": b"a"}).id
    seen = {
        change.path: (change.old and change.old.id, change.new and change.new.id)
        for change in tree_changes(repo, first, second)
    }
    a, b, c = map(repo.blob_id, (b"a", b"b", b"c"))
    assert seen == {"a": (a, None), "b": (b, c), "d": (None, a)}
