"""Whose signatures count: reads lines that name an SSH or a GPG key. Pure.

An SSH line is one of OpenSSH's ``allowed_signers`` (ssh-keygen(1), "ALLOWED SIGNERS"), or of a
``.pub`` file; a GPG line is the full fingerprint of a key. What a person wrote is taken apart and
only what was understood is used, so that no line can smuggle another one in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gitops_dr.errors import UsageError

SECTION = "trust"
"""The key of ``gitops-dr.yaml`` that names signers."""

_KEY_TYPES = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?(?:,|$)', re.IGNORECASE)
_TIME = re.compile(r"\d{8}(?:\d{4}(?:\d{2})?)?Z?", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f ]+")
_LIMIT = 1000
"""Lines; more than anybody trusts."""


@dataclass(frozen=True, slots=True)
class Signer:
    """One key whose signatures count."""

    line: str
    """As a person wrote it."""
    fingerprint: str
    """``SHA256:...`` of an SSH key, or 40 or 64 hexadecimal digits of a GPG key."""
    key: str = ""
    """Type and key in base64 of an SSH key; empty for GPG."""
    times: tuple[str, ...] = ()
    """``valid-after="..."`` and ``valid-before="..."``, compared with the time of the commit."""

    @property
    def is_ssh(self) -> bool:
        """Whether it is an SSH key."""
        return bool(self.key)

    def allowed(self, principal: str) -> str:
        """The line for OpenSSH that trusts this key, by that name, for Git alone."""
        options = ",".join(['namespaces="git"', *self.times])
        return f"{principal} {options} {self.key}\n"


def read_signer(line: str) -> Signer:
    """Read one line. Raises ``ValueError`` for what names no key that could be trusted."""
    text = line.strip()
    if _HEX.fullmatch(text):
        digits = text.removeprefix("0x").replace(" ", "").upper()
        if not _FINGERPRINT.fullmatch(digits):
            raise ValueError("a GPG key is named by its whole fingerprint, 40 digits or 64")
        return Signer(text, digits)
    words = _WORD.findall(text)
    if not text.isprintable() or _WORD.sub("", text).strip():
        raise ValueError(_NEITHER)
    place = next((i for i, word in enumerate(words[:3]) if word in _KEY_TYPES), None)
    if place is None or len(words) < place + 2:
        raise ValueError(_NEITHER)
    kind, key = words[place], words[place + 1]
    times = _times(words[1]) if place == 2 else ()
    return Signer(text, _fingerprint(kind, key), f"{kind} {key}", times)


def signers_of(lines: Iterable[object], place: str) -> tuple[Signer, ...]:
    """Read all lines of ``place``, which is only for messages.

    Raises ``UsageError`` that names the line which is none, and for no line at all.
    """
    found = []
    for number, line in enumerate(lines):
        if number == _LIMIT:
            raise UsageError(f"{place}: more than {_LIMIT} signers")
        where = f"{place}[{number}]"
        if not isinstance(line, str):
            raise UsageError(f"{where}: no text", hint="put quotes around it")
        try:
            found.append(read_signer(line))
        except ValueError as error:
            raise UsageError(f"{where}: {error}", hint=_HINT) from error
    if not found:
        raise UsageError(f"{place}: names nobody", hint=_HINT)
    return tuple(found)


def signers_of_file(text: str, place: str) -> tuple[Signer, ...]:
    """Read a file with one signer a line; ``#`` begins a comment line. Raises ``UsageError``."""
    lines = [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]
    return signers_of(lines, place)


def signers_in(document: Mapping[str, Any], file: str) -> tuple[Signer, ...]:
    """Whom the section ``trust`` of ``gitops-dr.yaml`` names; nobody if there is none.

    Raises ``UsageError`` for a section that is none.
    """
    if SECTION not in document:
        return ()
    section = document[SECTION]
    if not isinstance(section, dict) or section.keys() != {"signers"}:
        raise UsageError(f"{file}: {SECTION}: not the one key signers", hint=_HINT)
    if not isinstance(section["signers"], list):
        raise UsageError(f"{file}: {SECTION}.signers: not a list", hint=_HINT)
    return signers_of(section["signers"], f"{file}: {SECTION}.signers")


def _times(options: str) -> tuple[str, ...]:
    found = list(_OPTION.finditer(options))
    if "".join(match[0] for match in found) != options:
        raise ValueError(f"{options}: no options of an allowed signer")
    times = []
    for match in found:
        name, value = match[1].lower(), match[2]
        if name == "namespaces" and value is not None:
            if "git" not in value.split(","):
                raise ValueError(f"{options}: not for Git")
        elif name in ("valid-after", "valid-before") and value and _TIME.fullmatch(value):
            times.append(f'{name}="{value}"')
        elif name == "cert-authority":
            raise ValueError("certificates are not read: name each key itself")
        else:
            raise ValueError(f"{match[0].rstrip(',')}: no option of an allowed signer")
    return tuple(times)


def _fingerprint(kind: str, key: str) -> str:
    """The fingerprint as ssh-keygen shows it. Raises ``ValueError`` for what is no key."""
    try:
        blob = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{kind}: the key is no base64") from error
    name = kind.encode()
    # RFC 4253, 6.6: a key begins with its type, as a string with its length.
    if not blob.startswith(len(name).to_bytes(4) + name) or len(blob) <= len(name) + 4:
        raise ValueError(f"{kind}: the key is damaged, or of another type")
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


_NEITHER = "neither an SSH public key nor the fingerprint of a GPG key"
_HINT = "see docs/security.md: an SSH public key, or the fingerprint of a GPG key, a line"
