"""Where an object's manifest is kept, from its Ref alone. Pure.

Names come from a cluster that may be hostile: no name escapes its folder, hides, or collides with
another, also on a disk that ignores case. ``docs/format.md`` has examples.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

from gitops_dr.model import Ref

MAX_SEGMENT_BYTES: Final = 200
"""A longer segment is cut; file systems allow 255, and ``.yaml`` and temporary suffixes follow."""

_HASH_CHARACTERS: Final = 32

_ODD: Final = re.compile(r"[^a-z0-9._-]|^\.|\.\Z")

_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)")
"""Names of devices on Windows, with any extension:
https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""

_EMPTY: Final = "%"
"""Stands for an empty segment: a real ``%`` is always followed by two digits."""


def manifest_path(ref: Ref, plural: str) -> str:
    """Say where the manifest is kept, relative to ``clusters/<cluster>/``.

    ``cluster/<plural>[.<group>]/<name>.yaml`` or
    ``namespaces/<namespace>/<plural>[.<group>]/<name>.yaml``. Different Refs of one resource have
    different paths. It cannot be decoded when the name is long: identity is read from the content.
    """
    return f"{_folder(ref.namespace, plural, ref.group)}/{segment(ref.name)}.yaml"


def plural_of(path: str) -> str:
    """The resource's plural name in a manifest's path (``.../<plural>[.<group>]/<name>.yaml``)."""
    return path.split("/")[-2].partition(".")[0]


@lru_cache(maxsize=4096)
def _folder(namespace: str, plural: str, group: str) -> str:
    scope = f"namespaces/{segment(namespace)}" if namespace else "cluster"
    return f"{scope}/{_resource(plural, group)}"


def _resource(plural: str, group: str) -> str:
    # A dot within a plural would blur where the group begins; no real plural has one.
    encoded = _encode(plural).replace(".", "%2E")
    return _shorten(f"{encoded}.{_encode(group)}" if group else encoded)


def segment(text: str) -> str:
    """One name as a part of a path: encoded, and cut where it is too long."""
    return _shorten(_encode(text))


def _encode(text: str) -> str:
    encoded = _ODD.sub(_percent, text)
    if _RESERVED.match(encoded):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    return encoded or _EMPTY


def _percent(match: re.Match[str]) -> str:
    # Half a surrogate pair has no UTF-8; a path must exist for every name all the same.
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _shorten(encoded: str) -> str:
    if len(encoded) <= MAX_SEGMENT_BYTES:
        return encoded
    digest = hashlib.sha256(encoded.encode("ascii")).hexdigest()[:_HASH_CHARACTERS]
    prefix = encoded[: MAX_SEGMENT_BYTES - _HASH_CHARACTERS - 1]
    return f"{re.sub('%[0-9A-F]?$', '', prefix)}~{digest}"
