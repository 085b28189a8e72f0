"""Remembers the fingerprints of objects by a hash of their JSON, from one export to the next.

To write an object as canonical YAML, to search those bytes and to hash them takes two fifths of
our time with a cluster; to hash its JSON takes a fifth of that. The canonical bytes depend on the
object alone, so whoever has the same JSON has the same fingerprint: nothing is remembered that
could be out of date. Reads and writes one note beside Git's own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import orjson

from gitops_dr.manifests import emit
from gitops_dr.model import Body
from gitops_dr.repository.notes import read_note, write_note
from gitops_dr.repository.repository import Repository

_KEY_BYTES = 16
"""Of a SHA-256: enough that nobody can make two objects that share them."""


class Remembered:
    """What is remembered, and what there is to remember."""

    def __init__(self, fingerprints: Mapping[bytes, str] | None = None) -> None:
        self._before = fingerprints or {}
        self._new: dict[bytes, str] = {}

    def __getitem__(self, key: bytes | None) -> str | None:
        return None if key is None else self._before.get(key)

    def add(self, key: bytes | None, fingerprint: str) -> None:
        """Remember it too."""
        if key is not None:
            self._new[key] = fingerprint

    @property
    def changed(self) -> bool:
        """Whether there is more to remember than before."""
        return bool(self._new)

    def of(self, fingerprints: Collection[str]) -> dict[bytes, str]:
        """What is remembered of these."""
        every = {**self._before, **self._new}
        return {key: found for key, found in every.items() if found in fingerprints}


def key_of(body: Body) -> bytes | None:
    """What an object is remembered by: a hash of its JSON; None if it has none.

    Two objects with one key are equal. Equal objects whose keys stand in another order have other
    keys, and are written once more.
    """
    try:
        return hashlib.sha256(orjson.dumps(body)).digest()[:_KEY_BYTES]
    except orjson.JSONEncodeError:
        return None


def read_remembered(repo: Repository, prefix: str) -> Remembered:
    """What the last export of the cluster at ``prefix`` remembered; nothing if that is unknown."""
    head, _, records = (read_note(repo, _name(prefix)) or b"").partition(b"\n")
    if head != _head(repo, records):
        return Remembered()
    size = _KEY_BYTES + len(repo.null_id) // 2
    places = range(0, len(records), size)
    return Remembered(
        {records[at : at + _KEY_BYTES]: records[at + _KEY_BYTES : at + size].hex() for at in places}
    )


def write_remembered(
    repo: Repository, prefix: str, remembered: Remembered, fingerprints: Collection[str]
) -> None:
    """Keep what is remembered of ``fingerprints`` for the next run, if it is not kept already."""
    if remembered.changed:
        every = remembered.of(fingerprints)
        records = b"".join(key + bytes.fromhex(found) for key, found in every.items())
        write_note(repo, _name(prefix), _head(repo, records) + b"\n" + records)


def _name(prefix: str) -> str:
    return f"fingerprints-{hashlib.sha256(prefix.encode()).hexdigest()[:12]}"


def _head(repo: Repository, records: bytes) -> bytes:
    """The first line: of what form the fingerprints are, and a hash of all that follows."""
    return f"{repo.object_format} {_form()} {hashlib.sha256(records).hexdigest()}".encode()


@cache
def _form() -> str:
    """Names what decides how an object is written: our emitter, to the letter, and yamlrocks."""
    code = Path(emit.__file__).read_bytes()
    return hashlib.sha256(code + version("yamlrocks").encode()).hexdigest()[:12]
