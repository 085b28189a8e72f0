"""What a person wants of a plan: which part, with all that it references, and how far. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gitops_dr.model import ANY, Ref
from gitops_dr.planning.facts import NO_FACTS, ObjectFacts

_NAMESPACE = ("", "Namespace")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be brought back; nothing named means everything."""

    namespaces: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str], ...] = ()
    """All of these must be on an object (of the namespaces, if any are named)."""
    refs: frozenset[Ref] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.namespaces or self.labels or self.refs)

    def names(self, ref: Ref, labels: Mapping[str, str]) -> bool:
        """Whether the person asked for this very object."""
        if ref in self.refs:
            return True
        if not self.namespaces and not self.labels:
            return False
        within = not self.namespaces or self._home(ref) in self.namespaces
        return within and all(labels.get(key) == value for key, value in self.labels)

    def spells_out(self, ref: Ref) -> bool:
        """Whether the person named this object or its namespace, not just meant it among others."""
        return ref in self.refs or self._home(ref) in self.namespaces

    @staticmethod
    def _home(ref: Ref) -> str:
        return ref.name if ref.group_kind == _NAMESPACE else ref.namespace


WHOLE = Selection()
"""No part, but all of it."""


class Release(StrEnum):
    """Whether what acts outward is released at the end of a rebuild into another cluster."""

    IF_NEWEST = "if-newest"
    """If everything is there, and no newer recovery point is known."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a person wants of a rebuild beyond the commit."""

    selection: Selection = WHOLE
    """Only a part, with what it needs; empty means everything."""
    accept_empty_volumes: bool = False
    """A claim whose data is not restored is no gap."""
    without_secrets: bool = False
    """Secrets that cannot be opened are gaps, and stop nothing."""
    may_be_empty: frozenset[Ref] = frozenset()
    """Claims that a policy lets start empty."""
    overwrite: bool = False
    """Objects that are there and differ are made what Git says."""
    replace: bool = False
    """What cannot be changed in place is deleted and made again, if nothing is lost by that."""
    take_ownership: bool = False
    """Fields are also overwritten that somebody else applies, who would put them back."""
    release: Release = Release.IF_NEWEST
    """Whether what acts outward is released in the end."""
    hand_over: bool = False
    """What is made is made in the name of who applied it at the source."""
    elsewhere: bool = False
    """The target is another cluster than the source: what the platform owns is left to it."""


EVERYTHING = Intent()
"""All of the commit, with nothing overwritten and no empty volume taken for a full one."""


def closure(
    chosen: Iterable[Ref], among: Collection[Ref], facts: Mapping[Ref, ObjectFacts]
) -> frozenset[Ref]:
    """``chosen`` and everything of ``among`` that it needs, directly or through others."""
    by_kind: dict[tuple[str, str, str], list[Ref]] = {}
    for ref in among:
        by_kind.setdefault((ref.group, ref.kind, ref.namespace), []).append(ref)
    found: set[Ref] = set()
    waiting = [ref for ref in chosen if ref in among]
    while waiting:
        ref = waiting.pop()
        if ref in found:
            continue
        found.add(ref)
        for need in facts.get(ref, NO_FACTS).references.needs:
            wanted = need.ref
            if wanted.name.endswith(ANY):
                prefix = wanted.name.removesuffix(ANY)
                same_kind = by_kind.get((wanted.group, wanted.kind, wanted.namespace), ())
                waiting += [other for other in same_kind if other.name.startswith(prefix)]
            elif wanted in among:
                waiting.append(wanted)
    return frozenset(found)
