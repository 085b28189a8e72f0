"""Reads what a target has out of the objects that it lists. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from gitops_dr.checks.demand import SERVICE, addresses_of
from gitops_dr.checks.facts import Hook
from gitops_dr.checks.plan_facts import Node, Storage
from gitops_dr.manifests.quantity import amount
from gitops_dr.model import Body, Ref
from gitops_dr.volumes.restore import read_classes

_ADMISSION = "admissionregistration.k8s.io"


def read_nodes(bodies: Iterable[Body]) -> tuple[Node, ...]:
    """The nodes that take pods."""
    return tuple(
        Node(
            name=body["metadata"]["name"],
            labels=body["metadata"].get("labels") or {},
            taints=tuple(
                (str(t.get("key")), str(t.get("value") or ""), str(t.get("effect")))
                for t in spec.get("taints") or ()
            ),
            allocatable={
                name: number
                for name, value in ((body.get("status") or {}).get("allocatable") or {}).items()
                if (number := amount(value)) is not None
            },
        )
        for body in bodies
        if not (spec := body.get("spec") or {}).get("unschedulable")
    )


def read_ports(bodies: Iterable[Body]) -> tuple[dict[tuple[int, str], Ref], dict[str, Ref]]:
    """Which Service has each node port, and which has each address."""
    ports: dict[tuple[int, str], Ref] = {}
    addresses: dict[str, Ref] = {}
    for body in bodies:
        metadata, found = body["metadata"], addresses_of(body.get("spec") or {})
        ref = Ref(*SERVICE, metadata["namespace"], metadata["name"])
        ports |= dict.fromkeys(found.node_ports, ref)
        addresses |= dict.fromkeys(found.cluster_ips, ref)
    return ports, addresses


def read_hooks(kind: str, bodies: Iterable[Body]) -> Iterator[Hook]:
    """The webhooks that must answer and are asked through a Service."""
    for body in bodies:
        for hook in body.get("webhooks") or ():
            service = (hook.get("clientConfig") or {}).get("service")
            if hook.get("failurePolicy") == "Fail" and service:
                yield Hook(
                    configuration=Ref(_ADMISSION, kind, "", body["metadata"]["name"]),
                    name=str(hook.get("name")),
                    service=Ref("", "Service", str(service["namespace"]), str(service["name"])),
                    rules=tuple(hook.get("rules") or ()),
                    namespaces=hook.get("namespaceSelector") or {},
                    selects_objects=any((hook.get("objectSelector") or {}).values())
                    or bool(hook.get("matchConditions")),
                )


def is_served(slices: Iterable[Body]) -> bool:
    """Whether some endpoint of a Service's slices is ready.

    https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions
    """
    return any(
        (endpoint.get("conditions") or {}).get("ready") is not False
        for each in slices
        for endpoint in each.get("endpoints") or ()
    )


def read_storage(
    classes: Iterable[Body],
    drivers: Iterable[Body],
    nodes: Iterable[Body] | None,
    volumes: Iterable[Body] | None,
    *,
    coming: Collection[str] = (),
) -> Storage:
    """Who makes volumes. ``coming``: the CSIDrivers of the plan."""
    provisioners, defaults = read_classes(classes)
    running: Counter[str] = Counter()
    told_of = 0
    limits: dict[str, int | None] = {}
    for body in nodes or ():
        told_of += 1
        for one in (body.get("spec") or {}).get("drivers") or ():
            name, count = str(one.get("name")), _count(one)
            running[name] += 1
            so_far = limits.get(name, 0)
            # A driver that says nothing on one node has no limit there.
            limits[name] = so_far + count if count is not None and so_far is not None else None
    attached = Counter(
        str(csi.get("driver"))
        for body in volumes or ()
        if (csi := (body.get("spec") or {}).get("csi"))
    )
    return Storage(
        provisioners=provisioners,
        default_classes=defaults,
        drivers=frozenset({body["metadata"]["name"] for body in drivers} | set(coming)),
        nodes=dict(running),
        told_of=told_of,
        limits={name: limit for name, limit in limits.items() if limit is not None},
        attached=dict(attached),
    )


def _count(driver: Mapping[str, Any]) -> int | None:
    count = (driver.get("allocatable") or {}).get("count")
    return count if isinstance(count, int) else None


def read_terminating(bodies: Iterable[Body]) -> dict[str, str]:
    """The namespaces that are being deleted, with what holds each."""
    return {
        body["metadata"]["name"]: "; ".join(
            str(condition.get("message"))
            for condition in (body.get("status") or {}).get("conditions") or ()
            if condition.get("status") == "True" and "Remaining" in str(condition.get("type"))
        )
        for body in bodies
        if body["metadata"].get("deletionTimestamp")
    }
