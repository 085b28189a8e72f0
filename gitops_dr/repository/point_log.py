"""Remembers recovery points, so that a history which somebody wrote anew is noticed. Runs git.

The log is a line for each point that nothing newer stands for: the newest of a cluster on a branch,
and those that the branch has lost. It is kept in ``.git/gitops-dr/points``, and the same text may
be kept elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gitops_dr.repository.history import is_shallow
from gitops_dr.repository.notes import read_note, write_note
from gitops_dr.repository.repository import Repository

_NOTE = "points"
_ID = "([0-9a-f]{40}|[0-9a-f]{64})"
_LINE = re.compile(rf"{_ID} ([a-z0-9-]{{1,63}}) (refs/heads/\S{{1,200}}) {_ID}", re.ASCII)
_MOST = 200
"""Lines that are kept; more branches than anybody exports to."""
_MOST_LOST = 10
"""Of those that one branch has lost."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One recovery point as it was made."""

    commit: str
    cluster: str
    branch: str
    """``refs/heads/...``"""
    root: str
    """The first commit of its history, by which one repository is told from another."""


def parse_log(text: str) -> tuple[Logged, ...]:
    """Read a log; lines that are none are left out."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return tuple(dict.fromkeys(Logged(*match.groups()) for match in found if match))[:_MOST]


def format_log(points: Iterable[Logged]) -> str:
    """Write a log."""
    return "".join(f"{each.commit} {each.cluster} {each.branch} {each.root}\n" for each in points)


def read_log(repo: Repository) -> tuple[Logged, ...]:
    """The log of this clone; empty if there is none."""
    return parse_log((read_note(repo, _NOTE) or b"").decode(errors="replace"))


def write_log(repo: Repository, points: Iterable[Logged]) -> None:
    """Keep the log in this clone, if it can be written."""
    write_note(repo, _NOTE, format_log(points).encode())


def with_point(
    repo: Repository, points: Collection[Logged], new: Logged, *, forget: bool
) -> tuple[Logged, ...]:
    """The log with a new point, which stands for those before it.

    ``forget``: it stands for what its branch has lost, and for other repositories' too.
    """
    same = [each for each in points if (each.cluster, each.branch) == (new.cluster, new.branch)]
    before = same if forget else [each for each in same if each.root == new.root]
    gone = set() if forget else _not_before(repo, new.commit, [each.commit for each in before])
    lost_here = [each for each in before if each.commit in gone][:_MOST_LOST]
    others = [each for each in points if each not in before]
    return (new, *lost_here, *others)[:_MOST]


def lost(
    repo: Repository, head: str, cluster: str, points: Iterable[Logged]
) -> tuple[str, ...] | None:
    """The commits of recovery points that HEAD should descend from, and does not.

    They are those of the branch that HEAD is on. Where it is on none, somebody looks at an older
    commit or at another's: then one point that it is before or after is enough. None if nobody can
    tell, because the clone is shallow.
    """
    every = [each for each in points if each.cluster == cluster]
    branch = repo.git.ask(["symbolic-ref", "--quiet", "HEAD"]) if every else None
    meant = [each for each in every if branch is None or each.branch == branch]
    gone = _not_before(repo, head, [each.commit for each in meant])
    if branch is None and (
        len(gone) < len(meant) or any(head not in _not_before(repo, one, [head]) for one in gone)
    ):
        return ()
    if gone and is_shallow(repo):
        return None
    return tuple(dict.fromkeys(each.commit for each in meant if each.commit in gone))


def _not_before(repo: Repository, commit: str, others: Sequence[str]) -> set[str]:
    """Those of ``others`` that are neither ``commit`` nor before it, or that are not there."""
    asked = sorted({*others} - {commit})
    if not asked:
        return set()
    ids = "".join(f"{one}\n" for one in [commit, *asked])
    check = ["cat-file", "--batch-check=%(objecttype) %(objectname)"]
    found = repo.git.run(check, stdin=ids.encode()).decode().splitlines()
    there = [line.removeprefix("commit ") for line in found if line.startswith("commit ")]
    if commit not in there:
        return set(asked)
    walk = "".join(f"{one}\n" for one in [f"^{commit}", *there])
    beside = repo.git.run(["rev-list", "--stdin"], stdin=walk.encode()).decode().split()
    return set(asked) - (set(there) - set(beside))
