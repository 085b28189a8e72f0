"""Keeps what was made of each page of a cluster, so that the same bytes give the same again. Pure.

Whoever writes to a cluster looks at it twice: before, and at the end. Nearly all of what comes the
second time is byte for byte what came the first time. It is read in full and hashed, and what was
made of it then is taken once more. No resourceVersion is trusted: a default that a definition has
got since shows in the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitops_dr.cluster.listing import PageKey
from gitops_dr.engine.gathering import Fingerprint, Gathering
from gitops_dr.model import Ref


@dataclass(frozen=True, slots=True)
class Terms:
    """By what the objects of a page are taken, besides their bytes."""

    fingerprint: Fingerprint
    known: frozenset[str]
    namespaced: frozenset[tuple[str, str]]
    authors: bool
    holders: bool
    keep: Callable[[Ref], bool]
    autoscaled: frozenset[Ref]


@dataclass(frozen=True, slots=True)
class Pages:
    """What was made of the pages of one look; of none, before the first one."""

    terms: Terms | None = None
    parts: dict[PageKey, Gathering] = field(default_factory=dict)
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    """The canonical bytes that its parts name, by fingerprint."""

    def under(self, terms: Terms) -> Pages:
        """The same, if pages are still taken by the same; else nothing."""
        return self if self.terms == terms else Pages(terms)
