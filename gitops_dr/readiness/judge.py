"""Judges a live object, whatever its kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitops_dr.model import Body
from gitops_dr.readiness.counts import COUNTED
from gitops_dr.readiness.rows import by_rule, is_built_in, rows
from gitops_dr.readiness.status import (
    READY,
    UNSEEN,
    Readiness,
    as_list,
    as_map,
    condition_of,
    group_kind_of,
    is_behind,
    told,
)


def readiness(body: Body, *, wait_for_consumer: bool = False) -> Readiness:
    """Judge a live object by its status.

    ``wait_for_consumer`` says of a claim that its class has the volume binding mode
    ``WaitForFirstConsumer``, so that it stays Pending until a pod uses it. Never fails: a field of
    an odd type counts as absent.
    """
    metadata = as_map(body.get("metadata"))
    if metadata.get("deletionTimestamp"):
        return Readiness(ready=False, reason=_deletion(body, metadata))
    group_kind = group_kind_of(body)
    count = COUNTED.get(group_kind)
    if count is not None:
        return count(body)
    rule = rows().get(group_kind)
    if rule is not None:
        return by_rule(body, rule, wait_for_consumer=wait_for_consumer)
    if _is_custom(group_kind):
        return _custom(body)
    return READY


def awaited(group_kind: tuple[str, str]) -> bool:
    """Tell whether objects of this kind become ready some time after they exist."""
    return group_kind in COUNTED or group_kind in rows() or _is_custom(group_kind)


def _is_custom(group_kind: tuple[str, str]) -> bool:
    return not is_built_in(group_kind[0])


def _custom(body: Body) -> Readiness:
    """Judge a custom resource by the conditions that most controllers agree on."""
    status = as_map(body.get("status"))
    if is_behind(status.get("observedGeneration"), body):
        return UNSEEN
    for name, failed in (("Stalled", True), ("Reconciling", False)):
        condition = condition_of(body, name)
        if condition.get("status") == "True":
            return Readiness(ready=False, reason=told(condition, name), failed=failed)
    for name in ("Ready", "Available"):
        condition = condition_of(body, name)
        if condition:
            if is_behind(condition.get("observedGeneration"), body):
                return UNSEEN
            if condition.get("status") == "True":
                return READY
            return Readiness(ready=False, reason=told(condition, name))
    if isinstance(status.get("observedGeneration"), int):
        # Its controller has worked on this generation, and complains of nothing.
        return READY
    return Readiness(ready=True, reason="reports nothing to judge it by", observable=False)


_LEFT_IN_NAMESPACE = ("NamespaceFinalizersRemaining", "NamespaceContentRemaining")
"""Conditions of a namespace that say whose finalizers, or which objects, it waits for.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/
"""


def _deletion(body: Body, metadata: Mapping[str, Any]) -> str:
    for name in _LEFT_IN_NAMESPACE if group_kind_of(body) == ("", "Namespace") else ():
        condition = condition_of(body, name)
        if condition.get("status") == "True":
            return f"is being deleted: {told(condition, name)}"
    finalizers = ", ".join(str(each) for each in as_list(metadata.get("finalizers")))
    return f"is being deleted; waits for {finalizers}" if finalizers else "is being deleted"
