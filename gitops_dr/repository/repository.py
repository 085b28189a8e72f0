"""Opens, creates and describes a Git repository. Runs git; only ``create_repository`` writes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.git import Git, check_version

_HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository, found and readable."""

    root: Path
    """Top of the worktree; of a bare repository the repository itself. No symlinks in it."""
    git_dir: Path
    """This worktree's own ``.git`` directory."""
    object_format: str
    """``sha1`` or ``sha256``."""
    bare: bool

    @property
    def git(self) -> Git:
        """The door, standing at the root."""
        return Git(self.root)

    @property
    def null_id(self) -> str:
        """The id that means "none" in this repository's format."""
        return "0" * (40 if self.object_format == "sha1" else 64)

    @property
    def empty_tree(self) -> str:
        """Id of the tree without entries, which every repository knows."""
        return self._hash(b"tree 0\0")

    def blob_id(self, data: bytes) -> str:
        """Compute the id that git gives to ``data`` as a blob.

        Source: gitformat "Object storage", ``blob <size in bytes> NUL <data>``.
        """
        return self._hash(b"blob %d\0%b" % (len(data), data))

    def _hash(self, data: bytes) -> str:
        return _HASHES[self.object_format](data, usedforsecurity=False).hexdigest()


def open_repository(path: Path) -> Repository:
    """Find the repository that ``path`` is in.

    Raises ``RepositoryError`` if there is none, if git will not open it, or if git is too old.
    """
    check_version()
    path = path.resolve()
    if not path.is_dir():
        raise RepositoryError(f"{path}: no such directory", hint=_HINT_INIT)
    git = Git(path)
    try:
        facts = git.run(
            ["rev-parse", "--is-bare-repository", "--show-object-format", "--absolute-git-dir"]
        )
    except RepositoryError as error:
        if "not a git repository" not in error.message:
            raise
        raise RepositoryError(f"{path}: not in a Git repository", hint=_HINT_INIT) from error
    bare, object_format, git_dir = facts.decode().removesuffix("\n").split("\n", 2)
    if object_format not in _HASHES:
        raise RepositoryError(f"{path}: unknown object format {object_format}")
    if bare == "true":
        return Repository(Path(git_dir), Path(git_dir), object_format, bare=True)
    root = Path(git.run(["rev-parse", "--show-toplevel"]).decode().removesuffix("\n")).resolve()
    if not path.is_relative_to(root):
        # `core.worktree` may point anywhere; we would write there.
        raise RepositoryError(
            f"{path}: its repository keeps its files in {root}", hint=f"run it in {root}"
        )
    return Repository(root, Path(git_dir), object_format, bare=False)


def create_repository(path: Path) -> Repository:
    """Create ``path`` and a repository with the branch ``main`` in it; keep one that is there.

    No template is used: it could bring hooks. Raises ``RepositoryError`` if it cannot be created.
    """
    check_version()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RepositoryError(f"{path}: {error.strerror}") from error
    if not (path / ".git").exists():
        Git(path).run(["init", "--quiet", "--template=", "--initial-branch=main"])
    return open_repository(path)


def head(repo: Repository) -> str | None:
    """Find the full id of the commit that HEAD is at; None on a branch without commits."""
    return repo.git.ask(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])


def current_branch(repo: Repository) -> str:
    """Find the full name of the branch that HEAD is on (``refs/heads/...``).

    Raises ``RepositoryError`` if HEAD is detached.
    """
    branch = repo.git.ask(["symbolic-ref", "--quiet", "HEAD"])
    if branch is None:
        raise RepositoryError(
            f"{repo.root}: HEAD is detached, so a commit would belong to no branch",
            hint="git switch BRANCH (in CI: git switch -C main)",
        )
    return branch


_HINT_INIT = "make one with `gitops-dr init` or `git init`, or name one with --repo"
