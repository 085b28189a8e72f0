"""``gitops-dr points``: the recovery points that a repository has. Reads Git only."""

from __future__ import annotations

from collections.abc import Collection

from gitops_dr.desired.recovery import Coverage
from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.point import read_point
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.engine.restoring import read_pruned_handles, read_records
from gitops_dr.errors import RepositoryError
from gitops_dr.events import Emit, silent
from gitops_dr.model import Gap
from gitops_dr.repository.history import commit_info, exports
from gitops_dr.results.volumes import Point, PointVolume
from gitops_dr.volumes.retention import Handle, handle_of


def points(where: Where, *, limit: int = 20, emit: Emit = silent) -> tuple[Point, ...]:
    """The newest ``limit`` recovery points of a cluster, newest first.

    Raises ``RepositoryError`` if one of them cannot be read.
    """
    opened = open_repo(where, emit)
    if opened.head is None:
        return ()
    prefix = opened.settings.prefix
    gone = read_pruned_handles(read_tree(opened.repo, opened.head, prefix))
    found: list[Point] = []
    for commit in exports(opened.repo, opened.head, opened.settings.name):
        if len(found) == limit:
            break
        tree = read_tree(opened.repo, commit, prefix)
        if tree.coverage is not None:
            found.append(_point(tree, tree.coverage, gone))
    return tuple(found)


def point(where: Where, at: str | None, *, emit: Emit = silent) -> Point:
    """One recovery point: that of a commit, tag or time, or the newest.

    Raises ``RepositoryError`` if there is none.
    """
    opened = open_repo(where, emit)
    tree = read_point(opened, at)
    gone = read_pruned_handles(read_tree(opened.repo, opened.head, opened.settings.prefix))
    if tree.coverage is None:
        raise RepositoryError(f"{tree.prefix}: commit {tree.commit[:12]} is no recovery point")
    return _point(tree, tree.coverage, gone)


def _point(tree: Tree, coverage: Coverage, gone: Collection[Handle]) -> Point:
    info = commit_info(tree.repo, tree.commit)
    records = read_records(tree)
    unprotected = (Gap(ref, reason) for ref, reason in coverage.unprotected.items())
    return Point(
        commit=info.id,
        time=info.time,
        subject=info.subject,
        source=coverage.uid,
        version=coverage.version,
        objects=sum(number for _, number in coverage.kinds),
        omissions=coverage.omissions,
        gaps=tuple(sorted([*coverage.gaps, *unprotected])),
        torn=info.trailers.get("Torn", ""),
        volumes=tuple(
            PointVolume(records[ref], handle_of(records[ref]) in gone) for ref in sorted(records)
        ),
    )
