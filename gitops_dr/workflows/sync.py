"""``gitops-dr sync``: brings a cluster to a commit again and again, and deletes what left Git.

gather and compute are those of ``plan``, and what left Git since the commit before; then confirm,
execute, delete, and compare again. Made for a pipeline that runs it on every commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.sync_record import SyncedTo, read_synced, write_synced
from gitops_dr.desired.outward import OMITTED
from gitops_dr.desired.target_state import STANDBY
from gitops_dr.engine.activating import refuse_unsettled, settle
from gitops_dr.engine.carrying import refuse_what_is_blocked
from gitops_dr.engine.difference import Examined
from gitops_dr.engine.holding import holding
from gitops_dr.engine.opening import Where
from gitops_dr.engine.prepare import Prepared, prepare
from gitops_dr.engine.pruning import delete, is_written_by_us
from gitops_dr.engine.recorded import read_state, read_tree
from gitops_dr.engine.releasing import carry_out_and_release
from gitops_dr.engine.standby_claims import (
    StandbyClaims,
    bring_up_to_date,
    look_at_standby,
    refuse_begun_replacement,
    refuse_no_standby,
)
from gitops_dr.engine.target_then import owned_then
from gitops_dr.errors import RepositoryError, UsageError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import GOOD_ENDS, Entry, Outcome, Ref
from gitops_dr.planning.prune import Pruning, prune, refuse_shrinking
from gitops_dr.planning.selection import Intent, Release
from gitops_dr.results.rebuild import Planned, Synced
from gitops_dr.results.standby import ClaimsBrought

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
    replacing: bool = False,
    replace_claims: bool = False,
    drop_replaced: bool = False,
    take_ownership: bool = False,
    release: Release = Release.IF_NEWEST,
    without_secrets: bool = False,
    accept_empty_volumes: bool = False,
    accept_rewritten_history: bool = False,
    timeout: float = 300.0,
    emit: Emit = silent,
) -> Synced | Planned:
    """Bring a cluster to what the commit ``at`` (default: HEAD) says for ``target``.

    What is missing is created, what differs gets Git's values, and what left Git since the commit
    that it was last brought to is deleted if we wrote it: never a kind that takes more along than
    its manifest says, but for the objects in ``also_prune``. What Git never had is left alone. Run
    again, it does what is left to do. Into a cold target that was not failed over to nothing is
    written: the result is what a rebuild there would do, with what is in its way.

    ``replace_claims``: claims of a warm standby that we filled from older data, and that nothing
    used, get the commit's. Their volumes are kept; ``drop_replaced``: until the claim is replaced
    again.

    Raises ``RefusedError``, before anything is written, for another cluster than the target's, for
    claims without data and Secrets that stay closed, and for a commit that wants nothing, or
    suddenly much less, unless ``allow_shrink``; from a checkout that does not know of the last
    failover; where claims are to be replaced and it is no warm standby; and what ``confirm``
    raises.
    """
    if replace_claims and target is None:
        raise UsageError(
            "--replace-claims: is about the claims of a standby, and no --target was said",
            hint="gitops-dr volumes restore gives claims of the source older data",
        )
    intent = Intent(
        overwrite=True,
        replace=replacing,
        take_ownership=take_ownership,
        release=release,
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
    refuse_unsettled(prepared)
    standby: StandbyClaims | None = None
    if replace_claims:
        refuse_no_standby(prepared)
        standby = look_at_standby(prepared, drop=drop_replaced)
    else:
        refuse_begun_replacement(prepared)
    if prepared.target.is_empty:
        return planned
    cluster, commit = planned.goal.cluster, planned.goal.commit
    before = read_synced(connection, cluster)
    pruning = Pruning()
    if before is not None and not without_pruning:
        pruning = _left_git(
            prepared, where, before, also_prune, allow_shrink=allow_shrink, emit=emit
        )
    refuse_what_is_blocked(planned)
    shown = replace(
        planned,
        plan=replace(planned.plan, steps=(*planned.plan.steps, *pruning.steps)),
        claims=standby.plan if standby else None,
    )
    confirm(shown)

    pruned: list[Outcome] = []
    resources = {**prepared.examined.observation.resources, **prepared.resources}
    with holding("sync", connection=connection, emit=emit):
        settle(prepared)
        claims: ClaimsBrought | None = None
        if standby is not None:
            # It may have been failed over to since it was looked at.
            refuse_unsettled(prepared)
            claims = bring_up_to_date(prepared, standby, timeout=timeout, emit=emit)
        if standby is not None and standby.plan.replaced:
            prepared = prepare(where, at=commit, intent=intent, target=target, emit=emit)
            # What else is in the way was looked at before the first write.
            refuse_what_is_blocked(replace(prepared.planned, checks=()))
        rebuilt = carry_out_and_release(
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
            targets = prepared.opened.head or "" if target else ""
            _note(connection, cluster, SyncedTo(commit, target or "", targets), before, emit)
    return Synced(rebuilt, before.commit if before else "", tuple(pruned), pruning.kept, claims)


def _left_git(
    prepared: Prepared,
    where: Where,
    synced: SyncedTo,
    named: Collection[Ref],
    *,
    allow_shrink: bool,
    emit: Emit,
) -> Pruning:
    """What the commit before wanted of the cluster, and this one does not."""
    commit, opened = synced.commit, prepared.opened
    examined = prepared.examined
    recorded = examined.recorded
    tree, rewriter = recorded.tree, recorded.rewriter
    try:
        opened.trust.require(commit, "the commit before")
        then = tree
        if commit != tree.commit:
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
    own = owned_then(
        opened,
        where,
        synced,
        prepared.target,
        tree=then,
        resources=prepared.resources,
        emit=emit,
    )
    before.update(own)
    managed = examined.observation.managed

    def is_ours(ref: Ref) -> bool:
        return is_written_by_us(managed.get(ref, b"[]"))

    observed = examined.observation.state
    found = prune(before, examined.desired.entries, observed, is_ours, named=named)
    if not allow_shrink:
        had = [*then.manifests, *own]
        wanted = [*tree.manifests, *prepared.target.manifests]
        refuse_shrinking(found, had, wanted, prepared.target.name or "sync")
    besides = _of_no_use(examined, is_ours, named)
    return Pruning((*found.steps, *besides.steps), (*found.kept, *besides.kept))


def _of_no_use(
    examined: Examined, is_ours: Callable[[Ref], bool], named: Collection[Ref]
) -> Pruning:
    """What a standby has not, and may have from the time when it was none. That is no loss.

    Whoever wrote it: an autoscaler that stays keeps its workload running. What a row of people says
    is deleted only if it is ours.
    """
    observed = examined.observation.state
    rows = examined.recorded.rewriter.held
    present = {
        omission.ref: observed.entries[omission.ref]
        for omission in examined.omissions
        if omission.rule in (STANDBY, OMITTED) and omission.ref in observed.entries
    }
    known = {ref for ref in present if ref not in rows or rows[ref].ships}
    return prune(
        present,
        examined.desired.entries,
        observed,
        lambda ref: ref in known or is_ours(ref),
        named=named,
    )


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
