"""Keeps what was made of each page of a cluster, so that the same bytes give the same again. Pure.

Whoever writes to a cluster looks at it twice: before, and at the end. Nearly all of what comes the
second time is byte for byte what came the first time. It is read in full and hashed, and what was
made of it then is taken once more. No resourceVersion is trusted: a default that a definition has
got since shows in the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops_dr.cluster.listing import PageKey
from gitops_dr.engine.gathering import Gathering, Terms
from gitops_dr.model import Ref


@dataclass(frozen=True, slots=True)
class Pages:
    """What was made of the pages of one look; of none, before the first one."""

    terms: Terms | None = None
    autoscaled: frozenset[Ref] = frozenset()
    """What autoscalers target, by which an object is taken, too."""
    parts: dict[PageKey, Gathering] = field(default_factory=dict)
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    """The canonical bytes that its parts name, by fingerprint."""

    def under(self, terms: Terms, autoscaled: frozenset[Ref]) -> Pages:
        """The same, if pages are still taken by the same; else nothing."""
        same = (self.terms, self.autoscaled) == (terms, autoscaled)
        return self if same else Pages(terms, autoscaled)
