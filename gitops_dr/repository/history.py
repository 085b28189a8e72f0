"""Finds commits by name, by time or as exports, and says what they are. Runs git; reads only."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.git import user_revision
from gitops_dr.repository.message import parse
from gitops_dr.repository.repository import Repository, head
from gitops_dr.repository.tree import entries

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_FILES = re.compile(r"[ \t]*Cluster-Files:[ \t]*([0-9a-f]{64})[ \t]*", re.ASCII)
_PERSON = re.compile(r".*> (?P<seconds>\d+) (?P<zone>[+-]\d{4})")


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One commit."""

    id: str
    time: datetime
    """When it was authored, in the author's time zone."""
    subject: str
    trailers: Mapping[str, str]


def resolve(repo: Repository, at: str, *, cluster_prefix: str) -> str:
    """Find the full id of the commit that ``at`` means: a commit, tag or branch, or a time.

    A time is RFC 3339 or like ``2026-11-22 10:00``, local where it names no zone. It means the
    newest commit not committed after it, on HEAD's first-parent history, that changed something
    below ``cluster_prefix``. Raises ``RepositoryError`` with near matches if there is none.
    """
    if _TIME.fullmatch(at):
        return _at_time(repo, at, cluster_prefix)
    found = repo.git.ask(
        ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{user_revision(at)}^{{commit}}"],
        no=(1, 128),
    )
    if found is None:
        raise RepositoryError(f"{at}: no such commit, tag, branch or time", hint=_near(repo, at))
    return found


def commit_info(repo: Repository, commit: str) -> CommitInfo:
    """Read what the commit says of itself. Raises ``RepositoryError`` if it is not there."""
    raw = repo.git.run(["cat-file", "commit", user_revision(commit)])
    header, _, body = raw.partition(b"\n\n")
    fields: dict[str, str] = {}
    for line in header.decode(errors="replace").split("\n"):
        name, _, value = line.partition(" ")
        fields.setdefault(name, value)
    subject, trailers = parse(_decode(body, fields.get("encoding", "utf-8")))
    return CommitInfo(commit, _when(commit, fields.get("author", "")), subject, trailers)


def files_digest(files: Mapping[str, str]) -> str:
    """Name a set of files (path to blob id): the value of the trailer ``Cluster-Files``."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{files[path]} {path}\0".encode())
    return digest.hexdigest()


def newest_export(
    repo: Repository,
    commit: str,
    *,
    cluster: str,
    prefix: str,
    files: Mapping[str, str] | None = None,
) -> str | None:
    """Find the newest commit, at or before ``commit``, that is as an export of the cluster made it.

    Or as ``accept`` or ``secrets rotate`` made it, which keep the same account of what the cluster
    was. Its message has the lines ``Cluster: <cluster>`` (or ``Accepted-From:``, ``Resealed:``) and
    ``Cluster-Files: <digest>`` anywhere, as a squashed merge leaves them, and its files below
    ``prefix`` have that digest: a commit into which somebody squashed or amended edits of their own
    is not what the cluster was.
    Newest means that no descendant of it is one, and among several the one that was committed last.
    None if there is no such commit, which in a shallow clone says little (see :func:`is_shallow`).
    ``files``: those of ``commit``, path below ``prefix`` to blob id, if the caller knows them.
    """
    for candidate in _naming(repo, commit, cluster):
        if digests := _digests(repo, candidate):
            known = files if candidate == commit else None
            held = _files(repo, candidate, prefix) if known is None else known
            if files_digest(held) in digests:
                return candidate
    return None


def merge_base(repo: Repository, one: str, other: str) -> str | None:
    """Find the newest commit that two commits descend from, or are; None if there is none."""
    commits = [user_revision(one), user_revision(other)]
    found = repo.git.ask(["merge-base", "--end-of-options", *commits], no=(1,))
    return found.split("\n")[0] if found else None


def descends(repo: Repository, commit: str, from_commit: str) -> bool:
    """Whether ``commit`` is ``from_commit`` or has it in its history; not if it is unknown here."""
    commits = [user_revision(from_commit), user_revision(commit)]
    search = ["merge-base", "--is-ancestor", "--end-of-options"]
    return repo.git.ask([*search, *commits], no=(1, 128)) is not None


def exports(repo: Repository, commit: str, cluster: str) -> Iterator[str]:
    """The commits, at or before ``commit``, that an export of the cluster made; newest first."""
    line = f"^Cluster: {cluster}$"
    search = ["rev-list", "--first-parent", f"--grep={line}"]
    yield from repo.git.run([*search, "--end-of-options", user_revision(commit)]).decode().split()


def past_files(repo: Repository, commit: str, folder: str) -> dict[str, str]:
    """Every version of every file below ``folder`` at or before ``commit``: blob id to a path."""
    asked = ["rev-list", "--objects", "--end-of-options", user_revision(commit)]
    found: dict[str, str] = {}
    for line in repo.git.run([*asked, "--", folder.rstrip("/")]).decode().splitlines():
        blob, _, path = line.partition(" ")
        if path.startswith(folder) and path.endswith(".yaml"):
            found.setdefault(blob, path)
    return found


def tagged(repo: Repository) -> tuple[str, ...]:
    """The ids of the commits that tags name."""
    asked = ["for-each-ref", "--format=%(objectname) %(objecttype) %(*objectname) %(*objecttype)"]
    commits: dict[str, None] = {}
    for line in repo.git.run([*asked, "refs/tags"]).decode().splitlines():
        words = line.split()
        commits.update((one, None) for one, kind in pairwise(words) if kind == "commit")
    return tuple(commits)


def first_commit(repo: Repository, commit: str) -> str:
    """The id of the oldest commit that ``commit`` descends from; of several, the first by id."""
    found = repo.git.run(["rev-list", "--max-parents=0", "--end-of-options", user_revision(commit)])
    return min(found.decode().split())


def has_trailer(repo: Repository, commit: str, key: str, value: str) -> bool:
    """Whether a commit, at or before ``commit``, has the line ``key: value`` in its message."""
    line = f"{key}: {value}"
    search = ["rev-list", "--max-count=1", "--fixed-strings", f"--grep={line}"]
    return bool(repo.git.run([*search, "--end-of-options", user_revision(commit)]).strip())


def is_shallow(repo: Repository) -> bool:
    """Whether the clone lacks the older part of its history."""
    return repo.git.ask(["rev-parse", "--is-shallow-repository"]) == "true"


def _naming(repo: Repository, commit: str, cluster: str) -> Iterator[str]:
    """The commit itself, then those whose message has the cluster's line, newest first."""
    # Mostly nothing happened since the last export, and the history need not be walked.
    yield commit
    line = f"^[[:space:]]*(Cluster|Accepted-From|Resealed): {cluster}[[:space:]]*$"
    search = ["rev-list", "--date-order", "--extended-regexp", f"--grep={line}"]
    yield from repo.git.run([*search, "--end-of-options", user_revision(commit)]).decode().split()


def _files(repo: Repository, commit: str, prefix: str) -> dict[str, str]:
    start = len(prefix) + 1
    return {entry.path[start:]: entry.id for entry in entries(repo, commit, prefix)}


def _digests(repo: Repository, commit: str) -> set[str]:
    """The digests that its message names; a squashed merge of several exports names several."""
    message = repo.git.run(["cat-file", "commit", commit]).decode(errors="replace")
    lines = message.splitlines()
    return {found[1] for line in lines if (found := _FILES.fullmatch(line))}


def _at_time(repo: Repository, at: str, prefix: str) -> str:
    try:
        seconds = int(datetime.fromisoformat(at.upper()).astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise RepositoryError(f"{at}: there is no such time", hint=_FORMATS) from error
    if head(repo) is None:
        raise RepositoryError(f"{at}: the repository has no commits yet")
    touching = ["rev-list", "--first-parent", "HEAD"]
    where = ["--", prefix.strip("/")]
    if seconds >= 0:
        found = repo.git.run([*touching, "--max-count=1", f"--min-age={seconds}", *where]).decode()
        if found:
            return found.strip()
    every = repo.git.run([*touching, *where]).decode().split()
    hint = f"no commit on this branch touches {prefix}"
    if every:
        oldest = commit_info(repo, every[-1])
        hint = f"the oldest is {oldest.id[:12]} of {oldest.time.isoformat(sep=' ')}"
    if is_shallow(repo):
        hint += "; this clone is shallow: git fetch --unshallow brings the rest"
    raise RepositoryError(f"{at}: no commit of {prefix} is that old", hint=hint)


def _near(repo: Repository, at: str) -> str:
    if head(repo) is None:
        return "the repository has no commits yet"
    names = repo.git.run(["for-each-ref", "--format=%(refname:lstrip=2)"]).decode().splitlines()
    near = difflib.get_close_matches(at, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else _FORMATS


def _when(commit: str, author: str) -> datetime:
    found = _PERSON.fullmatch(author)
    if not found:
        raise RepositoryError(f"commit {commit}: its author line is damaged")
    sign = -1 if found["zone"][0] == "-" else 1
    offset = timedelta(hours=int(found["zone"][1:3]), minutes=int(found["zone"][3:]))
    try:
        return datetime.fromtimestamp(int(found["seconds"]), timezone(sign * offset))
    except (ValueError, OverflowError) as error:
        raise RepositoryError(f"commit {commit}: its author time is impossible") from error


def _decode(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding, errors="replace")
    except LookupError:
        return body.decode(errors="replace")


_FORMATS = "give a commit, a tag, a branch, or a time such as '2026-11-22 10:00'"
