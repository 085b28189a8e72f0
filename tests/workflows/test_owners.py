"""Owners, and what runs to an end, through an export and a rebuild on real control planes.

The tests of this file tell one story and run in its order; the source is gone when it begins.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, Connection, connect

pytestmark = pytest.mark.lab

CORE = "/api/v1/namespaces/linked"
WEB = "/apis/apps/v1/namespaces/linked/deployments/web"
JOBS = "/apis/batch/v1/namespaces/linked/jobs"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TASKS = "/apis/tekton.dev/v1/namespaces/linked/taskruns"

SECONDS = 60.0


def create(connection: Connection, path: str, body: dict[str, Any]) -> Any:
    answer = connection.request("POST", path, body=orjson.dumps(body))
    return orjson.loads(answer)


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


def owned_by(owner: Any, kind: str, api_version: str, **more: Any) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
    } | more


def pods(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "web", "image": "registry.example.com/web:1"}]
    labels = {"app": "web"}
    return {"metadata": {"labels": labels}, "spec": {"containers": containers} | spec}


def create_source(connection: Connection) -> None:
    """A cycle, a chain below it, an owner of the cluster, and Jobs that have ended and have not."""
    create(connection, "/api/v1/namespaces", {"metadata": {"name": "linked"}})
    wait_until(lambda: look(connection, f"{CORE}/serviceaccounts/default"))
    volume = {"name": "settings", "configMap": {"name": "settings"}}
    web = create(
        connection,
        WEB.rpartition("/")[0],
        {
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": pods(volumes=[volume]),
            },
        },
    )
    role = create(connection, ROLES, {"metadata": {"name": "anchor"}, "rules": []})
    settings = config_map(
        connection, "settings", owned_by(web, "Deployment", "apps/v1", blockOwnerDeletion=True)
    )
    config_map(connection, "below", owned_by(settings, "ConfigMap", "v1"))
    config_map(
        connection, "anchored", owned_by(role, "ClusterRole", "rbac.authorization.k8s.io/v1")
    )
    never = pods(restartPolicy="Never", nodeSelector={"no": "such-node"})
    create(connection, JOBS, {"metadata": {"name": "running"}, "spec": {"template": never}})
    done = pods(restartPolicy="Never")
    create(connection, JOBS, {"metadata": {"name": "done"}, "spec": {"template": done}})
    wait_until(lambda: look(connection, f"{JOBS}/done")["status"].get("succeeded"))
    wait_until(lambda: look(connection, f"{JOBS}/done")["status"].get("completionTime"))
    wait_until(lambda: look(connection, f"{JOBS}/running")["status"].get("active"))
    wait_until(lambda: look(connection, WEB)["status"].get("availableReplicas"))


def config_map(connection: Connection, name: str, owner: dict[str, Any]) -> Any:
    metadata = {"name": name, "ownerReferences": [owner]}
    return create(connection, f"{CORE}/configmaps", {"metadata": metadata, "data": {"k": name}})


def create_task(connection: Connection) -> None:
    """A kind as Tekton has it, with one that had begun."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    spec = {
        "group": "tekton.dev",
        "scope": "Namespaced",
        "names": {"kind": "TaskRun", "listKind": "TaskRunList"}
        | {"plural": "taskruns", "singular": "taskrun"},
        "versions": [version],
    }
    create(connection, CRDS, {"metadata": {"name": "taskruns.tekton.dev"}, "spec": spec})
    body = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "build"}}

    def created() -> bool:
        try:
            create(connection, TASKS, body | {"spec": {"taskRef": {"name": "build"}}})
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    wait_until(created)


@dataclass(frozen=True)
class Story:
    repo: Path
    without_task: str
    """The recovery point before there was a TaskRun; HEAD has it."""
    old: dict[str, str]
    """UIDs in the source."""
    target: Path
    connection: Connection

    def run(self, verb: str, *flags: str) -> Any:
        return gitops_dr(
            *(verb, "--repo", str(self.repo), "-o", "json", *flags), kubeconfig=self.target
        )

    def rebuild(self, *flags: str) -> Any:
        return self.run("rebuild", "--yes", *flags)

    def uids(self) -> dict[str, str]:
        return uids(self.connection)


def uids(connection: Connection) -> dict[str, str]:
    paths = {name: f"{CORE}/configmaps/{name}" for name in ("settings", "below", "anchored")}
    paths |= {"web": WEB, "anchor": f"{ROLES}/anchor"}
    return {name: look(connection, path)["metadata"]["uid"] for name, path in paths.items()}


@pytest.fixture(scope="module")
def story(lab_home, tmp_path_factory):
    repo = tmp_path_factory.mktemp("linked") / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
    with labs.running("linked-source") as lab:
        reach = labs.service_account_kubeconfig(lab)
        connection = connect(reach)
        create_source(connection)
        old = uids(connection)
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code == 0, said.err
        first = git(repo, "rev-parse", "HEAD").strip()
        create_task(connection)
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code == 0, said.err
    with labs.running("linked-target") as lab:
        reach = labs.service_account_kubeconfig(lab)
        yield Story(repo, first, old, reach, connect(reach))


def test_git_has_owners_by_name_and_no_job_that_has_ended(story):
    root = story.repo / "clusters/prod/namespaces/linked"
    text = (root / "configmaps/settings.yaml").read_text()
    assert "name: web" in text
    assert "uid" not in text
    assert [path.name for path in (root / "jobs.batch").iterdir()] == ["running.yaml"]
    assert (root / "taskruns.tekton.dev/build.yaml").exists()


def test_everything_comes_back_but_what_runs_to_an_end_comes_back_held(story):
    said = story.rebuild("--at", story.without_task)
    assert said.code == 0, said.out + said.err
    assert said.json["complete"] is True
    assert said.json["differences"] == []
    (held,) = said.json["held"]
    assert held["ref"]["name"] == "running"
    assert [field["path"] for field in held["fields"]] == ["spec.suspend"]
    job = look(story.connection, f"{JOBS}/running")
    assert job["spec"]["suspend"] is True
    assert not job["status"].get("active")
    assert look(story.connection, f"{JOBS}/done") is None


def test_objects_are_linked_to_the_owners_of_today(story):
    now = story.uids()
    assert not set(now.values()) & set(story.old.values())
    owners = {
        name: look(story.connection, f"{CORE}/configmaps/{name}")["metadata"]["ownerReferences"]
        for name in ("settings", "below", "anchored")
    }
    assert {name: owner["uid"] for name, (owner,) in owners.items()} == {
        "settings": now["web"],
        "below": now["settings"],
        "anchored": now["anchor"],
    }
    assert owners["settings"][0]["blockOwnerDeletion"] is True


def test_none_of_them_is_garbage(story):
    """The collector has been round: what belongs to nobody that is there is gone by then."""
    before = story.uids()
    ghost = {"metadata": {"name": "ghost", "uid": story.old["web"]}}
    config_map(story.connection, "stray", owned_by(ghost, "Deployment", "apps/v1"))
    wait_until(lambda: look(story.connection, f"{CORE}/configmaps/stray") is None)
    assert story.uids() == before


def test_a_second_rebuild_has_nothing_to_do(story):
    said = story.rebuild("--at", story.without_task)
    assert said.code == 0, said.out + said.err
    assert said.json["outcomes"] == []
    assert [each["ref"]["name"] for each in said.json["held"]] == ["running"]
    plan = story.run("plan", "--at", story.without_task)
    assert plan.code == 0, plan.err
    assert [o["rule"] for o in plan.json["omissions"]] == ["held-back"]


def test_what_cannot_be_held_is_a_gap_and_is_not_made(story):
    plan = story.run("plan")
    assert plan.code == 3, plan.err
    said = story.rebuild()
    assert said.code == 3, said.out + said.err
    for gaps in (plan.json["gaps"], said.json["gaps"]):
        (gap,) = gaps
        assert gap["ref"] == {
            "group": "tekton.dev",
            "kind": "TaskRun",
            "namespace": "linked",
            "name": "build",
        }
        assert "second time" in gap["reason"]
    assert {o["ref"]["kind"] for o in said.json["outcomes"]} == {"CustomResourceDefinition"}
    assert look(story.connection, f"{TASKS}/build") is None
    assert said.json["complete"] is False


def test_a_released_job_runs_and_is_no_longer_held(story):
    story.connection.request(
        "PATCH",
        f"{JOBS}/running",
        body=orjson.dumps({"spec": {"suspend": False}}),
        content_type="application/merge-patch+json",
    )
    wait_until(lambda: look(story.connection, f"{JOBS}/running")["status"].get("active"))
    said = story.rebuild("--at", story.without_task)
    assert said.code == 0, said.out + said.err
    assert said.json["held"] == []
    assert said.json["outcomes"] == []


def test_the_links_are_real_what_is_owned_goes_with_its_owner(story):
    story.connection.request("DELETE", WEB)
    for name in ("settings", "below"):
        wait_until(lambda name=name: look(story.connection, f"{CORE}/configmaps/{name}") is None)
    assert look(story.connection, f"{CORE}/configmaps/anchored") is not None
    said = story.rebuild("--at", story.without_task)
    assert said.code == 0, said.out + said.err
    assert {o["ref"]["name"] for o in said.json["outcomes"]} == {"web", "settings", "below"}
    test_objects_are_linked_to_the_owners_of_today(story)
