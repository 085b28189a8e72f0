"""Manifests that people keep or tools render, and a pull request, against a real cluster."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yamlrocks
from api_server import ApiServer
from command import Said, commit_all, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.listing import object_path

pytestmark = pytest.mark.lab

SETTINGS = """
format: 1
clusters:
  prod:
    authored: [namespaces/pay/**]
"""

WEB_TEXT = """\
# Ours: kept by hand.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1
        env:
        - {name: A, value: "1"}
        - {name: B, value: "2"}
        ports:
        - containerPort: 80
        resources: {requests: {cpu: 1000m}}
        volumeMounts: [{name: tmp, mountPath: /tmp, readOnly: false}]
      volumes: [{name: tmp, emptyDir: {}}]
"""

SERVICE_TEXT = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80}
"""

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "pay"},
}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "pay"}}
CONTAINER = "spec.template.spec.containers[name=web]"


def config_map(name: str, namespace: str = "shop", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class Place:
    def __init__(self, repo: Path, lab: Any) -> None:
        self.repo = repo
        self.folder = repo / "clusters" / "prod"
        self.kubeconfig = labs.service_account_kubeconfig(lab)
        self.api = ApiServer(connect(lab.kubeconfig, lab.name))

    def run(self, verb: str, *arguments: str) -> Said:
        return gitops_dr(verb, *arguments, "--repo", str(self.repo), kubeconfig=self.kubeconfig)

    def drift(self, *arguments: str) -> Said:
        said = self.run("drift", "-o", "json", *arguments)
        assert said.code in (0, 1), said.out + said.err
        return said

    def differing(self, *arguments: str) -> dict[str, Any]:
        """What differs: the state, or the paths of the fields that do."""
        return {
            f"{found['ref']['kind']}/{found['ref']['name']}": [
                field["path"] for field in found["fields"]
            ]
            or found["state"]
            for found in self.drift(*arguments).json["differences"]
        }

    def apply(self, text: str, manager: str, namespace: str = "pay") -> None:
        """Server-side apply of one manifest, as kubectl or a controller does it."""
        body = yamlrocks.loads(text.encode())
        body["metadata"]["namespace"] = namespace
        self.api.apply(body, manager)

    def edit(self, body: Any, *operations: Any, manager: str = "kubectl-edit") -> None:
        metadata = body["metadata"]
        self.api.connection.json(
            "PATCH",
            object_path(self.api.resource(body), metadata["namespace"], metadata["name"]),
            query={"fieldManager": manager},
            body=orjson.dumps(list(operations)),
            content_type="application/json-patch+json",
        )

    def write(self, path: str, text: str | None) -> None:
        file = self.folder / path
        if text is None:
            file.unlink()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture(scope="module")
def place(lab_home: Path, tmp_path_factory: pytest.TempPathFactory):
    """The authored manifests are applied, by kubectl and by a controller; the rest is exported."""
    repo = tmp_path_factory.mktemp("authored") / "repository"
    with labs.running("authored") as lab:
        made = Place(repo, lab)
        for name in ("pay", "shop"):
            made.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for number in range(12):
            made.api.create(config_map(f"ballast-{number}", of="x"))
        made.apply(WEB_TEXT, "kubectl")
        made.apply(SERVICE_TEXT, "kustomize-controller")
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        (repo / "gitops-dr.yaml").write_text(SETTINGS)
        made.write("namespaces/pay/app/web.yaml", WEB_TEXT)
        made.write("namespaces/pay/app/service.yaml", SERVICE_TEXT)
        made.write("namespaces/pay/app/README.md", "Ours.\n")
        made.write(
            "namespaces/pay/app/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
            "resources: [web.yaml, service.yaml]\n",
        )
        commit_all(repo, "By hand")
        said = made.run("export")
        assert said.code == 0, said.out + said.err
        yield made


@pytest.fixture
def clean(place: Place):
    """The place, in agreement again after the test."""
    head = git(place.repo, "rev-parse", "HEAD").strip()
    yield place
    git(place.repo, "switch", "--quiet", "--force", "main")
    git(place.repo, "reset", "--quiet", "--hard", head)
    if place.differing():
        said = place.run("revert", "--yes")
        assert said.code == 0, said.out + said.err
        assert place.differing() == {}


ADDED = {
    "an environment variable": (
        WEB,
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/env/-",
            "value": {"name": "C", "value": "3"},
        },
        f"{CONTAINER}.env[name=C]",
    ),
    "a port": (
        SERVICE,
        {"op": "add", "path": "/spec/ports/-", "value": {"name": "more", "port": 81}},
        "spec.ports[port=81,protocol=TCP]",
    ),
    "a label": (
        WEB,
        {"op": "add", "path": "/metadata/labels/extra", "value": "1"},
        "metadata.labels.extra",
    ),
    "a toleration": (
        WEB,
        {
            "op": "add",
            "path": "/spec/template/spec/tolerations",
            "value": [{"key": "x", "operator": "Exists"}],
        },
        "spec.template.spec.tolerations",
    ),
    "replicas": (WEB, {"op": "replace", "path": "/spec/replicas", "value": 3}, "spec.replicas"),
}


def test_what_people_keep_agrees_with_what_was_made_of_it(clean):
    said = clean.drift()
    assert said.code == 0, said.out
    assert said.json["differences"] == []
    assert said.json["gaps"] == []


@pytest.mark.parametrize(("body", "operation", "path"), ADDED.values(), ids=list(ADDED))
def test_what_another_manager_adds_is_found_and_taken_back(clean, body, operation, path):
    name = f"{body['kind']}/web"
    clean.edit(body, operation)
    found = clean.drift().json["differences"]
    assert {f"{d['ref']['kind']}/{d['ref']['name']}" for d in found} == {name}
    assert [(field["path"], field["op"]) for field in found[0]["fields"]] == [(path, "add")]
    assert [m["manager"] for m in found[0]["fields"][0]["managers"]] == ["kubectl-edit"]
    assert found[0]["fields"][0]["removed_from_git"] is False
    said = clean.run("revert", "--yes", "-o", "json")
    assert said.code == 0, said.out + said.err
    assert clean.differing() == {}


def test_a_port_that_somebody_changed_is_put_back(clean):
    """Applied, it would stand beside the other one, under the same name."""
    clean.edit(SERVICE, {"op": "replace", "path": "/spec/ports/0/port", "value": 90})
    assert clean.differing() == {
        "Service/web": ["spec.ports[port=80,protocol=TCP]", "spec.ports[port=90,protocol=TCP]"]
    }
    said = clean.run("revert", "--yes", "-o", "json")
    assert said.code == 0, said.out + said.err
    ports = clean.api.listed(SERVICE)["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [("http", 80)]


def test_a_changed_value_is_applied_by_us(clean):
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other:1"}
    clean.edit(WEB, image)
    assert clean.differing() == {"Deployment/web": [f"{CONTAINER}.image"]}
    assert clean.run("revert", "--yes").code == 0
    live = clean.api.listed(WEB)
    ours = [m for m in live["metadata"]["managedFields"] if m["manager"] == "gitops-dr"]
    assert "Apply" in {manager["operation"] for manager in ours}
    # What it says nothing of is left as it is.
    assert live["spec"]["revisionHistoryLimit"] == 10


def test_what_git_no_longer_has_is_still_in_the_cluster(clean):
    text = WEB_TEXT.replace('        - {name: B, value: "2"}\n', "")
    clean.write("namespaces/pay/app/web.yaml", text)
    commit_all(clean.repo, "Without B")
    found = clean.drift().json["differences"]
    assert [(field["path"], field["op"]) for field in found[0]["fields"]] == [
        (f"{CONTAINER}.env[name=B]", "add")
    ]
    assert "kubectl" in {m["manager"] for m in found[0]["fields"][0]["managers"]}
    assert found[0]["fields"][0]["removed_from_git"] is True
    assert "(no longer in Git)" in clean.run("drift").out
    assert clean.run("revert", "--yes").code == 0
    assert clean.differing() == {}


def test_a_rebuild_brings_it_back_and_then_nothing_differs(clean):
    for body in (WEB, SERVICE):
        clean.api.delete(body, wait=True)
    said = clean.run("rebuild", "--yes", "-o", "json", "--timeout", "60")
    assert said.code == 0, said.out + said.err
    assert sorted(o["ref"]["kind"] for o in said.json["outcomes"]) == ["Deployment", "Service"]
    assert clean.differing() == {}
    # What differs is left, or made what Git says by the same way as a revert does it.
    extra = {"op": "add", "path": "/metadata/labels/extra", "value": "1"}
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other:1"}
    clean.edit(WEB, extra, image)
    assert clean.run("rebuild", "--yes", "--timeout", "60").code == 3
    said = clean.run("rebuild", "--yes", "--overwrite", "-o", "json", "--timeout", "60")
    assert said.code == 0, said.out + said.err
    live = clean.api.listed(WEB)
    assert live["metadata"]["labels"] == {"app": "web"}
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith("/web:1")
    assert live["spec"]["progressDeadlineSeconds"] == 600


def test_a_missing_and_a_broken_manifest_are_told(clean):
    clean.write(
        "namespaces/pay/app/more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"
    )
    clean.write("namespaces/pay/app/broken.yaml", "apiVersion: v1\nkind: ConfigMap\n")
    commit_all(clean.repo, "More")
    said = clean.run("drift", "-o", "json")
    assert said.code == 3
    assert [gap["ref"]["name"] for gap in said.json["gaps"]] == [
        "clusters/prod/namespaces/pay/app/broken.yaml"
    ]
    assert [(d["ref"]["namespace"], d["state"]) for d in said.json["differences"]] == [
        ("pay", "missing")
    ]
    clean.write("namespaces/pay/app/broken.yaml", None)
    commit_all(clean.repo, "Mend it")
    assert clean.run("revert", "--yes").code == 0
    made = config_map("more", "pay")
    assert clean.api.listed(made) is not None
    assert clean.differing() == {}
    clean.api.delete(made, wait=True)


def test_a_secret_that_people_keep_is_there_and_left_out(clean):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "pay"}}
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
    clean.write("namespaces/pay/app/secret.yaml", text)
    commit_all(clean.repo, "A Secret")
    assert clean.differing() == {"Secret/s": "missing"}
    clean.api.create(secret | {"stringData": {"a": "never shown"}})
    said = clean.drift()
    assert said.json["differences"] == []
    assert "never shown" not in said.out
    clean.api.delete(secret, wait=True)


# -- rendered -----------------------------------------------------------------------------------


def test_what_is_rendered_is_wanted_too(clean, tmp_path):
    out = tmp_path / "out" / "chart" / "templates"
    out.mkdir(parents=True)
    (out / "web.yaml").write_text("---\n# Source: chart/templates/web.yaml\n" + WEB_TEXT)
    (out / "more.yaml").write_text(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\n---\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: test\n"
        "  annotations: {helm.sh/hook: test}\nspec: {containers: [{name: c, image: c}]}\n"
    )
    # An exported object, of which the rendered version counts.
    ballast = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: ballast-0, namespace: shop}\n"
    (tmp_path / "out" / "ballast.yaml").write_text(ballast + "data: {of: y}\n")
    said = clean.drift("--rendered", str(tmp_path / "out"), "--rendered-namespace", "pay")
    found = {d["ref"]["name"]: d for d in said.json["differences"]}
    assert {name: d["state"] for name, d in found.items()} == {
        "ballast-0": "modified",
        "new": "missing",
    }
    assert [field["path"] for field in found["ballast-0"]["fields"]] == ["data.of"]
    assert [m["manager"] for m in found["ballast-0"]["fields"][0]["managers"]] == ["kubectl-create"]
    hooks = [o["ref"] for o in said.json["omissions"] if o["rule"] == "helm-hook"]
    assert [(ref["kind"], ref["name"]) for ref in hooks] == [("Pod", "test")]
    # Of an exported object what the rendered version leaves out is somebody's addition.
    (tmp_path / "out" / "ballast.yaml").write_text(ballast)
    said = clean.differing("--rendered", str(tmp_path / "out"), "--rendered-namespace", "pay")
    assert said == {"ConfigMap/ballast-0": ["data"], "ConfigMap/new": "missing"}


def test_what_is_rendered_wrongly_is_said(clean, tmp_path):
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    said = clean.run("drift", "--rendered", str(tmp_path))
    assert said.code == 2
    assert "--rendered-namespace" in said.err
    (tmp_path / "a.yaml").write_text("replicas: 3\n")
    assert clean.run("drift", "--rendered", str(tmp_path)).code == 5
    assert clean.run("drift", "--rendered", str(tmp_path / "nowhere")).code == 2
    assert clean.run("drift", "--rendered-namespace", "pay").code == 2
    assert clean.run("drift", "--rendered", str(tmp_path), "--against", "main").code == 2


# -- pull requests ------------------------------------------------------------------------------


def test_a_pull_request_is_told_apart_from_drift(clean):
    maps = "namespaces/shop/configmaps"
    git(clean.repo, "switch", "--quiet", "--create", "change")
    for number in (1, 2):
        text = (clean.folder / f"{maps}/ballast-{number}.yaml").read_text()
        clean.write(f"{maps}/ballast-{number}.yaml", text.replace("of: x", "of: changed"))
    text = (clean.folder / f"{maps}/ballast-3.yaml").read_text()
    clean.write(f"{maps}/new.yaml", text.replace("ballast-3", "new"))
    clean.write(f"{maps}/ballast-3.yaml", None)
    clean.write("namespaces/pay/app/web.yaml", WEB_TEXT.replace("web:1", "web:2"))
    commit_all(clean.repo, "The change")
    # Meanwhile: the base goes on, one object drifts, another already is what the change makes it.
    git(clean.repo, "switch", "--quiet", "main")
    text = (clean.folder / f"{maps}/ballast-4.yaml").read_text()
    clean.write(f"{maps}/ballast-4.yaml", text.replace("of: x", "of: meanwhile"))
    commit_all(clean.repo, "Meanwhile")
    git(clean.repo, "switch", "--quiet", "change")
    clean.api.patch(config_map("ballast-2"), {"data": {"of": "changed"}})
    clean.api.patch(config_map("ballast-5"), {"data": {"of": "drifted"}})

    said = clean.drift("--against", "main")
    against = said.json["against"]
    assert against["base"] == git(clean.repo, "rev-parse", "main").strip()
    merges = {m["ref"]["name"]: m for m in against["merges"]}
    assert {name: merge["action"] for name, merge in merges.items()} == {
        "ballast-1": "configure",
        "ballast-3": "skip",
        "new": "create",
        "web": "configure",
    }
    assert [(f["path"], f["op"], f["old"], f["new"]) for f in merges["ballast-1"]["fields"]] == [
        ("data.of", "replace", "x", "changed")
    ]
    assert [(f["path"], f["new"]) for f in merges["web"]["fields"]] == [
        (f"{CONTAINER}.image", "registry.example.com/web:2")
    ]
    # Drift is measured against the base, and has its authors.
    found = {d["ref"]["name"]: d for d in said.json["differences"]}
    assert set(found) == {"ballast-2", "ballast-4", "ballast-5"}
    managers = found["ballast-5"]["fields"][0]["managers"]
    assert [manager["manager"] for manager in managers] == ["kubectl-edit"]
    assert [m["manager"] for m in found["ballast-2"]["fields"][0]["managers"]] == ["kubectl-edit"]


def test_a_base_that_is_not_there_is_an_error(clean):
    said = clean.run("drift", "--against", "mian")
    assert said.code == 5
    assert "did you mean main" in said.err
