"""Git, the cluster and their base side by side, for a three-way comparison. Reads from Git only.

What people keep for themselves (``authored`` paths) is on none of the sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from gitops_dr.desired.pending import Held
from gitops_dr.drift.threeway import has_all_changes
from gitops_dr.engine.base import Base
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Recorded
from gitops_dr.engine.sealing import has_values
from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.edit import Edited, edited
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.model import SECRET, Entry, Gap, Omission, Ref

_AUTHORED = "Its place in Git is one that people keep, as gitops-dr.yaml says."


class Sides:
    """The three sides, Ref to fingerprint, and what is behind them.

    Only objects that Git and the cluster do not have in common are on them: few, of very many.
    """

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
        refs = set(_differing(entries, seen)) | set(_in_base_only(base, entries, seen))
        authored = {ref for ref in refs if is_authored(self.path(ref))}
        ours = refs - authored
        self.git = {ref: entries[ref].fingerprint for ref in ours if ref in entries}
        self.live = {ref: seen[ref].fingerprint for ref in ours if ref in seen}
        self.base = None if base is None else _fingerprints(base, ours)
        self.homeless = frozenset(authored & seen.keys() - entries.keys())
        """Live objects that are not in Git and whose place there is authored."""
        self.unreadable = {p: gap for p, gap in _unreadable(recorded) if not is_authored(p)}
        """Files that are no manifests, by path: which objects they hold is unknown."""

    @property
    def omissions(self) -> tuple[Omission, ...]:
        """What the rules leave out, and what is not in Git because its place there is authored."""
        authored = [Omission(ref, "authored", _AUTHORED) for ref in self.homeless]
        return tuple(sorted([*self.observation.state.omissions, *authored]))

    def path(self, ref: Ref) -> str:
        """Where the object's manifest is; or else where it was, or would be."""
        recorded = self.recorded.state.entries.get(ref)
        if recorded is not None:
            return recorded.path
        before = self._base.path(ref) if self._base else None
        return before or self.observation.state.entries[ref].path

    def fingerprint(self, ref: Ref) -> str | None:
        """That of the running object; None if the cluster has none."""
        seen = self.observation.state.entries.get(ref)
        return seen.fingerprint if seen else None

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

    def written(self, ref: Ref) -> Edited:
        """The file that says what the cluster is: one that a person has laid out stays so."""
        data = self.live_bytes(ref)
        blob = self.recorded.blob_of.get(ref)
        if ref.group_kind == SECRET and has_values(body := parse(data, str(ref))):
            tree = self.recorded.tree
            before = None if blob is None else tree.blob(blob)
            return Edited(tree.sealing.sealed(body, self.path(ref), before))
        if blob is None or blob == self.recorded.state.entries[ref].fingerprint:
            return Edited(data)
        path = self.path(ref)
        return edited(self.recorded.tree.blob(blob), parse(data, str(ref)), path)

    def held(self, ref: Ref, base: str) -> Held:
        """The account of an object whose version in Git stays; ``base``: its last common one."""
        blob = self._base.blob(ref) if self._base and base else None
        return Held(base, self.path(ref), blob if blob and blob != base else "")

    def live_bytes(self, ref: Ref) -> bytes:
        """The cluster's version of an object, in canonical form."""
        fingerprint = self.live[ref]
        data = self.observation.bodies.get(fingerprint)
        # A body that observe was told is known lies in Git, under another object's path.
        if data is None:
            data = self.recorded.tree.blob(fingerprint)
            if ref.group_kind == SECRET:
                opened = self.recorded.tree.manifest(self.path(ref), fingerprint)
                data = canonical(opened or {})
        return data

    def _places(self, ref: Ref) -> Iterator[str]:
        yield self.path(ref)
        seen = self.observation.state.entries.get(ref)
        if seen is not None:
            yield seen.path


def _differing(entries: Mapping[Ref, Entry], seen: Mapping[Ref, Entry]) -> Iterator[Ref]:
    for ref, entry in entries.items():
        live = seen.get(ref)
        if live is None or live.fingerprint != entry.fingerprint:
            yield ref
    yield from (ref for ref in seen if ref not in entries)


def _in_base_only(
    base: Base | None, entries: Mapping[Ref, Entry], seen: Mapping[Ref, Entry]
) -> Iterator[Ref]:
    if base is None:
        return
    known = base.held if base.entries is entries else base.held.keys() | base.entries.keys()
    yield from (ref for ref in known if ref not in entries and ref not in seen)


def _fingerprints(base: Base, refs: Iterable[Ref]) -> dict[Ref, str]:
    found = ((ref, base.fingerprint(ref)) for ref in refs)
    return {ref: fingerprint for ref, fingerprint in found if fingerprint is not None}


def _unreadable(recorded: Recorded) -> Iterator[tuple[str, Gap]]:
    prefix = f"{recorded.tree.prefix}/"
    for gap in recorded.state.gaps:
        if gap.ref.kind == "File" and gap.ref.name.startswith(prefix):
            yield gap.ref.name.removeprefix(prefix), gap
