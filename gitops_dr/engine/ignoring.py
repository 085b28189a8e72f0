"""Holds the ignore rules against a comparison, and loads what they ask for. Reads from Git only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache

from gitops_dr.drift.attribute import trusted_managers
from gitops_dr.drift.ignore import IgnoreRule, RuleUse, ignored
from gitops_dr.drift.misspelt import Seen, rule_uses
from gitops_dr.engine.difference import Examined
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body, Difference, Presence, Ref

_EACH_KIND = 20
_AT_ALL = 500


def without_ignored(
    examined: Examined, rules: Sequence[IgnoreRule], *, today: date, whole: bool = True
) -> tuple[tuple[Difference, ...], tuple[RuleUse, ...]]:
    """Take out of the differences what the rules hide; and account for each rule, in their order.

    ``whole``: the caller left nothing of the comparison out, so that a rule of no use is told so.
    Raises ``RepositoryError`` if a file of the commit cannot be read.
    """
    if not rules:
        return examined.differences, ()
    bodies = _Bodies(examined)
    found = ignored(
        examined.differences,
        rules,
        labels_of=bodies.labels_of,
        body_of=lru_cache(maxsize=2)(bodies.body_of),
        today=today,
    )
    observed = examined.observation.state
    seen = Seen(
        refs=examined.desired.entries.keys() | observed.entries.keys() | observed.unlisted,
        managers=frozenset(_managers(examined.differences)) | trusted_managers(),
        bodies=bodies.some,
        whole=whole and not (observed.gaps or examined.unreadable),
    )
    return found.kept, rule_uses(rules, found.hidden, seen, today=today)


def _managers(found: Iterable[Difference]) -> Iterator[str]:
    for difference in found:
        for managers in (difference.managers, *(c.managers for c in difference.changes)):
            yield from (manager.name for manager in managers)


class _Bodies:
    """What the rules ask of objects: labels, bodies, and which fields there are."""

    def __init__(self, examined: Examined) -> None:
        self._examined = examined
        self._live_entries = examined.observation.state.entries
        self._labels: dict[Ref, Mapping[str, str]] = {}

    def labels_of(self, ref: Ref) -> Mapping[str, str]:
        """The live labels of a differing object, Git's where it is missing."""
        if ref not in self._labels:
            if ref in self._live_entries:
                self._labels[ref] = _labels(self._live(ref))
            else:
                # All at once: Git gives many objects nearly as fast as one.
                missing = [
                    d.ref for d in self._examined.differences if d.presence is Presence.MISSING
                ]
                self._labels |= {absent: _labels(body) for absent, body in self._in_git(missing)}
        return self._labels.setdefault(ref, {})

    def body_of(self, ref: Ref, op: str) -> Body | None:
        """Git's body for a field that is only there, else the cluster's."""
        if op == "remove":
            return next((body for _, body in self._in_git([ref])), None)
        return self._live(ref) if ref in self._live_entries else None

    def some(self, refs: Sequence[Ref]) -> Iterator[Body]:
        """Bodies of some of the objects, a few of each kind: the cluster's where they differ."""
        counts: dict[tuple[str, str], int] = {}
        chosen = []
        for ref in sorted(refs, key=lambda one: not self._differs(one)):
            counts[ref.group_kind] = counts.get(ref.group_kind, 0) + 1
            if counts[ref.group_kind] <= _EACH_KIND:
                chosen.append(ref)
        chosen = chosen[:_AT_ALL]
        yield from (self._live(ref) for ref in chosen if self._differs(ref))
        yield from (body for _, body in self._in_git(chosen))

    def _differs(self, ref: Ref) -> bool:
        entry = self._live_entries.get(ref)
        return entry is not None and entry.fingerprint in self._examined.observation.bodies

    def _live(self, ref: Ref) -> Body:
        fingerprint = self._live_entries[ref].fingerprint
        data = self._examined.observation.bodies.get(fingerprint)
        # A body that observe was told is known lies in Git, under another object's path.
        if data is None:
            data = self._examined.recorded.tree.blob(fingerprint)
        return parse(data, str(ref))

    def _in_git(self, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Body]]:
        recorded = self._examined.recorded
        held = recorded.blob_of.keys() | recorded.rendered.keys()
        return recorded.bodies([ref for ref in refs if ref in held])


def _labels(body: Body) -> Mapping[str, str]:
    labels = body["metadata"].get("labels") or {}
    return {key: value for key, value in labels.items() if isinstance(value, str)}
