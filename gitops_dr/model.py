"""The words of the project, frozen. No behaviour beyond identity and order; no I/O.

Everything that passes between rooms is one of these. See ``docs/design.md`` for the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Any

Body = dict[str, Any]
"""A decoded manifest: JSON types only."""

ANY = "*"
"""The name of a Ref that stands for every object of its kind (or, as kind, of its group)."""

SECRET = ("", "Secret")
"""Group and kind of a Secret, whose values are nobody's to see."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Identity of an object. The API version is deliberately no part of it."""

    group: str
    """API group without version; empty for the core group."""
    kind: str
    namespace: str
    """Empty for cluster-scoped objects."""
    name: str

    def __str__(self) -> str:
        """``Kind[.group]/[namespace/]name``; :func:`parse_ref` reads it back."""
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind}/{self.namespace}/{self.name}" if self.namespace else f"{kind}/{self.name}"

    @property
    def group_kind(self) -> tuple[str, str]:
        """Group and kind, the key by which rules and references look things up."""
        return (self.group, self.kind)

    def covers(self, other: Ref) -> bool:
        """Whether this Ref names ``other``, wildcards (``ANY``) included."""
        return (
            self.group == other.group
            and self.kind in (ANY, other.kind)
            and self.name in (ANY, other.name)
            and (self.namespace == other.namespace or (self.name == ANY and not self.namespace))
        )


in_order = attrgetter("group", "kind", "namespace", "name")
"""Key that sorts Refs as they compare, in a third of the time."""


def parse_kind(text: str) -> tuple[str, str]:
    """Group and kind of ``Kind[.group]``."""
    kind, _, group = text.partition(".")
    return group, kind


def parse_ref(text: str) -> Ref:
    """Read what ``str(Ref)`` wrote.

    Raises ``ValueError`` for anything else.
    """
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"{text!r} is not Kind[.group]/[namespace/]name")
    group, kind = parse_kind(parts[0])
    namespace = parts[1] if len(parts) == 3 else ""
    return Ref(group, kind, namespace, parts[-1])


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """A kind as one API server serves it in one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def group_kind(self) -> tuple[str, str]:
        """Group and kind, without the version."""
        return (self.group, self.kind)

    @property
    def api_version(self) -> str:
        """The manifest's ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Identity:
    """Which cluster this is, and at which moment it was looked at."""

    uid: str
    """The UID of its ``kube-system`` namespace, which no other cluster has."""
    version: str
    """The API server's version, such as ``v1.37.2``."""
    revision: str
    """The resourceVersion of the moment."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a State knows of one object without holding its body."""

    fingerprint: str
    """Hash of the object's canonical bytes: the git blob id of its exported file."""
    path: str
    """Where its manifest is or would be, relative to ``clusters/<cluster>/``."""
    version: str
    """API version (without group) that the body has or would have."""


@dataclass(frozen=True, slots=True, order=True)
class Omission:
    """Left out because a rule or a policy says so. ``ref.name`` may be ``ANY``."""

    ref: Ref
    rule: str
    """Identifier of the rule or policy."""
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Could not be read, or cannot come back: a fact to repair, not a choice."""

    ref: Ref
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """A cluster's objects as fingerprints, with an honest account of what is not among them."""

    entries: Mapping[Ref, Entry]
    omissions: tuple[Omission, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unlisted: frozenset[Ref] = frozenset()
    """Objects of a running cluster that a rule leaves out: they are there, others may need them."""

    def gap_for(self, ref: Ref) -> Gap | None:
        """Find the gap that makes this object's absence mean nothing, if there is one."""
        return next((gap for gap in self.gaps if gap.ref.covers(ref)), None)


class Presence(StrEnum):
    """How one object differs between Git and the cluster."""

    MISSING = "missing"
    MODIFIED = "modified"
    UNMANAGED = "unmanaged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class FieldManager:
    """Who is known to have written a field: what an entry of ``managedFields`` says."""

    name: str
    operation: str
    """``Apply`` or ``Update``."""
    subresource: str = ""
    time: str = ""
    """RFC 3339: when this manager last wrote the object, which need not be when it wrote the field;
    empty where the API server does not say."""
    trusted: bool = False
    """One of Kubernetes' own controllers, or one that the configuration trusts."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. ``old`` is Git's value, ``new`` the cluster's; one may be absent."""

    path: str
    op: str
    """``add`` (only in the cluster), ``remove`` (only in Git) or ``replace``."""
    old: Any = None
    new: Any = None
    managers: tuple[FieldManager, ...] = ()
    """Those last known to write it; empty is unknown, as it is for whatever was removed."""
    removed_from_git: bool = False
    """Only in the cluster, written by somebody who applies what is in Git: it was there once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One object's state relative to Git. ``changes`` is empty unless it is modified."""

    ref: Ref
    presence: Presence
    path: str
    changes: tuple[FieldChange, ...] = ()
    reason: str = ""
    """Why it is unknown; empty otherwise."""
    managers: tuple[FieldManager, ...] = ()
    """Of an unmanaged object: who wrote it."""
    held: str = ""
    """That it is but a hold which a rebuild gave the object, since it acts outward, and what
    releases it; empty otherwise."""
    compared_locally: str = ""
    """Why the API server could not be asked what it would make of Git's version, so that a change
    may be none; empty where that was not needed, or was done."""


class Action(StrEnum):
    """What a step does; Flux's words where they exist."""

    CREATE = "create"
    CONFIGURE = "configure"
    REPLACE = "replace"
    DELETE = "delete"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """An edge of the graph: this object must be there (or be ready) before the step starts."""

    ref: Ref
    ready: bool = False
    """Wait for readiness; otherwise existence is enough."""
    hard: bool = False
    """Without it the step must not be tried: the API server would refuse it, or make something
    wrong of it. Otherwise the step may go on after a failure."""
    why: str = ""
    """The field or rule that makes the edge."""
    must_be_ready: bool = False
    """With ``ready`` and ``hard``: without its readiness the step must not be tried either."""


class EmptyVolume(StrEnum):
    """What a step does about a claim whose data nothing restores."""

    NOTED = "noted"
    """The claim is created with a note that its volume starts empty."""
    ACCEPTED = "accepted"
    """That note is taken off, and nothing else of the claim is changed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One act of a plan. Holds no body: it is loaded by path and fingerprint when the step runs."""

    ref: Ref
    action: Action
    fingerprint: str
    path: str
    version: str
    needs: tuple[Need, ...] = ()
    reason: str = ""
    """Why it is skipped, why it is replaced, or why a change of it would be refused; empty
    otherwise."""
    empty_volume: EmptyVolume | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, in an order that respects every need."""

    steps: tuple[Step, ...]
    omissions: tuple[Omission, ...] = ()
    """Differing objects that a rule leaves alone, so that they are no failure."""
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    """Things a person should know before saying yes, one line each."""


class Result(StrEnum):
    """What came of a step."""

    DONE = "done"
    """Created (or changed) as planned."""
    PRESENT = "present"
    """Was there already and equal."""
    FAILED = "failed"
    """The API server refused, or did not answer in time."""
    BLOCKED = "blocked"
    """Never tried, because what it needs hard did not come."""
    UNREADY = "unready"
    """Written, but not ready within the time allowed."""
    UNOBSERVABLE = "unobservable"
    """Written, and it reports nothing by which to tell whether it is ready: no failure, and not
    ready either."""


GOOD_ENDS = frozenset({Result.DONE, Result.PRESENT, Result.UNOBSERVABLE})
"""The results that are no failure."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one step.

    ``reason`` says what went wrong, or what a person should know although nothing did.
    """

    ref: Ref
    action: Action
    result: Result
    reason: str = ""
    seconds: float = 0.0


class MaskedValue:
    """A value that must not be seen. Only :meth:`reveal` gives it; any other way shows ``***``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value. Call it only where it is handed to the API server or to encryption."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskedValue) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("MaskedValue", self._value))

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a masked value is not pickled")


def by_kind(refs: Iterable[Ref]) -> dict[tuple[str, str], int]:
    """Count Refs by group and kind, in sorted order."""
    counts: dict[tuple[str, str], int] = {}
    for ref in refs:
        counts[ref.group_kind] = counts.get(ref.group_kind, 0) + 1
    return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that holds what only one may hold at a time."""

    run: str
    """Names this very run; no other has it."""
    host: str
    user: str
    pid: int
    command: str
    """The verb, without its arguments: they may hold what is nobody's business."""
    since: str
    """When it took hold, RFC 3339 in UTC."""
    machine: str = ""
    """Where a process id means the same: this start of this host, and the namespace of its pids."""
    started: str = ""
    """When the process began, as the host counts; tells it from a later one with the same id."""

    def __str__(self) -> str:
        """``alice@laptop (process 4711): gitops-dr export, since 2026-11-22T10:00:00Z``."""
        who = f"{self.user}@{self.host}" if self.host else self.run
        process = f" (process {self.pid})" if self.pid else ""
        deed = f": {self.command}" if self.command else ""
        return f"{who}{process}{deed}" + (f", since {self.since}" if self.since else "")


def read_holder(text: str) -> Holder | None:
    """Read what ``json.dumps(asdict(holder))`` wrote; None for anything else."""
    try:
        found = json.loads(text)
        return Holder(**found) if all(map(_is_fact, found.items())) else None
    except (AttributeError, RecursionError, TypeError, ValueError):
        return None


def _is_fact(fact: tuple[str, Any]) -> bool:
    name, value = fact
    return type(value) is (int if name == "pid" else str)
