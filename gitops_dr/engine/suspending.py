"""Stops the workloads that use claims, and lets them run again. Writes the cluster.

A workload carries an annotation with its replicas while it is stopped, so that whoever comes after
us knows how it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from gitops_dr.cluster.apply import get, merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine.snapshots import LOOK_AGAIN, listed
from gitops_dr.errors import ClusterError
from gitops_dr.events import Emit, Waiting
from gitops_dr.model import Body, Ref, Resource
from gitops_dr.readiness import readiness
from gitops_dr.volumes.in_place import (
    DEPLOYMENT,
    CannotReplaceError,
    Workload,
    check_workload,
    is_suspended,
    pod_uses,
    replicas_of,
    resumption,
    suspension,
    workload_uses,
)
from gitops_dr.volumes.sets import STATEFUL_SET

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
_REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)
_AUTOSCALERS = Resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True
)
WORKLOADS: Mapping[tuple[str, str], Resource] = {
    DEPLOYMENT: Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
    STATEFUL_SET: Resource("apps", "v1", "StatefulSet", "statefulsets", namespaced=True),
}
_ATTEMPTS = 5
"""How often a patch is made anew because somebody else wrote to the workload meanwhile."""


def workloads_of(connection: Connection, claims: Collection[Ref]) -> list[Workload]:
    """The workloads that must be stopped so that nobody uses the claims.

    Raises ``CannotReplaceError`` that names what uses one and cannot be stopped, and ``ApiError``.
    """
    found: dict[Ref, Workload] = {}
    for namespace in sorted({claim.namespace for claim in claims}):
        autoscalers = list(_listed(connection, _AUTOSCALERS, namespace))
        for group_kind, resource in WORKLOADS.items():
            for body in _listed(connection, resource, namespace):
                if any(workload_uses(group_kind, body, claim) for claim in claims):
                    ref = Ref(*group_kind, namespace, body["metadata"]["name"])
                    check_workload(ref, body, autoscalers)
                    found[ref] = Workload(ref, replicas_of(body), _was_ready(ref, body))
        for pod in _users(connection, namespace, claims):
            user = _controller(connection, pod)
            if user not in found:
                raise CannotReplaceError(
                    f"{user} uses it, and only Deployments and StatefulSets can be stopped and "
                    "started again",
                    hint="delete or stop it yourself; a claim that no pod uses is replaced without "
                    "touching any workload",
                )
    return [found[ref] for ref in sorted(found)]


def users_of(
    connection: Connection, workloads: Collection[Workload], claims: Collection[Ref]
) -> set[Ref]:
    """Those of the claims that a pod of one of the workloads uses. Raises ``ApiError``."""
    used: set[Ref] = set()
    for workload in workloads if claims else ():
        ref = workload.ref
        body = get(connection, WORKLOADS[ref.group_kind], ref.namespace, ref.name)
        used |= {claim for claim in claims if workload_uses(ref.group_kind, body, claim)}
    return used


def suspend(connection: Connection, workloads: Iterable[Workload]) -> None:
    """Scale to 0, and note how many replicas there were. Raises ``ApiError``."""
    for workload in workloads:
        _patch(connection, workload.ref, _stop)


def resume(connection: Connection, workloads: Iterable[Workload]) -> None:
    """Give back the replicas that were noted. Raises ``ApiError``."""
    for workload in workloads:
        _patch(connection, workload.ref, _start)


def await_unused(
    connection: Connection, claims: Collection[Ref], timeout: float, emit: Emit
) -> None:
    """Wait until no pod has one of the claims.

    Raises ``ClusterError`` after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    namespaces = sorted({claim.namespace for claim in claims})
    while True:
        pod = next(
            (pod for each in namespaces for pod in _users(connection, each, claims)),
            None,
        )
        if pod is None:
            return
        metadata = pod["metadata"]
        ref = Ref(*PODS.group_kind, metadata["namespace"], metadata["name"])
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{ref}: still uses the claim although its workload was scaled to 0",
                hint="does a GitOps controller or an operator start it again? Suspend that first",
            )
        emit(Waiting(ref, "has not ended yet"))
        time.sleep(LOOK_AGAIN)


def await_running(
    connection: Connection, workloads: Collection[Workload], timeout: float, emit: Emit
) -> list[str]:
    """Wait until workloads are ready.

    Raises ``ClusterError`` if one is not after ``timeout`` seconds; of those that were not before
    either it is only said what they lack.
    """
    lacking = []
    deadline = time.monotonic() + timeout
    for workload in workloads:
        resource = WORKLOADS[workload.ref.group_kind]
        while True:
            body = get(connection, resource, workload.ref.namespace, workload.ref.name)
            found = readiness({**body, "apiVersion": "apps/v1", "kind": workload.ref.kind})
            if found.ready:
                break
            if found.failed or time.monotonic() > deadline:
                if workload.was_ready:
                    raise ClusterError(f"{workload.ref}: {found.reason}")
                lacking.append(f"{workload.ref}: {found.reason}, as before")
                break
            emit(Waiting(workload.ref, found.reason))
            time.sleep(LOOK_AGAIN)
    return lacking


def _was_ready(ref: Ref, body: Body) -> bool:
    """Whether it ran before the restore; of one that is stopped already nobody knows, so yes."""
    return (
        is_suspended(body) or readiness({**body, "apiVersion": "apps/v1", "kind": ref.kind}).ready
    )


def _stop(group_kind: tuple[str, str], body: Body) -> Body | None:
    runs = replicas_of(body) and not is_suspended(body)
    return suspension(group_kind, body) if runs else None


def _start(_group_kind: tuple[str, str], body: Body) -> Body | None:
    return resumption(body) if is_suspended(body) else None


def _patch(
    connection: Connection,
    ref: Ref,
    change: Callable[[tuple[str, str], Body], Body | None],
) -> None:
    """Change a workload, unless there is nothing to change."""
    resource = WORKLOADS[ref.group_kind]
    for attempt in range(_ATTEMPTS):
        live = get(connection, resource, ref.namespace, ref.name)
        wanted = change(ref.group_kind, live)
        if wanted is None:
            return
        try:
            merge(connection, resource, wanted)
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _users(connection: Connection, namespace: str, claims: Collection[Ref]) -> Iterator[Body]:
    for pod in _listed(connection, PODS, namespace):
        if any(pod_uses(pod, claim) for claim in claims):
            yield pod


def _controller(connection: Connection, pod: Body) -> Ref:
    """What makes the pod: its workload, if it has one, else itself."""
    namespace = pod["metadata"]["namespace"]
    owner = _owner(pod)
    if owner is None:
        return Ref(*PODS.group_kind, namespace, pod["metadata"]["name"])
    if owner.group_kind == _REPLICA_SETS.group_kind:
        try:
            above = _owner(get(connection, _REPLICA_SETS, namespace, owner.name))
        except ApiError as error:
            if error.status != 404:
                raise
            above = None
        return above or owner
    return owner


def _owner(body: Body) -> Ref | None:
    metadata = body["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            group = str(owner["apiVersion"]).rpartition("/")[0]
            return Ref(group, owner["kind"], metadata["namespace"], owner["name"])
    return None


def _listed(connection: Connection, resource: Resource, namespace: str) -> Iterator[Body]:
    return listed(connection, collection_path(resource, namespace))
