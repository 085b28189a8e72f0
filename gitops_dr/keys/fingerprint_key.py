"""Reads the key by which Secrets are known again, where a person gives it. Reads one file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gitops_dr.errors import UsageError
from gitops_dr.secrets.fingerprint import KEY_BYTES

KEY_FILE: Final = "GITOPS_DR_FINGERPRINT_KEY_FILE"


def given_fingerprint_key(environment: Mapping[str, str]) -> bytes | None:
    """The key in the file that ``GITOPS_DR_FINGERPRINT_KEY_FILE`` names; None if it names none.

    The file has 32 bytes, or base64 of as many. Raises ``UsageError``, which quotes nothing of it.
    """
    name = environment.get(KEY_FILE)
    if not name:
        return None
    try:
        with Path(name).expanduser().open("rb") as file:
            data = file.read(1024)
    except OSError as error:
        raise UsageError(f"{KEY_FILE} {name}: {error.strerror}") from error
    key = data if len(data) == KEY_BYTES else _decoded(data)
    if key is None or len(key) != KEY_BYTES:
        raise UsageError(
            f"{KEY_FILE} {name}: no key of {KEY_BYTES} bytes",
            hint=f"make one: head -c {KEY_BYTES} /dev/urandom | base64 > FILE",
        )
    return key


def _decoded(data: bytes) -> bytes | None:
    try:
        return base64.b64decode(data.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
