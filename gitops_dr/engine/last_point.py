"""Makes the last recovery point of a cluster that is failed over from. Reads that, commits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.fence_record import Fence, moment_of, read_fence
from gitops_dr.engine.exporting import make_point
from gitops_dr.engine.fencing import as_it_was
from gitops_dr.engine.lost_points import log_point
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.errors import GitOpsDRError, RefusedError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.repository.history import commit_info, exports


def make_last_point(
    opened: Opened,
    where: Where,
    connection: Connection,
    *,
    snapshot_timeout: float = 300.0,
    emit: Emit = silent,
) -> str:
    """Record the source with the data of all its claims; gives the commit's full id.

    What a fence has stopped is recorded as it was before. What a run that was killed has recorded
    since the source was stopped is not recorded again: nothing changes there any more.
    Raises ``RefusedError`` with the reason if it cannot be made.
    """
    fence = read_fence(connection)
    known = _since(opened, fence)
    if known:
        return known
    name = opened.settings.name
    try:
        exported = make_point(
            opened,
            replace(where, context=connection.context),
            connection,
            command="failover",
            volumes=lambda _ref, _labels: True,
            snapshot_timeout=snapshot_timeout,
            as_it_was=as_it_was(fence),
            emit=emit,
        )
    except GitOpsDRError as error:
        stopped = "; it stays stopped" if fence else ""
        back = ", or --unfence to let the source run again" if fence else ""
        raise RefusedError(
            f"cluster {name}: its last recovery point could not be made: {error.message}{stopped}",
            hint=f"{error.hint or 'look at the source'}; or say --no-last-point to go on from the "
            f"newest there is{back}",
        ) from error
    for gap in exported.gaps:
        emit(Notice(f"the last recovery point lacks {gap.ref}: {gap.reason}"))
    point = exported.commit or opened.head or ""
    log_point(opened, connection, point, forget=False)
    return point


def newest_export(opened: Opened, commit: str) -> tuple[str, datetime] | None:
    """The newest export of the cluster at or before ``commit``, and when it was; None for none."""
    found = next(exports(opened.repo, commit, opened.settings.name), None)
    return (found, commit_info(opened.repo, found).time) if found else None


def _since(opened: Opened, fence: Fence | None) -> str:
    """The recovery point that was made since the source was stopped; empty if there is none."""
    since = moment_of(fence)
    newest = newest_export(opened, opened.head) if opened.head else None
    return newest[0] if newest and since and newest[1] >= since else ""
