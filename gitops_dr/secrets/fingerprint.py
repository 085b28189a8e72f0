"""Knows a Secret again without its value: a keyed HMAC, which may stand in Git. Pure.

A plain hash would tell a weak password to whoever tries a dictionary on it; the key of this one is
never in Git.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from gitops_dr.model import Ref

KEY_BYTES: Final = 32
"""Length of a key that we make."""

_NAME: Final = b"gitops-dr fingerprint key"


def hmac_of(key: bytes, ref: Ref, canonical: bytes) -> str:
    """Give the HMAC-SHA256, in hexadecimal, of a Secret's name and canonical bytes.

    It is made over ``namespace/name``, a null byte, and the bytes, so that no two Secrets have the
    same one.
    """
    message = f"{ref.namespace}/{ref.name}".encode() + b"\0" + canonical
    return hmac.new(key, message, sha256).hexdigest()


def key_id(key: bytes) -> str:
    """Give 16 hexadecimal digits by which a key is known again, and which do not give it away."""
    return hmac.new(key, _NAME, sha256).hexdigest()[:16]
