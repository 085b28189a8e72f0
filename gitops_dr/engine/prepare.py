"""Makes the plan of a rebuild: examine, read the facts of what is missing, order. Reads only.

``plan`` shows it and stops; ``rebuild`` goes on from it. There is no second way to a plan.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import discover, identify
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.opening import Opened, Where, open_cluster, open_repo
from gitops_dr.engine.preflight import CRD, Preflight
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.errors import RepositoryError, UsageError
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import Plan, Presence, Ref, Resource
from gitops_dr.planning.facts import ObjectFacts, collect
from gitops_dr.planning.plan import digest, make_plan
from gitops_dr.planning.selection import EVERYTHING, Intent, Selection, closure
from gitops_dr.repository.history import resolve
from gitops_dr.results import Goal, Planned


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and what is needed to carry it out."""

    planned: Planned
    examined: Examined
    connection: Connection
    resources: Mapping[tuple[str, str], Resource]
    """How to address each kind of the plan."""
    chosen: frozenset[Ref]
    """The differing objects that the intent is about."""


def read_point(opened: Opened, at: str | None) -> Tree:
    """The files of the recovery point ``at`` (a commit, tag, branch or time; default: HEAD).

    Raises ``RepositoryError`` if there is no such commit or it has no export of the cluster.
    """
    settings = opened.settings
    commit = resolve(opened.repo, at or "HEAD", cluster_prefix=settings.prefix)
    tree = read_tree(opened.repo, commit, settings.prefix)
    if tree.coverage is None:
        raise RepositoryError(
            f"{settings.prefix}: commit {commit[:12]} has no export of this cluster",
            hint="run gitops-dr export first, or choose another commit with --at",
        )
    return tree


def prepare(
    where: Where,
    *,
    at: str | None = None,
    intent: Intent = EVERYTHING,
    emit: Emit = silent,
) -> Prepared:
    """Plan how the cluster that is reached becomes what the commit ``at`` says.

    Raises ``RepositoryError`` if that commit has no export of the cluster, ``UsageError`` if the
    intent names something that it does not hold, and as its parts do.
    """
    opened = open_repo(where, emit)
    tree = read_point(opened, at)
    connection = open_cluster(where, opened.settings)
    identity = identify(connection)
    examined = examine(connection, identity, tree, emit=emit)

    started = time.monotonic()
    emit(PhaseStarted("plan"))
    newer_or_older = tree.coverage is not None and tree.coverage.version != identity.version
    generated = tree.coverage.generated.values() if tree.coverage else ()
    preflight = Preflight(
        connection,
        discover(connection),
        fields=newer_or_older,
        operators_define=any(CRD in kinds for kinds in generated),
    )
    facts, labels = _facts(examined, preflight)
    chosen = _chosen(examined, facts, labels, intent.selection)
    source = tree.coverage.uid if tree.coverage else identity.uid
    intent = replace(intent, elsewhere=source != identity.uid)
    plan = make_plan(
        examined.desired,
        examined.observation.state,
        [d for d in examined.differences if d.ref in chosen],
        facts,
        intent,
        refused=preflight.refusals(),
    )
    emit(PhaseEnded("plan", time.monotonic() - started, len(plan.steps)))
    goal = Goal(opened.settings.name, tree.commit, connection.context, connection.server, identity)
    planned = Planned(
        goal=goal,
        plan=plan,
        digest=digest(plan, tree.commit, identity.uid),
        equal=examined.equal,
        gaps=(*plan.gaps, *examined.unreadable),
    )
    return Prepared(planned, examined, connection, _resources(examined, plan), chosen)


def _facts(
    examined: Examined, preflight: Preflight
) -> tuple[dict[Ref, ObjectFacts], dict[Ref, dict[str, str]]]:
    """Relations and labels of every object that a plan may touch; their bodies are let go.

    The preflight sees each of them on the way.
    """
    recorded = examined.recorded
    touched = (Presence.MISSING, Presence.MODIFIED)
    refs = [d.ref for d in examined.differences if d.presence in touched]
    facts: dict[Ref, ObjectFacts] = {}
    labels: dict[Ref, dict[str, str]] = {}
    for ref, body in recorded.bodies(refs):
        facts[ref] = collect(ref, body, plural_of(recorded.state.entries[ref].path))
        labels[ref] = body["metadata"].get("labels") or {}
        preflight.look(ref, recorded.state.entries[ref].version, body)
    return facts, labels


def _chosen(
    examined: Examined,
    facts: Mapping[Ref, ObjectFacts],
    labels: Mapping[Ref, Mapping[str, str]],
    selection: Selection,
) -> frozenset[Ref]:
    """The differing objects that the person means, with what they need."""
    differing = frozenset(d.ref for d in examined.differences)
    if not selection:
        return differing
    held = examined.desired.entries
    for ref in selection.refs:
        if ref not in held:
            raise UsageError(
                f"{ref}: not in this commit",
                hint="say Kind[.group]/[namespace/]name, as drift does",
            )
    for namespace in selection.namespaces:
        if not any(namespace in (ref.namespace, ref.name) for ref in held):
            raise UsageError(f"namespace {namespace}: the commit has nothing of it")
    named = [ref for ref in differing if selection.names(ref, labels.get(ref, {}))]
    return closure(named, differing, facts)


def plural_of(path: str) -> str:
    """The resource's plural name in a manifest's path (``.../<plural>[.<group>]/<name>.yaml``)."""
    return path.split("/")[-2].partition(".")[0]


def _resources(examined: Examined, plan: Plan) -> Mapping[tuple[str, str], Resource]:
    """How to address each kind: as the source served it, in the version that Git holds.

    Kinds whose definition is itself part of the plan are not served by the target yet, so asking
    the target would not do.
    """
    coverage = examined.recorded.tree.coverage
    known = {resource.group_kind: resource for resource, _ in coverage.kinds} if coverage else {}
    found = {**examined.observation.resources, **known}
    for step in plan.steps:
        ref = step.ref
        plural = plural_of(step.path)
        found.setdefault(
            ref.group_kind,
            Resource(ref.group, step.version, ref.kind, plural, bool(ref.namespace)),
        )
    return found
