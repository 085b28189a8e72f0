"""One claim, its record, and a target that can restore it; tests change what they are about."""

from gitops_dr.model import Ref
from gitops_dr.volumes.records import Hooks, SnapshotRecord, Survives
from gitops_dr.volumes.restore import StorageFacts

RECORD = SnapshotRecord(
    namespace="shop",
    claim="data-db-0",
    claim_uid="7f0c",
    snapshot_set="20261126t104500z-3f2a91",
    driver="directory.csi.gitops-dr.dev",
    handle="snapshot-1",
    created="2026-11-26T10:45:00Z",
    restore_size=1024,
    request="1Gi",
    capacity="1Gi",
    volume_mode="Filesystem",
    access_modes=("ReadWriteOnce",),
    storage_class="directory",
    binding_mode="Immediate",
    snapshot_class="directory",
    snapshot="data-db-0-20261126t104500z-3f2a91",
    content="snapcontent-1",
    survives=Survives.CLUSTER,
    fs_type="ext4",
    secret_annotations={"snapshot.storage.kubernetes.io/deletion-secret-name": "s"},
    owner=Ref("apps", "StatefulSet", "shop", "db"),
    ordinal=0,
    topology=({"topology.kubernetes.io/zone": "z1"},),
    hooks=Hooks("ok", 1.25),
)

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data-db-0", "namespace": "shop", "labels": {"app": "db"}},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "directory",
        "volumeMode": "Filesystem",
    },
}

FACTS = StorageFacts(
    provisioners={"directory": RECORD.driver, "nfs": "nfs.example"},
    snapshot_classes={RECORD.driver: ("directory",)},
)
