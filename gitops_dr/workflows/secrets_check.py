"""``gitops-dr secrets check``: does every encrypted file open, and is nothing else open in Git.

Reads Git only, and the private keys that are to be had; starts ``sops`` for files with other keys
than age's. gather and judge each file of the cluster at HEAD; then each blob of the whole history,
whatever cluster it is of.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping

from gitops_dr.engine.exposed_credentials import exposed_credentials
from gitops_dr.engine.keyed import find_keys
from gitops_dr.engine.opening import Opened, Where, open_repo
from gitops_dr.engine.secret_files import Found, open_secrets, problem_of
from gitops_dr.errors import GitOpsDRError
from gitops_dr.events import Advanced, Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.keys.sops_binary import open_with_any
from gitops_dr.model import Gap, Ref
from gitops_dr.repository.blobs import every_blob, origins
from gitops_dr.repository.history import is_shallow
from gitops_dr.repository.tree import entries
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.sops import Sealed
from gitops_dr.secrets.standing import Exposure, History, SecretFile, SecretsChecked, Unread

_TELL_EVERY = 1000


def check(where: Where, *, emit: Emit = silent) -> SecretsChecked:
    """Check the Secrets of a cluster at HEAD, and all blobs of the repository.

    Every file has the recipients that it must have and no others; every file opens, if a private
    key is to be had, and its MAC is right. No blob that any ref leads to is a Secret in plain text
    or holds a private key. Credentials that stand in the open in objects are listed. What is wrong,
    or could not be looked at, is in the result. Raises ``RepositoryError`` for a repository that is
    damaged, ``SecretError`` for a key file that is.
    """
    opened = open_repo(where, emit)
    secrets = open_secrets(opened)
    environment = where.environment or {}
    identities = find_keys(where.environment, emit)

    started = time.monotonic()
    emit(PhaseStarted("files", len(secrets.tree.manifests)))
    files: list[SecretFile] = []
    unread: list[Unread] = []
    failed: list[Unread] = []
    tried = untried = 0
    for one in secrets.found(emit):
        if isinstance(one, Unread):
            unread.append(one)
            continue
        files.append(one.file)
        if one.sealed is None:
            continue
        if not _can_try(one, identities, environment):
            untried += 1
            continue
        tried += 1
        if problem := _problem(one.sealed, identities, environment):
            failed.append(problem)
    emit(PhaseEnded("files", time.monotonic() - started, len(files)))
    return SecretsChecked(
        listed=secrets.listed(files, unread),
        opened=tried - len(failed),
        failed=tuple(failed),
        untried=untried,
        identities=len(identities.found),
        searched=identities.problems or identities.searched,
        history=_history(opened, emit),
        credentials=tuple(exposed_credentials(secrets.tree)),
    )


def _can_try(found: Found, identities: Identities, environment: Mapping[str, str]) -> bool:
    """Whether anything is here that may open a file; KMS and PGP are the affair of ``sops``."""
    if found.file.other_keys and shutil.which("sops", path=environment.get("PATH", "")):
        return True
    return bool(identities.found) and bool(found.file.recipients)


def _problem(
    sealed: Sealed, identities: Identities, environment: Mapping[str, str]
) -> Unread | None:
    """Why a file does not open; None if it does."""
    try:
        open_with_any(sealed, identities, environment)
    except GitOpsDRError as error:
        return Unread(sealed.place, problem_of(error, sealed.place), error.hint)
    return None


def _history(opened: Opened, emit: Emit) -> History:
    repo = opened.repo
    started = time.monotonic()
    emit(PhaseStarted("history"))
    reasons: dict[str, tuple[str, str]] = {}
    unread: list[Gap] = []
    number = 0
    for number, blob in enumerate(every_blob(repo), 1):
        if number % _TELL_EVERY == 0:
            emit(Advanced("history", number))
        if blob.data is None:
            unread.append(Gap(_place(blob.path or blob.id), blob.problem))
        elif reason := objection(blob.path, blob.data):
            reasons[blob.id] = (blob.path, reason)
    if is_shallow(repo):
        hint = "git fetch --unshallow (in CI: fetch-depth 0)"
        unread.append(Gap(_place("history"), f"this clone is cut off; older commits: {hint}"))
    emit(PhaseEnded("history", time.monotonic() - started, number))
    return History(number, tuple(_exposures(opened, reasons)), tuple(sorted(unread)))


def _exposures(opened: Opened, reasons: dict[str, tuple[str, str]]) -> list[Exposure]:
    """Say of each blob where it came in, and whether it is still there."""
    if not reasons:
        return []
    repo = opened.repo
    found = origins(repo, reasons)
    now = {entry.id: entry.path for entry in entries(repo, opened.head)} if opened.head else {}
    made = []
    for blob, (path, reason) in reasons.items():
        origin = found.get(blob)
        place = now.get(blob) or (origin.path if origin else path)
        commit = origin.commit if origin else ""
        made.append(Exposure(place, reason, blob, commit, in_tree=blob in now))
    return sorted(made, key=lambda one: (not one.in_tree, one.path, one.commit))


def _place(path: str) -> Ref:
    return Ref("", "File", "", path)
