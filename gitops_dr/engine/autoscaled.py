"""Keeps what is known of replicas while nobody can tell which of them an autoscaler decides.

Reads from the repository only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gitops_dr.engine.base import Base
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Recorded
from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.model import ANY, Body, Ref
from gitops_dr.rules.relations import keep_scale

_AUTOSCALERS = Ref("autoscaling", "HorizontalPodAutoscaler", "", ANY)


def keep_recorded_scale(
    observation: Observation, recorded: Recorded, base: Base | None = None
) -> Observation:
    """The observation as if nobody had scaled anything, if autoscalers could not be listed.

    Else the replicas that an autoscaler has just decided would be taken for a change. They are as
    ``base`` has them, or Git where none is given: only an export, which concludes from the base who
    changed what, has one. An object that was not there then stays as it is. The list that failed is
    a gap already.
    """
    state = observation.state
    if state.gap_for(_AUTOSCALERS) is None:
        return observation
    entries, bodies = dict(state.entries), dict(observation.bodies)
    differing = [
        ref
        for ref, entry in entries.items()
        if ref in recorded.state.entries
        and recorded.state.entries[ref].fingerprint != entry.fingerprint
    ]
    for ref, before in recorded.bodies(differing) if base is None else _bodies(base, differing):
        entry = entries[ref]
        # What the caller of observe had already lies in Git, under another object's path.
        data = bodies.get(entry.fingerprint) or recorded.tree.blob(entry.fingerprint)
        live = parse(data, str(ref))
        if keep_scale(live, before):
            data = canonical(live)
            fingerprint = recorded.tree.repo.blob_id(data)
            entries[ref] = replace(entry, fingerprint=fingerprint)
            bodies[fingerprint] = data
    return replace(observation, state=replace(state, entries=entries), bodies=bodies)


def _bodies(base: Base, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Body]]:
    for ref in refs:
        try:
            body = base.body(ref)
        except RepositoryError:
            # Git does not have it any more, so both sides are in conflict whatever the replicas.
            continue
        if body is not None:
            yield ref, body
