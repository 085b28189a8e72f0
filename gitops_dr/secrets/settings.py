"""Reads ``secrets:`` of ``gitops-dr.yaml``: its shape, and what is meant by it. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitops_dr.manifests.selector import Labels, ObjectSelector
from gitops_dr.secrets.policy import NEEDS_REASON, Policy, SecretPolicy, SecretSettings
from gitops_dr.secrets.recipients import age_recipient

if TYPE_CHECKING:
    from pydantic import BaseModel

Refuse = Callable[[str, str, str], Exception]
"""Makes the error about a key of the file: its path, the problem, and a hint or nothing."""


@dataclass(frozen=True, slots=True)
class _Recipient:
    name: str
    key: str
    required: bool
    only: str | None
    """The only cluster that it is about; None: all."""


@dataclass(frozen=True, slots=True)
class SecretsSection:
    """What the file says of Secrets, for all clusters."""

    policies: tuple[tuple[str | None, SecretPolicy], ...] = ()
    """Each with the only cluster that it is about; None: about all."""
    recipients: tuple[_Recipient, ...] = ()

    def of(self, cluster: str) -> SecretSettings:
        """What counts for one cluster."""
        known = [one for one in self.recipients if one.only in (None, cluster)]
        return SecretSettings(
            policies=tuple(one for only, one in self.policies if only in (None, cluster)),
            recipients=tuple(dict.fromkeys(one.key for one in known)),
            required_recipients={one.name: one.key for one in known if one.required},
            names={one.key: one.name for one in known},
        )


def shape(base: type[BaseModel]) -> tuple[type[BaseModel], dict[str, Collection[str]]]:
    """The model of the section, made from ``base``; and the keys that are known at each path."""
    from pydantic import Field

    class Recipient(base):  # type: ignore[misc, valid-type]
        name: str = Field(min_length=1)
        age: str = Field(min_length=1)
        cluster: str | None = None
        required: bool = True

    class PolicyModel(base):  # type: ignore[misc, valid-type]
        namespace: str | None = Field(None, min_length=1)
        name: str | None = Field(None, min_length=1)
        labels: Any = None
        type: str | None = Field(None, min_length=1)
        cluster: str | None = None
        policy: str
        because: str | None = None

    class Section(base):  # type: ignore[misc, valid-type]
        recipients: list[Recipient] | None = None
        policies: list[PolicyModel] | None = None

    return Section, {
        "secrets": Section.model_fields,
        "secrets.recipients": Recipient.model_fields,
        "secrets.policies": PolicyModel.model_fields,
    }


def read_section(
    written: Mapping[str, Any],
    clusters: Collection[str],
    read_labels: Callable[[Any], Labels],
    refuse: Refuse,
) -> SecretsSection:
    """Make settings of a section that has the shape.

    ``clusters`` are those of the file, ``read_labels`` reads a selector of labels. Raises what
    ``refuse`` makes for what makes no sense; a private key in a recipient's place is not quoted.
    """
    reader = _Reader(clusters, read_labels, refuse)
    policies = tuple(
        reader.policy(f"secrets.policies[{i}]", one)
        for i, one in enumerate(written.get("policies") or ())
    )
    recipients: list[_Recipient] = []
    for i, one in enumerate(written.get("recipients") or ()):
        recipient = reader.recipient(f"secrets.recipients[{i}]", one)
        for other in recipients:
            if other.name == recipient.name and (
                None in (other.only, recipient.only) or other.only == recipient.only
            ):
                place = f"secrets.recipients[{i}].name"
                raise refuse(place, f"a second {recipient.name!r} for one cluster", "")
        recipients.append(recipient)
    return SecretsSection(policies, tuple(recipients))


@dataclass(frozen=True, slots=True)
class _Reader:
    clusters: Collection[str]
    read_labels: Callable[[Any], Labels]
    refuse: Refuse

    def policy(self, place: str, written: Mapping[str, Any]) -> tuple[str | None, SecretPolicy]:
        try:
            policy = Policy(written["policy"])
        except ValueError as error:
            values = [one.value for one in Policy]
            problem = f"{written['policy']!r} is none of {', '.join(values)}"
            near = _near(written["policy"], values)
            raise self.refuse(f"{place}.policy", problem, near) from error
        because = written.get("because", "").strip()
        if not because and policy in NEEDS_REASON:
            hint = "say why, for whoever rebuilds from Git and lacks it"
            raise self.refuse(place, f"{policy.value} without because", hint)
        labels: Labels = ()
        if "labels" in written:
            try:
                labels = self.read_labels(written["labels"])
            except ValueError as error:
                raise self.refuse(f"{place}.labels", str(error), "") from error
        selector = ObjectSelector(
            namespace=written.get("namespace"), name=written.get("name"), labels=labels
        )
        only = self.cluster(place, written)
        return only, SecretPolicy(place, policy, because, selector, written.get("type"))

    def recipient(self, place: str, written: Mapping[str, Any]) -> _Recipient:
        text = written["age"].strip()
        try:
            age_recipient(text)
        except ValueError as error:
            hint = "a recipient begins with age1, ssh-ed25519 or ssh-rsa"
            raise self.refuse(f"{place}.age", str(error), hint) from error
        return _Recipient(
            written["name"], text, written.get("required", True), self.cluster(place, written)
        )

    def cluster(self, place: str, written: Mapping[str, Any]) -> str | None:
        cluster: str | None = written.get("cluster")
        if cluster is not None and self.clusters and cluster not in self.clusters:
            near = _near(cluster, self.clusters)
            raise self.refuse(f"{place}.cluster", f"no cluster {cluster!r}", near)
        return cluster


def _near(word: str, known: Collection[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {match[0]!r}?" if match else ""
