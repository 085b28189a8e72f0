"""``gitops-dr plan``: what a rebuild would do. Reads Git and the target, writes neither."""

from __future__ import annotations

from gitops_dr.engine.opening import Where
from gitops_dr.engine.prepare import prepare
from gitops_dr.events import Emit, silent
from gitops_dr.planning.selection import EVERYTHING, Intent
from gitops_dr.results.rebuild import Planned


def plan(
    where: Where,
    *,
    at: str | None = None,
    intent: Intent = EVERYTHING,
    target: str | None = None,
    ask_registries: bool = False,
    emit: Emit = silent,
) -> Planned:
    """Plan the rebuild of a cluster, or the part that the intent names, from the commit ``at``.

    ``target``: what that commit says for this target of the repository, into its cluster.
    ``ask_registries``: ask them for the images of what is created.

    Raises ``RepositoryError`` if that commit has no export of the cluster.
    """
    prepared = prepare(
        where, at=at, intent=intent, target=target, ask_registries=ask_registries, emit=emit
    )
    return prepared.planned
