"""Reads an audit log into what was created and what was ready at which revision. Reads a file.

Revisions are those of etcd, one sequence for all objects, so they say what came first without any
clock. Ready is judged by Kubernetes' documentation, not by the product's rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaigns.independent import Body, Key, key_of

POLICY = Path(__file__).with_name("audit.yaml")


@dataclass
class History:
    """What an API server was told to keep."""

    created: dict[Key, int] = field(default_factory=dict)
    """The revision at which each object was created."""
    ready: dict[Key, int] = field(default_factory=dict)
    """The first revision at which each object was ready."""

    def note(self, key: Key, verb: str, body: Body) -> None:
        """Take one answer into account."""
        revision = int(body["metadata"]["resourceVersion"])
        if verb == "create":
            self.created.setdefault(key, revision)
        if is_ready(key, body):
            self.ready[key] = min(revision, self.ready.get(key, revision))


def read_history(log: Path) -> History:
    """Read the answers in an audit log."""
    history = History()
    with log.open("rb") as lines:
        for line in lines:
            event = json.loads(line)
            body = event.get("responseObject") or {}
            # A server-side apply that creates says 201 too.
            code = (event.get("responseStatus") or {}).get("code", 0)
            metadata = body.get("metadata") or {}
            if code not in (200, 201) or not metadata.get("resourceVersion"):
                continue
            if "dryRun=" in event["requestURI"]:
                continue
            subresource = event["objectRef"].get("subresource")
            created = code == 201 and not subresource
            history.note(key_of(body), "create" if created else event["verb"], body)
    return history


def is_ready(key: Key, body: Body) -> bool:
    """Whether an object is of use, as far as its kind has a way to say so."""
    check = _CHECKS.get(key[:2])
    return check is None or check(body, body.get("spec") or {}, body.get("status") or {})


def _conditions(*types: str) -> Callable[[Body, Body, Body], bool]:
    def hold(_body: Body, _spec: Body, status: Body) -> bool:
        true = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
        return true.issuperset(types)

    return hold


def _counts(field_name: str, wanted: Callable[[Body, Body], Any]) -> Callable[..., bool]:
    def enough(body: Body, spec: Body, status: Body) -> bool:
        seen = status.get("observedGeneration", 0) >= body["metadata"].get("generation", 0)
        return seen and status.get(field_name, 0) >= wanted(spec, status)

    return enough


def _replicas(spec: Body, _status: Body) -> Any:
    return spec.get("replicas", 1)


# https://kubernetes.io/docs/concepts/workloads/controllers/ and the API reference of each kind.
_CHECKS: Mapping[tuple[str, str], Callable[[Body, Body, Body], bool]] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _conditions("Established"),
    ("apiregistration.k8s.io", "APIService"): _conditions("Available"),
    ("", "Pod"): _conditions("Ready"),
    ("", "ReplicationController"): _counts("availableReplicas", _replicas),
    ("apps", "DaemonSet"): _counts(
        "numberAvailable", lambda _, status: status.get("desiredNumberScheduled", 1)
    ),
    ("apps", "Deployment"): _counts("availableReplicas", _replicas),
    ("apps", "ReplicaSet"): _counts("availableReplicas", _replicas),
    ("apps", "StatefulSet"): _counts("readyReplicas", _replicas),
}


_MADE = ("done", "unready", "unobservable")
"""Results of steps whose object was created."""


@dataclass
class Proof:
    """The edges of a plan, held against a history."""

    existence: int = 0
    readiness: int = 0
    excused: int = 0
    """What was needed did not come, or not in time, and is reported so."""
    wrong: list[str] = field(default_factory=list)


def prove(report: Mapping[str, Any], history: History) -> Proof:
    """Whether what each step needed was there, or ready, before the step's object was created."""
    results = {_key(each["ref"]): each["result"] for each in report["outcomes"]}
    proof = Proof()
    for step in report["plan"]["steps"]:
        key = _key(step["ref"])
        if results.get(key) not in _MADE:
            continue
        created = history.created.get(key)
        if created is None:
            proof.wrong.append(f"{key}: {results[key]}, and nobody created it")
            continue
        for need in step["needs"]:
            needed = _key(need["ref"])
            moments = history.ready if need["ready"] else history.created
            moment = moments.get(needed)
            good = ("done",) if need["ready"] else _MADE
            if results.get(needed) not in good:
                proof.excused += 1
            elif moment is None or moment >= created:
                what = "ready" if need["ready"] else "created"
                proof.wrong.append(
                    f"{key} at {created}: {needed} ({need['why']}) {what} at {moment}"
                )
            elif need["ready"]:
                proof.readiness += 1
            else:
                proof.existence += 1
    return proof


def _key(ref: Mapping[str, str]) -> Key:
    return ref["group"], ref["kind"], ref["namespace"], ref["name"]
