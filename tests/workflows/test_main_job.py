"""The main job on real control planes: a cluster goes into Git, is destroyed, and comes back.

The tests of this file tell one story and run in its order, on the cluster and the repository of
the test before.
"""

import base64
import os
import signal
import subprocess
import time
from pathlib import Path

import orjson
import pytest
from command import COMMAND, git, gitops_dr
from shop import create_shop, wait_until_open

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

CANARY = "canary-5f1d-not-for-git"
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("main-job") / "repository"
    assert gitops_dr("init", str(path), "--cluster", "bookstore").code == 0
    return path


@pytest.fixture(scope="module")
def source(lab_home):
    with labs.running("source") as lab:
        connection = connect(lab.kubeconfig, lab.name)
        create_shop(connection)
        wait_until_open(connection)
        yield labs.service_account_kubeconfig(lab)


@pytest.fixture(scope="module")
def target(lab_home):
    with labs.running("target") as lab:
        yield labs.service_account_kubeconfig(lab)


def export(repo: Path, source: Path, *flags: str):
    return gitops_dr("export", "--repo", str(repo), "-o", "json", *flags, kubeconfig=source)


def patch(connection: Connection, path: str, body: object) -> None:
    connection.request("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH)


def label_the_web(source: Path, value: str) -> None:
    path = "/apis/apps/v1/namespaces/storefront/deployments/web"
    patch(connect(source), path, {"metadata": {"labels": {"tested": value}}})


def count_of_objects(kubeconfig: Path) -> int:
    listed = connect(kubeconfig).json("GET", "/api/v1/configmaps")
    return len(listed["items"])


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(repo, source):
    before = git(repo, "rev-parse", "HEAD")
    said = export(repo, source, "--dry-run")
    assert said.code == 0, said.err
    assert said.json["dryRun"] is True
    assert "namespaces/storefront/deployments.apps/web.yaml" in said.json["written"]
    assert git(repo, "rev-parse", "HEAD") == before
    assert git(repo, "status", "--porcelain") == ""


def test_the_cluster_goes_into_git(repo, source):
    said = export(repo, source)
    assert said.code == 0, said.err
    assert said.json["created"] is True
    assert said.json["torn"] == []
    assert said.json["gaps"] == []
    assert git(repo, "status", "--porcelain") == ""
    trailers = git(repo, "log", "-1", "--format=%(trailers)")
    for key in ("Cluster: bookstore", "Cluster-UID:", "Kubernetes-Version: v1", "Objects:"):
        assert key in trailers


def test_the_shipped_example_is_what_an_export_writes(repo):
    """``cluster-repos/bookstore`` is a golden tree, but for the UID of the lab it came from."""
    example = shipped("cluster-repos/bookstore/clusters/bookstore")
    exported = repo / "clusters" / "bookstore"
    wanted = {path.relative_to(example) for path in example.rglob("*.yaml")}
    found = {path.relative_to(exported) for path in exported.rglob("*.yaml")}
    assert found == wanted
    # It names the cluster that it came from.
    for path in sorted(wanted - {Path("recovery/coverage.yaml")}):
        assert (exported / path).read_bytes() == (example / path).read_bytes(), path


def test_an_unchanged_cluster_makes_no_commit(repo, source):
    before = git(repo, "rev-parse", "HEAD")
    said = export(repo, source)
    assert said.json["created"] is False
    assert said.json["written"] == said.json["deleted"] == []
    assert git(repo, "rev-parse", "HEAD") == before


def test_one_changed_label_changes_one_manifest(repo, source):
    label_the_web(source, "once")
    said = export(repo, source)
    assert said.json["written"] == ["namespaces/storefront/deployments.apps/web.yaml"]
    stat = git(repo, "diff", "--stat", "HEAD~1")
    assert "1 file changed, 1 insertion(+)" in stat


def test_a_secret_is_named_and_never_in_git(repo, source):
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "ledger",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY},
        },
        "stringData": {"password": CANARY},
    }
    connect(source).request("POST", "/api/v1/namespaces/orders/secrets", body=orjson.dumps(body))
    said = export(repo, source)
    assert said.code == 0, said.err
    assert said.json["written"] == ["recovery/coverage.yaml"]
    named = [o["ref"] for o in said.json["omissions"] if o["rule"] == "secrets-policy"]
    assert named == [{"group": "", "kind": "Secret", "namespace": "orders", "name": "ledger"}]
    everything = git(repo, "cat-file", "--batch-all-objects", "--batch")
    encoded = base64.b64encode(CANARY.encode()).decode()
    for text in (said.out, said.err, everything):
        assert CANARY not in text
        assert encoded not in text
    connect(source).request("DELETE", "/api/v1/namespaces/orders/secrets/ledger")
    assert export(repo, source).code == 0


def test_a_person_who_edits_during_the_export_is_not_overwritten(repo, source):
    web = repo / "clusters/bookstore/namespaces/storefront/deployments.apps/web.yaml"
    kept = web.read_bytes()
    web.write_bytes(kept + b"# mine\n")
    label_the_web(source, "twice")
    said = export(repo, source)
    assert said.code == 6
    assert "web.yaml" in said.err
    assert web.read_bytes() == kept + b"# mine\n"
    web.write_bytes(kept)
    assert export(repo, source).json["created"] is True


def test_drift_names_objects_and_fields(repo, source):
    assert gitops_dr("drift", "--repo", str(repo), kubeconfig=source).code == 0
    label_the_web(source, "thrice")
    path = "/apis/apps/v1/namespaces/orders/deployments/api"
    spec = {"replicas": 5, "template": {"spec": {"terminationGracePeriodSeconds": 7}}}
    patch(connect(source), path, {"spec": spec})
    connect(source).request("DELETE", "/api/v1/namespaces/catalog/configmaps/search-synonyms")
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand"}}
    connect(source).request(
        "POST", "/api/v1/namespaces/catalog/configmaps", body=orjson.dumps(made)
    )
    said = gitops_dr("drift", "--repo", str(repo), "-o", "json", kubeconfig=source)
    assert said.code == 1, said.err
    found = {
        (d["ref"]["kind"], d["ref"]["name"]): (d["state"], sorted(f["path"] for f in d["fields"]))
        for d in said.json["differences"]
    }
    assert found == {
        ("Deployment", "web"): ("modified", ["metadata.labels.tested"]),
        ("Deployment", "api"): (
            "modified",
            ["spec.replicas", "spec.template.spec.terminationGracePeriodSeconds"],
        ),
        ("ConfigMap", "search-synonyms"): ("missing", []),
        ("ConfigMap", "by-hand"): ("unmanaged", []),
    }
    text = gitops_dr("drift", "--repo", str(repo), kubeconfig=source)
    assert "~ spec.replicas" in text.out


def test_nobody_to_confirm_means_no_rebuild(repo, target):
    before = count_of_objects(target)
    said = gitops_dr("rebuild", "--repo", str(repo), kubeconfig=target)
    assert said.code == 6
    assert "--yes" in said.err
    # The target is shown before anything else is asked.
    assert "cluster UID" in said.err
    assert count_of_objects(target) == before


def test_a_plan_writes_nothing_and_shows_what_cannot_come_back(repo, target):
    before = count_of_objects(target)
    said = gitops_dr("plan", "--repo", str(repo), "-o", "json", kubeconfig=target)
    assert said.code == 3, said.err
    gaps = {gap["ref"]["name"] for gap in said.json["gaps"]}
    assert "data-ledger-db-0" in gaps
    steps = [step["ref"] for step in said.json["steps"]]
    assert steps.index(
        {"group": "", "kind": "Namespace", "namespace": "", "name": "orders"}
    ) < steps.index(
        {"group": "apps", "kind": "StatefulSet", "namespace": "orders", "name": "ledger-db"}
    )
    assert count_of_objects(target) == before


def test_a_killed_rebuild_is_continued_by_the_same_command(repo, target):
    command = [COMMAND, "rebuild", "--repo", str(repo), "--yes", "--accept-empty-volumes"]
    environment = {**os.environ, "KUBECONFIG": str(target)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    namespaces = connect(target)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        names = namespaces.json("GET", "/api/v1/namespaces")["items"]
        if any(item["metadata"]["name"] == "orders" for item in names):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert gitops_dr("drift", "--repo", str(repo), kubeconfig=target).code == 1

    said = gitops_dr(*map(str, command[1:]), "-o", "json", kubeconfig=target)
    assert said.code == 0, said.out + said.err
    assert said.json["complete"] is True
    assert said.json["differences"] == []


def test_afterwards_nothing_differs_and_nothing_is_left_to_do(repo, target):
    assert gitops_dr("drift", "--repo", str(repo), kubeconfig=target).code == 0
    said = gitops_dr("rebuild", "--repo", str(repo), "--yes", "-o", "json", kubeconfig=target)
    assert said.code == 0, said.err
    assert said.json["outcomes"] == []


def test_what_workloads_need_was_there_first(repo, target):
    """The StatefulSet's claims are the restored ones: adopted, not made anew beside them."""
    connection = connect(target)
    claims = connection.json("GET", "/api/v1/namespaces/orders/persistentvolumeclaims")["items"]
    managers = {
        claim["metadata"]["name"]: claim["metadata"]["managedFields"][0]["manager"]
        for claim in claims
    }
    assert {"data-ledger-db-0", "data-ledger-db-1", "data-ledger-db-2"} <= managers.keys()
    assert set(managers.values()) == {"gitops-dr"}


def test_another_cluster_is_not_exported_over_the_first(repo, target):
    said = export(repo, target)
    assert said.code == 6
    assert "--adopt-cluster" in said.err
    assert export(repo, target, "--adopt-cluster").code == 0


def test_a_sudden_loss_is_refused(repo, target):
    head = git(repo, "rev-parse", "HEAD")
    connection = connect(target)
    connection.request("DELETE", "/api/v1/namespaces/catalog")
    deadline = time.monotonic() + 60
    # One kind after the other goes, and the namespace last.
    while any(
        each["metadata"]["name"] == "catalog"
        for each in connection.json("GET", "/api/v1/namespaces")["items"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    said = export(repo, target)
    assert said.code == 6
    assert "--allow-shrink" in said.err
    assert git(repo, "rev-parse", "HEAD") == head


def test_a_rebuild_at_an_earlier_commit_takes_that_commit(repo, target):
    first = git(repo, "log", "--format=%H", "--reverse", "--", "clusters").split()[0]
    said = gitops_dr("drift", "--repo", str(repo), "--at", first, "-o", "json", kubeconfig=target)
    assert said.json["commit"] == first
    web = next(d for d in said.json["differences"] if d["ref"]["name"] == "web")
    assert [f["path"] for f in web["fields"]] == ["metadata.labels.tested"]
