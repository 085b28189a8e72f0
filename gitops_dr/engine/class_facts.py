"""Reads the classes that volumes and snapshots were made by, in Git, and those of a target."""

from __future__ import annotations

from collections.abc import Iterator

from gitops_dr.checks.plan_facts import Class
from gitops_dr.checks.reading import read_class
from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.recorded import Recorded
from gitops_dr.engine.snapshots import listed
from gitops_dr.model import Body

_STORAGE = "cluster/storageclasses.storage.k8s.io/"
_SNAPSHOT = "cluster/volumesnapshotclasses.snapshot.storage.k8s.io/"


def source_classes(recorded: Recorded) -> dict[str, tuple[Class, ...]]:
    """The source's StorageClasses, by the name that the target has for them.

    Raises ``RepositoryError`` for a file that cannot be read.
    """
    renamed = recorded.rewriter.target.mappings.storage_classes
    found: dict[str, tuple[Class, ...]] = {}
    for body in _bodies(recorded, _STORAGE):
        name = body["metadata"]["name"]
        name = renamed.get(name, name)
        found[name] = (*found.get(name, ()), read_class(body))
    return found


def source_snapshot_classes(recorded: Recorded) -> dict[str, Class]:
    """The source's VolumeSnapshotClasses, likewise. Raises ``RepositoryError``."""
    renamed = recorded.rewriter.target.mappings.snapshot_classes
    names = ((body["metadata"]["name"], body) for body in _bodies(recorded, _SNAPSHOT))
    return {renamed.get(name, name): read_class(body) for name, body in names}


def read_snapshot_classes(connection: Connection) -> dict[str, Class]:
    """A target's VolumeSnapshotClasses; none where they are not served. Raises ``ApiError``."""
    bodies = listed(connection, "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses")
    return {body["metadata"]["name"]: read_class(body) for body in bodies}


def _bodies(recorded: Recorded, folder: str) -> Iterator[Body]:
    tree = recorded.tree
    for path, blob in sorted(tree.files.items()):
        if path.startswith(folder) and (body := tree.manifest(path, blob)) is not None:
            yield body
