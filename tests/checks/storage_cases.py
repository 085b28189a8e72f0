"""Classes, room and places of storage that are not as the source's, each with a near miss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from checks.plan_samples import NODE, ONE, Case, claim, facts, record, seen, workload

from gitops_dr.checks.plan_facts import Class, PlanFacts, Room, Storage

GIB = 1024**3
FAST = Class("d.csi", binds_late=True, expands=True)
ZONE = "topology.kubernetes.io/zone"
EARTH, MARS = (replace(NODE, name=zone, labels={ZONE: zone}) for zone in ("earth", "mars"))
CEPH = "rook-ceph.rbd.csi.ceph.com"


def storage(target: Class = FAST, **parts: Any) -> Storage:
    return Storage(
        classes={"fast": target},
        provisioners={"fast": target.driver},
        drivers=frozenset({target.driver}),
        **parts,
    )


def made(target: Class = FAST, *sources: Class, size: str = "1Gi", **more: Any) -> PlanFacts:
    """A claim of class ``fast``, which is ``target`` there and was ``sources`` at the source."""
    there = {name: more.pop(name) for name in ("nodes", "snapshot_classes") if name in more}
    parts = {"room": more.pop("room", {})}
    objects = more.pop("objects", (claim(size=size, storageClassName="fast"),))
    return facts(
        *objects,
        source_classes={"fast": sources} if sources else {},
        seen=seen(storage=storage(target, **parts), **there),
        **more,
    )


def on_ceph(was: str, now: str, driver: str = CEPH, **more: Any) -> PlanFacts:
    source, target = (Class(driver, parameters={"clusterID": each}) for each in (was, now))
    return made(target, source, restored=record(driver=CEPH), **more)


def snapped(now: str, **more: Any) -> PlanFacts:
    source, target = (Class(CEPH, {"clusterID": each} if each else {}) for each in ("a", now))
    return made(
        Class(CEPH),
        restored=record(driver=CEPH),
        source_snapshot_classes={"snaps": source},
        snapshot_classes={"snaps": target},
        **more,
    )


def set_of_two(own: bool = False) -> tuple[Any, ...]:
    spec = claim(size="1Gi", storageClassName="fast")[1]["spec"]
    ref, body = workload("db", "StatefulSet", replicas=2)
    body["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": spec}]
    more = [claim("data-db-0", storageClassName="fast")] if own else []
    return ((ref, body), *more)


ABOUT = "StorageClass.storage.k8s.io/fast: "
CLAIM = "PersistentVolumeClaim/shop/data"
LATE, AT_ONCE = FAST, replace(FAST, binds_late=False)
PLACED = replace(FAST, topologies=(((ZONE, ("venus", "mars")),),))

MADE = datetime(2026, 11, 22, 10, tzinfo=UTC)
"""When the snapshot of the samples was."""


def old(hours: float, **parts: Any) -> PlanFacts:
    asked = MADE + timedelta(hours=hours)
    more = {"max_age": timedelta(hours=26)} | parts
    return made(restored=ONE, asked=asked, **more)


CASES: dict[str, Callable[[], Case]] = {
    "a snapshot that is older than is said": lambda: (
        old(26.1),
        (
            f"snapshot-age|warning: {CLAIM}: comes back as it was at 2026-11-22T10:00:00Z, and "
            "volumes.maxAge is 1d2h"
        ),
        old(26),
    ),
    "a snapshot of any age": lambda: (
        old(1000),
        f"snapshot-age|warning: {CLAIM}: comes back",
        old(1000, max_age=None),
    ),
    "a class that deletes what the source's keeps": lambda: (
        made(FAST, replace(FAST, reclaim="Retain")),
        f"storage-classes|warning: {ABOUT}deletes a volume with its claim, and the source's keeps",
        made(replace(FAST, reclaim="Retain"), FAST),
    ),
    "one of two classes that are mapped to it keeps": lambda: (
        made(FAST, FAST, replace(FAST, reclaim="Retain")),
        f"storage-classes|warning: {ABOUT}deletes",
        made(FAST, FAST, FAST),
    ),
    "a class that does not wait for the pod": lambda: (
        made(AT_ONCE, LATE, nodes=(EARTH, MARS)),
        f"storage-classes|warning: {ABOUT}makes volumes at once, in any zone",
        made(AT_ONCE, LATE, nodes=(EARTH,)),
    ),
    "a class that does not wait, as that of the source": lambda: (
        made(AT_ONCE, LATE, nodes=(EARTH, MARS)),
        f"storage-classes|warning: {ABOUT}makes volumes at once",
        made(AT_ONCE, AT_ONCE, nodes=(EARTH, MARS)),
    ),
    "a class for where no node is": lambda: (
        made(PLACED, nodes=(EARTH,)),
        (
            f"storage-classes|warning: {ABOUT}makes volumes in {ZONE} venus,mars only, and no node "
            f"is there; used by {CLAIM}"
        ),
        made(PLACED, nodes=(EARTH, MARS)),
    ),
    "a volume that cannot grow": lambda: (
        made(replace(FAST, expands=False), size="2Gi", restored=ONE),
        (
            f"storage-classes|warning: {CLAIM}: asks for 2Gi, its snapshot is of 1Gi, and "
            "StorageClass.storage.k8s.io/fast lets no volume grow"
        ),
        made(replace(FAST, expands=False), size="1Gi", restored=ONE),
    ),
    "a volume that can grow": lambda: (
        made(replace(FAST, expands=False), size="2Gi", restored=record(capacity="")),
        f"storage-classes|warning: {CLAIM}: asks for 2Gi",
        made(FAST, size="2Gi", restored=ONE),
    ),
    "no room for one volume": lambda: (
        made(size="3Gi", room={"fast": Room(Fraction(2 * GIB), Fraction(9 * GIB))}),
        (
            f"storage-room|warning: {ABOUT}has room for a volume of 2Gi at most, and 3Gi is asked "
            f"for by {CLAIM}"
        ),
        made(size="2Gi", room={"fast": Room(Fraction(2 * GIB), Fraction(9 * GIB))}),
    ),
    "no room for all volumes": lambda: (
        made(objects=set_of_two(), room={"fast": Room(Fraction(GIB), Fraction(GIB))}),
        f"storage-room|warning: {ABOUT}has 1Gi left, and the plan asks for 2Gi",
        # A claim of the set that is in the plan by itself is counted once.
        made(objects=set_of_two(own=True), room={"fast": Room(Fraction(GIB), Fraction(2 * GIB))}),
    ),
    "room that is not known": lambda: (
        made(size="3Gi", room={"fast": Room(Fraction(2 * GIB), None)}),
        f"storage-room|warning: {ABOUT}has room for a volume of 2Gi at most",
        # What is bound at once is no affair of the scheduler, and the numbers are for that.
        made(AT_ONCE, size="3Gi", room={"fast": Room(Fraction(2 * GIB), None)}),
    ),
    "another Ceph cluster": lambda: (
        on_ceph("a", "b"),
        (
            f"storage-backends|warning: {ABOUT}says clusterID b, and the source's a: snapshots of "
            f"the one need not be known to the other; needed by {CLAIM}"
        ),
        on_ceph("a", "a"),
    ),
    "another storage, and copies of the snapshots": lambda: (
        on_ceph("a", "b"),
        f"storage-backends|warning: {ABOUT}says clusterID b",
        on_ceph("a", "b", copied=True),
    ),
    "a parameter that says nothing of a place": lambda: (
        on_ceph("a", "b"),
        f"storage-backends|warning: {ABOUT}says clusterID b",
        on_ceph("a", "b", driver="xrbd.csi.ceph.com"),
    ),
    "a snapshot class of another storage": lambda: (
        snapped("b"),
        (
            "storage-backends|warning: VolumeSnapshotClass.snapshot.storage.k8s.io/snaps: says "
            "clusterID b, and the source's a"
        ),
        # One that does not say it takes what its driver has.
        snapped(""),
    ),
}
