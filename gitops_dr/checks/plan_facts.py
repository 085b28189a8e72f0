"""What the checks of a plan look at: what it asks for, and what was seen of the target. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from gitops_dr.checks.demand import Demand, RoleRules
from gitops_dr.checks.facts import Hook, SnapshotFacts
from gitops_dr.checks.needs import Need, Rule
from gitops_dr.model import Body, Gap, Holder, Ref
from gitops_dr.volumes.records import SnapshotRecord


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the target that takes pods."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[tuple[str, str, str], ...] = ()
    """Key, value and effect."""
    allocatable: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Class:
    """How volumes are made, as a StorageClass says; or snapshots, as a VolumeSnapshotClass does."""

    driver: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reclaim: str = "Delete"
    """What becomes of a volume whose claim is deleted."""
    expands: bool = False
    binds_late: bool = False
    """A volume is made where the pod is to run that uses the claim."""
    topologies: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...] = ()
    """Where volumes may be: of each alternative the labels of nodes with their values."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much the storage of a class has left, in bytes, as its driver publishes it."""

    largest: Fraction = Fraction()
    """The largest volume that there is room for anywhere."""
    together: Fraction | None = Fraction()
    """All that is left; None: not known."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Who makes volumes in the target. Each by name."""

    classes: Mapping[str, Class] = field(default_factory=dict)
    """StorageClasses, those that the plan brings among them."""
    room: Mapping[str, Room] = field(default_factory=dict)
    """Of each StorageClass whose driver publishes it."""

    provisioners: Mapping[str, str] = field(default_factory=dict)
    """Of each StorageClass, those that the plan brings among them."""
    default_classes: tuple[str, ...] = ()
    drivers: frozenset[str] = frozenset()
    """The CSIDrivers, those that the plan brings among them."""
    nodes: Mapping[str, int] = field(default_factory=dict)
    """On how many nodes each CSI driver runs."""
    told_of: int = 0
    """How many nodes say which drivers run there; none do where there is no kubelet."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """How many volumes of each driver its nodes take together, where all of them say it."""
    attached: Mapping[str, int] = field(default_factory=dict)
    """How many volumes of each driver there are."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What our user may give to others, as far as a plan needs it."""

    everything: bool = False
    held: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    """What RBAC lets our user do, by namespace; empty name: in all of them."""
    roles: Mapping[Ref, RoleRules | None] = field(default_factory=dict)
    """The roles of the target that bindings give; None: nobody may look. One that is not there is
    not among them."""
    granted: frozenset[Need] = frozenset()
    """The rights to escalate and to bind that our user has, of those that were asked for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the target. None: we may not look, or nobody answered."""

    server: str = ""
    version: str = ""
    user: str = ""
    clock_ahead: float | None = None
    missing: tuple[Need, ...] | None = ()
    rights: Rights | None = field(default_factory=Rights)
    stored: Mapping[Ref, tuple[str, ...]] | None = field(default_factory=dict)
    """Of each CustomResourceDefinition that the plan changes: the versions in which objects of it
    may be stored."""
    holder: Holder | None = None
    nodes: tuple[Node, ...] | None = ()
    quotas: tuple[Body, ...] | None = ()
    node_ports: Mapping[tuple[int, str], Ref] | None = field(default_factory=dict)
    cluster_ips: Mapping[str, Ref] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    """The ranges that addresses of Services are of; empty where the API server does not say."""
    hooks: tuple[Hook, ...] | None = ()
    """Those that must answer and have no backend, or are asked by URL."""
    terminating: Mapping[str, str] | None = field(default_factory=dict)
    """Namespaces that are being deleted, with what holds them."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The labels of those that are there."""
    storage: Storage | None = field(default_factory=Storage)
    snapshot_classes: Mapping[str, Class] | None = field(default_factory=dict)
    """The target's, by name."""
    snapshots: SnapshotFacts | None = None
    """None where they do not matter, or nobody may look."""
    images: Mapping[str, str] | None = None
    """Why each image cannot be had; None where nobody asked."""
    source: str = ""
    """Where the source still answers; empty if it does not, or is not asked."""


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """Everything that the checks of a plan are about."""

    demand: Demand
    creates: Mapping[Ref, str]
    """What the plan creates, with the plural name of its resource."""
    changes: Mapping[Ref, str] = field(default_factory=dict)
    """What the plan changes or replaces, likewise."""
    seen: Seen = field(default_factory=Seen)
    source_version: str = ""
    elsewhere: bool = False
    """The target is another cluster than the source."""
    refused: Mapping[Ref, str] = field(default_factory=dict)
    """What the target does not know, by object; that is a gap of the plan."""
    rewritten: Mapping[Ref, str] = field(default_factory=dict)
    """Objects whose version in Git is not served any more, with the one that they are made in."""
    blocked: tuple[Gap, ...] = ()
    """What stops the plan: data that is required, Secrets that stay closed, quotas."""
    absent: Mapping[Ref, tuple[Ref, ...]] = field(default_factory=dict)
    """Classes that are neither in Git nor in the target, with who needs them."""
    present: frozenset[Ref] = frozenset()
    """Claims that are there."""
    restored: Mapping[Ref, SnapshotRecord] = field(default_factory=dict)
    """The claims that are filled from snapshots, with what Git knows of each."""
    asked: datetime | None = None
    """When the plan was made."""
    max_age: timedelta | None = None
    """How old snapshots may be (``volumes.maxAge``); None: as old as they are."""
    brings_snapshots: bool = False
    """The plan itself defines VolumeSnapshots."""
    source_classes: Mapping[str, tuple[Class, ...]] = field(default_factory=dict)
    """The source's StorageClasses, by the name that the target has for them."""
    source_snapshot_classes: Mapping[str, Class] = field(default_factory=dict)
    """Its VolumeSnapshotClasses, likewise."""
    copied: bool = False
    """The target has copies of the snapshots: its mappings give them other handles."""

    @property
    def writes(self) -> Mapping[Ref, str]:
        """All that the plan creates, changes or replaces."""
        return {**self.creates, **self.changes}
