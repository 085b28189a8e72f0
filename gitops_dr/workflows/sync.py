"""``gitops-dr sync``: brings a cluster to a commit again and again, and deletes what left Git.

gather and compute are those of ``plan``, and what left Git since the commit before; then confirm,
execute, delete, and compare again. Made for a pipeline that runs it on every commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.sync_record import SyncedTo, read_synced, write_synced
from gitops_dr.engine.carrying import carry_out, refuse_what_is_blocked
from gitops_dr.engine.holding import holding
from gitops_dr.engine.opening import Where
from gitops_dr.engine.prepare import Prepared, prepare
from gitops_dr.engine.pruning import delete, is_written_by_us
from gitops_dr.engine.recorded import read_state, read_tree
from gitops_dr.errors import RepositoryError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import GOOD_ENDS, Entry, Outcome, Ref
from gitops_dr.planning.prune import Pruning, prune, refuse_shrinking
from gitops_dr.planning.selection import Intent
from gitops_dr.results import Planned, Synced

Confirm = Callable[[Planned], None]
"""Called before the first write; raises ``RefusedError`` to stop."""


def sync(
    where: Where,
    confirm: Confirm,
    *,
    target: str | None = None,
    at: str | None = None,
    also_prune: Collection[Ref] = (),
    without_pruning: bool = False,
    allow_shrink: bool = False,
    without_secrets: bool = False,
    accept_empty_volumes: bool = False,
    accept_rewritten_history: bool = False,
    timeout: float = 300.0,
    emit: Emit = silent,
) -> Synced:
    """Bring a cluster to what the commit ``at`` (default: HEAD) says for ``target``.

    What is missing is created, what differs gets Git's values, and what left Git since the commit
    that it was last brought to is deleted if we wrote it: never a kind that takes more along than
    its manifest says, but for the objects in ``also_prune``. What Git never had is left alone. Run
    again, it does what is left to do.

    Raises ``RefusedError``, before anything is written, for another cluster than the target's, for
    claims without data and Secrets that stay closed, and for a commit that wants nothing, or
    suddenly much less, unless ``allow_shrink``; and what ``confirm`` raises.
    """
    intent = Intent(
        overwrite=True,
        accept_empty_volumes=accept_empty_volumes,
        without_secrets=without_secrets,
    )
    prepared = prepare(
        where,
        at=at,
        intent=intent,
        target=target,
        refuse_rewritten=not accept_rewritten_history,
        emit=emit,
    )
    planned, connection = prepared.planned, prepared.connection
    cluster, commit = planned.goal.cluster, planned.goal.commit
    before = read_synced(connection, cluster)
    pruning = Pruning()
    if before is not None and not without_pruning:
        pruning = _left_git(
            prepared, before.commit, also_prune, allow_shrink=allow_shrink, emit=emit
        )
    refuse_what_is_blocked(planned)
    shown = replace(
        planned, plan=replace(planned.plan, steps=(*planned.plan.steps, *pruning.steps))
    )
    confirm(shown)

    pruned: list[Outcome] = []
    resources = {**prepared.examined.observation.resources, **prepared.resources}
    with holding("sync", connection=connection, emit=emit):
        rebuilt = carry_out(
            prepared,
            intent,
            timeout=timeout,
            also=lambda: pruned.extend(
                delete(connection, pruning.steps, resources, timeout=timeout, emit=emit)
            ),
            emit=emit,
        )
        # What could not be deleted must be known the next time.
        if all(outcome.result in GOOD_ENDS for outcome in pruned):
            _note(connection, cluster, SyncedTo(commit, target or ""), before, emit)
    return Synced(rebuilt, before.commit if before else "", tuple(pruned), pruning.kept)


def _left_git(
    prepared: Prepared, commit: str, named: Collection[Ref], *, allow_shrink: bool, emit: Emit
) -> Pruning:
    """What the commit before wanted of the cluster, and this one does not."""
    examined = prepared.examined
    recorded = examined.recorded
    tree, rewriter = recorded.tree, recorded.rewriter
    try:
        prepared.trust.require(commit, "the commit before")
        then = read_tree(
            tree.repo, commit, tree.prefix, is_authored=tree.is_authored, sealing=tree.sealing
        )
        # Of files that are the same today nothing has left.
        changed = {p: blob for p, blob in then.files.items() if tree.files.get(p) != blob}
        state = read_state(replace(then, files=changed)).state
    except RepositoryError as error:
        emit(Notice(f"what left Git is not known, and nothing is deleted: {error.message}"))
        return Pruning()
    before: dict[Ref, Entry] = {}
    for ref, entry in state.entries.items():
        # What the target has not, by its own file, it never had from us.
        if rewriter.omission(ref) is None and (renamed := rewriter.ref(ref)) is not None:
            before[renamed] = entry
    managed = examined.observation.managed
    found = prune(
        before,
        examined.desired.entries,
        examined.observation.state,
        lambda ref: is_written_by_us(managed.get(ref, b"[]")),
        named=named,
    )
    if not allow_shrink:
        refuse_shrinking(found, then.manifests, tree.manifests, prepared.target.name or "sync")
    return found


def _note(
    connection: Connection, cluster: str, now: SyncedTo, before: SyncedTo | None, emit: Emit
) -> None:
    if now == before:
        return
    try:
        write_synced(connection, cluster, now)
    except ApiError as error:
        emit(
            Notice(
                "what leaves Git next will not be known: this commit could not be noted in the "
                f"cluster ({error.message})"
            )
        )
