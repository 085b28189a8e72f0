"""A restore in place, or elsewhere: whom it stops, what it refuses, what it leaves behind.

On one lab, with two applications that are captured once; each test puts what it changed back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import commit_all, git, gitops_dr
from stateful import SNAPSHOT_API, App, Cluster, checksum, wait_until

from gitops_dr import lab as labs
from gitops_dr.volumes.records import read_record
from gitops_dr.volumes.retention import handle_of, write_pruned

pytestmark = pytest.mark.lab

WEB = App("web")
DB = App("db", "StatefulSet")
UNUSED = App("unused", storage_class="directory-wait")
APPS = [WEB, DB, UNUSED]
BATCH = {"containers": [{"name": "main", "image": "registry.example.com/main:1"}]}
BATCH |= {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}  # type: ignore[dict-item]


@dataclass(frozen=True)
class World:
    cluster: Cluster
    repo: Path
    first: dict[App, dict[str, str]]

    def restore(self, *arguments: str, code: int = 0) -> Any:
        command = ("volumes", "restore", *arguments, "--repo", str(self.repo))
        said = self.cluster.run(*command, code=code)
        return said.err

    def in_place(self, *claims: str, code: int = 0, flags: tuple[str, ...] = ()) -> Any:
        command = ("volumes", "restore", *claims, "--in-place", "--yes", *flags)
        return self.cluster.json(*command, "--repo", str(self.repo), code=code)

    def refused(self, *claims: str) -> str:
        said: str = self.restore(*claims, "--in-place", "--yes", code=6)
        return said

    @contextmanager
    def committed(self, place: str, data: bytes) -> Iterator[None]:
        """A file of the cluster's tree is otherwise in HEAD."""
        file = self.repo / "clusters/prod" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        commit_all(self.repo)
        try:
            yield
        finally:
            git(self.repo, "reset", "--quiet", "--hard", "HEAD~1")


@pytest.fixture(scope="module")
def world(lab_home: Path) -> Iterator[World]:
    with labs.running("in-place") as lab, tempfile.TemporaryDirectory() as folder:
        repo = Path(folder) / "repository"
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        cluster = Cluster(lab)
        cluster.start(*APPS)
        policy = {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}
        cluster.patch(DB.path, {"spec": policy})
        cluster.write("first", *APPS)
        cluster.run("export", "--repo", str(repo), "--volumes", "-q")
        cluster.delete(UNUSED.path)
        pods = f"/api/v1/namespaces/{UNUSED.name}/pods"
        wait_until(lambda: not cluster.listed(pods))
        yield World(cluster, repo, {app: cluster.sums(app) for app in APPS})


@pytest.fixture(autouse=True)
def later(world: World) -> dict[App, dict[str, str]]:
    """Every test begins with other data than the recovery point has."""
    world.cluster.write("later", WEB, DB)
    return {app: world.cluster.sums(app) for app in (WEB, DB)}


# -- before anything is written ----------------------------------------------------------------


def state(cluster: Cluster) -> dict[str, str]:
    """UID and revision of what a restore could touch; what controllers write is not among it."""
    found = {}
    for path in (WEB.path, f"/api/v1/namespaces/{WEB.name}/persistentvolumeclaims/data"):
        metadata = cluster.look(path)["metadata"]
        found[path] = (metadata["uid"], metadata["resourceVersion"])
    return found | {"snapshots": sorted(cluster.snapshots())}


def test_nothing_is_done_that_was_not_asked_for(world: World, later: Any) -> None:
    cluster, before = world.cluster, state(world.cluster)
    for flags in ((), ("--in-place", "--to", "x")):
        assert "either --in-place or --to" in world.restore(*WEB.named, *flags, code=2)
    for claim in ("data", "a/b/c", "/data", "web/"):
        world.restore(claim, "--in-place", code=2)
    for to in ("", "/x", "a/", "a/b/c"):
        world.restore(*WEB.named, "--to", to, code=2)
    assert "one name for 3 claims" in world.restore(*DB.named, "--to", "web/x", code=2)
    said = world.restore(*WEB.named, "--in-place", code=6)
    assert "nobody is here to confirm it" in said
    for line in ("cluster UID", "RPO", "web/data", "Deployment.apps/web/web (then 1 again)"):
        assert line in said
    command = ("volumes", "restore", *WEB.named, "--in-place", "--dry-run", "--repo")
    assert "Stopped meanwhile" in cluster.run(*command, str(world.repo)).out
    found = cluster.json(*command, str(world.repo))
    assert found["dryRun"]
    assert found["claims"][0]["oldVolume"] == cluster.volume(WEB, "data")["metadata"]["name"]
    assert state(cluster) == before
    assert cluster.sums(WEB) == later[WEB]


def test_in_place_is_for_the_cluster_that_was_recorded(world: World) -> None:
    coverage = world.repo / "clusters/prod/recovery/coverage.yaml"
    uid = world.cluster.look("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    data = coverage.read_bytes().replace(uid.encode(), b"00000000-0000-4000-8000-000000000000")
    with world.committed("recovery/coverage.yaml", data):
        assert "this is not the cluster that was exported" in world.refused(*WEB.named)


def test_a_claim_must_have_a_snapshot_that_is_still_there(world: World) -> None:
    said = world.refused("web/other")
    assert "PersistentVolumeClaim/web/other: the recovery point" in said
    assert "has no snapshot of it" in said
    file = world.repo / "clusters/prod/recovery/volumes/web/data.yaml"
    gone = write_pruned({handle_of(read_record(file.read_bytes(), str(file)))})
    assert gone is not None
    with world.committed("recovery/pruned.yaml", gone):
        assert "was pruned" in world.refused(*WEB.named)


def test_there_must_be_something_to_replace(world: World) -> None:
    cluster = world.cluster
    path = f"/api/v1/namespaces/{UNUSED.name}/persistentvolumeclaims"
    record = (world.repo / "clusters/prod/recovery/volumes/unused/data.yaml").read_bytes()
    for name, says in (("absent", "is not in the cluster"), ("waits", "is Pending and has no")):
        if name == "waits":
            cluster.make(path, {"metadata": {"name": name}, "spec": UNUSED.claim_spec()})
        with world.committed(
            f"recovery/volumes/unused/{name}.yaml",
            record.replace(b'"data"', f'"{name}"'.encode()).replace(
                b"name: data\n", f"name: {name}\n".encode()
            ),
        ):
            assert says in world.refused(f"unused/{name}")
    cluster.delete(f"{path}/waits")


# -- workloads ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        (
            "/apis/apps/v1/{}daemonsets",
            {
                "selector": {"matchLabels": {"app": "agent"}},
                "template": {"metadata": {"labels": {"app": "agent"}}, "spec": BATCH},
            },
            "DaemonSet.apps/web/user uses it",
        ),
        (
            "/apis/batch/v1/{}jobs",
            {"template": {"spec": {**BATCH, "restartPolicy": "Never"}}},
            "Job.batch/web/user uses it",
        ),
        ("/api/v1/{}pods", BATCH, "Pod/web/user uses it"),
    ],
    ids=["DaemonSet", "finished Job", "bare Pod"],
)
def test_what_cannot_be_stopped_is_named(
    world: World, later: Any, kind: str, spec: Any, says: str
) -> None:
    cluster = world.cluster
    path = kind.format(f"namespaces/{WEB.name}/")
    pods = f"/api/v1/namespaces/{WEB.name}/pods"
    cluster.make(path, {"metadata": {"name": "user"}, "spec": spec})
    wait_until(lambda: len(cluster.listed(pods)) > 1)
    assert says in world.refused(*WEB.named)
    cluster.connection.request("DELETE", f"{path}/user", query={"propagationPolicy": "Background"})
    wait_until(lambda: len(cluster.listed(pods)) == 1)
    assert cluster.sums(WEB) == later[WEB]


def test_an_operator_would_start_it_again(world: World) -> None:
    cluster = world.cluster
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "controller": True}
    made = cluster.make(f"/api/v1/namespaces/{WEB.name}/configmaps", {"metadata": {"name": "boss"}})
    owner["uid"] = made["metadata"]["uid"]
    cluster.patch(WEB.path, {"metadata": {"ownerReferences": [owner]}})
    assert "ConfigMap boss controls that and would start it again" in world.refused(*WEB.named)
    cluster.patch(WEB.path, {"metadata": {"ownerReferences": None}})
    cluster.delete(f"/api/v1/namespaces/{WEB.name}/configmaps/boss")


def test_an_autoscaler_rests_meanwhile(world: World) -> None:
    cluster = world.cluster
    path = f"/apis/autoscaling/v2/namespaces/{WEB.name}/horizontalpodautoscalers"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": WEB.name}
    spec = {"maxReplicas": 3, "scaleTargetRef": target}
    cluster.make(path, {"metadata": {"name": "hpa"}, "spec": spec})
    assert world.in_place(*WEB.named)["complete"]
    assert cluster.look(WEB.path)["spec"]["replicas"] == 1
    assert cluster.sums(WEB) == world.first[WEB]
    cluster.delete(f"{path}/hpa")


def test_a_set_that_deletes_claims_when_it_is_scaled_keeps_them(world: World, later: Any) -> None:
    """And only the claim that was named is replaced."""
    cluster = world.cluster
    uids = {name: cluster.claim(DB, name)["metadata"]["uid"] for name in DB.claims}
    found = world.in_place(DB.named[1])
    assert found["complete"]
    assert cluster.is_running(DB)
    middle = DB.claims[1]
    after = {name: cluster.claim(DB, name)["metadata"]["uid"] for name in DB.claims}
    assert [name for name in DB.claims if after[name] != uids[name]] == [middle]
    expected = {**later[DB], middle: world.first[DB][middle]}
    assert cluster.sums(DB) == expected
    spec = cluster.look(DB.path)["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Delete"


def test_a_claim_that_nothing_uses(world: World) -> None:
    """Its class waits for a pod, so its new volume comes with the next one."""
    cluster = world.cluster
    old = cluster.volume(UNUSED, "data")["metadata"]["name"]
    found = world.in_place(*UNUSED.named)
    assert found["complete"]
    assert (found["workloads"], found["claims"][0]["volume"]) == ([], "")
    path, body = UNUSED.bodies()[-1]
    cluster.make(path, body)
    cluster.await_running(UNUSED)
    assert cluster.sums(UNUSED) == world.first[UNUSED]
    assert cluster.look(f"/api/v1/persistentvolumes/{old}")["status"]["phase"] == "Released"
    cluster.delete(path + f"/{UNUSED.name}")


def test_a_workload_that_did_not_run_before_need_not_afterwards(world: World) -> None:
    cluster = world.cluster
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"no": "node"}}}}}
    cluster.patch(WEB.path, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}})
    cluster.patch(WEB.path, nowhere)
    wait_until(lambda: not cluster.is_running(WEB))
    found = world.in_place(*WEB.named, code=3, flags=("--timeout", "5"))
    assert found["reason"] == ""
    (problem,) = found["problems"]
    assert problem.startswith("Deployment.apps/web/web: ")
    assert problem.endswith("as before")
    assert cluster.sums(WEB) == world.first[WEB]
    cluster.patch(WEB.path, {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    cluster.await_running(WEB)


def test_one_that_ran_before_and_does_not_afterwards_brings_the_old_data_back(
    world: World, later: Any
) -> None:
    cluster = world.cluster
    command = ("volumes", "restore", *WEB.named, "--in-place", "--yes", "--repo", str(world.repo))
    cluster.run_until("in-place|suspended||1", *command)
    quotas = f"/api/v1/namespaces/{WEB.name}/resourcequotas"
    cluster.make(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    wait_until(lambda: cluster.look(f"{quotas}/none").get("status", {}).get("hard"))
    found = world.in_place(*WEB.named, code=3, flags=("--timeout", "5"))
    assert "exceeded quota" in found["reason"]
    assert found["problems"] == []
    cluster.delete(f"{quotas}/none")
    cluster.await_running(WEB)
    assert cluster.sums(WEB) == later[WEB]


# -- elsewhere ---------------------------------------------------------------------------------


def test_a_copy_that_cannot_be_made_leaves_nothing_behind(world: World) -> None:
    cluster = world.cluster
    where = ("--yes", "--timeout", "4")
    assert "is not in the cluster" in world.restore(*WEB.named, "--to", "nowhere", *where, code=6)
    before = cluster.snapshots(), cluster.contents()
    cluster.fail(volume_error="the pool is full")
    try:
        command = ("volumes", "restore", *WEB.named, "--to", "web/copy", *where)
        found = cluster.json(*command, "--repo", str(world.repo), code=3)
    finally:
        cluster.fail()
    assert "the pool is full" in found["reason"]
    assert cluster.claim(WEB, "copy") is None
    assert (cluster.snapshots(), cluster.contents()) == before
    assert cluster.is_running(WEB)


def test_several_copies_keep_their_names(world: World) -> None:
    cluster = world.cluster
    cluster.make("/api/v1/namespaces", {"metadata": {"name": "copies"}})
    found = cluster.json(
        *("volumes", "restore", *DB.named, "--to", "copies", "--yes", "--repo", str(world.repo))
    )
    assert [row["claim"]["name"] for row in found["claims"]] == DB.claims
    sums = {name: checksum(labs.volume(cluster.lab.name, "copies", name)) for name in DB.claims}
    assert sums == world.first[DB]


def test_the_snapshots_of_the_source_are_never_touched(world: World) -> None:
    cluster = world.cluster
    assert len(cluster.storage.snapshots()) == 5
    bodies = cluster.listed(f"{SNAPSHOT_API}/volumesnapshotcontents")
    assert {body["spec"]["deletionPolicy"] for body in bodies} == {"Retain"}
