"""Where a rebuild goes: a cluster, what is other there than at the source, and why. Pure words.

``target_file.py`` reads one from ``targets/<name>/target.yaml``; ``target_state.py`` rewrites a
commit's State for it. The identity target is the source itself: all is wanted as it stands in Git.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gitops_dr.desired.authored import Authored
from gitops_dr.desired.outward import NO_HOLD, Hold
from gitops_dr.manifests.fieldpath import FieldPath
from gitops_dr.manifests.selector import ObjectSelector
from gitops_dr.model import MaskedValue, Ref


class Holds(StrEnum):
    """What the value of a field is, so that it is known which mapping is about it."""

    IMAGE = "image"
    """A container image, such as ``registry.example.com/shop/api:v1``."""
    NAMESPACE = "namespace"
    ACCOUNT = "account"
    """A user or group of service accounts, such as ``system:serviceaccount:shop:api``."""
    DNS = "dns"
    """A Service by its name in the cluster, such as ``db.shop.svc``; there may be text around."""
    OBJECT = "object"
    """``namespace/name``."""
    HOST = "host"
    """A host name; there may be text around, as in a URL."""
    STORAGE_CLASS = "storageClass"
    SNAPSHOT_CLASS = "snapshotClass"
    HANDLE = "handle"
    """What a storage knows a snapshot or volume by."""
    INGRESS_CLASS = "ingressClass"
    SERVICE_TYPE = "serviceType"
    NODE_LABELS = "nodeLabels"
    """A map of labels that a node must have."""
    NODE_REQUIREMENTS = "nodeRequirements"
    """A list of ``key``, ``operator`` and ``values`` that a node must meet."""
    NAMESPACE_REQUIREMENTS = "namespaceRequirements"
    """The same for the labels of a namespace, of which one is its name."""


@dataclass(frozen=True, slots=True)
class Mappings:
    """What is called otherwise at the target; each from the source's value to the target's."""

    storage_classes: Mapping[str, str] = field(default_factory=dict)
    snapshot_classes: Mapping[str, str] = field(default_factory=dict)
    handles: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    """Beginnings of image names; the longest that fits counts."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Host names; one that begins with a dot stands for all that end so."""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    """``key=value`` of nodes; to nothing: it is not asked for there."""
    ingress_classes: Mapping[str, str] = field(default_factory=dict)
    service_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """A field of which people say what it holds, such as one of a custom resource."""

    group: str
    kind: str
    path: FieldPath
    holds: Holds


class Form(StrEnum):
    """How a patch says what changes."""

    STRATEGIC = "strategic"
    JSON6902 = "json6902"


@dataclass(frozen=True, slots=True)
class Patch:
    """What is other at the target in the objects that ``selector`` chooses among the source's."""

    place: str
    """Where it is written, for messages."""
    selector: ObjectSelector
    form: Form
    content: Any
    because: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Workloads that run on a standby, too."""

    selector: ObjectSelector
    because: str


@dataclass(frozen=True, slots=True)
class Standby:
    """How the target is at rest."""

    kept: tuple[Kept, ...] = ()


class Strategy(StrEnum):
    """What of the repository is at the target before a failover."""

    COLD = "cold"
    """Nothing: it is only checked that it could be."""
    WARM = "warm"
    """Everything, at rest: the rows of ``standby.yaml`` count."""
    HOT = "hot"
    """Everything, and it runs, but for what acts outward."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Which of the source's namespaces the target has; patterns."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rebuild goes. Without a name it is the identity target."""

    name: str = ""
    cluster: str = ""
    """The only cluster of the repository that it is a target of; empty: of any."""
    context: str = ""
    """The kubeconfig context to reach it by; empty if the file does not say."""
    uid: str = ""
    """UID of its ``kube-system`` namespace, which no other cluster has; empty if it is unknown."""
    mappings: Mappings = field(default_factory=Mappings)
    fields: tuple[DeclaredField, ...] = ()
    namespaces: Namespaces = field(default_factory=Namespaces)
    strategy: Strategy = Strategy.HOT
    active: bool = False
    """It has been failed over to: everything runs there, whatever the strategy says."""
    standby: Standby = field(default_factory=Standby)
    patches: tuple[Patch, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    secret_values: Mapping[str, MaskedValue] = field(default_factory=dict)
    """Values from encrypted files."""
    manifests: tuple[Authored, ...] = ()
    """What only the target has, and its own Secrets, which stand in place of the source's."""
    closed: Mapping[Ref, str] = field(default_factory=dict)
    """Secrets of its own that cannot be opened, and why."""
    version: str = ""
    """Changes whenever anything of the target's folder does."""
    hold: Hold = NO_HOLD
    """What acts outward and is held there."""

    @property
    def at_rest(self) -> bool:
        """Whether its workloads wait for a failover."""
        return self.strategy is Strategy.WARM and not self.active

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the repository is to be there before a failover."""
        return self.strategy is Strategy.COLD and not self.active


IDENTITY = Target()
