"""Plans and targets for the tests of a plan's checks, in which all is well but for one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from gitops_dr.checks.demand import Demand
from gitops_dr.checks.facts import Hook
from gitops_dr.checks.of_plan import check_plan
from gitops_dr.checks.plan_facts import Node, PlanFacts, Seen, Storage
from gitops_dr.model import Ref
from gitops_dr.volumes.records import SnapshotRecord

Case = tuple[PlanFacts, str, PlanFacts]
"""What is wrong, the line that tells it (with the row's id), and a near miss."""

PLURALS = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "Service": "services",
    "ConfigMap": "configmaps",
    "Namespace": "namespaces",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "PersistentVolume": "persistentvolumes",
    "VolumeSnapshotContent": "volumesnapshotcontents",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "StorageClass": "storageclasses",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
}
SNAPSHOTS = "snapshot.storage.k8s.io"
HOOK = Ref("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "", "w")
NODE = Node(
    "n1",
    {"zone": "a", "size": "4"},
    allocatable={"cpu": Fraction(4), "memory": Fraction(8 * 1024**3)},
)

CALM = Seen(
    server="target",
    version="v1.37.2",
    nodes=(NODE,),
    storage=Storage(default_classes=("standard",)),
)
"""A target in which all is well."""


def facts(*objects: tuple[Ref, Mapping[str, Any]], **more: Any) -> PlanFacts:
    demand = Demand()
    for ref, body in objects:
        demand.look(ref, dict(body))
    seen = more.pop("seen", CALM)
    written = {ref: PLURALS[ref.kind] for ref, _ in objects}
    changed = more.pop("changed", ())
    creates = {ref: plural for ref, plural in written.items() if ref not in changed}
    changes = {ref: written[ref] for ref in changed}
    return PlanFacts(demand, creates, seen=seen, changes=changes, **more)


def seen(**parts: Any) -> Seen:
    return replace(CALM, **parts)


def workload(name: str = "web", kind: str = "Deployment", replicas: int = 1, **pod: Any) -> Any:
    spec: dict[str, Any] = {"replicas": replicas, "template": {"spec": pod}}
    return Ref("apps", kind, "shop", name), {"spec": spec}


def with_requests(number: int, **requests: str) -> Any:
    container = {"name": "a", "image": "i", "resources": {"requests": requests}}
    return workload(replicas=number, containers=[container])


def service(name: str = "web", **spec: Any) -> Any:
    return Ref("", "Service", "shop", name), {"spec": spec}


def claim(name: str = "data", size: str = "1Gi", **spec: Any) -> Any:
    spec = {"resources": {"requests": {"storage": size}}, **spec}
    return Ref("", "PersistentVolumeClaim", "shop", name), {"spec": spec}


def config_map(name: str = "a", namespace: str = "shop") -> Any:
    return Ref("", "ConfigMap", namespace, name), {}


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "q", "namespace": "shop"},
        "spec": {"hard": hard, **spec},
        "status": {"used": used},
    }


def hook(**parts: Any) -> Hook:
    rule = {"operations": ["CREATE"], "apiGroups": [""], "resources": ["configmaps"]}
    return replace(Hook(HOOK, "w.example.com", Ref("", "Service", "x", "s"), (rule,)), **parts)


def found(given: PlanFacts) -> dict[str, list[str]]:
    return {
        one.id: [f"{f.severity}: {f.about}: {f.reason}" for f in one.findings]
        for one in check_plan(given)
        if one.findings
    }


def required(*expressions: Mapping[str, Any]) -> dict[str, Any]:
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    return {"nodeAffinity": {key: {"nodeSelectorTerms": [{"matchExpressions": [*expressions]}]}}}


def on(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def record(**parts: Any) -> dict[Ref, SnapshotRecord]:
    """That claim ``data`` is filled from a snapshot."""
    made = SnapshotRecord(
        "shop", "data", "u", "s", "d.csi", "h", "2026-11-22T10:00:00Z", 1024**3, "1Gi", "1Gi",
        "Filesystem", ("ReadWriteOnce",), "fast", "Immediate", "snaps", "s", "c",
    )  # fmt: skip
    return {made.ref: replace(made, **parts)}


ONE = record()
