"""Makes an age identity and writes it to a file that only its owner can read. Writes that file."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gitops_dr.errors import RefusedError, UsageError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def place_for_key(path: Path, *, outside: Path) -> Path:
    """Where a new key file called ``path`` would be, with no link on the way.

    Raises ``RefusedError`` if something is there, or if it is in the folder ``outside``, which is
    a repository's; ``UsageError`` if there is no folder for it.
    """
    path = path.expanduser()
    try:
        folder = path.parent.resolve(strict=True)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", hint="make its folder first: mkdir -m 700"
        ) from error
    place = folder / path.name
    if os.path.lexists(place):
        raise RefusedError(
            f"{path}: is there, and a key is never overwritten",
            hint="name another file; to add recipients only, leave --key-file out",
        )
    if place.is_relative_to(outside):
        raise RefusedError(
            f"{path}: is inside the repository, from where a key is committed sooner or later",
            hint="name a file outside of it, such as ~/.config/sops/age/NAME.txt",
        )
    return place


def write_new_key(place: Path, *, title: str, now: datetime) -> str:
    """Make an age identity and write it to ``place``; returns its public recipient, ``age1...``.

    The file has mode 0600 from the moment it is there, and is what ``age-keygen`` writes. Raises
    ``RefusedError`` if somebody was faster, ``UsageError`` if it cannot be written; nothing is left
    then.
    """
    from pyrage import x25519

    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    created = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    text = f"# {title}\n# created: {created}\n# public key: {recipient}\n{identity}\n"
    made = False
    try:
        with os.fdopen(os.open(place, _NEW, 0o600), "w", encoding="ascii") as file:
            made = True
            # A umask takes bits away, a default ACL could add some.
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _flush(place.parent)
    except FileExistsError as error:
        raise RefusedError(f"{place}: is there, and a key is never overwritten") from error
    except OSError as error:
        if made:
            forget_key(place)
        raise UsageError(f"{place}: {error.strerror}") from error
    return recipient


def forget_key(place: Path) -> None:
    """Delete a key file that was just made and that nothing was encrypted for."""
    with suppress(OSError):
        place.unlink()


def _flush(folder: Path) -> None:
    """Make sure that a power cut does not take a new name away again."""
    entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
