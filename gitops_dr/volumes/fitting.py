"""What a target lacks for volumes to come back, told before the first write. Pure.

What is sure to be refused blocks; what may still come, or may not matter, is a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from gitops_dr.manifests.quantity import amount, with_unit
from gitops_dr.model import Body, Gap, Ref
from gitops_dr.volumes.records import SnapshotRecord, Survives

_ANNOTATIONS = "snapshot.storage.kubernetes.io/deletion-secret-"
_OF_CLASS = ".storageclass.storage.k8s.io/"
_COUNTS = frozenset(
    {
        "persistentvolumeclaims",
        "count/persistentvolumeclaims",
        "count/volumesnapshots.snapshot.storage.k8s.io",
    }
)
"""What a ResourceQuota counts of which a restored claim needs one."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a target has, apart from classes."""

    drivers: frozenset[str] | None = None
    """Its CSIDrivers, and those that come from Git; None: not known."""
    nodes: tuple[Mapping[str, str], ...] = ()
    """The labels of the nodes that take pods, as far as they are known."""
    absent_secrets: frozenset[tuple[str, str]] = frozenset()
    """Namespace and name of those that were looked for, and are neither there nor in Git."""
    quotas: tuple[Body, ...] = ()


@dataclass(frozen=True, slots=True)
class Lacking:
    """What stands in the way."""

    blocked: tuple[Gap, ...] = ()
    """It would be refused for sure."""
    notes: tuple[str, ...] = ()


def lacking(
    records: Mapping[Ref, SnapshotRecord], bodies: Mapping[Ref, Body], facts: TargetFacts
) -> Lacking:
    """Say what a target lacks to fill claims from records.

    ``bodies``: the claims as they are to be made, among others.
    """
    notes = [
        *_unknown_drivers(records.values(), facts),
        *_secrets(records.values(), facts),
        *(f"{ref}: {why}" for ref, record in records.items() if (why := _too_far(record, facts))),
    ]
    claims = {ref: bodies[ref] for ref in records}
    blocked = [gap for quota in facts.quotas for gap in _exceeded(quota, claims)]
    return Lacking(tuple(sorted(blocked)), tuple(notes))


def secret_of(record: SnapshotRecord) -> tuple[str, str] | None:
    """Namespace and name of the Secret by which a record's storage is reached; None for none."""
    name = record.secret_annotations.get(f"{_ANNOTATIONS}name")
    namespace = record.secret_annotations.get(f"{_ANNOTATIONS}namespace")
    return (namespace, name) if namespace and name else None


def _unknown_drivers(records: Iterable[SnapshotRecord], facts: TargetFacts) -> Iterator[str]:
    """A driver need not register itself, but almost all do.

    https://kubernetes-csi.github.io/docs/csi-driver-object.html
    """
    known = facts.drivers
    used = {record.driver for record in records}
    for driver in sorted(used - known) if known is not None else ():
        yield (
            f"CSIDriver {driver} is neither in Git nor in the target; no volume comes back before "
            "the driver runs there"
        )


def _secrets(records: Iterable[SnapshotRecord], facts: TargetFacts) -> Iterator[str]:
    """Without it a driver cannot look a snapshot up: its operator may still make it.

    https://github.com/vmware-tanzu/velero/issues/9515
    """
    wanted: dict[tuple[str, str], str] = {}
    for record in records:
        secret = secret_of(record)
        if secret and secret in facts.absent_secrets:
            wanted[secret] = record.driver
    for (namespace, name), driver in sorted(wanted.items()):
        yield (
            f"Secret/{namespace}/{name}, by which {driver} reaches its storage, is neither in Git "
            "nor in the target"
        )


def _too_far(record: SnapshotRecord, facts: TargetFacts) -> str:
    """Why no node of the target may reach the volume; empty if one does, or nothing is known.

    A snapshot that a whole region keeps fills a volume in any zone of it.
    https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity
    """
    regional = record.survives is Survives.REGION
    places = [
        {k: v for k, v in place.items() if not regional or k.endswith("/region")}
        for place in record.topology
    ]
    if not all(places) or not facts.nodes:
        return ""
    if not places or any(place.items() <= node.items() for place in places for node in facts.nodes):
        return ""
    where = " or ".join(
        ", ".join(f"{key} {value}" for key, value in sorted(place.items())) for place in places
    )
    return f"its volume was in {where}, and no node of the target is there"


def _exceeded(quota: Body, claims: Mapping[Ref, Body]) -> Iterator[Gap]:
    """What a quota that is there would refuse; those in Git come last, after the claims.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-for-storage
    """
    metadata, spec, status = quota["metadata"], quota.get("spec") or {}, quota.get("status") or {}
    mine = [body for ref, body in claims.items() if ref.namespace == metadata["namespace"]]
    if not mine or spec.get("scopes") or spec.get("scopeSelector"):
        return
    for key, hard in sorted((spec.get("hard") or {}).items()):
        needed = sum((_needs(body, key) for body in mine), Fraction())
        used = (status.get("used") or {}).get(key, "0")
        if needed and needed > (amount(hard) or 0) - (amount(used) or 0):
            yield Gap(
                Ref("", "ResourceQuota", metadata["namespace"], metadata["name"]),
                f"{used} of {hard} {key} is used, and the volumes that come back need "
                f"{with_unit(needed)} more",
            )


def _needs(claim: Body, key: str) -> Fraction:
    """How much of a quota's resource a claim takes."""
    spec = claim["spec"]
    storage_class, of_class, resource = key.rpartition(_OF_CLASS)
    if of_class and storage_class != spec.get("storageClassName"):
        return Fraction()
    if resource == "requests.storage":
        return amount(spec["resources"]["requests"]["storage"]) or Fraction()
    return Fraction(int(resource in _COUNTS))
