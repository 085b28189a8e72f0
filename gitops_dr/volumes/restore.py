"""Rewrites a claim so that it comes back with its data: content, snapshot, data source. Pure.

The objects are made from the record alone. Source of each rule: the API's own documentation of
pre-provisioned snapshots, and what the external-snapshotter and -provisioner check, see
https://kubernetes.io/docs/concepts/storage/volume-snapshots/#static and
https://github.com/kubernetes-csi/external-provisioner/blob/master/pkg/controller/controller.go
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.manifests.quantity import amount
from gitops_dr.model import Body, Entry, Ref
from gitops_dr.resources import shipped
from gitops_dr.volumes.records import SnapshotRecord

GROUP = "snapshot.storage.k8s.io"
VERSION = "v1"
CONTENT = (GROUP, "VolumeSnapshotContent")
SNAPSHOT = (GROUP, "VolumeSnapshot")
SOURCES = frozenset({CONTENT, SNAPSHOT})
"""The kinds that are made for a restore, in the cluster alone."""
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """What a target has to restore volumes with."""

    provisioners: Mapping[str, str]
    """StorageClass to provisioner."""
    default_class: str = ""
    """The StorageClass of a claim that names none; empty if there is no or more than one."""
    snapshot_classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Driver to the names of its VolumeSnapshotClasses."""


def read_classes(bodies: Iterable[Body]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The provisioner of each StorageClass, and the names of those that are the default."""
    provisioners: dict[str, str] = {}
    defaults: set[str] = set()
    for body in bodies:
        metadata = body["metadata"]
        provisioners[metadata["name"]] = str(body.get("provisioner", ""))
        if (metadata.get("annotations") or {}).get(_DEFAULT) == "true":
            defaults.add(metadata["name"])
    return provisioners, tuple(sorted(defaults))


@dataclass(frozen=True, slots=True)
class Restoration:
    """What brings one claim back with its data."""

    claim: Ref
    bodies: Mapping[Ref, Body]
    """The content, the snapshot and the claim, as they must be created."""
    entries: Mapping[Ref, Entry]
    """The content's and the snapshot's; they are in no commit, so their fingerprint is empty."""
    notes: tuple[str, ...] = ()


class CannotRestoreError(Exception):
    """The record does not fit the claim or the target; the text says why, the hint what helps."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def restoration(
    claim: Ref, body: Body, record: SnapshotRecord, facts: StorageFacts, *, target_uid: str
) -> Restoration:
    """Make the objects that restore ``claim``, whose body in Git is ``body``, from ``record``.

    ``claim`` may be in another namespace, or have another name, than the record's. The names of
    content and snapshot follow from handle, claim and target, so that a second run finds what the
    first has made. Raises ``CannotRestoreError`` where the API server or the driver would refuse,
    or where the volume would silently be empty.
    """
    spec = body.get("spec") or {}
    _check_driver(record)
    _check_mode(spec, record)
    storage_class = _storage_class(spec, record, facts)
    snapshot_class, notes = _snapshot_class(record, facts)
    name = restored_name(claim, record, target_uid)
    snapshot = Ref(*SNAPSHOT, claim.namespace, name)
    content = Ref(*CONTENT, "", name)
    bodies = {
        content: _content(name, claim, record, snapshot_class),
        snapshot: _snapshot(name, claim, snapshot_class),
        claim: _claim(body, record, name, storage_class),
    }
    entries = {
        content: Entry("", f"cluster/volumesnapshotcontents.{GROUP}/{name}.yaml", VERSION),
        snapshot: Entry(
            "", f"namespaces/{claim.namespace}/volumesnapshots.{GROUP}/{name}.yaml", VERSION
        ),
    }
    return Restoration(claim, bodies, entries, notes)


def restored_name(claim: Ref, record: SnapshotRecord, target_uid: str) -> str:
    """The name of content and snapshot by which one record restores one claim in one cluster."""
    told = "\0".join((target_uid, record.driver, record.handle, claim.namespace, claim.name))
    return f"gitops-dr-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def claim_of(record: SnapshotRecord, claim: Ref, facts: StorageFacts) -> Body:
    """A claim that is made of a record alone, without anybody's labels, to be restored elsewhere.

    Its class is the record's if the target has that, else the target's only one of the driver.
    """
    storage_class = record.storage_class
    if storage_class not in facts.provisioners:
        fitting = [name for name, of in facts.provisioners.items() if of == record.driver]
        storage_class = fitting[0] if len(fitting) == 1 else storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim.name, "namespace": claim.namespace},
        "spec": {
            "accessModes": list(record.access_modes),
            "storageClassName": storage_class,
            "volumeMode": record.volume_mode,
            "resources": {"requests": {"storage": record.request}},
        },
    }


def source_lost(wanted: Body, stored: Body) -> str:
    """Why a claim would be filled with nothing although it was to be filled; empty if it is not so.

    An API server that takes no such source, or a webhook, drops it without a word:
    https://github.com/kubernetes/kubernetes/issues/96189
    """
    source = (wanted.get("spec") or {}).get("dataSourceRef")
    if source is None or (stored.get("spec") or {}).get("dataSourceRef") == source:
        return ""
    return "the data source that it was made with was dropped, so its volume would be empty"


def contains(live: Any, wanted: Any) -> bool:
    """Whether a live object says all that it was made with; others may have added to it."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and contains(live[key], value) for key, value in wanted.items()
        )
    return bool(live == wanted)


def _check_driver(record: SnapshotRecord) -> None:
    because = _unimportable().get(record.driver)
    if because is not None:
        raise CannotRestoreError(
            f"{record.driver} cannot fill a volume from a handle: {because}",
            hint="bring its data back with the driver's own means",
        )


@cache
def _unimportable() -> dict[str, str]:
    rows = yamlrocks.loads(shipped("volumes/unimportable.yaml").read_bytes())
    return {row["driver"]: row["because"] for row in rows}


def _check_mode(spec: Mapping[str, Any], record: SnapshotRecord) -> None:
    mode = spec.get("volumeMode") or "Filesystem"
    if mode != record.volume_mode:
        raise CannotRestoreError(
            f"its volumeMode is {mode}, and the snapshot is of a {record.volume_mode} volume",
            hint="a snapshot cannot change the mode of a volume",
        )


def _storage_class(spec: Mapping[str, Any], record: SnapshotRecord, facts: StorageFacts) -> str:
    name = spec.get("storageClassName")
    if name is None:
        name = facts.default_class or record.storage_class
    provisioner = facts.provisioners.get(name)
    if provisioner is None:
        raise CannotRestoreError(
            f"its StorageClass {name or '(none)'} is neither in Git nor in the target",
            hint=f"it needs a class whose provisioner is {record.driver}",
        )
    if provisioner != record.driver:
        raise CannotRestoreError(
            f"its StorageClass {name} is of {provisioner}, and the snapshot is of {record.driver}",
            hint="only the driver that took a snapshot can fill a volume from it",
        )
    return str(name)


def _snapshot_class(record: SnapshotRecord, facts: StorageFacts) -> tuple[str, tuple[str, ...]]:
    """The class to name, if the target has just one that can be meant.

    A class that the target does not have stops the controller; without one, a driver that needs
    credentials cannot look the snapshot up: https://github.com/vmware-tanzu/velero/issues/9515
    """
    known = facts.snapshot_classes.get(record.driver, ())
    if record.snapshot_class in known:
        return record.snapshot_class, ()
    if len(known) == 1:
        return known[0], ()
    what = "no VolumeSnapshotClass" if not known else f"{len(known)} VolumeSnapshotClasses"
    note = f"the target has {what} of {record.driver}, so the restored snapshot names none"
    return "", (f"{record.ref}: {note}",)


def _content(name: str, claim: Ref, record: SnapshotRecord, snapshot_class: str) -> Body:
    spec: dict[str, Any] = {
        # Two clusters know this snapshot now; with Delete, either could take it from the other.
        "deletionPolicy": "Retain",
        "driver": record.driver,
        "source": {"snapshotHandle": record.handle},
        "sourceVolumeMode": record.volume_mode,
        "volumeSnapshotRef": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": SNAPSHOT[1],
            "name": name,
            "namespace": claim.namespace,
        },
    }
    if snapshot_class:
        spec["volumeSnapshotClassName"] = snapshot_class
    metadata: dict[str, Any] = {"name": name}
    if record.secret_annotations:
        metadata["annotations"] = dict(record.secret_annotations)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": CONTENT[1],
        "metadata": metadata,
        "spec": spec,
    }


def _snapshot(name: str, claim: Ref, snapshot_class: str) -> Body:
    spec: dict[str, Any] = {"source": {"volumeSnapshotContentName": name}}
    if snapshot_class:
        spec["volumeSnapshotClassName"] = snapshot_class
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": SNAPSHOT[1],
        "metadata": {"name": name, "namespace": claim.namespace},
        "spec": spec,
    }


def _claim(body: Body, record: SnapshotRecord, snapshot: str, storage_class: str) -> Body:
    result = deepcopy(body)
    spec = result.setdefault("spec", {})
    # An old source may point at a snapshot that is long gone; the API server copies the new one.
    spec.pop("dataSource", None)
    spec["dataSourceRef"] = {"apiGroup": GROUP, "kind": SNAPSHOT[1], "name": snapshot}
    # A default class that is no CSI driver's would ignore the source and give an empty volume.
    spec["storageClassName"] = storage_class
    requests = spec.setdefault("resources", {}).setdefault("requests", {})
    requests["storage"] = _size(str(requests.get("storage") or "0"), record)
    return result


def _size(request: str, record: SnapshotRecord) -> str:
    """The largest of request, capacity and restoreSize: a smaller volume is refused.

    https://github.com/kubernetes-csi/external-provisioner/issues/727
    """
    sizes = [request, record.request, record.capacity, str(record.restore_size)]
    return max(sizes, key=lambda size: amount(size) or 0)
