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
from contextlib import contextmanager, suppress
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
    for folder, members in groupby(sorted(map(_split, paths)), key=lambda pair: pair[0]):
        names = [name for _, name in members]
        try:
            with _opened(root, folder) as fd:
                for name in names:
                    yield _join(folder, name), _content(fd, name)
        except FileNotFoundError:
            yield from ((_join(folder, name), None) for name in names)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise _failure(folder, error) from error
            yield from ((_join(folder, name), Obstacle.OBSTACLE) for name in names)


def write(root: Path, files: Iterable[tuple[str, bytes, bool]]) -> Iterator[str]:
    """Put each (path, bytes, executable) there, complete or not at all; yield each path done.

    Missing folders are made. Files of one folder are best given together: it stays open. Raises
    ``RepositoryError`` for a path that is unsafe, where a folder of it is a link or a file, and
    for what cannot be written.
    """
    for folder, members in groupby(files, key=lambda file: _split(file[0])[0]):
        path = folder
        try:
            with _opened(root, folder, create=True) as fd:
                for path, data, executable in members:
                    _write_one(fd, _split(path)[1], data, 0o777 if executable else 0o666)
                    yield path
        except OSError as error:
            raise _failure(path, error) from error


def remove(root: Path, path: str) -> None:
    """Delete the file at ``path``, and the folders above it that this leaves empty, up to ``root``.

    Nothing there is fine. Raises as ``write`` does.
    """
    folder, name = _split(path)
    try:
        with _opened(root, folder) as fd:
            os.unlink(name, dir_fd=fd)
        while folder:
            above, _, name = folder.rpartition("/")
            with _opened(root, above) as fd:
                os.rmdir(name, dir_fd=fd)
            folder = above
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise _failure(path, error) from error


def _write_one(fd: int, name: str, data: bytes, permissions: int) -> None:
    # A run that was killed may have left one.
    with suppress(FileNotFoundError):
        os.unlink(_TEMPORARY, dir_fd=fd)
    try:
        with os.fdopen(os.open(_TEMPORARY, _NEW_FILE, permissions, dir_fd=fd), "wb") as file:
            file.write(data)
        os.rename(_TEMPORARY, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(_TEMPORARY, dir_fd=fd)
        raise


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


@contextmanager
def _opened(root: Path, folder: str, *, create: bool = False) -> Iterator[int]:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in folder.split("/") if folder else ():
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=fd)
            deeper = os.open(name, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = deeper
        yield fd
    finally:
        os.close(fd)


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
