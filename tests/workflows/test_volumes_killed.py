"""``kill -9`` between any two steps of capture, rebuild and restore in place, and then again.

One set in Git, no orphans, the same result; or else all is as it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import COMMAND, git, gitops_dr
from stateful import SNAPSHOT_API, App, Cluster, wait_until

from gitops_dr import lab as labs
from gitops_dr.volumes.capture import STATE
from gitops_dr.volumes.in_place import NOTE, REPLICAS

pytestmark = pytest.mark.lab

DB = App("db", "StatefulSet", "directory")
LATE = App("late", "Deployment", "directory-wait")
APPS = [DB, LATE]

campaign = pytest.mark.campaign


@dataclass(frozen=True)
class World:
    cluster: Cluster
    repo: Path
    point: str
    first: dict[App, dict[str, str]]

    def in_place(self, app: App, *flags: str) -> tuple[str, ...]:
        where = ("--repo", str(self.repo), "--at", self.point)
        return ("volumes", "restore", *app.named, "--in-place", "--yes", *where, *flags)

    def is_tidy(self, app: App) -> bool:
        """Nothing of a restore in place is under way."""
        volumes = self.cluster.listed("/api/v1/persistentvolumes")
        notes = [v for v in volumes if NOTE in (v["metadata"].get("annotations") or {})]
        annotations = self.cluster.look(app.path)["metadata"].get("annotations") or {}
        return not notes and REPLICAS not in annotations


@pytest.fixture(scope="module")
def world(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    repo = tmp_path_factory.mktemp("killed") / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
    with labs.running("killed") as lab:
        cluster = Cluster(lab)
        cluster.start(*APPS)
        cluster.write("first", *APPS)
        cluster.run("export", "--repo", str(repo), "--volumes", "-q")
        point = git(repo, "rev-parse", "HEAD").strip()
        yield World(cluster, repo, point, {app: cluster.sums(app) for app in APPS})


# -- capture ----------------------------------------------------------------------------------

CREATE = "gitops_dr.engine.snapshots.SnapshotSet._create"
COMMIT = "gitops_dr.engine.exporting.commit"


@pytest.mark.parametrize(
    ("point", "recorded"),
    [
        pytest.param(f"before|{CREATE}||1", False, id="before the first snapshot"),
        pytest.param(f"after|{CREATE}||2", False, id="between two", marks=campaign),
        pytest.param("after|gitops_dr.engine.capture._take||1", False, id="all taken"),
        pytest.param(f"before|{COMMIT}||1", False, id="before the commit", marks=campaign),
        pytest.param(
            "before|gitops_dr.repository.commit.check_out||1", True, id="before the checkout"
        ),
        pytest.param(f"after|{COMMIT}||1", True, id="after the commit", marks=campaign),
        pytest.param(
            "before|gitops_dr.engine.protecting.mark_kept||1", True, id="before the labels",
            marks=campaign,
        ),
    ],
)  # fmt: skip
def test_a_capture_that_is_killed(world: World, point: str, recorded: bool) -> None:
    cluster, export = world.cluster, ("export", "--repo", str(world.repo), "--volumes")
    before = cluster.snapshots()
    head = git(world.repo, "rev-parse", "HEAD")
    cluster.run_until(point, *export)
    assert (git(world.repo, "rev-parse", "HEAD") != head) is recorded
    left = cluster.snapshots() - before
    found = cluster.json(*export)
    assert len(found["snapshots"]) == 4
    after = cluster.snapshots()
    assert left & after == (left if recorded else set())
    assert len(after - before - left) == 4
    bodies = cluster.listed(f"{SNAPSHOT_API}/volumesnapshots")
    assert {body["metadata"]["labels"].get(STATE, "kept") for body in bodies} == {"kept"}
    # On the storage there is one for each, and no other.
    wait_until(lambda: len(cluster.storage.snapshots()) == len(after))
    assert git(world.repo, "status", "--porcelain") == ""


# -- in place ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("imported||1", marks=campaign),
        pytest.param("proved||1", marks=campaign),
        pytest.param("noted||1", marks=campaign),
        pytest.param("noted||3", marks=campaign),
        pytest.param("suspended||1", marks=campaign),
        "unused||1",
        pytest.param("deleted||1", marks=campaign),
        "deleted||2",
        pytest.param("created||1", marks=campaign),
        pytest.param("created||3", marks=campaign),
        pytest.param("filled||1", marks=campaign),
        "resumed||1",
        pytest.param("verified||1", marks=campaign),
        "settled||1",
        pytest.param("settled||3", marks=campaign),
    ],
)
def test_a_restore_in_place_that_is_killed_goes_on(world: World, point: str) -> None:
    cluster = world.cluster
    cluster.write("later", DB)
    cluster.run_until(f"in-place|{point}", *world.in_place(DB))
    found = cluster.json(*world.in_place(DB))
    assert found["complete"], found
    assert cluster.is_running(DB)
    assert cluster.sums(DB) == world.first[DB]
    assert world.is_tidy(DB)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("unused||1", marks=campaign),
        "deleted||1",
        pytest.param("created||1", marks=campaign),
        pytest.param("resumed||1", marks=campaign),
    ],
)
def test_one_that_cannot_go_on_goes_back(world: World, point: str) -> None:
    """What cannot go on here is the storage, which has no room for another volume by now."""
    cluster = world.cluster
    cluster.write("later", LATE)
    later, old = cluster.sums(LATE), cluster.volume(LATE, "data")
    cluster.fail(volume_error="the pool is full")
    try:
        cluster.run_until(f"in-place|{point}", *world.in_place(LATE))
        found = cluster.json(*world.in_place(LATE, "--timeout", "4"), code=3)
    finally:
        cluster.fail()
    assert "the pool is full" in found["reason"]
    assert found["problems"] == []
    cluster.await_running(LATE)
    assert cluster.sums(LATE) == later
    kept = cluster.volume(LATE, "data")
    assert kept["metadata"]["name"] == old["metadata"]["name"]
    assert kept["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert world.is_tidy(LATE)


def test_going_back_can_be_killed_too(world: World) -> None:
    cluster = world.cluster
    cluster.write("later", LATE)
    later = cluster.sums(LATE)
    cluster.fail(volume_error="the pool is full")
    back = "gitops_dr.engine.in_place.InPlace._release"
    try:
        cluster.run_until(f"after|{back}||1", *world.in_place(LATE, "--timeout", "4"))
        found = cluster.json(*world.in_place(LATE, "--timeout", "4"), code=3)
    finally:
        cluster.fail()
    assert found["problems"] == []
    cluster.await_running(LATE)
    assert cluster.sums(LATE) == later
    assert world.is_tidy(LATE)


def test_ctrl_c_brings_the_old_volume_back(world: World) -> None:
    cluster = world.cluster
    cluster.write("later", LATE)
    later = cluster.sums(LATE)
    cluster.fail(volume_error="the pool is full")
    process = subprocess.Popen(
        [COMMAND, *world.in_place(LATE)],
        env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:

        def is_swapped() -> Any:
            body = cluster.claim(LATE, "data")
            return body and body["status"]["phase"] == "Pending"

        wait_until(is_swapped)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
        cluster.fail()
    assert process.returncode == 130, said
    assert "the old volumes are brought back first" in said
    cluster.await_running(LATE)
    assert cluster.sums(LATE) == later
    assert world.is_tidy(LATE)


@campaign
def test_another_run_does_not_mix_with_one_that_has_not_ended(world: World) -> None:
    cluster = world.cluster
    cluster.run("export", "--repo", str(world.repo), "--volumes", "-q")
    cluster.write("later", DB)
    cluster.run_until("in-place|deleted||1", *world.in_place(DB))
    alone = ("volumes", "restore", DB.named[0], "--in-place", "--yes")
    where = ("--repo", str(world.repo), "--at", world.point)
    said = cluster.run(*alone, *where, code=6)
    assert f"a restore in place of {', '.join(DB.named)} did not end" in said.err
    newest = ("volumes", "restore", *DB.named, "--in-place", "--yes")
    said = cluster.run(*newest, "--repo", str(world.repo), code=6)
    assert "from another snapshot did not end" in said.err
    assert cluster.json(*world.in_place(DB))["complete"]
    assert cluster.sums(DB) == world.first[DB]


def test_an_empty_stand_in_is_not_taken_for_the_claim(world: World) -> None:
    """Some controller has made the claim that was away; what is in it nobody knows."""
    cluster = world.cluster
    cluster.write("later", LATE)
    later = cluster.sums(LATE)
    cluster.run_until("in-place|deleted||1", *world.in_place(LATE))
    claims = f"/api/v1/namespaces/{LATE.name}/persistentvolumeclaims"
    cluster.make(claims, {"metadata": {"name": "data"}, "spec": LATE.claim_spec()})
    found = cluster.json(*world.in_place(LATE), code=3)
    assert "somebody made another claim of this name" in found["reason"]
    assert found["problems"]
    assert cluster.look(LATE.path)["spec"]["replicas"] == 0
    cluster.delete(f"{claims}/data")
    assert cluster.json(*world.in_place(LATE))["complete"]
    assert cluster.sums(LATE) == world.first[LATE]
    assert later != world.first[LATE]


# -- rebuild ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "nth"),
    [
        pytest.param("VolumeSnapshotContent", 2, id="contents"),
        pytest.param("VolumeSnapshot", 2, id="snapshots", marks=campaign),
        pytest.param("PersistentVolumeClaim", 2, id="claims", marks=campaign),
    ],
)
def test_a_rebuild_that_is_killed(world: World, kind: str, nth: int) -> None:
    cluster = world.cluster
    cluster.wipe(*APPS)
    rebuild = ("rebuild", "--repo", str(world.repo), "--at", world.point, "--yes")
    cluster.run_until(f"after|gitops_dr.engine.act.create|'kind': '{kind}'|{nth}", *rebuild)
    found = cluster.json(*rebuild)
    assert found["complete"], found
    for app in APPS:
        cluster.await_running(app)
        assert cluster.sums(app) == world.first[app]
