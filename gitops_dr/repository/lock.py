"""Holds a worktree for a whole run, so that no other run works in it meanwhile. Writes its lock.

The lock is the kernel's (``flock``), not a file with a process id that was there first: it ends
with the process however that ends, so there is nothing to take over, no id that another process
may have by now, and no moment in which two take over at once. It holds between containers and, on
a shared disk, between hosts, where process ids mean nothing. What stands in the file only says who
holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.model import Holder, read_holder
from gitops_dr.repository.repository import Repository

_NAME = "run"
_LONGEST = 4096


@contextmanager
def held(repo: Repository, holder: Holder) -> Iterator[None]:
    """Hold this worktree until the block ends; ``holder`` is what others are told.

    Several worktrees of one repository are held apart. Raises ``RefusedError`` that names who holds
    it, and ``RepositoryError`` where nothing can be written.
    """
    folder = repo.git_dir / "gitops-dr"
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise RepositoryError(
            f"{folder}: {error.strerror}", hint="whoever runs this must be able to write there"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(repo, lock) from None
        except OSError as error:
            raise RepositoryError(
                f"{folder}: cannot be locked: {error.strerror}",
                hint="keep the repository on a disk that knows locks",
            ) from error
        _write(lock, json.dumps(asdict(holder)).encode())
        try:
            yield
        finally:
            _write(lock, b"")
    finally:
        os.close(lock)


def _write(lock: int, data: bytes) -> None:
    """Say who holds it. A full disk is no reason to stop: the lock itself needs no room."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, data, 0)
    except OSError:
        return


def _refusal(repo: Repository, lock: int) -> RefusedError:
    # It may be just about to write its name, or have had no room for it.
    holder = read_holder(os.pread(lock, _LONGEST, 0).decode(errors="replace"))
    by = f" by {holder}" if holder else ""
    return RefusedError(
        f"{repo.root}: is in use{by}",
        hint="wait until that has ended; if it is killed, its hold ends by itself",
    )
