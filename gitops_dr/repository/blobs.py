"""Goes through every blob that any ref leads to, each once, and finds where one came in. Runs git.

Reads only, a few thousand objects at a time, so that memory does not follow the history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO

from gitops_dr.repository.repository import Repository
from gitops_dr.repository.tree import MAX_BLOB, read

_AT_ONCE = 20_000
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob of the history."""

    id: str
    path: str
    """One of the paths that it has, or had; empty where git names none."""
    data: bytes | None
    """None if it was not read; ``problem`` then says why."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a blob came into the history."""

    commit: str
    """The oldest commit that has it, by its full id."""
    path: str


def every_blob(repo: Repository, *, limit: int = MAX_BLOB) -> Iterator[Blob]:
    """Yield each blob that a commit, tag or note of any ref leads to, once, in no certain order.

    What is not there (a partial clone) or has more than ``limit`` bytes comes without its data.
    Raises ``RepositoryError`` for an object that is damaged.
    """
    listing = ["rev-list", "--objects", "--missing=print", "--all"]
    with repo.git.stream(listing) as output:
        waiting: dict[str, str] = {}
        for line in output:
            # A commit has no name; the tree at the top has an empty one.
            name, named, path = line.rstrip(b"\n").partition(b" ")
            if name.startswith(b"?"):
                yield Blob(name[1:].decode(), "", None, "is not in this clone")
            elif named:
                waiting[name.decode()] = path.decode(errors="surrogateescape")
            if len(waiting) >= _AT_ONCE:
                yield from blobs_among(repo, waiting, limit)
                waiting = {}
        yield from blobs_among(repo, waiting, limit)


def origins(repo: Repository, blobs: Collection[str]) -> dict[str, Origin]:
    """Find for each of these blobs the oldest commit that has it, of all that refs lead to.

    It looks at what each commit changed, so it costs more than reading them all.
    """
    commits = repo.git.run(["rev-list", "--topo-order", "--reverse", "--all"]) if blobs else b""
    if not commits:
        return {}
    wanted = {blob.encode() for blob in blobs}
    found: dict[str, Origin] = {}
    changes = ["diff-tree", "--stdin", "-r", "-m", "--root", "-z", "--raw", "--no-abbrev"]
    commit = ""
    with repo.git.stream([*changes, "--no-renames"], stdin=commits) as output:
        records = _records(output)
        for record in records:
            if not record.startswith(b":"):
                commit = record.strip().decode()
                continue
            path = next(records)
            blob = record.split(b" ")[3]
            if blob in wanted:
                name = path.decode(errors="surrogateescape")
                found.setdefault(blob.decode(), Origin(commit, name))
    return found


def blobs_among(repo: Repository, names: dict[str, str], limit: int) -> Iterator[Blob]:
    """Those of these objects, id to path, that are blobs."""
    request = "".join(f"{name}\n" for name in names).encode()
    facts = repo.git.run(["cat-file", "--batch-check"], stdin=request) if names else b""
    due = []
    for line in facts.decode().splitlines():
        blob, kind, *size = line.split()
        if kind != "blob":
            continue
        if int(size[0]) > limit:
            problem = f"has {size[0]} bytes, more than the {limit} that are read"
            yield Blob(blob, names[blob], None, problem)
        else:
            due.append(blob)
    for blob, data in read(repo, due, limit=limit):
        yield Blob(blob, names[blob], data)


def _records(output: IO[bytes]) -> Iterator[bytes]:
    """What ends with a NUL each, as it comes."""
    begun = b""
    while piece := output.read(_PIECE):
        whole, _, begun = (begun + piece).rpartition(b"\0")
        yield from whole.split(b"\0") if whole else ()
