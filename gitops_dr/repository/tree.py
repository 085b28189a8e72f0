"""Reads trees and blobs at a commit, byte for byte and never through a filter. Runs git."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import IO

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.git import user_revision
from gitops_dr.repository.paths import shown, unsafe
from gitops_dr.repository.repository import Repository

MAX_BLOB = 32 * 2**20
"""Bytes. An object in etcd is at most 1.5 MB by default; YAML and encryption make it larger."""

PLAIN, EXECUTABLE = "100644", "100755"
"""The modes of ordinary files."""

_PIECE = 1 << 18
_REGULAR = "100"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One path of a tree."""

    mode: str
    """Git's: ``100644``, ``100755``, ``120000`` for a symbolic link, ``160000`` for a submodule."""
    id: str
    path: str

    @property
    def regular(self) -> bool:
        """Whether it is an ordinary file."""
        return self.mode.startswith(_REGULAR)


@dataclass(frozen=True, slots=True)
class TreeChange:
    """One path that differs between two trees; a side without it is None."""

    path: str
    old: TreeEntry | None
    new: TreeEntry | None


def blobs(repo: Repository, revision: str, prefix: str) -> dict[str, str]:
    """Map the path (relative to ``prefix``) of every file below ``prefix`` to its blob id.

    Empty if the folder is not there. Raises ``RepositoryError`` naming the paths if there are
    symbolic links or submodules, or names that no file of ours can have: those were not written
    by us and could lead elsewhere.
    """
    prefix = prefix.strip("/")
    start = len(prefix) + 1 if prefix else 0
    found: dict[str, str] = {}
    refused: list[str] = []
    for mode, blob, path in _listed(repo, revision, prefix):
        if not mode.startswith(_REGULAR):
            refused.append(f"{shown(path)} is {_KINDS.get(mode, 'of unknown type')}")
        elif path == prefix:
            refused.append("it is a file, not a folder")
        elif reason := unsafe(path):
            refused.append(f"{shown(path)}: {reason}")
        else:
            found[path[start:]] = blob
    if refused:
        more = f" (and {len(refused) - 3} more)" if len(refused) > 3 else ""
        raise RepositoryError(
            f"{prefix or repo.root}: {'; '.join(refused[:3])}{more}",
            hint="only ordinary files may be there: remove the others and commit",
        )
    return found


def entries(repo: Repository, revision: str, prefix: str = "") -> Iterator[TreeEntry]:
    """Everything but folders at or below ``prefix`` at ``revision``, whatever it is."""
    return (TreeEntry(*facts) for facts in _listed(repo, revision, prefix))


def tree_changes(repo: Repository, old: str, new: str) -> list[TreeChange]:
    """List what differs between two commits or trees, path by path, without looking for renames."""
    options = ["-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--end-of-options"]
    records = _records(repo, ["diff-tree", *options, user_revision(old), user_revision(new)])
    changes = []
    for facts in records:
        path = next(records)
        old_mode, new_mode, old_id, new_id, _status = facts.removeprefix(":").split(" ")
        before = None if old_id == repo.null_id else TreeEntry(intern(old_mode), old_id, path)
        after = None if new_id == repo.null_id else TreeEntry(intern(new_mode), new_id, path)
        changes.append(TreeChange(path, before, after))
    return changes


def read(
    repo: Repository, ids: Iterable[str], *, limit: int = MAX_BLOB
) -> Iterator[tuple[str, bytes]]:
    """Yield (id, bytes) of each blob in the order asked, from one git process, one at a time.

    Each is checked against its id. Raises ``RepositoryError`` for a blob that is missing, damaged
    or over ``limit`` bytes.
    """
    wanted = list(ids)
    for blob in wanted:
        if not _ID.fullmatch(blob):
            raise RepositoryError(f"{blob!r}: this is not a blob id")
    if not wanted:
        return
    request = "".join(f"{blob}\n" for blob in wanted).encode()
    with repo.git.stream(["cat-file", "--batch", "--buffer"], stdin=request) as output:
        for blob in wanted:
            yield blob, _read_one(repo, output, blob, limit)


def read_file(repo: Repository, revision: str, path: str) -> bytes | None:
    """Read the bytes of one file at ``revision``; None if it is not there.

    Raises ``RepositoryError`` if the path is something other than a file.
    """
    if reason := unsafe(path):
        raise RepositoryError(f"{shown(path)}: {reason}")
    for line in _records(
        repo, ["ls-tree", "-z", "--full-tree", user_revision(revision), "--", path]
    ):
        mode, _kind, blob = line.partition("\t")[0].split(" ")
        if not mode.startswith(_REGULAR):
            raise RepositoryError(
                f"{path}: it is {_KINDS.get(mode, 'of unknown type')}, not a file"
            )
        return next(data for _, data in list(read(repo, [blob])))
    return None


def _read_one(repo: Repository, output: IO[bytes], blob: str, limit: int) -> bytes:
    header = output.readline().decode().split()
    if len(header) != 3 or header[1] != "blob":
        raise RepositoryError(
            f"blob {blob}: {'missing' if header[1:] == ['missing'] else 'unreadable'}",
            hint="the repository is damaged or incomplete: git fsck, or fetch it again in full",
        )
    size = int(header[2])
    if size > limit:
        raise RepositoryError(f"blob {blob}: {size} bytes, more than the {limit} that are read")
    data = output.read(size)
    output.read(1)
    if repo.blob_id(data) != blob:
        raise RepositoryError(f"blob {blob}: damaged", hint="git fsck tells more")
    return data


def _listed(repo: Repository, revision: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    """Mode, id and path of everything but folders at or below ``prefix``."""
    where = ["--", prefix] if prefix else []
    every = ["ls-tree", "-r", "-z", "--full-tree", user_revision(revision)]
    for line in _records(repo, [*every, *where]):
        facts, _, path = line.partition("\t")
        mode, _kind, blob = facts.split(" ")
        yield intern(mode), blob, path


def _records(repo: Repository, args: Sequence[str]) -> Iterator[str]:
    """What a command lists, each ended by a NUL, as it comes: it may be long."""
    with repo.git.stream(args) as output:
        begun = b""
        while piece := output.read(_PIECE):
            whole, _, begun = (begun + piece).rpartition(b"\0")
            # Names that are not UTF-8 come through as surrogates, which `unsafe` refuses.
            yield from whole.decode(errors="surrogateescape").split("\0") if whole else ()
