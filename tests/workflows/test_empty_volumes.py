"""A volume that a rebuild could not fill is called empty by every run, until that is accepted.

The tests of this file tell one story and run in its order.
"""

import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import Said, git, gitops_dr

from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.volumes.started_empty import NOTE

pytestmark = pytest.mark.lab

NAMESPACE = "/api/v1/namespaces/vault"
CLAIM = f"{NAMESPACE}/persistentvolumeclaims/data-db-0"
REF = {"group": "", "kind": "PersistentVolumeClaim", "namespace": "vault", "name": "data-db-0"}
SECONDS = 60.0

DATABASE = {
    "metadata": {"name": "db"},
    "spec": {
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [{"name": "db", "image": "registry.example.com/db:1"}]},
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Mi"}},
                },
            }
        ],
    },
}


def look(connection: Connection, path: str) -> Any:
    """The object, or None if it is not there."""
    try:
        return connection.json("GET", path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def wait_until(condition: Any) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def cluster(kubeconfig: Path) -> Any:
    connection = connect(kubeconfig)
    made = orjson.dumps({"metadata": {"name": "vault"}})
    connection.request("POST", "/api/v1/namespaces", body=made)
    path = "/apis/apps/v1/namespaces/vault/statefulsets"
    connection.request("POST", path, body=orjson.dumps(DATABASE))
    wait_until(lambda: (look(connection, CLAIM) or {}).get("status", {}).get("phase") == "Bound")
    yield connection
    connection.request("DELETE", NAMESPACE)
    wait_until(lambda: look(connection, NAMESPACE) is None)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory, cluster: Connection, kubeconfig: Path) -> Path:
    path = tmp_path_factory.mktemp("empty") / "repository"
    assert gitops_dr("init", str(path), "--cluster", "prod").code == 0
    said = gitops_dr("export", "--repo", str(path), kubeconfig=kubeconfig)
    assert said.code == 0, said.err
    return path


@pytest.fixture(scope="module")
def run(repo: Path, kubeconfig: Path) -> Any:
    """Run a command on the namespace with JSON output."""

    def command(verb: str, *flags: str) -> Said:
        part = ("--namespace", "vault") if verb in ("plan", "rebuild") else ()
        yes = ("--yes", "--timeout", "60") if verb == "rebuild" else ()
        where = ("--repo", str(repo), "-o", "json")
        return gitops_dr(verb, *where, *part, *yes, *flags, kubeconfig=kubeconfig)

    return command


def reasons(said: Said) -> list[str]:
    """Of the claim's gaps; there are no others."""
    assert [gap["ref"] for gap in said.json["gaps"]] == [REF] * len(said.json["gaps"])
    return [gap["reason"] for gap in said.json["gaps"]]


def note(cluster: Connection) -> str | None:
    return (look(cluster, CLAIM)["metadata"].get("annotations") or {}).get(NOTE)


def test_a_claim_comes_back_without_its_data_and_that_is_a_gap(cluster, run):
    cluster.request("DELETE", NAMESPACE)
    wait_until(lambda: look(cluster, NAMESPACE) is None)
    said = run("rebuild")
    assert said.code == 3, said.err
    (reason,) = reasons(said)
    assert "starts empty" in reason
    assert {outcome["result"] for outcome in said.json["outcomes"]} == {"done"}
    assert said.json["differences"] == []
    assert note(cluster) == "true"


@pytest.mark.parametrize("verb", ["plan", "rebuild"])
def test_a_later_run_does_not_take_it_for_a_full_one(cluster, run, verb):
    said = run(verb)
    assert said.code == 3, said.err
    (reason,) = reasons(said)
    assert "started empty in an earlier run" in reason
    assert said.json.get("steps", []) == said.json.get("outcomes", []) == []
    assert note(cluster) == "true"


def test_the_note_is_no_difference_and_goes_into_no_commit(run, repo):
    left = [d for d in run("drift").json["differences"] if d["ref"]["namespace"] == "vault"]
    assert left == []
    before = git(repo, "rev-parse", "HEAD").strip()
    # What other tests had in this cluster may be gone by now.
    said = run("export", "--allow-shrink")
    assert said.code == 0, said.err
    changed = git(repo, "diff", "--name-only", before, "HEAD").splitlines()
    assert not [path for path in changed if "/vault/" in path]


def test_accepting_it_is_one_step_of_the_plan(cluster, run):
    said = run("plan", "--accept-empty-volumes")
    assert said.code == 1, said.err
    assert [(s["ref"], s["action"]) for s in said.json["steps"]] == [(REF, "configure")]
    assert said.json["notes"] == []
    before = look(cluster, CLAIM)
    said = run("rebuild", "--accept-empty-volumes")
    assert said.code == 0, said.out + said.err
    assert [(o["ref"], o["result"]) for o in said.json["outcomes"]] == [(REF, "done")]
    assert note(cluster) is None
    after = look(cluster, CLAIM)
    assert after["spec"] == before["spec"]
    annotations = before["metadata"]["annotations"]
    assert after["metadata"]["annotations"] == {
        key: value for key, value in annotations.items() if key != NOTE
    }


def test_once_accepted_it_is_no_gap_any_more(run):
    said = run("rebuild")
    assert said.code == 0, said.out + said.err
    assert said.json["gaps"] == said.json["outcomes"] == []


def test_what_is_accepted_from_the_start_has_no_note(cluster, run):
    cluster.request("DELETE", NAMESPACE)
    wait_until(lambda: look(cluster, NAMESPACE) is None)
    assert run("rebuild", "--accept-empty-volumes").code == 0
    assert note(cluster) is None
    assert run("rebuild").code == 0
