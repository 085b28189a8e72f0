"""``gitops-dr revert``: puts Git's values back where the cluster differs. Writes to the cluster.

gather as ``drift`` does; plan as ``rebuild`` does, for just what is meant; try the changes without
making them; then confirm, execute, and compare again: a revert is done when nothing of it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from gitops_dr.cluster.apply import late_binding_classes
from gitops_dr.cluster.discover import identify
from gitops_dr.config import ClusterSettings
from gitops_dr.engine.aims import Aims
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.execute import execute
from gitops_dr.engine.holding import holding
from gitops_dr.engine.ignoring import without_ignored
from gitops_dr.engine.keyed import with_secrets
from gitops_dr.engine.lost_points import tell_lost_points
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.point import read_point, refuse_another_cluster
from gitops_dr.engine.prepare import Prepared, prepare_from
from gitops_dr.engine.rehearse import rehearse
from gitops_dr.events import Emit, silent
from gitops_dr.model import Difference, Gap, Presence, Ref
from gitops_dr.planning.chosen import ALL, Choice, chosen
from gitops_dr.planning.selection import Intent
from gitops_dr.results.drift import Reverted, Reverting
from gitops_dr.results.rebuild import Planned
from gitops_dr.rules.completion import is_held_back

Confirm = Callable[[Reverting], None]
"""Called before the first write; raises ``RefusedError`` to stop."""


def revert(
    where: Where,
    confirm: Confirm,
    *,
    choice: Choice = ALL,
    at: str | None = None,
    dry_run: bool = False,
    timeout: float = 300.0,
    emit: Emit = silent,
) -> Reverting | Reverted:
    """Make what differs what the commit ``at`` (default: HEAD) says, and nothing else.

    Of a modified object the fields that differ are written, of those the ones that ``choice`` means
    and no ignore rule hides; a missing object is created; one that is only in the cluster is left.
    ``dry_run`` stops before anything is written and gives the plan. ``timeout``: seconds that an
    object may take to become ready.

    Raises, before anything is written, ``UsageError`` for a name that is that of no difference,
    ``RefusedError`` for another cluster than the recorded one, and what ``confirm`` raises.
    """
    opened = open_repo(where, emit)
    settings = opened.settings
    connection = open_cluster(where, settings)
    tell_lost_points(opened, connection, emit)
    tree = with_secrets(opened, where, read_point(opened, at), connection, emit=emit)
    identity = identify(connection)
    refuse_another_cluster(tree, identity, settings.name)
    trusted = settings.trusted_managers
    examined = examine(connection, identity, tree, trusted=trusted, again=not dry_run, emit=emit)

    meant = _meant(examined, settings, choice)
    part = replace(
        examined,
        differences=meant,
        # What became of claims at an earlier rebuild is that one's affair.
        observation=replace(examined.observation, started_empty=frozenset()),
    )
    # What is written is less than a whole object, and is tried below as it is.
    prepared = prepare_from(
        opened, connection, part, intent=Intent(overwrite=True), tried=False, emit=emit
    )
    fields = {d.ref: frozenset(change.path for change in d.changes) for d in meant}
    aim = Aims(connection, examined, trusted=trusted, only=fields)
    plan, resources = prepared.planned.plan, prepared.resources
    refused = rehearse(connection, plan, prepared.bodies, resources, aim)
    reverting = _reverting(prepared, meant, refused)
    if dry_run:
        return reverting
    confirm(reverting)

    with holding("revert", connection=connection, emit=emit):
        outcomes = execute(
            connection,
            reverting.planned.plan,
            prepared.bodies,
            resources,
            late_binding=late_binding_classes(connection),
            aim=aim,
            timeout=timeout,
            emit=emit,
        )
        after = examine(connection, identity, tree, trusted=trusted, before=examined, emit=emit)
    excused = {omission.ref for omission in reverting.planned.plan.omissions}
    named = choice.selection.refs
    left = tuple(_still_meant(_shown(after, settings), fields, excused, named))
    return Reverted(reverting, outcomes, left)


def _shown(examined: Examined, settings: ClusterSettings) -> tuple[Difference, ...]:
    """The differences that no ignore rule hides."""
    found, _ = without_ignored(examined, settings.ignore, today=datetime.now(UTC).date())
    return found


def _meant(examined: Examined, settings: ClusterSettings, choice: Choice) -> tuple[Difference, ...]:
    found = _shown(examined, settings)
    return chosen(
        found,
        choice,
        hidden={d.ref for d in examined.differences} - {d.ref for d in found},
        desired=examined.desired,
        observed=examined.observation.state,
    )


def _reverting(
    prepared: Prepared, meant: Iterable[Difference], refused: Mapping[Ref, str]
) -> Reverting:
    """The plan without what will be refused, which is a gap."""
    planned = prepared.planned
    blocked = {gap.ref: gap.reason for gap in planned.blocked} | dict(refused)
    steps = tuple(step for step in planned.plan.steps if step.ref not in blocked)
    gaps = (Gap(ref, reason) for ref, reason in blocked.items())
    made: Planned = replace(
        planned,
        plan=replace(planned.plan, steps=steps),
        gaps=tuple(sorted({*planned.plan.gaps, *gaps})),
        blocked=(),
    )
    meant = tuple(meant)
    only_live = tuple(d.ref for d in meant if d.presence is Presence.UNMANAGED)
    return Reverting(made, meant, only_live)


def _still_meant(
    found: Iterable[Difference],
    fields: Mapping[Ref, Collection[str]],
    excused: Collection[Ref],
    named: Collection[Ref],
) -> Iterable[Difference]:
    """What of the differences the revert was about.

    Objects that are only in the cluster were left on purpose, which is no success for one that was
    named.
    """
    for difference in found:
        ref = difference.ref
        if ref not in fields or ref in excused or is_held_back(difference):
            continue
        if difference.presence is Presence.MODIFIED and fields[ref]:
            changes = tuple(c for c in difference.changes if c.path in fields[ref])
            if changes:
                yield replace(difference, changes=changes)
        elif difference.presence is not Presence.UNMANAGED or ref in named:
            yield difference
