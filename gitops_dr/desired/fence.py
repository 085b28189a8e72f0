"""Says what must be stopped in a cluster so that nothing of it writes or acts any more. Pure.

The same that is at rest on a warm target (``standby.yaml``), and what acts outward
(``outward.yaml``), of the live objects themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gitops_dr.desired.outward import Outward, with_value
from gitops_dr.desired.pod_specs import GroupKind
from gitops_dr.desired.target import Kept
from gitops_dr.desired.target_standby import Behind, Rest, about, has_claims, rests, runs, serves
from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath, get, parse_fieldpath
from gitops_dr.model import Body, Ref
from gitops_dr.rules.platform import platform_reason

_POD: Final = ("", "Pod")
_ENDED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Stop:
    """What stops one object."""

    ref: Ref
    patch: Body
    """A JSON merge patch (RFC 7386) with the object's name."""
    was: Mapping[str, Any]
    """The fields that it changes: path to the value that is there, None if there is none."""


@dataclass(frozen=True, slots=True)
class Stoppable:
    """What is asked to rest in a cluster, and what goes on."""

    outward: tuple[Outward, ...] = ()
    kept: tuple[Kept, ...] = ()
    """Workloads that run on the target, too, because people say so."""
    behind: tuple[Behind, ...] = ()
    """What the API server itself asks."""
    ours: str = ""
    """The namespace with what we keep; it is left alone."""

    def is_about(self, group_kind: GroupKind) -> bool:
        """Whether objects of a kind may have to be stopped."""
        row = rests().get(group_kind)
        by_rest = row is not None and not row.omit
        return by_rest or any(one.path and one.names_kind(group_kind) for one in self.outward)


@dataclass(frozen=True, slots=True)
class Found:
    """What of a cluster is to be stopped, and what writes."""

    stops: tuple[Stop, ...] = ()
    writers: tuple[Ref, ...] = ()
    """Pods that have claims, and workloads that may make some."""
    acting: tuple[Ref, ...] = ()
    """What acts outward and is not held."""


def find(bodies: Iterable[tuple[Ref, Body]], asked: Stoppable) -> Found:
    """Say what is to be stopped of the live objects, and which of them may write to volumes."""
    finder = _Finder(asked)
    held = list(bodies)
    # What rests only where another object does comes last.
    for ref, body in sorted(held, key=lambda one: finder.is_about_another(one[0])):
        finder.look(ref, body)
    # A workload says more than its pods.
    writers = sorted(finder.writers, key=lambda ref: (ref.group_kind == _POD, ref))
    return Found(tuple(finder.stops), tuple(writers), tuple(sorted(finder.acting)))


@dataclass(slots=True)
class _Finder:
    asked: Stoppable
    stops: list[Stop] = field(default_factory=list)
    writers: set[Ref] = field(default_factory=set)
    acting: set[Ref] = field(default_factory=set)
    resting: set[Ref] = field(default_factory=set)

    def is_about_another(self, ref: Ref) -> bool:
        row = rests().get(ref.group_kind)
        return row is not None and bool(row.of)

    def look(self, ref: Ref, body: Body) -> None:
        if ref.namespace == self.asked.ours or platform_reason(ref):
            return
        if ref.group_kind == _POD:
            ended = (body.get("status") or {}).get("phase") in _ENDED
            if not ended and has_claims(ref, body) and not runs(ref, body, self.asked.behind):
                self.writers.add(ref)
            return
        labels = body["metadata"].get("labels") or {}
        if any(one.selector.matches(ref, labels) for one in self.asked.kept):
            return
        fields: dict[FieldPath, Any] = {}
        row = self._rest(ref, body)
        if row is not None:
            self.resting.add(ref)
            fields[row.path] = row.value
            if row.rested(body) is not body and has_claims(ref, body):
                self.writers.add(ref)
        if (held := self._outward(ref, body)) is not None:
            fields[held.path] = held.value
            if not held.is_held(body):
                self.acting.add(ref)
        changes = {p: v for p, v in fields.items() if with_value(body, p, v) is not body}
        if changes:
            self.stops.append(_stop(ref, body, changes))

    def _rest(self, ref: Ref, body: Body) -> Rest | None:
        row = rests().get(ref.group_kind)
        if row is None or row.omit or runs(ref, body, self.asked.behind):
            return None
        if row.of and about(ref, body, row.of) not in self.resting:
            return None
        follows = row.follows is not None and _controller(body) == row.follows
        return None if follows else row

    def _outward(self, ref: Ref, body: Body) -> Outward | None:
        for row in self.asked.outward:
            if not row.of and row.fits(ref, body):
                no = row.let_go or not row.path or serves(ref, body, self.asked.behind)
                return None if no else row
        return None


def _stop(ref: Ref, body: Body, changes: Mapping[FieldPath, Any]) -> Stop:
    was = {format_fieldpath(path): get(body, path) for path in changes}
    return Stop(ref, _patch(ref, changes), was)


def _patch(ref: Ref, fields: Mapping[FieldPath, Any]) -> Body:
    metadata = {"name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
    patch: Body = {"metadata": metadata}
    for path, value in fields.items():
        patch = with_value(patch, path, value)
    return patch


def _controller(body: Body) -> GroupKind | None:
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("apiVersion", "")).rpartition("/")[0], str(owner.get("kind"))
    return None


def as_before(body: Body, was: Mapping[str, Any]) -> Body:
    """A stopped object as it was; the very same where it says nothing of the fields any more."""
    missing = object()
    for text, value in was.items():
        path = parse_fieldpath(text)
        if get(body, path, missing) is missing:
            continue
        body = with_value(body, path, value) if value is not None else _without(body, path)
    return body


def given_back(ref: Ref, was: Mapping[str, Any]) -> Body:
    """The JSON merge patch that gives a stopped object its fields back."""
    return _patch(ref, {parse_fieldpath(text): value for text, value in was.items()})


def merged(
    before: Mapping[Ref, Mapping[str, Any]], stops: Collection[Stop]
) -> dict[Ref, Mapping[str, Any]]:
    """How everything was that is or will be stopped: what an earlier run has noted counts."""
    found = dict(before)
    for stop in stops:
        found[stop.ref] = {**stop.was, **found.get(stop.ref, {})}
    return found


def _without(node: Any, path: FieldPath) -> Any:
    step, *rest = path
    below = _without(node[step], tuple(rest)) if rest else None
    if rest and below:
        return {**node, step: below}
    return {key: value for key, value in node.items() if key != step}
