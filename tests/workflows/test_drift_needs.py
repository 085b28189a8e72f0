"""What users of other tools were let down by, as far as no other test shows that it is not so here.

docs/needs/drift.md says which need each is about.
"""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from command import commit_all, git, gitops_dr
from fake_api import FakeApi, api, connection, listed, reply

from gitops_dr.cluster.connect import Connection, connect

__all__ = ["api", "connection"]

PLACE = "drift-needs"
SETTINGS = "format: 1\nclusters:\n  lab:\n    authored: [namespaces/*/ours/**]\n"
SPREAD = [
    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": how, "labelSelector": {}}
    for how in ("DoNotSchedule", "ScheduleAnyway")
]
WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": PLACE},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "topologySpreadConstraints": SPREAD,
                "containers": [
                    {
                        "name": "c",
                        "image": "web:1",
                        "resources": {
                            "requests": {"cpu": "0.5", "memory": "1024Mi"},
                            "limits": {"cpu": "1000m", "memory": 2 * 1024**3},
                        },
                    }
                ],
            },
        },
    },
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}


class Place:
    def __init__(self, server: ApiServer, repo: Path, kubeconfig: Path) -> None:
        self.server = server
        self.repo = repo
        self.kubeconfig = kubeconfig

    def commit(self, *bodies: Any, folder: str) -> None:
        for body in bodies:
            name = f"{body['kind']}-{body['metadata']['name']}.yaml".lower()
            file = self.repo / "clusters" / "lab" / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(body))
        commit_all(self.repo)

    def drift(self, *flags: str) -> dict[str, Any]:
        """What differs, by kind and name: the state, or the op and path of each field."""
        said = gitops_dr(
            *("drift", "--repo", str(self.repo), "-o", "json", "--no-unmanaged", *flags),
            kubeconfig=self.kubeconfig,
        )
        assert said.code in (0, 1), said.err
        document = said.json
        assert document["gaps"] == []
        assert not [each for each in document["differences"] if each["compared_locally"]]
        return {
            f"{each['ref']['kind']}/{each['ref']['name']}": [
                (field["op"], field["path"]) for field in each["fields"]
            ]
            or each["state"]
            for each in document["differences"]
            # What other tests had in the lab when it was exported may be gone by now.
            if each["ref"]["namespace"] in ("", PLACE, "new")
        }


@pytest.fixture
def place(kubeconfig: Path, tmp_path: Path) -> Iterator[Place]:
    server = ApiServer(connect(kubeconfig))
    repo = tmp_path / "repository"
    server.create(NAMESPACE)
    try:
        server.create(WEB)
        assert gitops_dr("init", str(repo), "--cluster", "lab").code == 0
        (repo / "gitops-dr.yaml").write_text(SETTINGS)
        commit_all(repo)
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=kubeconfig)
        assert said.code == 0, said.err
        yield Place(server, repo, kubeconfig)
    finally:
        server.delete(NAMESPACE, wait=True)


@pytest.mark.parametrize("kept", ["by us", "by people"])
def test_amounts_beside_spread_constraints_are_the_same_amounts(place: Place, kept: str):
    exported = f"clusters/lab/namespaces/{PLACE}/deployments.apps/web.yaml"
    git(place.repo, "rm", "--quiet", exported)
    folder = "deployments.apps" if kept == "by us" else "ours"
    place.commit(WEB, folder=f"namespaces/{PLACE}/{folder}")
    assert place.drift() == place.drift("--server") == {}
    pod = "spec.template.spec"
    spread = f"{pod}.topologySpreadConstraints[topologyKey=zone,whenUnsatisfiable=ScheduleAnyway]"
    change = copy.deepcopy(WEB["spec"]["template"]["spec"])
    change["topologySpreadConstraints"][1]["maxSkew"] = 2
    change["containers"][0]["resources"]["limits"]["cpu"] = "1100m"
    place.server.patch(WEB, {"spec": {"template": {"spec": change}}})
    assert place.drift() == {
        "Deployment/web": [
            ("replace", f"{pod}.containers[name=c].resources.limits.cpu"),
            ("replace", f"{spread}.maxSkew"),
        ]
    }


def test_what_was_changed_and_changed_back_leaves_no_trace(place: Place):
    before = place.server.listed(WEB)["metadata"]["generation"]
    for paused in (True, None):
        place.server.patch(WEB, {"spec": {"paused": paused}})
    assert place.server.listed(WEB)["metadata"]["generation"] >= before + 2
    assert place.drift() == {}


@pytest.mark.parametrize("folder", ["anywhere", "namespaces/new/ours"])
@pytest.mark.parametrize("flags", [(), ("--server",)], ids=["compared here", "by the server"])
def test_what_is_needed_first_may_be_new_too(place: Place, folder: str, flags: tuple[str, ...]):
    """Nothing of it can be asked of the API server; it is missing, and no error."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
    there = {"name": "a", "namespace": "new"}
    entries = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": there, "data": {"a": "1"}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.new.example.com"},
        "spec": {
            "group": "new.example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    thing = {"apiVersion": "new.example.com/v1", "kind": "Thing", "metadata": there}
    place.commit(namespace, entries, definition, thing, folder=folder)
    assert place.drift(*flags) == {
        "Namespace/new": "missing",
        "ConfigMap/a": "missing",
        "CustomResourceDefinition/things.new.example.com": "missing",
        "Thing/a": "missing",
    }


def test_no_request_is_held_back(api: FakeApi, connection: Connection, monkeypatch: Any):
    """An API server says itself when it is asked too much."""

    def sleep(_seconds: float) -> None:
        pytest.fail("somebody waited")

    api.on("/api/v1/pods", reply(listed()))
    monkeypatch.setattr(time, "sleep", sleep)
    for _ in range(300):
        connection.json("GET", "/api/v1/pods")
    assert len(api.asked("/api/v1/pods")) == 300
