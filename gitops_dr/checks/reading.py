"""Reads what a target has out of the objects that it lists. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gitops_dr.checks.demand import SERVICE, addresses_of
from gitops_dr.checks.facts import Hook
from gitops_dr.checks.plan_facts import Class, Node, Room, Storage
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
    """The webhooks that must answer, by Service or by URL."""
    for body in bodies:
        for hook in body.get("webhooks") or ():
            client = hook.get("clientConfig") or {}
            service, url = client.get("service"), client.get("url")
            if hook.get("failurePolicy") == "Fail" and (service or url):
                yield Hook(
                    configuration=Ref(_ADMISSION, kind, "", body["metadata"]["name"]),
                    name=str(hook.get("name")),
                    service=Ref("", "Service", str(service["namespace"]), str(service["name"]))
                    if service
                    else None,
                    rules=tuple(hook.get("rules") or ()),
                    namespaces=hook.get("namespaceSelector") or {},
                    selects_objects=any((hook.get("objectSelector") or {}).values())
                    or bool(hook.get("matchConditions")),
                    host="" if service else _host(str(url)),
                )


def _host(url: str) -> str:
    try:
        found = urlsplit(url)
        port = f":{found.port}" if found.port else ""
    except ValueError:
        return ""
    return f"{found.hostname or ''}{port}"


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
    capacities: Iterable[Body] | None = (),
    *,
    coming: Collection[str] = (),
) -> Storage:
    """Who makes volumes. ``coming``: the CSIDrivers of the plan."""
    found = list(classes)
    provisioners, defaults = read_classes(found)
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
        classes={body["metadata"]["name"]: read_class(body) for body in found},
        room=_room(capacities or ()),
        provisioners=provisioners,
        default_classes=defaults,
        drivers=frozenset({body["metadata"]["name"] for body in drivers} | set(coming)),
        nodes=dict(running),
        told_of=told_of,
        limits={name: limit for name, limit in limits.items() if limit is not None},
        attached=dict(attached),
    )


def read_class(body: Body) -> Class:
    """What a StorageClass or a VolumeSnapshotClass says. What is odd in it says nothing."""
    parameters = body.get("parameters")
    terms = body.get("allowedTopologies")
    return Class(
        driver=str(body.get("provisioner") or body.get("driver") or ""),
        parameters={str(key): str(value) for key, value in parameters.items()}
        if isinstance(parameters, dict)
        else {},
        reclaim=str(body.get("reclaimPolicy") or "Delete"),
        expands=body.get("allowVolumeExpansion") is True,
        binds_late=body.get("volumeBindingMode") == "WaitForFirstConsumer",
        topologies=tuple(map(_place, terms)) if isinstance(terms, list) else (),
    )


def _place(term: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    wanted = term.get("matchLabelExpressions") if isinstance(term, dict) else None
    return tuple(
        (str(each.get("key")), tuple(map(str, values)))
        for each in (wanted if isinstance(wanted, list) else ())
        if isinstance(each, dict) and isinstance(values := each.get("values"), list)
    )


def _room(capacities: Iterable[Body]) -> dict[str, Room]:
    """How much each StorageClass has left, by what its driver publishes for each segment.

    A segment without a number has no room as yet, or its driver does not know:
    https://kubernetes.io/docs/concepts/storage/storage-capacity/#api
    """
    found: dict[str, Room] = {}
    for body in capacities:
        free = amount(body.get("capacity") or "")
        largest = amount(body.get("maximumVolumeSize") or "")
        if free is None and largest is None:
            continue
        name = str(body.get("storageClassName"))
        room = found.get(name, Room())
        together = None if room.together is None or free is None else room.together + free
        found[name] = Room(max(room.largest, largest or free or room.largest), together)
    return found


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
