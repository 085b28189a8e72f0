"""What the checks of a plan look at: what it asks for, and what was seen of the target. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from gitops_dr.checks.demand import Demand
from gitops_dr.checks.facts import Hook, SnapshotFacts
from gitops_dr.checks.needs import Need
from gitops_dr.model import Body, Gap, Holder, Ref


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the target that takes pods."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[tuple[str, str, str], ...] = ()
    """Key, value and effect."""
    allocatable: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Storage:
    """Who makes volumes in the target. Each by name."""

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
class Seen:
    """What was seen of the target. None: we may not look, or nobody answered."""

    server: str = ""
    version: str = ""
    user: str = ""
    clock_ahead: float | None = None
    missing: tuple[Need, ...] | None = ()
    holder: Holder | None = None
    nodes: tuple[Node, ...] | None = ()
    quotas: tuple[Body, ...] | None = ()
    node_ports: Mapping[tuple[int, str], Ref] | None = field(default_factory=dict)
    cluster_ips: Mapping[str, Ref] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    """The ranges that addresses of Services are of; empty where the API server does not say."""
    hooks: tuple[Hook, ...] | None = ()
    terminating: Mapping[str, str] | None = field(default_factory=dict)
    """Namespaces that are being deleted, with what holds them."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The labels of those that are there."""
    storage: Storage | None = field(default_factory=Storage)
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
    restored: int = 0
    """How many claims are filled from snapshots."""
    brings_snapshots: bool = False
    """The plan itself defines VolumeSnapshots."""
