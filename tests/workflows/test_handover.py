"""What a rebuild makes belongs to who applied it at the source: what leaves Git later goes.

A source whose objects were applied in each of the ways that are in use, and an empty cluster; on it
Flux, Argo CD, Helm and kubectl then apply a manifest with one field less.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from api_server import ApiServer
from command import commit_all, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect
from gitops_dr.desired.managers import Holder
from gitops_dr.engine.act import act
from gitops_dr.engine.handover import create_for, hand_over_all
from gitops_dr.model import Action, Ref, Result, Step

pytestmark = pytest.mark.lab


def config_map(name: str, *, annotations: Any = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


SERVER_SIDE = {
    "flux": "kustomize-controller",
    "argo-server": "argocd-controller",
    "helm4": "helm",
    "operator": "some-operator",
}
CLIENT_SIDE = {"argo-client": "argocd-controller", "by-kubectl": None}

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:1",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "ports": [{"containerPort": 80}],
                    }
                ]
            },
        },
    },
}


def kubectl(kubeconfig: Path, *arguments: str, stdin: Any) -> None:
    done = subprocess.run(
        [str(labs.assets().path("kubectl")), *arguments, "-f", "-"],
        input=orjson.dumps(stdin),
        capture_output=True,
        check=False,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def managers(live: Any) -> dict[tuple[str, str], Any]:
    return {
        (each["manager"], each["operation"]): each["fieldsV1"]
        for each in live["metadata"].get("managedFields") or ()
        if not each.get("subresource")
    }


class World:
    def __init__(self, repo: Path, source: Any, target: Any) -> None:
        self.repo = repo
        self.source_lab, self.target_lab = source, target
        self.source, self.target = (
            ApiServer(connect(lab.kubeconfig, lab.name)) for lab in (source, target)
        )
        self.reach = [labs.service_account_kubeconfig(lab) for lab in (source, target)]

    def run(self, verb: str, *arguments: str, on: int, code: int = 0):
        said = gitops_dr(verb, *arguments, "--repo", str(self.repo), kubeconfig=self.reach[on])
        assert said.code == code, said.out[:4000] + said.err
        return said

    @property
    def file(self) -> Path:
        return self.repo / "clusters/prod/recovery/managers.yaml"


@pytest.fixture(scope="module")
def world(lab_home: Path, tmp_path_factory: pytest.TempPathFactory):
    repo = tmp_path_factory.mktemp("handover") / "repository"
    with labs.running("handover-source") as source, labs.running("handover-target") as target:
        made = World(repo, source, target)
        made.source.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        for name, manager in SERVER_SIDE.items():
            made.source.apply(config_map(name, a="1", b="2"), manager)
        for name, manager in CLIENT_SIDE.items():
            flags = ("--field-manager", manager) if manager else ()
            kubectl(source.kubeconfig, "apply", *flags, stdin=config_map(name, a="1", b="2"))
        made.source.create(config_map("helm3", a="1", b="2"), manager="helm")
        made.source.create(config_map("nobodys", a="1", b="2"), manager="some-script")
        made.source.apply(DEPLOYMENT, "kustomize-controller")
        made.source.apply(config_map("shared", a="1", b="2"), "kustomize-controller")
        note = {"metadata": {"annotations": {"example.com/injected": "by somebody else"}}}
        made.source.patch(config_map("shared"), note, fieldManager="injector")
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        made.run("export", on=0)
        yield made


def test_the_export_says_who_applied_what_and_nothing_that_passes(world):
    document = yaml.safe_load(world.file.read_text())
    held = {
        (entry["manager"], entry["operation"], entry["lastApplied"]): entry["objects"]
        for entry in document["managers"]
    }
    assert held["argocd-controller", "Update", True] == {
        "ConfigMap": [{"names": ["argo-client"], "namespace": "shop"}]
    }
    assert held["argocd-controller", "Apply", False]["ConfigMap"][0]["names"] == ["argo-server"]
    assert held["kubectl-client-side-apply", "Update", True]
    assert held["helm", "Update", False]["ConfigMap"][0]["names"] == ["helm3"]
    assert held["kustomize-controller", "Apply", False] == {
        "ConfigMap": [{"names": ["flux", "shared"], "namespace": "shop"}],
        "Deployment.apps": [{"names": ["web"], "namespace": "shop"}],
    }
    assert "nobodys" not in world.file.read_text()
    (shared,) = document["shared"]
    assert shared["ref"] == "ConfigMap/shop/shared"
    assert shared["manager"] == "injector"
    assert "time" not in world.file.read_text()
    before = git(world.repo, "rev-parse", "HEAD")
    # Applied again without a change, nothing but times is another.
    world.source.apply(config_map("flux", a="1", b="2"), "kustomize-controller")
    world.run("export", on=0)
    assert git(world.repo, "rev-parse", "HEAD") == before


def test_a_rebuild_makes_them_in_the_name_of_who_applied_them(world):
    world.run("rebuild", "--yes", "--timeout", "60", on=1)
    for name, manager in SERVER_SIDE.items():
        found = managers(world.target.listed(config_map(name)))
        assert set(found) == {(manager, "Apply")}
    assert set(managers(world.target.listed(config_map("nobodys")))) == {("gitops-dr", "Update")}
    found = managers(world.target.listed(config_map("shared")))
    assert set(found) == {("kustomize-controller", "Apply"), ("injector", "Update")}
    # What a cluster of its own was rebuilt to is exported as the source was.
    world.run("export", "--adopt-cluster", on=1)
    assert git(world.repo, "diff", "HEAD~1", "--stat", "--", str(world.file)) == ""


@pytest.mark.parametrize("name", SERVER_SIDE)
def test_a_field_that_leaves_git_goes_where_it_is_applied_by_the_server(world, name):
    world.target.apply(config_map(name, a="1"), SERVER_SIDE[name])
    assert world.target.listed(config_map(name))["data"] == {"a": "1"}


@pytest.mark.parametrize("name", CLIENT_SIDE)
def test_a_field_that_leaves_git_goes_where_kubectl_applies_it(world, name):
    manager = CLIENT_SIDE[name]
    flags = ("--field-manager", manager) if manager else ()
    kubectl(world.target_lab.kubeconfig, "apply", *flags, stdin=config_map(name, a="1"))
    assert world.target.listed(config_map(name))["data"] == {"a": "1"}


def test_a_field_goes_when_kubectl_turns_to_the_server_side(world):
    made = config_map("turned", a="1", b="2")
    kubectl(world.source_lab.kubeconfig, "apply", stdin=made)
    world.run("export", "--adopt-cluster", "--cluster-wins", on=0)
    world.run("rebuild", "--yes", "--ref", "ConfigMap/shop/turned", on=1)
    kubectl(
        world.target_lab.kubeconfig, "apply", "--server-side", stdin=config_map("turned", a="1")
    )
    assert world.target.listed(made)["data"] == {"a": "1"}


def test_an_accept_keeps_the_file_true(world):
    """So that an export after it has nothing more to say."""
    world.source.apply(config_map("accepted", a="1"), "kustomize-controller")
    world.run("accept", "ConfigMap/shop/accepted", "--commit", "--yes", on=0)
    assert "accepted" in world.file.read_text()
    before = git(world.repo, "rev-parse", "HEAD")
    world.run("export", on=0)
    assert git(world.repo, "rev-parse", "HEAD") == before


def test_items_and_fields_of_a_workload_go_and_defaults_stay(world):
    less = orjson.loads(orjson.dumps(DEPLOYMENT))
    container = less["spec"]["template"]["spec"]["containers"][0]
    container["env"] = container["env"][:1]
    del container["ports"]
    live = world.target.apply(less, "kustomize-controller")
    found = live["spec"]["template"]["spec"]["containers"][0]
    assert found["env"] == [{"name": "A", "value": "1"}]
    assert "ports" not in found
    assert found["imagePullPolicy"]


def test_what_somebody_else_held_is_not_taken_away(world):
    live = world.target.apply(config_map("shared", a="1"), "kustomize-controller")
    assert live["data"] == {"a": "1"}
    assert live["metadata"]["annotations"] == {"example.com/injected": "by somebody else"}


def test_a_sync_keeps_it_and_a_failover_gives_it_away(world):
    """What a standby has is pruned by a sync; once it is at work, by those who apply there."""
    made = config_map("at-standby", a="1", b="2")
    world.source.apply(made, "kustomize-controller")
    world.run("export", "--adopt-cluster", "--cluster-wins", on=0)
    target = world.repo / "targets/standby/target.yaml"
    target.parent.mkdir(parents=True)
    context = world.target_lab.name
    target.write_text(f"format: 1\ncluster: prod\ncontext: {context}\nstrategy: hot\n")
    commit_all(world.repo, "A standby")

    def run(*arguments: str) -> None:
        said = gitops_dr(
            *arguments,
            "--repo",
            str(world.repo),
            environment={"KUBECONFIG": str(world.target_lab.kubeconfig)},
        )
        assert said.code == 0, said.out[:4000] + said.err

    run("sync", "--target", "standby", "--yes", "--take-ownership")
    assert set(managers(world.target.listed(made))) == {("gitops-dr", "Update")}
    run("failover", "--target", "standby", "--yes", "--fenced")
    assert set(managers(world.target.listed(made))) == {("kustomize-controller", "Apply")}


def test_told_otherwise_all_is_ours(world):
    world.target.delete(config_map("flux"), wait=True)
    ref = "ConfigMap/shop/flux"
    world.run("rebuild", "--yes", "--ref", ref, "--no-hand-over", on=1)
    found = managers(world.target.listed(config_map("flux")))
    assert set(found) == {("gitops-dr", "Update")}
    # And this is what handing over is for.
    world.target.apply(config_map("flux", a="1"), "kustomize-controller")
    assert world.target.listed(config_map("flux"))["data"] == {"a": "1", "b": "2"}


def test_what_is_ours_is_given_away_later(world):
    """As at a failover: what a sync made was ours until then."""
    names = ("ours-later", "by-kubectl-later", "theirs")
    for name in names[:2]:
        world.target.create(config_map(name, a="1", b="2"), manager="gitops-dr")
    world.target.apply(config_map("theirs", a="1"), "kustomize-controller")
    refs = {name: Ref("", "ConfigMap", "shop", name) for name in (*names, "not-there")}
    holders = {ref: Holder("kustomize-controller", "Apply") for ref in refs.values()}
    holders[refs["by-kubectl-later"]] = Holder("kubectl-client-side-apply", "Update")
    untouched = world.target.listed(config_map("theirs"))["metadata"]["resourceVersion"]
    resources = {("", "ConfigMap"): world.target.resource(config_map("theirs"))}
    assert hand_over_all(world.target.connection, holders, resources) == {}
    found = managers(world.target.listed(config_map("by-kubectl-later")))
    assert set(found) == {("kubectl-client-side-apply", "Update")}
    now = world.target.listed(config_map("theirs"))["metadata"]["resourceVersion"]
    assert now == untouched
    world.target.apply(config_map("ours-later", a="1"), "kustomize-controller")
    assert world.target.listed(config_map("ours-later"))["data"] == {"a": "1"}


def test_one_that_is_there_is_not_written_to(world):
    """It came between the plan and its step, in nobody's name."""
    made = config_map("meanwhile", a="theirs")
    world.target.create(made)
    ref = Ref("", "ConfigMap", "shop", "meanwhile")
    done = act(
        world.target.connection,
        Step(ref, Action.CREATE, "f", "p", "v1"),
        world.target.resource(made),
        config_map("meanwhile", a="ours", b="2"),
        lambda _owner: None,
        holder=Holder("kustomize-controller", "Apply"),
    )
    assert done.outcome.result is Result.FAILED
    assert "differs" in done.outcome.reason
    assert world.target.listed(made)["data"] == {"a": "theirs"}


def test_what_cannot_be_applied_is_made_all_the_same(world):
    """Server-side apply takes no list with the same key twice; a create does."""
    made = orjson.loads(orjson.dumps(DEPLOYMENT))
    made["metadata"]["name"] = "twice"
    env = made["spec"]["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "A", "value": "3"})
    ref = Ref("apps", "Deployment", "shop", "twice")
    holder = Holder("kustomize-controller", "Apply")
    stored, _ = create_for(world.target.connection, ref, world.target.resource(made), made, holder)
    assert set(managers(stored)) == {("kustomize-controller", "Update")}
