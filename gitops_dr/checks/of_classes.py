"""Checks of a plan about the classes that its volumes are made by, held against the source's. Pure.

A class of the same name, or one that a mapping puts in its place, may make other volumes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import yamlrocks

from gitops_dr.checks.demand import Claim
from gitops_dr.checks.findings import Finding, PlanRow, warning
from gitops_dr.checks.of_pods import made_claims, quantity, some
from gitops_dr.checks.of_storage import claims
from gitops_dr.checks.plan_facts import Class, PlanFacts, Storage
from gitops_dr.manifests.quantity import amount
from gitops_dr.model import Ref
from gitops_dr.resources import shipped

_ZONE = "topology.kubernetes.io/zone"
_STORAGE_CLASS = "StorageClass.storage.k8s.io"


@dataclass(frozen=True, slots=True)
class Backend:
    """What says where a driver's storage is."""

    driver: str
    parameters: tuple[str, ...]
    because: str
    link: str

    def is_of(self, driver: str) -> bool:
        """Whether it is about a driver of this name."""
        return driver == self.driver or driver.endswith(f".{self.driver}")


@cache
def backends() -> tuple[Backend, ...]:
    """The rows of ``backends.yaml``."""
    rows = yamlrocks.loads(shipped("checks/backends.yaml").read_bytes())
    return tuple(
        Backend(row["driver"], tuple(row["parameters"]), row["because"], row["link"])
        for row in rows
    )


def _used(facts: PlanFacts) -> Iterator[tuple[str, Class, list[tuple[Ref, Claim]]]]:
    """Each StorageClass of the target that the plan's claims use, and those claims."""
    seen = facts.seen.storage or Storage()
    default = seen.default_classes[0] if len(seen.default_classes) == 1 else ""
    users: dict[str, list[tuple[Ref, Claim]]] = {}
    for ref, claim in claims(facts):
        name = default if claim.storage_class is None else claim.storage_class
        users.setdefault(name, []).append((ref, claim))
    for name, found in sorted(users.items()):
        if name in seen.classes:
            yield name, seen.classes[name], found


def _differs(facts: PlanFacts) -> Iterator[Finding]:
    for name, target, users in _used(facts):
        about = f"{_STORAGE_CLASS}/{name}"
        sources = facts.source_classes.get(name, ())
        who = some(sorted({ref for ref, _ in users}))
        if target.reclaim == "Delete" and any(each.reclaim == "Retain" for each in sources):
            yield warning(
                about,
                f"deletes a volume with its claim, and the source's keeps it; used by {who}",
                "name a class with reclaimPolicy: Retain in mappings.storageClasses",
            )
        if (
            sources
            and not target.binds_late
            and all(each.binds_late for each in sources)
            and len(_zones(facts)) > 1
        ):
            yield warning(
                about,
                "makes volumes at once, in any zone, and the source's waits for the pod: a pod may "
                f"not reach its volume; used by {who}",
                "name a class with volumeBindingMode: WaitForFirstConsumer in "
                "mappings.storageClasses",
            )
        yield from _nowhere(facts, about, target, who)
        if not target.expands:
            yield from _grown(facts, name, users)


def _nowhere(facts: PlanFacts, about: str, target: Class, who: str) -> Iterator[Finding]:
    """Volumes may be made only where no node is.

    https://kubernetes.io/docs/concepts/storage/storage-classes/#allowed-topologies
    """
    nodes = facts.seen.nodes
    if not target.topologies or not nodes:
        return
    fits = any(
        all(node.labels.get(key) in values for key, values in place)
        for node in nodes
        for place in target.topologies
    )
    if not fits:
        where = " or ".join(
            " and ".join(f"{key} {','.join(values)}" for key, values in place)
            for place in target.topologies
        )
        yield warning(
            about,
            f"makes volumes in {where} only, and no node is there; used by {who}",
            "name another class in mappings.storageClasses, or add nodes there",
        )


def _grown(facts: PlanFacts, name: str, users: list[tuple[Ref, Claim]]) -> Iterator[Finding]:
    """Claims that are to be larger than the volume that their snapshot is of."""
    found: dict[Ref, tuple[Fraction, Fraction]] = {}
    for ref, claim in sorted(users, key=lambda one: one[0]):
        if record := facts.restored.get(ref):
            was = max(amount(record.capacity) or Fraction(), Fraction(record.restore_size))
            if was and claim.size > was:
                found[ref] = claim.size, was
    if found:
        size, was = next(iter(found.values()))
        yield warning(
            some(list(found)),
            f"asks for {quantity('storage', size)}, its snapshot is of {quantity('storage', was)}, "
            f"and {_STORAGE_CLASS}/{name} lets no volume grow: its file system may stay as small "
            "as it was",
            "say allowVolumeExpansion: true in the class, or ask for no more in Git",
        )


def _zones(facts: PlanFacts) -> frozenset[str]:
    return frozenset(
        zone for node in facts.seen.nodes or () if (zone := node.labels.get(_ZONE)) is not None
    )


def _room(facts: PlanFacts) -> Iterator[Finding]:
    rooms = (facts.seen.storage or Storage()).room
    sizes: dict[str, Fraction] = {}
    for claim in made_claims(facts.creates, facts) if rooms else ():
        if claim.storage_class is not None and not claim.volume:
            so_far = sizes.get(claim.storage_class, Fraction())
            sizes[claim.storage_class] = so_far + claim.size
    for name, target, users in _used(facts):
        room = rooms.get(name)
        if room is None or not target.binds_late:
            continue
        about = f"{_STORAGE_CLASS}/{name}"
        largest = max(claim.size for _, claim in users)
        together = sizes.get(name, Fraction())
        if largest > room.largest:
            who = some(sorted({ref for ref, claim in users if claim.size > room.largest}))
            yield warning(
                about,
                f"has room for a volume of {quantity('storage', room.largest)} at most, and "
                f"{quantity('storage', largest)} is asked for by {who}",
                "add storage, or name another class in mappings.storageClasses",
            )
        elif room.together is not None and together > room.together:
            yield warning(
                about,
                f"has {quantity('storage', room.together)} left, and the plan asks for "
                f"{quantity('storage', together)}",
                "add storage, or name another class in mappings.storageClasses",
            )


# -- where storage is --------------------------------------------------------------------------


def _elsewhere(facts: PlanFacts) -> Iterator[Finding]:
    if facts.copied:
        return
    seen = facts.seen.storage or Storage()
    told: dict[tuple[str, str, str, str], list[Ref]] = {}
    for ref, record in facts.restored.items():
        pairs: list[tuple[str, tuple[Class, ...], Class | None]] = []
        claim = facts.demand.claims.get(ref)
        if claim is not None and claim.storage_class:
            name = claim.storage_class
            pairs.append(
                (
                    f"{_STORAGE_CLASS}/{name}",
                    facts.source_classes.get(name, ()),
                    seen.classes.get(name),
                )
            )
        snapshot_class = record.snapshot_class
        if source := facts.source_snapshot_classes.get(snapshot_class):
            about = f"VolumeSnapshotClass.snapshot.storage.k8s.io/{snapshot_class}"
            target = (facts.seen.snapshot_classes or {}).get(snapshot_class)
            pairs.append((about, (source,), target))
        for about, sources, target in pairs:
            for source in sources if target is not None else ():
                for key, was, now in _moved(record.driver, source, target):
                    told.setdefault((about, key, was, now), []).append(ref)
    for (about, key, was, now), refs in sorted(told.items()):
        yield warning(
            about,
            f"says {key} {now}, and the source's {was}: snapshots of the one need not be known to "
            f"the other; needed by {some(sorted(refs))}",
            "see that the storage has them, or say mappings.handles for their copies",
        )


def _moved(driver: str, source: Class, target: Class | None) -> Iterator[tuple[str, str, str]]:
    """The parameters that say where the storage is, and differ."""
    if target is None or not source.driver == target.driver == driver:
        return
    for row in backends():
        for key in row.parameters if row.is_of(driver) else ():
            was, now = source.parameters.get(key, ""), target.parameters.get(key, "")
            if was and now and was != now:
                yield key, was, now


def _knows_storage(facts: PlanFacts) -> bool:
    return facts.seen.storage is not None


CLASS_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "storage-classes",
        "storage classes of the target make such volumes as the source's",
        "A class of the same name, or a mapped one, may delete, place or grow volumes otherwise.",
        "https://kubernetes.io/docs/concepts/storage/storage-classes/",
        _differs,
        known=_knows_storage,
    ),
    PlanRow(
        "storage-room",
        "storage has room for the volumes",
        "Pods wait whose volumes no storage has room for. Told where the driver publishes it.",
        "https://kubernetes.io/docs/concepts/storage/storage-capacity/",
        _room,
        known=_knows_storage,
    ),
    PlanRow(
        "storage-backends",
        "snapshots are of a storage that the target has",
        "A snapshot's handle means something to the storage alone that has the snapshot.",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/#static",
        _elsewhere,
        known=lambda facts: (
            facts.seen.storage is not None and facts.seen.snapshot_classes is not None
        ),
    ),
)
