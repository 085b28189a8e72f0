"""Every blob of the history is looked at once, and a commit is named for what is found."""

import pytest

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.blobs import Blob, every_blob, origins
from gitops_dr.repository.repository import head


@pytest.fixture
def history(repo, save):
    """Three commits: made, changed, removed."""
    save(repo, {"a/one": b"one", "a/same": b"twice", "b/same": b"twice"})
    first = head(repo)
    save(repo, {"a/one": b"other", "c": b""})
    second = head(repo)
    save(repo, {"a/one": None})
    return first, second, head(repo)


def contents(repo) -> dict[str, bytes | None]:
    found = list(every_blob(repo))
    assert len({blob.id for blob in found}) == len(found), "each once"
    return {blob.path: blob.data for blob in found}


def test_all_of_the_history_each_once(repo, history):
    found = {blob.data: blob.path for blob in every_blob(repo)}
    assert found.keys() == {b"one", b"other", b"twice", b""}
    assert found[b"twice"] in ("a/same", "b/same")
    assert found[b"one"] == "a/one"


def test_an_empty_repository_has_none(repo):
    assert list(every_blob(repo)) == []
    assert origins(repo, ["0" * 40]) == {}


@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/tags/v1", "refs/notes/x", "refs/stash"])
def test_whatever_any_ref_leads_to(repo, save, plain, ref):
    save(repo, {"kept": b"kept"})
    kept = head(repo)
    save(repo, {"hidden": b"hidden"})
    plain(repo, "update-ref", ref, "HEAD")
    plain(repo, "reset", "--quiet", "--hard", kept)
    assert contents(repo) == {"kept": b"kept", "hidden": b"hidden"}
    plain(repo, "update-ref", "-d", ref)
    assert contents(repo) == {"kept": b"kept"}


def test_a_tag_of_a_blob_is_one_too(repo, save, plain):
    save(repo, {"kept": b"kept"})
    (repo.root / "loose").write_bytes(b"loose")
    plain(repo, "tag", "blob", plain(repo, "hash-object", "-w", "loose"))
    assert b"loose" in {blob.data for blob in every_blob(repo)}


def test_a_detached_head_is_looked_at(repo, save, plain, history):
    plain(repo, "checkout", "--quiet", "--detach")
    (repo.root / "late").write_text("late")
    plain(repo, "add", "late")
    plain(repo, "commit", "--quiet", "-m", "late")
    assert "late" in contents(repo)


def test_more_than_one_helping(repo, save, monkeypatch):
    monkeypatch.setattr("gitops_dr.repository.blobs._AT_ONCE", 3)
    save(repo, {f"d{n % 4}/{n}": b"%d" % n for n in range(20)})
    assert contents(repo) == {f"d{n % 4}/{n}": b"%d" % n for n in range(20)}


def test_what_is_too_large_is_said_and_not_read(repo, save):
    save(repo, {"large": b"x" * 11, "small": b"x" * 10})
    by_path = {blob.path: blob for blob in every_blob(repo, limit=10)}
    assert by_path["small"].data == b"x" * 10
    assert by_path["large"].data is None
    assert by_path["large"].problem == "has 11 bytes, more than the 10 that are read"


def test_what_a_partial_clone_lacks_is_said_and_not_fetched(repo, save, plain, tmp_path):
    save(repo, {"a": b"one"})
    plain(repo, "config", "uploadpack.allowFilter", "true")
    copy = tmp_path / "copy"
    plain(repo, "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{repo.root}", copy)
    from gitops_dr.repository.repository import open_repository

    found = list(every_blob(open_repository(copy)))
    assert found == [Blob(repo.blob_id(b"one"), "", None, "is not in this clone")]


def test_a_damaged_blob_is_an_error(repo, save, plain):
    save(repo, {"a": b"one"})
    plain(repo, "repack", "-a", "-d", "--quiet")
    (pack,) = (repo.git_dir / "objects" / "pack").glob("*.pack")
    plain(repo, "unpack-objects", "-q", check=False)
    data = bytearray(pack.read_bytes())
    pack.chmod(0o600)
    data[14] ^= 0xFF
    pack.write_bytes(bytes(data))
    with pytest.raises(RepositoryError):
        list(every_blob(repo))


def test_names_that_are_not_plain_are_kept(repo, save, plain):
    save(repo, {'sp ace/"q"/ü': b"odd"})
    assert contents(repo) == {'sp ace/"q"/ü': b"odd"}
    blob = repo.blob_id(b"odd")
    assert origins(repo, [blob])[blob].path == 'sp ace/"q"/ü'


def test_a_blob_comes_from_the_oldest_commit_that_has_it(repo, history):
    first, second, _ = history
    wanted = {data: repo.blob_id(data) for data in (b"one", b"other", b"twice")}
    found = origins(repo, wanted.values())
    assert found[wanted[b"one"]].commit == first
    assert found[wanted[b"other"]].commit == second
    assert found[wanted[b"other"]].path == "a/one"
    assert found[wanted[b"twice"]].commit == first


def test_a_blob_that_came_back_is_from_where_it_came_first(repo, save):
    save(repo, {"a": b"bad"})
    first = head(repo)
    save(repo, {"a": None})
    save(repo, {"b": b"bad"})
    blob = repo.blob_id(b"bad")
    found = origins(repo, [blob])[blob]
    assert (found.commit, found.path) == (first, "a")


def test_a_blob_that_only_a_merge_brought_in_is_found(repo, save, plain):
    save(repo, {"a": b"base"})
    plain(repo, "checkout", "--quiet", "-b", "side")
    save(repo, {"b": b"side"})
    plain(repo, "checkout", "--quiet", "main")
    save(repo, {"c": b"main"})
    plain(repo, "merge", "--quiet", "--no-commit", "side")
    (repo.root / "evil").write_text("evil")
    plain(repo, "add", "evil")
    plain(repo, "commit", "--quiet", "-m", "merge")
    blob = repo.blob_id(b"evil")
    assert b"evil" in {found.data for found in every_blob(repo)}
    assert (origins(repo, [blob])[blob].commit, origins(repo, [blob])[blob].path) == (
        head(repo),
        "evil",
    )
