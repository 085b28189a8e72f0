"""Exports of a real control plane: what is gone and what is only out of reach, odd objects, and a
cluster that breathes.

The tests share a lab and a repository, and each leaves both in agreement.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import COMMAND, commit_all, git, gitops_dr
from small_cluster import config_map, new_repo

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.cluster.discover import discover
from gitops_dr.lab import Lab
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MAPS = "/api/v1/namespaces/shop/configmaps"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture(scope="module")
def source(lab_home):
    with labs.running("exported") as lab:
        yield lab


@pytest.fixture(scope="module")
def api(source: Lab) -> Connection:
    connection = connect(source.kubeconfig, source.name)
    post(connection, "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    for number in range(10):
        post(connection, MAPS, config_map(f"ballast-{number}", of="x"))
    return connection


@pytest.fixture(scope="module")
def reader(source: Lab, api: Connection) -> Path:
    return labs.service_account_kubeconfig(source)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory, reader: Path) -> Path:
    """Of the newer object format, so that nothing takes an id for one of forty characters."""
    path = new_repo(tmp_path_factory.mktemp("exported") / "repository", "--object-format=sha256")
    said = export(path, reader)
    assert said.code == 0, said.err
    return path


def post(connection: Connection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return orjson.loads(connection.request("POST", path, body=orjson.dumps(body)))


def patch(connection: Connection, path: str, body: object) -> None:
    connection.request("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH)


def wait(condition: Callable[[], object], what: str) -> Any:
    deadline = time.monotonic() + 90
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} in time"
        time.sleep(0.05)
    return found


def export(repo: Path, kubeconfig: Path, *flags: str):
    return gitops_dr("export", "--repo", str(repo), "-o", "json", *flags, kubeconfig=kubeconfig)


def drift(repo: Path, kubeconfig: Path):
    return gitops_dr("drift", "--repo", str(repo), "-o", "json", kubeconfig=kubeconfig)


def agreed(repo: Path, kubeconfig: Path) -> None:
    """An export has nothing to write, and there is no difference."""
    said = export(repo, kubeconfig)
    wrote = said.json["written"] + said.json["deleted"]
    assert (said.code, said.json["created"], wrote) == (0, False, []), said.err
    assert drift(repo, kubeconfig).code == 0
    assert git(repo, "status", "--porcelain") == ""


def below(repo: Path, folder: str) -> list[Path]:
    return sorted((repo / "clusters/prod" / folder).rglob("*.yaml"))


def test_an_untouched_cluster_makes_no_commit_and_has_no_drift(repo, reader):
    agreed(repo, reader)


# -- whose change it was ----------------------------------------------------------------------


def test_a_merged_change_waits_and_a_contradiction_is_told(repo, api, reader):
    file = repo / "clusters/prod/namespaces/shop/configmaps/ballast-0.yaml"
    file.write_bytes(canonical(config_map("ballast-0", of="git")))
    commit_all(repo)
    said = export(repo, reader)
    assert said.code == 0, said.err
    assert [each["ref"]["name"] for each in said.json["pending"]] == ["ballast-0"]
    patch(api, f"{MAPS}/ballast-0", {"data": {"of": "cluster"}})
    said = export(repo, reader)
    assert said.code == 3
    assert [each["ref"]["name"] for each in said.json["conflicts"]] == ["ballast-0"]
    table = gitops_dr("export", "--repo", str(repo), kubeconfig=reader)
    assert "ConfigMap/shop/ballast-0: changed in Git, changed in the cluster" in table.out
    patch(api, f"{MAPS}/ballast-0", {"data": {"of": "git"}})
    said = export(repo, reader)
    assert said.json["deleted"] == ["recovery/pending.yaml"]
    agreed(repo, reader)


def test_a_short_manifest_from_a_person_is_settled_once_it_is_applied(repo, api, reader):
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "short", "namespace": "shop"},
        "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "x"}},
    }
    file = repo / "clusters/prod/namespaces/shop/services/short.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(canonical(body))
    commit_all(repo)
    assert len(export(repo, reader).json["pending"]) == 1
    post(api, "/api/v1/namespaces/shop/services", body)
    said = export(repo, reader)
    assert said.code == 0, said.out
    assert said.json["pending"] == []
    assert parse(file.read_bytes(), "short")["spec"]["ports"][0]["protocol"] == "TCP"
    agreed(repo, reader)


# -- gone, or out of reach --------------------------------------------------------------------


def crd(kind: str, *versions: str, storage: str, **parts: Any) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": kind, "plural": f"{kind.lower()}s"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == storage,
                    "schema": {"openAPIV3Schema": schema},
                }
                for version in versions
            ],
            **parts,
        },
    }


def serve(api: Connection, definition: dict[str, Any], version: str) -> None:
    """Create a CRD and one object of it in ``version``."""
    post(api, CRDS, definition)
    names = definition["spec"]["names"]
    path = f"/apis/example.com/{version}/namespaces/shop/{names['plural']}"
    body = {
        "apiVersion": f"example.com/{version}",
        "kind": names["kind"],
        "metadata": {"name": "one"},
        "spec": {"size": 1},
    }

    wait_discovered(api, names["kind"], served=True)
    post(api, path, body)


def wait_discovered(api: Connection, kind: str, *, served: bool) -> None:
    wait(
        lambda: any(r.kind == kind for r in discover(api).resources) is served,
        f"discovery that {'has' if served else 'lacks'} {kind}",
    )


def remove_crd(api: Connection, kind: str) -> None:
    api.request("DELETE", f"{CRDS}/{kind.lower()}s.example.com")
    wait_discovered(api, kind, served=False)


def gaps(said) -> list[str]:
    return [gap["ref"]["kind"] for gap in said.json["gaps"]]


def test_a_kind_is_deleted_only_when_its_definition_is_gone(repo, source, api, reader):
    serve(api, crd("Widget", "v1", storage="v1"), "v1")
    assert export(repo, reader).code == 0
    (widget,) = below(repo, "namespaces/shop/widgets.example.com")

    # Somebody who may not list it.
    groups = sorted({r.group for r in discover(api).resources} - {"example.com"})
    rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["get", "list"]}]
    post(api, ROLES, {"metadata": {"name": "no-widgets"}, "rules": rules})
    blind = labs.service_account_kubeconfig(source, "no-widgets")
    said = export(repo, blind)
    assert (said.code, gaps(said)) == (3, ["Widget"])
    assert widget.exists()
    assert drift(repo, blind).code == 3

    # Nobody can: the definition is there and its version is not served.
    unserved = crd("Widget", "v1", storage="v1")["spec"]["versions"]
    unserved[0]["served"] = False
    patch(api, f"{CRDS}/widgets.example.com", {"spec": {"versions": unserved}})
    wait_discovered(api, "Widget", served=False)
    for _ in range(2):
        said = export(repo, reader)
        assert (said.code, gaps(said)) == (3, ["Widget"]), said.out
        assert widget.exists()

    remove_crd(api, "Widget")
    said = export(repo, reader)
    assert said.code == 0, said.out
    assert not widget.exists()
    api.request("DELETE", f"{ROLES}/no-widgets")
    export(repo, reader)
    agreed(repo, reader)


def test_a_conversion_webhook_that_is_down(repo, api, reader):
    down = {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": {"url": "https://127.0.0.1:9/convert"},
            "conversionReviewVersions": ["v1"],
        },
    }
    serve(api, crd("Gadget", "v1", "v2", storage="v1", conversion=down), "v1")
    with pytest.raises(ApiError, match="conversion webhook"):
        api.json("GET", "/apis/example.com/v2/gadgets")
    # As it is stored it can be read, although v2 is the preferred version.
    said = export(repo, reader)
    assert (said.code, said.json["gaps"]) == (0, [])
    (gadget,) = below(repo, "namespaces/shop/gadgets.example.com")
    assert parse(gadget.read_bytes(), "gadget")["apiVersion"] == "example.com/v1"
    agreed(repo, reader)

    # What was stored in another version cannot: the file stays.
    versions = crd("Gadget", "v1", "v2", storage="v2")["spec"]["versions"]
    patch(api, f"{CRDS}/gadgets.example.com", {"spec": {"versions": versions}})

    def refuses() -> bool:
        try:
            api.json("GET", "/apis/example.com/v2/gadgets")
        except ApiError:
            return True
        return False

    wait(refuses, "refusal")
    said = export(repo, reader)
    assert (said.code, gaps(said)) == (3, ["Gadget"]), said.out
    assert gadget.exists()
    # The API server converts what it deletes with the definition.
    versions = crd("Gadget", "v1", "v2", storage="v1")["spec"]["versions"]
    patch(api, f"{CRDS}/gadgets.example.com", {"spec": {"versions": versions}})
    remove_crd(api, "Gadget")
    assert export(repo, reader).code == 0
    assert not gadget.exists()


def test_an_aggregated_api_that_is_dead(repo, api, reader):
    services = "/apis/apiregistration.k8s.io/v1/apiservices"
    spec = {
        "group": "dead.example.com",
        "version": "v1",
        "service": {"name": "nobody", "namespace": "shop"},
        "groupPriorityMinimum": 1000,
        "versionPriority": 10,
        "insecureSkipTLSVerify": True,
    }
    post(api, services, {"metadata": {"name": "v1.dead.example.com"}, "spec": spec})
    wait(lambda: discover(api).gaps, "stale group")
    said = export(repo, reader)
    assert said.code == 3
    assert [gap["ref"]["group"] for gap in said.json["gaps"]] == ["dead.example.com"]
    api.request("DELETE", f"{services}/v1.dead.example.com")
    wait(lambda: not discover(api).gaps, "end of it")
    assert export(repo, reader).code == 0
    agreed(repo, reader)


# -- odd objects ------------------------------------------------------------------------------

ODD = {
    "words": "yes",
    "octal": "08",
    "float": "1e3",
    "sexagesimal": "12:30",
    "equals": "=",
    "date": "2026-11-24",
    "separator": "one\u2028two",
    "return": "one\r\ntwo\r",
    "empty": "",
    "spaces": "  \n\n x \n",
}


def test_odd_objects_come_back_as_they_were(repo, api, reader):
    maps = [
        config_map("odd", **ODD) | {"binaryData": {"b": "//79/A=="}, "immutable": True},
        config_map("large", text="0123456789abcde\n" * (900 * 64)),
        config_map("a" * 253, v="1"),
        config_map("a" * 252 + "b", v="2"),
    ]
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    roles = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        }
        for name in ("ops:reader", "ops:Reader", "OPS:READER", "..a", "con")
    ]
    made = [(MAPS, body) for body in maps] + [(ROLES, body) for body in roles]
    for path, body in made:
        post(api, path, body)
    said = export(repo, reader)
    assert said.code == 0, said.out
    agreed(repo, reader)

    files = below(repo, "namespaces/shop/configmaps")
    files += below(repo, "cluster/clusterroles.rbac.authorization.k8s.io")
    assert len({str(file).lower() for file in files}) == len(files)
    names = {body["metadata"]["name"] for _, body in made}
    found = [parse(file.read_bytes(), file.name) for file in files]
    found = [body for body in found if body["metadata"]["name"] in names]
    assert sorted(map(orjson.dumps, map(sorted_keys, found))) == sorted(
        orjson.dumps(sorted_keys(body)) for _, body in made
    )
    # Made anew from their files they are the same again.
    for body in found:
        path = MAPS if body["kind"] == "ConfigMap" else ROLES
        api.request("DELETE", f"{path}/{body['metadata']['name']}")
        post(api, path, body)
    agreed(repo, reader)


def sorted_keys(body: Any) -> Any:
    return orjson.loads(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


# -- a cluster that breathes ------------------------------------------------------------------


def test_what_moves_by_itself_makes_no_commit(repo, api, reader):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
    }
    for name in ("web", "scaled"):
        labels = {"app": name}
        pods = {**template, "metadata": {"labels": labels}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pods}
        post(api, DEPLOYMENTS, {"metadata": {"name": name}, "spec": spec})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    post(
        api,
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        {
            "metadata": {"name": "scaled"},
            "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9},
        },
    )
    job = {
        "template": {
            "spec": {
                "containers": [{"name": "report", "image": "registry.example/report:1"}],
                "restartPolicy": "Never",
            }
        }
    }
    cron = post(
        api,
        "/apis/batch/v1/namespaces/shop/cronjobs",
        {
            "metadata": {"name": "report"},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}},
        },
    )

    def available(name: str, replicas: int) -> None:
        def enough() -> bool:
            status = api.json("GET", f"{DEPLOYMENTS}/{name}").get("status", {})
            return status.get("availableReplicas") == status.get("replicas") == replicas

        wait(enough, f"{replicas} pods of {name}")

    def scale(name: str, replicas: int) -> None:
        patch(api, f"{DEPLOYMENTS}/{name}/scale", {"spec": {"replicas": replicas}})
        available(name, replicas)

    def fire(number: int) -> None:
        """What the CronJob controller does."""
        owner = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": "report",
            "uid": cron["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        made = {"name": f"report-{number}", "ownerReferences": [owner]}
        jobs = "/apis/batch/v1/namespaces/shop/jobs"
        post(api, jobs, {"metadata": made, "spec": job})

        def ran() -> bool:
            return bool(api.json("GET", f"{jobs}/report-{number}")["status"].get("succeeded"))

        wait(ran, "end of the job")

    available("web", 2)
    available("scaled", 2)
    # Once before: images.yaml learns which digest its image had, and keeps that.
    fire(1)
    assert export(repo, reader).code == 0
    agreed(repo, reader)

    fire(2)
    agreed(repo, reader)
    # What the autoscaler would do.
    scale("scaled", 4)
    agreed(repo, reader)
    # Pods are made anew, and people scale up and back.
    pods = "/api/v1/namespaces/shop/pods"
    query = {"labelSelector": "app=web"}
    before = {pod["metadata"]["name"] for pod in api.json("GET", pods, query=query)["items"]}
    api.request("DELETE", f"{pods}/{min(before)}")

    def remade() -> bool:
        found = {pod["metadata"]["name"] for pod in api.json("GET", pods, query=query)["items"]}
        return bool(found - before)

    wait(remade, "new pod")
    available("web", 2)
    scale("web", 3)
    scale("web", 2)
    agreed(repo, reader)


# -- death ------------------------------------------------------------------------------------


@pytest.mark.campaign
def test_death_at_any_moment_loses_nothing(repo, api, reader):
    """Ten times ``kill -9`` after a random time."""
    seed = int(os.environ.get("GITOPS_DR_TEST_SEED", time.time_ns() % 10**6))
    chance = random.Random(seed)
    sys.__stderr__.write(f"\nGITOPS_DR_TEST_SEED={seed}\n")
    started = time.monotonic()
    assert export(repo, reader).code in (0, 3)
    usual = time.monotonic() - started
    command = [COMMAND, "export", "--repo", str(repo), "-q"]
    environment = {**os.environ, "KUBECONFIG": str(reader)}
    for turn in range(10):
        for number in range(10):
            patch(api, f"{MAPS}/ballast-{number}", {"data": {"of": f"{seed} {turn}"}})
        before = git(repo, "rev-parse", "HEAD")
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.3, 1.1) * usual)
        process.kill()
        process.wait()
        assert git(repo, "rev-parse", "HEAD") == before or git(repo, "rev-parse", "HEAD^") == before
        said = export(repo, reader)
        assert said.code == 0, said.err
        assert said.json["pending"] == said.json["conflicts"] == []
        assert git(repo, "status", "--porcelain") == ""
        text = (repo / "clusters/prod/namespaces/shop/configmaps/ballast-9.yaml").read_bytes()
        assert parse(text, "ballast-9")["data"] == {"of": f"{seed} {turn}"}
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    agreed(repo, reader)
