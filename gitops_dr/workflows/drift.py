"""``gitops-dr drift``: how the running cluster differs from Git. Reads both, writes neither."""

from __future__ import annotations

from gitops_dr.cluster.discover import identify
from gitops_dr.engine.difference import examine
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.prepare import read_point
from gitops_dr.events import Emit, silent
from gitops_dr.results import Drifted


def drift(where: Where, *, at: str | None = None, emit: Emit = silent) -> Drifted:
    """Compare a cluster with the commit ``at`` (default: HEAD).

    Raises ``RepositoryError`` if that commit has no export of the cluster.
    """
    opened = open_repo(where, emit)
    tree = read_point(opened, at)
    connection = open_cluster(where, opened.settings)
    identity = identify(connection)
    examined = examine(connection, identity, tree, emit=emit)
    return Drifted(
        cluster=opened.settings.name,
        commit=tree.commit,
        live=identity,
        differences=examined.differences,
        equal=examined.equal,
        gaps=tuple(sorted([*examined.observation.state.gaps, *examined.unreadable])),
    )
