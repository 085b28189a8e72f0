"""Keeps in our namespace what was stopped so that nothing is written there any more: one ConfigMap.

How it was cannot be read back from anything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.record import keep, kept
from gitops_dr.errors import ClusterError
from gitops_dr.manifests.versioned import as_moment
from gitops_dr.model import Ref, parse_ref

_NAME = "fenced"


@dataclass(frozen=True, slots=True)
class Fence:
    """What was stopped in a cluster, and for whom."""

    target: str
    """Name of the target that was to be failed over to."""
    since: str = ""
    """RFC 3339, UTC: since when nothing writes there any more; empty before that."""
    before: Mapping[Ref, Mapping[str, Any]] = field(default_factory=dict)
    """Of each object that was stopped, the fields that were changed: path to the value that it had,
    None if there was none."""


def moment_of(fence: Fence | None) -> datetime | None:
    """Since when a cluster is stopped; None if it is not, or nobody can read when."""
    return as_moment(fence.since) if fence else None


def read_fence(connection: Connection) -> Fence | None:
    """What was stopped here; None if nothing was. Raises ``ClusterError``."""
    data = kept(connection, _NAME)
    if not (data and data.get("target")):
        return None
    try:
        before = {parse_ref(ref): dict(was) for ref, was in json.loads(data["before"]).items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ClusterError(
            f"ConfigMap/gitops-dr/{_NAME}: says nothing that can be read of what was stopped here "
            f"({type(error).__name__})",
            hint="give the workloads their replicas by hand, and delete it",
        ) from error
    return Fence(str(data["target"]), str(data.get("since", "")), before)


def write_fence(connection: Connection, fence: Fence) -> None:
    """Note it down. Raises ``ApiError``."""
    before = {str(ref): dict(was) for ref, was in sorted(fence.before.items())}
    data = {
        "target": fence.target,
        "since": fence.since,
        "before": json.dumps(before, separators=(",", ":"), sort_keys=True),
    }
    keep(connection, _NAME, data, make_namespace=True)


def lift_fence(connection: Connection) -> None:
    """Forget it: the cluster is what others make of it again. Raises ``ApiError``."""
    if read_fence(connection) is not None:
        keep(connection, _NAME, {"target": "", "since": "", "before": "{}"})
