"""What becomes of a Secret: the policy that people gave it, or that of a shipped row. Pure.

People's policies come from ``secrets:`` in ``gitops-dr.yaml``, the rows from ``policies.yaml``;
the first that applies to a Secret counts. Only its identity, its type and its metadata decide: no
value is ever looked at, so neither its size nor its form matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.selector import ObjectSelector, pattern_matches
from gitops_dr.model import Body, Ref
from gitops_dr.resources import shipped

VALUES = ("data", "stringData")
"""The fields of a Secret that hold its values."""

_EVERY = ObjectSelector()


class Policy(StrEnum):
    """What becomes of a Secret."""

    ENCRYPT = "encrypt"
    """In Git, its values encrypted."""
    EXTERNAL = "external"
    """Its name and keys are recorded; people bring the values from elsewhere before a rebuild."""
    GENERATED = "generated"
    """Something in the cluster makes its values again: they are never exported."""
    PER_CLUSTER = "per-cluster"
    """In Git, its values encrypted; another cluster has one of its own, with other values."""
    OMIT = "omit"
    """Left out, on purpose."""


NEEDS_REASON = frozenset({Policy.EXTERNAL, Policy.OMIT})
"""The policies by which a rebuild from Git alone lacks the Secret, so that people must say why."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one Secret, and who says so."""

    policy: Policy
    because: str
    row_id: str
    """The shipped row, or the place in ``gitops-dr.yaml``."""
    quietly: bool = False
    """Whether reports name the row only: such Secrets come and go by themselves."""
    exported_empty: bool = False
    """Whether the Secret is in Git all the same, without values (:func:`without_values`)."""


@dataclass(frozen=True, slots=True)
class SecretPolicy:
    """One row of ``gitops-dr.yaml``: the Secrets that it is about, and what becomes of them."""

    place: str
    """Where it stands in the file, such as ``secrets.policies[0]``."""
    policy: Policy
    because: str = ""
    selector: ObjectSelector = _EVERY
    type: str | None = None
    """A pattern for the Secret's ``type``; None: any."""

    def applies_to(self, ref: Ref, body: Body) -> bool:
        """Whether the Secret is one of them."""
        return (self.type is None or pattern_matches(self.type, type_of(body))) and (
            self.selector.matches(ref, _texts(body, "labels"))
        )

    @property
    def decision(self) -> Decision:
        """What it decides for a Secret that it applies to."""
        return Decision(self.policy, self.because or "gitops-dr.yaml says so.", self.place)


@dataclass(frozen=True, slots=True)
class SecretSettings:
    """All that ``gitops-dr.yaml`` says of one cluster's Secrets."""

    policies: tuple[SecretPolicy, ...] = ()
    recipients: tuple[str, ...] = ()
    """To whom they are encrypted where ``.sops.yaml`` does not say; in the file's order."""
    required_recipients: Mapping[str, str] = field(default_factory=dict)
    """Name (such as ``cluster``, ``standby``, ``escrow``) to recipient: each of them must be able
    to open every file."""
    names: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Recipient to its name, of those too that need not be able to."""


@dataclass(frozen=True, slots=True)
class Row:
    """A shipped policy. ``policies.yaml`` says what each column means."""

    id: str
    policy: Policy
    because: str
    link: str
    types: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    always: bool = False
    quietly: bool = False
    exported_empty: bool = False

    def applies_to(self, ref: Ref, body: Body) -> bool:
        """Whether the Secret meets all that the row names."""
        return (
            _fits(self.types, type_of(body))
            and _fits(self.namespaces, ref.namespace)
            and _fits(self.names, ref.name)
            and (not self.labels or _has(_texts(body, "labels"), self.labels))
            and (not self.annotations or _has(_texts(body, "annotations"), self.annotations))
            and (not self.owners or not _owners(body).isdisjoint(self.owners))
        )

    @property
    def decision(self) -> Decision:
        """What it decides for a Secret that it applies to."""
        return Decision(
            self.policy,
            self.because,
            self.id,
            quietly=self.quietly,
            exported_empty=self.exported_empty,
        )


def policy_of(ref: Ref, body: Body, settings: SecretSettings) -> Decision:
    """Decide what becomes of a Secret.

    ``body`` is the Secret as the API server or a file has it; its metadata are enough, but for rows
    that ask for a type. Rows that count always come first, then what people wrote, then the others.
    """
    return next(_decisions(ref, body, settings))


def without_values(body: Body) -> Body:
    """The Secret with neither values nor keys: what is in Git of one that something else fills."""
    return {key: value for key, value in body.items() if key not in VALUES}


def type_of(body: Body) -> str:
    """The Secret's type. One without is ``Opaque``, as the API server has it."""
    found = body.get("type")
    return found if isinstance(found, str) and found else "Opaque"


@cache
def rows() -> tuple[Row, ...]:
    """Read the shipped rows, in file order."""
    return tuple(map(read_row, yamlrocks.loads(shipped("secrets/policies.yaml").read_bytes())))


def read_row(raw: Mapping[str, Any]) -> Row:
    """Make a row of decoded YAML. Raises ``GitOpsDRError`` naming the row if it does not fit."""
    values = dict(raw)
    name = values.get("id", "?")
    try:
        values["policy"] = Policy(values["policy"])
        for key in ("types", "namespaces", "names", "owners"):
            values[key] = tuple(values.get(key, ()))
        row = Row(**values)
    except (TypeError, ValueError, KeyError) as error:
        raise GitOpsDRError(f"policy {name}: {error}") from error
    if row.exported_empty and row.policy is not Policy.GENERATED:
        raise GitOpsDRError(f"policy {name}: only what is generated is exported empty")
    return row


@cache
def _rows_by_rank() -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Those that count before what people write, and the others."""
    return (
        tuple(row for row in rows() if row.always),
        tuple(row for row in rows() if not row.always),
    )


def _decisions(ref: Ref, body: Body, settings: SecretSettings) -> Iterator[Decision]:
    """All that apply, the one that counts first. The last row applies to every Secret."""
    first, others = _rows_by_rank()
    yield from (row.decision for row in first if row.applies_to(ref, body))
    yield from (one.decision for one in settings.policies if one.applies_to(ref, body))
    yield from (row.decision for row in others if row.applies_to(ref, body))


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(pattern_matches(pattern, text) for pattern in patterns)


def _has(texts: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(
        key in texts and pattern_matches(pattern, texts[key]) for key, pattern in wanted.items()
    )


def _metadata(body: Body) -> Mapping[str, Any]:
    found = body.get("metadata")
    return found if isinstance(found, dict) else {}


def _texts(body: Body, name: str) -> Mapping[str, str]:
    """Labels or annotations; a file in Git may hold what no API server would take."""
    found = _metadata(body).get(name)
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _owners(body: Body) -> frozenset[str]:
    """Kinds of the owners, as ``Kind[.group]``."""
    found = _metadata(body).get("ownerReferences")
    kinds = set()
    for owner in found if isinstance(found, list) else ():
        if isinstance(owner, dict):
            group, slash, _ = str(owner.get("apiVersion", "")).rpartition("/")
            kinds.add(f"{owner.get('kind')}.{group}" if slash else str(owner.get("kind")))
    return frozenset(kinds)
