"""Puts commits of ours on top of what others have pushed. Runs git; moves one branch, then files.

Only commits that gitops-dr made are put anew: a person's own are not rewritten behind their back.
As with a commit, nothing is visible before the branch moves in one step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository.checkout import (
    begin_checkout,
    check_out,
    dirty,
    end_checkout,
    exclusive,
    resume,
)
from gitops_dr.repository.history import commit_info, merge_base
from gitops_dr.repository.paths import shown, unsafe
from gitops_dr.repository.remote import Place, fetch, last_seen
from gitops_dr.repository.repository import Repository, current_branch, head
from gitops_dr.repository.signatures import sign, signing_key
from gitops_dr.repository.tree import TreeChange, entries, tree_changes
from gitops_dr.repository.trust import Trust

OURS = frozenset({"Cluster", "Accepted-From", "Pruned-From", "Resealed"})
"""Trailers of the commits that gitops-dr makes."""

_NEW_PARENT = (b"tree ", b"parent ")
_SIGNED = (b"gpgsig ", b"gpgsig-sha256 ")
_BY_HAND = "git pull --rebase, look at it, and run this again"


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the branch went."""

    replayed: bool
    """Commits of ours were put on top of theirs; otherwise the branch was only brought forward."""
    left: tuple[str, ...] = ()
    """Files that someone has edited, left as they are."""


def replay(repo: Repository, place: Place, ours: str, trust: Trust) -> Moved:
    """Bring what the remote branch has below the commits of ``ours`` (HEAD) that it lacks.

    Commits whose changes are all in it already are dropped. Raises ``RefusedError`` where a path of
    theirs is one of ours, where its history was rewritten, and where a commit to put anew is none
    of gitops-dr's; ``RepositoryError`` if it cannot be fetched. Nothing has moved then.
    """
    seen = last_seen(repo, place)
    theirs = fetch(repo, place)
    trust.require(theirs, "what others have pushed")
    base = merge_base(repo, ours, theirs)
    if seen and merge_base(repo, seen, theirs) != seen:
        raise RefusedError(
            f"{place}: its history was rewritten: {seen[:12]}, which it had, is not in it any more",
            hint="find out who did that and why, then git fetch and decide what HEAD is to be",
        )
    if base is None:
        raise RefusedError(
            f"{place}: has no commit in common with this repository",
            hint="is it the right remote? git fetch brings what it has (in CI: fetch-depth 0)",
        )
    if base == theirs:
        return Moved(replayed=False)
    commits = list(_between(repo, base, ours, place))
    _refuse_touching(repo, place, base, ours, theirs)
    new = theirs
    for commit, parent in commits:
        new = _on_top(repo, commit, tree_changes(repo, parent, commit), new)
    left = _move(repo, ours, new) if new != ours else ()
    return Moved(replayed=bool(commits), left=left)


def _between(repo: Repository, base: str, ours: str, place: Place) -> Iterator[tuple[str, str]]:
    """The commits of ours after ``base``, oldest first, each with its parent."""
    asked = ["rev-list", "--reverse", "--topo-order", "--parents", f"{base}..{ours}"]
    for line in repo.git.run(asked).decode().splitlines():
        commit, *parents = line.split()
        if len(parents) != 1 or OURS.isdisjoint(commit_info(repo, commit).trailers):
            raise RefusedError(
                f"{place}: has commits that are not here, and {commit[:12]}, which it lacks, was "
                "not made by gitops-dr",
                hint=_BY_HAND,
            )
        yield commit, parents[0]


def _refuse_touching(repo: Repository, place: Place, base: str, ours: str, theirs: str) -> None:
    here = {change.path: change for change in tree_changes(repo, base, ours)}
    there = {change.path: change for change in tree_changes(repo, base, theirs)}
    touching = sorted(
        path
        for path, change in here.items()
        if (path in there and there[path].new != change.new)
        or (change.new and any(_is_there(there.get(above)) for above in _above(path)))
    )
    new_there = {above for path, change in there.items() if change.new for above in _above(path)}
    touching += sorted(path for path, change in here.items() if change.new and path in new_there)
    if touching:
        more = f" (and {len(touching) - 3} more)" if len(touching) > 3 else ""
        named = ", ".join(map(shown, touching[:3]))
        raise RefusedError(
            f"{place}: others have changed there what our commit changes: {named}{more}",
            hint=f"{_BY_HAND}; nothing was forced, and the commit is kept here",
        )


def _is_there(change: TreeChange | None) -> bool:
    return change is not None and change.new is not None


def _above(path: str) -> Iterable[str]:
    """The folders that a path is in."""
    return [str(above) for above in PurePosixPath(path).parents][:-1]


def _on_top(repo: Repository, commit: str, changes: Iterable[TreeChange], parent: str) -> str:
    """Make the commit anew with its changes on top of ``parent``; that one if nothing changes."""
    tree = _tree(repo, changes, parent)
    if tree == repo.git.run(["rev-parse", f"{parent}^{{tree}}"]).decode().strip():
        return parent
    header, _, message = repo.git.run(["cat-file", "commit", commit]).partition(b"\n\n")
    lines = [f"tree {tree}".encode(), f"parent {parent}".encode()]
    signature = False
    for line in header.split(b"\n"):
        # A signature goes on in lines that begin with a blank; it is of the commit as it was.
        signature = line.startswith(_SIGNED) or (signature and line.startswith(b" "))
        if not signature and not line.startswith(_NEW_PARENT):
            lines.append(line)
    raw = b"\n".join(lines) + b"\n\n" + message
    made = repo.git.run(["hash-object", "-t", "commit", "-w", "--stdin"], stdin=raw)
    new = made.decode().strip()
    key = signing_key()
    return sign(repo, new, key) if key else new


def _tree(repo: Repository, changes: Iterable[TreeChange], parent: str) -> str:
    """The tree of ``parent`` with these changes, made in an index of its own."""
    folder = repo.git_dir / "gitops-dr"
    folder.mkdir(exist_ok=True)
    index = folder / f"index.{os.getpid()}"
    env = {"GIT_INDEX_FILE": str(index)}
    lines = b"".join(_index_line(repo, change) for change in changes)
    try:
        repo.git.run(["read-tree", parent], env=env)
        repo.git.run(["update-index", "-z", "--index-info"], stdin=lines, env=env)
        return repo.git.run(["write-tree"], env=env).decode().strip()
    finally:
        index.unlink(missing_ok=True)
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)


def _index_line(repo: Repository, change: TreeChange) -> bytes:
    facts = f"{change.new.mode} {change.new.id}" if change.new else f"0 {repo.null_id}"
    return os.fsencode(f"{facts}\t{change.path}\0")


def _move(repo: Repository, old: str, new: str) -> tuple[str, ...]:
    """Move the branch, then files and index; gives the files that were left."""
    with exclusive(repo):
        resume(repo)
        branch = current_branch(repo)
        if head(repo) != old:
            raise RepositoryError(f"{branch}: HEAD moved meanwhile", hint="run this again")
        changes = tree_changes(repo, old, new)
        for change in changes:
            if reason := unsafe(change.path):
                raise RefusedError(f"{shown(change.path)}: {reason}", hint=_BY_HAND)
        known = {entry.path: entry for entry in entries(repo, old)}
        paths = [change.path for change in changes]
        if touched := dirty(repo, paths=paths, committed=known):
            raise RefusedError(
                f"{shown(touched[0])}: others have pushed a change of it, and it has uncommitted "
                f"changes here (paths like it: {len(touched)})",
                hint="commit, stash or restore them first (git status)",
            )
        begin_checkout(repo, old, new)
        move = ["update-ref", "--no-deref", "-m", "gitops-dr: on top of others' commits"]
        try:
            repo.git.run([*move, "--end-of-options", branch, new, old])
        except RepositoryError:
            end_checkout(repo)
            raise
        left = () if repo.bare else check_out(repo, changes)
        end_checkout(repo)
        return left
