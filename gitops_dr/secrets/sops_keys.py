"""The data key of a SOPS document, encrypted to each recipient as an age file. Pure.

https://github.com/getsops/sops/blob/v3.11.0/age/keysource.go: one armored age file a recipient.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from gitops_dr.errors import SecretError
from gitops_dr.secrets.identities import Identities, Identity
from gitops_dr.secrets.recipients import age_recipient, checked_recipients
from gitops_dr.secrets.sops_metadata import Metadata, Wrapped

_KEY_BYTES: Final = 32


def new_data_key() -> bytes:
    """Make a data key."""
    return os.urandom(_KEY_BYTES)


def wrapped(data_key: bytes, recipients: Iterable[str], place: str) -> list[Wrapped]:
    """Encrypt a data key to each recipient.

    Raises ``UsageError`` for what is no recipient, ``SecretError`` if there are none.
    """
    import pyrage

    found = [
        Wrapped(text, pyrage.encrypt(data_key, [age_recipient(text)], armored=True).decode())
        for text in checked_recipients(recipients, place)
    ]
    if not found:
        raise SecretError(
            f"{place}: nobody is named who could open it", hint="name at least one recipient"
        )
    return found


def unwrapped(metadata: Metadata, identities: Identities, place: str) -> bytes:
    """Decrypt the data key with whichever identity opens it.

    Raises ``SecretError``, which names the recipients, if none does.
    """
    if not metadata.age or "key_groups" in metadata.other_keys:
        raise SecretError(
            f"{place}: encrypted to {' and '.join(metadata.other_keys)}, which only sops opens",
            hint="install sops and what it needs to reach those keys",
        )
    for entry, identity in _candidates(metadata.age, identities.found):
        if data_key := _decrypted(entry, identity):
            return data_key
    raise _unopened(metadata, identities, place)


def _candidates(
    entries: Sequence[Wrapped], identities: Sequence[Identity]
) -> Iterable[tuple[Wrapped, Identity]]:
    """Yield what may fit, the likeliest first: decrypting is what takes the time."""
    by_recipient = {identity.recipient: identity for identity in identities if identity.recipient}
    for entry in entries:
        if identity := by_recipient.get(entry.recipient):
            yield entry, identity
    for entry in entries:
        for identity in identities:
            if entry.recipient != identity.recipient:
                yield entry, identity


def _decrypted(entry: Wrapped, identity: Identity) -> bytes:
    """Decrypt one entry; empty if it is not this identity's, or no data key."""
    import pyrage

    try:
        data_key: bytes = pyrage.decrypt(entry.enc.encode(), [identity.key])
    except pyrage.DecryptError:
        return b""
    return data_key if len(data_key) == _KEY_BYTES else b""


def _unopened(metadata: Metadata, identities: Identities, place: str) -> SecretError:
    count = len(identities.found)
    if not count:
        problem = "encrypted, and no age identity was found"
    elif count == 1:
        problem = f"the age identity at hand ({_known(identities)}) does not open it"
    else:
        problem = f"none of the {count} age identities at hand ({_known(identities)}) opens it"
    if identities.problems:
        problem += f": {'; '.join(identities.problems)}"
    recipients = [_short(entry.recipient) for entry in metadata.age]
    others = f"; so may sops by {' or '.join(metadata.other_keys)}" if metadata.other_keys else ""
    return SecretError(
        f"{place}: {problem}",
        hint=f"it opens with the key of {' or '.join(recipients)}{others};"
        " SOPS_AGE_KEY_FILE names the file that a key is in",
    )


def _known(identities: Identities) -> str:
    return ", ".join(identity.recipient or "an SSH key" for identity in identities.found)


def _short(recipient: str) -> str:
    """Shorten an SSH key to what a person knows it by."""
    if not recipient.startswith("ssh-"):
        return recipient[:80]
    kind, *rest = recipient.split()
    return f"{kind} ...{rest[0][-12:]}" if rest else kind
