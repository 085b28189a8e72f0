"""The kinds that count: workloads, Pods and Jobs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitops_dr.model import Body
from gitops_dr.readiness.status import (
    READY,
    UNSEEN,
    Readiness,
    as_list,
    as_map,
    condition_of,
    not_seen,
    number_of,
    one_line,
    told,
)


def _deployment(body: Body) -> Readiness:
    spec, status = as_map(body.get("spec")), as_map(body.get("status"))
    if not_seen(body):
        return UNSEEN
    if spec.get("paused") is True:
        return READY
    progressing = condition_of(body, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        reason = told(progressing, "Progressing")
        return Readiness(ready=False, reason=_replica_failure(body) or reason, failed=True)
    wanted, updated = number_of(spec, "replicas", 1), number_of(status, "updatedReplicas")
    return (
        _short(body, updated, wanted, "updated")
        or _leftover(number_of(status, "replicas") - updated)
        or _short(body, number_of(status, "availableReplicas"), wanted, "available")
        or READY
    )


def _stateful_set(body: Body) -> Readiness:
    spec, status = as_map(body.get("spec")), as_map(body.get("status"))
    if not_seen(body):
        return UNSEEN
    wanted = number_of(spec, "replicas", 1)
    lacking = _short(body, number_of(status, "readyReplicas"), wanted, "ready") or _leftover(
        number_of(status, "replicas") - wanted
    )
    strategy = as_map(spec.get("updateStrategy"))
    if lacking or strategy.get("type") == "OnDelete":
        return lacking or READY
    kept = number_of(as_map(strategy.get("rollingUpdate")), "partition")
    if kept:
        updated = number_of(status, "updatedReplicas")
        return _short(body, updated, max(0, wanted - kept), "updated") or READY
    if status.get("currentRevision") != status.get("updateRevision"):
        reason = f"{number_of(status, 'updatedReplicas')} of {wanted} replicas are updated"
        return Readiness(ready=False, reason=reason)
    return READY


def _daemon_set(body: Body) -> Readiness:
    spec, status = as_map(body.get("spec")), as_map(body.get("status"))
    if not_seen(body) or "desiredNumberScheduled" not in status:
        return UNSEEN
    wanted = number_of(status, "desiredNumberScheduled")
    if as_map(spec.get("updateStrategy")).get("type") != "OnDelete":
        updated = number_of(status, "updatedNumberScheduled")
        if updated < wanted:
            return Readiness(ready=False, reason=f"{updated} of {wanted} pods are updated")
    available = number_of(status, "numberAvailable")
    if available < wanted:
        return Readiness(ready=False, reason=f"{available} of {wanted} pods are available")
    return READY


def _replica_set(body: Body) -> Readiness:
    spec, status = as_map(body.get("spec")), as_map(body.get("status"))
    if not_seen(body):
        return UNSEEN
    wanted = number_of(spec, "replicas", 1)
    return (
        _short(body, number_of(status, "availableReplicas"), wanted, "available")
        or _leftover(number_of(status, "replicas") - wanted)
        or READY
    )


def _job(body: Body) -> Readiness:
    spec, status = as_map(body.get("spec")), as_map(body.get("status"))
    failed = condition_of(body, "Failed")
    if failed.get("status") == "True":
        return Readiness(ready=False, reason=told(failed, "Failed"), failed=True)
    if condition_of(body, "Complete").get("status") == "True" or spec.get("suspend") is True:
        return READY
    done, wanted = number_of(status, "succeeded"), number_of(spec, "completions", 1)
    return Readiness(ready=False, reason=f"{done} of {wanted} completions")


def _pod(body: Body) -> Readiness:
    status = as_map(body.get("status"))
    phase = status.get("phase") or "Pending"
    if as_list(as_map(body.get("spec")).get("schedulingGates")):
        # Somebody holds it on purpose, as a suspended Job is held.
        return READY
    if phase == "Succeeded" or (
        phase == "Running" and condition_of(body, "Ready").get("status") == "True"
    ):
        return READY
    if phase == "Failed":
        said = one_line(status.get("message")) or one_line(status.get("reason"))
        return Readiness(ready=False, reason=said or "its containers failed", failed=True)
    scheduled = condition_of(body, "PodScheduled")
    if scheduled.get("status") == "False":
        return Readiness(ready=False, reason=told(scheduled, "PodScheduled"))
    for listing in ("initContainerStatuses", "containerStatuses"):
        for container in as_list(status.get(listing)):
            waiting = as_map(as_map(as_map(container).get("state")).get("waiting"))
            if waiting.get("reason"):
                reason = f"container {as_map(container).get('name')}: {waiting['reason']}"
                said = one_line(waiting.get("message"))
                return Readiness(
                    ready=False, reason=one_line(f"{reason}: {said}" if said else reason)
                )
    return Readiness(ready=False, reason=f"is {phase} and not ready")


COUNTED: Mapping[tuple[str, str], Callable[[Body], Readiness]] = {
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replica_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
}


def _short(body: Body, have: int, wanted: int, what: str) -> Readiness | None:
    """Say that there are too few replicas, and why if the controller knows."""
    if have >= wanted:
        return None
    reason = f"{have} of {wanted} replicas are {what}"
    cause = _replica_failure(body)
    return Readiness(ready=False, reason=one_line(f"{reason}: {cause}") if cause else reason)


def _leftover(old: int) -> Readiness | None:
    return Readiness(ready=False, reason=f"{old} old replicas are left") if old > 0 else None


def _replica_failure(body: Body) -> str:
    """Why pods could not be created (a quota, an admission webhook); empty if they could."""
    condition = condition_of(body, "ReplicaFailure")
    if condition.get("status") != "True":
        return ""
    return told(condition, "ReplicaFailure")
