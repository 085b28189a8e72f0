"""Data comes back: into the same cluster, into another one on the same storage, and in place.

For each way in which a class binds, each kind of workload, and with a driver that can look
snapshots up and one that cannot. The tests tell one story for each driver and run in its order.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import git, gitops_dr
from stateful import App, Cluster, wait_until

from gitops_dr import lab as labs
from gitops_dr.lab.storage import Faults, Storage
from gitops_dr.volumes.in_place import NOTE, REPLACED, REPLICAS
from gitops_dr.volumes.records import read_record

pytestmark = pytest.mark.lab

APPS = [
    App("web-at-once", "Deployment", "directory"),
    App("db-at-once", "StatefulSet", "directory"),
    App("web-late", "Deployment", "directory-wait"),
    App("db-late", "StatefulSet", "directory-wait"),
]
each_app = pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)


@dataclass(frozen=True)
class Story:
    primary: Cluster
    repo: Path
    point: str
    """The commit that has the first data."""
    first: dict[App, dict[str, str]]
    """The checksums of it."""


@pytest.fixture(scope="module", params=[False, True], ids=["listing", "no-listing"])
def storage(request: pytest.FixtureRequest, lab_home: Path) -> Iterator[Path]:
    """What both clusters stand on; ``no-listing``: the driver cannot look snapshots up."""
    with tempfile.TemporaryDirectory(prefix="storage-") as folder:
        Storage(Path(folder)).set_faults(Faults(no_listing=request.param))
        yield Path(folder)


@pytest.fixture(scope="module")
def story(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A cluster whose first data is in a recovery point; it has other data now."""
    repo = tmp_path_factory.mktemp("volumes") / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
    with labs.running("primary", storage=storage) as lab:
        primary = Cluster(lab)
        primary.start(*APPS)
        primary.write("first", *APPS)
        first = {app: primary.sums(app) for app in APPS}
        found = primary.json("export", "--repo", str(repo), "--volumes")
        assert len(found["snapshots"]) == 8
        point = git(repo, "rev-parse", "HEAD").strip()
        primary.write("later", *APPS)
        yield Story(primary, repo, point, first)


@pytest.fixture(scope="module")
def standby(story: Story, storage: Path) -> Iterator[Cluster]:
    with labs.running("standby", storage=storage) as lab:
        yield Cluster(lab)


def claims_differ(cluster: Cluster, story: Story) -> list[str]:
    """The claims of the applications that are not as Git has them."""
    repo = str(story.repo)
    said = gitops_dr("drift", "--repo", repo, "-o", "json", kubeconfig=cluster.kubeconfig)
    spaces = {app.name for app in APPS}
    return [
        difference["ref"]["name"]
        for difference in said.json["differences"]
        if difference["ref"]["namespace"] in spaces
    ]


def test_the_records_say_whose_claims_they_are(story: Story) -> None:
    """A set that keeps its claims does not own them; its templates tell."""
    volumes = story.repo / "clusters/prod/recovery/volumes"
    records = [read_record(path.read_bytes(), path.name) for path in volumes.rglob("*.yaml")]
    assert len(records) == 8
    owners = {each.claim: (str(each.owner), each.ordinal) for each in records if each.owner}
    assert owners == {
        f"data-{name}-{number}": (f"StatefulSet.apps/{name}/{name}", number)
        for name in ("db-at-once", "db-late")
        for number in range(3)
    }


@each_app
def test_in_place(story: Story, app: App) -> None:
    primary, later = story.primary, story.primary.sums(app)
    assert later.keys() == story.first[app].keys()
    assert not set(later.values()) & set(story.first[app].values())
    old = {claim: primary.volume(app, claim) for claim in app.claims}
    found = primary.json(
        *("volumes", "restore", *app.named, "--in-place", "--yes"),
        *("--repo", str(story.repo), "--at", story.point),
    )
    assert found["complete"]
    assert [row["replicas"] for row in found["workloads"]] == [app.replicas]
    assert {row["claim"]["name"]: row["oldVolume"] for row in found["claims"]} == {
        claim: volume["metadata"]["name"] for claim, volume in old.items()
    }
    assert primary.is_running(app)
    assert primary.sums(app) == story.first[app]
    for claim, volume in old.items():
        kept = primary.look(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")
        assert kept["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        annotations = kept["metadata"]["annotations"]
        assert annotations[REPLACED] == f"{app.name}/{claim}"
        assert NOTE not in annotations
        handle = kept["spec"]["csi"]["volumeHandle"]
        assert (primary.lab.storage / "volumes" / handle / "later").read_text() == claim
    assert REPLICAS not in (primary.look(app.path)["metadata"].get("annotations") or {})


def test_what_is_restored_in_place_is_no_drift(story: Story) -> None:
    assert claims_differ(story.primary, story) == []


@each_app
def test_the_same_cluster_after_its_namespaces_were_deleted(story: Story, app: App) -> None:
    primary = story.primary
    if app is APPS[0]:
        primary.write("much-later", *APPS)
        for each in APPS:
            primary.delete(f"/api/v1/namespaces/{each.name}", wait=False)
        for each in APPS:
            wait_until(lambda each=each: primary.look(f"/api/v1/namespaces/{each.name}") is None)
        primary.run("rebuild", "--repo", str(story.repo), "--at", story.point, "--yes", "-q")
        assert claims_differ(primary, story) == []
    assert primary.is_running(app)
    assert primary.sums(app) == story.first[app]


@each_app
def test_another_cluster_on_the_same_storage(story: Story, standby: Cluster, app: App) -> None:
    if app is APPS[0]:
        repo = str(story.repo)
        plan = standby.run("plan", "--repo", repo, "--at", story.point, code=1)
        assert "8 volumes from snapshots" in plan.out
        standby.run("rebuild", "--repo", repo, "--at", story.point, "--yes", "-q")
        assert claims_differ(standby, story) == []
    assert standby.is_running(app)
    assert standby.sums(app) == story.first[app]


def test_a_second_rebuild_finds_all_of_it_there(story: Story, standby: Cluster) -> None:
    found = standby.json("rebuild", "--repo", str(story.repo), "--at", story.point, "--yes")
    assert found["outcomes"] == []
    assert found["complete"]


@pytest.mark.parametrize("app", [APPS[0], APPS[2]], ids=lambda app: app.name)
def test_a_copy_elsewhere(story: Story, app: App) -> None:
    primary = story.primary
    space = f"copy-of-{app.name}"
    primary.make("/api/v1/namespaces", {"metadata": {"name": space}})
    command = ("volumes", "restore", *app.named, "--to", f"{space}/looked-at", "--yes")
    where = ("--repo", str(story.repo), "--at", story.point)
    found = primary.json(*command, *where)
    assert found["complete"]
    if app.storage_class == "directory-wait":
        # It waits for its pod; the same command finds it so.
        assert primary.json(*command, *where)["complete"]
    copy = App(space, storage_class=app.storage_class)
    if app.storage_class == "directory-wait":
        assert found["claims"][0]["volume"] == ""
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "looked-at"}}
        spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
        primary.make(f"/api/v1/namespaces/{space}/pods", {"metadata": {"name": "p"}, "spec": spec})
        wait_until(lambda: primary.claim(copy, "looked-at")["status"]["phase"] == "Bound")
    folder = primary.folder(copy, "looked-at")
    original = primary.folder(app, "data")
    assert folder != original
    assert (folder / "first").read_text() == "data"
    # What has a volume is left alone, whatever it was filled from.
    for there in (f"{space}/looked-at", app.name):
        again = ("volumes", "restore", *app.named, "--to", there, "--yes")
        assert "is there already" in primary.run(*again, *where, code=6).err
    assert primary.folder(copy, "looked-at") == folder
