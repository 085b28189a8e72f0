"""The one function that commits. Runs git; writes objects, one branch, then files and index.

Nothing is visible before the branch moves, and the branch moves in one step from exactly the
commit that the changes were made for. Dying anywhere leaves either the old or the new commit
whole; the next run finishes the checkout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository.checkout import (
    Failpoint,
    begin_checkout,
    checkout_paths,
    dirty,
    end_checkout,
    exclusive,
    index_line,
    no_failpoint,
    resume,
)
from gitops_dr.repository.message import compose
from gitops_dr.repository.paths import shown, unsafe
from gitops_dr.repository.repository import Repository, current_branch, head
from gitops_dr.repository.tree import MAX_BLOB, TreeEntry, tree_changes

Changes = Mapping[str, bytes | None]
"""Path from the top of the repository → its new bytes, or None to delete it."""

Guard = Callable[[str, bytes], str | None]
"""Says why these bytes must not be committed at this path, or None if they may."""

_NAME, _EMAIL = "gitops-dr", "gitops-dr@localhost"
# Deltas between neighbours cost a third of the time; `git gc` finds better ones.
_IMPORT = ("fast-import", "--quiet", "--done", "--depth=0")
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
    commits. Only the paths in ``changes`` are touched. No commit is made if the tree is equal.

    Raises ``RefusedError``, with nothing written, for what the guard or the path rules refuse and
    where a changed path has uncommitted work; ``RepositoryError`` if HEAD moved or is detached, if
    a merge is under way, if another run is writing, or if git fails.
    """
    _refuse(changes, guard)
    text = compose(message, trailers)
    with exclusive(repo) as folder:
        resume(repo)
        branch = _ready_branch(repo, expected)
        if touched := dirty(repo, paths=changes):
            raise RefusedError(
                f"{shown(touched[0])}: it has uncommitted changes (paths like it: {len(touched)})",
                hint="commit, stash or restore them first (git status)",
            )
        entries = _write_blobs(repo, changes)
        failpoint("blobs")
        tree = _write_tree(repo, entries, expected, folder / "index")
        failpoint("tree")
        before = expected or repo.empty_tree
        paths = {change.path for change in tree_changes(repo, before, tree)}
        if strangers := sorted(paths - changes.keys()):
            raise RepositoryError(
                f"{shown(strangers[0])}: it is in the way of a path to be written",
                hint="remove or rename it and commit",
            )
        if not paths and expected:
            return Commit(expected, created=False)
        new = _write_commit(repo, tree, expected, text)
        failpoint("commit")
        begin_checkout(repo, expected, new)
        failpoint("recorded")
        _move_branch(repo, branch, expected, new)
        failpoint("branch")
        left = () if repo.bare else checkout_paths(repo, expected, new, failpoint=failpoint)
        end_checkout(repo)
        return Commit(new, created=True, left=left)


def _refuse(changes: Changes, guard: Guard) -> None:
    for path, data in changes.items():
        reason = unsafe(path)
        if data is not None and not reason:
            reason = guard(path, data)
            if len(data) > MAX_BLOB:
                reason = f"{len(data)} bytes, more than the {MAX_BLOB} that could be read back"
        if reason:
            raise RefusedError(f"{shown(path)}: {reason}", hint="nothing was committed")


def _ready_branch(repo: Repository, expected: str | None) -> str:
    branch = current_branch(repo)
    for name, what in _UNDER_WAY.items():
        if (repo.git_dir / name).exists():
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


def _write_blobs(repo: Repository, changes: Changes) -> dict[str, TreeEntry | None]:
    entries = {
        path: None if data is None else TreeEntry("100644", repo.blob_id(data), path)
        for path, data in changes.items()
    }
    new = {entry.id: changes[path] for path, entry in entries.items() if entry}
    if new:
        repo.git.feed(_IMPORT, _blob_commands(new))
    return entries


def _blob_commands(blobs: Mapping[str, bytes | None]) -> Iterator[bytes]:
    for data in blobs.values():
        if data is not None:
            yield b"blob\ndata %d\n%b\n" % (len(data), data)
    yield b"done\n"


def _write_tree(
    repo: Repository,
    entries: Mapping[str, TreeEntry | None],
    expected: str | None,
    index: Path,
) -> str:
    # Our own index: the user's may hold staged work, and may not be there at all.
    lock = index.with_name(f"{index.name}.lock")
    for leftover in (index, lock):
        leftover.unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(index)}
    try:
        if expected:
            repo.git.run(["read-tree", expected], env=env)
        lines = b"".join(index_line(repo, path, entry) for path, entry in entries.items())
        repo.git.run(["update-index", "-z", "--index-info"], stdin=lines, env=env)
        return repo.git.run(["write-tree"], env=env).decode().strip()
    finally:
        index.unlink(missing_ok=True)


def _write_commit(repo: Repository, tree: str, parent: str | None, text: str) -> str:
    parents = ["-p", parent] if parent else []
    made = repo.git.run(
        ["commit-tree", *parents, "-F", "-", tree], stdin=text.encode(), env=_identity(repo)
    )
    return made.decode().strip()


def _identity(repo: Repository) -> dict[str, str]:
    # Git would make up a name and an address from the login and the host; ours says what it is.
    configured = ["-c", "user.useConfigOnly=true", "var"]
    env: dict[str, str] = {}
    for who in ("AUTHOR", "COMMITTER"):
        if repo.git.ask([*configured, f"GIT_{who}_IDENT"], no=(1, 128)) is None:
            env |= {f"GIT_{who}_NAME": _NAME, f"GIT_{who}_EMAIL": _EMAIL}
    return env


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
