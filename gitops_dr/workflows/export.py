"""``gitops-dr export``: writes a running cluster into Git. Reads the cluster, commits.

Opens both and makes the recovery point (``engine/exporting.py``); then push, if that is asked for.
"""

from __future__ import annotations

from dataclasses import replace

from gitops_dr.engine.activating import refuse_failed_over
from gitops_dr.engine.capture import InScope
from gitops_dr.engine.exporting import make_point
from gitops_dr.engine.fencing import refuse_fenced
from gitops_dr.engine.holding import holding
from gitops_dr.engine.lost_points import log_point
from gitops_dr.engine.opening import Opened, Where, open_cluster, open_repo
from gitops_dr.events import Emit, phase, silent
from gitops_dr.repository.checkout import finish_interrupted_checkout
from gitops_dr.repository.push import push as push_branch
from gitops_dr.repository.repository import current_branch
from gitops_dr.results.export import Exported


def export(
    where: Where,
    *,
    dry_run: bool = False,
    adopt_cluster: bool = False,
    allow_shrink: bool = False,
    cluster_wins: bool = False,
    accept_rewritten_history: bool = False,
    volumes: InScope | None = None,
    snapshot_timeout: float = 300.0,
    push: bool = False,
    push_to: str | None = None,
    emit: Emit = silent,
) -> Exported:
    """Export a cluster into its repository.

    What only Git changed since the last recovery point is pending and stays; so does Git's version
    of what both changed, a conflict, unless ``cluster_wins``. ``dry_run`` stops before the commit.
    ``volumes``: the claims whose data is captured for the same commit, by snapshots that must be
    usable after ``snapshot_timeout`` seconds; a dry run takes none. ``push``: bring the branch to
    its remote then, or to ``push_to``, with what an earlier run could not push; that this failed
    is part of the result. ``accept_rewritten_history``: forget the recovery points that HEAD's
    history has lost, which is told otherwise.
    Refuses (``RefusedError``) a cluster whose UID is not the recorded one unless ``adopt_cluster``,
    and to delete more than a tenth of the recorded objects unless ``allow_shrink``. What cannot be
    read keeps its files and is a gap of the result.
    """
    opened = open_repo(where, emit)
    repo = opened.repo
    refuse_failed_over(opened)
    if not dry_run:
        current_branch(repo)
        opened.trust.require_own_key()
    with holding("export", repo=repo, wanted=not dry_run):
        if not dry_run:
            finish_interrupted_checkout(repo)
        connection = open_cluster(where, opened.settings)
        refuse_fenced(connection, opened.settings.name)
        exported = make_point(
            opened,
            where,
            connection,
            dry_run=dry_run,
            adopt_cluster=adopt_cluster,
            allow_shrink=allow_shrink,
            cluster_wins=cluster_wins,
            volumes=volumes,
            snapshot_timeout=snapshot_timeout,
            emit=emit,
        )
        if not dry_run and (push or push_to):
            exported = _pushed(opened, exported, push_to, emit)
        if not dry_run and exported.commit is not None:
            log_point(opened, connection, exported.commit, forget=accept_rewritten_history)
        return exported


def _pushed(opened: Opened, exported: Exported, remote: str | None, emit: Emit) -> Exported:
    with phase("push", emit):
        found = push_branch(opened.repo, opened.trust, remote=remote)
    # On top of what others have pushed it is another commit.
    return replace(exported, commit=found.commit, pushed=found)
