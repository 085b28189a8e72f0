"""Opens the recovery point that a verb works from, and sees whose it is. Reads from Git only."""

from __future__ import annotations

from gitops_dr.engine.opening import Opened
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.model import Identity
from gitops_dr.repository.history import resolve


def read_point(opened: Opened, at: str | None) -> Tree:
    """The files of the recovery point ``at`` (a commit, tag, branch or time; default: HEAD).

    Raises ``RepositoryError`` if there is no such commit or it has no export of the cluster,
    ``RefusedError`` if signatures count and it has none of those.
    """
    settings = opened.settings
    commit = resolve(opened.repo, at or "HEAD", cluster_prefix=settings.prefix)
    opened.trust.require(commit, "the recovery point")
    tree = read_tree(opened.repo, commit, settings.prefix, is_authored=settings.is_authored)
    if tree.coverage is None:
        raise RepositoryError(
            f"{settings.prefix}: commit {commit[:12]} has no export of this cluster",
            hint="run gitops-dr export first, or choose another commit with --at",
        )
    return tree


def tree_of_head(opened: Opened, tree: Tree) -> Tree:
    """The cluster's files at HEAD, for what is known today: ``tree`` itself, if it is of HEAD.

    Raises ``RepositoryError``.
    """
    if tree.commit == opened.head:
        return tree
    return read_tree(opened.repo, opened.head, opened.settings.prefix)


def refuse_another_cluster(tree: Tree, identity: Identity, cluster: str) -> None:
    """Raise ``RefusedError`` unless the cluster is the one that the tree was exported from."""
    if tree.coverage is not None and tree.coverage.uid != identity.uid:
        raise RefusedError(
            f"cluster {cluster}: this is not the cluster that was exported "
            f"(UID {identity.uid}, recorded {tree.coverage.uid})",
            hint="choose another --context; after a rebuild say export --adopt-cluster once",
        )
