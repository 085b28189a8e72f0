"""Where labs are on disk, and who holds them. Reads and writes the labs' home folder.

A lab is a folder under the home, and its supervisor holds a lock (flock) on that folder for as
long as it lives, however it ends. So a folder without a lock is what a killed lab left behind, and
no process id is ever trusted for longer than its lock is held.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitops_dr.errors import LabError, RefusedError, UsageError

HOME = "GITOPS_DR_LAB_HOME"
SOCKET = "csi.sock"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# sun_path in unix(7) has 108 bytes, the last of them zero.
_LONGEST_SOCKET = 107
_POLL_SECONDS = 0.02


def home() -> Path:
    """The folder of all labs: ``GITOPS_DR_LAB_HOME``, or one in the user's state directory."""
    if chosen := os.environ.get(HOME):
        return Path(chosen).absolute()
    from platformdirs import user_state_path

    return user_state_path("gitops-dr") / "lab"


def place(name: str) -> Path:
    """The folder of the lab of this name, whether or not it exists.

    Raises ``UsageError`` for a name that is not a DNS label (RFC 1123), which a context's and a
    folder's name can both be, and where the path would be too long for a socket.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"lab {name!r}: not a valid name",
            hint="use up to 63 lower-case letters, digits and '-', as in a DNS label",
        )
    folder = home() / name
    if len(os.fsencode(folder / SOCKET)) > _LONGEST_SOCKET:
        raise UsageError(
            f"lab {name}: {folder} is too long a path for a Unix socket",
            hint=f"choose a shorter name, or a shorter folder in {HOME}",
        )
    return folder


def claim(name: str) -> int:
    """Make the lab's folder and lock it; remove first what a killed lab of this name left.

    Returns the descriptor that holds the lock. Raises ``RefusedError`` if the lab is running.
    """
    folder = place(name)
    home().mkdir(parents=True, exist_ok=True)
    with _home_locked():
        if folder.exists():
            if _is_locked(folder):
                raise RefusedError(
                    f"lab {name}: is running already",
                    hint=f"`gitops-dr lab down {name}` ends it, or choose another name",
                )
            remove(folder)
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        _lock(descriptor, fcntl.LOCK_EX)
        return descriptor


def held() -> tuple[Path, ...]:
    """The folders of the labs that are running, by name."""
    if not home().is_dir():
        return ()
    with _home_locked():
        return tuple(path for path in sorted(home().iterdir()) if _is_locked(path))


def is_held(folder: Path) -> bool:
    """Whether a supervisor is alive that holds this folder."""
    if not folder.is_dir():
        return False
    with _home_locked():
        return _is_locked(folder)


def await_release(folder: Path, seconds: float) -> bool:
    """Wait until nobody holds this folder, which may be removed meanwhile; false if time is up."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True
    deadline = time.monotonic() + seconds
    try:
        while not _lock(descriptor, fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
    finally:
        os.close(descriptor)
    return True


def clear(folder: Path) -> None:
    """Remove what a supervisor that is gone has left of its folder, if anything."""
    with _home_locked():
        if folder.exists() and not _is_locked(folder):
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder that may still be written to by a dying process, for a short while."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    raise LabError(f"{folder}: could not be removed")


def _is_locked(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Take a lock if it is free, and say whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _home_locked() -> Iterator[None]:
    """No other process looks at locks or makes a lab's folder meanwhile."""
    descriptor = os.open(home(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
