"""What is known outside goes into Git, and a rebuild says what of it is another; on real labs.

There is no cloud here: addresses are written into the status as a cloud's controller does. The
tests of this file tell one story and run in its order.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import yaml
from command import Said, commit_all, git, gitops_dr
from stateful import MERGE, Cluster, wait_until

from gitops_dr import lab as labs
from gitops_dr.lab.components import ISSUER
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

SPACE = "/api/v1/namespaces/shop"
SERVICE = f"{SPACE}/services/edge"
INGRESS = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web"
ARN = "arn:aws:iam::123456789012:role/shop"
SCHEMA = json.loads(shipped("reports/schemas/outside.json").read_text(encoding="utf-8"))

BLIND = "blind"
"""A role that may do all with resources, and read no other path."""
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterrole"
DISCOVERY = "system:service-account-issuer-discovery"
"""By which every service account may ask for the issuer."""

OBJECTS: list[tuple[str, dict[str, Any]]] = [
    (
        f"{ROLES}s",
        {
            "metadata": {"name": BLIND},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
        },
    ),
    ("/api/v1/namespaces", {"metadata": {"name": "shop"}}),
    (
        f"{SPACE}/services",
        {
            "metadata": {"name": "edge"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 443}], "selector": {"app": "web"}},
        },
    ),
    (
        f"{SPACE}/services",
        {
            "metadata": {"name": "web"},
            "spec": {
                "type": "NodePort",
                "ports": [{"port": 80, "nodePort": 30123}],
                "externalIPs": ["192.0.2.10"],
            },
        },
    ),
    (f"{SPACE}/services", {"metadata": {"name": "inner"}, "spec": {"ports": [{"port": 80}]}}),
    (
        f"{SPACE}/serviceaccounts",
        {"metadata": {"name": "web", "annotations": {"eks.amazonaws.com/role-arn": ARN}}},
    ),
    (
        INGRESS.rpartition("/")[0],
        {
            "metadata": {"name": "web"},
            "spec": {
                "rules": [{"host": "shop.example.com"}],
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            },
        },
    ),
]
TARGET = """\
format: 1
context: standby
mappings:
  hosts: {shop.example.com: shop.standby.example}
"""


def address(cluster: Cluster, path: str, *found: dict[str, str]) -> None:
    """Give a load balancer addresses, as a cloud's controller does."""
    status = {"status": {"loadBalancer": {"ingress": list(found)}}}
    body = orjson.dumps(status)
    cluster.connection.request("PATCH", f"{path}/status", body=body, content_type=MERGE)


class Story:
    def __init__(self, root: Path, primary: Cluster, standby: Cluster) -> None:
        self.repo, self.primary, self.standby = root / "repository", primary, standby
        self.blind = Path()

    def run(self, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> Said:
        files = (self.primary.lab.kubeconfig, self.standby.lab.kubeconfig)
        paths = os.pathsep.join(map(str, files)) if kubeconfig is None else str(kubeconfig)
        said = gitops_dr(*arguments, "--repo", str(self.repo), environment={"KUBECONFIG": paths})
        assert said.code == code, said.out[:4000] + said.err
        return said

    def export(self, **options: Any) -> Any:
        return self.run("export", "--context", "primary", "-o", "json", **options).json

    @property
    def recorded(self) -> Any:
        path = self.repo / "clusters/prod/recovery/endpoints.yaml"
        return yaml.safe_load(path.read_text())

    def commit(self) -> None:
        commit_all(self.repo)


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("outside")
    with labs.running("primary") as source, labs.running("standby") as target:
        found = Story(root, Cluster(source), Cluster(target))
        assert gitops_dr("init", str(found.repo), "--cluster", "prod").code == 0
        for path, body in OBJECTS:
            found.primary.make(path, body)
        found.blind = labs.service_account_kubeconfig(source, BLIND)
        found.primary.patch(f"{ROLES}bindings/{DISCOVERY}", {"subjects": []})
        yield found


@contextmanager
def a_cloud(cluster: Cluster) -> Iterator[None]:
    """Gives the Ingress an address some time after it was made."""
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            wait_until(lambda: cluster.look(INGRESS) is not None)
            address(cluster, INGRESS, {"ip": "198.51.100.7"})
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's thread
            failed.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join()
    assert not failed


def changes(document: Any) -> dict[tuple[str, str], Any]:
    jsonschema.validate(document["outside"], SCHEMA)
    return {(each["affects"], each["subject"]): each for each in document["outside"]["changes"]}


def test_whoever_may_not_ask_for_the_issuer_says_so(story: Story) -> None:
    said = story.run("export", "--dry-run", kubeconfig=story.blind)
    assert "the issuer of tokens is not known: /.well-known/openid-configuration" in said.err


def test_an_export_records_by_what_the_cluster_is_known(story: Story) -> None:
    address(story.primary, SERVICE, {"ip": "203.0.113.9"}, {"ip": "203.0.113.8"})
    address(story.primary, INGRESS, {"hostname": "lb.example.net"})
    story.export()
    of_shop = [each for each in story.recorded["exposed"] if "/shop/" in each["ref"]]
    assert of_shop == [
        {"ref": "Service/shop/edge", "addresses": ["203.0.113.8", "203.0.113.9"]},
        {"ref": "Service/shop/web", "nodePorts": ["30123"], "routed": ["192.0.2.10"]},
        {"ref": "ServiceAccount/shop/web", "trusts": [ARN]},
        {
            "ref": "Ingress.networking.k8s.io/shop/web",
            "addresses": ["lb.example.net"],
            "hosts": ["shop.example.com"],
        },
    ]
    # Its keys are at an address of one API server, which is none of the cluster's.
    assert story.recorded["issuer"] == {"url": ISSUER}
    assert "127.0.0.1" not in json.dumps(story.recorded)


def test_an_unchanged_cluster_makes_no_commit(story: Story) -> None:
    assert not story.export()["created"]
    # What came first in a status is nobody's choice.
    address(story.primary, SERVICE, {"ip": "203.0.113.8"}, {"ip": "203.0.113.9"})
    assert not story.export()["created"]


def test_whoever_may_not_ask_for_the_issuer_leaves_what_is_known(story: Story) -> None:
    before = story.recorded
    said = story.run("export", "-o", "json", kubeconfig=story.blind)
    assert not said.json["created"]
    assert story.recorded == before


def test_a_load_balancer_that_lost_its_address_keeps_the_last_one(story: Story) -> None:
    address(story.primary, INGRESS)
    assert not story.export()["created"]
    address(story.primary, INGRESS, {"hostname": "lb.example.net"})


def test_another_address_is_a_commit(story: Story) -> None:
    address(story.primary, SERVICE, {"ip": "203.0.113.10"})
    assert story.export()["written"] == ["recovery/endpoints.yaml"]


def test_a_rebuild_says_what_changed_outside(story: Story) -> None:
    (story.repo / "targets/standby").mkdir(parents=True)
    (story.repo / "targets/standby/target.yaml").write_text(TARGET)
    story.commit()
    with a_cloud(story.standby):
        said = story.run(
            *("sync", "--target", "standby", "--yes", "-o", "json", "--timeout", "10"),
            *("--without-secrets",),
        )
    found = changes(said.json)
    assert said.json["outside"]["recorded"] is True
    dns = found["dns", "shop.example.com"]
    assert (dns["old"], dns["new"]) == (["lb.example.net"], ["198.51.100.7"])
    assert dns["host"] == "shop.standby.example"
    assert not dns["pending"]
    # Nobody has given this one an address, and time was up.
    service = found["address", "Service/shop/edge"]
    assert (service["old"], service["new"], service["pending"]) == (["203.0.113.10"], [], True)
    assert found["node-port", "Service/shop/web"]["new"] == ["30123"]
    assert found["routed-address", "Service/shop/web"]["new"] == ["192.0.2.10"]
    trust = found["trust", "ServiceAccount/shop/web"]
    assert trust["old"] == [ARN]
    assert "IAM OIDC provider" in trust["todo"]
    assert found["api", ""]["old"] == []
    assert found["api", ""]["new"][0].startswith("https://127.0.0.1:")
    assert ("tokens", "") in found
    # Both clusters call themselves the same.
    assert ("issuer", "") not in found


def test_the_next_run_does_not_wait_again(story: Story) -> None:
    address(story.standby, SERVICE, {"ip": "198.51.100.8"})
    address(story.standby, INGRESS)
    command = ("sync", "--target", "standby", "--yes", "--without-secrets", "--timeout", "500")
    changes = story.run(*command, "-o", "json").json["outside"]["changes"]
    found = {(each["affects"], each["subject"]): each for each in changes}
    service = found["address", "Service/shop/edge"]
    assert (service["old"], service["new"]) == (["203.0.113.10"], ["198.51.100.8"])
    dns = found["dns", "shop.example.com"]
    assert (dns["old"], dns["pending"]) == (["lb.example.net"], True)
    # A pipeline that has nothing to do does not say it all again.
    assert "CHANGED OUTSIDE" not in story.run(*command).out


def test_nothing_is_told_of_the_cluster_itself(story: Story) -> None:
    said = story.run("rebuild", "--context", "primary", "--yes", "--without-secrets")
    assert "Nothing changed outside." in said.out.splitlines()


def test_a_point_that_says_nothing_is_told(story: Story) -> None:
    git(story.repo, "rm", "--quiet", "clusters/prod/recovery/endpoints.yaml")
    story.commit()
    said = story.run("rebuild", "--context", "primary", "--yes", "--without-secrets")
    assert "The recovery point does not say by what the source was known" in said.out


def test_a_file_that_is_none_stops_a_rebuild_before_it_writes(story: Story) -> None:
    (story.repo / "clusters/prod/recovery/endpoints.yaml").write_text("format: 1\nexposed: {}\n")
    story.commit()
    story.primary.delete(SERVICE)
    flags = ("--context", "primary", "--yes", "--without-secrets")
    said = story.run("rebuild", *flags, code=5)
    assert "clusters/prod/recovery/endpoints.yaml: not a file of endpoints" in said.err
    assert story.primary.look(SERVICE) is None
