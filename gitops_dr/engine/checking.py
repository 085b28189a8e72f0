"""Looks at a target before anything is written to it: what stands in the way of a plan. Reads only.

Only what the plan asks for is looked up, several things at once; what we may not look at is told as
not known, and stops nothing. The verdict is that of ``checks/``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from gitops_dr.checks.demand import CLAIM, Demand
from gitops_dr.checks.facts import SnapshotFacts
from gitops_dr.checks.findings import Checked
from gitops_dr.checks.of_plan import check_plan
from gitops_dr.checks.plan_facts import Node, PlanFacts, Seen, Storage
from gitops_dr.checks.reading import (
    read_nodes,
    read_ports,
    read_storage,
    read_terminating,
)
from gitops_dr.cluster import access, lease
from gitops_dr.cluster.connect import Connection, or_none
from gitops_dr.cluster.discover import Discovery
from gitops_dr.desired.recovery import Coverage
from gitops_dr.engine.class_facts import (
    read_snapshot_classes,
    source_classes,
    source_snapshot_classes,
)
from gitops_dr.engine.difference import Examined
from gitops_dr.engine.doubtful_hooks import doubtful_hooks
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.preflight import CRD, stored_versions
from gitops_dr.engine.rights import rights
from gitops_dr.engine.snapshot_facts import snapshot_facts
from gitops_dr.engine.snapshots import listed
from gitops_dr.engine.sources import find_source
from gitops_dr.manifests.path import plural_of
from gitops_dr.model import ANY, Action, Body, Ref
from gitops_dr.planning.facts import ObjectFacts
from gitops_dr.planning.references import provided
from gitops_dr.results.rebuild import Planned

_DRIVER = ("storage.k8s.io", "CSIDriver")
STORAGE_CLASS = ("storage.k8s.io", "StorageClass")
_SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"
_AT_ONCE = 8
_CHANGES = frozenset({Action.CONFIGURE, Action.REPLACE})
_CLASSES = frozenset(
    {
        ("scheduling.k8s.io", "PriorityClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("networking.k8s.io", "IngressClass"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        STORAGE_CLASS,
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
    }
)


@dataclass(frozen=True, slots=True)
class Groundwork:
    """What the checks need that was found out on the way to a plan."""

    demand: Demand = field(default_factory=Demand)
    facts: Mapping[Ref, ObjectFacts] = field(default_factory=dict)
    refused: Mapping[Ref, str] = field(default_factory=dict)
    """What the target does not know."""
    discovery: Discovery = field(default_factory=lambda: Discovery((), ()))
    class_bodies: dict[Ref, Body] = field(default_factory=dict)
    """The StorageClasses that the plan touches."""


def checked(
    connection: Connection,
    examined: Examined,
    planned: Planned,
    groundwork: Groundwork,
    *,
    images: Callable[[Demand, Collection[Ref]], Mapping[str, str]] | None = None,
    source: Callable[[], str] | None = None,
    max_age: timedelta | None = None,
) -> tuple[Checked, ...]:
    """Check a plan against its target.

    ``images`` asks registries, and says why each image that is lacking cannot be had; ``source``
    gives where the source still answers, or nothing; ``max_age`` is how old snapshots may be.
    Raises nothing of the cluster's: what cannot be looked at is not known.
    """
    steps = planned.plan.steps
    creates = {s.ref: plural_of(s.path) for s in steps if s.action is Action.CREATE}
    changes = {s.ref: plural_of(s.path) for s in steps if s.action in _CHANGES}
    target = examined.recorded.rewriter.target
    stores = _stores(groundwork.demand, creates)
    coverage = examined.recorded.tree.coverage
    facts = PlanFacts(
        demand=groundwork.demand,
        creates=creates,
        changes=changes,
        source_version=coverage.version if coverage else "",
        elsewhere=coverage is not None and coverage.uid != planned.goal.target.uid,
        refused=groundwork.refused,
        rewritten={
            ref: row.api_version
            for ref, row in examined.recorded.conversions.items()
            if ref in creates
        },
        blocked=planned.blocked,
        absent=_absent_classes(examined, creates, groundwork.facts),
        present=frozenset(
            ref for ref in examined.observation.state.entries if ref.group_kind == CLAIM
        ),
        asked=planned.goal.asked,
        max_age=max_age,
        restored={record.ref: record for record in planned.restored},
        brings_snapshots=any(ref.group_kind == CRD and ref.name == _SNAPSHOTS for ref in creates),
        source_classes=source_classes(examined.recorded) if stores else {},
        source_snapshot_classes=source_snapshot_classes(examined.recorded)
        if planned.restored
        else {},
        copied=bool(target.mappings.handles),
    )
    seen = _Look(connection, facts, groundwork, planned).seen(images, source)
    return check_plan(replace(facts, seen=seen))


def _stores(demand: Demand, creates: Collection[Ref]) -> bool:
    return any(ref in demand.claims or ref in demand.templates for ref in creates)


def source_answers(where: Where, opened: Opened, coverage: Coverage | None) -> str:
    """Where the source of a target still answers; empty if it does not, or nobody can ask."""
    found = find_source(where, opened, coverage.uid if coverage else "")
    return f"context {found.context}" if found.connection else ""


def _absent_classes(
    examined: Examined, creates: Collection[Ref], facts: Mapping[Ref, ObjectFacts]
) -> dict[Ref, tuple[Ref, ...]]:
    """Classes that objects of the plan name, and nobody has. What may not be read may be there."""
    observed = examined.observation.state
    omitted = {omission.ref for omission in observed.omissions}
    users: dict[Ref, list[Ref]] = {}
    for ref in creates:
        for need in facts[ref].references.needs if ref in facts else ():
            if need.ref.group_kind in _CLASSES and not need.ref.name.endswith(ANY):
                users.setdefault(need.ref, []).append(ref)
    return {
        ref: tuple(found)
        for ref, found in users.items()
        if ref not in creates
        and ref not in observed.entries
        and ref not in observed.unlisted
        and ref not in omitted
        and not provided(ref)
        and observed.gap_for(ref) is None
    }


class _Look:
    """Looks at one target, for one plan."""

    def __init__(
        self, connection: Connection, facts: PlanFacts, groundwork: Groundwork, planned: Planned
    ) -> None:
        self._connection = connection
        self._facts = facts
        self._groundwork = groundwork
        self._server = connection.context or connection.server
        self._version = planned.goal.target.version
        self._demand = facts.demand
        self._creates = facts.creates

    def seen(
        self,
        images: Callable[[Demand, Collection[Ref]], Mapping[str, str]] | None,
        source: Callable[[], str] | None,
    ) -> Seen:
        """Everything that the plan is about."""
        named = Seen(server=self._server, version=self._version)
        if not self._facts.writes:
            return named
        demand = self._demand
        runs = any(ref in demand.pods for ref in self._creates)
        stores = _stores(demand, self._creates)
        asks = any(
            ref in demand.services
            and (demand.services[ref].node_ports or demand.services[ref].cluster_ips)
            for ref in self._creates
        )
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="check") as pool:

            def begin[Found](
                look: Callable[[], Found], *, wanted: bool = True
            ) -> Future[Found] | None:
                return pool.submit(look) if wanted else None

            us = pool.submit(or_none, lambda: access.ourselves(self._connection))
            allowed = pool.submit(rights, self._connection, self._facts)
            stored = pool.submit(or_none, self._stored)
            holder = pool.submit(or_none, lambda: lease.look(self._connection))
            spaces = pool.submit(or_none, lambda: self._listed("/api/v1/namespaces"))
            quotas = pool.submit(or_none, lambda: tuple(self._listed("/api/v1/resourcequotas")))
            hooks = pool.submit(or_none, lambda: doubtful_hooks(self._connection))
            nodes = begin(lambda: or_none(self._nodes), wanted=runs or stores)
            ports = begin(lambda: or_none(self._ports), wanted=asks)
            storage = begin(lambda: or_none(self._storage), wanted=stores)
            snapshots = begin(lambda: or_none(self._snapshots), wanted=bool(self._facts.restored))
            snapshot_classes = begin(
                lambda: or_none(lambda: read_snapshot_classes(self._connection)),
                wanted=bool(self._facts.restored and self._facts.source_snapshot_classes),
            )
            lacking = begin(
                lambda: images(demand, self._creates) if images else None, wanted=bool(images)
            )
            starts = any(demand.pods[r].number for r in self._creates if r in demand.pods)
            answers = begin(lambda: source() if source else "", wanted=bool(source) and starts)
        who, bodies = us.result(), spaces.result()
        found = ports.result() if ports else ({}, {}, ())
        return replace(
            named,
            user=who.user if who else "",
            clock_ahead=who.clock_ahead if who else None,
            missing=allowed.result()[0],
            rights=allowed.result()[1],
            stored=stored.result(),
            holder=holder.result(),
            nodes=nodes.result() if nodes else (),
            quotas=quotas.result(),
            node_ports=found[0] if found else None,
            cluster_ips=found[1] if found else {},
            ranges=found[2] if found else (),
            hooks=hooks.result(),
            terminating=None if bodies is None else read_terminating(bodies),
            namespaces={
                body["metadata"]["name"]: body["metadata"].get("labels") or {}
                for body in bodies or ()
            },
            storage=storage.result() if storage else Storage(),
            snapshots=snapshots.result() if snapshots else None,
            snapshot_classes=snapshot_classes.result() if snapshot_classes else {},
            images=lacking.result() if lacking else None,
            source=answers.result() if answers else "",
        )

    def _listed(self, path: str) -> list[Body]:
        return list(listed(self._connection, path))

    def _stored(self) -> dict[Ref, tuple[str, ...]]:
        """In which versions objects are stored whose definition the plan changes."""
        changed = [ref for ref in self._facts.changes if ref in self._demand.definitions]
        return {ref: stored_versions(self._connection, ref.name) for ref in changed}

    def _nodes(self) -> tuple[Node, ...]:
        return read_nodes(self._listed("/api/v1/nodes"))

    def _ports(self) -> tuple[dict[tuple[int, str], Ref], dict[str, Ref], tuple[str, ...]]:
        ports, addresses = read_ports(self._listed("/api/v1/services"))
        ranges = or_none(lambda: self._listed("/apis/networking.k8s.io/v1/servicecidrs"))
        specs = [each.get("spec") or {} for each in ranges or ()]
        return ports, addresses, tuple(cidr for spec in specs for cidr in spec.get("cidrs") or ())

    def _storage(self) -> Storage:
        group = "/apis/storage.k8s.io/v1"
        coming = {ref.name for ref in self._creates if ref.group_kind == _DRIVER}
        # What is there counts, as long as the plan does not make it.
        bodies = self._groundwork.class_bodies
        made = [body for ref, body in bodies.items() if ref in self._facts.writes]
        classes = [*self._listed(f"{group}/storageclasses"), *made]
        drivers = self._listed(f"{group}/csidrivers")
        nodes = or_none(lambda: self._listed(f"{group}/csinodes"))
        volumes = capacities = None
        if any(_has_limit(body) for body in nodes or ()):
            volumes = or_none(lambda: self._listed("/api/v1/persistentvolumes"))
        if any((body.get("spec") or {}).get("storageCapacity") for body in drivers):
            capacities = or_none(lambda: self._listed(f"{group}/csistoragecapacities"))
        return read_storage(classes, drivers, nodes, volumes, capacities, coming=coming)

    def _snapshots(self) -> SnapshotFacts:
        return snapshot_facts(self._connection, self._groundwork.discovery)


def _has_limit(csi_node: Body) -> bool:
    drivers = (csi_node.get("spec") or {}).get("drivers") or ()
    return any((driver.get("allocatable") or {}).get("count") for driver in drivers)
