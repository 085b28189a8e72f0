"""The guard: says of any blob that is about to be committed why it must not be. Pure.

It is called by the one commit function for every blob, whoever made it, and by the export for
every object, so that one object with a private key is a gap and not the end of the export.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Iterator
from typing import Any

import yamlrocks

_PRIVATE_KEY = re.compile(
    rb"(?:-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    rb"|---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----"
    rb"|PuTTY-User-Key-File-[0-9]+:)"
    rb"(?:(?!---- ?END).){0,800}?[A-Za-z0-9+/]{40}",
    re.DOTALL,
)
"""A heading and what may be key material; a heading alone is in many a description of a field."""

_ENCODED_PEM = re.compile(rb"LS0tLS1CRUdJTi[A-Za-z0-9+/]{16,1200}")
"""``-----BEGIN`` and what follows in base64, as kubeconfigs and binaryData hold it."""

_AGE_IDENTITY = re.compile(rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20,}")
_SECRET_KIND = re.compile(rb"""kind["']?\s*:\s*(?:[!&]\S*\s+|[|>]\S*\s+)*["']?Secret(?:List)?\b""")
_BASE64 = "[A-Za-z0-9+/]*={0,2}"
_SEALED = re.compile(rf"ENC\[AES256_GCM,data:{_BASE64},iv:{_BASE64},tag:{_BASE64},type:[a-z]+\]")
"""A value that SOPS encrypted: https://getsops.io/docs/#encryption-protocol"""

_COPY = "kubectl.kubernetes.io/last-applied-configuration"


def objection(path: str, data: bytes) -> str | None:
    """Why ``data`` must not be committed at ``path``; ``None`` if nothing speaks against it.

    Looks for private keys (in PEM form, also in base64; of PuTTY and SSH2), age identities, and
    Kubernetes Secrets with values that are not sealed by SOPS. The reason never quotes the content.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    if _holds_private_key(data):
        return "holds a private key in plain text"
    # Upper case first: it costs a tenth of a search that ignores case.
    if b"SECRET-KEY-" in (upper := data.upper()) and _AGE_IDENTITY.search(upper):
        return "holds an age identity"
    if _SECRET_KIND.search(data):
        return _plain_secret(path, data)
    return None


def _holds_private_key(data: bytes) -> bool:
    if (b"PRIVATE KEY" in data or b"PuTTY" in data) and _PRIVATE_KEY.search(data):
        return True
    return any(
        _PRIVATE_KEY.search(base64.b64decode(found[0][: len(found[0]) // 4 * 4]))
        for found in _ENCODED_PEM.finditer(data)
    )


def _plain_secret(path: str, data: bytes) -> str | None:
    try:
        documents = list(yamlrocks.loads_all(data))
    except (ValueError, RecursionError):
        # What cannot be read cannot be proved harmless.
        return "names the kind Secret and cannot be read"
    if any(_is_plain(secret) for document in documents for secret in _secrets(document)):
        return f"{path.rsplit('/', 1)[-1]} is a Secret with values in plain text"
    return None


def _secrets(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the Secrets that a document is or lists; items of a SecretList need not say so."""
    waiting = [(document, "")]
    while waiting:
        body, implied = waiting.pop()
        if not isinstance(body, dict):
            continue
        kind = body.get("kind", implied)
        if kind == "Secret":
            yield body
        if isinstance(items := body.get("items"), list):
            inner = "Secret" if kind == "SecretList" else ""
            waiting.extend((item, inner) for item in items)


def _is_plain(secret: dict[str, Any]) -> bool:
    for field in ("data", "stringData"):
        values = secret.get(field)
        if not isinstance(values, dict):
            if values is not None and not _harmless(values):
                return True
        elif not all(_harmless(value) for value in values.values()):
            return True
    metadata = secret.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    # kubectl's copy of the object holds the values once more.
    return isinstance(annotations, dict) and not _harmless(annotations.get(_COPY))


def _harmless(value: Any) -> bool:
    """Whether a value is empty or sealed."""
    return value in (None, "") or (isinstance(value, str) and bool(_SEALED.fullmatch(value)))
