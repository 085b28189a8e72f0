"""Asks an API server who we are to it and what we may do there. Writes nothing.

The reviews are POSTs that store nothing, and everybody who is authenticated may send them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from gitops_dr.checks.needs import Need, Rule, allows
from gitops_dr.cluster.connect import ApiError, Connection

_AT_ONCE = 8
_AUTHORIZATION = "/apis/authorization.k8s.io/v1"
_NOBODYS = "gitops-dr-asks"
"""A namespace that need not be there: what is allowed in it is allowed in all of them."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Who we are to the API server."""

    user: str
    clock_ahead: float | None
    """Seconds by which its clock is ahead of ours, to about a second; None if it does not say."""


def ourselves(connection: Connection) -> Ourselves:
    """Ask who we are, and what time it is there. Raises ``ApiError``."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    before = time.time()
    review = _post(connection, "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    here = (before + time.time()) / 2
    info = (review.get("status") or {}).get("userInfo") or {}
    said = (review.get("metadata") or {}).get("creationTimestamp")
    ahead = None
    if isinstance(said, str):
        try:
            # It tells whole seconds, cut off.
            ahead = datetime.fromisoformat(said).astimezone(UTC).timestamp() + 0.5 - here
        except ValueError:
            ahead = None
    return Ourselves(str(info.get("username") or ""), ahead)


def missing(
    connection: Connection,
    needs: Collection[Need],
    held: Mapping[str, Collection[Rule]] | None = None,
) -> tuple[Need, ...]:
    """Those of the needs that are not allowed, in their order.

    Two or three questions settle them where RBAC does; what its rules do not tell is asked for one
    by one, several at once. ``held``: the rules of each namespace that they are about, if they were
    asked for already. Raises ``ApiError`` if the API server does not say.
    """
    rules = rules_of(connection, {need.namespace for need in needs}) if held is None else held
    open_ones = [need for need in needs if not allows(rules[need.namespace], need)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="access") as pool:
        answers = list(pool.map(lambda need: _may(connection, need), open_ones))
    return tuple(need for need, may in zip(open_ones, answers, strict=True) if not may)


def rules_of(connection: Connection, namespaces: Collection[str]) -> dict[str, tuple[Rule, ...]]:
    """What we may do in each namespace, as rules of RBAC; the empty name is for all namespaces.

    Other authorizers may let us do more. Raises ``ApiError``.
    """
    wanted = sorted(namespaces)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="access") as pool:
        found = pool.map(lambda namespace: _rules(connection, namespace or _NOBODYS), wanted)
        return dict(zip(wanted, found, strict=True))


def _rules(connection: Connection, namespace: str) -> tuple[Rule, ...]:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    review = _post(connection, f"{_AUTHORIZATION}/selfsubjectrulesreviews", body)
    status = review.get("status") or {}
    found: list[Rule] = [
        *(status.get("resourceRules") or ()),
        *(status.get("nonResourceRules") or ()),
    ]
    return tuple(found)


def _may(connection: Connection, need: Need) -> bool:
    resource, _, subresource = need.resource.partition("/")
    attributes = {
        "group": need.group,
        "resource": resource,
        "subresource": subresource,
        "verb": need.verb,
        "namespace": need.namespace,
        "name": need.name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    review = _post(connection, f"{_AUTHORIZATION}/selfsubjectaccessreviews", body)
    return (review.get("status") or {}).get("allowed") is True


def _post(connection: Connection, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = connection.json("POST", path, body=orjson.dumps(body))
    if not isinstance(answer, dict):
        raise ApiError(f"{path}: the answer is not an object", status=0)
    return answer
