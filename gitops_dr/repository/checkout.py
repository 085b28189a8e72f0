"""Brings the user's files and index to a new commit, only where we changed them, and resumes.

Writes the worktree, Git's index and ``.git/gitops-dr/``. A file that holds anything but the old
commit's bytes is someone's work and stays as it is.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from gitops_dr.errors import RepositoryError
from gitops_dr.repository import worktree
from gitops_dr.repository.repository import Repository, head
from gitops_dr.repository.tree import (
    EXECUTABLE,
    TreeChange,
    TreeEntry,
    entries,
    read,
    tree_changes,
)

Failpoint = Callable[[str], None]
"""Called with the name of a step when it is done: a test can stop the process there."""

_RECORD = re.compile(r"([0-9a-f]+|-) ([0-9a-f]+)\n")
_UNMERGED = "unmerged"


def no_failpoint(_step: str) -> None:
    """Do nothing: the failpoint outside of tests."""


def dirty(
    repo: Repository,
    prefix: str = "",
    *,
    paths: Collection[str] | None = None,
    committed: Mapping[str, TreeEntry] | None = None,
) -> list[str]:
    """Paths with changes that HEAD does not have, in the files or in the index, sorted.

    Looks at ``paths`` (from the top of the repository) or, without them, at all that is tracked
    at or below ``prefix`` and at the untracked files there that no ``.gitignore`` names. Contents
    are compared byte for byte, without filters. Empty for a bare repository. ``committed``: what
    HEAD has there, if the caller knows it.
    """
    if repo.bare:
        return []
    prefix = prefix.strip("/")
    if committed is None:
        commit = head(repo)
        committed = {entry.path: entry for entry in entries(repo, commit, prefix)} if commit else {}
    staged = _staged(repo, prefix)
    found: set[str] = set()
    if paths is None:
        files: Collection[str] = [path for path, entry in committed.items() if entry.regular]
        known: Collection[str] = committed.keys() | staged.keys()
        found.update(_untracked(repo, prefix))
    else:
        files = known = paths
    found.update(path for path in known if staged.get(path) != _id(committed.get(path)))
    found.update(
        path
        for path, content in worktree.contents(repo.root, files)
        if _content_id(repo, content) != _id(committed.get(path))
    )
    return sorted(found)


def checkout_paths(
    repo: Repository,
    old: str | None,
    new: str,
    *,
    only: Collection[str] | None = None,
    failpoint: Failpoint = no_failpoint,
) -> tuple[str, ...]:
    """Bring files and index from commit ``old`` (None: from nothing) to ``new`` where they differ.

    Does what :func:`check_out` does, for ``only`` those paths if it is given. Raises
    ``RepositoryError``; calling it again then continues.
    """
    changes = tree_changes(repo, old or repo.empty_tree, new)
    chosen = [change for change in changes if only is None or change.path in only]
    return check_out(repo, chosen, failpoint=failpoint)


def check_out(
    repo: Repository,
    changes: Sequence[TreeChange],
    *,
    at_hand: Mapping[str, bytes | None] | None = None,
    failpoint: Failpoint = no_failpoint,
) -> tuple[str, ...]:
    """Bring files and index from the old to the new side of each change.

    An existing file is replaced atomically, a new one is made in place: half of one, which a
    process that died has left, is what the next run goes on from. What is not as on the old side
    is left alone and returned, sorted; in the index too only entries that are as there move.
    ``at_hand``: what is to be at each path, which need not be read from the repository then. Raises
    ``RepositoryError``; calling it again then continues.
    """
    movable = {change.path: change for change in changes if _regular(change)}
    left = {change.path for change in changes} - movable.keys()
    due: list[TreeChange] = []
    begun: list[tuple[TreeChange, bytes]] = []
    for path, content in worktree.contents(repo.root, movable):
        change = movable[path]
        there = _content_id(repo, content)
        if there == _id(change.new):
            continue
        if there == _id(change.old):
            due.append(change)
        elif change.old is None and isinstance(content, bytes):
            begun.append((change, content))
        else:
            left.add(path)
    halves = list(_halves(repo, begun))
    left |= {change.path for change, _ in begun} - {change.path for change in halves}
    _bring_files(repo, due, halves, at_hand, failpoint)
    failpoint("files")
    _bring_index(repo, movable.values())
    failpoint("index")
    return tuple(sorted(left))


def finish_interrupted_checkout(repo: Repository) -> tuple[str, ...] | None:
    """Finish what a run that was killed after its commit left undone.

    Returns the paths that were left alone, as ``checkout_paths`` does, or None if there was
    nothing to finish. Raises ``RepositoryError``.
    """
    if not _record(repo).exists():
        return None
    with exclusive(repo):
        return resume(repo)


def resume(repo: Repository) -> tuple[str, ...] | None:
    """``finish_interrupted_checkout`` for a caller that holds ``exclusive`` already."""
    record = _record(repo)
    try:
        found = _RECORD.fullmatch(record.read_text())
    except FileNotFoundError:
        return None
    if not found:
        raise RepositoryError(f"{record}: not written by gitops-dr", hint="delete it")
    old, new = None if found[1] == "-" else found[1], found[2]
    left = None
    # The commit that the record announces may never have been published, or be undone since.
    published = ["merge-base", "--is-ancestor", new, "HEAD"]
    now = head(repo)
    if now and repo.git.ask(published, no=(1, 128)) is not None:
        ours = {change.path for change in tree_changes(repo, old or repo.empty_tree, new)}
        left = checkout_paths(repo, old, now, only=ours)
    end_checkout(repo)
    return left


def begin_checkout(repo: Repository, old: str | None, new: str) -> None:
    """Record, before the branch moves, that files and index are to go from ``old`` to ``new``."""
    record = _record(repo)
    draft = record.with_suffix(".new")
    with draft.open("w") as file:
        file.write(f"{old or '-'} {new}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(record)


def end_checkout(repo: Repository) -> None:
    """Forget the record: files and index are where they should be."""
    _record(repo).unlink(missing_ok=True)


@contextmanager
def exclusive(repo: Repository) -> Iterator[None]:
    """Hold this worktree against other runs of ours.

    The lock ends with the process, however that ends. Raises ``RepositoryError`` if another run
    holds it.
    """
    folder = _folder(repo)
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise RepositoryError(
            f"{folder}: {error.strerror}", hint="whoever runs this must be able to write there"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RepositoryError(
                f"{repo.root}: another gitops-dr is writing to it", hint="wait until it has ended"
            ) from error
        yield
    finally:
        os.close(lock)


def _halves(repo: Repository, begun: Sequence[tuple[TreeChange, bytes]]) -> Iterator[TreeChange]:
    """Those of which no more is there than the beginning of what is to be there."""
    blobs = read(repo, [change.new.id for change, _ in begun if change.new])
    for (change, content), (_, data) in zip(begun, blobs, strict=True):
        if data.startswith(content):
            yield change


def _bring_files(
    repo: Repository,
    due: Iterable[TreeChange],
    halves: Iterable[TreeChange],
    at_hand: Mapping[str, bytes | None] | None,
    failpoint: Failpoint,
) -> None:
    made: list[TreeEntry] = []
    replaced = [change.new for change in halves if change.new]
    for change in due:
        if not change.new:
            worktree.remove(repo.root, change.path)
            failpoint("removed")
        else:
            (replaced if change.old else made).append(change.new)
    for new, fresh in ((replaced, False), (made, True)):
        files = _files(repo, new, at_hand)
        for _ in worktree.write(repo.root, files, fresh=fresh):
            failpoint("written")


def _files(
    repo: Repository, new: Sequence[TreeEntry], at_hand: Mapping[str, bytes | None] | None
) -> Iterator[tuple[str, bytes, bool]]:
    """Path, bytes and whether it is executable, of each."""
    if at_hand is None:
        contents: Iterator[bytes] = (data for _, data in read(repo, [entry.id for entry in new]))
    else:
        contents = (at_hand[entry.path] or b"" for entry in new)
    for entry, data in zip(new, contents, strict=True):
        yield entry.path, data, entry.mode == EXECUTABLE


def _bring_index(repo: Repository, changes: Iterable[TreeChange]) -> None:
    staged = _staged(repo)
    lines = (
        _index_line(repo, change)
        for change in changes
        if staged.get(change.path) == _id(change.old) != _id(change.new)
    )
    first = next(lines, None)
    if first is not None:
        repo.git.feed(["update-index", "-z", "--index-info"], chain([first], lines))


def _index_line(repo: Repository, change: TreeChange) -> bytes:
    """One record for ``git update-index -z --index-info``; without a new side it removes."""
    facts = f"{change.new.mode} {change.new.id}" if change.new else f"0 {repo.null_id}"
    return f"{facts}\t{change.path}\0".encode()


def _staged(repo: Repository, prefix: str = "") -> dict[str, str]:
    where = ["--", prefix] if prefix else []
    staged: dict[str, str] = {}
    for line in _names(repo.git.run(["ls-files", "--stage", "-z", *where])):
        facts, _, path = line.partition("\t")
        _mode, blob, stage = facts.split(" ")
        staged[path] = blob if stage == "0" else _UNMERGED
    return staged


def _untracked(repo: Repository, prefix: str) -> list[str]:
    where = ["--", prefix] if prefix else []
    return _names(repo.git.run(["ls-files", "--others", "--exclude-standard", "-z", *where]))


def _names(listing: bytes) -> list[str]:
    return listing.decode(errors="surrogateescape").split("\0")[:-1]


def _regular(change: TreeChange) -> bool:
    return all(side is None or side.regular for side in (change.old, change.new))


def _id(entry: TreeEntry | None) -> str | None:
    return entry.id if entry else None


def _content_id(repo: Repository, content: worktree.Content) -> str | None:
    if isinstance(content, bytes):
        return repo.blob_id(content)
    return content.value if content else None


def _folder(repo: Repository) -> Path:
    return repo.git_dir / "gitops-dr"


def _record(repo: Repository) -> Path:
    return _folder(repo) / "checkout"
