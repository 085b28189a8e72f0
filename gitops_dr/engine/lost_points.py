"""Notices a history that was written anew, by the recovery points that it has no more.

Reads the log of this clone and of the cluster; an export adds to both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.point_record import read_point_record, write_point_record
from gitops_dr.engine.opening import Opened
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, Notice
from gitops_dr.repository.history import first_commit, is_shallow
from gitops_dr.repository.point_log import (
    Logged,
    format_log,
    lost,
    parse_log,
    read_log,
    with_point,
    write_log,
)
from gitops_dr.repository.repository import current_branch

_SAID_OF_OTHERS = (
    "cluster {cluster}: its recovery points so far, such as {commit}, are of another repository"
)


def refuse_lost_points(opened: Opened) -> None:
    """Raise ``RefusedError`` if HEAD's history has lost a recovery point that this clone knows."""
    gone = _lost(opened, read_log(opened.repo))
    if gone:
        raise RefusedError(
            f"{_said(opened, gone)}; nothing was written",
            hint="find out who did that (git reflog; docs/security.md); if it is right, say "
            "--accept-rewritten-history",
        )


def tell_lost_points(opened: Opened, connection: Connection, emit: Emit) -> None:
    """Say which recovery points HEAD's history has lost, of those that clone or cluster know.

    A cluster may be exported to several repositories. That it knows others and not this one is told
    too: it may be one that somebody made in its place.
    """
    name = opened.settings.name
    recorded = [each for each in parse_log(read_point_record(connection)) if each.cluster == name]
    if recorded and opened.head is not None and not is_shallow(opened.repo):
        root = first_commit(opened.repo, opened.head)
        others = [each for each in recorded if each.root != root]
        recorded = [each for each in recorded if each.root == root]
        if others and not recorded:
            emit(Notice(_SAID_OF_OTHERS.format(cluster=name, commit=others[0].commit)))
    gone = _lost(opened, dict.fromkeys([*read_log(opened.repo), *recorded]))
    if gone is None:
        emit(Notice("this clone is shallow: whether its history was written anew cannot be seen"))
    elif gone:
        emit(Notice(_said(opened, gone)))


def log_point(opened: Opened, connection: Connection, commit: str, *, forget: bool) -> None:
    """Remember a recovery point, here and in the cluster.

    ``forget``: what the branch has lost was lost on purpose.
    """
    repo = opened.repo
    new = Logged(commit, opened.settings.name, current_branch(repo), first_commit(repo, commit))
    before = read_log(repo)
    after = with_point(repo, before, new, forget=forget)
    if after != before:
        write_log(repo, after)
    recorded = read_point_record(connection)
    text = format_log(with_point(repo, parse_log(recorded), new, forget=forget))
    if text != recorded:
        write_point_record(connection, text)


def _lost(opened: Opened, points: Iterable[Logged]) -> tuple[str, ...] | None:
    if opened.head is None:
        return ()
    return lost(opened.repo, opened.head, opened.settings.name, points)


def _said(opened: Opened, gone: Sequence[str]) -> str:
    others = f", nor are {len(gone) - 1} others" if len(gone) > 1 else ""
    return (
        f"recovery point {gone[0]} of cluster {opened.settings.name}: not in the history of HEAD"
        f"{others}, so it was written anew"
    )
