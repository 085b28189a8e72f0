"""Decides whose commits may be read at all. Runs git; keeps one note in ``.git/gitops-dr/``.

Signers come from outside of the repository if somebody named them there. Otherwise they are those
of ``trust.signers`` in ``gitops-dr.yaml``, under one rule that is looked at from commit to commit:
whoever changes them must have been one of them before. docs/security.md says what that is worth;
docs/adr/0013-trust-from-outside.md, why it is so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.config import FILE
from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.events import Emit, Notice
from gitops_dr.repository.notes import read_note, write_note
from gitops_dr.repository.repository import Repository, head
from gitops_dr.repository.signatures import (
    SIGNING_KEY,
    is_vouched_for,
    objection,
    sign,
    signing_key,
)
from gitops_dr.repository.trust_history import Seen, Signers, earlier, followed
from gitops_dr.signers import signers_of, signers_of_file

TRUSTED_SIGNERS = "GITOPS_DR_TRUSTED_SIGNERS"
"""The variable that names a file of signers outside of the repository."""

_NOTE = "trust"
_MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose commits are read; nobody named means everybody's."""

    repo: Repository
    signers: Signers = ()
    source: str = ""
    """Where they are named, for messages."""
    kept: bool = False
    """They are those of before, because a history that does not go on from there has no say."""

    def require(self, commit: str, what: str) -> None:
        """Raise ``RefusedError`` unless ``commit`` (a full id) is signed by one of the signers.

        A tag on it that is signed by one of them will do, for what was there before they signed.
        To be called before anything is read from it. ``what`` says what it is wanted for.
        """
        if not self.signers:
            return
        reason = objection(self.repo, commit, self.signers)
        if reason and not is_vouched_for(self.repo, commit, self.signers):
            raise RefusedError(
                f"commit {commit[:12]} ({what}): {reason}; nothing was read from it",
                hint=f"whose signatures count stands in {self.source}; one of them vouches for a "
                "commit by a signed tag on it (git tag -s; docs/security.md)",
            )

    def require_own_key(self, environment: Mapping[str, str] = os.environ) -> None:
        """Raise ``RefusedError`` if a commit of ours would be one that the next run refuses.

        The key is tried, on a commit that nothing leads to. Raises ``RepositoryError`` if it cannot
        sign at all.
        """
        if not self.signers:
            return
        key = signing_key(environment)
        if key is None:
            raise self._refusal("and ours would not be signed", f"name the key in {SIGNING_KEY}")
        tried = head(self.repo)
        if tried and (reason := objection(self.repo, sign(self.repo, tried, key), self.signers)):
            raise self._refusal(
                f"and ours would not be one: {reason}",
                f"name a key of theirs in {SIGNING_KEY}, or trust this one",
            )

    def _refusal(self, reason: str, hint: str) -> RefusedError:
        return RefusedError(
            f"{self.repo.root}: only commits of the signers in {self.source} count, {reason}; "
            "nothing was written",
            hint=hint,
        )


def establish(repo: Repository, tip: str | None, outside: Path | None, emit: Emit) -> Trust:
    """Settle whose commits count, and refuse ``tip`` (a full id) if it is not one of theirs.

    ``outside``: a file with signers that is no part of the repository. Raises ``RefusedError``, and
    ``UsageError`` for a file that names nobody or that the repository's own files could replace.
    """
    if outside is not None:
        trust = Trust(repo, _outside(repo, outside), str(outside))
    elif tip is None:
        return Trust(repo)
    else:
        trust = _inside(repo, tip, emit)
    if tip is not None:
        trust.require(tip, "HEAD, with the configuration")
    if outside is None and tip is not None:
        _remember(repo, tip, trust)
    return trust


def _outside(repo: Repository, file: Path) -> Signers:
    real = file.resolve()
    way = [real, *_way_to(file)]
    for inside in (repo.root, repo.git_dir.resolve()):
        if any(step != inside and step.is_relative_to(inside) for step in way):
            raise UsageError(
                f"{file}: it is part of the repository that it is to judge",
                hint="keep the file with signers where nobody can push to",
            )
    try:
        with real.open("rb") as opened:
            data = opened.read(_MAX_FILE + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{file}: {reason}", hint="a file with trusted signers") from error
    if len(data) > _MAX_FILE:
        raise UsageError(f"{file}: more than {_MAX_FILE} bytes")
    return signers_of_file(text, str(file))


def _way_to(file: Path) -> list[Path]:
    """Where each part of the path stands, which may be a link that somebody turns elsewhere."""
    parts = [file.absolute(), *file.absolute().parents]
    return [part.parent.resolve() / part.name for part in parts if part.name != ".."]


def _inside(repo: Repository, tip: str, emit: Emit) -> Trust:
    """Trust as the repository's own history names it, going on from what was seen here last."""
    seen = _remembered(repo)
    source = f"trust.signers of {FILE}"
    if seen is not None and seen.commit == tip:
        return Trust(repo, seen.signers, source)
    since = earlier(repo, seen, tip) if seen is not None else None
    if seen is not None and seen.signers and since is None:
        note = repo.git_dir / "gitops-dr" / _NOTE
        return Trust(repo, seen.signers, f"{note}, kept from commit {seen.commit[:12]}", kept=True)
    signers = followed(repo, tip, since)
    if signers and not (seen and seen.signers):
        emit(
            Notice(
                f"{FILE}: names {len(signers)} trusted signers, who are taken as they stand "
                "there, for the first time here; name them from outside with --trusted-signers"
            )
        )
    return Trust(repo, signers, source)


def _remembered(repo: Repository) -> Seen | None:
    """The commit that was settled last, and for whom. A note that is damaged is refused."""
    data = read_note(repo, _NOTE)
    if data is None:
        return None
    try:
        note = json.loads(data)
        commit, lines = note["commit"], note["signers"]
        return Seen(str(commit), signers_of(lines, _NOTE) if lines else ())
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise RefusedError(
            f"{repo.git_dir / 'gitops-dr' / _NOTE}: damaged, so whom to trust is not known",
            hint="if nobody else writes there, delete it: signers are then taken from HEAD",
        ) from error


def _remember(repo: Repository, tip: str, trust: Trust) -> None:
    note = {"commit": tip, "signers": [one.line for one in trust.signers]}
    data = json.dumps(note).encode()
    if not trust.kept and data != read_note(repo, _NOTE):
        write_note(repo, _NOTE, data)
