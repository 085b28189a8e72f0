"""Takes a Secret's values out of what others say of it, an API server or a webhook say. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from gitops_dr.model import Body
from gitops_dr.secrets.policy import VALUES

MASK = "***"
_SHORT = 4
"""Shorter values are looked for as whole words: else ``a`` would hide most of any sentence."""


def without_values_of(secret: Body, text: str) -> str:
    """``text`` with each of the Secret's values, encoded or not, in it masked."""
    for value in sorted(set(_texts(secret)), key=len, reverse=True):
        if len(value) >= _SHORT:
            text = text.replace(value, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text)
    return text


def _texts(secret: Body) -> Iterator[str]:
    for field in VALUES:
        values: Any = secret.get(field)
        if not isinstance(values, dict):
            continue
        for value in values.values():
            written = value if isinstance(value, str) else str(value)
            yield from filter(None, (written, written.strip()))
            try:
                plain = base64.b64decode(written, validate=True).decode()
            except (binascii.Error, ValueError):
                continue
            yield from filter(None, (plain, plain.strip(), *plain.splitlines()))
