"""Makes the plan of a rebuild: examine, read the facts of what is missing, order. Reads only.

``plan`` shows it and stops; ``rebuild`` goes on from it. There is no second way to a plan.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import discover, identify
from gitops_dr.desired.managers import Holder
from gitops_dr.desired.outward import NO_HOLD
from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.engine.aims import Aim, Aims
from gitops_dr.engine.checking import STORAGE_CLASS, Groundwork, checked, source_answers
from gitops_dr.engine.collecting import uncollected
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.fixed import find_fixed
from gitops_dr.engine.images import lacking_images
from gitops_dr.engine.keyed import with_secrets
from gitops_dr.engine.lacking_secrets import closed, not_brought
from gitops_dr.engine.lost_points import refuse_lost_points, tell_lost_points
from gitops_dr.engine.opening import Opened, Where, open_cluster, open_repo
from gitops_dr.engine.outward import is_another, outwards, refuse_release, with_hold
from gitops_dr.engine.point import read_point, tree_of_head
from gitops_dr.engine.preflight import CRD, Preflight
from gitops_dr.engine.restoring import (
    Restored,
    read_pruned_handles,
    read_records,
    restored,
)
from gitops_dr.engine.targets import open_target, read_target, refuse_another
from gitops_dr.errors import UsageError
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.manifests.path import plural_of
from gitops_dr.model import Body, Difference, Plan, Presence, Ref, Resource, State, in_order
from gitops_dr.planning.admission import background
from gitops_dr.planning.conflicts import with_conflicts
from gitops_dr.planning.facts import ObjectFacts, collect
from gitops_dr.planning.immutable import with_fixed
from gitops_dr.planning.plan import digest, make_plan
from gitops_dr.planning.saved import SavedPlan, describe
from gitops_dr.planning.selection import EVERYTHING, Intent, Selection, closure
from gitops_dr.repository.history import commit_info
from gitops_dr.results.rebuild import Goal, Planned


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and what is needed to carry it out."""

    planned: Planned
    examined: Examined
    connection: Connection
    resources: Mapping[tuple[str, str], Resource]
    """How to address each kind of the plan."""
    chosen: frozenset[Ref]
    """The objects that the intent is about, of those that differ or lack their data."""
    restored: Restored
    """How the claims of the plan come back with their data."""
    trusted: frozenset[str]
    """Field managers that are trusted beside Kubernetes' own controllers."""
    opened: Opened
    """The repository that it comes from."""
    aim: Aim
    """What objects that are there and differ are to become."""
    target: Target = IDENTITY
    groundwork: Groundwork = field(default_factory=Groundwork)
    """What the checks of the plan need that was found on the way."""

    def holders(self) -> dict[Ref, Holder]:
        """Who applied each object at the source; without those that stay ours to let go.

        Raises ``RepositoryError`` if Git's file of them cannot be read.
        """
        recorded = self.examined.recorded
        held = recorded.rewriter.held
        return {
            renamed: holder
            for ref, holder in recorded.tree.managers().items()
            if (renamed := recorded.rewriter.ref(ref)) is not None and renamed not in held
        }

    def bodies(self, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Body]]:
        """Manifests as they must be created, one at a time, in the order asked."""
        wanted = list(refs)
        rewritten = self.restored.bodies
        in_git = self.examined.recorded.bodies(ref for ref in wanted if ref not in rewritten)
        for ref in wanted:
            yield (ref, rewritten[ref]) if ref in rewritten else next(in_git)


def prepare(
    where: Where,
    *,
    at: str | None = None,
    intent: Intent = EVERYTHING,
    target: str | None = None,
    as_active: bool = False,
    refuse_rewritten: bool = False,
    ask_registries: bool = False,
    emit: Emit = silent,
) -> Prepared:
    """Plan how the cluster that is reached becomes what the commit ``at`` says.

    ``target``: what it says for that target, whose cluster it then must be; ``as_active``: as if it
    had been failed over to.

    ``refuse_rewritten``: a history that has lost recovery points is refused and not only told.
    ``ask_registries``: ask them for the images of what is created.
    Raises ``RepositoryError`` if that commit has no export of the cluster, ``UsageError`` if the
    intent names something that it does not hold, and as its parts do.
    """
    opened = open_repo(where, emit, target=target)
    if refuse_rewritten:
        refuse_lost_points(opened)
    aimed = read_target(opened, where, target, emit=emit)
    if as_active:
        aimed = replace(aimed, active=True, hold=NO_HOLD)
    refuse_release(aimed, intent)
    if target is None:
        connection = open_cluster(where, opened.settings)
    else:
        connection = open_target(where, opened, aimed)
    tell_lost_points(opened, connection, emit)
    tree = with_secrets(opened, where, read_point(opened, at), connection, emit=emit)
    identity = identify(connection)
    refuse_another(aimed, tree, identity, emit)
    trusted = opened.settings.trusted_managers
    # Once the plan is carried out, the cluster is looked at again.
    examined = examine(
        connection, identity, tree, target=aimed, trusted=trusted, again=True, emit=emit
    )
    aimed, examined = with_hold(opened, connection, examined, aimed, emit)
    made = prepare_from(opened, connection, examined, intent=intent, target=aimed, emit=emit)
    started = time.monotonic()
    emit(PhaseStarted("check"))
    asked = partial(lacking_images, examined.recorded, environment=where.environment or {})
    checks = checked(
        connection,
        examined,
        made.planned,
        made.groundwork,
        images=asked if ask_registries else None,
        max_age=opened.settings.volumes.max_age,
        # A failover asks about its source by itself.
        source=partial(source_answers, where, opened, tree.coverage)
        if target and not as_active
        else None,
    )
    emit(PhaseEnded("check", time.monotonic() - started, len(checks)))
    return replace(made, planned=replace(made.planned, checks=checks))


@uncollected()
def prepare_from(
    opened: Opened,
    connection: Connection,
    examined: Examined,
    *,
    intent: Intent = EVERYTHING,
    target: Target = IDENTITY,
    tried: bool = True,
    emit: Emit = silent,
) -> Prepared:
    """Plan as :func:`prepare` does, from a comparison that is made already, or a part of one.

    ``tried``: name the changes that the API server would refuse since a field cannot be changed.
    """
    tree, identity = examined.recorded.tree, examined.observation.identity
    started = time.monotonic()
    emit(PhaseStarted("plan"))
    newer_or_older = tree.coverage is not None and tree.coverage.version != identity.version
    generated = tree.coverage.generated.values() if tree.coverage else ()
    discovery = discover(connection)
    preflight = Preflight(
        connection,
        discovery,
        fields=newer_or_older,
        operators_define=any(CRD in kinds for kinds in generated),
    )
    work = Groundwork(discovery=discovery)
    facts, labels = _facts(examined, preflight, work, intent.selection)
    chosen = _chosen(examined, facts, labels, intent.selection)
    restoring = _restored(
        opened,
        connection,
        examined,
        chosen=chosen,
        accept_empty=intent.accept_empty_volumes,
        target_uid=identity.uid,
    )
    for ref, body in restoring.bodies.items():
        entry = restoring.entries.get(ref) or examined.recorded.state.entries[ref]
        facts[ref] = collect(ref, body, plural_of(entry.path))
        preflight.look(ref, entry.version, body)
        work.demand.look(ref, body)
    refused = preflight.refusals()
    intent = replace(intent, elsewhere=is_another(examined))
    plan = make_plan(
        _with_sources(examined.desired, restoring),
        examined.observation.state,
        [
            *(d for d in examined.differences if d.ref in chosen),
            *(Difference(r, Presence.MISSING, e.path) for r, e in restoring.entries.items()),
        ],
        facts,
        replace(intent, may_be_empty=restoring.empty),
        refused={
            **refused,
            **restoring.skipped,
            **examined.recorded.unopened,
        },
        started_empty=sorted(_started_empty(examined) & chosen),
    )
    trusted = opened.settings.trusted_managers
    yielding = not intent.take_ownership
    aim = Aims(connection, examined, trusted=trusted, exported=False, yielding=yielding)
    resources = _resources(examined, plan)
    if tried and intent.overwrite:
        fixed = find_fixed(
            connection,
            plan,
            examined.differences,
            examined.recorded.bodies,
            resources=resources,
            aim=aim,
            replacing=intent.replace,
        )
        plan = with_conflicts(
            with_fixed(plan, fixed, replacing=intent.replace),
            examined.differences,
            examined.recorded.is_authored,
            taking=intent.take_ownership,
        )
    emit(PhaseEnded("plan", time.monotonic() - started, len(plan.steps)))
    goal = Goal(
        opened.settings.name,
        tree.commit,
        connection.context,
        connection.server,
        identity,
        committed=commit_info(tree.repo, tree.commit).time,
        asked=datetime.now(UTC),
        name=target.name,
    )
    configuration = opened.configuration + (f"+{target.version}" if target.version else "")
    saved = SavedPlan(
        cluster=opened.settings.name,
        commit=tree.commit,
        configuration=configuration,
        target=identity.uid,
        digest=digest(plan, tree.commit, identity.uid, configuration),
        intent=intent,
        steps=describe(plan),
    )
    planned = Planned(
        goal=goal,
        plan=replace(plan, notes=(*plan.notes, *restoring.notes, *examined.idle)),
        digest=saved.digest,
        saved=saved,
        equal=examined.equal,
        gaps=(*plan.gaps, *examined.unreadable, *not_brought(examined, plan, intent)),
        blocked=(*restoring.blocked, *closed(examined, chosen, intent)),
        restored=tuple(restoring.records[ref] for ref in sorted(restoring.records)),
        outward=outwards(opened, examined, target, intent, chosen),
    )
    return Prepared(
        planned,
        examined,
        connection,
        resources,
        chosen,
        restoring,
        trusted,
        opened,
        aim,
        target,
        replace(work, facts=facts, refused=refused),
    )


def _restored(
    opened: Opened,
    connection: Connection,
    examined: Examined,
    *,
    chosen: frozenset[Ref],
    accept_empty: bool,
    target_uid: str,
) -> Restored:
    """How the missing claims come back; what ever had a snapshot is known from today's tree too."""
    missing = [d.ref for d in examined.differences if d.presence is Presence.MISSING]
    tree, rewriter = examined.recorded.tree, examined.recorded.rewriter
    today = tree_of_head(opened, tree)
    return restored(
        connection,
        examined.recorded,
        [ref for ref in missing if ref in chosen],
        settings=opened.settings.volumes,
        ever=rewriter.records({**read_records(tree), **read_records(today)}).keys(),
        gone=read_pruned_handles(today),
        accept_empty=accept_empty,
        target_uid=target_uid,
    )


def _with_sources(wanted: State, restoring: Restored) -> State:
    """What the target should have, with the snapshots and contents that fill its claims."""
    entries = {**wanted.entries, **restoring.entries}
    return replace(wanted, entries=entries) if restoring.entries else wanted


def _facts(
    examined: Examined, preflight: Preflight, work: Groundwork, selection: Selection
) -> tuple[dict[Ref, ObjectFacts], dict[Ref, dict[str, str]]]:
    """Relations and labels of every object that a plan may touch, or that a person has named.

    Their bodies are let go; the preflight and the checks see what differs on the way.
    """
    recorded = examined.recorded
    touched = (Presence.MISSING, Presence.MODIFIED)
    refs = {d.ref for d in examined.differences if d.presence in touched}
    named = selection.refs & recorded.state.entries.keys()
    facts: dict[Ref, ObjectFacts] = {}
    labels: dict[Ref, dict[str, str]] = {}
    around = background(refs, recorded.state.entries)
    needed = refs | named | around | _started_empty(examined)
    for ref, body in recorded.bodies(sorted(needed, key=in_order)):
        facts[ref] = collect(ref, body, plural_of(recorded.state.entries[ref].path))
        labels[ref] = body["metadata"].get("labels") or {}
        if ref in refs:
            preflight.look(ref, recorded.state.entries[ref].version, body)
            work.demand.look(ref, body)
            if ref.group_kind == STORAGE_CLASS:
                work.class_bodies[ref] = body
    return facts, labels


def _started_empty(examined: Examined) -> frozenset[Ref]:
    """The commit's claims that an earlier run has made without their data."""
    return examined.observation.started_empty & examined.desired.entries.keys()


def _chosen(
    examined: Examined,
    facts: Mapping[Ref, ObjectFacts],
    labels: Mapping[Ref, Mapping[str, str]],
    selection: Selection,
) -> frozenset[Ref]:
    """The objects that the person means, with what they need: of those that differ or lack data."""
    unsettled = frozenset(d.ref for d in examined.differences) | _started_empty(examined)
    if not selection:
        return unsettled
    held = examined.desired.entries
    for ref in selection.refs - examined.recorded.rewriter.held.keys():
        if ref not in held:
            raise UsageError(
                f"{ref}: not in this commit",
                hint="say Kind[.group]/[namespace/]name, as drift does",
            )
    for namespace in selection.namespaces:
        if not any(namespace in (ref.namespace, ref.name) for ref in held):
            raise UsageError(f"namespace {namespace}: the commit has nothing of it")
    # What is named may itself be as it should be, and need something that is not.
    among = unsettled | (selection.refs & held.keys())
    named = [ref for ref in among if selection.names(ref, labels.get(ref, {}))]
    return closure(named, among, facts) & unsettled


def _resources(examined: Examined, plan: Plan) -> Mapping[tuple[str, str], Resource]:
    """How to address each kind: as the source served it, in the version that Git holds.

    Kinds whose definition is itself part of the plan are not served by the target yet, so asking
    the target would not do.
    """
    coverage = examined.recorded.tree.coverage
    known = {resource.group_kind: resource for resource, _ in coverage.kinds} if coverage else {}
    found = {**examined.observation.resources, **known}
    for ref in examined.recorded.conversions:
        # Of these the source's version is not served any more.
        found[ref.group_kind] = examined.observation.resources[ref.group_kind]
    for step in plan.steps:
        ref = step.ref
        plural = plural_of(step.path)
        found.setdefault(
            ref.group_kind,
            Resource(ref.group, step.version, ref.kind, plural, bool(ref.namespace)),
        )
    return found
