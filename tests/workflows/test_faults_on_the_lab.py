"""Rebuilds of a small namespace through a connection that fails just where a test means it to."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lasting_faults
import orjson
import pytest
from campaigns.independent import Api
from command import Said, git, gitops_dr
from fault_proxy import Asked, Choose, FaultProxy, between

from gitops_dr.lab import Lab
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

WRITES = [
    "429 with Retry-After",
    "429 without",
    "500",
    "502",
    "503",
    "504",
    "stored, answered 500",
    "stored, then reset",
    "reset",
    "cut in mid-body",
    "slow",
    "409",
]
READS = ["429 with Retry-After", "429 without", "500", "502", "503", "504", "reset", "slow"]
"""What a read may meet; pages and bodies have their own."""

_numbers = itertools.count(1)


def manifest(kind: str, name: str, namespace: str = "", **parts: Any) -> dict[str, Any]:
    group = {"Deployment": "apps/v1"}.get(kind, "v1")
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": group, "kind": kind, "metadata": metadata, **parts}


class Scene:
    """A repository that holds one namespace, and the lab that it is to come into."""

    def __init__(self, lab: Lab, reach: Path, folder: Path) -> None:
        self.lab = lab
        self.reach = reach
        self.folder = folder
        self.repo = folder / "repository"
        self.namespace = f"faults-{next(_numbers)}"
        self.port = 31000 + int(self.namespace.rpartition("-")[2])
        assert gitops_dr("init", str(self.repo), "--cluster", "faults").code == 0
        self.put("cluster/namespaces", manifest("Namespace", self.namespace))
        # What an export says of itself; the kinds are those of any cluster.
        recovery = self.repo / "clusters/faults/recovery"
        recovery.mkdir()
        shipped_file = "cluster-repos/bookstore/clusters/bookstore/recovery/coverage.yaml"
        (recovery / "coverage.yaml").write_bytes(shipped(shipped_file).read_bytes())

    def put(self, place: str, *bodies: dict[str, Any]) -> None:
        folder = (
            self.repo / "clusters/faults" / place.replace("HERE", f"namespaces/{self.namespace}")
        )
        folder.mkdir(parents=True, exist_ok=True)
        for body in bodies:
            (folder / f"{body['metadata']['name']}.yaml").write_bytes(orjson.dumps(body))

    def config_maps(self, number: int) -> None:
        for each in range(number):
            name, data = f"map-{each:02}", {"number": str(each)}
            self.put("HERE/configmaps", manifest("ConfigMap", name, self.namespace, data=data))

    def rebuild(
        self, choose: Choose, kubeconfig: Path | None = None, *, timeout: int = 30
    ) -> tuple[Said, FaultProxy]:
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "-q", "--allow-empty", "-m", "By hand")
        with between(self.lab, choose) as proxy:
            said = gitops_dr(
                *("rebuild", "--repo", str(self.repo), "--yes", "-o", "json"),
                *("--timeout", str(timeout)),
                kubeconfig=proxy.kubeconfig(kubeconfig or self.reach, self.folder / "kubeconfig"),
                timeout=120,
            )
        return said, proxy

    def drift(self) -> list[Any]:
        said = gitops_dr("drift", "--repo", str(self.repo), "-o", "json", kubeconfig=self.reach)
        return [d for d in said.json["differences"] if d["state"] != "unmanaged"]


@pytest.fixture
def scene(lab: Lab, kubeconfig: Path, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(lab, kubeconfig, tmp_path)
    yield made
    with Api(lab.server, lab.pki) as api:
        api.call("DELETE", f"/api/v1/namespaces/{made.namespace}")


def each_once(faults: list[str], applies: Callable[[Asked], bool]) -> Choose:
    """The first requests that are meant meet one fault each, one after the other."""
    left = iter(faults)
    guard = threading.Lock()

    def choose(asked: Asked) -> str:
        if not applies(asked):
            return ""
        with guard:
            return next(left, "")

    return choose


def makes(plural: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.method == "POST" and asked.path.endswith(f"/{plural}")


def results(said: Said) -> dict[str, str]:
    return {o["ref"]["name"]: o["result"] for o in said.json["outcomes"]}


def test_every_fault_of_a_write_passes(scene: Scene) -> None:
    scene.config_maps(len(WRITES))
    said, proxy = scene.rebuild(each_once(WRITES, makes("configmaps")))
    assert proxy.injected == dict.fromkeys(WRITES, 1)
    assert said.code == 0, said.err + said.out
    assert set(results(said).values()) == {"done"}, results(said)
    assert scene.drift() == []


def test_every_fault_of_a_read_passes(scene: Scene) -> None:
    scene.config_maps(1)
    seen = set[str]()

    def is_first(asked: Asked) -> bool:
        """Several at once are more than one request is repeated."""
        is_new = asked.path not in seen
        seen.add(asked.path)
        return asked.method == "GET" and not asked.is_watch and is_new

    here = each_once(READS * 2, is_first)
    said, proxy = scene.rebuild(here)
    assert proxy.injected == dict.fromkeys(READS, 2)
    assert said.code == 0, said.err + said.out


def test_a_list_that_expires_or_breaks_off_is_still_whole(scene: Scene) -> None:
    """Every page of the ConfigMaps is spoiled once; one that is lacking would be drift."""
    scene.config_maps(30)
    broken = set[str]()

    def choose(asked: Asked) -> str:
        if not asked.path.endswith("/api/v1/configmaps") or asked.is_watch:
            return ""
        key = asked.query.get("continue", "")
        if key in broken:
            return "410 on a page" if asked.is_page and len(broken) % 2 else ""
        broken.add(key)
        return "cut in mid-body"

    said, proxy = scene.rebuild(choose)
    assert proxy.injected["cut in mid-body"] > 3
    assert proxy.injected["410 on a page"]
    assert said.code == 0, said.err + said.out


def test_a_service_that_was_stored_is_not_refused_for_its_own_port(scene: Scene) -> None:
    names = ["a", "b"]
    for number, name in enumerate(names):
        ports = [{"port": 80, "nodePort": scene.port + 100 * number}]
        spec = {"type": "NodePort", "selector": {"app": name}, "ports": ports}
        scene.put("HERE/services", manifest("Service", name, scene.namespace, spec=spec))
    faults = ["stored, answered 500", "stored, then reset"]
    said, proxy = scene.rebuild(each_once(faults, makes("services")))
    assert proxy.injected == dict.fromkeys(faults, 1)
    assert said.code == 0, said.err + said.out
    assert [results(said)[name] for name in names] == ["done", "done"]


def deployment(scene: Scene, name: str, **pod: Any) -> None:
    labels = {"app": name}
    containers = [{"name": "web", "image": "registry.example.com/web:1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers, **pod}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    scene.put("HERE/deployments.apps", manifest("Deployment", name, scene.namespace, spec=spec))


def test_a_workload_that_is_not_ready_says_what_its_pods_lack(scene: Scene) -> None:
    deployment(scene, "nowhere", nodeSelector={"example.com/is": "nowhere"})
    deployment(scene, "somewhere")
    said, _proxy = scene.rebuild(lambda _asked: "", timeout=8)
    assert said.code == 3
    assert results(said)["somewhere"] == "done"
    assert results(said)["nowhere"] == "unready"
    (reason,) = (o["reason"] for o in said.json["outcomes"] if o["ref"]["name"] == "nowhere")
    assert "0 of 2 replicas are available; Pod nowhere-" in reason
    assert "didn't match Pod's node affinity/selector" in reason


def test_a_watch_that_ends_badly_goes_on(scene: Scene) -> None:
    deployment(scene, "web")
    faults = ["410 on a watch", "410 in a watch", "watch reset", "watch ended"]
    here = each_once(faults, lambda a: a.is_watch and a.path.endswith("/deployments"))
    said, proxy = scene.rebuild(here)
    assert proxy.injected["410 on a watch"] == 1
    assert said.code == 0, said.err + said.out
    assert results(said)["web"] == "done"


def test_a_rolling_restart_is_waited_out(scene: Scene) -> None:
    scene.config_maps(30)
    here = each_once(["", "", "", "rolling restart"], makes("configmaps"))
    said, proxy = scene.rebuild(here)
    assert proxy.injected == {"rolling restart": 1}
    assert said.code == 0, said.err + said.out
    assert scene.drift() == []


def with_plugin(scene: Scene) -> tuple[Path, Path]:
    """A kubeconfig whose token a plugin gives, and where that notes that it was called."""
    document = json.loads(scene.reach.read_bytes())
    token = document["users"][0]["user"]["token"]
    calls, script = scene.folder / "calls", scene.folder / "plugin.py"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    # Another token each time, as a real one is; the API server takes what follows for a comment.
    script.write_text(
        f"open({str(calls)!r}, 'a').write('x')\n"
        f"n = len(open({str(calls)!r}).read())\n"
        f"import json\nstatus = {{'token': {token!r} + ' ' * n}}\n"
        f"print(json.dumps({credential!r} | {{'status': status}}))\n"
    )
    document["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-I", "-S", str(script)],
            "interactiveMode": "Never",
        }
    }
    file = scene.folder / "with-plugin"
    file.write_text(json.dumps(document))
    return file, calls


def test_credentials_that_are_refused_in_the_middle_are_renewed(scene: Scene) -> None:
    scene.config_maps(20)
    file, calls = with_plugin(scene)
    said, proxy = scene.rebuild(each_once(["", "", "401"], makes("configmaps")), file)
    assert proxy.injected == {"401": 1}
    assert said.code == 0, said.err + said.out
    assert calls.read_text() == "xx"


def test_credentials_that_are_refused_for_good_end_it_and_say_so(scene: Scene) -> None:
    scene.config_maps(20)
    began = threading.Event()

    def choose(asked: Asked) -> str:
        if makes("configmaps")(asked):
            began.set()
        return "401" if began.is_set() else ""

    started = time.monotonic()
    said, _proxy = scene.rebuild(choose)
    assert time.monotonic() - started < 60
    assert said.code not in (0, 70), said.out
    assert "Unauthorized" in said.err
    again, _proxy = scene.rebuild(lambda _asked: "")
    assert again.code == 0, again.err + again.out


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(scene: Scene) -> None:
    document = json.loads(scene.reach.read_bytes())
    del document["clusters"][0]["cluster"]["certificate-authority-data"]
    file = scene.folder / "without-authority"
    file.write_text(json.dumps(document))
    said = gitops_dr("plan", "--repo", str(scene.repo), kubeconfig=file, timeout=120)
    assert said.code not in (0, 70)
    assert "certificate verify failed" in said.err


def test_what_a_quota_refuses_is_named_and_the_rest_comes(scene: Scene) -> None:
    scene.config_maps(3)
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    scene.put("HERE/services", manifest("Service", "web", scene.namespace, spec=spec))
    with Api(scene.lab.server, scene.lab.pki) as api:
        lasting_faults.quota_is_used_up(api, scene.namespace)
        said, _proxy = scene.rebuild(lambda _asked: "")
        path = f"/api/v1/namespaces/{scene.namespace}/configmaps"
        there = {item["metadata"]["name"] for item in api.get(path)["items"]}
    assert said.code == 3
    failed = {
        o["ref"]["name"]: o["reason"] for o in said.json["outcomes"] if o["result"] == "failed"
    }
    assert failed.keys() == {"map-00", "map-01", "map-02"} - there
    assert all("exceeded quota: none-left" in reason for reason in failed.values())
    assert results(said)["web"] == "done"
