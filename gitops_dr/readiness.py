"""Says whether an object is ready, kind by kind. Pure; reads ``readiness.yaml`` once.

The rules are those of kstatus, without its traps: a Job is ready when it is complete, a claim that
waits for its first consumer is no obstacle, a Service needs no load balancer, and a custom resource
that reports nothing is not taken for one that reports success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.model import Body
from gitops_dr.resources import shipped

_PATIENCE = 15.0
"""Seconds after which what nobody has touched, or what has an error, is not waited for any more."""

_LONGEST = 200
"""Characters of a controller's message that are shown."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether an object is ready; if not, ``reason`` is one short line that says what it lacks."""

    ready: bool
    reason: str = ""
    failed: bool = False
    """It will not become ready by waiting."""
    observable: bool = True
    """False for a custom resource that reports nothing (yet): nothing says that it is not ready,
    and nothing that it is."""
    patience: float | None = None
    """Seconds for which waiting is worth it while nothing else of its API group changes either, if
    there is reason to think that more would be in vain."""


READY = Readiness(ready=True)


def readiness(body: Body, *, wait_for_consumer: bool = False) -> Readiness:
    """Judge a live object by its status.

    ``wait_for_consumer`` says of a claim that its class has the volume binding mode
    ``WaitForFirstConsumer``, so that it stays Pending until a pod uses it. Never fails: a field of
    an odd type counts as absent.
    """
    metadata = _map(body.get("metadata"))
    if metadata.get("deletionTimestamp"):
        return Readiness(ready=False, reason=_deletion(body, metadata))
    group_kind = _group_kind(body)
    count = _COUNTED.get(group_kind)
    if count is not None:
        return count(body)
    rule = _rules().get(group_kind)
    if rule is not None:
        return _by_rule(body, rule, wait_for_consumer=wait_for_consumer)
    if _is_custom(group_kind):
        return _custom(body)
    return READY


def awaited(group_kind: tuple[str, str]) -> bool:
    """Tell whether objects of this kind become ready some time after they exist."""
    return group_kind in _COUNTED or group_kind in _rules() or _is_custom(group_kind)


# --- rules as data ---


@dataclass(frozen=True, slots=True)
class _Rule:
    conditions: tuple[str, ...]
    fatal: tuple[str, ...]
    phases: tuple[str, ...]
    lost: tuple[str, ...]
    flag: str
    untouched: str


def _by_rule(body: Body, rule: _Rule, *, wait_for_consumer: bool) -> Readiness:
    status = _map(body.get("status"))
    for name in rule.conditions:
        condition = _condition(body, name)
        if condition.get("status") != "True":
            failed = name in rule.fatal and condition.get("status") == "False"
            return Readiness(ready=False, reason=_about(condition, name), failed=failed)
    if rule.phases:
        phase = status.get("phase") or "Pending"
        if phase not in rule.phases and not (phase == "Pending" and wait_for_consumer):
            said = _line(status.get("message"))
            reason = f"is {phase}: {said}" if said else f"is {phase}"
            return Readiness(ready=False, reason=reason, failed=phase in rule.lost)
    if rule.flag and status.get(rule.flag) is not True:
        error = _line(_map(status.get("error")).get("message"))
        reason = error or (rule.untouched if not status else "")
        # Controllers try again after an error, and a conflict of two writers is one too.
        patience = _PATIENCE if reason else None
        reason = reason or f"{rule.flag} is not true yet"
        return Readiness(ready=False, reason=reason, patience=patience)
    return READY


def _custom(body: Body) -> Readiness:
    """Judge a custom resource by the conditions that most controllers agree on."""
    status = _map(body.get("status"))
    if _is_behind(status.get("observedGeneration"), body):
        return _UNSEEN
    for name, failed in (("Stalled", True), ("Reconciling", False)):
        condition = _condition(body, name)
        if condition.get("status") == "True":
            return Readiness(ready=False, reason=_about(condition, name), failed=failed)
    for name in ("Ready", "Available"):
        condition = _condition(body, name)
        if condition:
            if _is_behind(condition.get("observedGeneration"), body):
                return _UNSEEN
            if condition.get("status") == "True":
                return READY
            return Readiness(ready=False, reason=_about(condition, name))
    if isinstance(status.get("observedGeneration"), int):
        # Its controller has worked on this generation, and complains of nothing.
        return READY
    return Readiness(ready=True, reason="reports nothing to judge it by", observable=False)


# --- kinds that count ---


def _deployment(body: Body) -> Readiness:
    spec, status = _map(body.get("spec")), _map(body.get("status"))
    if _not_seen(body):
        return _UNSEEN
    if spec.get("paused") is True:
        return READY
    progressing = _condition(body, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        reason = _about(progressing, "Progressing")
        return Readiness(ready=False, reason=_replica_failure(body) or reason, failed=True)
    wanted, updated = _number(spec, "replicas", 1), _number(status, "updatedReplicas")
    return (
        _short(body, updated, wanted, "updated")
        or _leftover(_number(status, "replicas") - updated)
        or _short(body, _number(status, "availableReplicas"), wanted, "available")
        or READY
    )


def _stateful_set(body: Body) -> Readiness:
    spec, status = _map(body.get("spec")), _map(body.get("status"))
    if _not_seen(body):
        return _UNSEEN
    wanted = _number(spec, "replicas", 1)
    lacking = _short(body, _number(status, "readyReplicas"), wanted, "ready")
    strategy = _map(spec.get("updateStrategy"))
    if lacking or strategy.get("type") == "OnDelete":
        return lacking or READY
    kept = _number(_map(strategy.get("rollingUpdate")), "partition")
    if kept:
        updated = _number(status, "updatedReplicas")
        return _short(body, updated, max(0, wanted - kept), "updated") or READY
    if status.get("currentRevision") != status.get("updateRevision"):
        reason = f"{_number(status, 'updatedReplicas')} of {wanted} replicas are updated"
        return Readiness(ready=False, reason=reason)
    return READY


def _daemon_set(body: Body) -> Readiness:
    spec, status = _map(body.get("spec")), _map(body.get("status"))
    if _not_seen(body) or "desiredNumberScheduled" not in status:
        return _UNSEEN
    wanted = _number(status, "desiredNumberScheduled")
    if _map(spec.get("updateStrategy")).get("type") != "OnDelete":
        updated = _number(status, "updatedNumberScheduled")
        if updated < wanted:
            return Readiness(ready=False, reason=f"{updated} of {wanted} pods are updated")
    available = _number(status, "numberAvailable")
    if available < wanted:
        return Readiness(ready=False, reason=f"{available} of {wanted} pods are available")
    return READY


def _replica_set(body: Body) -> Readiness:
    spec, status = _map(body.get("spec")), _map(body.get("status"))
    if _not_seen(body):
        return _UNSEEN
    wanted = _number(spec, "replicas", 1)
    return _short(body, _number(status, "availableReplicas"), wanted, "available") or READY


def _job(body: Body) -> Readiness:
    spec, status = _map(body.get("spec")), _map(body.get("status"))
    failed = _condition(body, "Failed")
    if failed.get("status") == "True":
        return Readiness(ready=False, reason=_about(failed, "Failed"), failed=True)
    if _condition(body, "Complete").get("status") == "True" or spec.get("suspend") is True:
        return READY
    done, wanted = _number(status, "succeeded"), _number(spec, "completions", 1)
    return Readiness(ready=False, reason=f"{done} of {wanted} completions")


def _pod(body: Body) -> Readiness:
    status = _map(body.get("status"))
    phase = status.get("phase") or "Pending"
    if _list(_map(body.get("spec")).get("schedulingGates")):
        # Somebody holds it on purpose, as a suspended Job is held.
        return READY
    if phase == "Succeeded" or (
        phase == "Running" and _condition(body, "Ready").get("status") == "True"
    ):
        return READY
    if phase == "Failed":
        said = _line(status.get("message")) or _line(status.get("reason"))
        return Readiness(ready=False, reason=said or "its containers failed", failed=True)
    scheduled = _condition(body, "PodScheduled")
    if scheduled.get("status") == "False":
        return Readiness(ready=False, reason=_about(scheduled, "PodScheduled"))
    for listing in ("initContainerStatuses", "containerStatuses"):
        for container in _list(status.get(listing)):
            waiting = _map(_map(_map(container).get("state")).get("waiting"))
            if waiting.get("reason"):
                reason = f"container {_map(container).get('name')}: {waiting['reason']}"
                said = _line(waiting.get("message"))
                return Readiness(ready=False, reason=_line(f"{reason}: {said}" if said else reason))
    return Readiness(ready=False, reason=f"is {phase} and not ready")


_COUNTED: Mapping[tuple[str, str], Callable[[Body], Readiness]] = {
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replica_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
}

_UNSEEN = Readiness(ready=False, reason="its controller has not seen it yet")


def _short(body: Body, have: int, wanted: int, what: str) -> Readiness | None:
    """Say that there are too few replicas, and why if the controller knows."""
    if have >= wanted:
        return None
    reason = f"{have} of {wanted} replicas are {what}"
    cause = _replica_failure(body)
    return Readiness(ready=False, reason=_line(f"{reason}: {cause}") if cause else reason)


def _leftover(old: int) -> Readiness | None:
    return Readiness(ready=False, reason=f"{old} old replicas are left") if old > 0 else None


def _replica_failure(body: Body) -> str:
    """Why pods could not be created (a quota, an admission webhook); empty if they could."""
    condition = _condition(body, "ReplicaFailure")
    if condition.get("status") != "True":
        return ""
    return _about(condition, "ReplicaFailure")


# --- reading a status ---


def _not_seen(body: Body) -> bool:
    """Whether the controller of a built-in kind has not worked on this generation."""
    observed = _map(body.get("status")).get("observedGeneration")
    return _is_behind(observed if isinstance(observed, int) else 0, body)


def _is_behind(observed: Any, body: Body) -> bool:
    generation = _number(_map(body.get("metadata")), "generation")
    return isinstance(observed, int) and observed < generation


def _condition(body: Body, name: str) -> Mapping[str, Any]:
    """Return the condition of that type; empty if there is none."""
    for condition in _list(_map(body.get("status")).get("conditions")):
        if isinstance(condition, dict) and condition.get("type") == name:
            return condition
    return {}


def _about(condition: Mapping[str, Any], name: str) -> str:
    """One line on a condition: its message, else its reason, else its state."""
    said = _line(condition.get("message")) or _line(condition.get("reason"))
    return said or f"condition {name} is {condition.get('status', 'not reported yet')}"


_LEFT_IN_NAMESPACE = ("NamespaceFinalizersRemaining", "NamespaceContentRemaining")
"""Conditions of a namespace that say whose finalizers, or which objects, it waits for.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/
"""


def _deletion(body: Body, metadata: Mapping[str, Any]) -> str:
    for name in _LEFT_IN_NAMESPACE if _group_kind(body) == ("", "Namespace") else ():
        condition = _condition(body, name)
        if condition.get("status") == "True":
            return f"is being deleted: {_about(condition, name)}"
    finalizers = ", ".join(str(each) for each in _list(metadata.get("finalizers")))
    return f"is being deleted; waits for {finalizers}" if finalizers else "is being deleted"


def _line(text: Any) -> str:
    """Fold a message into one line of bearable length; empty for anything but text."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(holder: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) else default


def _group_kind(body: Body) -> tuple[str, str]:
    return (str(body.get("apiVersion", "")).rpartition("/")[0], str(body.get("kind", "")))


def _is_custom(group_kind: tuple[str, str]) -> bool:
    return group_kind[0] not in _builtin_groups()


@cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = yamlrocks.loads(shipped("readiness.yaml").read_bytes())
    return loaded


@cache
def _builtin_groups() -> frozenset[str]:
    return frozenset(_data()["builtinGroups"])


@cache
def _rules() -> dict[tuple[str, str], _Rule]:
    rules = {}
    for raw in _data()["rules"]:
        kind, _, group = raw["kind"].partition(".")
        rules[group, kind] = _Rule(
            conditions=tuple(raw.get("conditions", ())),
            fatal=tuple(raw.get("fatal", ())),
            phases=tuple(raw.get("phases", ())),
            lost=tuple(raw.get("lost", ())),
            flag=raw.get("flag", ""),
            untouched=raw.get("untouched", ""),
        )
    return rules
