"""Puts a hook into one clone, where Git runs it. Runs git; writes that one file.

The hook is copied to where no push can change it: were ``core.hooksPath`` a folder of the tree,
whatever somebody pushes would run on the machines of all who pull.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gitops_dr.repository.paths import shown
from gitops_dr.repository.repository import Repository

_MODE = 0o755


def install_hook(repo: Repository, name: str, content: bytes) -> str:
    """Put the hook into the repository's ``hooks`` folder; why that was not done, or nothing.

    A hook of that name that is there is left alone, and so is a repository that is told, for all of
    a user's repositories or this one, to look for hooks elsewhere. Worktrees share their hooks.
    Raises ``RepositoryError`` if git fails.
    """
    # The door itself sets core.hooksPath, in the scope "command".
    asked = ["config", "--show-scope", "--get-all", "core.hooksPath"]
    settings = (repo.git.ask(asked) or "").splitlines()
    elsewhere = [line.partition("\t")[2] for line in settings if not line.startswith("command\t")]
    if elsewhere:
        return f"core.hooksPath is {shown(elsewhere[-1])}"
    common = repo.git.run(["rev-parse", "--git-common-dir"]).decode().removesuffix("\n")
    path = repo.root / common / "hooks" / name
    try:
        if not path.parent.is_dir():
            path.parent.mkdir()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, _MODE)
    except OSError as error:
        if path.is_file():
            return f"there is a hook {name} already" if not _is(path, content) else ""
        return f"{path}: {error.strerror}"
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        return f"{path}: {error.strerror}"
    return ""


def _is(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
