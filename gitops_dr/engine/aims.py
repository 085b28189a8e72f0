"""Says what an object that is there is to become, so that only what is meant is written. Reads.

An object is judged anew just before it is written, by the same comparison that drift shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from gitops_dr.cluster.connect import Connection
from gitops_dr.drift.appliers import whose
from gitops_dr.drift.attribute import attributed, trusted_managers
from gitops_dr.drift.settle import settled
from gitops_dr.drift.undo import flipped, undone
from gitops_dr.engine.difference import Examined
from gitops_dr.engine.explain import Explainer
from gitops_dr.model import Body, Difference, FieldChange, Presence, Ref, Resource
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.relations import RelationFacts, apply_autoscaler


@dataclass(frozen=True, slots=True)
class Aimed:
    """What is to become of one live object."""

    seen: Body
    """The live object without what rules take out."""
    wanted: Body
    """The same with Git's values in the fields that are meant."""
    applied: Body | None = None
    """What is to be applied by server-side apply before what then still differs is patched; None
    where a patch does it all."""
    conflicts: tuple[str, ...] = ()
    """Fields that differ and are left alone, each with whom it belongs to."""


Aim = Callable[[Ref, Resource, Body, Body], Aimed | None]
"""Given an object, how it is served, Git's version and the live one; None: it is to become what Git
has, with nothing else in it."""


def whole(_ref: Ref, _resource: Resource, _git: Body, _live: Body) -> None:
    """Make every object what Git has."""


class Aims:
    """Takes back what differs, or some of the fields that do."""

    def __init__(
        self,
        connection: Connection,
        examined: Examined,
        *,
        trusted: Collection[str] = (),
        only: Mapping[Ref, Collection[str]] | None = None,
        exported: bool = True,
        yielding: bool = False,
    ) -> None:
        """``only``: paths of the fields that are meant, by object; None means all that differ.

        ``exported``: it is also about objects that were exported, not only those that people wrote.
        ``trusted``: field managers whose additions to what people wrote do not count.
        ``yielding``: of what people wrote, fields that somebody else applies are left alone.
        """
        self._explainer = Explainer(
            connection,
            examined.recorded,
            examined.desired,
            examined.observation,
            trusted=trusted,
        )
        self._only = only
        self._exported = exported
        self._trusted = trusted_managers() | frozenset(trusted)
        self._yielding = yielding

    def __call__(self, ref: Ref, resource: Resource, git: Body, live: Body) -> Aimed | None:
        """Judge one object; called from several threads."""
        written = self._explainer.recorded.is_authored(ref)
        if not (written or self._exported):
            return None
        is_autoscaled = self._explainer.is_autoscaled
        seen = deepcopy({**live, "apiVersion": resource.api_version, "kind": resource.kind})
        rules_for(*ref.group_kind).clean(seen)
        if is_autoscaled(ref):
            apply_autoscaler(ref, seen, RelationFacts(autoscaled={ref}))
        judge, meaning = self._explainer.judge(ref, git)
        managed = live["metadata"].get("managedFields")
        found = judge(managed, seen)
        meant = self._only.get(ref, ()) if self._only is not None else None
        chosen = [c for c in found.changes if meant is None or c.path in meant]
        theirs = self._theirs(ref, chosen, managed, seen) if written and self._yielding else {}
        chosen = [change for change in chosen if change.path not in theirs]
        applied = None
        if written and any(change.op != "add" for change in chosen):
            ours = settled(ref, git, seen, meaning, is_autoscaled=is_autoscaled)
            # What is not meant is said as it is; what only the cluster has, applying leaves alone.
            others = (c for c in found.changes if c not in chosen and c.op != "add")
            applied = undone(ours, map(flipped, others), seen, meaning)
        wanted = undone(seen, chosen, found.wanted, meaning)
        return Aimed(seen, wanted, applied, tuple(theirs.values()))

    def _theirs(
        self, ref: Ref, chosen: Iterable[FieldChange], managed: Any, seen: Body
    ) -> dict[str, str]:
        """Of the changes those that somebody else would undo: the path, and whose it is."""
        difference = Difference(ref, Presence.MODIFIED, "", tuple(chosen))
        named = attributed(difference, managed, seen, trusted=self._trusted).changes
        return {c.path: told for c in named if (told := whose(c.path, c.managers))}
