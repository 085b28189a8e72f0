"""Whose field it is: what a controller applies is left alone, or taken when somebody says so.

One lab as an ordinary ServiceAccount. People keep the manifests of one namespace themselves, and a
controller applies them; another namespace is exported.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from command import Said, commit_all, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect

pytestmark = pytest.mark.lab

SETTINGS = """
format: 1
clusters:
  prod:
    authored: [namespaces/pay/**]
"""
FLUX = "kustomize-controller"


def config_map(name: str, namespace: str = "pay", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class Place:
    def __init__(self, repo: Path, lab: Any) -> None:
        self.repo = repo
        self.kubeconfig = labs.service_account_kubeconfig(lab)
        self.api = ApiServer(connect(lab.kubeconfig, lab.name))

    def run(self, verb: str, *arguments: str, code: int) -> Said:
        said = gitops_dr(verb, *arguments, "--repo", str(self.repo), kubeconfig=self.kubeconfig)
        assert said.code == code, said.out[:4000] + said.err
        return said

    def data(self, name: str, namespace: str = "pay") -> Any:
        return self.api.listed(config_map(name, namespace))["data"]

    def overwrite(self, name: str, *flags: str, code: int, namespace: str = "pay") -> Any:
        ref = f"ConfigMap/{namespace}/{name}"
        said = self.run(
            "rebuild", "--overwrite", "--yes", "-o", "json", "--ref", ref, *flags, code=code
        )
        (outcome,) = said.json["outcomes"]
        return outcome

    def step(self, name: str, *flags: str, code: int, namespace: str = "pay") -> Any:
        ref = f"ConfigMap/{namespace}/{name}"
        said = self.run("plan", "--overwrite", "-o", "json", "--ref", ref, *flags, code=code)
        return said.json["steps"][0], said.json["notes"]


@pytest.fixture(scope="module")
def place(lab_home: Path, tmp_path_factory: pytest.TempPathFactory):
    repo = tmp_path_factory.mktemp("ownership") / "repository"
    with labs.running("ownership") as lab:
        made = Place(repo, lab)
        for name in ("pay", "shop"):
            made.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        (repo / "gitops-dr.yaml").write_text(SETTINGS)
        folder = repo / "clusters/prod/namespaces/pay"
        folder.mkdir(parents=True)
        for name, manager in (("a", FLUX), ("operated", "some-operator"), ("by-hand", "kubectl")):
            body = config_map(name, one="1", two="2")
            made.api.apply(body, manager)
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(body))
        made.api.apply(config_map("exported", "shop", one="1"), FLUX)
        commit_all(repo, "Ours")
        made.run("export", code=0)
        yield made


@pytest.mark.parametrize(("name", "manager"), [("a", FLUX), ("operated", "some-operator")])
def test_a_field_that_a_controller_applies_is_left_alone_and_named(place, name, manager):
    """What somebody else changed beside it is put back in the same step."""
    place.api.apply(config_map(name, one="theirs", two="2"), manager)
    place.api.patch(config_map(name), {"data": {"two": "by hand"}})
    step, _ = place.step(name, code=3)
    assert step["reason"].startswith(f"data.one belongs to {manager} (Apply, 20")
    assert step["reason"].endswith(": --take-ownership overwrites it")
    outcome = place.overwrite(name, code=3)
    assert outcome["result"] == "failed"
    assert outcome["reason"].startswith(f"left alone: data.one belongs to {manager} (Apply, 20")
    assert place.data(name) == {"one": "theirs", "two": "2"}


def test_what_only_the_controller_has_is_its_own_too(place):
    place.api.apply(config_map("a", one="theirs", two="2", three="3"), FLUX)
    outcome = place.overwrite("a", code=3)
    assert "data.three belongs to kustomize-controller" in outcome["reason"]
    assert place.data("a")["three"] == "3"


def test_a_sync_leaves_it_alone_too(place):
    said = place.run("sync", "--yes", "-o", "json", code=3)
    reasons = {o["ref"]["name"]: o["reason"] for o in said.json["outcomes"]}
    assert "data.one belongs to kustomize-controller" in reasons["a"]
    assert place.data("a")["one"] == "theirs"


def test_it_is_taken_when_somebody_says_so(place):
    step, notes = place.step("a", "--take-ownership", code=1)
    assert step["reason"] == ""
    assert any(
        note.startswith("ConfigMap/pay/a: data.one belongs to kustomize-controller")
        and note.endswith("who will put it back")
        for note in notes
    )
    outcome = place.overwrite("a", "--take-ownership", code=0)
    assert (outcome["result"], outcome["reason"]) == ("done", "")
    assert place.data("a") == {"one": "1", "two": "2"}
    place.run("sync", "--yes", "--take-ownership", code=0)
    assert place.data("operated") == {"one": "1", "two": "2"}


def test_what_a_person_applied_is_no_conflict(place):
    place.api.apply(config_map("by-hand", one="theirs", two="2"), "kubectl")
    assert place.overwrite("by-hand", code=0)["result"] == "done"
    assert place.data("by-hand") == {"one": "1", "two": "2"}


def test_of_an_export_it_is_overwritten_and_the_plan_warns(place):
    """Git holds what the cluster was; who changed it since will do so again."""
    place.api.apply(config_map("exported", "shop", one="theirs"), FLUX)
    step, notes = place.step("exported", namespace="shop", code=1)
    assert (step["action"], step["reason"]) == ("configure", "")
    (note,) = [n for n in notes if "exported" in n]
    assert note.startswith("ConfigMap/shop/exported: data.one belongs to kustomize-controller")
    assert note.endswith("who will put it back")
    assert place.overwrite("exported", namespace="shop", code=0)["result"] == "done"
    assert place.data("exported", "shop") == {"one": "1"}


def test_a_revert_is_asked_for_just_these_fields_and_does_it(place):
    place.api.apply(config_map("a", one="theirs", two="2"), FLUX)
    place.run("revert", "ConfigMap/pay/a", "--yes", code=0)
    assert place.data("a")["one"] == "1"


def test_ownership_is_only_taken_of_what_is_overwritten(place):
    said = place.run("rebuild", "--take-ownership", "--yes", code=2)
    assert "--overwrite" in said.err
