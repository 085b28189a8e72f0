"""The guard: says of any blob that is about to be committed why it must not be. Pure.

It is called by the one commit function for every blob, whoever made it, and by the export for
every object, so that one object with a private key is a gap and not the end of the export.
"""

from __future__ import annotations

import re
from typing import Any

import yamlrocks

_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_AGE_IDENTITY = re.compile(rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20,}", re.IGNORECASE)
_SECRET_KIND = re.compile(rb"""kind["']?\s*:\s*["']?Secret\b""")
_SEALED = re.compile(r"^ENC\[AES256_GCM,data:.*\]$", re.DOTALL)


def objection(path: str, data: bytes) -> str | None:
    """Why ``data`` must not be committed at ``path``; ``None`` if nothing speaks against it.

    Looks for private keys in PEM form, age identities, and Kubernetes Secrets with values that are
    not sealed by SOPS. The reason never quotes the content.
    """
    if b"PRIVATE KEY" in data and _PRIVATE_KEY.search(data):
        return "holds a private key in plain text"
    if _AGE_IDENTITY.search(data):
        return "holds an age identity"
    if _SECRET_KIND.search(data):
        return _plain_secret(path, data)
    return None


def _plain_secret(path: str, data: bytes) -> str | None:
    try:
        documents = list(yamlrocks.loads_all(data))
    except (ValueError, RecursionError):
        # What cannot be read cannot be proved harmless.
        return "names the kind Secret and cannot be read"
    if any(_has_plain_values(item) for document in documents for item in _objects(document)):
        return f"{path.rsplit('/', 1)[-1]} is a Secret with values in plain text"
    return None


def _objects(document: Any) -> list[Any]:
    items = document.get("items") if isinstance(document, dict) else None
    return [document, *items] if isinstance(items, list) else [document]


def _has_plain_values(body: Any) -> bool:
    if not isinstance(body, dict) or body.get("kind") != "Secret":
        return False
    for field in ("data", "stringData"):
        values = body.get(field)
        if values is None:
            continue
        if not isinstance(values, dict):
            return True
        if any(value and not (isinstance(value, str) and _SEALED.match(value)) for value in values.values()):
            return True
    return False
