"""A new private key is in a file of its own that only its owner can read, or nowhere."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.keys.new_key import place_for_key, write_new_key

NOW = datetime(2026, 11, 26, 10, 0, 7, tzinfo=UTC)


def test_the_file_is_what_age_keygen_writes(tmp_path: Path) -> None:
    recipient = write_new_key(tmp_path / "key.txt", title="For a test", now=NOW)
    title, created, public, identity = (tmp_path / "key.txt").read_text().splitlines()
    assert (title, created) == ("# For a test", "# created: 2026-11-26T10:00:07Z")
    assert public == f"# public key: {recipient}"
    assert str(pyrage.x25519.Identity.from_str(identity).to_public()) == recipient
    assert recipient != write_new_key(tmp_path / "other.txt", title="Another", now=NOW)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_its_owner_can_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_new_key(tmp_path / "key.txt", title="x", now=NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.txt").stat().st_mode) == 0o600


def test_nobody_else_can_read_it_even_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fchmod", lambda _file, _mode: None)
    before = os.umask(0)
    try:
        write_new_key(tmp_path / "key.txt", title="x", now=NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize("what", ["file", "link", "dangling link"])
def test_what_somebody_put_there_meanwhile_stays(tmp_path: Path, what: str) -> None:
    place, other = tmp_path / "key.txt", tmp_path / "other"
    if what == "link":
        other.write_text("precious")
    if what == "file":
        place.write_text("precious")
    else:
        place.symlink_to(other)
    with pytest.raises(RefusedError, match="never overwritten"):
        write_new_key(place, title="x", now=NOW)
    if what == "dangling link":
        assert not other.exists()
    else:
        assert place.read_text() == "precious"


def test_a_disk_that_is_full_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_new_key(tmp_path / "key.txt", title="x", now=NOW)
    assert not list(tmp_path.iterdir())


def test_its_place_is_found_behind_links_and_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "repo"
    for folder in (outside, tmp_path / "keys"):
        folder.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("~/keys/a.txt", "~/link/a.txt", str(tmp_path / "repo" / ".." / "keys" / "a.txt")):
        found = place_for_key(Path(text), outside=outside)
        assert found == (tmp_path / "keys" / "a.txt").resolve()
    beside = place_for_key(tmp_path / "repository-keys.txt", outside=outside)
    assert beside.name == "repository-keys.txt", "a name that begins alike is no folder of it"
    with pytest.raises(RefusedError, match="inside the repository"):
        place_for_key(tmp_path / "keys" / ".." / "repo" / "a.txt", outside=outside)
