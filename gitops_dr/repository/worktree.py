"""Reads and writes the user's files, one folder at a time and never through a symbolic link.

Every folder is opened component by component from the root without following links, and files
are reached from the open folder, so that nothing outside the root is read or written even if
someone swaps a folder for a link meanwhile. Touches the worktree only; knows nothing of Git.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from itertools import groupby
from pathlib import Path

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.paths import shown, unsafe

_TEMPORARY = ".gitops-dr.tmp"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_IN_THE_WAY = (errno.ENOTDIR, errno.ELOOP)
_NO_FILE = (errno.ELOOP, errno.ENXIO)  # a link, a socket
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


class Obstacle(Enum):
    """What is at a path that has neither an ordinary file nor nothing."""

    OBSTACLE = "not an ordinary file, or behind a link or a file"


Content = bytes | Obstacle | None
"""A file's bytes; None if there is nothing."""


def contents(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, Content]]:
    """Yield (path, what is there) for each path below ``root``, folder by folder.

    Raises ``RepositoryError`` for a path that is unsafe and for what cannot be read.
    """
    there: dict[str, list[str]] = {}
    for folder, name in map(_split, paths):
        there.setdefault(folder, []).append(name)
    with _Folders(root) as folders:
        for folder, names in sorted(there.items()):
            names.sort()
            try:
                fd = folders.open(folder)
                for name in names:
                    yield _join(folder, name), _content(fd, name)
            except FileNotFoundError:
                yield from ((_join(folder, name), None) for name in names)
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise _failure(folder, error) from error
                yield from ((_join(folder, name), Obstacle.OBSTACLE) for name in names)


def write(
    root: Path, files: Iterable[tuple[str, bytes, bool]], *, fresh: bool = False
) -> Iterator[str]:
    """Put each (path, bytes, executable) there, complete or not at all; yield each path done.

    ``fresh``: nothing is there, which spares the way round by another name; what dies then may
    leave the beginning of one file. Missing folders are made. Files of one folder, and folders of
    one folder, are best given together: they stay open. Raises ``RepositoryError`` for a path that
    is unsafe, where a folder of it is a link or a file, and for what cannot be written.
    """
    put = _write_new if fresh else _replace
    with _Folders(root, create=True) as folders:
        for folder, members in groupby(files, key=lambda file: _split(file[0])[0]):
            path = folder
            try:
                fd = folders.open(folder)
                # A run that was killed may have left one.
                with suppress(FileNotFoundError):
                    os.unlink(_TEMPORARY, dir_fd=fd)
                for path, data, executable in members:
                    put(fd, path.rpartition("/")[2], data, 0o777 if executable else 0o666)
                    yield path
            except OSError as error:
                raise _failure(path, error) from error


def remove(root: Path, path: str) -> None:
    """Delete the file at ``path``, and the folders above it that this leaves empty, up to ``root``.

    Nothing there is fine. Raises as ``write`` does.
    """
    folder, name = _split(path)
    try:
        with _Folders(root) as folders:
            os.unlink(name, dir_fd=folders.open(folder))
            while folder:
                above, _, name = folder.rpartition("/")
                os.rmdir(name, dir_fd=folders.open(above))
                folder = above
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise _failure(path, error) from error


def _replace(fd: int, name: str, data: bytes, permissions: int) -> None:
    try:
        _write_new(fd, _TEMPORARY, data, permissions)
        os.rename(_TEMPORARY, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(_TEMPORARY, dir_fd=fd)
        raise


def _write_new(fd: int, name: str, data: bytes, permissions: int) -> None:
    file = os.open(name, _NEW_FILE, permissions, dir_fd=fd)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=fd)
        raise
    finally:
        os.close(file)


def _content(fd: int, name: str) -> Content:
    try:
        file = os.open(name, _FILE, dir_fd=fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return Obstacle.OBSTACLE
        raise
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            return Obstacle.OBSTACLE
        parts = []
        # One byte more than the file had tells that it ended.
        while part := os.read(file, facts.st_size + 1):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


class _Folders:
    """Open folders on one path below ``root``: the next path opens only what it does not share."""

    def __init__(self, root: Path, *, create: bool = False) -> None:
        self._root = root
        self._create = create
        self._names: list[str] = []
        self._open: list[int] = []

    def __enter__(self) -> _Folders:
        return self

    def __exit__(self, *_: object) -> None:
        self._keep(-1)

    def open(self, folder: str) -> int:
        """Its descriptor, good until the next call. Raises ``OSError``."""
        if not self._open:
            self._open.append(os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        names = folder.split("/") if folder else []
        shared = 0
        for name, open_name in zip(names, self._names, strict=False):
            if name != open_name:
                break
            shared += 1
        self._keep(shared)
        for name in names[shared:]:
            self._open.append(self._enter(name))
            self._names.append(name)
        return self._open[-1]

    def _enter(self, name: str) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=self._open[-1])
        except FileNotFoundError:
            if not self._create:
                raise
        # Somebody else may make it meanwhile.
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self._open[-1])
        return os.open(name, _FOLDER, dir_fd=self._open[-1])

    def _keep(self, depth: int) -> None:
        """Close what lies deeper than ``depth`` folders; -1 is the root itself."""
        while len(self._open) > depth + 1:
            os.close(self._open.pop())
        del self._names[max(0, depth) :]


def _failure(path: str, error: OSError) -> RepositoryError:
    return RepositoryError(
        f"{shown(path)}: {error.strerror}",
        hint="what is committed is complete: repair this and run again",
    )


def _split(path: str) -> tuple[str, str]:
    if reason := unsafe(path):
        raise RepositoryError(f"{shown(path)}: {reason}")
    folder, _, name = path.rpartition("/")
    return folder, name


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
