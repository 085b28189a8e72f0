"""Knows, opens and seals the Secrets of one cluster, in one run. Keeps plain values in memory only.

A Secret's fingerprint is Git's id of its sealed file. A running Secret is known again by a keyed
HMAC (``recovery/secrets.yaml``), so that whoever only exports needs no private key. Where the key
of the HMACs is not to be had, or is another one, both sides are known by a key of this run's own,
and the files in Git have to be opened for that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from gitops_dr.desired.secret_records import (
    NO_RECORDS,
    ExternalSecret,
    SecretRecord,
    SecretRecords,
)
from gitops_dr.errors import ManifestError, RefusedError, SecretError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import Body, Ref
from gitops_dr.secrets.fingerprint import KEY_BYTES, hmac_of, key_id
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.policy import VALUES, Decision, Policy, SecretSettings, policy_of, rows
from gitops_dr.secrets.sops import Sealed, open_sealed, read_sealed, seal

SOPS = "sops"
"""The key of a sealed manifest under which SOPS keeps what belongs to it."""

KEPT = frozenset({Policy.ENCRYPT, Policy.PER_CLUSTER})
"""What is in Git, encrypted."""

CANNOT_TELL = (
    "what is in Git cannot be held against it: the key of gitops-dr in the cluster that it was "
    "exported from is not to be had, and no age identity is given"
)

NO_RECIPIENTS = Decision(
    Policy.OMIT,
    "Secrets are left out until they can be encrypted; their values are not even read.",
    "secrets-policy",
)


class Sealing:
    """What is needed for the Secrets of one cluster; nothing is looked for until it is needed."""

    def __init__(
        self,
        *,
        prefix: str = "",
        recipients: Callable[[str], Sequence[str]] = lambda _path: (),
        settings: SecretSettings | None = None,
        is_wanted: bool = False,
        find: Callable[[], Identities] = Identities,
        unseal: Callable[[Sealed, Identities], Body] = open_sealed,
        key: bytes | None = None,
        records: SecretRecords = NO_RECORDS,
        anew: bool = False,
    ) -> None:
        """Nothing is sealed and nothing can be opened, but for what is given.

        ``prefix``: where the cluster's files are. ``recipients``: who may open the file at a path
        of the repository. ``is_wanted``: Secrets are in Git, or are to be. ``find``: looks for
        private keys; ``unseal``: opens a file with them. ``key``: that of the HMACs in
        ``records``; None if it is not to be had.
        ``anew``: whatever cannot be told to be the same is encrypted again.
        """
        self.is_wanted = is_wanted
        self._anew = anew
        self._prefix = prefix
        self._recipients = recipients
        self._settings = settings or SecretSettings()
        self._find = find
        self._open = unseal
        self._identities: Identities | None = None
        self.is_known = key is not None and key_id(key) == records.key_id
        """Whether the records say by which HMACs their files are known again."""
        self._key = key or os.urandom(KEY_BYTES)
        self.key_id = key_id(key) if key else ""
        self.records = records
        self.known: Mapping[Ref, SecretRecord] = records.sealed if self.is_known else {}
        """The records that this run's HMACs can be held against."""
        self._blobs: Mapping[str, str] = records.blobs if self.is_known else {}
        self._files = frozenset(self._blobs.values())
        self._opened: dict[str, str] = {}

    @property
    def can_tell(self) -> bool:
        """Whether what is in Git can be held against what runs: by its HMAC, or opened."""
        sure = self.is_known or self._anew or not self.records.sealed
        return sure or bool(self.identities.found)

    @property
    def identities(self) -> Identities:
        """The private keys that are to be had."""
        if self._identities is None:
            self._identities = self._find()
        return self._identities

    def recipients(self, path: str) -> Sequence[str]:
        """Who may open the file at a path below the cluster's folder."""
        return self._recipients(f"{self._prefix}/{path}")

    def decide(self, ref: Ref, body: Body) -> Decision:
        """What becomes of a running Secret."""
        if not self.recipients(manifest_path(ref, "secrets")):
            return NO_RECIPIENTS
        return policy_of(ref, body, self._settings)

    @property
    def may_be_per_cluster(self) -> bool:
        """Whether anybody has said of any Secret that each cluster has its own."""
        written = (policy.policy for policy in self._settings.policies)
        return Policy.PER_CLUSTER in (*written, *(row.policy for row in rows()))

    # -- knowing again ---------------------------------------------------------------------------

    def hmac(self, ref: Ref, data: bytes) -> str:
        """What a plain Secret is known by; ``data``: its canonical bytes."""
        return hmac_of(self._key, ref, data)

    def fingerprint(self, mac: str) -> str:
        """That of the Secret with this HMAC: the sealed file made of it, or else the HMAC."""
        return self._blobs.get(mac, mac)

    def told(self, blob: str) -> str:
        """The fingerprint of a sealed file that need not be opened for it; empty for others."""
        return blob if blob in self._files else self._opened.get(blob, "")

    def remember(self, records: SecretRecords) -> None:
        """Know the files of an earlier commit again, too: they may have been sealed anew since."""
        if self.is_known and records.key_id == self.key_id:
            for record in records.sealed.values():
                self._opened.setdefault(record.blob, self.fingerprint(record.hmac))

    def fingerprint_of_file(self, ref: Ref, blob: str, body: Body) -> str:
        """That of a Secret that was opened: the same as the running one's if they are equal."""
        if blob not in self._opened:
            self._opened[blob] = self.fingerprint(self.hmac(ref, canonical(body)))
        return self._opened[blob]

    def records_of(
        self, sealed: Mapping[Ref, SecretRecord], external: Mapping[Ref, ExternalSecret]
    ) -> SecretRecords:
        """What to record. By a key of this run's own nobody would know anything again."""
        if not self.key_id:
            return replace(self.records, external=external)
        return SecretRecords(self.key_id if sealed else "", sealed, external)

    # -- opening and sealing ---------------------------------------------------------------------

    def opened(self, data: bytes, place: str) -> Body:
        """The plain manifest in a sealed file. Raises ``ManifestError`` and ``SecretError``."""
        return self._open(read_sealed(data, place), self.identities)

    def sealed(self, body: Body, path: str, previous: bytes | None) -> bytes:
        """The sealed file of a plain manifest; ``path``: its place below the cluster's folder.

        What is unchanged keeps its bytes if the file before it can be opened, and only then.
        Raises ``RefusedError`` if nobody is named who could open it, and ``SecretError`` for one
        that would lose keys which only ``sops`` can encrypt to.
        """
        recipients = self.recipients(path)
        if not recipients:
            raise RefusedError(
                f"{path}: nobody is named who could open it",
                hint="name recipients: gitops-dr secrets init",
            )
        now = datetime.now(UTC)
        if previous is not None:
            _refuse_losing_keys(previous, path)
            with suppress(ManifestError, SecretError):
                return seal(
                    body, recipients, previous=previous, identities=self.identities, now=now
                )
        return seal(body, recipients, now=now)


def _refuse_losing_keys(previous: bytes, path: str) -> None:
    try:
        others = read_sealed(previous, path).other_keys
    except ManifestError:
        return
    if others:
        raise SecretError(
            f"{path}: encrypted to keys of other kinds too ({', '.join(others)})",
            hint="gitops-dr encrypts to age only: change it with sops, or give it age recipients",
        )


def has_values(secret: Body) -> bool:
    """Whether there is anything in it to seal; one without values is in Git as it is."""
    return any(secret.get(key) for key in VALUES)
