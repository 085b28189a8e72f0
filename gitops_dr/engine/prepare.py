"""Makes the plan of a rebuild: examine, read the facts of what is missing, order. Reads only.

``plan`` shows it and stops; ``rebuild`` goes on from it. There is no second way to a plan.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import identify
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.opening import Opened, Where, open_cluster, open_repo
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.errors import RepositoryError
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import Plan, Presence, Resource
from gitops_dr.planning.facts import collect
from gitops_dr.planning.plan import digest, make_plan
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
    accept_empty_volumes: bool = False,
    emit: Emit = silent,
) -> Prepared:
    """Plan how the cluster that is reached becomes what the commit ``at`` says.

    Raises ``RepositoryError`` if that commit has no export of the cluster, and as its parts do.
    """
    opened = open_repo(where, emit)
    tree = read_point(opened, at)
    connection = open_cluster(where, opened.settings)
    identity = identify(connection)
    examined = examine(connection, identity, tree, emit=emit)

    started = time.monotonic()
    emit(PhaseStarted("plan"))
    recorded = examined.recorded
    missing = [d.ref for d in examined.differences if d.presence is Presence.MISSING]
    facts = {
        ref: collect(ref, body, plural_of(recorded.state.entries[ref].path))
        for ref, body in recorded.bodies(missing)
    }
    plan = make_plan(
        examined.desired,
        examined.observation.state,
        examined.differences,
        facts,
        accept_empty_volumes=accept_empty_volumes,
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
    return Prepared(planned, examined, connection, _resources(examined, plan))


def plural_of(path: str) -> str:
    """The resource's plural name in a manifest's path (``.../<plural>[.<group>]/<name>.yaml``)."""
    return path.split("/")[-2].partition(".")[0]


def _resources(examined: Examined, plan: Plan) -> Mapping[tuple[str, str], Resource]:
    """How to address each kind: as the source served it, in the version that Git holds.

    Kinds whose definition is itself part of the plan are not served by the target yet, so asking the
    target would not do.
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
