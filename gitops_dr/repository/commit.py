"""The one function that commits. Runs git; writes objects, one branch, then files and index.

Nothing is visible before the branch moves, and the branch moves in one step from exactly the
commit that the changes were made for. Dying anywhere leaves either the old or the new commit
whole; the next run finishes the checkout.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository.checkout import (
    Failpoint,
    begin_checkout,
    check_out,
    dirty,
    end_checkout,
    exclusive,
    no_failpoint,
    resume,
)
from gitops_dr.repository.message import compose
from gitops_dr.repository.paths import shown, unsafe
from gitops_dr.repository.repository import Repository, current_branch, head
from gitops_dr.repository.signatures import sign, signing_key
from gitops_dr.repository.tree import MAX_BLOB, PLAIN, TreeEntry, entries, tree_changes

Changes = Mapping[str, bytes | None]
"""Path from the top of the repository → its new bytes, or None to delete it. Values are looked at
several times, one after the other, so a mapping need not hold them all."""

Guard = Callable[[str, bytes], str | None]
"""Says why these bytes must not be committed at this path, or None if they may."""

_NAME, _EMAIL = "gitops-dr", "gitops-dr@localhost"
_IMPORT = (
    # As Git compresses single objects: a fifteenth larger than its packs, and a fifth sooner.
    *("-c", "pack.compression=1"),
    # Where a disk takes two names for one, fast-import would take two paths for one.
    *("-c", "core.ignoreCase=false"),
    # Deltas between neighbours cost a third of the time.
    *("fast-import", "--quiet", "--done", "--depth=0"),
)
_NOWHERE = b"refs/gitops-dr/commit"
"""The ref that fast-import wants for a commit; it never comes to be."""
_UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


@dataclass(frozen=True, slots=True)
class Commit:
    """What came of a commit."""

    id: str
    created: bool
    """False if the tree was equal: ``id`` is then the commit that was there."""
    left: tuple[str, ...] = ()
    """Files that someone edited while we committed, left as they are."""


def commit(
    repo: Repository,
    *,
    changes: Changes,
    message: str,
    trailers: Mapping[str, str],
    guard: Guard,
    expected: str | None,
    failpoint: Failpoint = no_failpoint,
) -> Commit:
    """Commit ``changes`` on top of ``expected`` to the branch that HEAD is on, and check them out.

    ``expected`` is the full id that HEAD had when the changes were made; None on a branch without
    commits. Only the paths in ``changes`` are touched. No commit is made if the tree is equal. It
    is signed if ``GITOPS_DR_SIGNING_KEY`` names a key.

    Raises ``RefusedError``, with nothing written, for what the guard or the path rules refuse and
    where a changed path has uncommitted work; ``RepositoryError`` if HEAD moved or is detached, if
    a merge is under way, if another run is writing, or if git fails.
    """
    refuse(changes, guard)
    text = compose(message, trailers)
    key = signing_key()
    with exclusive(repo):
        resume(repo)
        branch = _ready_branch(repo, expected)
        if expected and not changes:
            return Commit(expected, created=False)
        committed = {entry.path: entry for entry in entries(repo, expected)} if expected else {}
        if touched := dirty(repo, paths=changes, committed=committed):
            raise RefusedError(
                f"{shown(touched[0])}: it has uncommitted changes (paths like it: {len(touched)})",
                hint="commit, stash or restore them first (git status)",
            )
        due = dict(_due(repo, changes, committed))
        if expected and not due:
            return Commit(expected, created=False)
        new = _import(repo, due, changes, parent=expected, message=text, failpoint=failpoint)
        if key:
            new = sign(repo, new, key)
        failpoint("commit")
        del committed, due
        found = tree_changes(repo, expected or repo.empty_tree, new)
        if strangers := sorted({change.path for change in found} - changes.keys()):
            raise RepositoryError(
                f"{shown(strangers[0])}: it is in the way of a path to be written",
                hint="remove or rename it and commit",
            )
        begin_checkout(repo, expected, new)
        failpoint("recorded")
        _move_branch(repo, branch, expected, new)
        failpoint("branch")
        left = () if repo.bare else check_out(repo, found, at_hand=changes, failpoint=failpoint)
        end_checkout(repo)
        return Commit(new, created=True, left=left)


def refuse(changes: Changes, guard: Guard) -> None:
    """Raise ``RefusedError`` for what the guard or the rules for paths do not let into Git."""
    for path, data in changes.items():
        reason = unsafe(path)
        if data is not None and not reason:
            reason = guard(path, data)
            if len(data) > MAX_BLOB:
                reason = f"{len(data)} bytes, more than the {MAX_BLOB} that could be read back"
        if reason:
            raise RefusedError(f"{shown(path)}: {reason}", hint="nothing was committed")


def under_way(repo: Repository) -> str | None:
    """The merge, rebase or the like that nobody has finished; None if there is none."""
    return next((what for name, what in _UNDER_WAY.items() if (repo.git_dir / name).exists()), None)


def _ready_branch(repo: Repository, expected: str | None) -> str:
    branch = current_branch(repo)
    if what := under_way(repo):
        raise RepositoryError(
            f"{repo.root}: a {what} is under way", hint=f"finish it, or git {what} --abort"
        )
    lock = repo.git_dir / "index.lock"
    if lock.exists():
        raise RepositoryError(
            f"{lock}: git is at work here, or was killed",
            hint="if no git is running in this repository, delete the file",
        )
    if head(repo) != expected:
        raise _moved(repo, branch)
    return branch


def _due(
    repo: Repository, changes: Changes, committed: Mapping[str, TreeEntry]
) -> Iterator[tuple[str, TreeEntry | None]]:
    """The new entry of each path that is not so yet; None where one is to go.

    A file that somebody has made executable stays so.
    """
    for path, data in changes.items():
        before = committed.get(path)
        if data is None:
            if before:
                yield path, None
            continue
        mode = before.mode if before and before.regular else PLAIN
        after = TreeEntry(mode, repo.blob_id(data), path)
        if after != before:
            yield path, after


def _import(
    repo: Repository,
    due: Mapping[str, TreeEntry | None],
    changes: Changes,
    *,
    parent: str | None,
    message: str,
    failpoint: Failpoint,
) -> str:
    """Write blobs, trees and the commit, to which nothing leads yet; returns its id.

    It is all one pack, complete or not there at all.
    """
    author, committer = _identity(repo, "AUTHOR"), _identity(repo, "COMMITTER")

    def commands() -> Iterator[bytes]:
        blobs = {entry.id: path for path, entry in due.items() if entry}
        for path in blobs.values():
            data = changes[path] or b""
            yield b"blob\ndata %d\n%b\n" % (len(data), data)
        failpoint("blobs")
        text = message.encode()
        yield b"commit %b\nmark :1\nauthor %b\ncommitter %b\n" % (_NOWHERE, author, committer)
        yield b"data %d\n%b\n" % (len(text), text)
        if parent:
            yield b"from %b\n" % parent.encode()
        for path, entry in due.items():
            place = _quoted(path)
            if entry:
                yield b"M %b %b %b\n" % (entry.mode.encode(), entry.id.encode(), place)
            else:
                yield b"D %b\n" % place
        failpoint("tree")
        # The commit stays and the name goes, before anybody could have seen it.
        yield b"\nreset %b\nfrom %b\n\nget-mark :1\ndone\n" % (_NOWHERE, repo.null_id.encode())

    return repo.git.feed(_IMPORT, commands()).decode().strip()


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it; there is no backslash in any."""
    if path.startswith('"') or "\n" in path:
        path = '"{}"'.format(path.replace('"', r"\"").replace("\n", r"\n"))
    return path.encode()


def _identity(repo: Repository, who: str) -> bytes:
    """Name, address and time of the ``AUTHOR`` or ``COMMITTER``."""
    # Git would make up a name and an address from the login and the host; ours says what it is.
    asked = f"GIT_{who}_IDENT"
    found = repo.git.ask(["-c", "user.useConfigOnly=true", "var", asked], no=(1, 128))
    if found is None:
        ours = {f"GIT_{who}_NAME": _NAME, f"GIT_{who}_EMAIL": _EMAIL}
        return repo.git.run(["var", asked], env=ours).strip()
    return os.fsencode(found)


def _move_branch(repo: Repository, branch: str, expected: str | None, new: str) -> None:
    move = ["update-ref", "--no-deref", "-m", "gitops-dr: commit", "--end-of-options"]
    try:
        repo.git.run([*move, branch, new, expected or repo.null_id])
    except RepositoryError as error:
        end_checkout(repo)
        if head(repo) != expected:
            raise _moved(repo, branch) from error
        raise


def _moved(repo: Repository, branch: str) -> RepositoryError:
    return RepositoryError(
        f"{branch}: HEAD moved while the changes were made; nothing was written to it",
        hint=f"nothing is lost: run again on top of {head(repo) or 'the empty branch'}",
    )
