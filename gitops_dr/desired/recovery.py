"""The recovery files that stand beside the manifests: ``coverage.yaml`` and ``images.yaml``. Pure.

``docs/format.md`` specifies them. They hold nothing that changes while the cluster does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.manifests.versioned import as_text, misread, parse_versioned
from gitops_dr.model import Body, Gap, Omission, Ref, Resource, parse_kind, parse_ref

FORMAT = 1
COVERAGE = "recovery/coverage.yaml"
IMAGES = "recovery/images.yaml"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one recovery point holds and what it does not."""

    uid: str
    """UID of the source's ``kube-system`` namespace."""
    version: str
    """The source's Kubernetes version."""
    kinds: tuple[tuple[Resource, int], ...]
    """Every kind that was listed, and how many of its objects are in Git."""
    omissions: tuple[Omission, ...] = ()
    gaps: tuple[Gap, ...] = ()
    generated: Mapping[Ref, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Custom resources, and the kinds (group, kind) of objects that their operators had made."""

    unprotected: Mapping[Ref, str] = field(default_factory=dict)
    """Claims whose last attempt at a snapshot failed, and why. Only a run that takes snapshots
    says anything new of them."""

    @property
    def versions(self) -> dict[tuple[str, str], str]:
        """The API version of each kind."""
        return {resource.group_kind: resource.version for resource, _ in self.kinds}

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Every kind, in the version that it was listed in."""
        return tuple(resource for resource, _ in self.kinds)


def write_coverage(coverage: Coverage) -> bytes:
    """Write the bytes of ``coverage.yaml``."""
    document: Body = {
        "format": FORMAT,
        "source": {"uid": coverage.uid, "version": coverage.version},
        "kinds": [
            {
                "group": resource.group,
                "kind": resource.kind,
                "namespaced": resource.namespaced,
                "objects": count,
                "resource": resource.plural,
                "version": resource.version,
            }
            for resource, count in coverage.kinds
        ],
        "omissions": [
            {"reason": omission.reason, "ref": str(omission.ref), "rule": omission.rule}
            for omission in coverage.omissions
        ],
        "gaps": [{"reason": gap.reason, "ref": str(gap.ref)} for gap in coverage.gaps],
        "generated": [
            {"kinds": [_kind_name(kind) for kind in kinds], "owner": str(owner)}
            for owner, kinds in coverage.generated.items()
        ],
    }
    if coverage.unprotected:
        document["unprotected"] = [
            {"reason": reason, "ref": str(ref)}
            for ref, reason in sorted(coverage.unprotected.items())
        ]
    return canonical(document)


def read_coverage(data: bytes, path: str) -> Coverage:
    """Read ``coverage.yaml``. Raises ``RepositoryError`` if it is not one, or of a newer format."""
    document = parse_versioned(data, path, FORMAT)
    with misread(path, "a coverage file"):
        return Coverage(
            uid=as_text(document["source"]["uid"]),
            version=as_text(document["source"]["version"]),
            kinds=tuple(
                (
                    Resource(
                        as_text(kind["group"]),
                        as_text(kind["version"]),
                        as_text(kind["kind"]),
                        as_text(kind["resource"]),
                        bool(kind["namespaced"]),
                    ),
                    int(kind["objects"]),
                )
                for kind in document["kinds"]
            ),
            omissions=tuple(
                Omission(parse_ref(entry["ref"]), as_text(entry["rule"]), as_text(entry["reason"]))
                for entry in document["omissions"]
            ),
            gaps=tuple(
                Gap(parse_ref(entry["ref"]), as_text(entry["reason"])) for entry in document["gaps"]
            ),
            generated={
                parse_ref(entry["owner"]): tuple(parse_kind(as_text(k)) for k in entry["kinds"])
                for entry in document.get("generated") or ()
            },
            unprotected={
                parse_ref(entry["ref"]): as_text(entry["reason"])
                for entry in document.get("unprotected") or ()
            },
        )


def _kind_name(kind: tuple[str, str]) -> str:
    group, name = kind
    return f"{name}.{group}" if group else name


# Where the kinds of Kubernetes itself keep containers; custom kinds are not searched.
_POD_SPECS = {
    ("", "Pod"): "spec",
    ("", "ReplicationController"): "spec.template.spec",
    ("apps", "Deployment"): "spec.template.spec",
    ("apps", "ReplicaSet"): "spec.template.spec",
    ("apps", "StatefulSet"): "spec.template.spec",
    ("apps", "DaemonSet"): "spec.template.spec",
    ("batch", "Job"): "spec.template.spec",
    ("batch", "CronJob"): "spec.jobTemplate.spec.template.spec",
}


def has_images(group_kind: tuple[str, str]) -> bool:
    """Whether objects of this kind run containers."""
    return group_kind in _POD_SPECS


def images_of(ref: Ref, body: Mapping[str, Any]) -> set[str]:
    """List the images that an object's pods are asked to run, or to mount as volumes."""
    spec: Any = body
    for key in parse_fieldpath(_POD_SPECS[ref.group_kind]):
        spec = spec.get(key) if isinstance(spec, dict) else None
    if not isinstance(spec, dict):
        return set()
    found = [
        container.get("image")
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
        if _is_map(container)
    ]
    volumes = [volume.get("image") for volume in spec.get("volumes") or () if _is_map(volume)]
    found += [image.get("reference") for image in volumes if _is_map(image)]
    return {image for image in found if isinstance(image, str)}


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def write_images(
    wanted: Iterable[str],
    running: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
) -> bytes:
    """Write the bytes of ``images.yaml``: each image in use and the digests that ran of it.

    ``before`` is the file's previous content: an image whose pods happen not to run just now keeps
    the digest that was last seen.
    """
    return canonical(
        {
            "format": FORMAT,
            "images": {
                image: list(running.get(image) or before.get(image) or ())
                for image in sorted(set(wanted))
            },
        }
    )


def read_images(data: bytes, path: str) -> dict[str, tuple[str, ...]]:
    """Read ``images.yaml``: image to digests.

    Raises ``RepositoryError`` if the file is not one, or of a newer format.
    """
    images = parse_versioned(data, path, FORMAT).get("images")
    if not isinstance(images, dict) or not all(isinstance(v, list) for v in images.values()):
        raise RepositoryError(
            f"{path}: not an images file",
            hint="restore it from the last commit of gitops-dr export",
        )
    return {str(image): tuple(map(str, digests)) for image, digests in images.items()}
