"""Says why workloads are not ready: what their pods lack, or what was said of them. Reads only.

A workload counts its replicas; that no node has room for them, that an image cannot be pulled or
that a quota forbids them is said of its pods, or in events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.snapshots import listed
from gitops_dr.engine.warnings import PerNamespace, newest_warnings
from gitops_dr.model import Body, Outcome, Result
from gitops_dr.readiness import readiness

WORKLOADS = frozenset(
    {
        ("", "Pod"),
        ("", "ReplicationController"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("batch", "Job"),
    }
)
"""What runs pods, and pods."""


@dataclass(frozen=True, slots=True)
class _Namespace:
    """What is known of one namespace's pods."""

    pods: dict[tuple[str, str], list[Body]]
    """Pods that are not ready, by kind and name of each controller above them."""
    warnings: dict[tuple[str, str], str]
    """The newest warning about an object, on one line, by its kind and name."""
    above: dict[tuple[str, str], tuple[str, str]]
    """The controller of each ReplicaSet."""

    def why(self, kind: str, name: str) -> str:
        """The first reason that is found; empty if there is none."""
        for pod in self.pods.get((kind, name), ()):
            pod_name = str(pod["metadata"]["name"])
            said = readiness(pod).reason
            warning = self.warnings.get(("Pod", pod_name), "")
            # Where the status says no more than that it waits, an event may know why.
            told = said if _tells(pod) or not warning else f"{said}: {warning}"
            return told if kind == "Pod" else f"Pod {pod_name}: {told}"
        for child, owner in self.above.items():
            if owner == (kind, name) and child in self.warnings:
                return self.warnings[child]
        return self.warnings.get((kind, name), "")


def with_causes(connection: Connection, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Outcomes, of which those of workloads that are not ready also say why.

    The others stay as they are. Three requests a namespace; none any more once one has failed.
    """
    known = PerNamespace(partial(_look, connection))
    for outcome in outcomes:
        ref = outcome.ref
        if ref.group_kind not in WORKLOADS or outcome.result is not Result.UNREADY:
            yield outcome
            continue
        found = known.of(ref.namespace)
        cause = found.why(ref.kind, ref.name) if found else ""
        if cause and cause not in outcome.reason:
            yield replace(outcome, reason=f"{outcome.reason}; {cause}")
        else:
            yield outcome


def _look(connection: Connection, namespace: str) -> _Namespace:
    """Read a namespace's pods, ReplicaSets and warnings. Raises ``ApiError``."""
    sets = listed(connection, f"/apis/apps/v1/namespaces/{namespace}/replicasets")
    above = {
        ("ReplicaSet", str(each["metadata"]["name"])): owner
        for each in sets
        if (owner := _controller(each))
    }
    pods: dict[tuple[str, str], list[Body]] = {}
    for pod in listed(connection, f"/api/v1/namespaces/{namespace}/pods"):
        pod = {**pod, "apiVersion": "v1", "kind": "Pod"}  # noqa: PLW2901 - items of a list lack them
        if readiness(pod).ready:
            continue
        at: tuple[str, str] | None = ("Pod", str(pod["metadata"]["name"]))
        while at is not None:
            pods.setdefault(at, []).append(pod)
            at = _controller(pod) if at[0] == "Pod" else above.get(at)
    return _Namespace(pods, newest_warnings(connection, namespace), above)


def _controller(body: Body) -> tuple[str, str] | None:
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("kind")), str(owner.get("name"))
    return None


def _tells(pod: Body) -> bool:
    return not readiness(pod).reason.endswith("not ready")
