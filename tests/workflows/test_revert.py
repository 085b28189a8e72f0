"""Git's values put back: just the fields that are meant, nothing hidden, nothing deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from api_server import ApiServer
from command import Said, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.opening import Where
from gitops_dr.workflows.revert import revert

pytestmark = pytest.mark.lab

WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:1",
                        "env": [{"name": "A", "value": "1"}, {"name": "C", "value": "3"}],
                        "ports": [{"containerPort": 80}],
                    }
                ]
            },
        },
    },
}


def config_map(name: str, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **parts}


OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
    config_map("settings", data={"a": "1", "b": "2"}),
    config_map("fixed", data={"a": "1"}, immutable=True),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "clusterIP": "None",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80}],
        },
    },
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": "shop"},
        "spec": {
            "suspend": True,
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c:1"}]}
            },
        },
    },
    WEB,
]

WEB_REF = "Deployment.apps/shop/web"
CONTAINER = "spec.template.spec.containers[name=web]"


class Place:
    """A repository, the cluster that it was exported from, and many hands."""

    def __init__(self, repo: Path, lab: Any) -> None:
        self.repo = repo
        self.kubeconfig = labs.service_account_kubeconfig(lab)
        self.api = ApiServer(connect(lab.kubeconfig, lab.name))

    def run(self, verb: str, *arguments: str, kubeconfig: Path | None = None) -> Said:
        reach = kubeconfig or self.kubeconfig
        return gitops_dr(verb, *arguments, "--repo", str(self.repo), kubeconfig=reach)

    def drift(self) -> dict[str, Any]:
        said = self.run("drift", "-o", "json")
        assert said.code in (0, 1), said.err
        return said.json

    def differing(self) -> dict[str, list[str]]:
        """Names of what differs, with the paths of the fields."""
        return {
            found["ref"]["name"]: sorted(field["path"] for field in found["fields"])
            for found in self.drift()["differences"]
        }

    def revert(self, *arguments: str, code: int = 0) -> Said:
        said = self.run("revert", "--yes", "-o", "json", *arguments)
        assert said.code == code, said.out + said.err
        return said

    def live(self, body: Any) -> Any:
        return self.api.listed(body)

    def edit(self, body: Any, *operations: Any, manager: str = "kubectl-edit") -> None:
        metadata = body["metadata"]
        self.api.connection.json(
            "PATCH",
            object_path(self.api.resource(body), metadata.get("namespace", ""), metadata["name"]),
            query={"fieldManager": manager},
            body=orjson.dumps(list(operations)),
            content_type="application/json-patch+json",
        )


def named(name: str, kind: str = "ConfigMap") -> dict[str, Any]:
    return next(b for b in OBJECTS if b["metadata"]["name"] == name and b["kind"] == kind)


@pytest.fixture(scope="module")
def place(lab_home: Path, tmp_path_factory: pytest.TempPathFactory):
    repo = tmp_path_factory.mktemp("revert") / "repository"
    with labs.running("revert") as lab:
        made = Place(repo, lab)
        for body in OBJECTS:
            made.api.create(body)
        made.api.until(WEB, lambda body: body.get("status", {}).get("readyReplicas") == 2)
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        said = made.run("export")
        assert said.code == 0, said.err
        yield made


@pytest.fixture
def clean(place: Place) -> Place:
    """The place with nothing to revert in it."""
    yield place
    if place.differing():
        said = place.run("revert", "--yes", "-o", "json")
        assert said.code == 0, said.out + said.err
        assert place.differing() == {}


def test_a_scale_is_taken_back(clean):
    clean.api.patch(WEB, {"spec": {"replicas": 5}}, "scale")
    assert clean.differing() == {"web": ["spec.replicas"]}
    said = clean.revert(WEB_REF)
    assert said.json["complete"] is True
    assert [o["result"] for o in said.json["outcomes"]] == ["done"]
    assert clean.live(WEB)["spec"]["replicas"] == 2
    assert clean.differing() == {}


def test_only_the_fields_that_differ_are_written(clean):
    """What somebody added goes, what was removed stands in its place, the rest is as it was."""
    before = clean.live(WEB)
    clean.edit(
        WEB,
        {
            "op": "replace",
            "path": "/spec/template/spec/containers/0/env",
            "value": [{"name": "C", "value": "3"}, {"name": "B", "value": "2"}],
        },
        {"op": "add", "path": "/metadata/labels/extra", "value": "1"},
    )
    assert clean.differing()["web"] == [
        "metadata.labels.extra",
        f"{CONTAINER}.env[name=A]",
        f"{CONTAINER}.env[name=B]",
    ]
    said = clean.revert(WEB_REF)
    assert said.json["left"] == []
    now = clean.live(WEB)
    assert now["spec"] == before["spec"]
    assert now["metadata"]["labels"] == {"app": "web"}
    ours = [m for m in now["metadata"]["managedFields"] if m["manager"] == "gitops-dr"]
    owned = orjson.dumps(ours).decode()
    assert '"A' in owned.replace("\\", "")
    assert "f:image" not in owned
    assert "f:ports" not in owned


def test_a_deleted_object_is_created_and_one_that_was_added_is_left(clean):
    clean.api.delete(named("settings"), wait=True)
    extra = config_map("extra", data={"a": "1"})
    clean.api.create(extra)
    try:
        said = clean.revert()
        assert clean.live(named("settings"))["data"] == {"a": "1", "b": "2"}
        assert [ref["name"] for ref in said.json["unmanaged"]] == ["extra"]
        assert clean.live(extra)["data"] == {"a": "1"}
        assert clean.differing() == {"extra": []}
        # Who names it is told that nothing became of it.
        said = clean.run("revert", "--yes", "ConfigMap/shop/extra")
        assert said.code == 3
        assert "Only in the cluster, and left there" in said.out
        assert clean.live(extra) is not None
    finally:
        clean.api.delete(extra, wait=True)


IMMUTABLE: dict[str, tuple[Any, Callable[[Any], Any], str, str]] = {
    "an immutable ConfigMap": (
        named("fixed"),
        lambda body: body | {"data": {"a": "2"}},
        "ConfigMap/shop/fixed",
        "field is immutable when `immutable` is set",
    ),
    "a Service's address": (
        named("web", "Service"),
        lambda body: body | {"spec": {k: v for k, v in body["spec"].items() if k != "clusterIP"}},
        "Service/shop/web",
        "clusterIP",
    ),
    "a Job's template": (
        named("once", "Job"),
        lambda body: (
            body
            | {
                "spec": {
                    "suspend": True,
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "c:2"}],
                        }
                    },
                }
            }
        ),
        "Job.batch/shop/once",
        "field is immutable",
    ),
}


@pytest.mark.parametrize(("body", "other", "ref", "says"), IMMUTABLE.values(), ids=list(IMMUTABLE))
def test_what_cannot_be_changed_is_said_before_anything_is_written(clean, body, other, ref, says):
    clean.api.delete(body, wait=True)
    clean.api.create(other(body))
    clean.api.patch(WEB, {"metadata": {"labels": {"extra": "1"}}})
    try:
        said = clean.run("revert", "--dry-run")
        if says:
            assert said.code == 3, said.out
            assert "Cannot be reverted:" in said.out
            assert f"  {ref}: " in said.out
            assert says in said.out
            # The others are reverted all the same.
            said = clean.revert(code=3)
            assert "extra" not in clean.live(WEB)["metadata"]["labels"]
            reasons = {gap["ref"]["name"]: gap["reason"] for gap in said.json["plan"]["gaps"]}
            assert says in reasons[body["metadata"]["name"]]
            assert [left["ref"]["name"] for left in said.json["left"]] == [body["metadata"]["name"]]
    finally:
        clean.api.delete(body, wait=True)


def test_the_plan_goes_from_the_clusters_value_to_gits(clean):
    clean.api.patch(WEB, {"spec": {"replicas": 7}}, "scale")
    clean.api.patch(named("settings"), {"data": {"a": None, "c": "new"}})
    said = clean.run("revert", "--dry-run")
    assert said.code == 1
    assert "2 objects to change, 0 to create" in said.out
    assert "~ spec.replicas: 7 → 2" in said.out
    assert '+ data.a: "1"' in said.out
    assert '- data.c: "new"' in said.out
    assert clean.live(WEB)["spec"]["replicas"] == 7


def test_without_a_yes_nothing_is_written(clean):
    clean.api.patch(WEB, {"spec": {"replicas": 3}}, "scale")
    said = clean.run("revert")
    assert said.code == 6
    assert "nobody is here to confirm it" in said.err
    assert "~ spec.replicas: 3 → 2" in said.err
    assert clean.live(WEB)["spec"]["replicas"] == 3
    assert clean.revert().json["complete"] is True
    said = clean.run("revert")
    assert said.code == 0, said.err
    assert "nothing to do" in said.out


def test_one_field_of_one_object_can_be_named(clean):
    clean.api.patch(named("settings"), {"data": {"a": "x", "b": "y"}})
    said = clean.revert("ConfigMap/shop/settings", "--field", "data.a")
    assert said.json["left"] == []
    assert clean.live(named("settings"))["data"] == {"a": "1", "b": "y"}
    assert clean.differing() == {"settings": ["data.b"]}


def test_a_namespace_can_be_named(clean):
    clean.api.patch(named("settings"), {"data": {"a": "x"}})
    clean.revert("--namespace", "shop")
    assert clean.differing() == {}
    assert clean.run("revert", "--yes", "-n", "shpo").code == 2


def test_a_name_that_is_that_of_nothing_is_an_error(clean):
    clean.api.patch(named("settings"), {"data": {"a": "x"}})
    said = clean.run("revert", "--yes", "ConfigMap/shop/setings")
    assert said.code == 2
    assert "did you mean ConfigMap/shop/settings?" in said.err
    assert clean.run("revert", "--yes", "nonsense").code == 2
    assert clean.live(named("settings"))["data"]["a"] == "x"


def test_what_an_ignore_rule_hides_is_not_touched(clean):
    settings = clean.repo / "gitops-dr.yaml"
    before = settings.read_text()
    rule = (
        "ignore:\n- kind: ConfigMap\n  name: settings\n  field: data.b\n"
        "  because: another team decides that\n"
    )
    settings.write_text(before + rule)
    git(clean.repo, "commit", "--quiet", "--all", "--message", "Ignore it")
    try:
        clean.api.patch(named("settings"), {"data": {"a": "x", "b": "y"}})
        assert clean.revert().json["complete"] is True
        assert clean.live(named("settings"))["data"] == {"a": "1", "b": "y"}
    finally:
        settings.write_text(before)
        git(clean.repo, "commit", "--quiet", "--all", "--message", "Ignore nothing")


def test_another_cluster_is_refused(clean, kubeconfig):
    said = clean.run("revert", "--yes", kubeconfig=kubeconfig)
    assert said.code == 6
    assert "this is not the cluster that was exported" in said.err
    assert "--context" in said.err


def test_what_somebody_changes_meanwhile_is_not_taken_for_it(clean):
    """The plan is for the fields that it shows; a value that is newer than the plan is not."""
    clean.api.patch(named("settings"), {"data": {"a": "x"}})

    def meanwhile(_plan: Any) -> None:
        clean.api.patch(named("settings"), {"data": {"a": "z", "b": "y"}})

    done = revert(Where(clean.repo, kubeconfig=clean.kubeconfig), meanwhile)
    assert done.complete
    assert clean.live(named("settings"))["data"] == {"a": "1", "b": "y"}
