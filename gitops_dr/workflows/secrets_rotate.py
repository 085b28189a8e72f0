"""``gitops-dr secrets rotate``: new data keys, encrypted for today's recipients. Commits to Git.

gather: the encrypted files that are meant. compute: each anew, in memory. act: one commit, so that
whatever interrupts it leaves all as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gitops_dr.engine.holding import holding
from gitops_dr.engine.keyed import find_keys
from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.resealed import record_file, trailers
from gitops_dr.engine.secret_files import Found, Secrets, open_secrets
from gitops_dr.errors import RefusedError, SecretError, UsageError
from gitops_dr.events import Advanced, Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import Gap, Ref
from gitops_dr.repository.checkout import finish_interrupted_checkout
from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import current_branch
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.policy import VALUES
from gitops_dr.secrets.sops import Sealed
from gitops_dr.secrets.sops import rotate as new_data_key
from gitops_dr.secrets.standing import Resealed, Rotated, SecretFile

InScope = Callable[[Ref, Mapping[str, str]], bool]
"""Whether a Secret is meant, by its Ref and its labels."""

_TELL_EVERY = 200


def rotate(
    where: Where,
    in_scope: InScope = lambda _ref, _labels: True,
    *,
    refs: Collection[Ref] = (),
    dry_run: bool = False,
    emit: Emit = silent,
) -> Rotated:
    """Encrypt files anew: another data key, and today's recipients only.

    ``refs``: the Secrets that must be among them; all that are ``in_scope`` are meant. ``dry_run``
    stops before the commit. A file that cannot be opened stays as it is and is a gap of the result.

    Raises ``UsageError`` for a Ref of no encrypted file, ``RefusedError`` where nobody is named who
    could open one afterwards, ``SecretError`` if none can be opened.
    """
    opened = open_repo(where, emit)
    repo = opened.repo
    if not dry_run:
        opened.trust.require_own_key()
        current_branch(repo)
    with holding("secrets rotate", repo=repo, wanted=not dry_run):
        if not dry_run:
            finish_interrupted_checkout(repo)
        secrets = open_secrets(opened)
        meant, gaps = _meant(secrets, in_scope, refs, emit)
        result, files = _encrypted(secrets, meant, gaps, where, emit)
        if dry_run or not files:
            return replace(result, dry_run=dry_run)

        changes = {**files, **record_file(secrets, files)}
        made = commit(
            repo,
            changes=changes,
            message=f"Rotate {opened.settings.name}: {len(files)} Secrets encrypted anew",
            trailers=trailers(secrets, changes),
            guard=objection,
            expected=opened.head,
        )
    return replace(result, commit=made.id, left=made.left)


def _encrypted(
    secrets: Secrets,
    meant: Sequence[tuple[SecretFile, Sealed]],
    gaps: Sequence[Gap],
    where: Where,
    emit: Emit,
) -> tuple[Rotated, dict[str, bytes]]:
    """All that is meant, encrypted anew, and the account of it."""
    identities = find_keys(where.environment, emit)
    files: dict[str, bytes] = {}
    done: list[Resealed] = []
    unopened: list[Gap] = []
    recipients: dict[str, None] = {}
    started = time.monotonic()
    emit(PhaseStarted("encrypt", len(meant)))
    for number, (file, sealed) in enumerate(meant, 1):
        try:
            files[file.path] = _anew(sealed, file.path, secrets, identities)
        except SecretError as error:
            if number == len(meant) and not done:
                raise
            unopened.append(Gap(file.ref, error.message))
            continue
        recipients |= dict.fromkeys(secrets.wanted(file.path))
        done.append(Resealed(file.path, file.ref, _keys(sealed)))
        if number % _TELL_EVERY == 0:
            emit(Advanced("encrypt", number))
    emit(PhaseEnded("encrypt", time.monotonic() - started, len(done)))
    result = Rotated(
        cluster=secrets.opened.settings.name,
        commit=None,
        dry_run=False,
        files=tuple(done),
        gaps=tuple(sorted([*gaps, *unopened])),
        names=secrets.names,
        recipients=tuple(recipients),
    )
    return result, files


def _meant(
    secrets: Secrets, in_scope: InScope, refs: Collection[Ref], emit: Emit
) -> tuple[list[tuple[SecretFile, Sealed]], list[Gap]]:
    meant: list[tuple[SecretFile, Sealed]] = []
    gaps: list[Gap] = []
    for one in secrets.found(emit):
        if not isinstance(one, Found):
            gaps.append(Gap(Ref("", "File", "", one.path), one.problem))
        elif one.sealed and in_scope(one.file.ref, one.body["metadata"].get("labels") or {}):
            meant.append((one.file, one.sealed))
    if unknown := sorted(set(refs) - {file.ref for file, _ in meant}):
        raise UsageError(
            f"{unknown[0]}: no encrypted file of {secrets.tree.prefix} holds it",
            hint="gitops-dr secrets list names them",
        )
    return meant, gaps


def _anew(sealed: Sealed, path: str, secrets: Secrets, identities: Identities) -> bytes:
    recipients = secrets.wanted(path)
    if not recipients:
        raise RefusedError(
            f"{path}: nobody is named who could open it",
            hint="name recipients: gitops-dr secrets init",
        )
    return new_data_key(sealed, recipients, identities, datetime.now(UTC))


def _keys(sealed: Sealed) -> tuple[str, ...]:
    """The names of its values."""
    fields = (sealed.body.get(field) or {} for field in VALUES)
    return tuple(sorted({str(key) for values in fields for key in values}))
