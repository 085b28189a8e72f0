"""Holds many files' bytes by name: the first in memory, the rest in a nameless file on the disk.

So that a first export of a large cluster, where everything is new, takes little more memory than
later ones. Writes that one temporary file, which is gone with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, MutableMapping

from gitops_dr.errors import UsageError

IN_MEMORY = 32 << 20
"""Bytes kept in memory: what 15,000 objects take."""

_MOST = 1 << 32
"""More bytes than any one file has."""


class _Disk:
    """A file without a name, to whose end bytes are written."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._end = 0

    def append(self, data: bytes) -> int:
        """Where it is then: offset and size in one number, as there are many of them."""
        place = self._end * _MOST + len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._end += len(data)
        return place

    def read(self, place: int) -> bytes:
        offset, size = divmod(place, _MOST)
        return os.pread(self._file, size, offset)


class Contents(MutableMapping[str, bytes]):
    """Bytes by name. To look at a value may read the disk.

    What is replaced or deleted keeps its room there. Raises ``UsageError`` where the folder for
    temporary files has none.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._held: dict[str, bytes | int] = {}
        self._room = in_memory
        self._disk: _Disk | None = None

    def __setitem__(self, name: str, data: bytes) -> None:
        self._room -= len(data)
        self._held[name] = data if self._room >= 0 else self._on_disk(data)

    def hold(self, name: str, data: bytes) -> None:
        """Keep it in memory whatever there is already: a plain Secret never goes to the disk."""
        self._held[name] = data

    def _on_disk(self, data: bytes) -> int:
        try:
            self._disk = self._disk or _Disk()
            return self._disk.append(data)
        except OSError as error:
            raise UsageError(
                f"{tempfile.gettempdir()}: {error.strerror}",
                hint="what does not fit into memory is kept there: name another with TMPDIR",
            ) from error

    def __getitem__(self, name: str) -> bytes:
        held = self._held[name]
        if isinstance(held, bytes):
            return held
        assert self._disk is not None  # noqa: S101 - a place is one on it
        return self._disk.read(held)

    def __delitem__(self, name: str) -> None:
        del self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def below(self, folder: str) -> Contents:
        """The same by ``folder/name``; what is added later is in one of the two."""
        moved = Contents(0)
        moved._held = {f"{folder}/{name}": held for name, held in self._held.items()}
        moved._disk = self._disk
        return moved


class FileChanges(MutableMapping[str, bytes | None]):
    """A file's new bytes by its path, or None if it is to go. Raises what ``Contents`` does."""

    def __init__(self) -> None:
        self._written = Contents()
        self._deleted: set[str] = set()

    @property
    def written(self) -> list[str]:
        """The paths that have bytes, sorted."""
        return sorted(self._written)

    @property
    def deleted(self) -> list[str]:
        """The paths that are to go, sorted."""
        return sorted(self._deleted)

    def __setitem__(self, path: str, data: bytes | None) -> None:
        if data is None:
            self._written.pop(path, None)
            self._deleted.add(path)
        else:
            self._deleted.discard(path)
            self._written[path] = data

    def __getitem__(self, path: str) -> bytes | None:
        return None if path in self._deleted else self._written[path]

    def __delitem__(self, path: str) -> None:
        if path in self._deleted:
            self._deleted.discard(path)
        else:
            del self._written[path]

    def __iter__(self) -> Iterator[str]:
        yield from self._written
        yield from self._deleted

    def __len__(self) -> int:
        return len(self._written) + len(self._deleted)

    def __contains__(self, path: object) -> bool:
        return path in self._written or path in self._deleted

    def below(self, folder: str) -> FileChanges:
        """The same by ``folder/path``."""
        moved = FileChanges()
        moved._written = self._written.below(folder)
        moved._deleted = {f"{folder}/{path}" for path in self._deleted}
        return moved
