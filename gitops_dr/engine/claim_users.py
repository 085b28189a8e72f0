"""Finds out what uses claims now, or would as soon as it may. Reads the cluster only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine.snapshots import listed
from gitops_dr.engine.suspending import PODS, WORKLOADS
from gitops_dr.model import Ref, Resource
from gitops_dr.volumes.in_place import pod_uses, replicas_of, workload_uses

_ATTACHMENTS = Resource(
    "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", namespaced=False
)


def used_by(connection: Connection, volumes: Mapping[Ref, str]) -> dict[Ref, str]:
    """What uses each claim now, in words: a pod, a workload that is not at zero, a node.

    ``volumes``: the claims, each with the name of its PersistentVolume. Those that nothing uses are
    not in the result. Raises ``ApiError``.
    """
    found: dict[Ref, str] = {}
    for namespace in sorted({ref.namespace for ref in volumes}):
        here = [ref for ref in volumes if ref.namespace == namespace]
        for body in listed(connection, collection_path(PODS, namespace)):
            name = Ref(*PODS.group_kind, namespace, body["metadata"]["name"])
            for ref in here:
                if pod_uses(body, ref):
                    found.setdefault(ref, f"{name} has it")
        for group_kind, resource in WORKLOADS.items():
            for body in listed(connection, collection_path(resource, namespace)):
                workload = Ref(*group_kind, namespace, body["metadata"]["name"])
                for ref in here:
                    if workload_uses(group_kind, body, ref):
                        told = f"{workload} has it, and {replicas_of(body)} replicas"
                        found.setdefault(ref, told)
    attached = dict(_attached(connection))
    for ref, volume in volumes.items():
        if volume in attached:
            found.setdefault(ref, f"its volume is attached to node {attached[volume]}")
    return found


def _attached(connection: Connection) -> Iterator[tuple[str, str]]:
    """Each PersistentVolume that is attached to a node, or is to be, with the node."""
    for body in listed(connection, collection_path(_ATTACHMENTS)):
        spec = body.get("spec") or {}
        yield str((spec.get("source") or {}).get("persistentVolumeName")), str(spec.get("nodeName"))
