"""The ``sops`` block of an encrypted file: who can open it, what in it is encrypted. Pure.

The keys are those of https://github.com/getsops/sops/blob/v3.11.0/stores/stores.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from gitops_dr.model import Body
from gitops_dr.secrets.patterns import pattern, words
from gitops_dr.secrets.sops_leaves import Where, is_sealed_value

KEY: Final = "sops"
FIELDS: Final = ("data", "stringData")
"""The fields of a Secret that hold its values."""

_OURS: Final = {
    "encrypted_regex": "^(data|stringData)$",
    "mac_only_encrypted": True,
    # The first release that knows mac_only_encrypted.
    "version": "3.9.0",
}
_RULES: Final = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)
_DEFAULT_RULE: Final = ("unencrypted_suffix", "_unencrypted")
_OTHER_KEYS: Final = ("kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "key_groups")
_ARMOR: Final = "-----BEGIN AGE ENCRYPTED FILE-----"


class Fault(Protocol):
    """Makes an error about a place in the ``sops`` block."""

    def __call__(self, where: Where, problem: str) -> Exception:
        """Make it."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The data key, encrypted to one recipient."""

    recipient: str
    enc: str
    """An armored age file."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """A ``sops`` block, read."""

    raw: Body
    age: tuple[Wrapped, ...]
    other_keys: tuple[str, ...]
    """Kinds of keys besides age's that are there."""
    last_modified: str
    mac: str
    rule: tuple[str, str]
    """Which values are encrypted: a key of the block, and what it says."""
    only_encrypted: bool
    """Whether the sum takes in encrypted values only."""

    @property
    def follows_comments(self) -> bool:
        """Whether comments in the file decide what is encrypted."""
        return self.rule[0].endswith("_comment_regex")

    def covers(self) -> Callable[[Where, Any], bool]:
        """Give a function that says whether the value (as written) at a place is encrypted."""
        kind, text = self.rule
        if self.follows_comments:
            # No body holds comments, but what is encrypted shows it.
            return lambda _where, value: value == "" or is_sealed_value(value)
        wanted = not kind.startswith("unencrypted")
        exact = words(text) if kind.endswith("_regex") else None
        if exact is not None:
            return lambda where, _value: exact.isdisjoint(where) != wanted
        decide = _ends(text) if kind.endswith("_suffix") else pattern(text)

        def covered(where: Where, _value: Any) -> bool:
            return any(isinstance(key, str) and decide(key) for key in where) == wanted

        return covered

    @property
    def sum_place(self) -> bytes:
        """What is authenticated with the sum: the time, as Go writes it."""
        return _as_go_writes(self.last_modified).encode()


def _ends(suffix: str) -> Callable[[str], bool]:
    return lambda key: key.endswith(suffix)


def new_metadata(age: Iterable[Wrapped]) -> Body:
    """Make the block of a file that we write; the time and the sum are still to come."""
    return {"age": _entries(age), **_OURS}


def with_age(raw: Body, age: Iterable[Wrapped]) -> Body:
    """Make the same block with other recipients."""
    return {**raw, "age": _entries(age)}


def with_sum(raw: Body, now: datetime, mac: str) -> Body:
    """Make the same block with another time and sum."""
    return {**raw, "lastmodified": timestamp(now), "mac": mac}


def timestamp(now: datetime) -> str:
    """Write a time as ``sops`` does: RFC 3339, whole seconds, UTC."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _entries(age: Iterable[Wrapped]) -> list[Body]:
    return [{"enc": wrapped.enc, "recipient": wrapped.recipient} for wrapped in age]


def read_metadata(raw: Any, fault: Fault) -> Metadata:
    """Read the block. Raises what ``fault`` makes for one that ``sops`` could not have written."""
    if not isinstance(raw, dict):
        raise fault((), "sops is no mapping")
    other_keys = _other_keys(raw)
    age = tuple(_wrapped(raw.get("age"), fault))
    if not age and not other_keys:
        raise fault((), "encrypted to nobody: sops has no recipients")
    last_modified = raw.get("lastmodified")
    if not isinstance(last_modified, str) or not _is_time(last_modified):
        raise fault(("lastmodified",), "sops.lastmodified is no time")
    mac = raw.get("mac")
    if not isinstance(mac, str) or not is_sealed_value(mac):
        raise fault(("mac",), "no sops.mac" if not mac else "sops.mac is no encrypted value")
    if not isinstance(raw.get("version"), str):
        raise fault(("version",), "no sops.version")
    only_encrypted = raw.get("mac_only_encrypted", False)
    if not isinstance(only_encrypted, bool):
        raise fault(("mac_only_encrypted",), "sops.mac_only_encrypted is no boolean")
    return Metadata(
        raw, age, other_keys, last_modified, mac, _rule(raw, fault), only_encrypted=only_encrypted
    )


def _other_keys(raw: Body) -> tuple[str, ...]:
    """Name the kinds of keys that are there, also those that a later ``sops`` may bring."""
    kinds = dict.fromkeys((*_OTHER_KEYS, *sorted(key for key in raw if isinstance(raw[key], list))))
    return tuple(kind for kind in kinds if kind != "age" and raw.get(kind))


def _wrapped(entries: Any, fault: Fault) -> Sequence[Wrapped]:
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise fault(("age",), "sops.age is no list")
    found = []
    for index, entry in enumerate(entries):
        recipient = entry.get("recipient") if isinstance(entry, dict) else None
        enc = entry.get("enc") if isinstance(entry, dict) else None
        if not isinstance(recipient, str) or not recipient or not isinstance(enc, str):
            raise fault(("age", index), "an entry of sops.age without recipient or enc")
        if not enc.lstrip().startswith(_ARMOR):
            raise fault(("age", index, "enc"), "an enc of sops.age that is no age file")
        found.append(Wrapped(recipient, enc))
    return found


def _rule(raw: Body, fault: Fault) -> tuple[str, str]:
    rules = [(kind, raw[kind]) for kind in _RULES if raw.get(kind)]
    if len(rules) > 1:
        raise fault((rules[1][0],), f"{rules[0][0]} and {rules[1][0]} at once")
    if not rules:
        return _DEFAULT_RULE
    kind, text = rules[0]
    if not isinstance(text, str):
        raise fault((kind,), f"sops.{kind} is no string")
    if kind.endswith("_regex"):
        try:
            pattern(text)
        except ValueError as error:
            raise fault((kind,), f"sops.{kind}: {error}") from None
    return kind, text


def _is_time(text: str) -> bool:
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _as_go_writes(text: str) -> str:
    if text.endswith("Z"):
        return text
    moment = datetime.fromisoformat(text)
    return timestamp(moment) if not moment.utcoffset() else moment.isoformat(timespec="seconds")
