"""Into a living cluster: a part comes back, and what differs is overwritten on demand."""

import time
from pathlib import Path

import orjson
import pytest
from command import gitops_dr
from shop import create_shop, wait_until_open

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, Connection, connect

pytestmark = pytest.mark.lab

MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture(scope="module")
def place(lab_home, tmp_path_factory):
    """A repository and the cluster that it was exported from."""
    repo = tmp_path_factory.mktemp("part") / "repository"
    with labs.running("living") as lab:
        connection = connect(lab.kubeconfig, lab.name)
        create_shop(connection)
        wait_until_open(connection)
        reach = labs.service_account_kubeconfig(lab)
        assert gitops_dr("init", str(repo), "--cluster", "bookstore").code == 0
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code == 0, said.err
        yield repo, reach


def delete_and_wait(connection: Connection, path: str) -> None:
    connection.request("DELETE", path)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            connection.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return
            raise
        time.sleep(0.05)
    pytest.fail(f"{path} is still there")


def rebuild(place: tuple[Path, Path], *flags: str):
    repo, reach = place
    common = (
        "--repo",
        str(repo),
        "--yes",
        "-o",
        "json",
        "--accept-empty-volumes",
        "--timeout",
        "60",
    )
    return gitops_dr("rebuild", *common, *flags, kubeconfig=reach)


def drift(place: tuple[Path, Path]):
    repo, reach = place
    return gitops_dr("drift", "--repo", str(repo), "-o", "json", kubeconfig=reach)


def test_a_deleted_namespace_comes_back_alone_with_what_it_needs(place):
    connection = connect(place[1])
    delete_and_wait(connection, "/api/v1/namespaces/catalog")
    priority = "/apis/scheduling.k8s.io/v1/priorityclasses/bookstore-critical"
    delete_and_wait(connection, priority)
    delete_and_wait(connection, "/api/v1/namespaces/orders/configmaps/report-script")

    preview = gitops_dr(
        "plan", "--repo", str(place[0]), "-n", "catalog", "-o", "json", kubeconfig=place[1]
    )
    refs = [step["ref"] for step in preview.json["steps"]]
    assert {ref["namespace"] for ref in refs} <= {"catalog", ""}

    said = rebuild(place, "--namespace", "catalog")
    assert said.code == 0, said.out + said.err
    left = drift(place)
    names = {d["ref"]["name"] for d in left.json["differences"]}
    assert "report-script" in names
    assert not any(d["ref"]["namespace"] == "catalog" for d in left.json["differences"])
    # Nothing of what came back needs the class, or it came back too.
    assert ("bookstore-critical" in names) == all(
        ref["name"] != "bookstore-critical" for ref in refs
    )


def test_a_single_object_comes_back_with_what_it_needs(place):
    connection = connect(place[1])
    delete_and_wait(connection, "/apis/apps/v1/namespaces/orders/deployments/api")
    delete_and_wait(connection, "/api/v1/namespaces/orders/serviceaccounts/api")
    said = rebuild(place, "--ref", "Deployment.apps/orders/api")
    assert said.code == 0, said.out + said.err
    made = {(o["ref"]["kind"], o["ref"]["name"]) for o in said.json["outcomes"]}
    assert {("Deployment", "api"), ("ServiceAccount", "api")} <= made
    assert ("ConfigMap", "report-script") not in made


def test_a_part_that_is_not_there_is_said(place):
    said = rebuild(place, "--ref", "Deployment.apps/orders/none")
    assert said.code == 2
    assert "Deployment.apps/orders/none" in said.err
    assert rebuild(place, "--namespace", "nowhere").code == 2
    assert rebuild(place, "--selector", "nonsense").code == 2
    assert rebuild(place, "--ref", "nonsense").code == 2


def test_the_rest_comes_back_by_label_and_then_everything(place):
    said = rebuild(place, "--selector", "no-such=label")
    assert said.code == 0
    assert said.json["outcomes"] == []
    assert rebuild(place).code == 0
    assert drift(place).code == 0


def test_what_differs_is_left_and_listed_unless_overwritten(place):
    connection = connect(place[1])
    path = "/apis/apps/v1/namespaces/storefront/deployments/web"
    before = connection.json("GET", path)
    container = before["spec"]["template"]["spec"]["containers"][0]
    changed = {
        "metadata": {"labels": {"added": "here", "app.kubernetes.io/part-of": "other"}},
        "spec": {
            "template": {
                "spec": {
                    "terminationGracePeriodSeconds": 3,
                    "containers": [
                        {
                            **container,
                            "image": "registry.example.com/other:1",
                            "env": [*container.get("env", []), {"name": "ADDED", "value": "1"}],
                        },
                        *before["spec"]["template"]["spec"]["containers"][1:],
                    ],
                }
            }
        },
    }
    connection.request("PATCH", path, body=orjson.dumps(changed), content_type=MERGE_PATCH)

    said = rebuild(place)
    assert said.code == 3
    skipped = [s["ref"]["name"] for s in said.json["plan"]["steps"] if s["action"] == "skip"]
    assert skipped == ["web"]
    now = connection.json("GET", path)
    assert now["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 3

    said = rebuild(place, "--overwrite")
    assert said.code == 0, said.out + said.err
    now = connection.json("GET", path)
    assert now["spec"]["template"]["spec"] == before["spec"]["template"]["spec"]
    assert now["metadata"]["labels"] == before["metadata"]["labels"]
    # The autoscaler's replicas are not in Git and are not touched.
    assert now["spec"]["replicas"] == before["spec"]["replicas"]
    assert drift(place).code == 0


def test_what_is_immutable_is_said(place):
    connection = connect(place[1])
    name = "catalog/configmaps/shelf-labels-2026"
    path = f"/api/v1/namespaces/{name}"
    body = connection.json("GET", path)
    assert body.get("immutable") is True
    delete_and_wait(connection, path)
    made = {
        "metadata": {"name": "shelf-labels-2026"},
        "immutable": True,
        "data": {"other": "labels"},
    }
    collection = "/api/v1/namespaces/catalog/configmaps"
    connection.request("POST", collection, body=orjson.dumps(made))
    said = rebuild(place, "--overwrite")
    assert said.code == 3
    reasons = [o["reason"] for o in said.json["outcomes"] if o["result"] == "failed"]
    assert any("immutable" in reason for reason in reasons)
    delete_and_wait(connection, path)
    assert rebuild(place).code == 0
