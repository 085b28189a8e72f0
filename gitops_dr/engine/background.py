"""What must be known besides two bodies to judge how they differ. Reads from Git only.

Each fact is looked up once, when it is first asked for: where nothing differs nobody asks.
"""

from __future__ import annotations

from functools import cached_property

from gitops_dr.desired.pending import PENDING, read_pending
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Recorded, Tree, read_tree
from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.parse import parse
from gitops_dr.model import ANY, Ref
from gitops_dr.repository.history import newest_export
from gitops_dr.rules.relations import RelationFacts, note_autoscaler

_AUTOSCALER = ("autoscaling", "HorizontalPodAutoscaler")
_ADMISSION = "admissionregistration.k8s.io"
_MUTATING = frozenset(
    {
        (_ADMISSION, "MutatingWebhookConfiguration"),
        (_ADMISSION, "MutatingAdmissionPolicyBinding"),
    }
)


class Background:
    """Facts about one comparison of a commit with a cluster."""

    def __init__(self, recorded: Recorded, observation: Observation) -> None:
        self._recorded = recorded
        self._observation = observation

    def is_exported(self, ref: Ref) -> bool:
        """Whether Git has the object's file as an export wrote it: by its form, or by history."""
        is_canonical = self._recorded.blob_of[ref] == self._recorded.state.entries[ref].fingerprint
        return is_canonical or self._is_from_the_last_export(ref)

    def is_complete(self, ref: Ref) -> bool:
        """Whether Git's version leaves nothing out that the API server of this cluster fills in.

        It is the file that an export of this very cluster made. An API server of another version
        may have other defaults, and another cluster may be all different.
        """
        source = self._export[0].coverage if self._export else None
        here = self._observation.identity
        return (
            source is not None
            and (source.uid, source.version) == (here.uid, here.version)
            and self._is_from_the_last_export(ref)
        )

    def _is_from_the_last_export(self, ref: Ref) -> bool:
        if self._export is None or ref in self._recorded.sources:
            return False
        then, held = self._export
        path = self._recorded.state.entries[ref].path
        file = then.files.get(path)
        return ref not in held and file is not None and file == self._recorded.tree.files.get(path)

    def is_autoscaled(self, ref: Ref) -> bool:
        """Whether an autoscaler targets the object in the cluster, or nobody knows of any."""
        unlisted = self._observation.state.gap_for(Ref(*_AUTOSCALER, ref.namespace, ANY))
        return unlisted is not None or ref in self._autoscaled

    @cached_property
    def may_be_mutated(self) -> bool:
        """Whether the cluster has admission that may change what is written to it."""
        state = self._observation.state
        return any(
            ref.group_kind in _MUTATING
            for known in (state.entries, state.unlisted)
            for ref in known
        ) or any(state.gap_for(Ref(*kind, "", ANY)) for kind in _MUTATING)

    @cached_property
    def _export(self) -> tuple[Tree, frozenset[Ref]] | None:
        """The files of the last export, and what it held back."""
        tree = self._recorded.tree
        cluster = tree.prefix.rpartition("/")[2]
        try:
            commit = newest_export(tree.repo, tree.commit, cluster=cluster, prefix=tree.prefix)
            if commit is None:
                return None
            then = tree if commit == tree.commit else read_tree(tree.repo, commit, tree.prefix)
            blob = then.files.get(PENDING)
            held = read_pending(then.blob(blob), f"{tree.prefix}/{PENDING}") if blob else {}
        except RepositoryError:
            # A damaged account of an export says nothing, and here nothing depends on it but speed.
            return None
        return then, frozenset(held)

    @cached_property
    def _autoscaled(self) -> frozenset[Ref]:
        """What the autoscalers of the cluster target."""
        facts = RelationFacts()
        recorded, seen = self._recorded, self._observation
        live = {r: e for r, e in seen.state.entries.items() if r.group_kind == _AUTOSCALER}
        equal = [
            ref
            for ref, entry in live.items()
            if ref in recorded.state.entries
            and recorded.state.entries[ref].fingerprint == entry.fingerprint
        ]
        for _, body in recorded.bodies(equal):
            note_autoscaler(body, facts)
        for ref in live.keys() - set(equal):
            data = seen.bodies.get(live[ref].fingerprint)
            if data is None:
                data = recorded.tree.blob(live[ref].fingerprint)
            note_autoscaler(parse(data, str(ref)), facts)
        return frozenset(facts.autoscaled)
