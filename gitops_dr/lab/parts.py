"""What a lab is made of: three parts, each built on its own and complete or absent. Pure.

The versions stand in the module files under ``go/``; the hash of those files (and, for generated
code, of the generator's version) names a part's folder in the cache, so another version is
another folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gitops_dr.resources import shipped

MODULE_FILES = ("go.mod", "go.sum")


@dataclass(frozen=True, slots=True)
class Part:
    """Files that are made together, from one Go module."""

    name: str
    module: str
    """Folder of the module files, below ``lab/go/``."""
    files: tuple[str, ...]
    """What a complete folder of this part holds, relative to it."""
    renamed: Mapping[str, str]
    """Binaries whose Go name is not the name they are known by."""
    ldflags: str = "-s -w"
    """For Go's linker."""
    generator: str = ""
    """A Python distribution whose version shapes the files."""


CONTROL_PLANE = Part(
    name="control-plane",
    module="control-plane",
    files=(
        "csi-snapshotter",
        "etcd",
        "etcdctl",
        "etcdutl",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubectl",
        "kwok",
        "snapshot-controller",
    ),
    renamed={"server": "etcd"},
    # Built outside its own repository, Kubernetes does not know its version.
    ldflags="-s -w"
    " -X k8s.io/component-base/version.gitVersion=v1.37.2"
    " -X k8s.io/component-base/version.gitTreeState=clean",
)
CSI_PROVISIONER = Part(
    name="csi-provisioner", module="csi-provisioner", files=("csi-provisioner",), renamed={}
)
INTERFACES = Part(
    name="interfaces",
    module="control-plane",
    files=(
        "csi_pb2.py",
        "snapshot.storage.k8s.io_volumesnapshotclasses.yaml",
        "snapshot.storage.k8s.io_volumesnapshotcontents.yaml",
        "snapshot.storage.k8s.io_volumesnapshots.yaml",
    ),
    renamed={},
    generator="grpcio-tools",
)

PARTS = (CONTROL_PLANE, CSI_PROVISIONER, INTERFACES)


def fingerprint(part: Part, generator_version: str = "") -> str:
    """Hash of everything that decides what the part's files contain, 12 hex digits."""
    digest = hashlib.sha256("\0".join((*part.files, part.ldflags, generator_version)).encode())
    for name in MODULE_FILES:
        digest.update(shipped(f"lab/go/{part.module}/{name}").read_bytes())
    return digest.hexdigest()[:12]
