"""Writes changes into the user's files for them to look at and commit. Index and history stay.

The other way into Git than ``commit.py``, under the same guard.
"""

from __future__ import annotations

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository import worktree
from gitops_dr.repository.checkout import dirty, exclusive, resume
from gitops_dr.repository.commit import Changes, Guard, refuse
from gitops_dr.repository.paths import shown
from gitops_dr.repository.repository import Repository, head
from gitops_dr.repository.tree import EXECUTABLE, entries


def write_files(repo: Repository, *, changes: Changes, guard: Guard, expected: str | None) -> None:
    """Bring the worktree's files to ``changes``, which were made for the commit ``expected``.

    A file that is so already is left alone, so that an interrupted run can be run again. Raises
    ``RefusedError``, with nothing written, for what the guard or the rules for paths refuse, and
    where uncommitted work would be lost; ``RepositoryError`` for a bare repository, if HEAD moved
    meanwhile, if another run is writing, or for what cannot be written.
    """
    refuse(changes, guard)
    if repo.bare:
        raise RepositoryError(f"{repo.root}: a bare repository has no files to write")
    with exclusive(repo):
        resume(repo)
        if head(repo) != expected:
            raise RepositoryError(
                f"{repo.root}: HEAD moved while the changes were made; nothing was written",
                hint="run again",
            )
        committed = {entry.path: entry for entry in entries(repo, expected)} if expected else {}
        there = worktree.contents(repo.root, changes)
        due = {path: changes[path] for path, content in there if content != changes[path]}
        if touched := dirty(repo, paths=due, committed=committed):
            raise RefusedError(
                f"{shown(touched[0])}: it has uncommitted changes (paths like it: {len(touched)})",
                hint="commit, stash or restore them first (git status)",
            )
        files = (
            (path, data, path in committed and committed[path].mode == EXECUTABLE)
            for path, data in sorted(due.items())
            if data is not None
        )
        for _ in worktree.write(repo.root, files):
            pass
        for path, data in due.items():
            if data is None:
                worktree.remove(repo.root, path)
