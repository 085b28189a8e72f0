"""Puts what people write, and what tools render, beside what was exported. Pure in itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gitops_dr.desired.authored import Rendering, rendered
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Recorded
from gitops_dr.model import Entry, Omission, Ref
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import runs_to_an_end

_NOT_COMPARED = "It is there, and a rule leaves such objects out of the comparison."


def with_rendered(
    recorded: Recorded, observation: Observation, rendering: Rendering
) -> tuple[Recorded, tuple[Omission, ...]]:
    """Add what was rendered to what the commit has; of the same object the rendered version counts.

    Also gives what was left out. Raises ``UsageError`` and ``RepositoryError`` as
    :func:`~gitops_dr.desired.authored.rendered` does.
    """
    if not rendering.manifests:
        return recorded, ()
    scopes = {key: resource.namespaced for key, resource in observation.resources.items()}
    found = rendered(rendering, namespaced=scopes)
    # Nothing that is live has an empty fingerprint, so the bodies of all of these are compared.
    entries = {ref: Entry("", each.path, each.version) for ref, each in found.objects.items()}
    state = replace(recorded.state, entries={**recorded.state.entries, **entries})
    return replace(recorded, state=state, rendered=found.objects), found.omissions


def without_unseen(
    recorded: Recorded, observation: Observation
) -> tuple[Recorded, tuple[Omission, ...]]:
    """Take out what people wrote of objects that no comparison sees, and say so.

    A rule leaves them out of what is read of the cluster, so nobody can say that they are missing.
    """
    unseen = {omission.ref: omission for omission in _unseen(recorded, observation)}
    if not unseen:
        return recorded, ()
    entries = {r: entry for r, entry in recorded.state.entries.items() if r not in unseen}
    state = replace(recorded.state, entries=entries)
    return replace(recorded, state=state), tuple(sorted(unseen.values()))


def _unseen(recorded: Recorded, observation: Observation) -> Iterator[Omission]:
    observed = observation.state
    named: dict[Ref, Omission] | None = None
    for ref in recorded.state.entries:
        if ref in observed.entries or not recorded.is_authored(ref):
            continue
        row = rules_for(*ref.group_kind).omit_kind
        if row is not None:
            yield Omission(ref, row.id, row.because)
        elif ref in observed.unlisted and not runs_to_an_end(ref.group_kind):
            named = named or {omission.ref: omission for omission in observed.omissions}
            yield named.get(ref, Omission(ref, "left-out", _NOT_COMPARED))
