"""Compares what a target should be with what a cluster is, and explains it. Reads from both.

The one way by which drift, plan and the end of a rebuild come to their differences.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

from gitops_dr.cluster.connect import Connection
from gitops_dr.desired.authored import NOTHING, Rendering
from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.desired.target_state import OF_EACH, OWN
from gitops_dr.drift.compare import Comparison, compare, unlike
from gitops_dr.engine.authored import with_rendered, without_unseen
from gitops_dr.engine.authors import with_authors
from gitops_dr.engine.autoscaled import keep_recorded_scale
from gitops_dr.engine.collecting import uncollected
from gitops_dr.engine.explain import Explainer
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.engine.pages import Pages
from gitops_dr.engine.recorded import Recorded, Tree, read_state
from gitops_dr.engine.remembered import read_remembered
from gitops_dr.engine.serving import with_served_versions
from gitops_dr.engine.targeted import targeted
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.manifests.parse import parse
from gitops_dr.model import (
    SECRET,
    Body,
    Difference,
    Gap,
    Identity,
    Omission,
    Presence,
    Ref,
    State,
    in_order,
)


@dataclass(frozen=True, slots=True)
class Examined:
    """A commit and a cluster, compared."""

    recorded: Recorded
    desired: State
    observation: Observation
    differences: tuple[Difference, ...]
    equal: int
    """How many objects are the same in both."""
    omissions: tuple[Omission, ...] = ()
    """What the comparison leaves out because a rule says so."""
    source: Recorded | None = None
    """What the commit says of the source, before it was rewritten for the target."""

    @property
    def idle(self) -> tuple[str, ...]:
        """Patches and mappings of the target that are about no object, one line each."""
        return self.recorded.rewriter.unmatched()

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
    rendering: Rendering = NOTHING,
    trusted: Collection[str] = (),
    server: bool = False,
    holders: bool = False,
    again: bool = False,
    before: Examined | None = None,
    emit: Emit = silent,
) -> Examined:
    """Observe the cluster and say how it differs from what the tree wants for the target.

    ``rendering``: manifests that are wanted beside the tree's, or in their place. ``trusted``:
    field managers that are to be marked as such beside Kubernetes' own controllers. ``server``: ask
    the API server, by a dry run, about each object that differs, and not only where nothing else
    tells whether it does. ``before``: an earlier comparison with the very same tree; what is the
    same by then is not worked out a second time. ``again``: this one will be such a ``before``.
    Raises ``ClusterError`` and ``RepositoryError`` as its parts do.
    """
    wanted = replace(rendering, manifests=(*rendering.manifests, *target.manifests))
    pages = before.observation.pages if before else Pages() if again else None
    observation = look(
        connection, identity, tree, rendering=wanted, holders=holders, pages=pages, emit=emit
    )
    return held_against(
        connection,
        observation,
        tree,
        target=target,
        rendering=rendering,
        trusted=trusted,
        server=server,
        before=before,
        emit=emit,
    )


def look(
    connection: Connection,
    identity: Identity,
    tree: Tree,
    *others: Tree,
    rendering: Rendering = NOTHING,
    holders: bool = False,
    pages: Pages | None = None,
    emit: Emit = silent,
) -> Observation:
    """Observe the cluster as far as must be known to hold it against each of the trees.

    Kinds are read in the versions of the first one, which ``rendering`` adds to. ``holders``: tell
    who applied each object. ``pages``: as for ``observe``.
    """
    coverage = tree.coverage
    known = set(tree.files.items())
    for other in others:
        # Of what the trees do not share the cluster's version is wanted, to tell its authors.
        known &= other.files.items()
    recorded = [
        resource
        for each in (tree, *others)
        if each.coverage
        for resource in each.coverage.resources
    ]
    return observe(
        connection,
        identity,
        tree.repo.blob_id,
        known=frozenset(blob for _, blob in known),
        versions={**rendering.versions, **(coverage.versions if coverage else {})},
        recorded=recorded,
        authors=True,
        holders=holders,
        keep=rendering.names(),
        remembered=read_remembered(tree.repo, tree.prefix),
        secrets=tree.sealing if tree.sealing.is_wanted else None,
        pages=pages,
        emit=emit,
    )


@uncollected()
def held_against(
    connection: Connection,
    observation: Observation,
    tree: Tree,
    *,
    target: Target = IDENTITY,
    rendering: Rendering = NOTHING,
    trusted: Collection[str] = (),
    server: bool = False,
    before: Examined | None = None,
    emit: Emit = silent,
) -> Examined:
    """Say how what was observed differs from what the tree wants; as :func:`examine` does.

    ``before``: an earlier comparison with the very same tree, whose files are not read again.
    """
    started = time.monotonic()
    emit(PhaseStarted("compare"))
    source = _read_before(tree, before) or read_state(tree, observation.state)
    # What is opened on the way to the target is noted there, and not in what Git says.
    recorded = replace(source, unopened=dict(source.unopened))
    recorded, hooks = with_rendered(recorded, observation, rendering)
    recorded, not_there = targeted(recorded, target, observation.resources)
    recorded = with_served_versions(connection, recorded, observation.resources)
    recorded, unseen = without_unseen(recorded, observation)
    observation = keep_recorded_scale(observation, recorded)
    wanted = recorded.state
    comparison = _told_apart(compare(wanted, observation.state), recorded)
    own = {omission.ref for omission in not_there if omission.rule in (OWN, OF_EACH)}
    if own:
        unmanaged = tuple(ref for ref in comparison.unmanaged if ref not in own)
        comparison = replace(comparison, unmanaged=unmanaged)
    explainer = Explainer(
        connection, recorded, wanted, observation, trusted=trusted, server=server, emit=emit
    )
    found = _explained(comparison, explainer, trusted)
    modified = sum(difference.presence is Presence.MODIFIED for difference in found)
    equal = comparison.equal + len(comparison.modified) - modified
    omissions = tuple(sorted({*observation.state.omissions, *hooks, *unseen, *not_there}))
    emit(PhaseEnded("compare", time.monotonic() - started, len(wanted.entries)))
    return Examined(recorded, wanted, observation, found, equal, omissions, source)


def _read_before(tree: Tree, before: Examined | None) -> Recorded | None:
    """What was read of the tree before: it says the same whatever the cluster is by now."""
    source = before.source if before else None
    return source if source is not None and source.tree is tree else None


def _told_apart(comparison: Comparison, recorded: Recorded) -> Comparison:
    """The same, but of what could not be opened nobody says that it differs."""
    closed = {
        ref: recorded.unopened[ref] for ref in comparison.modified if ref in recorded.unopened
    }
    if not closed:
        return comparison
    return replace(
        comparison,
        modified=tuple(ref for ref in comparison.modified if ref not in closed),
        unknown=tuple(sorted([*comparison.unknown, *closed.items()])),
    )


def _explained(
    comparison: Comparison, explainer: Explainer, trusted: Collection[str]
) -> tuple[Difference, ...]:
    """Every difference with its fields and their authors, sorted by Ref."""
    wanted, observation = explainer.wanted, explainer.observation
    live = observation.state.entries
    paths = {
        ref: (wanted.entries.get(ref) or live[ref]).path
        for ref in (
            *comparison.missing,
            *comparison.unmanaged,
            *(ref for ref, _ in comparison.unknown),
        )
    }

    @lru_cache(maxsize=1)
    def live_body(ref: Ref) -> Body:
        data = observation.bodies.get(live[ref].fingerprint)
        # A body that the caller of observe already has lies in Git, under another object's path.
        if data is None:
            tree = explainer.recorded.tree
            if ref.group_kind == SECRET:
                return tree.manifest(live[ref].path, live[ref].fingerprint) or {}
            data = tree.blob(live[ref].fingerprint)
        return parse(data, str(ref))

    found = chain(unlike(comparison, paths), explainer.modified(comparison, live_body))
    # One by one: a body is let go before the next is loaded.
    named = with_authors(found, observation, live_body, trusted=trusted)
    return tuple(sorted(named, key=lambda difference: in_order(difference.ref)))
