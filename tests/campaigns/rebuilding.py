"""How the campaigns rebuild a cluster, and what they keep of it. Runs the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaigns.independent import Api, Cluster
from campaigns.loader import wait_until
from command import Said, gitops_dr

CLUSTER = "corpus"
UNREADY_SECONDS = "30"
"""The corpus has many workloads that can never be ready; nobody waits longer for one."""

COMMAND_SECONDS = 1200.0

Figures = Callable[[str], None]
"""Takes a line for the end of the run."""


@dataclass(frozen=True)
class Rebuilt:
    """The corpus' cluster, what was exported of it, and what came back from that."""

    repo: Path
    source: Cluster
    exported: Any
    """The export's JSON report."""
    cluster: Cluster
    report: Any
    """The rebuild's JSON report."""
    code: int
    saved: Path
    """The rebuilt lab."""
    audit: Path
    """What was written to it while it was rebuilt."""


def rebuild(repo: Path, kubeconfig: Path, *flags: str) -> Said:
    """Run a rebuild whose workloads need not become ready."""
    said = gitops_dr(
        *("rebuild", "--repo", str(repo), "--yes", "--accept-empty-volumes", "-o", "json"),
        *("--timeout", UNREADY_SECONDS, *flags),
        kubeconfig=kubeconfig,
        timeout=COMMAND_SECONDS,
    )
    assert said.code in (0, 3), said.err
    return said


def await_rest(api: Api) -> None:
    """Wait until controllers have nothing new to make."""
    seen: list[int] = []

    def rests() -> bool:
        kinds = ("/api/v1/pods", "/apis/apps/v1/replicasets", "/api/v1/persistentvolumes")
        seen.append(sum(len(api.get(path)["items"]) for path in kinds))
        return len(seen) > 8 and len(set(seen[-8:])) == 1

    wait_until(rests, "controllers have nothing to do")
