"""A cluster made of bodies in memory, for exports that need Git and no API server.

Run as a program it exports ``CLUSTER.json`` into a repository and dies at a named point of the
commit: ``python small_cluster.py REPOSITORY CLUSTER.json FAILPOINT [NTH]``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command import commit_all, git

from gitops_dr.desired.endpoints import Issuer
from gitops_dr.engine import endpoints, exporting, lost_points
from gitops_dr.engine.observe import Kind, Observation
from gitops_dr.engine.opening import Where
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import Entry, Gap, Identity, Ref, Resource, State, by_kind
from gitops_dr.repository.commit import commit
from gitops_dr.workflows import export as workflow

KINDS = {
    ("", "Namespace"): Resource("", "v1", "Namespace", "namespaces", namespaced=False),
    ("", "ConfigMap"): Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
}
IDENTITY = Identity("5ca1ab1e-0000-4000-8000-000000000000", "v1.37.2", "100")


def config_map(name: str, namespace: str = "shop", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def ref_of(body: dict[str, Any]) -> Ref:
    group, _, _ = body["apiVersion"].rpartition("/")
    metadata = body["metadata"]
    return Ref(group, body["kind"], metadata.get("namespace", ""), metadata["name"])


SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
OTHERS = [config_map(f"other-{number}", of="ballast") for number in range(20)]
"""So that what a test deletes is no sudden loss."""


def new_repo(path: Path, *flags: str, settings: str = "format: 1\nclusters:\n  prod:\n") -> Path:
    """A repository with one commit, which has settings and nothing else."""
    path.mkdir(exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main", *flags)
    (path / "gitops-dr.yaml").write_text(settings)
    commit_all(path, "Start")
    return path


class SmallCluster:
    """What an export sees of a cluster; change ``objects`` and ``gaps`` at will."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self.objects = {ref_of(body): body for body in bodies}
        self.gaps: list[Gap] = []
        self.uid = IDENTITY.uid
        self.points = ""
        """The log of recovery points that it keeps."""
        self.meanwhile: Callable[[], object] = lambda: None
        """Happens while the cluster is observed."""

    def put(self, *bodies: dict[str, Any]) -> None:
        self.objects |= {ref_of(body): body for body in bodies}

    def __delitem__(self, name: str) -> None:
        ref = next(ref for ref in self.objects if ref.name == name)
        del self.objects[ref]

    def observe(self, _connection, identity, fingerprint, *, known=(), **_options) -> Observation:
        entries, bodies = {}, {}
        for ref, body in self.objects.items():
            if any(gap.ref.covers(ref) for gap in self.gaps):
                continue
            data = canonical(body)
            path = manifest_path(ref, KINDS[ref.group_kind].plural)
            entries[ref] = Entry(fingerprint(data), path, "v1")
            if entries[ref].fingerprint not in known:
                bodies[entries[ref].fingerprint] = data
        counts = by_kind(entries)
        self.meanwhile()
        return Observation(
            state=State(entries=entries, gaps=tuple(self.gaps)),
            bodies=bodies,
            identity=identity,
            kinds=tuple(Kind(kind, counts.get(key, 0)) for key, kind in sorted(KINDS.items())),
            torn=(),
            images=frozenset(),
            digests={},
            resources=KINDS,
            generated={},
        )

    def put_in_place(self, patch: Callable[[Any, str, Any], None]) -> None:
        """Make exports of this process see this cluster; ``patch`` is ``setattr`` or pytest's."""
        patch(workflow, "open_cluster", lambda _where, _settings: None)
        patch(workflow, "refuse_fenced", lambda _connection, _cluster: None)
        patch(exporting, "identify", lambda _c: Identity(self.uid, IDENTITY.version, "100"))
        patch(exporting, "observe", self.observe)
        patch(endpoints, "read_issuer", lambda _c: Issuer())
        patch(lost_points, "read_point_record", lambda _c: self.points)
        patch(lost_points, "write_point_record", lambda _c, text: setattr(self, "points", text))


def _die(failpoint: str, nth: int) -> Callable[[str], None]:
    passed = 0

    def here(name: str) -> None:
        nonlocal passed
        passed += name == failpoint
        if passed == nth and name == failpoint:
            os._exit(137)

    return here


def main(repo: str, state: str, failpoint: str, nth: str = "1") -> None:
    cluster = SmallCluster(*json.loads(Path(state).read_text()))
    cluster.put_in_place(setattr)
    hook = _die(failpoint, int(nth))
    exporting.commit = lambda repository, **options: commit(repository, **options, failpoint=hook)
    workflow.export(Where(Path(repo)), allow_shrink=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
