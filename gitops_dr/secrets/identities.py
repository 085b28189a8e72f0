"""The private keys that open what is encrypted: values that mask themselves, and their text. Pure.

An identity is an age key (``AGE-SECRET-KEY-1...``) or an SSH private key. Nothing here reads a file
or the environment; ``keys/find.py`` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from gitops_dr.errors import SecretError

_PEM: Final = re.compile(r"\s*-----BEGIN [A-Z ]*PRIVATE KEY-----")
_ENCRYPTED: Final = ("age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE-----")
_UNREAD: Final = (
    ("AGE-PLUGIN-", "an identity of an age plugin"),
    ("AGE-SECRET-KEY-PQ-", "a post-quantum age identity"),
)
_BY_COMMAND: Final = "let SOPS_AGE_KEY_CMD name a command that prints the key"


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """One private key. It shows its public half at most."""

    key: Any
    """What ``pyrage`` decrypts with."""
    recipient: str = ""
    """The public key ``age1...``; empty for an SSH key, whose public half is not asked for."""

    def __repr__(self) -> str:
        return f"Identity({self.recipient or 'ssh'})"


@dataclass(frozen=True, slots=True, repr=False)
class Identities:
    """The private keys at hand, and what is to be said of where they were looked for."""

    found: tuple[Identity, ...] = ()
    searched: tuple[str, ...] = ()
    """Where they were looked for: names of variables and files, for messages."""
    problems: tuple[str, ...] = ()
    """Why a place that should hold one gave none; matters only if nothing opens."""
    warnings: tuple[str, ...] = ()
    """What a person should repair although it works, such as a key file that others can read."""

    def __add__(self, other: Identities) -> Identities:
        """The keys of both, and what is said of both."""
        return Identities(
            self.found + other.found,
            self.searched + other.searched,
            self.problems + other.problems,
            self.warnings + other.warnings,
        )

    def __repr__(self) -> str:
        return f"Identities({', '.join(map(repr, self.found))})"


def parse_identities(text: str, place: str) -> Identities:
    """Read the text of a key file: one age identity a line, ``#`` comments, or one SSH key.

    ``place`` names the text in messages, which never quote it. Raises ``SecretError`` for a line
    that is no identity, and for kinds that cannot be used here. No key at all is no error.
    """
    if text.startswith(_ENCRYPTED):
        raise SecretError(f"{place}: encrypted itself", hint=f"decrypt it, or {_BY_COMMAND}")
    if _PEM.match(text):
        return Identities((_ssh(text, place),), (place,))
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            found.append(_age(stripped, f"{place}:{number}"))
    return Identities(tuple(found), (place,))


def _age(line: str, where: str) -> Identity:
    import pyrage

    for start, what in _UNREAD:
        if line.upper().startswith(start):
            raise SecretError(
                f"{where}: {what}, which is not supported", hint="use one that age-keygen makes"
            )
    try:
        key = pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError:
        raise SecretError(
            f"{where}: no age identity", hint="a line of it begins with AGE-SECRET-KEY-1"
        ) from None
    return Identity(key, str(key.to_public()))


def _ssh(text: str, place: str) -> Identity:
    import pyrage

    try:
        return Identity(pyrage.ssh.Identity.from_buffer(text.encode()))
    except pyrage.IdentityError:
        raise SecretError(
            f"{place}: no SSH key that age can use",
            hint=f"it takes ed25519 and RSA keys without a passphrase; or {_BY_COMMAND}",
        ) from None
