"""Gives the files of a cluster what their Secrets are known, opened and sealed by.

Reads Git and the cluster; writes to the cluster only the key of the HMACs, where it was told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.record import make_fingerprint_key, read_fingerprint_key
from gitops_dr.desired.secret_records import (
    NO_RECORDS,
    SECRETS,
    SecretRecords,
    read_secret_records,
)
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.recorded import Tree
from gitops_dr.engine.sealing import Sealing
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.keys.find import find_identities
from gitops_dr.keys.fingerprint_key import given_fingerprint_key
from gitops_dr.keys.sops_binary import open_with_any
from gitops_dr.repository.tree import read_file
from gitops_dr.secrets.creation_rules import CreationRules, read_creation_rules
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.standing import wanted

RULES = ".sops.yaml"

_ANEW = (
    "the key by which its Secrets are known again is another one, so all of them are encrypted anew"
)


def with_secrets(
    opened: Opened,
    where: Where,
    tree: Tree,
    connection: Connection,
    *,
    make_key: bool = False,
    emit: Emit = silent,
) -> Tree:
    """The tree with what its Secrets need; the same tree where there are none and will be none.

    Who may open them is what HEAD says. ``make_key``: make the key of the HMACs in the cluster if
    there is none. Raises ``ApiError`` and ``RepositoryError`` as its parts do.
    """
    settings = opened.settings
    rules = read_rules(opened)
    records = read_records(tree)
    named = bool(settings.secrets.recipients or settings.secrets.required_recipients or rules)
    if not (named or records.sealed):
        return tree
    key = given_fingerprint_key(where.environment or {}) or read_fingerprint_key(connection)
    if key is None and make_key and named:
        key = make_fingerprint_key(connection)
    found = Sealing(
        prefix=tree.prefix,
        recipients=lambda path: wanted(rules.recipients(path), settings.secrets),
        settings=settings.secrets,
        is_wanted=True,
        find=partial(find_keys, where.environment, emit),
        unseal=partial(open_with_any, environment=where.environment or {}),
        key=key,
        records=records,
        anew=make_key and key is not None,
    )
    if make_key and records.sealed and not (found.is_known or found.identities.found):
        emit(Notice(f"cluster {settings.name}: {_ANEW}"))
    return replace(tree, sealing=found)


def refuse_unsealable(tree: Tree, cluster: str) -> None:
    """Raise ``RefusedError`` where an export would lose Secrets, or encrypt all each time."""
    sealing = tree.sealing
    if not sealing.is_wanted:
        return
    if sealing.records.sealed and not sealing.recipients("namespaces/any/secrets/any.yaml"):
        raise RefusedError(
            f"cluster {cluster}: {len(sealing.records.sealed)} Secrets are in Git, and nobody is "
            "named any more who could open them; nothing was written",
            hint=f"bring back the recipients in {RULES}, or say policy: omit for them",
        )
    if not sealing.key_id and not sealing.identities.found:
        raise RefusedError(
            f"cluster {cluster}: there is no key by which its Secrets are known again, and it may "
            "not be made; nothing was written",
            hint="let this account make Secret gitops-dr/fingerprint-key (docs/roles.md), or give "
            "an age identity",
        )


def read_records(tree: Tree) -> SecretRecords:
    """What a commit says of its Secrets. Raises ``RepositoryError`` if that cannot be read."""
    blob = tree.files.get(SECRETS)
    if blob is None:
        return NO_RECORDS
    return read_secret_records(tree.blob(blob), f"{tree.prefix}/{SECRETS}")


def read_rules(opened: Opened) -> CreationRules:
    """The repository's own ``.sops.yaml`` at HEAD. Raises ``RepositoryError`` if it is none."""
    data = read_file(opened.repo, opened.head, RULES) if opened.head else None
    return read_creation_rules(data or b"", RULES)


def find_keys(environment: Mapping[str, str] | None, emit: Emit = silent) -> Identities:
    """Look for the private keys that are to be had; what should be repaired about them is said."""
    environment = environment or {}
    found = find_identities(environment, Path(environment.get("HOME") or Path.home()))
    for warning in found.warnings:
        emit(Notice(warning))
    return found
