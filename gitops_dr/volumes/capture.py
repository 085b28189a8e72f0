"""Which claims can be captured, the snapshot of each, and whether it is sound. Pure.

Source of the rules: https://kubernetes.io/docs/concepts/storage/volume-snapshots/ and what the
API's own types say that consumers must check, in ``client/apis/volumesnapshot/v1/types.go`` of
https://github.com/kubernetes-csi/external-snapshotter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.model import Body, Ref
from gitops_dr.resources import shipped
from gitops_dr.volumes.in_place import replicas_of
from gitops_dr.volumes.policy import VolumePolicy, VolumeSettings
from gitops_dr.volumes.records import Hooks, SnapshotRecord, Survives
from gitops_dr.volumes.sets import STATEFUL_SET, ordinal_of

GROUP = "snapshot.storage.k8s.io"
SET = "gitops-dr.dev/snapshot-set"
"""Label: the run that took the snapshot."""
SOURCE = "gitops-dr.dev/repository"
"""Label: the repository (its first commit and the cluster's name) that keeps the record."""
STATE = "gitops-dr.dev/state"
"""Label: ``taking`` until the record is in a commit, then ``kept``."""
TAKING, KEPT = "taking", "kept"

_SECRET_ANNOTATIONS = (
    "snapshot.storage.kubernetes.io/deletion-secret-name",
    "snapshot.storage.kubernetes.io/deletion-secret-namespace",
)
_MAX_NAME = 253


@dataclass(frozen=True, slots=True)
class Protectable:
    """A claim that can be captured, and how."""

    claim: Ref
    driver: str
    snapshot_class: str
    policy: VolumePolicy


class CannotCaptureError(Exception):
    """The claim's volume cannot be protected; the text says why, the hint what helps."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def protectable(
    claim: Body,
    volume: Body | None,
    snapshot_classes: Mapping[str, tuple[str, ...]],
    policy: VolumePolicy,
    settings: VolumeSettings,
) -> Protectable:
    """Say how a claim is captured.

    ``volume`` is the PersistentVolume that it is bound to, ``snapshot_classes`` the names of the
    VolumeSnapshotClasses by driver. Raises ``CannotCaptureError`` for a volume that no snapshot can
    protect, and where it is unclear which class is meant.
    """
    metadata = claim["metadata"]
    ref = Ref("", "PersistentVolumeClaim", metadata["namespace"], metadata["name"])
    if (claim.get("status") or {}).get("phase") != "Bound" or volume is None:
        raise CannotCaptureError("it is not bound to a volume, so there is nothing to capture")
    spec = volume.get("spec") or {}
    driver = (spec.get("csi") or {}).get("driver")
    if not driver:
        kind = next((key for key in sorted(spec) if key in _IN_TREE), "no CSI driver's")
        raise CannotCaptureError(
            f"its volume is {kind}, and only CSI drivers take snapshots",
            hint="back its data up by other means, or move it to a CSI volume",
        )
    known = snapshot_classes.get(driver, ())
    wanted = policy.snapshot_class or settings.snapshot_classes.get(driver, "")
    if wanted:
        if wanted not in known:
            raise CannotCaptureError(
                f"VolumeSnapshotClass {wanted}, which gitops-dr.yaml names, is not one of {driver}",
                hint=f"it has {_listed(known)}",
            )
        return Protectable(ref, driver, wanted, policy)
    if len(known) != 1:
        raise CannotCaptureError(
            f"{driver} has {_listed(known)} for a VolumeSnapshotClass, and one must be chosen",
            hint=f"name it under volumes.snapshotClasses in gitops-dr.yaml: {driver}: CLASS"
            if known
            else f"create a VolumeSnapshotClass with driver {driver}",
        )
    return Protectable(ref, driver, known[0], policy)


# Sources of a PersistentVolume that are no CSI driver's.
# https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/
_IN_TREE = frozenset(
    {
        "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume",
        "flocker", "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs",
        "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos",
        "vsphereVolume",
    }
)  # fmt: skip


def snapshot_name(claim: Ref, snapshot_set: str) -> str:
    """The name of a claim's VolumeSnapshot in a set; people find it by the claim's."""
    name = f"{claim.name}-{snapshot_set}"
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(claim.name.encode()).hexdigest()[:16]
    short = claim.name[: _MAX_NAME - len(snapshot_set) - len(digest) - 2].rstrip("-.")
    return f"{short}-{digest}-{snapshot_set}"


def snapshot_body(one: Protectable, snapshot_set: str, source: str) -> Body:
    """The VolumeSnapshot to create; its class is always named, whatever the default is."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": snapshot_name(one.claim, snapshot_set),
            "namespace": one.claim.namespace,
            "labels": {SET: snapshot_set, SOURCE: source, STATE: TAKING},
        },
        "spec": {
            "source": {"persistentVolumeClaimName": one.claim.name},
            "volumeSnapshotClassName": one.snapshot_class,
        },
    }


def error_of(snapshot: Body) -> str:
    """What the driver says went wrong; empty while nothing did."""
    error = (snapshot.get("status") or {}).get("error") or {}
    return str(error.get("message") or "")


def is_cut(snapshot: Body) -> bool:
    """Whether the data is cut, so that the application may go on."""
    return bool((snapshot.get("status") or {}).get("creationTime"))


def is_usable(snapshot: Body) -> bool:
    """Whether a volume can be made from it."""
    return is_cut(snapshot) and (snapshot.get("status") or {}).get("readyToUse") is True


def unsound(snapshot: Body, content: Body) -> str:
    """Why snapshot and content do not belong to each other; empty if they do.

    Both directions must hold, as the API's types demand of consumers.
    """
    name = (snapshot.get("status") or {}).get("boundVolumeSnapshotContentName")
    if name != content["metadata"]["name"]:
        return f"it is bound to content {name}, not to {content['metadata']['name']}"
    told = (content.get("spec") or {}).get("volumeSnapshotRef") or {}
    metadata = snapshot["metadata"]
    expected = (metadata["namespace"], metadata["name"], metadata.get("uid"))
    if (told.get("namespace"), told.get("name"), told.get("uid")) != expected:
        return f"content {name} is of another snapshot, {told.get('namespace')}/{told.get('name')}"
    if not (content.get("status") or {}).get("snapshotHandle"):
        return f"content {name} has no handle"
    return ""


def record_of(
    claim: Body,
    volume: Body,
    storage_class: Body | None,
    snapshot: Body,
    content: Body,
    *,
    stateful_sets: Iterable[Body] = (),
    snapshot_set: str,
    settings: VolumeSettings,
    hooks: Hooks,
) -> SnapshotRecord:
    """Write down a sound, usable snapshot. All of them are bodies as the API server has them.

    ``stateful_sets``: those among which the claim's may be.
    """
    spec, status = content["spec"], content["status"]
    source, capacity = volume["spec"], (volume["spec"].get("capacity") or {}).get("storage", "")
    annotations = content["metadata"].get("annotations") or {}
    claim_spec = claim.get("spec") or {}
    owner, ordinal = _set_of(claim, stateful_sets)
    return SnapshotRecord(
        namespace=claim["metadata"]["namespace"],
        claim=claim["metadata"]["name"],
        claim_uid=claim["metadata"]["uid"],
        snapshot_set=snapshot_set,
        driver=spec["driver"],
        handle=status["snapshotHandle"],
        group_handle=status.get("volumeGroupSnapshotHandle") or "",
        created=snapshot["status"]["creationTime"],
        restore_size=int(status.get("restoreSize") or 0),
        request=str(((claim_spec.get("resources") or {}).get("requests") or {}).get("storage", "")),
        capacity=str(capacity),
        volume_mode=claim_spec.get("volumeMode") or "Filesystem",
        access_modes=tuple(claim_spec.get("accessModes") or ()),
        storage_class=claim_spec.get("storageClassName") or "",
        binding_mode=(storage_class or {}).get("volumeBindingMode") or "Immediate",
        snapshot_class=spec.get("volumeSnapshotClassName") or "",
        snapshot=snapshot["metadata"]["name"],
        content=content["metadata"]["name"],
        survives=survives(spec["driver"], settings),
        fs_type=(source.get("csi") or {}).get("fsType") or "",
        secret_annotations={k: annotations[k] for k in _SECRET_ANNOTATIONS if k in annotations},
        owner=owner,
        ordinal=ordinal,
        topology=_topology(source),
        hooks=hooks,
    )


def survives(driver: str, settings: VolumeSettings) -> Survives:
    """What must go for the driver's snapshots to go: as people say, else as the table has it."""
    told = settings.survives.get(driver) or _drivers().get(driver, Survives.UNKNOWN.value)
    return Survives(told)


def _set_of(claim: Body, stateful_sets: Iterable[Body]) -> tuple[Ref | None, int | None]:
    """The StatefulSet whose claim it is, and the pod's ordinal, which its name ends with.

    Only a set that deletes claims is their owner; else its templates tell, as they tell the set's
    own controller: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage
    Where two sets could have made the name, none is named.
    """
    metadata = claim["metadata"]
    ref = Ref("", "PersistentVolumeClaim", metadata["namespace"], metadata["name"])
    ordinal = re.search(r"-(\d+)\Z", ref.name, re.ASCII)
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("kind") == STATEFUL_SET[1] and ordinal:
            return Ref(*STATEFUL_SET, ref.namespace, owner["name"]), int(ordinal[1])
    found = [
        (Ref(*STATEFUL_SET, ref.namespace, body["metadata"]["name"]), number)
        for body in stateful_sets
        if (number := ordinal_of(body, ref, replicas_of(body))) is not None
    ]
    return found[0] if len(found) == 1 else (None, None)


def _topology(source: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """The alternatives of the volume's node affinity that name one value for each label."""
    terms = ((source.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms")
    found = []
    for term in terms or ():
        labels = {
            each["key"]: each["values"][0]
            for each in term.get("matchExpressions") or ()
            if each.get("operator") == "In" and len(each.get("values") or ()) == 1
        }
        if labels:
            found.append(labels)
    return tuple(found)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "none"


@cache
def _drivers() -> dict[str, str]:
    rows = yamlrocks.loads(shipped("volumes/drivers.yaml").read_bytes())
    return {row["driver"]: row["survives"] for row in rows}
