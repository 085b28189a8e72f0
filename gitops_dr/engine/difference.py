"""Compares what a target should be with what a cluster is, and explains it. Reads from both.

The one way by which drift, plan and the end of a rebuild come to their differences.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from gitops_dr.cluster.connect import Connection
from gitops_dr.desired.target import IDENTITY, Target, desired
from gitops_dr.drift.compare import Comparison, compare, differences
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.engine.recorded import Recorded, Tree, read_state
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Difference, Gap, Identity, State


@dataclass(frozen=True, slots=True)
class Examined:
    """A commit and a cluster, compared."""

    recorded: Recorded
    desired: State
    observation: Observation
    differences: tuple[Difference, ...]
    equal: int
    """How many objects are the same in both."""

    @property
    def unreadable(self) -> tuple[Gap, ...]:
        """Files of the commit that are no manifests: they cannot come back."""
        return tuple(gap for gap in self.desired.gaps if gap.ref.kind == "File")


def examine(
    connection: Connection,
    identity: Identity,
    tree: Tree,
    *,
    target: Target = IDENTITY,
    emit: Emit = silent,
) -> Examined:
    """Observe the cluster and say how it differs from what the tree wants for the target.

    Raises ``ClusterError`` and ``RepositoryError`` as its parts do.
    """
    observation = observe(
        connection,
        identity,
        tree.repo.blob_id,
        known=frozenset(tree.files.values()),
        versions=tree.coverage.versions if tree.coverage else None,
        recorded=tree.coverage.resources if tree.coverage else (),
        emit=emit,
    )
    started = time.monotonic()
    emit(PhaseStarted("compare"))
    recorded = read_state(tree, observation.state)
    wanted = desired(recorded.state, target)
    comparison = compare(wanted, observation.state)
    found = _explain(comparison, recorded, wanted, observation)
    emit(PhaseEnded("compare", time.monotonic() - started, len(wanted.entries)))
    return Examined(recorded, wanted, observation, found, comparison.equal)


def _explain(
    comparison: Comparison, recorded: Recorded, wanted: State, observation: Observation
) -> tuple[Difference, ...]:
    live = observation.state.entries
    paths = {
        ref: (wanted.entries.get(ref) or live[ref]).path
        for ref in (
            *comparison.missing,
            *comparison.modified,
            *comparison.unmanaged,
            *(ref for ref, _ in comparison.unknown),
        )
    }
    bodies = {}
    for ref, body in recorded.bodies(comparison.modified):
        data = observation.bodies.get(live[ref].fingerprint)
        # A body that the caller of observe already has lies in Git, under another object's path.
        if data is None:
            data = recorded.tree.blob(live[ref].fingerprint)
        bodies[ref] = (body, parse(data, str(ref)))
    return differences(comparison, paths, bodies)
