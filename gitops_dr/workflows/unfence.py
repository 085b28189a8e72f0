"""``gitops-dr failover --unfence``: the source runs again as before. Writes to the source.

gather: whether the target is active, and what was stopped at the source. act: give it back.
"""

from __future__ import annotations

from gitops_dr.cluster.fence_record import read_fence
from gitops_dr.engine.fencing import give_back
from gitops_dr.engine.holding import holding
from gitops_dr.engine.opening import Where, open_repo, target_as_written
from gitops_dr.engine.point import read_point
from gitops_dr.engine.sources import find_source
from gitops_dr.errors import ClusterError, RefusedError
from gitops_dr.events import Emit, silent
from gitops_dr.results.failover import GivenBack


def unfence(
    where: Where, target: str, context: str | None = None, *, emit: Emit = silent
) -> GivenBack:
    """Let the source run again as before it was stopped, while the target is not active.

    Raises ``RefusedError`` if it is, or nothing was stopped, and ``ClusterError``.
    """
    opened = open_repo(where, emit, target=target)
    written = target_as_written(opened.repo, opened.head or "HEAD", target)
    if written is not None and written.active:
        raise RefusedError(
            f"target {target}: is active, and the source would run besides",
            hint="go back by a failover to a target that is the source: docs/failover.md",
        )
    tree = read_point(opened, None)
    source = find_source(where, opened, tree.coverage.uid if tree.coverage else "", context)
    if source.connection is None:
        raise ClusterError(f"cluster {source.cluster}: {source.trouble}")
    fence = read_fence(source.connection)
    if fence is None:
        raise RefusedError(f"cluster {source.cluster}: nothing was stopped here")
    with holding("failover", connection=source.connection, emit=emit):
        problems = give_back(source.connection, fence, emit=emit)
    return GivenBack(source.cluster, source.context, tuple(sorted(fence.before)), tuple(problems))
