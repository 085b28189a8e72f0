"""Directories as volumes, copies as snapshots."""

import pytest

from gitops_dr.lab.storage import Faults, Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path)


def tree(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*")}


def test_a_snapshot_is_a_copy_of_one_moment(storage, tmp_path):
    storage.create_volume("one")
    (tmp_path / "volumes/one/deep").mkdir()
    (tmp_path / "volumes/one/deep/file").write_text("before")
    (tmp_path / "volumes/one/link").symlink_to("/nowhere")
    made = storage.create_snapshot("snap", "one")
    assert (made.volume, made.size) == ("one", len("before"))
    (tmp_path / "volumes/one/deep/file").write_text("after")
    storage.delete_volume("one")

    storage.create_volume("two", "snap")
    restored = tree(tmp_path / "volumes/two")
    assert set(restored) == {"deep", "deep/file", "link"}
    assert restored["deep/file"].read_text() == "before"
    assert restored["link"].is_symlink()


def test_doing_it_twice_changes_nothing(storage, tmp_path):
    storage.create_volume("one")
    (tmp_path / "volumes/one/file").write_text("kept")
    storage.create_volume("one")
    first = storage.create_snapshot("snap", "one")
    (tmp_path / "volumes/one/file").write_text("changed since")
    assert storage.create_snapshot("snap", "one") == first
    for _ in range(2):
        storage.delete_snapshot("snap")
        storage.delete_volume("one")
    assert storage.snapshots() == ()
    assert set(tree(tmp_path)) == {"volumes", "snapshots"}


def test_two_labs_see_the_same(storage, tmp_path):
    other = Storage(tmp_path)
    storage.create_volume("one")
    made = storage.create_snapshot("snap", "one")
    assert other.snapshots() == (made,)
    assert other.snapshot("snap") == made
    assert other.snapshot("missing") is None


def test_a_copy_that_fails_leaves_nothing(storage, tmp_path, monkeypatch):
    storage.create_volume("one")
    storage.create_snapshot("snap", "one")

    def broken(source, target, **_):
        target.mkdir(parents=True)
        raise OSError("disk full")

    monkeypatch.setattr("shutil.copytree", broken)
    with pytest.raises(OSError, match="disk full"):
        storage.create_volume("two", "snap")
    with pytest.raises(OSError, match="disk full"):
        storage.create_snapshot("second", "one")
    assert set(tree(tmp_path / "volumes")) == {"one"}
    assert [snapshot.identifier for snapshot in storage.snapshots()] == ["snap"]


def test_what_is_not_there_or_not_the_same_is_an_error(storage):
    storage.create_volume("one")
    storage.create_volume("two")
    storage.create_snapshot("snap", "one")
    with pytest.raises(LookupError):
        storage.create_volume("three", "missing")
    with pytest.raises(LookupError):
        storage.create_snapshot("other", "missing")
    with pytest.raises(FileExistsError):
        storage.create_snapshot("snap", "two")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\0b", "x" * 300])
def test_names_stay_in_the_folder(storage, name, tmp_path):
    for act in (storage.create_volume, storage.delete_volume, storage.delete_snapshot):
        with pytest.raises(ValueError, match="not the name"):
            act(name)
    assert set(tree(tmp_path)) == {"volumes", "snapshots"}


def test_faults_last_until_they_are_taken_back(storage, tmp_path):
    assert storage.faults() == Faults()
    storage.set_faults(Faults(never_ready=True, volume_error="full"))
    assert Storage(tmp_path).faults() == Faults(never_ready=True, volume_error="full")
    storage.set_faults(Faults())
    assert storage.faults() == Faults()
    assert set(tree(tmp_path)) == {"volumes", "snapshots", "faults.json"}
