"""The recovery file ``secrets.yaml``: by what each sealed Secret is known again. Pure.

A Secret's fingerprint is Git's id of its sealed file. Whoever has the key of the HMACs, which is
never in Git, knows from a running Secret which file was made of it, without any private key. It is
there only while there is something in it. ``docs/format.md`` specifies it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.versioned import as_text, misread, parse_versioned
from gitops_dr.model import SECRET, Ref

FORMAT = 1
SECRETS = "recovery/secrets.yaml"

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HMAC = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """One Secret's sealed file, and what it was made of."""

    hmac: str
    """Of the plain object, in hex."""
    blob: str
    """Git's id of the sealed file."""


@dataclass(frozen=True, slots=True)
class ExternalSecret:
    """A Secret whose values come from elsewhere: only that it was there, and its keys."""

    policy: str
    """``external``, or whichever policy keeps its values out of Git."""
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretRecords:
    """What one recovery point knows of its Secrets."""

    key_id: str = ""
    """Names the key of the HMACs, and says nothing else of it; empty if there are none."""
    sealed: Mapping[Ref, SecretRecord] = field(default_factory=dict)
    external: Mapping[Ref, ExternalSecret] = field(default_factory=dict)

    @property
    def blobs(self) -> dict[str, str]:
        """HMAC to the blob of the sealed file."""
        return {record.hmac: record.blob for record in self.sealed.values()}


NO_RECORDS = SecretRecords()


def write_secret_records(records: SecretRecords) -> bytes | None:
    """Write the bytes of ``secrets.yaml``; None if it should not be there."""
    if not records.sealed and not records.external:
        return None
    return canonical(
        {
            "format": FORMAT,
            "keyId": records.key_id,
            "sealed": [
                {"blob": r.blob, "hmac": r.hmac, "name": ref.name, "namespace": ref.namespace}
                for ref, r in sorted(records.sealed.items())
            ],
            "external": [
                {
                    "keys": list(found.keys),
                    "name": ref.name,
                    "namespace": ref.namespace,
                    "policy": found.policy,
                }
                for ref, found in sorted(records.external.items())
            ],
        }
    )


def read_secret_records(data: bytes, path: str) -> SecretRecords:
    """Read ``secrets.yaml``. Raises ``RepositoryError`` if it is not one, or of a newer format."""
    document = parse_versioned(data, path, FORMAT)
    with misread(path, "a file of Secrets' records"):
        key_id = document["keyId"]
        return SecretRecords(
            key_id=_match(_KEY_ID, key_id) if key_id else "",
            sealed={
                _ref(entry): SecretRecord(_match(_HMAC, entry["hmac"]), _match(_ID, entry["blob"]))
                for entry in document["sealed"]
            },
            external={
                _ref(entry): ExternalSecret(
                    as_text(entry["policy"]), tuple(as_text(key) for key in entry["keys"])
                )
                for entry in document["external"]
            },
        )


def _ref(entry: Mapping[str, object]) -> Ref:
    return Ref(*SECRET, as_text(entry["namespace"]), as_text(entry["name"]))


def _match(pattern: re.Pattern[str], value: object) -> str:
    if not pattern.fullmatch(text := as_text(value)):
        raise ValueError(f"{text!r} does not fit")
    return text
