"""The lab's storage backend: directories as volumes, copies as snapshots. Writes files.

    volumes/ID/            a volume's data
    snapshots/ID/data/     a snapshot's data
    snapshots/ID/origin    the volume that it is of, and when it was made (seconds since 1970)
    faults.json            what the driver shall do wrong; absent for nothing

Two labs may use one storage at once. A volume or snapshot appears by a rename, so it is whole or
absent; making one that exists, or deleting one that does not, changes nothing.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True, order=True)
class Snapshot:
    """A copy of a volume at one time."""

    identifier: str
    volume: str
    created: int
    """Seconds since 1970."""
    size: int
    """Bytes of its files."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What the driver does wrong, for those who test what then happens."""

    snapshot_error: str = ""
    """With this text every new snapshot fails; empty for none."""
    volume_error: str = ""
    """With this text every new volume fails, as of a storage that is full."""
    never_ready: bool = False
    """Snapshots are cut but stay unready."""
    no_listing: bool = False
    """The driver cannot look snapshots up (no LIST_SNAPSHOTS); sidecars ask when they start."""


class Storage:
    """One storage folder, made if it is not there."""

    def __init__(self, root: Path) -> None:
        self._volumes, self._snapshots = root / "volumes", root / "snapshots"
        self._faults = root / "faults.json"
        self._volumes.mkdir(parents=True, exist_ok=True)
        self._snapshots.mkdir(exist_ok=True)

    def create_volume(self, identifier: str, snapshot: str = "") -> None:
        """Make an empty volume, or one with a snapshot's data.

        Raises ``LookupError`` if there is no such snapshot, ``ValueError`` for an identifier that
        is not a plain name.
        """
        place = self._volumes / _checked(identifier)
        if place.is_dir():
            return
        if not snapshot:
            place.mkdir(exist_ok=True)
            return
        data = self._snapshots / _checked(snapshot) / "data"
        if not data.is_dir():
            raise LookupError(f"snapshot {snapshot}: there is none")
        with _partial(self._volumes) as partial:
            _copy(data, partial / "data")
            _appear(partial / "data", place)

    def delete_volume(self, identifier: str) -> None:
        """Remove a volume; snapshots of it stay."""
        _vanish(self._volumes / _checked(identifier))

    def create_snapshot(self, identifier: str, volume: str) -> Snapshot:
        """Copy a volume, or find the snapshot that was made under this identifier before.

        Raises ``LookupError`` if there is no such volume, ``FileExistsError`` if the identifier
        is that of another volume's snapshot.
        """
        if found := self.snapshot(identifier):
            if found.volume != volume:
                raise FileExistsError(f"snapshot {identifier}: is one of volume {found.volume}")
            return found
        data = self._volumes / _checked(volume)
        if not data.is_dir():
            raise LookupError(f"volume {volume}: there is none")
        with _partial(self._snapshots) as partial:
            whole = partial / "whole"
            whole.mkdir()
            (whole / "origin").write_text(f"{volume}\n{int(time.time())}\n")
            _copy(data, whole / "data")
            _appear(whole, self._snapshots / identifier)
        made = self.snapshot(identifier)
        if made is None:
            raise LookupError(f"snapshot {identifier}: was deleted while it was made")
        return made

    def delete_snapshot(self, identifier: str) -> None:
        """Remove a snapshot; volumes made from it stay."""
        _vanish(self._snapshots / _checked(identifier))

    def snapshot(self, identifier: str) -> Snapshot | None:
        """One snapshot, or nothing."""
        place = self._snapshots / _checked(identifier)
        try:
            volume, created = (place / "origin").read_text().split()
        except FileNotFoundError:
            return None
        files = (path for path in (place / "data").rglob("*") if path.is_file())
        return Snapshot(
            identifier, volume, int(created), sum(path.stat().st_size for path in files)
        )

    def faults(self) -> Faults:
        """What is to go wrong just now."""
        try:
            return Faults(**json.loads(self._faults.read_text()))
        except FileNotFoundError:
            return Faults()

    def set_faults(self, faults: Faults) -> None:
        """Let the driver do wrong from its next request on."""
        with _partial(self._faults.parent) as partial:
            (partial / "faults").write_text(json.dumps(asdict(faults)))
            (partial / "faults").replace(self._faults)

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Every snapshot, by identifier."""
        names = (path.name for path in self._snapshots.iterdir() if not path.name.startswith("."))
        return tuple(found for name in sorted(names) if (found := self.snapshot(name)))


def _checked(identifier: str) -> str:
    if not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(f"{identifier!r}: not the name of a volume or snapshot")
    return identifier


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the final places, on the same file system, gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)


def _appear(partial: Path, place: Path) -> None:
    """Rename into place; if the other lab was quicker, its copy is as good as ours."""
    try:
        partial.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def _vanish(place: Path) -> None:
    """Rename out of sight before removing, so that a half-removed one is never seen."""
    with _partial(place.parent) as hidden:
        try:
            place.rename(hidden / "removed")
        except FileNotFoundError:
            return
