"""Says whether a text is a public key that age encrypts to. Pure.

Two kinds: ``age1...`` (X25519) and ``ssh-ed25519``/``ssh-rsa`` public keys, as ``sops`` takes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from gitops_dr.errors import UsageError

_SSH: Final = ("ssh-ed25519 ", "ssh-rsa ")
_PRIVATE: Final = ("AGE-", "-----BEGIN")
_HINT: Final = "a recipient is age1... (age-keygen -y prints it) or the text of an SSH public key"


def checked_recipients(texts: Iterable[str], place: str) -> tuple[str, ...]:
    """Give recipients without surrounding space and doubles, in their order.

    ``place`` says in messages where they stand. Raises ``UsageError`` for one that age cannot
    encrypt to.
    """
    recipients = dict.fromkeys(text.strip() for text in texts)
    for recipient in recipients:
        try:
            age_recipient(recipient)
        except ValueError as error:
            raise UsageError(f"{place}: {error}", hint=_HINT) from None
    return tuple(recipients)


@lru_cache(maxsize=256)
def age_recipient(text: str) -> Any:
    """Give the ``pyrage`` recipient that a text names. Raises ``ValueError`` that says why not."""
    import pyrage

    if text.upper().startswith(_PRIVATE):
        # Quoting it would show a private key.
        raise ValueError("a private key where a public one belongs")
    try:
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text)
        if text.startswith(_SSH):
            return pyrage.ssh.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        if text.count("1") > 1 and text.startswith("age1"):
            raise ValueError(
                f"{text[:80]}: no recipient that is read here, or misspelt: {error}"
            ) from None
        raise ValueError(f"{text[:80]}: {error}") from None
    raise ValueError(f"{text[:80]!r} is no age recipient")
