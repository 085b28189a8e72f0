"""Follows ``trust.signers`` through a history, in which it may only change hands. Runs git.

Every commit is held against each of its parents: who changes whom the parent names must be one of
those. Git's own history of a path would not do, as it follows only the side that a merge agrees
with, and a merge could hide the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitops_dr.config import FILE
from gitops_dr.errors import GitOpsDRError, RefusedError
from gitops_dr.manifests.parse import parse_document
from gitops_dr.repository.git import user_revision
from gitops_dr.repository.repository import Repository
from gitops_dr.repository.signatures import objection
from gitops_dr.repository.tree import MAX_BLOB, read
from gitops_dr.signers import Signer, signers_in

Signers = tuple[Signer, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A commit, and whom it was settled to trust."""

    commit: str
    signers: Signers


def followed(repo: Repository, tip: str, since: Seen | None) -> Signers:
    """Whom ``tip`` (a full id) names, every change on the way there being signed by one of before.

    ``since``: a commit that it descends from, which was looked at before. Raises ``RefusedError``
    for a change that is not.
    """
    walk = ["rev-list", "--topo-order", "--reverse", "--parents", user_revision(tip)]
    only_new = [f"^{since.commit}"] if since else []
    lines = [line.split() for line in repo.git.run([*walk, *only_new]).decode().splitlines()]
    family = {line[0]: line[1:] for line in lines}
    file = _File(repo)
    file.look_up(dict.fromkeys(one for line in lines for one in line))
    settled: dict[str, Signers] = {since.commit: since.signers} if since else {}
    for commit in [one for line in lines for one in line[1:]]:
        if commit not in family and commit not in settled:
            named = file.names(commit)
            settled[commit] = since.signers if named is None and since else named or ()
    for commit, parents in family.items():
        named = file.names(commit)
        if named is None:
            # A file that cannot be read takes nobody's trust away.
            named = next(filter(None, (settled[parent] for parent in parents)), ())
        settled[commit] = named
        _check(file, commit, parents, settled)
    return settled[tip]


def earlier(repo: Repository, seen: Seen, tip: str) -> Seen | None:
    """Where the histories of ``seen`` and ``tip`` parted, if the same are trusted there.

    That is ``seen`` itself if ``tip`` goes on from it. None if they have nothing in common, or if
    signers changed in between: what ``tip`` says of itself must not undo that.
    """
    bases = _bases(repo, seen.commit, tip)
    if bases == [seen.commit]:
        return seen
    file = _File(repo)
    file.look_up(bases)
    if len(bases) == 1 and file.names(bases[0]) == seen.signers:
        return Seen(bases[0], seen.signers)
    return None


def _check(
    file: _File, commit: str, parents: Sequence[str], settled: Mapping[str, Signers]
) -> None:
    named = settled[commit]
    taken_over = [parent for parent in parents if settled[parent] == named]
    for parent in parents:
        signers = settled[parent]
        if not signers or signers == named:
            continue
        if any(_is_behind(file, parent, other, settled) for other in taken_over):
            continue
        if reason := objection(file.repo, commit, signers):
            raise RefusedError(
                f"commit {commit[:12]}: it changes whose signatures count, and {reason}",
                hint="docs/security.md says how to change signers, and what to do now",
            )


def _is_behind(file: _File, parent: str, other: str, settled: Mapping[str, Signers]) -> bool:
    """Whether only the other side of a merge has changed signers since the two parted.

    Each of its changes has been checked, from the signers that this side still has.
    """
    bases = _bases(file.repo, parent, other)
    file.look_up(bases)
    return bool(bases) and all(
        (settled[base] if base in settled else file.names(base)) == settled[parent]
        for base in bases
    )


def _bases(repo: Repository, one: str, other: str) -> list[str]:
    # 128: one of them is not there at all.
    found = repo.git.ask(["merge-base", "--all", one, other], no=(1, 128))
    return found.split() if found else []


@dataclass(slots=True)
class _File:
    """``gitops-dr.yaml`` at many commits; each version is read once."""

    repo: Repository
    _blob_at: dict[str, str | None] = field(default_factory=dict)
    """None where there is none, empty where that is no file."""
    _read: dict[str, Signers | None] = field(default_factory=dict)

    def look_up(self, commits: Iterable[str]) -> None:
        """Find its versions at these commits, by one process."""
        new = [commit for commit in commits if commit not in self._blob_at]
        if not new:
            return
        asked = "".join(f"{commit}:{FILE}\n" for commit in new).encode()
        form = "--batch-check=%(objecttype) %(objectname)"
        with self.repo.git.stream(["cat-file", form], stdin=asked) as answer:
            found = [line.decode(errors="replace").split() for line in answer]
        for commit, words in zip(new, found, strict=True):
            if words[-1] == "missing":
                self._blob_at[commit] = None
            else:
                self._blob_at[commit] = words[1] if words[0] == "blob" else ""

    def names(self, commit: str) -> Signers | None:
        """Whom it names at a commit; None if it cannot be read."""
        blob = self._blob_at[commit]
        if blob is None:
            return ()
        if blob not in self._read:
            try:
                [(_, data)] = read(self.repo, [blob], limit=MAX_BLOB)
                self._read[blob] = signers_in(parse_document(data, FILE), FILE)
            except GitOpsDRError:
                self._read[blob] = None
        return self._read[blob]
