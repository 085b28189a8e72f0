"""The values of a SOPS document: how one is encrypted, and the sum over all of them. Pure.

The form is that of ``sops`` 3: https://github.com/getsops/sops/blob/v3.11.0/aes/cipher.go for one
value, https://github.com/getsops/sops/blob/v3.11.0/sops.go (``Tree.Encrypt``) for the sum.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import sha256, sha512
from typing import Any, Final, Protocol

from gitops_dr.manifests.scalars import as_json
from gitops_dr.model import Body

Where = tuple[str | int, ...]
"""A place in a body: keys, and indices of lists."""

_B64: Final = "[A-Za-z0-9+/]+={0,2}"
_SEALED: Final = re.compile(
    rf"ENC\[AES256_GCM,data:({_B64}),iv:({_B64}),tag:({_B64}),type:([a-z0-9]+)\]"
)
_TAG_BYTES: Final = 16
_IV_BYTES: Final = 32

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT: Final = re.compile(r"[-+]?[0-9]{1,400}(?:\.[0-9]{1,400})?")
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})

_ONLY_ENCRYPTED: Final = sha256(b"sops").digest()
"""What a sum begins with that takes in encrypted values only, so that it is no other's."""


class Cipher(Protocol):
    """AES-GCM with the data key of one document."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Encrypt; the last 16 bytes are the tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Decrypt what :meth:`encrypt` gave."""


def cipher_of(data_key: bytes) -> Cipher:
    """Make the cipher of a data key (32 bytes)."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(data_key)


def is_sealed_value(value: object) -> bool:
    """Whether a value has the form of one that SOPS encrypted."""
    return isinstance(value, str) and _SEALED.fullmatch(value) is not None


def place_of(where: Where) -> bytes:
    """What is authenticated with a value: its keys, so that it cannot be moved to another."""
    return b"".join(f"{key}:".encode() for key in where if isinstance(key, str))


def encrypted(value: Any, cipher: Cipher, place: bytes) -> str:
    """Encrypt a string, number or boolean. An empty string stays one, as in ``sops``."""
    if value == "":
        return ""
    return _encrypted(as_text(value), _KINDS[type(value)], cipher, place)


def _encrypted(plain: bytes, kind: str, cipher: Cipher, place: bytes) -> str:
    iv = os.urandom(_IV_BYTES)
    both = cipher.encrypt(iv, plain, place)
    data, tag = both[:-_TAG_BYTES], both[-_TAG_BYTES:]
    return f"ENC[AES256_GCM,data:{_b64(data)},iv:{_b64(iv)},tag:{_b64(tag)},type:{kind}]"


def decrypted(text: Any, cipher: Cipher, place: bytes) -> Any:
    """Decrypt what :func:`encrypted` or ``sops`` wrote.

    Raises ``ValueError``, which says what is wrong and nothing of the content.
    """
    if text == "":
        return ""
    plain, kind = _decrypted(text, cipher, place)
    if kind in {"str", "bytes", "time"}:
        return plain
    if kind in {"int", "int64"} and _INTEGER.fullmatch(plain):
        return int(plain)
    if kind == "float" and _FLOAT.fullmatch(plain):
        return as_json(float(plain))
    if kind == "bool" and plain in _TRUE | _FALSE:
        return plain in _TRUE
    raise ValueError(f"not of the type that it says, {kind}")


def encrypted_anew(comment: str, old: Cipher, new: Cipher, places: Iterable[bytes]) -> str:
    """Encrypt a comment with another data key; one that cannot be decrypted is given back.

    ``places``: those of the mappings that it may stand in.
    """
    for place in places:
        try:
            plain, _ = _decrypted(comment, old, place)
        except ValueError:
            continue
        return _encrypted(plain.encode(), "comment", new, place)
    return comment


def _decrypted(text: Any, cipher: Cipher, place: bytes) -> tuple[str, str]:
    """Decrypt to the text of a value and its type."""
    found = _SEALED.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("not encrypted")
    try:
        data, iv, tag = (base64.b64decode(part) for part in found.groups()[:3])
    except binascii.Error:
        raise ValueError("no base64") from None

    from cryptography.exceptions import InvalidTag

    try:
        plain = cipher.decrypt(iv, data + tag, place)
    except InvalidTag:
        raise ValueError("changed, or moved here from another place") from None
    try:
        return plain.decode(), found[4]
    except UnicodeDecodeError:
        raise ValueError("binary data, which no manifest can hold") from None


_KINDS: Final = {str: "str", bool: "bool", int: "int", float: "float"}


def as_text(value: Any) -> bytes:
    """Give the bytes that are encrypted and summed for a value: Go's way to write it."""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        digits = format(Decimal(repr(value)), "f")
        return (digits.rstrip("0").rstrip(".") if "." in digits else digits).encode()
    return str(value).encode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def leaves(body: Any, where: Where = ()) -> list[tuple[Where, Any]]:
    """List strings, numbers and booleans of a body with their places, in the body's order."""
    found: list[tuple[Where, Any]] = []
    _collect(body, where, found)
    return found


def _collect(value: Any, where: Where, found: list[tuple[Where, Any]]) -> None:
    if isinstance(value, str):
        found.append((where, value))
    elif isinstance(value, dict):
        for key, child in value.items():
            _collect(child, (*where, key), found)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _collect(child, (*where, index), found)
    elif value is not None:
        found.append((where, value))


def replaced(body: Body, values: Mapping[Where, Any]) -> Body:
    """Copy a body with other values in some places."""
    result: Body = _copied(body, (), values)
    return result


def _copied(value: Any, where: Where, values: Mapping[Where, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _copied(child, (*where, key), values) for key, child in value.items()}
    if isinstance(value, list):
        return [_copied(child, (*where, index), values) for index, child in enumerate(value)]
    return values.get(where, value)


def in_canonical_order(body: Body) -> list[tuple[Where, Any]]:
    """List what :func:`leaves` does, in the order in which canonical YAML has them."""
    return leaves(_sorted(body))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(child) for child in value] if isinstance(value, list) else value


def mac_of(values: Iterable[Any], *, only_encrypted: bool) -> str:
    """Sum up plain values in their order: SHA-512, in upper-case hexadecimal.

    ``only_encrypted`` says that they are only those that are encrypted.
    """
    total = sha512(_ONLY_ENCRYPTED if only_encrypted else b"")
    for value in values:
        total.update(as_text(value))
    return total.hexdigest().upper()
