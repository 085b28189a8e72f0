"""Recovery points are listed with the age of their data; old snapshots go, those that must stay do.

On a real control plane with the lab's driver: two claims, several snapshot sets.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from command import commit_all, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.lab import Lab
from gitops_dr.volumes.retention import write_pruned

CLAIMS = "/api/v1/namespaces/kept/persistentvolumeclaims"
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/volumesnapshots"


@pytest.fixture(scope="module")
def cluster(lab_home: Path) -> Lab:
    with labs.running("points") as running:
        yield running


@pytest.fixture(scope="module")
def connection(cluster: Lab) -> Connection:
    made = connect(cluster.kubeconfig, None)
    made.json("POST", "/api/v1/namespaces", body=orjson.dumps({"metadata": {"name": "kept"}}))
    for name in ("one", "two"):
        claim = {
            "metadata": {"name": name, "labels": {"tier": name}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        made.json("POST", CLAIMS, body=orjson.dumps(claim))
    deadline = time.monotonic() + 60
    while any(one["status"]["phase"] != "Bound" for one in made.json("GET", CLAIMS)["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return made


@pytest.fixture
def repo(cluster: Lab, connection: Connection, tmp_path: Path) -> Path:
    place = tmp_path / "state"
    run(cluster, "init", str(place), "--cluster", "kept")
    return place


def run(cluster: Lab, *arguments: str, code: int = 0) -> str:
    done = gitops_dr(*arguments, kubeconfig=cluster.kubeconfig)
    assert done.code == code, done.err + done.out
    return done.out


def snapshots(connection: Connection) -> set[str]:
    return {body["metadata"]["name"] for body in connection.json("GET", SNAPSHOTS)["items"]}


def stored(cluster: Lab) -> set[str]:
    return {path.name for path in (cluster.storage / "snapshots").iterdir()}


def configure(repo: Path, text: str) -> None:
    file = repo / "gitops-dr.yaml"
    file.write_text(file.read_text() + text)
    git(repo, "commit", "-qam", "configure")


def test_points_are_listed_with_their_volumes(cluster: Lab, repo: Path) -> None:
    assert "no recovery point yet" in run(cluster, "points", "list", "--repo", str(repo))
    run(cluster, "export", "--repo", str(repo), "-q")
    run(cluster, "export", "--repo", str(repo), "--volumes", "-q")
    found = json.loads(run(cluster, "points", "list", "--repo", str(repo), "-o", "json"))["points"]
    assert [len(point["volumes"]) for point in found] == [2, 0]
    assert all(point["complete"] for point in found)
    one = json.loads(run(cluster, "points", "show", "--repo", str(repo), "-o", "json"))
    assert one.pop("dataAgeSeconds") >= found[0].pop("dataAgeSeconds") >= 0
    assert one == found[0]
    assert found[1]["dataAgeSeconds"] is None
    assert {v["claim"]["name"] for v in one["volumes"]} == {"one", "two"}
    assert "kept/one" in run(cluster, "points", "show", "--repo", str(repo))
    assert "kept/one" in run(cluster, "points", "show", "--repo", str(repo), "-o", "html")
    page = run(cluster, "points", "list", "--repo", str(repo), "-o", "html")
    assert page.count("<details") == 2


def test_one_claim_can_be_captured_alone(cluster: Lab, repo: Path) -> None:
    run(cluster, "volumes", "snapshot", "kept/one", "--repo", str(repo), "-q")
    files = sorted(p.name for p in (repo / "clusters/kept/recovery/volumes").rglob("*.yaml"))
    assert files == ["one.yaml"]
    found = json.loads(run(cluster, "volumes", "list", "--repo", str(repo), "-o", "json", code=3))[
        "volumes"
    ]
    assert {v["claim"]["name"]: v["protected"] for v in found} == {"one": True, "two": False}
    run(cluster, "volumes", "snapshot", "-l", "tier=two", "--repo", str(repo), "-q")
    table = run(cluster, "volumes", "list", "--repo", str(repo))
    assert table.count("protected") == 2
    assert "<td>kept/two</td>" in run(cluster, "volumes", "list", "--repo", str(repo), "-o", "html")
    for wrong in ("one", "a/b/c", "/one"):
        run(cluster, "volumes", "snapshot", wrong, "--repo", str(repo), code=2)


def test_a_snapshot_that_is_too_old_protects_no_more(cluster: Lab, repo: Path) -> None:
    """So whoever runs `volumes list` at times hears of a capture that did not happen."""
    configure(repo, "volumes: {maxAge: 26h}\n")
    run(cluster, "export", "--repo", str(repo), "--volumes", "-q")
    run(cluster, "volumes", "list", "--repo", str(repo))
    file = repo / "clusters/kept/recovery/volumes/kept/one.yaml"
    today = datetime.now(UTC)
    before = (today - timedelta(days=2)).strftime("%Y-%m-%d")
    text = re.sub(r"(created: .?)\d+-\d+-\d+", rf"\g<1>{before}", file.read_text())
    assert before in text
    file.write_text(text)
    git(repo, "commit", "-qam", "as if two days had passed")
    found = json.loads(run(cluster, "volumes", "list", "--repo", str(repo), "-o", "json", code=3))
    reasons = {each["claim"]["name"]: each["reason"] for each in found["volumes"]}
    assert reasons == {
        "one": "its newest snapshot is older than volumes.maxAge allows",
        "two": "",
    }
    assert found["volumes"][0]["dataAgeSeconds"] > 26 * 3600


def test_old_snapshots_go_and_git_says_so_first(
    cluster: Lab, connection: Connection, repo: Path
) -> None:
    before, on_disk = snapshots(connection), stored(cluster)
    run(cluster, "export", "--repo", str(repo), "--volumes", "-q")
    git(repo, "tag", "release")
    for _ in range(2):
        run(cluster, "export", "--repo", str(repo), "--volumes", "-q")
    made = snapshots(connection) - before
    assert len(made) == 6
    run(cluster, "volumes", "prune", "--repo", str(repo), "--yes", "-q", code=2)

    configure(repo, "volumes: {keep: {last: 1}}\n")
    dry = json.loads(
        run(cluster, "volumes", "prune", "--repo", str(repo), "--dry-run", "-o", "json")
    )
    assert len(dry["gone"]) == 2
    assert sorted(kept["because"] for kept in dry["kept"]) == ["last", "last", "tagged", "tagged"]
    assert snapshots(connection) - before == made
    run(cluster, "volumes", "prune", "--repo", str(repo), "-q", code=6)
    assert snapshots(connection) - before == made

    run(cluster, "volumes", "prune", "--repo", str(repo), "--yes", "-q")
    assert git(repo, "log", "-1", "--format=%s").strip() == "Prune kept: 2 snapshots"
    gone = {each["handle"] for each in dry["gone"]}
    deadline = time.monotonic() + 60
    while (stored(cluster) - on_disk) & gone or len(snapshots(connection) - before) > 4:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    states = [
        (point["objectsOnly"], point["complete"])
        for point in json.loads(run(cluster, "points", "list", "--repo", str(repo), "-o", "json"))[
            "points"
        ]
    ]
    assert states == [(False, True), (True, False), (False, True)]
    assert "objects only" in run(cluster, "points", "list", "--repo", str(repo))
    # Nothing is left to do, and the next export has nothing to say.
    assert "let go 0 snapshots" in run(cluster, "volumes", "prune", "--repo", str(repo), "--yes")
    assert "unchanged" in run(cluster, "export", "--repo", str(repo), "-q")


def test_what_an_earlier_run_could_not_delete_is_found(
    cluster: Lab, connection: Connection, repo: Path
) -> None:
    """As if a run had died between the commit that says that they are gone, and their deletion."""
    for _ in range(2):
        run(cluster, "export", "--repo", str(repo), "--volumes", "-q")
    configure(repo, "volumes: {keep: {last: 2}}\n")
    shown = run(cluster, "points", "show", "HEAD~2", "--repo", str(repo), "-o", "json")
    volume = json.loads(shown)["volumes"][0]
    file = repo / "clusters/kept/recovery/pruned.yaml"
    file.write_bytes(write_pruned({(volume["driver"], volume["handle"])}) or b"")
    commit_all(repo, "as a prune that died")
    assert volume["handle"] in stored(cluster)
    found = json.loads(
        run(cluster, "volumes", "prune", "--repo", str(repo), "--yes", "-o", "json", "-q")
    )
    assert (len(found["leftOver"]), found["gone"], found["commit"]) == (1, [], None)
    deadline = time.monotonic() + 60
    while volume["handle"] in stored(cluster):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_another_cluster_is_refused(
    cluster: Lab, connection: Connection, repo: Path, kubeconfig: Path
) -> None:
    run(cluster, "export", "--repo", str(repo), "-q")
    configure(repo, "volumes: {keep: {last: 1}}\n")
    done = gitops_dr("volumes", "prune", "--repo", str(repo), "--yes", kubeconfig=kubeconfig)
    assert done.code == 6
    assert "not the cluster that was exported" in done.err
