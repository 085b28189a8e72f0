"""``gitops-dr volumes prune``: lets old snapshots go. Commits to Git, then deletes in the cluster.

gather: what is recorded and what is there. compute: what retention lets go. act: a commit that says
that they are gone, and only then their deletion, so that no commit promises what is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.discover import identify
from gitops_dr.engine.holding import holding
from gitops_dr.engine.kept_snapshots import LiveSnapshot, kept_snapshots
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.protecting import clear_left_over, repository_label
from gitops_dr.engine.recorded import read_tree
from gitops_dr.engine.snapshots import delete
from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.events import Emit, silent
from gitops_dr.model import Gap, Ref
from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import current_branch
from gitops_dr.results.volumes import Pruned
from gitops_dr.secrets.guard import objection
from gitops_dr.volumes.capture import GROUP
from gitops_dr.volumes.policy import Keep
from gitops_dr.volumes.retention import PRUNED, handle_of, judge, write_pruned

_AT_ONCE = 8

Confirm = Callable[[Pruned], None]
"""Called before the first write; raises ``RefusedError`` to stop."""


def prune(where: Where, confirm: Confirm, *, dry_run: bool = False, emit: Emit = silent) -> Pruned:
    """Delete the snapshots that the policy in ``gitops-dr.yaml`` does not keep.

    Only those that this repository has recorded and that the cluster has; never the newest ready
    one of a claim, never one of a tagged recovery point. ``dry_run`` stops before the commit.
    Raises ``UsageError`` without a policy, ``RefusedError`` for another cluster than the recorded
    one.
    """
    opened = open_repo(where, emit)
    keep = opened.settings.volumes.keep
    if keep == Keep():
        raise UsageError(
            "volumes.keep: gitops-dr.yaml does not say how many snapshots are kept",
            hint="such as volumes: {keep: {last: 3, daily: 7, weekly: 4}}",
        )
    if not dry_run:
        current_branch(opened.repo)
    tree = read_tree(opened.repo, opened.head, opened.settings.prefix)
    connection = open_cluster(where, opened.settings)
    identity = identify(connection)
    if tree.coverage is not None and tree.coverage.uid != identity.uid:
        raise RefusedError(
            f"cluster {opened.settings.name}: this is not the cluster that was exported before "
            f"(UID {identity.uid}, recorded {tree.coverage.uid})",
            hint="choose another --context",
        )
    source = repository_label(opened)
    known = kept_snapshots(connection, opened, source)
    ready = {handle for handle, one in known.live.items() if one.ready}
    verdicts = judge(known.records, keep, ready=ready, protected=known.tagged)
    letting_go = [verdict.record for verdict in verdicts if not verdict.kept]
    going = [record for record in letting_go if handle_of(record) in known.live]
    left_over = [one for handle, one in known.live.items() if handle in known.gone]
    result = Pruned(
        cluster=opened.settings.name,
        kept=tuple(verdict for verdict in verdicts if verdict.kept),
        going=tuple(going),
        elsewhere=tuple(record for record in letting_go if handle_of(record) not in known.live),
        left_over=tuple(_ref(one) for one in left_over),
        dry_run=dry_run,
    )
    if dry_run:
        return result
    opened.trust.require_own_key()
    confirm(result)

    with holding("volumes prune", repo=opened.repo, connection=connection, emit=emit):
        made = commit(
            opened.repo,
            changes={
                f"{opened.settings.prefix}/{PRUNED}": write_pruned(
                    known.gone | {handle_of(record) for record in going}
                )
            }
            if going
            else {},
            message=f"Prune {opened.settings.name}: {len(going)} snapshots",
            trailers={"Pruned-From": opened.settings.name},
            guard=objection,
            expected=opened.head,
        )
        removed = clear_left_over(connection, opened, source)
        live = [known.live[handle_of(record)] for record in going]
        gaps = _delete(connection, [*left_over, *live])
    return result.done(
        commit=made.id if made.created else None,
        left_over=(*result.left_over, *removed),
        gaps=tuple(gaps),
    )


def _delete(connection: Connection, snapshots: list[LiveSnapshot]) -> list[Gap]:
    """Delete them and their data, several at once; what fails is found by the next run."""

    def one(snapshot: LiveSnapshot) -> str:
        try:
            delete(connection, snapshot.namespace, snapshot.name)
        except ApiError as error:
            return error.message
        return ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reasons = list(pool.map(one, snapshots))
    return [
        Gap(_ref(snapshot), f"was not deleted: {why}")
        for snapshot, why in zip(snapshots, reasons, strict=True)
        if why
    ]


def _ref(snapshot: LiveSnapshot) -> Ref:
    return Ref(GROUP, "VolumeSnapshot", snapshot.namespace, snapshot.name)
