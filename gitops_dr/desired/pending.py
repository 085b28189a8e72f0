"""The recovery file ``pending.yaml``: where a commit holds what the cluster never was. Pure.

It is there only while there is something in it. For each such object it keeps the fingerprint that
the cluster's version had when Git and the cluster last agreed: the base of the next three-way
comparison, which the commit itself cannot show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.versioned import as_text, misread, parse_versioned
from gitops_dr.model import Ref

FORMAT = 1
PENDING = "recovery/pending.yaml"

_FINGERPRINT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class Held:
    """One object whose version in Git is not the cluster's."""

    base: str
    """Fingerprint of the version on which both last agreed; empty if neither had the object."""
    path: str
    """Where its manifest is, or was, below ``clusters/<cluster>/``."""
    blob: str = ""
    """Git's id of the file that held that version, where a person had laid it out; empty where it
    is the fingerprint."""


def write_pending(held: Mapping[Ref, Held]) -> bytes | None:
    """Write the bytes of ``pending.yaml``; None if it should not be there."""
    if not held:
        return None
    objects = [
        {
            "base": entry.base,
            "group": ref.group,
            "kind": ref.kind,
            "name": ref.name,
            "namespace": ref.namespace,
            "path": entry.path,
            **({"blob": entry.blob} if entry.blob else {}),
        }
        for ref, entry in sorted(held.items())
    ]
    return canonical({"format": FORMAT, "objects": objects})


def read_pending(data: bytes, path: str) -> dict[Ref, Held]:
    """Read ``pending.yaml``. Raises ``RepositoryError`` if it is not one, or of a newer format."""
    document = parse_versioned(data, path, FORMAT)
    held: dict[Ref, Held] = {}
    with misread(path, "a file of pending changes"):
        for entry in document["objects"]:
            ref = Ref(*(as_text(entry[key]) for key in ("group", "kind", "namespace", "name")))
            blob = _fingerprint(entry.get("blob", ""))
            held[ref] = Held(_fingerprint(entry["base"]), as_text(entry["path"]), blob)
    return held


def _fingerprint(value: object) -> str:
    text = as_text(value)
    if not _FINGERPRINT.fullmatch(text):
        raise ValueError(f"{text!r} is no fingerprint")
    return text
