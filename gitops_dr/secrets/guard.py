"""The guard: says of any blob that is about to be committed why it must not be. Pure.

It is called by the one commit function for every blob, whoever made it, by the export for every
object, so that one object with a private key is a gap and not the end of the export, and by the
pre-commit hook for what people commit. It is there against accidents: who wants to hide a key from
it can.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

import yamlrocks

from gitops_dr.secrets.encoded import encodings, unescaped, unpacked

COPIES = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "kapp.k14s.io/original",
        "objectset.rio.cattle.io/applied",
        "banzaicloud.com/last-applied",
    }
)
"""Annotations in which a tool keeps the object as it applied it, a Secret's values included."""

_PRIVATE_KEY = re.compile(
    rb"(?:-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    rb"|---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----"
    rb"|PuTTY-User-Key-File-[0-9]+:)"
    rb"(?:(?!---- ?END).){0,800}?[A-Za-z0-9+/]{40}",
    re.DOTALL,
)
"""A heading and what may be key material; a heading alone is in many a description of a field."""

_AGE_IDENTITY = re.compile(rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20,}")
_NAME = rb"\\*[\"']?Secret(?:List)?\b"
_SECRET_KIND = re.compile(rb"kind\\*[\"']?\s*:\s*(?:#[^\n]*\s+|[!&]\S*\s+|[|>]\S*\s+)*" + _NAME)
_ANCHORED = re.compile(rb"&\S+\s+" + _NAME)
"""The kind as YAML and JSON can spell it, also behind an anchor that an alias leads to."""

_BASE64 = "[A-Za-z0-9+/]*={0,2}"
_SEALED = re.compile(
    rf"ENC\[AES256_GCM,data:{_BASE64},iv:[A-Za-z0-9+/]{{43}}=,tag:[A-Za-z0-9+/]{{22}}==,type:[a-z]+\]"
)
"""A value that SOPS encrypted: https://getsops.io/docs/#encryption-protocol. The nonce has 32
bytes and the tag 16."""

_PLACEHOLDER = re.compile(r"\{\{.*\}\}|\$\{[^}]*\}|\$\([^)]*\)|<[^<>]*>|%\w+%", re.DOTALL)
"""A value that a template, a shell or a person puts there later."""

_DEPTH = 3
"""How often what is packed into something is unpacked."""

_KEY, _IDENTITY = "holds a private key in plain text", "holds an age identity"
_RELEASE = "holds a Helm release in plain text, with the values that it was given"
_NESTED = "holds a Secret with values in plain text"
_ENCODED = encodings(b"PRIVATE KEY", b"SECRET-KEY-", b"Secret")
"""What one of the objections needs, as it looks in base64."""


def objection(path: str, data: bytes) -> str | None:
    """Why ``data`` must not be committed at ``path``; ``None`` if nothing speaks against it.

    Looks for private keys (in PEM form; of PuTTY and SSH2), age identities, Helm releases outside
    of Secrets, and Kubernetes Secrets with values that are not sealed by SOPS; in UTF-16, in
    base64, compressed, and inside of strings too. The reason never quotes the content.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    elif b"\0" in data:
        # UTF-16 and UTF-32 without a mark, as far as it is ASCII; no other text has NULs.
        data = data.replace(b"\0", b"")
    return _objection(path, data, 0)


def _objection(path: str, data: bytes, depth: int) -> str | None:
    data = unescaped(data)
    if (b"PRIVATE KEY" in data or b"PuTTY" in data) and _PRIVATE_KEY.search(data):
        return _KEY
    # Upper case first: it costs a tenth of a search that ignores case.
    if b"SECRET-KEY-" in (upper := data.upper()) and _AGE_IDENTITY.search(upper):
        return _IDENTITY
    # The record that Helm keeps: https://pkg.go.dev/helm.sh/helm/v3/pkg/release#Info
    if b'"first_deployed"' in data:
        return _RELEASE
    if b"Secret" in data and (reason := _plain_secret(path, data, depth)):
        return reason
    if depth < _DEPTH:
        for part in unpacked(data, _ENCODED):
            if reason := _objection("", _text(part), depth + 1):
                return reason
    return None


def _text(part: bytes) -> bytes:
    """The part up to where it is no text any more: what was unpacked too much."""
    try:
        part.decode()
    except UnicodeDecodeError as error:
        return part[: error.start]
    return part


def _plain_secret(path: str, data: bytes, depth: int) -> str | None:
    if not (_SECRET_KIND.search(data) or (b"&" in data and _ANCHORED.search(data))):
        return None
    try:
        documents = list(yamlrocks.loads_all(data))
    except (ValueError, RecursionError):
        # What cannot be read cannot be proved harmless. Inside of something else it is a template
        # or a description, and nothing that could be applied as it stands.
        return None if depth else "names the kind Secret and cannot be read"
    for document in documents:
        if any(_is_plain(secret, depth) for secret in _secrets(document)):
            name = path.rsplit("/", 1)[-1]
            return _NESTED if depth else f"{name} is a Secret with values in plain text"
        if depth < _DEPTH and any(
            _plain_secret("", text.encode("utf-8", "surrogatepass"), depth + 1)
            for text in _strings(document)
        ):
            return _NESTED
    return None


def _secrets(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the Secrets that a document is, lists, or has inside.

    Items of a SecretList need not say what they are. Inside of another object only what has
    metadata is one: a field may name a Secret by its kind.
    """
    waiting = [(document, "", False)]
    while waiting:
        value, implied, inside = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, implied, inside) for item in value)
        elif isinstance(value, dict):
            kind = value.get("kind", implied)
            if kind == "Secret" and (not inside or isinstance(value.get("metadata"), dict)):
                yield value
            for key, child in value.items():
                if key == "items" and isinstance(child, list):
                    waiting.append((child, "Secret" if kind == "SecretList" else "", inside))
                else:
                    waiting.append((child, "", True))


def _strings(document: Any) -> Iterator[str]:
    """Yield the strings of a document that speak of a Secret."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and "Secret" in value and "kind" in value:
            yield value


def _is_plain(secret: dict[str, Any], depth: int) -> bool:
    for field in ("data", "stringData"):
        values = secret.get(field)
        if not isinstance(values, dict):
            if values is not None and not _harmless(values, depth):
                return True
        elif not all(_harmless(value, depth) for value in values.values()):
            return True
    metadata = secret.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    # Copies of the object hold the values once more.
    return isinstance(annotations, dict) and not all(
        _harmless(annotations.get(copy), depth) for copy in COPIES
    )


def _harmless(value: Any, depth: int) -> bool:
    """Whether a value is empty or sealed or, inside of something else, put there later."""
    if value in (None, ""):
        return True
    return isinstance(value, str) and bool(
        _SEALED.fullmatch(value) or (depth and _PLACEHOLDER.fullmatch(value))
    )
