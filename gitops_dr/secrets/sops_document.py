"""A file that SOPS encrypted, as text: known, read, and written again. Pure.

What we write is the object in canonical form, then the ``sops`` block in canonical form. Files of
other people keep their order, which the sum depends on, and their layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yamlrocks

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.document import STRICT, has_aliases, read_documents
from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.limits import MAX_BYTES
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body
from gitops_dr.secrets.sops_leaves import Where, is_sealed_value, leaves
from gitops_dr.secrets.sops_metadata import FIELDS, KEY, Metadata, read_metadata

_BLOCK_KEY: Final = re.compile(rb"^(?:\xef\xbb\xbf)?[\"']?sops[\"']?[ \t]*:(?=\s)", re.MULTILINE)
_FLOW_START: Final = re.compile(rb"[\s\xef\xbb\xbf]*\{")
_OURS: Final = b"\nsops:\n"
_HINT: Final = "restore it from a commit in which it was whole, or encrypt it anew"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted file. Nothing in it is plain, so it may be shown."""

    place: str
    data: bytes
    """The file."""
    body: Body
    """The manifest without ``sops``; its values are still encrypted."""
    metadata: Metadata
    is_ours: bool
    """Whether it is in the form that we write."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The age and SSH public keys that it is encrypted to."""
        return tuple(entry.recipient for entry in self.metadata.age)

    @property
    def other_keys(self) -> tuple[str, ...]:
        """Kinds of other keys that it is encrypted to, such as ``pgp``; only ``sops`` uses them."""
        return self.metadata.other_keys

    @property
    def last_modified(self) -> str:
        """When a value was last changed: RFC 3339."""
        return self.metadata.last_modified


def is_sealed(data: bytes) -> bool:
    """Whether a file has a ``sops`` block. That it is a good one, only :func:`read_sealed` says."""
    if KEY.encode() not in data:
        return False
    if _BLOCK_KEY.search(data):
        return True
    if not _FLOW_START.match(data) or len(data) > MAX_BYTES:
        return False
    try:
        body = yamlrocks.loads(data, option=STRICT)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and KEY in body


def read_sealed(data: bytes, place: str) -> Sealed:
    """Read an encrypted file; ``place`` is its path, for messages.

    Raises ``ManifestError``, with the line where it is known, for what is no manifest, has no good
    ``sops`` block, or has a value in ``data`` or ``stringData`` that is not encrypted.
    """
    if (found := _read_ours(data, place)) is not None:
        body, raw, is_ours = *found, True
    else:
        body, is_ours = parse(data, place), False
        if KEY not in body:
            raise ManifestError(place, 0, "not encrypted: no sops block", hint=_HINT)
        raw = body.pop(KEY)

    def fault(where: Where, problem: str) -> ManifestError:
        return ManifestError(place, _line(data, place, (KEY, *where)), problem, hint=_HINT)

    metadata = read_metadata(raw, fault)
    for field in FIELDS:
        for where, value in leaves(body.get(field), (field,)):
            if value != "" and not is_sealed_value(value):
                raise ManifestError(
                    place,
                    _line(data, place, where),
                    f"{'.'.join(map(str, where))} is not encrypted, though others are",
                    hint="encrypt it with sops, and take its value for known to whoever reads Git",
                )
    return Sealed(place, data, body, metadata, is_ours)


def _read_ours(data: bytes, place: str) -> tuple[Body, Any] | None:
    """Read a file in our form; None for any other, which is to be read carefully."""
    cut = data.rfind(_OURS) + 1
    if not cut or len(data) > MAX_BYTES:
        return None
    head, tail = data[:cut], data[cut:]
    if has_aliases(tail):
        return None
    try:
        body, block = parse(head, place), yamlrocks.loads(tail, option=STRICT)
        orjson.dumps(block)  # which refuses keys that are no strings
        if canonical(body) != head or canonical(block) != tail:
            return None
    except (ManifestError, yamlrocks.YAMLRocksDecodeError, orjson.JSONEncodeError):
        return None
    return None if KEY in body or block.keys() != {KEY} else (body, block[KEY])


def _line(data: bytes, place: str, where: Where) -> int:
    """Find the line of a place, or of what encloses it."""
    document = next(iter(read_documents(data, place, MAX_BYTES)))
    return document.line(where)


def written(body: Body, raw: Body) -> bytes:
    """Write an encrypted manifest and its ``sops`` block in our form.

    Raises ``ManifestError`` for what no YAML can hold.
    """
    return canonical(body) + canonical({KEY: raw})


def rewritten(sealed: Sealed, body: Body, raw: Body) -> bytes | None:
    """Write a file anew with another body and block; one that is not ours keeps its layout.

    None if its layout cannot be kept: in our form its values are in another order, so that the
    block needs another sum.
    """
    if sealed.is_ours:
        return written(body, raw)
    result = edited(sealed.data, {**body, KEY: raw}, sealed.place)
    return None if result.note else result.data


def comments(data: bytes) -> Sequence[str]:
    """List the comments that ``sops`` encrypted, as they stand in the file."""
    return [found[0].decode() for found in _COMMENT.finditer(data)]


_COMMENT: Final = re.compile(rb"(?<=#)ENC\[AES256_GCM,[^\s\]]+,type:comment\]")
