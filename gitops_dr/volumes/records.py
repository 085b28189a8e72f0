"""The recovery files ``recovery/volumes/<namespace>/<claim>.yaml``: one volume's snapshot. Pure.

A record holds all that a restore needs, because the cluster that took the snapshot may be gone:
nothing of it is asked again. ``docs/format.md`` specifies the file. It changes only when another
snapshot is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.path import segment
from gitops_dr.manifests.versioned import as_moment, as_text, misread, parse_versioned
from gitops_dr.model import Ref, parse_ref

FORMAT = 1
VOLUMES = "recovery/volumes/"

_CLAIM = "PersistentVolumeClaim"


class Survives(StrEnum):
    """What must go for the snapshot to go with it."""

    VOLUME = "volume"
    """It dies with its volume: no recovery at all."""
    CLUSTER = "cluster"
    """It dies with the cluster's own storage."""
    ZONE = "zone"
    REGION = "region"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the commands around the snapshot did."""

    result: str = "none"
    """``ok``, ``failed`` or ``none``."""
    frozen_seconds: float = 0.0
    """How long the application was held still."""


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """What Git knows of one volume's snapshot."""

    namespace: str
    claim: str
    claim_uid: str
    snapshot_set: str
    """Name of the run that took it, such as ``20261126t104500z-3f2a91``; all of its snapshots have
    the same."""
    driver: str
    handle: str
    """``status.snapshotHandle``: what the storage knows the snapshot by."""
    created: str
    """RFC 3339, UTC: when the data was cut; the base of the RPO."""
    restore_size: int
    """Bytes; 0 if the driver does not say."""
    request: str
    """The claim's request, a quantity such as ``10Gi``."""
    capacity: str
    """The volume's size, a quantity."""
    volume_mode: str
    access_modes: tuple[str, ...]
    storage_class: str
    binding_mode: str
    """``Immediate`` or ``WaitForFirstConsumer``."""
    snapshot_class: str
    snapshot: str
    """Name of the VolumeSnapshot at the source."""
    content: str
    """Name of the VolumeSnapshotContent at the source."""
    survives: Survives = Survives.UNKNOWN
    fs_type: str = ""
    group_handle: str = ""
    secret_annotations: dict[str, str] = field(default_factory=dict)
    """The content's annotations that name the Secret by which the storage is reached."""
    owner: Ref | None = None
    """The StatefulSet whose claim it is."""
    ordinal: int | None = None
    """Which of its pods."""
    topology: tuple[dict[str, str], ...] = ()
    """Where the volume can be reached: labels of nodes, one map an alternative."""
    hooks: Hooks = Hooks()

    @property
    def ref(self) -> Ref:
        """The claim."""
        return Ref("", _CLAIM, self.namespace, self.claim)

    @property
    def moment(self) -> datetime | None:
        """When the data was cut; None if ``created`` is no time with its zone."""
        return as_moment(self.created)


def record_path(claim: Ref) -> str:
    """Where the record of a claim is kept, relative to ``clusters/<cluster>/``."""
    return f"{VOLUMES}{segment(claim.namespace)}/{segment(claim.name)}.yaml"


def write_record(record: SnapshotRecord) -> bytes:
    """Write the bytes of a record's file."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "claim": {
            "namespace": record.namespace,
            "name": record.claim,
            "uid": record.claim_uid,
            "request": record.request,
            "capacity": record.capacity,
            "volumeMode": record.volume_mode,
            "accessModes": list(record.access_modes),
            "fsType": record.fs_type,
            "storageClass": record.storage_class,
            "bindingMode": record.binding_mode,
            "topology": [dict(labels) for labels in record.topology],
        },
        "snapshot": {
            "set": record.snapshot_set,
            "driver": record.driver,
            "handle": record.handle,
            "groupHandle": record.group_handle,
            "created": record.created,
            "restoreSize": record.restore_size,
            "class": record.snapshot_class,
            "name": record.snapshot,
            "content": record.content,
            "survives": record.survives.value,
            "secretAnnotations": dict(record.secret_annotations),
        },
        "hooks": {
            "result": record.hooks.result,
            # Text, so that every reader gives the same number back.
            "frozenSeconds": f"{record.hooks.frozen_seconds:.3f}",
        },
    }
    if record.owner is not None:
        document["owner"] = {"ref": str(record.owner), "ordinal": record.ordinal}
    return canonical(document)


def read_record(data: bytes, path: str) -> SnapshotRecord:
    """Read a record's file. Raises ``RepositoryError`` if it is not one, or of a newer format."""
    document = parse_versioned(data, path, FORMAT)
    with misread(
        path, "a snapshot record", "restore it from the commit of gitops-dr that wrote it"
    ):
        claim, snapshot, hooks = document["claim"], document["snapshot"], document["hooks"]
        owner = document.get("owner")
        return SnapshotRecord(
            namespace=as_text(claim["namespace"]),
            claim=as_text(claim["name"]),
            claim_uid=as_text(claim["uid"]),
            request=as_text(claim["request"]),
            capacity=as_text(claim["capacity"]),
            volume_mode=as_text(claim["volumeMode"]),
            access_modes=tuple(map(as_text, claim["accessModes"])),
            fs_type=as_text(claim["fsType"]),
            storage_class=as_text(claim["storageClass"]),
            binding_mode=as_text(claim["bindingMode"]),
            topology=tuple(_texts(labels) for labels in claim["topology"]),
            snapshot_set=as_text(snapshot["set"]),
            driver=_needed(snapshot["driver"]),
            handle=_needed(snapshot["handle"]),
            group_handle=as_text(snapshot["groupHandle"]),
            created=_needed(snapshot["created"]),
            restore_size=_size(snapshot["restoreSize"]),
            snapshot_class=as_text(snapshot["class"]),
            snapshot=as_text(snapshot["name"]),
            content=as_text(snapshot["content"]),
            survives=Survives(snapshot["survives"]),
            secret_annotations=_texts(snapshot["secretAnnotations"]),
            hooks=Hooks(as_text(hooks["result"]), float(as_text(hooks["frozenSeconds"]))),
            owner=parse_ref(as_text(owner["ref"])) if owner else None,
            ordinal=_size(owner["ordinal"]) if owner else None,
        )


def _needed(value: object) -> str:
    if not as_text(value):
        raise ValueError("an empty text where a value is needed")
    return as_text(value)


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a map")
    return {as_text(key): as_text(each) for key, each in value.items()}


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a whole number from 0")
    return value
