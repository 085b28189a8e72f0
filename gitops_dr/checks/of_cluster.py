"""What a job and a plan are both told of a cluster: version, clock, runs, snapshots. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from gitops_dr.checks.facts import SnapshotFacts
from gitops_dr.checks.findings import Finding, warning
from gitops_dr.model import Holder

MOST_SKEW = 5.0
"""Seconds that clocks may differ: ages of recovery points are told by both."""


def minor(version: str) -> tuple[int, int] | None:
    """``v1.37.2+k3s1`` as ``(1, 37)``; None for what is no version."""
    parts = version.removeprefix("v").split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (IndexError, ValueError):
        return None


def another_version(server: str, live: str, recorded: str, remedy: str) -> Iterator[Finding]:
    """A server of another minor version than the source's; of what is not known nothing is said."""
    version, source = minor(live), minor(recorded)
    if version and source and version != source:
        older = "older" if version < source else "newer"
        yield warning(
            server,
            f"runs Kubernetes {live}, which is {older} than the source's {recorded}",
            remedy,
        )


def skew(server: str, ahead: float | None) -> Iterator[Finding]:
    """Clocks that differ too much; ``ahead``: seconds by which the server's is ahead of ours."""
    if ahead is not None and abs(ahead) > MOST_SKEW:
        way = "ahead of" if ahead > 0 else "behind"
        yield warning(
            server,
            f"its clock is {abs(ahead):.0f} s {way} ours, so ages and RPO are told wrong",
            "let NTP set both clocks",
        )


def at_work(holder: Holder | None) -> Iterator[Finding]:
    """Another run that works on the cluster."""
    if holder is not None:
        yield warning(
            "Lease gitops-dr/cluster",
            f"is held by {holder}",
            "wait until that has ended; docs/concurrency.md says what if it is dead",
        )


def unattended(
    found: SnapshotFacts, severe: Callable[[object, str, str], Finding]
) -> Iterator[Finding]:
    """Signs that nobody looks at snapshots; ``severe`` makes of one what it is for the job."""
    if found.untouched:
        more = f" (and {len(found.untouched) - 1} more)" if len(found.untouched) > 1 else ""
        yield severe(
            f"VolumeSnapshot {found.untouched[0]}",
            f"nobody has looked at it{more}",
            "see whether the snapshot controller and the driver's csi-snapshotter run",
        )
    if found.leader:
        yield warning(
            "snapshot controller",
            found.leader,
            "see whether it runs: without it claims wait for their data for ever",
        )


def told(age: timedelta) -> str:
    """In the two largest units, as ``gitops-dr.yaml`` has it: ``1d12h``."""
    minutes = int(age.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days}d{hours}h" if hours else f"{days}d"
    return f"{hours}h{minutes % 60}m" if minutes % 60 or not hours else f"{hours}h"
