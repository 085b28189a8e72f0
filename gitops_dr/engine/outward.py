"""Decides what acts outward and is held, and whether it is released in the same run. Reads only.

At a target that was not failed over to all of it is. At one that was, and in any other cluster than
the source, what is made is held, and what an earlier run has left held; what runs there already is
left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gitops_dr.cluster.connect import FIELD_MANAGER, Connection
from gitops_dr.desired.outward import Hold, Holder, Outward
from gitops_dr.desired.target import Target
from gitops_dr.engine.difference import Examined, held_against
from gitops_dr.engine.opening import Opened
from gitops_dr.errors import UsageError
from gitops_dr.events import Emit, silent
from gitops_dr.model import Difference, Presence, Ref
from gitops_dr.planning.selection import Intent, Release
from gitops_dr.repository.history import descends, newest_export
from gitops_dr.results.rebuild import HeldBack, Outwards


def is_another(examined: Examined) -> bool:
    """Whether the cluster is another than the one that was exported."""
    coverage = examined.recorded.tree.coverage
    return coverage is not None and coverage.uid != examined.observation.identity.uid


def refuse_release(target: Target, intent: Intent) -> None:
    """Raise ``UsageError`` where a person wants released what a standby holds until a failover."""
    if intent.release is Release.ALWAYS and target.name and not target.active:
        raise UsageError(
            f"--release: target {target.name} was not failed over to, and what acts outward is "
            "held there",
            hint=f"{by_failover(target.name)} releases it",
        )


def by_failover(target: str) -> str:
    """The command that releases what a target holds."""
    return f"gitops-dr failover --target {target}"


def by_rebuild(commit: str) -> str:
    """The command that releases what a rebuild of this commit holds."""
    return f"gitops-dr rebuild --release --at {commit[:12]}"


def with_hold(
    opened: Opened,
    connection: Connection,
    examined: Examined,
    target: Target,
    emit: Emit = silent,
) -> tuple[Target, Examined]:
    """Hold what acts outward and is not there yet, or is there and held.

    Changes nothing for a target that was not failed over to, where all of it is held already, and
    for the source's own cluster. What was observed is not observed again.
    """
    if not (target.active or (not target.name and is_another(examined))):
        return target, examined
    rows, sources = opened.settings.outward, examined.recorded.sources
    found = frozenset(sources.get(ref, ref) for ref, _ in _held_or_missing(examined, rows))
    if not found:
        return target, examined
    holding = replace(target, hold=Hold(rows, found))
    again = held_against(
        connection,
        examined.observation,
        examined.recorded.tree,
        target=holding,
        trusted=opened.settings.trusted_managers,
        before=examined,
        emit=emit,
    )
    return holding, again


def outwards(
    opened: Opened, examined: Examined, target: Target, intent: Intent, chosen: frozenset[Ref]
) -> Outwards:
    """What a plan holds, and why that does not change at its end; nothing where nothing is held.

    ``chosen``: the objects that the intent is about, of those that differ.
    """
    meant = releasable(examined, intent, chosen)
    rows = examined.recorded.rewriter.held
    held = tuple(
        HeldBack(ref, rows[ref].field, rows[ref].because)
        for ref in sorted(meant)
        if not rows[ref].waits
    )
    if not held:
        return Outwards()
    return Outwards(held, *_why_not(opened, examined, target, intent))


def releasable(examined: Examined, intent: Intent, chosen: frozenset[Ref]) -> frozenset[Ref]:
    """What is held and is part of what a person asked for, or what that rests on."""
    held = examined.recorded.rewriter.held
    selection = intent.selection
    if not selection:
        return frozenset(held)
    there = examined.recorded.state.entries
    meant = {ref for ref in held if ref not in there and selection.names(ref, {})}
    for ref, body in examined.recorded.bodies([ref for ref in held if ref in there]):
        if ref not in chosen and not selection.names(ref, body["metadata"].get("labels") or {}):
            continue
        meant.add(ref)
        if of := held[ref].of:
            meant |= held.keys() & set(of.named(ref, body))
    return frozenset(meant)


def _why_not(opened: Opened, examined: Examined, target: Target, intent: Intent) -> tuple[str, str]:
    """Why what is held stays so, and what releases it; nothing if it is released."""
    if target.name and not target.active:
        because = f"target {target.name} was not failed over to"
        return because, by_failover(target.name)
    commit = examined.recorded.tree.commit
    command = by_rebuild(commit)
    if intent.release is Release.NEVER:
        return "--no-release was said", command
    if intent.release is Release.ALWAYS or target.name:
        return "", ""
    newest = newest_point(opened, commit)
    if newest == commit:
        return "", ""
    there = f"commit {newest[:12]} is a newer recovery point" if newest else "its age is not known"
    return there, command


def newest_point(opened: Opened, commit: str) -> str | None:
    """The commit itself, if no newer recovery point is known at HEAD; else that one.

    None if nobody can tell.
    """
    if opened.head in (None, commit):
        return commit
    settings, head = opened.settings, opened.head or ""
    newest = newest_export(opened.repo, head, cluster=settings.name, prefix=settings.prefix)
    if newest is None:
        return None
    return commit if descends(opened.repo, commit, newest) else newest


def with_words(opened: Opened, examined: Examined) -> Examined:
    """The same, and each difference that is but a hold of ours says that, and what releases it."""
    another = is_another(examined)
    rows = dict(_held_or_missing(examined, opened.settings.outward))
    if not rows:
        return examined
    command = by_rebuild(examined.recorded.tree.commit)

    def told(difference: Difference) -> Difference:
        row = rows.get(difference.ref)
        missing = difference.presence is Presence.MISSING
        # What is missing at the source was not left out by us.
        if row is None or (missing and not (row.omit and another)):
            return difference
        what = f"held by {row.field}" if row.field else "not made yet"
        text = f"{what}: {row.because} Release with {command}"
        return replace(difference, held=text)

    return replace(examined, differences=tuple(map(told, examined.differences)))


def _held_or_missing(
    examined: Examined, rows: tuple[Outward, ...]
) -> Iterator[tuple[Ref, Outward]]:
    """Of what differs that which acts outward, and is not there or held by us; with its row."""
    holder = Holder(Hold(rows))
    differing = {
        difference.ref: difference
        for difference in examined.differences
        if difference.presence in (Presence.MISSING, Presence.MODIFIED)
        and holder.touches(difference.ref)
    }
    refs = sorted(differing, key=holder.is_about_another)
    for ref, body in examined.recorded.bodies(refs):
        difference, source = differing[ref], examined.recorded.sources.get(ref, ref)
        # What the API server asks is told apart where the object is held.
        row = holder.row(source, body, lambda _ref, _body: False)
        if row is None:
            continue
        if difference.presence is Presence.MODIFIED and not _is_ours(row, difference):
            continue
        holder.held.add(source)
        yield ref, row


def _is_ours(row: Outward, difference: Difference) -> bool:
    """Whether we hold the object, and nobody else does: somebody's own wish is theirs to change."""
    holds = (change for change in difference.changes if row.is_hold(change))
    return any(manager.name == FIELD_MANAGER for one in holds for manager in one.managers)
