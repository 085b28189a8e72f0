"""Keeps what one run tells the next, in ``.git/gitops-dr/``: what Git does not know, nor needs to.

Reads and writes that folder only. What is lost there costs time and nothing else.
"""

from __future__ import annotations

import os
from contextlib import suppress

from gitops_dr.repository.repository import Repository


def read_note(repo: Repository, name: str) -> bytes | None:
    """The bytes of a note; None if there is none that can be read."""
    with suppress(OSError):
        return (repo.git_dir / "gitops-dr" / name).read_bytes()
    return None


def write_note(repo: Repository, name: str, data: bytes) -> None:
    """Put these bytes there, complete or not at all. That it cannot be written is no error."""
    note = repo.git_dir / "gitops-dr" / name
    draft = note.with_name(f"{name}.{os.getpid()}")
    try:
        note.parent.mkdir(exist_ok=True)
        draft.write_bytes(data)
        draft.replace(note)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
