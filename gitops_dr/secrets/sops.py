"""Encrypts and decrypts Secrets in the format of ``sops`` 3, without ``sops``. Pure.

What ``sops``, Flux and ksops write is read, and what is written they read. A file is written so
that whatever did not change keeps its bytes: the data key, each value's ciphertext, the whole file.
``docs/secrets.md`` specifies the form.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from gitops_dr.errors import SecretError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.recipients import checked_recipients
from gitops_dr.secrets.sops_document import (
    Sealed,
    comments,
    is_sealed,
    read_sealed,
    rewritten,
    written,
)
from gitops_dr.secrets.sops_keys import new_data_key, unwrapped, wrapped
from gitops_dr.secrets.sops_leaves import (
    Cipher,
    Where,
    cipher_of,
    decrypted,
    encrypted,
    encrypted_anew,
    in_canonical_order,
    leaves,
    mac_of,
    place_of,
    replaced,
)
from gitops_dr.secrets.sops_metadata import (
    FIELDS,
    KEY,
    Metadata,
    new_metadata,
    timestamp,
    with_age,
    with_sum,
)

__all__ = ["Sealed", "is_sealed", "open_sealed", "read_sealed", "rewrap", "rotate", "seal"]

_FIELDS: Final = frozenset(FIELDS)
_HINT: Final = "restore it from a commit in which it was whole"


def open_sealed(sealed: Sealed, identities: Identities) -> Body:
    """Decrypt a file and check that nothing in it was changed since it was encrypted.

    Raises ``SecretError``, which begins with the file's place and quotes nothing of it, if no
    identity opens it, or a value was changed, moved, put in another order, added or taken away.
    """
    return _opened(sealed, identities).body


def seal(
    body: Body,
    recipients: Sequence[str],
    *,
    previous: bytes | None = None,
    identities: Identities | None = None,
    now: datetime,
    place: str = "",
) -> bytes:
    """Encrypt a plain manifest to recipients and give the bytes of its file.

    ``previous``: the file so far. With ``identities`` that open it, a body that it holds already
    gives it back byte for byte, whoever its recipients are; otherwise its data key, its layout and
    the ciphertexts of unchanged values are kept, recipients that it lacks are added, and if it has
    one that is not among ``recipients`` all is encrypted anew with a new data key. Without
    identities it is not looked at. ``place`` is for messages.

    Raises ``UsageError`` for what is no recipient; ``ManifestError`` if ``previous`` is no good
    encrypted file or ``body`` cannot be written; ``SecretError`` if ``previous`` cannot be opened,
    or nobody could open the result.
    """
    place = place or _name(body)
    if KEY in body:
        raise SecretError(
            f"{place}: has a field named {KEY}, which an encrypted file cannot hold",
            hint="rename the field in the cluster",
        )
    if previous is not None and identities is not None:
        return _sealed_again(read_sealed(previous, place), body, recipients, identities, now)
    data_key = new_data_key()
    raw = new_metadata(wrapped(data_key, recipients, place))
    return _written(_Draft(body, raw, cipher_of(data_key), _under_fields, only_encrypted=True), now)


def rewrap(sealed: Sealed, recipients: Sequence[str], identities: Identities) -> bytes:
    """Make the same data key open to these recipients and no other.

    Whoever could open the file before may have kept the data key: only :func:`rotate` shuts them
    out of what is written from then on. Values, times and the entries of recipients that stay keep
    their bytes. Keys of other kinds stay too. Raises as :func:`seal` does.
    """
    opened, metadata = _opened(sealed, identities), sealed.metadata
    wanted = checked_recipients(recipients, sealed.place)
    if set(wanted) == set(sealed.recipients):
        return sealed.data
    kept = [entry for entry in metadata.age if entry.recipient in wanted]
    added = [recipient for recipient in wanted if recipient not in sealed.recipients]
    if added or not kept:
        kept += wrapped(opened.data_key, added, sealed.place)
    raw = with_age(metadata.raw, kept)
    data = rewritten(sealed, sealed.body, raw)
    if data is not None:
        return data
    draft = _Draft(
        opened.body,
        raw,
        opened.cipher,
        _covers(metadata, opened),
        only_encrypted=metadata.only_encrypted,
        known=opened.values,
    )
    return _written(draft, datetime.fromisoformat(metadata.last_modified))


def rotate(
    sealed: Sealed, recipients: Sequence[str], identities: Identities, now: datetime
) -> bytes:
    """Encrypt all values anew with a new data key, for these recipients and no other.

    What was committed before stays readable to whoever could read it. Raises as :func:`seal` does,
    and ``SecretError`` for a file with keys of other kinds, which we cannot encrypt to.
    """
    return _rotated(sealed, _opened(sealed, identities), None, recipients, now)


# -- opening ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is in a file. It shows nothing of it."""

    body: Body = field(repr=False)
    data_key: bytes = field(repr=False)
    cipher: Cipher = field(repr=False)
    values: Mapping[Where, tuple[Any, str]] = field(repr=False)
    """Each encrypted value: plain, and as it stands in the file."""


def _opened(sealed: Sealed, identities: Identities) -> _Opened:
    metadata, place = sealed.metadata, sealed.place
    data_key = unwrapped(metadata, identities, place)
    cipher = cipher_of(data_key)
    covers = metadata.covers()
    values: dict[Where, tuple[Any, str]] = {}
    summed = []
    for where, value in leaves(sealed.body):
        if covers(where, value):
            plain = _decrypted(value, cipher, where, place)
            values[where] = (plain, value)
            summed.append(plain)
        elif not metadata.only_encrypted:
            summed.append(value)
    try:
        expected = str(decrypted(metadata.mac, cipher, metadata.sum_place))
    except ValueError as error:
        raise _changed(place, f"sops.mac: {error}") from None
    found = mac_of(summed, only_encrypted=metadata.only_encrypted)
    if not hmac.compare_digest(found.encode(), expected.encode()):
        raise _changed(
            place, "something in it was changed, moved or put in another order (MAC mismatch)"
        )
    body = replaced(sealed.body, {where: plain for where, (plain, _) in values.items()})
    return _Opened(body, data_key, cipher, values)


def _decrypted(value: Any, cipher: Cipher, where: Where, place: str) -> Any:
    try:
        return decrypted(value, cipher, place_of(where))
    except ValueError as error:
        raise _changed(place, f"{'.'.join(map(str, where))}: {error}") from None


def _changed(place: str, problem: str) -> SecretError:
    return SecretError(f"{place}: {problem}", hint=_HINT)


# -- writing ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    """A file that is to be written. It shows nothing of what is plain."""

    body: Body = field(repr=False)
    """Plain."""
    raw: Body
    cipher: Cipher = field(repr=False)
    covers: Callable[[Where], bool] = field(repr=False)
    only_encrypted: bool
    known: Mapping[Where, tuple[Any, str]] = field(default_factory=dict, repr=False)
    """Values that are encrypted already."""

    def encrypted(self) -> Body:
        """The body with its values encrypted; those that are known keep their ciphertext."""
        values = {}
        for where, value in leaves(self.body):
            if self.covers(where):
                plain, text = self.known.get(where, (None, ""))
                same = type(plain) is type(value) and plain == value
                values[where] = text if same else encrypted(value, self.cipher, place_of(where))
        return replaced(self.body, values)

    def summed(self, order: Iterable[tuple[Where, Any]], now: datetime) -> Body:
        """The block with the sum over plain values in the order of the file."""
        values = (value for where, value in order if not self.only_encrypted or self.covers(where))
        mac = mac_of(values, only_encrypted=self.only_encrypted)
        return with_sum(self.raw, now, encrypted(mac, self.cipher, timestamp(now).encode()))


def _under_fields(where: Where) -> bool:
    """Whether ``encrypted_regex: ^(data|stringData)$`` covers a place: at whatever depth."""
    return not _FIELDS.isdisjoint(where)


def _written(draft: _Draft, now: datetime) -> bytes:
    return written(draft.encrypted(), draft.summed(in_canonical_order(draft.body), now))


def _laid_out(sealed: Sealed, draft: _Draft, now: datetime) -> bytes:
    """Write into the layout of a file that is not ours: its order decides over the sum."""
    plain = dict(leaves(draft.body))
    body = draft.encrypted()
    # First without the right sum, to see where new keys go.
    data = rewritten(sealed, body, with_sum(draft.raw, now, sealed.metadata.mac))
    if data is not None:
        order = _order(data, sealed.place)
        raw = draft.summed(((where, plain[where]) for where in order), now)
        data = rewritten(replace(sealed, data=data), body, raw)
        if data is not None and _order(data, sealed.place) == order:
            return data
    return _written(draft, now)


def _order(data: bytes, place: str) -> list[Where]:
    return [where for where, _ in leaves(parse(data, place)) if where[0] != KEY]


def _sealed_again(
    sealed: Sealed,
    body: Body,
    recipients: Sequence[str],
    identities: Identities,
    now: datetime,
) -> bytes:
    opened = _opened(sealed, identities)
    wanted = _with_string_data_of(opened.body, body)
    if canonical(wanted) == canonical(opened.body):
        return sealed.data
    recipients = checked_recipients(recipients, sealed.place)
    covers = _covers(sealed.metadata, opened)
    if sealed.metadata.follows_comments or not _all_covered(wanted, covers):
        # By its own rule the file would hold new values in plain text, or sops would think so.
        return _in_our_form(sealed, body, recipients, now)
    if not set(sealed.recipients) <= set(recipients):
        return _rotated(sealed, opened, wanted, recipients, now)
    missing = [recipient for recipient in recipients if recipient not in sealed.recipients]
    added = wrapped(opened.data_key, missing, sealed.place) if missing else []
    draft = _Draft(
        wanted,
        with_age(sealed.metadata.raw, [*sealed.metadata.age, *added]),
        opened.cipher,
        covers,
        only_encrypted=sealed.metadata.only_encrypted,
        known=opened.values,
    )
    return _written(draft, now) if sealed.is_ours else _laid_out(sealed, draft, now)


def _rotated(
    sealed: Sealed,
    opened: _Opened,
    body: Body | None,
    recipients: Sequence[str],
    now: datetime,
) -> bytes:
    _refuse_other_keys(sealed)
    data_key = new_data_key()
    draft = _Draft(
        opened.body if body is None else body,
        with_age(sealed.metadata.raw, wrapped(data_key, recipients, sealed.place)),
        cipher_of(data_key),
        _covers(sealed.metadata, opened),
        only_encrypted=sealed.metadata.only_encrypted,
    )
    if sealed.is_ours:
        return _written(draft, now)
    data = _laid_out(sealed, draft, now)
    places = {place_of(where[:-1]) for where, _ in leaves(draft.body)}
    for comment in comments(data):
        anew = encrypted_anew(comment, opened.cipher, draft.cipher, places)
        data = data.replace(comment.encode(), anew.encode())
    return data


def _in_our_form(sealed: Sealed, body: Body, recipients: Sequence[str], now: datetime) -> bytes:
    _refuse_other_keys(sealed)
    return seal(body, recipients, now=now, place=sealed.place)


def _refuse_other_keys(sealed: Sealed) -> None:
    if sealed.other_keys:
        raise SecretError(
            f"{sealed.place}: encrypted to {' and '.join(sealed.other_keys)} too, "
            "which only sops can encrypt to",
            hint="run sops rotate on it, or take these keys off it with sops",
        )


def _all_covered(body: Body, covers: Callable[[Where], bool]) -> bool:
    return all(
        covers(where)
        for field in FIELDS
        for where, value in leaves(body.get(field), (field,))
        if value != ""
    )


def _covers(metadata: Metadata, opened: _Opened) -> Callable[[Where], bool]:
    """What is encrypted in a file that is written anew: by its own rule."""
    if metadata.follows_comments:
        return opened.values.__contains__
    covers = metadata.covers()
    return lambda where: covers(where, None)


def _with_string_data_of(before: Body, body: Body) -> Body:
    """Say in ``stringData`` what a file said there: the API server moves it to ``data``."""
    texts, data = before.get("stringData"), body.get("data")
    if not isinstance(texts, dict) or not isinstance(data, dict) or "stringData" in body:
        return body
    moved = {key: text for key in texts if (text := _text(data.get(key))) is not None}
    if not moved:
        return body
    rest = {key: value for key, value in data.items() if key not in moved}
    result = {**body, "data": rest, "stringData": moved}
    if not rest and "data" not in before:
        del result["data"]
    return result


def _text(value: Any) -> str | None:
    """What a value of ``data`` says as text; None if it is none."""
    try:
        data = base64.b64decode(value, validate=True)
        text = data.decode()
    except (TypeError, binascii.Error, UnicodeDecodeError):
        return None
    return text if base64.b64encode(data).decode() == value else None


def _name(body: Body) -> str:
    metadata = body.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    parts = (body.get("kind"), names.get("namespace"), names.get("name"))
    return "/".join(part for part in parts if isinstance(part, str) and part) or "Secret"
