"""``gitops-dr plan``: what a rebuild would do. Reads the repository and the target, writes neither."""

from __future__ import annotations

from gitops_dr.engine.opening import Where
from gitops_dr.engine.prepare import prepare
from gitops_dr.events import Emit, silent
from gitops_dr.results import Planned


def plan(
    where: Where,
    *,
    at: str | None = None,
    accept_empty_volumes: bool = False,
    emit: Emit = silent,
) -> Planned:
    """Plan the rebuild of a cluster from the commit ``at`` (default: HEAD).

    Raises ``RepositoryError`` if that commit has no export of the cluster.
    """
    prepared = prepare(where, at=at, accept_empty_volumes=accept_empty_volumes, emit=emit)
    return prepared.planned
