"""Bytes by name, in memory or on the disk: the same to whoever asks."""

import errno
import gc
import os
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from gitops_dr.engine import contents as module
from gitops_dr.engine.contents import Contents, FileChanges
from gitops_dr.errors import UsageError

FILES = {"a": b"", "b": b"1" * 100, "c": b"2" * 1000, "d": b"3", "e": b"4" * 5000}


@pytest.mark.parametrize("room", [0, 1, 150, 1 << 20])
def test_what_was_put_is_there(room):
    kept = Contents(room)
    kept.update(FILES)
    assert kept == FILES
    assert list(kept) == list(FILES)
    assert len(kept) == len(FILES)
    assert "c" in kept
    assert "x" not in kept
    assert kept.get("x") is None
    kept["c"] = b"other"
    del kept["b"]
    assert kept == {"a": b"", "c": b"other", "d": b"3", "e": FILES["e"]}
    with pytest.raises(KeyError):
        kept["b"]


@pytest.mark.parametrize("room", [0, 1 << 20])
def test_the_same_below_a_folder(room):
    kept = Contents(room)
    kept.update(FILES)
    moved = kept.below("x/y")
    del kept
    assert moved == {f"x/y/{name}": data for name, data in FILES.items()}
    moved["z"] = b"new"
    assert moved["z"] == b"new"
    assert moved["x/y/e"] == FILES["e"]


def test_memory_holds_no_more_than_its_part():
    tracemalloc.start()
    try:
        kept = Contents(1 << 20)
        for number in range(100):
            kept[str(number)] = bytes([number]) * (1 << 18)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 << 20
    assert all(kept[str(number)] == bytes([number]) * (1 << 18) for number in range(100))


def opened_in(folder: Path) -> list[str]:
    """The files of a folder that this process has open, those without a name too."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        # Other threads close theirs meanwhile.
        with suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return [name for name in found if name.startswith(f"{folder}/")]


def test_the_file_has_no_name_and_goes_with_the_last_who_knows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    kept = Contents(0)
    kept["a"] = b"1"
    moved = kept.below("x")
    assert list(tmp_path.iterdir()) == []
    assert len(opened_in(tmp_path)) == 1
    del kept
    gc.collect()
    assert moved["x/a"] == b"1"
    del moved
    gc.collect()
    assert opened_in(tmp_path) == []


def test_a_full_disk_is_named(monkeypatch):
    def full(_file, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = Contents(1)
    kept["a"] = b"1"
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UsageError, match="No space left on device") as caught:
        kept["b"] = b"2"
    assert "TMPDIR" in caught.value.hint
    assert kept == {"a": b"1"}


def test_changes_know_what_is_written_and_what_goes():
    changes = FileChanges()
    changes.update({"b": b"2", "a": b"1", "d": None, "c": None})
    assert changes == {"a": b"1", "b": b"2", "c": None, "d": None}
    assert (changes.written, changes.deleted) == (["a", "b"], ["c", "d"])
    changes["a"] = None
    changes["c"] = b"3"
    del changes["b"], changes["d"]
    assert changes == {"a": None, "c": b"3"}
    assert (changes.written, changes.deleted) == (["c"], ["a"])
    assert len(changes) == 2
    assert "a" in changes
    assert "b" not in changes
    assert changes.below("x") == {"x/a": None, "x/c": b"3"}
    assert changes.get("b", b"none") == b"none"
