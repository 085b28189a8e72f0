"""How the Secrets of a repository stand: who can open them, who should, what is open. Pure.

The words that the commands of ``gitops-dr secrets`` hand to their reports, and the judgement of
recipients. None of them holds a value of a Secret, or anything of its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitops_dr.model import Gap, Ref
from gitops_dr.secrets.exposed import Exposed
from gitops_dr.secrets.policy import SecretSettings

SHORT = 14
"""Characters of a recipient without a name that are shown of it."""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One file that holds a Secret, or whatever else people have encrypted."""

    path: str
    """From the top of the repository."""
    ref: Ref
    policy: str
    """Empty for what is no Secret."""
    because: str
    sealed: bool
    """False for one that has no values to encrypt."""
    recipients: tuple[str, ...] = ()
    """The age recipients that can open it."""
    other_keys: tuple[str, ...] = ()
    """Kinds of other keys that can open it, such as ``kms``."""
    missing: tuple[str, ...] = ()
    """Recipients that should be able to open it and are not."""
    stale: tuple[str, ...] = ()
    """Recipients that can open it and should not be able to."""
    plain: bool = False
    """It has values, and they are not encrypted."""
    no_rule: str = ""
    """Why nobody can say who should be able to open it; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file of which nothing, or not all, could be found out."""

    path: str
    problem: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class NotInGit:
    """A Secret that the export left out. ``ref.name`` may be ``ANY``."""

    ref: Ref
    policy: str
    because: str
    keys: tuple[str, ...] = ()
    """The names of its values, of one that is brought from elsewhere."""


@dataclass(frozen=True, slots=True)
class SecretsListed:
    """The Secrets of one cluster as a commit has them."""

    cluster: str
    commit: str
    """Full id; empty before the first."""
    files: tuple[SecretFile, ...]
    elsewhere: tuple[NotInGit, ...]
    unread: tuple[Unread, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    """Recipient to the name that it has in ``gitops-dr.yaml``."""
    notes: tuple[str, ...] = ()
    """What a person should know of the rules, one line each."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Something in the history that must not be there in plain text."""

    path: str
    reason: str
    blob: str
    commit: str
    """The oldest commit that has it; empty if a tag alone leads to it."""
    in_tree: bool
    """HEAD still has it."""


@dataclass(frozen=True, slots=True)
class History:
    """What going through all blobs of a repository found."""

    blobs: int
    exposures: tuple[Exposure, ...]
    unread: tuple[Gap, ...]
    """What was not looked at."""


@dataclass(frozen=True, slots=True)
class SecretsChecked:
    """What ``secrets check`` found."""

    listed: SecretsListed
    opened: int
    """Files that an identity here opens, with the right MAC."""
    failed: tuple[Unread, ...]
    """Files that no identity here opens, or whose MAC is wrong."""
    untried: int
    """Files that were not tried, since there is no identity here, or none of their kind."""
    identities: int
    """Private keys that are to be had here."""
    searched: tuple[str, ...]
    """Where private keys were looked for, and why a place gave none."""
    history: History
    credentials: tuple[Exposed, ...] = ()
    """What stands in the open where a Secret belongs. It is to be known, and makes nothing wrong:
    the object is in Git as it is in the cluster."""

    @property
    def wrong(self) -> tuple[SecretFile, ...]:
        """Files that somebody cannot open who should, or can who should not, as far as is known."""
        files = self.listed.files
        return tuple(one for one in files if one.missing or one.stale or one.no_rule)

    @property
    def complete(self) -> bool:
        """Whether everything could be looked at."""
        return not (self.listed.unread or self.history.unread)

    @property
    def clean(self) -> bool:
        """Whether nothing that was looked at is wrong."""
        return not (self.wrong or self.failed or self.history.exposures)


@dataclass(frozen=True, slots=True)
class Resealed:
    """One file that was written anew, and the names of the values in it."""

    path: str
    ref: Ref
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What ``secrets rotate`` did, or would do."""

    cluster: str
    commit: str | None
    """The commit that was made."""
    dry_run: bool
    files: tuple[Resealed, ...]
    gaps: tuple[Gap, ...]
    """Files that could not be opened, and are as they were."""
    names: Mapping[str, str] = field(default_factory=dict)
    recipients: tuple[str, ...] = ()
    """All that the files are encrypted for now."""
    left: tuple[str, ...] = ()
    """Files that somebody edited meanwhile; the commit is whole, these were left."""


@dataclass(frozen=True, slots=True)
class SecretsReady:
    """What ``secrets init`` made."""

    cluster: str
    key_file: str
    """Where the new identity is; empty if none was made."""
    recipients: tuple[str, ...]
    """All that the cluster's Secrets are encrypted for now."""
    names: Mapping[str, str]
    written: tuple[str, ...]
    """Files that are new or changed, from the top of the repository."""
    rewrapped: int
    """Encrypted files among them, which the new recipients can open from now on."""
    commit: str | None
    """The commit that was made; None if everything was so already."""
    gaps: tuple[Gap, ...] = ()
    """Encrypted files that could not be opened, and are as they were."""
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Files that somebody edited meanwhile; the commit is whole, these were left."""


def wanted(rule: Sequence[str], settings: SecretSettings) -> tuple[str, ...]:
    """Who must be able to open a file, of which a rule in ``.sops.yaml`` says ``rule``.

    Where no rule takes it in, those of ``gitops-dr.yaml``; and whoever is required there, always.
    """
    required = settings.required_recipients.values()
    return tuple(dict.fromkeys([*(rule or settings.recipients), *required]))


def lacking(recipients: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Those of ``recipients`` that are not among ``others``; comments of SSH keys do not count."""
    known = {_key(one) for one in others}
    return tuple(one for one in recipients if _key(one) not in known)


def called(recipient: str, names: Mapping[str, str]) -> str:
    """The name of a recipient, or its beginning."""
    short = recipient if len(recipient) <= SHORT else f"{recipient[:SHORT]}…"
    return names.get(recipient, short)


def _key(recipient: str) -> str:
    return " ".join(recipient.split()[:2])
