"""Rewrites what a commit holds of the source for the target that it is meant for. Pure.

Everything that compares or rebuilds goes through here, so that an intended difference of a target
can never be taken for drift. Each object is rewritten as the source has it: mappings first, then
the rest of a standby, then patches, which therefore speak of the target's own names. Only what one
of these can touch is loaded; all others keep their fingerprints, and no body is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from gitops_dr.desired.mappings import Renaming, handle
from gitops_dr.desired.mappings_used import noted, unused
from gitops_dr.desired.outward import OMITTED, Holder, Outward, is_workload
from gitops_dr.desired.patches import PatchError, json6902, strategic
from gitops_dr.desired.target import IDENTITY, Form, Namespaces, Patch, Target
from gitops_dr.desired.target_file import FILE, TARGETS
from gitops_dr.desired.target_standby import (
    Behind,
    Bodies,
    Rest,
    about,
    backends,
    rests,
    runs,
    serves,
)
from gitops_dr.desired.target_values import filled, with_encoded
from gitops_dr.errors import UsageError
from gitops_dr.manifests.selector import pattern_matches
from gitops_dr.model import ANY, SECRET, Body, Entry, Omission, Ref, State
from gitops_dr.volumes.records import SnapshotRecord

_NAMESPACE = ("", "Namespace")
OWN = "target-mappings"
"""The rule of what is left out because the target has another in its place. Whether it has one of
the source's name besides is its own affair, and no drift."""

STANDBY = "target-standby"
"""The rule of what a standby has no use for."""

OF_EACH = "target-secrets"
"""The rule of Secrets of which each cluster has one of its own; the target's is not in Git."""

_OF_SECRETS = "-secret-namespace"
"""How the annotations of a content end that name the namespace of a Secret."""


class Rewriter:
    """What a target makes of each of the source's objects."""

    def __init__(self, target: Target) -> None:
        self.target = target
        mappings = noted(target.mappings)
        self._mappings = mappings
        self._spaces = mappings.namespaces
        self._has_all = target.namespaces == Namespaces()
        self._renaming = Renaming(mappings, target.fields)
        self._rests = rests() if target.at_rest else {}
        self._holder = Holder(target.hold)
        self._filled: dict[tuple[str, bool], Patch] = {}
        self.behind: tuple[Behind, ...] = ()
        """What stands behind the Services that the API server asks: it runs on a standby, too."""
        self.resting: set[Ref] = set()
        """The source's workloads that rest at the target."""
        self.held: dict[Ref, Outward] = {}
        """The target's objects that are held, each by its row."""
        self.matched: set[str] = set()
        """Places of the patches that were about some object, so far."""

    def ref(self, ref: Ref) -> Ref | None:
        """Which object it is at the target; None if the target has no such namespace."""
        if self._has_all and not self._spaces:
            return ref
        if not self._has_namespace(ref):
            return None
        if ref.group_kind == _NAMESPACE and ref.name in self._spaces:
            return replace(ref, name=self._spaces[ref.name])
        if ref.namespace in self._spaces:
            return replace(ref, namespace=self._spaces[ref.namespace])
        return ref

    def omission(self, ref: Ref) -> Omission | None:
        """Why the target does not have the object; None if it does, as far as its name tells."""
        name = self.target.name
        if not self._has_namespace(ref):
            space = Ref(*_NAMESPACE, "", ref.namespace or ref.name)
            return Omission(space, "target-namespaces", f"Target {name} is without this namespace.")
        if other := self._renaming.replaces(ref.group_kind, ref.name):
            because = f"At target {name} it is {other}, which is the target's own."
            return Omission(ref, OWN, because)
        return None

    def touches(self, ref: Ref) -> bool:
        """Whether the object may be another at the target, so that its body must be looked at."""
        return (
            self.ref(ref) != ref
            or ref.group_kind in self._rests
            or self._holder.touches(ref)
            or self._renaming.touches(ref.group_kind)
            or any(patch.selector.names(ref) for patch in self.target.patches)
        )

    def rest(self, ref: Ref, body: Body) -> Rest | None:
        """What a standby makes of it; None if it runs there, too, or is no workload."""
        row = self._rests.get(ref.group_kind)
        if row is None or runs(ref, body, self.behind):
            return None
        if row.of and about(ref, body, row.of) not in self.resting:
            return None
        return None if self._is_kept(ref, body) else row

    def hold(self, ref: Ref, body: Body) -> Outward | None:
        """The row by which an object that acts outward is held; None if it is not."""
        row = self._holder.row(ref, body, self._serves)
        return None if row is None or self._is_kept(ref, body) else row

    def note_held(self, ref: Ref, row: Outward, source: tuple[Ref, Body], held: Body) -> None:
        """Keep in mind that an object of the source is held at the target, where it is ``ref``."""
        name, body = source
        # Git may hold it itself; and a patch has the last word, and may let it go.
        if row.omit or row.waits or (row.is_held(held) and not row.is_held(body)):
            self._holder.held.add(name)
            self.held[ref] = row

    def _serves(self, ref: Ref, body: Body) -> bool:
        return serves(ref, body, self.behind)

    def holds_workloads(self, refs: Iterable[Ref]) -> bool:
        """Whether some of these objects of the source may be workloads that are held."""
        return any(is_workload(ref.group_kind) and self._holder.touches(ref) for ref in refs)

    def _is_kept(self, ref: Ref, body: Body) -> bool:
        labels = _labels(body)
        return any(each.selector.matches(ref, labels) for each in self.target.standby.kept)

    def is_about_another(self, ref: Ref) -> bool:
        """Whether it rests only where another object does, which must be looked at before."""
        row = self._rests.get(ref.group_kind)
        return bool(row is not None and row.of) or self._holder.is_about_another(ref)

    def steps(self, ref: Ref, body: Body) -> Iterator[tuple[str, Body]]:
        """The object after each thing that changes it, with the reason.

        ``ref`` and ``body`` are the source's; the body is not changed. Raises ``UsageError`` for a
        patch that cannot be applied.
        """
        labels = _labels(body)
        now = self._moved(ref, body)
        if now is not body:
            yield "mappings.namespaces", now
        for name, changed in self._renaming.steps(ref.group_kind, now):
            now = changed
            yield f"mappings.{name}", now
        row = self.rest(ref, body)
        if row is not None and not row.omit:
            rested = row.rested(now)
            if rested is not now:
                now = rested
                yield f"standby: {row.because}", now
        outward = self.hold(ref, body)
        if outward is not None and (held := outward.held(now)) is not now:
            now = held
            yield f"held: {outward.because}", now
        for patch in self.target.patches:
            if patch.selector.matches(ref, labels):
                self.matched.add(patch.place)
                patched = self._patched(patch, ref, now)
                if patched != now:
                    now = patched
                    yield patch.because, now

    def rewrite(self, ref: Ref, body: Body) -> Body:
        """The object as the target has it; the very same body where it is no other."""
        for _, changed in self.steps(ref, body):
            body = changed
        return body

    def records(self, found: Mapping[Ref, SnapshotRecord]) -> dict[Ref, SnapshotRecord]:
        """Snapshot records by the claims that they fill at the target."""
        if self.target == IDENTITY:
            return dict(found)
        return {
            claim: self._record(record, claim)
            for ref, record in found.items()
            if (claim := self.ref(ref)) is not None
        }

    def unmatched(self) -> tuple[str, ...]:
        """What is about no object, once all were rewritten: patches and mappings, a line each."""
        patches = (
            f"{patch.place}: is about no object ({patch.selector})"
            for patch in self.target.patches
            if patch.place not in self.matched
        )
        file = f"{TARGETS}/{self.target.name}/{FILE}"
        names = (
            f"{file}: mappings.{mapping}: nothing is called {name}"
            for mapping, name in unused(self._mappings)
        )
        return (*patches, *names)

    def _record(self, record: SnapshotRecord, claim: Ref) -> SnapshotRecord:
        mappings = self._mappings
        secrets = {
            key: self._spaces.get(value, value) if key.endswith(_OF_SECRETS) else value
            for key, value in record.secret_annotations.items()
        }
        classes = mappings.storage_classes, mappings.snapshot_classes
        return replace(
            record,
            namespace=claim.namespace,
            handle=handle(record.handle, mappings.handles),
            storage_class=classes[0].get(record.storage_class, record.storage_class),
            snapshot_class=classes[1].get(record.snapshot_class, record.snapshot_class),
            secret_annotations=secrets,
            owner=self.ref(record.owner) if record.owner else None,
        )

    def _has_namespace(self, ref: Ref) -> bool:
        if self._has_all:
            return True
        wanted = self.target.namespaces
        name = ref.name if ref.group_kind == _NAMESPACE else ref.namespace
        return not name or (_fits(name, wanted.include) and not _fits(name, wanted.exclude))

    def _moved(self, ref: Ref, body: Body) -> Body:
        moved = self.ref(ref)
        if moved is None or moved == ref:
            return body
        metadata = {**body["metadata"], "name": moved.name}
        if moved.namespace:
            metadata["namespace"] = moved.namespace
        return {**body, "metadata": metadata}

    def _patched(self, patch: Patch, ref: Ref, body: Body) -> Body:
        of_secret = ref.group_kind == SECRET
        key = (patch.place, of_secret)
        if key not in self._filled:
            content = filled(patch.content, self.target, patch.place, of_secret=of_secret)
            self._filled[key] = replace(patch, content=content)
        content = self._filled[key].content
        try:
            if patch.form is Form.STRATEGIC:
                patched = strategic(body, content, ref.group_kind)
            else:
                patched = json6902(body, content)
        except PatchError as error:
            raise UsageError(
                f"{patch.place}: {ref}: {error}",
                hint="gitops-dr render shows what the source has",
            ) from error
        if _identity(patched) != _identity(body):
            raise UsageError(
                f"{patch.place}: {ref}: makes another object of it",
                hint="kind, name and namespace stay; mappings.namespaces renames a namespace",
            )
        return with_encoded(patched) if of_secret else patched


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(pattern_matches(pattern, name) for pattern in patterns)


def _labels(body: Body) -> Mapping[str, str]:
    return body["metadata"].get("labels") or {}


def _identity(body: Body) -> tuple[object, ...]:
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        return ()
    names = (metadata.get("name"), metadata.get("namespace"))
    return (body.get("apiVersion"), body.get("kind"), *names)


@cache
def rewriter_of_source() -> Rewriter:
    """That of the identity target, which changes nothing."""
    return Rewriter(IDENTITY)


def _not_made(ref: Ref, row: Rest | None, outward: Outward | None) -> Omission | None:
    if row is not None and row.omit:
        return Omission(ref, STANDBY, row.because)
    if outward is not None and outward.omit:
        return Omission(ref, OMITTED, outward.because)
    return None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A State as a target should have it."""

    state: State
    sources: Mapping[Ref, Ref] = field(default_factory=dict)
    """Of each object that is another than the source's: which of the source's it is made from."""
    omissions: tuple[Omission, ...] = ()
    """What of the source the target does not have, and why."""


def rewritten(
    state: State,
    rewriter: Rewriter,
    bodies: Bodies,
    fingerprint: Callable[[Ref, Body], str],
) -> Rewritten:
    """Say which State the target should have, given what Git recorded of the source.

    ``bodies`` gives the source's objects, ``fingerprint`` that of a rewritten one. What is there
    only at the target is not among them. Raises ``UsageError`` for a patch that cannot be applied,
    and where two objects would be the same one.
    """
    if rewriter.target == IDENTITY:
        return Rewritten(state)
    left_out: set[Omission] = set()
    renamed: dict[Ref, Ref] = {}
    for ref in state.entries:
        omission = rewriter.omission(ref)
        if omission is not None:
            left_out.add(omission)
        elif (new := rewriter.ref(ref)) is not None:
            renamed[ref] = new
    touched = sorted(filter(rewriter.touches, renamed), key=rewriter.is_about_another)
    if rewriter.target.at_rest or rewriter.holds_workloads(touched):
        rewriter.behind = backends(renamed, bodies)
    changed: dict[Ref, str] = {}
    for ref, body in bodies(touched):
        row, outward = rewriter.rest(ref, body), rewriter.hold(ref, body)
        made = rewriter.rewrite(ref, body)
        if row is not None:
            rewriter.resting.add(ref)
        if outward is not None:
            rewriter.note_held(renamed[ref], outward, (ref, body), made)
        if omission := _not_made(renamed[ref], row, outward):
            left_out.add(omission)
            del renamed[ref]
            continue
        if made is not body:
            changed[ref] = fingerprint(renamed[ref], made)
    entries = _moved(state, renamed, changed, rewriter.target.name)
    sources = {renamed[ref]: ref for ref in changed}
    omissions = tuple(sorted(left_out))
    gaps = tuple(gap for gap in state.gaps if gap.ref.name == ANY or rewriter.ref(gap.ref))
    wanted = replace(state, entries=entries, gaps=gaps)
    return Rewritten(wanted, sources, omissions)


def _moved(
    state: State, renamed: Mapping[Ref, Ref], changed: Mapping[Ref, str], target: str
) -> dict[Ref, Entry]:
    entries: dict[Ref, Entry] = {}
    for ref, new in renamed.items():
        if new in entries:
            raise UsageError(
                f"{new}: two objects of the source would be it at target {target}",
                hint="map no two namespaces to one",
            )
        entry = state.entries[ref]
        entries[new] = replace(entry, fingerprint=changed[ref]) if ref in changed else entry
    return entries
