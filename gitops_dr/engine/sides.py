"""Git, the cluster and their base side by side, for a three-way comparison. Reads from Git only.

What people keep for themselves (``authored`` paths) is on none of the sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitops_dr.drift.threeway import has_all_changes
from gitops_dr.engine.base import Base
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Recorded
from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Gap, Omission, Ref

_AUTHORED = "Its place in Git is one that people keep, as gitops-dr.yaml says."


class Sides:
    """The three sides, Ref to fingerprint, and what is behind them."""

    def __init__(
        self,
        recorded: Recorded,
        observation: Observation,
        base: Base | None,
        *,
        is_authored: Callable[[str], bool],
    ) -> None:
        """``base``: None if nobody knows it. ``is_authored`` says it of a manifest's path."""
        self.recorded = recorded
        self.observation = observation
        self._base = base
        entries, seen = recorded.state.entries, observation.state.entries
        known = base.fingerprints if base else {}
        refs = entries.keys() | seen.keys() | known.keys()
        self.authored = frozenset(ref for ref in refs if is_authored(self.path(ref)))
        """Objects whose manifest is, or would be, where people keep their own."""
        ours = refs - self.authored
        self.git = {ref: entry.fingerprint for ref, entry in entries.items() if ref in ours}
        self.live = {ref: entry.fingerprint for ref, entry in seen.items() if ref in ours}
        self.base = {ref: known[ref] for ref in known if ref in ours} if base else None
        self.unreadable = {p: gap for p, gap in _unreadable(recorded) if not is_authored(p)}
        """Files that are no manifests, by path: which objects they hold is unknown."""

    @property
    def omissions(self) -> tuple[Omission, ...]:
        """What the rules leave out, and what is not in Git because its place there is authored."""
        absent = self.authored & self.observation.state.entries.keys()
        absent -= self.recorded.state.entries.keys()
        authored = [Omission(ref, "authored", _AUTHORED) for ref in absent]
        return tuple(sorted([*self.observation.state.omissions, *authored]))

    def path(self, ref: Ref) -> str:
        """Where the object's manifest is; or else where it was, or would be."""
        recorded = self.recorded.state.entries.get(ref)
        if recorded is not None:
            return recorded.path
        before = self._base.path(ref) if self._base else None
        return before or self.observation.state.entries[ref].path

    def is_unknown(self, ref: Ref) -> bool:
        """Whether one side of the object could not be read."""
        if self.observation.state.gap_for(ref) is not None:
            return True
        return not self.unreadable.keys().isdisjoint(self._places(ref))

    def is_applied(self, ref: Ref) -> bool:
        """Whether the cluster has everything that Git changed in the object."""
        if self._base is None or not (ref in self.git and ref in self.live):
            return False
        try:
            before = self._base.body(ref)
        except RepositoryError:
            return False
        git = next(body for _, body in self.recorded.bodies([ref]))
        return has_all_changes(git, parse(self.live_bytes(ref), str(ref)), before)

    def live_bytes(self, ref: Ref) -> bytes:
        """The cluster's version of an object, as it would be written."""
        fingerprint = self.live[ref]
        data = self.observation.bodies.get(fingerprint)
        # A body that observe was told is known lies in Git, under another object's path.
        return self.recorded.tree.blob(fingerprint) if data is None else data

    def _places(self, ref: Ref) -> Iterator[str]:
        yield self.path(ref)
        seen = self.observation.state.entries.get(ref)
        if seen is not None:
            yield seen.path


def _unreadable(recorded: Recorded) -> Iterator[tuple[str, Gap]]:
    prefix = f"{recorded.tree.prefix}/"
    for gap in recorded.state.gaps:
        if gap.ref.kind == "File" and gap.ref.name.startswith(prefix):
            yield gap.ref.name.removeprefix(prefix), gap
