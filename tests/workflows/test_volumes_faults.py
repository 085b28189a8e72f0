"""What can go wrong with volumes, shown on the lab: each fault is named, and nothing is lost.

On one lab whose driver fails on demand. Each test has applications of its own.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yamlrocks
from command import git, gitops_dr
from stateful import SNAPSHOT_API, App, Cluster, wait_until

from gitops_dr import lab as labs

pytestmark = pytest.mark.lab
campaign = pytest.mark.campaign  # Those that wait out what a controller or a driver does not do.

CLASSES = f"{SNAPSHOT_API}/volumesnapshotclasses"
DRIVER = "directory.csi.gitops-dr.dev"
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Scene:
    """A repository of its own on the module's lab."""

    cluster: Cluster
    repo: Path

    def export(self, *flags: str, code: int = 0) -> Any:
        export = ("export", "--repo", str(self.repo), "--volumes", "--allow-shrink")
        return self.cluster.json(*export, *flags, code=code)

    def rebuild(self, *flags: str, code: int = 0) -> Any:
        return self.cluster.json("rebuild", "--repo", str(self.repo), "--yes", *flags, code=code)

    def in_place(self, app: App, *flags: str, code: int = 0) -> Any:
        command = ("volumes", "restore", *app.named, "--in-place", "--yes")
        return self.cluster.json(*command, "--repo", str(self.repo), *flags, code=code)

    def file(self, app: App, place: str) -> Path:
        """A file of the cluster's tree; ``place`` has the namespace where it says ``NS``."""
        return self.repo / "clusters/prod" / place.replace("NS", app.name)

    def edit(self, app: App, change: Callable[[Any], Any], claim: str = "data") -> None:
        """Change a claim's manifest in Git."""
        file = self.file(app, f"namespaces/NS/persistentvolumeclaims/{claim}.yaml")
        body = yamlrocks.loads(file.read_bytes())
        change(body)
        file.write_bytes(yamlrocks.dumps(body))
        git(self.repo, "commit", "--quiet", "--all", "--message", "By hand")

    def captured(self, app: App) -> dict[str, str]:
        """Start an application, and capture it; gives the checksums of its data."""
        self.cluster.start(app)
        self.cluster.write("first", app)
        sums = self.cluster.sums(app)
        self.export()
        return sums


@pytest.fixture(scope="module")
def cluster(lab_home: Path) -> Iterator[Cluster]:
    with labs.running("faulty") as lab:
        yield Cluster(lab)


@pytest.fixture
def scene(cluster: Cluster, tmp_path: Path) -> Iterator[Scene]:
    repo = tmp_path / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
    yield Scene(cluster, repo)
    cluster.fail()
    paths = []
    for kind in ("/apis/apps/v1/{}deployments", "/api/v1/{}persistentvolumeclaims"):
        for metadata in (body["metadata"] for body in cluster.listed(kind.format(""))):
            if metadata["namespace"].startswith("app-"):
                space = kind.format(f"namespaces/{metadata['namespace']}/")
                paths.append(f"{space}/{metadata['name']}")
                cluster.delete(paths[-1], wait=False)
    wait_until(lambda: not any(map(cluster.look, paths)))


@pytest.fixture
def app() -> App:
    return App(f"app-{next(NUMBERS)}")


def gap(found: Any, app: App) -> str:
    (reason,) = [g["reason"] for g in found["gaps"] if g["ref"]["namespace"] == app.name]
    return reason


def outcome(found: Any, kind: str, app: App) -> tuple[str, str]:
    rows = [
        (row["result"], row["reason"])
        for row in found["outcomes"]
        if row["ref"]["kind"] == kind and row["ref"]["namespace"] == app.name
    ]
    assert rows
    return rows[0]


# -- capture ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param(
            {"snapshot_error": "the array is on fire"},
            "the array is on fire",
            id="error",
            marks=campaign,
        ),
        pytest.param(
            {"never_ready": True}, "its snapshot is cut, but not ready to use", id="never ready"
        ),
    ],
)
def test_a_snapshot_that_comes_to_nothing(scene: Scene, app: App, fault: Any, says: str) -> None:
    cluster = scene.cluster
    cluster.start(app)

    def there() -> tuple[int, int, int]:
        return len(cluster.snapshots()), len(cluster.contents()), len(cluster.storage.snapshots())

    def is_made_after_all() -> bool:
        paths = [f"{SNAPSHOT_API}/volumesnapshotcontents/{n}" for n in cluster.contents_of(app)]
        return any((cluster.look(path) or {}).get("status", {}).get("readyToUse") for path in paths)

    before = there()
    cluster.fail(**fault)
    found = scene.export("--snapshot-timeout", "3", code=3)
    assert says in gap(found, app)
    assert found["snapshots"] == []
    assert not scene.file(app, "recovery/volumes/NS/data.yaml").exists()
    assert says in scene.file(app, "recovery/coverage.yaml").read_text()
    # It goes, or the driver, which does again what it is told, makes it after all: then its sidecar
    # takes no notice of the deletion until somebody else changes the content.
    cluster.fail()
    wait_until(lambda: there() == before or is_made_after_all())
    # The next one takes its place, and no other is left.
    assert len(scene.export()["snapshots"]) == 1
    assert says not in scene.file(app, "recovery/coverage.yaml").read_text()
    wait_until(lambda: there() == tuple(number + 1 for number in before))


def test_no_class_or_two_to_take_snapshots_by(scene: Scene, app: App) -> None:
    cluster = scene.cluster
    cluster.start(app)
    body = cluster.look(f"{CLASSES}/directory")
    kept = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "driver": DRIVER,
        "deletionPolicy": "Delete",
    }
    cluster.make(CLASSES, {"metadata": {"name": "second"}, **kept})
    try:
        assert "directory, second" in gap(scene.export(code=3), app)
        cluster.delete(f"{CLASSES}/second")
        cluster.delete(f"{CLASSES}/directory")
        assert f"create a VolumeSnapshotClass with driver {DRIVER}" in gap(
            scene.export(code=3), app
        )
    finally:
        metadata = {k: body["metadata"][k] for k in ("name", "annotations")}
        cluster.make(CLASSES, {"metadata": metadata, **kept})
    assert len(scene.export()["snapshots"]) == 1


@campaign
def test_the_controller_does_not_run_for_a_capture_or_in_place(scene: Scene, app: App) -> None:
    cluster = scene.cluster
    first = scene.captured(app)
    uid = cluster.claim(app, "data")["metadata"]["uid"]
    other = App(f"app-{next(NUMBERS)}")
    cluster.start(other)
    with cluster.stopped("snapshot-controller"):
        started = time.monotonic()
        assert "is the snapshot controller running" in gap(scene.export(code=3), other)
        found = scene.in_place(app, code=3)
        assert "no snapshot controller has taken it up" in found["reason"]
        assert time.monotonic() - started < 90
    assert cluster.claim(app, "data")["metadata"]["uid"] == uid
    assert cluster.is_running(app)
    assert cluster.sums(app) == first


@campaign
def test_the_controller_does_not_run_for_a_rebuild(scene: Scene, app: App) -> None:
    """It says so within seconds, and the claim is not made for nothing."""
    cluster = scene.cluster
    first = scene.captured(app)
    cluster.wipe(app)
    with cluster.stopped("snapshot-controller"):
        found = scene.rebuild("--timeout", "20", code=3)
        result, reason = outcome(found, "VolumeSnapshot", app)
        assert (result, "no snapshot controller" in reason) == ("unready", True)
        result, reason = outcome(found, "PersistentVolumeClaim", app)
        assert (result, "no snapshot controller" in reason) == ("blocked", True)
        assert cluster.claim(app, "data") is None
    found = scene.rebuild()
    assert found["complete"]
    cluster.await_running(app)
    assert cluster.sums(app) == first


# -- what the storage has not ------------------------------------------------------------------


@campaign
def test_a_handle_that_the_storage_does_not_know(scene: Scene, app: App) -> None:
    cluster = scene.cluster
    scene.captured(app)
    cluster.write("later", app)
    later = cluster.sums(app)
    uid = cluster.claim(app, "data")["metadata"]["uid"]
    record = yamlrocks.loads(scene.file(app, "recovery/volumes/NS/data.yaml").read_bytes())
    handle = record["snapshot"]["handle"]
    (cluster.lab.storage / "snapshots" / handle).rename(cluster.lab.storage / "lost")
    found = scene.in_place(app, code=3)
    assert handle in found["reason"]
    assert found["problems"] == []
    assert cluster.claim(app, "data")["metadata"]["uid"] == uid
    assert cluster.sums(app) == later
    assert cluster.contents_of(app, "gitops-dr-") == []
    cluster.wipe(app)
    found = scene.rebuild("--timeout", "30", code=3)
    result, reason = outcome(found, "PersistentVolumeClaim", app)
    assert (result, handle in reason) == ("blocked", True)
    assert cluster.claim(app, "data") is None
    # Found again, it fills the claim.
    (cluster.lab.storage / "lost").rename(cluster.lab.storage / "snapshots" / handle)
    assert scene.rebuild()["complete"]
    cluster.await_running(app)
    assert (cluster.folder(app, "data") / "first").exists()


def test_a_storage_that_is_full(scene: Scene, app: App) -> None:
    cluster = scene.cluster
    first = scene.captured(app)
    cluster.wipe(app)
    cluster.fail(volume_error="the pool is full")
    found = scene.rebuild("--timeout", "3", code=3)
    result, reason = outcome(found, "PersistentVolumeClaim", app)
    assert (result, "the pool is full" in reason) == ("unready", True)
    cluster.fail()
    cluster.await_running(app)
    assert scene.rebuild()["complete"]
    assert cluster.sums(app) == first


def test_a_quota_that_has_no_room_for_the_volume(scene: Scene, app: App) -> None:
    """It is said before the first write, and nothing is written."""
    cluster = scene.cluster
    first = scene.captured(app)
    cluster.wipe(app)
    quotas = f"/api/v1/namespaces/{app.name}/resourcequotas"
    hard = {"requests.storage": "512Ki"}
    cluster.make(quotas, {"metadata": {"name": "small"}, "spec": {"hard": hard}})
    wait_until(lambda: (cluster.look(f"{quotas}/small").get("status") or {}).get("used"))
    said = cluster.run("rebuild", "--repo", str(scene.repo), "--yes", code=6)
    assert f"ResourceQuota/{app.name}/small: 0 of 512Ki requests.storage is used" in said.err
    assert cluster.look(app.path) is None
    cluster.delete(f"{quotas}/small")
    assert scene.rebuild()["complete"]
    assert cluster.sums(app) == first


def test_a_content_that_somebody_deletes_meanwhile(scene: Scene, app: App) -> None:
    cluster = scene.cluster
    first = scene.captured(app)
    cluster.wipe(app)
    rebuild = ("rebuild", "--repo", str(scene.repo), "--yes")
    kind = "'kind': 'VolumeSnapshot'"
    cluster.run_until(f"after|gitops_dr.engine.act.create|{kind}|1", *rebuild)
    (content,) = cluster.contents_of(app, "gitops-dr-")
    cluster.delete(f"{SNAPSHOT_API}/volumesnapshotcontents/{content}", wait=False)
    said = gitops_dr(*rebuild, kubeconfig=cluster.kubeconfig)
    assert said.code in (0, 3), said.err
    if cluster.claim(app, "data") is None:
        # It is on its way out; once it is gone, the same command makes another.
        cluster.wipe(app)
        scene.rebuild()
    cluster.await_running(app)
    assert cluster.sums(app) == first


@campaign
def test_a_snapshot_survives_whoever_deletes_what_stands_for_it(scene: Scene, app: App) -> None:
    """The content says Retain, so neither a namespace nor a content takes the data along."""
    cluster = scene.cluster
    first = scene.captured(app)
    kept = cluster.storage.snapshots()
    cluster.delete(f"/api/v1/namespaces/{app.name}")
    for name in cluster.contents_of(app):
        cluster.delete(f"{SNAPSHOT_API}/volumesnapshotcontents/{name}")
    assert cluster.storage.snapshots() == kept
    assert scene.rebuild()["complete"]
    cluster.await_running(app)
    assert cluster.sums(app) == first


# -- what Git has does not fit -----------------------------------------------------------------


def mode(body: Any) -> None:
    body["spec"]["volumeMode"] = "Block"


def storage_class(body: Any) -> None:
    body["spec"]["storageClassName"] = "standard-rwo"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (mode, "its volumeMode is Block, and the snapshot is of a Filesystem volume"),
        (storage_class, f"is of pd.csi.storage.gke.io, and the snapshot is of {DRIVER}"),
    ],
    ids=["volume mode", "class of another driver"],
)
def test_a_claim_that_its_snapshot_cannot_fill(
    scene: Scene, app: App, other_class: str, change: Callable[[Any], None], says: str
) -> None:
    cluster = scene.cluster
    scene.captured(app)
    scene.edit(app, change)
    cluster.wipe(app)
    said = cluster.run("rebuild", "--repo", str(scene.repo), "--yes", code=6)
    assert says in said.err
    assert cluster.claim(app, "data") is None
    assert cluster.look(app.path) is None


@pytest.fixture
def other_class(cluster: Cluster) -> Iterator[str]:
    """A class of a driver that is not here."""
    path = "/apis/storage.k8s.io/v1/storageclasses"
    driver = "pd.csi.storage.gke.io"
    cluster.make(path, {"metadata": {"name": "standard-rwo"}, "provisioner": driver})
    yield "standard-rwo"
    cluster.delete(f"{path}/standard-rwo")


def small(body: Any) -> None:
    body["spec"]["resources"]["requests"]["storage"] = "1Ki"


def sourced(body: Any) -> None:
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "long-gone"}
    body["spec"] |= {"dataSource": source, "dataSourceRef": source}


def owned(body: Any) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "former", "controller": True}
    body["metadata"]["ownerReferences"] = [owner]


@pytest.mark.parametrize(
    ("change", "drifts"),
    [(small, []), (sourced, []), (owned, ["metadata.ownerReferences"])],
    ids=["smaller than the snapshot", "a source that is gone", "an owner that is gone"],
)
def test_a_claim_that_is_filled_all_the_same(
    scene: Scene, app: App, change: Callable[[Any], None], drifts: list[str]
) -> None:
    cluster = scene.cluster
    first = scene.captured(app)
    scene.edit(app, change)
    cluster.wipe(app)
    found = scene.rebuild(code=3 if drifts else 0)
    cluster.await_running(app)
    assert cluster.sums(app) == first
    differing = [
        field["path"]
        for difference in found["differences"]
        if difference["ref"]["namespace"] == app.name
        for field in difference["fields"]
    ]
    assert differing == drifts


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(lambda text: "{", id="no YAML", marks=campaign),
        pytest.param(lambda text: text.replace("handle: ", "handel: "), id="no handle"),
        pytest.param(
            lambda text: text.replace("format: 1", "format: 9"), id="a later format", marks=campaign
        ),
        pytest.param(lambda text: text.replace("name: data\n", "name: other\n"), id="another"),
    ],
)
def test_a_record_that_was_edited_into_nonsense(
    scene: Scene, app: App, nonsense: Callable[[str], str]
) -> None:
    cluster = scene.cluster
    scene.captured(app)
    file = scene.file(app, "recovery/volumes/NS/data.yaml")
    edited = nonsense(file.read_text())
    assert edited != file.read_text()
    file.write_text(edited)
    git(scene.repo, "commit", "--quiet", "--all", "--message", "By hand")
    uid = cluster.claim(app, "data")["metadata"]["uid"]
    in_place = ("volumes", "restore", *app.named, "--in-place", "--yes")
    cluster.delete(app.path)
    for command in (in_place, ("rebuild", "--yes"), ("plan",)):
        said = cluster.run(*command, "--repo", str(scene.repo), code=5)
        assert f"recovery/volumes/{app.name}/data.yaml" in said.err
    assert cluster.claim(app, "data")["metadata"]["uid"] == uid
    assert cluster.look(app.path) is None


# -- the article that all of this began with ---------------------------------------------------


def test_the_founding_example(scene: Scene, app: App, other_class: str) -> None:
    """A claim, its snapshot, a claim restored from that, and a Deployment that uses it."""
    cluster = scene.cluster
    cluster.make("/api/v1/namespaces", {"metadata": {"name": app.name}})
    claims = f"/api/v1/namespaces/{app.name}/persistentvolumeclaims"

    def claim(name: str, storage_class: str, source: str = "") -> None:
        spec = App("x", storage_class=storage_class).claim_spec()
        if source:
            group = "snapshot.storage.k8s.io"
            spec["dataSource"] = {"apiGroup": group, "kind": "VolumeSnapshot", "name": source}
        cluster.make(claims, {"metadata": {"name": name}, "spec": spec})

    claim("pvc-test", "directory")
    test = App(app.name)
    wait_until(lambda: cluster.claim(test, "pvc-test")["status"]["phase"] == "Bound")
    (cluster.folder(test, "pvc-test") / "orders").write_text("of the shop")
    snapshots = f"{SNAPSHOT_API}/namespaces/{app.name}/volumesnapshots"
    snapshot = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "spec": {
            "volumeSnapshotClassName": "directory",
            "source": {"persistentVolumeClaimName": "pvc-test"},
        },
    }
    cluster.make(snapshots, {**snapshot, "metadata": {"name": "new-snapshot-test"}})
    claim("pvc-restore", "directory", "new-snapshot-test")
    wait_until(lambda: cluster.claim(test, "pvc-restore")["status"]["phase"] == "Bound")
    path, deployment = app.bodies()[-1]
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    volume["persistentVolumeClaim"]["claimName"] = "pvc-restore"
    cluster.make(path, deployment)
    assert (cluster.folder(test, "pvc-restore") / "orders").read_text() == "of the shop"
    (cluster.folder(test, "pvc-restore") / "more").write_text("orders since")
    assert len(scene.export()["snapshots"]) == 2

    # As its author meant it: all of it is gone, the snapshots too, and comes back from Git.
    cluster.delete(app.path)
    cluster.delete(f"{claims}/pvc-restore")
    cluster.delete(f"{claims}/pvc-test")
    for body in cluster.listed(snapshots):
        cluster.delete(f"{snapshots}/{body['metadata']['name']}")
    assert scene.rebuild()["complete"]
    folder = cluster.folder(test, "pvc-restore")
    assert {path.name for path in folder.iterdir()} == {"orders", "more"}
    assert {path.name for path in cluster.folder(test, "pvc-test").iterdir()} == {"orders"}
    assert scene.rebuild()["outcomes"] == []

    # As it is written, the claim names another snapshot, and a class of another driver.
    claim("as-written", other_class, "my-snapshot")
    reason = gap(scene.export(code=3), app)
    assert "it is not bound to a volume" in reason
    cluster.delete(f"{claims}/as-written")
    said = cluster.run("rebuild", "--repo", str(scene.repo), "--yes", code=6)
    assert "VolumeSnapshot my-snapshot, which it is to be filled from, is neither" in said.err
    cluster.make(snapshots, {**snapshot, "metadata": {"name": "my-snapshot"}})
    made = f"{snapshots}/my-snapshot"
    wait_until(lambda: (cluster.look(made).get("status") or {}).get("readyToUse"))
    said = cluster.run("rebuild", "--repo", str(scene.repo), "--yes", code=6)
    assert "its StorageClass standard-rwo is of pd.csi.storage.gke.io, and" in said.err
    assert cluster.claim(test, "as-written") is None
