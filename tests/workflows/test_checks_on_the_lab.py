"""A target with a trouble of each kind: all of them are told before the first write.

One lab for all: troubles are apart from each other by their namespaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lasting_faults
import orjson
import pytest
from campaigns.independent import Api
from command import Said, commit_all, gitops_dr
from fake_api import Answer, serving

from gitops_dr import lab as labs
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

CLUSTER = "checked"
PORT = 31777


def manifest(version: str, kind: str, name: str, namespace: str = "", **parts: Any) -> Any:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def deployment(name: str, namespace: str, replicas: int = 1, **pod: Any) -> Any:
    container = {
        "name": "main",
        "image": "registry.example.com/shop:1",
        "resources": {"requests": {"cpu": "500m"}},
    }
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], **pod},
    }
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": template,
    }
    return manifest("apps/v1", "Deployment", name, namespace, spec=spec)


def service(name: str, namespace: str, port: int) -> Any:
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}
    return manifest("v1", "Service", name, namespace, spec=spec)


def config_map(name: str, namespace: str) -> Any:
    return manifest("v1", "ConfigMap", name, namespace, data={"a": "b"})


def webhook(name: str, resources: list[str], **selector: Any) -> Any:
    rule = {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": resources,
    }
    one = {
        "name": f"{name}.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 1,
        "clientConfig": {"service": {"namespace": "default", "name": "nobody"}},
        "rules": [rule],
        **selector,
    }
    version = "admissionregistration.k8s.io/v1"
    return manifest(version, "ValidatingWebhookConfiguration", name, webhooks=[one])


EMPTY = {"minAvailable": 1, "selector": {}}
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

IN_GIT = {
    "cluster/namespaces": [
        manifest("v1", "Namespace", name)
        for name in ("going", "small", "hooked", "placed", "served", "strict")
    ],
    "namespaces/going/configmaps": [config_map("late", "going")],
    "namespaces/small/configmaps": [config_map(name, "small") for name in ("one", "two")],
    "namespaces/small/deployments.apps": [deployment("eater", "small", replicas=3)],
    "namespaces/hooked/configmaps": [config_map("asked", "hooked")],
    "namespaces/placed/deployments.apps": [
        deployment("martian", "placed", nodeSelector={"topology.kubernetes.io/zone": "mars"}),
        deployment("classy", "placed", priorityClassName="first"),
        deployment("earthly", "placed", nodeSelector={"topology.kubernetes.io/zone": "earth"}),
    ],
    "namespaces/placed/persistentvolumeclaims": [
        manifest(
            "v1",
            "PersistentVolumeClaim",
            "data",
            "placed",
            spec={
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "slow",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        )
    ],
    "namespaces/served/services": [
        service("clash", "served", PORT),
        service("free", "served", PORT + 1),
    ],
    "namespaces/strict/deployments.apps": [deployment("host", "strict", hostNetwork=True)],
}


@dataclass
class Story:
    api: Api
    repo: Path
    kubeconfig: Path

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> Said:
        verb, *rest = arguments
        return gitops_dr(
            verb, "--repo", str(self.repo), *rest, kubeconfig=kubeconfig or self.kubeconfig
        )

    def checks(self) -> dict[str, Any]:
        said = self.run("plan", "--checks-only", "-o", "json")
        assert said.code in (0, 3), said.err
        return {one["id"]: one for one in said.json["checks"]}


def put_in_the_way(api: Api) -> None:
    """Everything that is told, and is there before the plan."""
    lasting_faults.namespace_is_stuck(api, "going")
    for name in ("small", "taken"):
        lasting_faults.namespace(api, name)
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    strict = manifest("v1", "Namespace", "strict")
    strict["metadata"]["labels"] = labels
    lasting_faults.post(api, "/api/v1/namespaces", strict)
    quota = {"hard": {"count/configmaps": "3", "requests.cpu": "1"}}
    path = "/api/v1/namespaces/small/resourcequotas"
    lasting_faults.post(api, path, manifest("v1", "ResourceQuota", "tight", "small", spec=quota))
    lasting_faults.until(
        lambda: api.get(f"{path}/tight").get("status", {}).get("used"), "the quota counts"
    )
    lasting_faults.post(api, "/api/v1/namespaces/taken/services", service("first", "taken", PORT))
    node = manifest("v1", "Node", "earth-1")
    node["metadata"]["labels"] = {"topology.kubernetes.io/zone": "earth"}
    lasting_faults.post(api, "/api/v1/nodes", node)
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    slow = manifest("storage.k8s.io/v1", "StorageClass", "slow", provisioner="gone.csi.example.com")
    lasting_faults.post(api, classes, slow)
    only = {"matchLabels": {"kubernetes.io/metadata.name": "hooked"}}
    lasting_faults.post(api, HOOKS, webhook("partly", ["configmaps"], namespaceSelector=only))


def repository(path: Path, files: dict[str, list[Any]]) -> Path:
    """What an export of these objects might have left; the kinds are those of any cluster."""
    assert gitops_dr("init", str(path), "--cluster", CLUSTER).code == 0
    root = path / "clusters" / CLUSTER
    for place, bodies in files.items():
        (root / place).mkdir(parents=True)
        for body in bodies:
            (root / place / f"{body['metadata']['name']}.yaml").write_bytes(orjson.dumps(body))
    (root / "recovery").mkdir()
    account = "cluster-repos/bookstore/clusters/bookstore/recovery/coverage.yaml"
    (root / "recovery/coverage.yaml").write_bytes(shipped(account).read_bytes())
    commit_all(path)
    return path


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    repo = repository(tmp_path_factory.mktemp("checks") / "repository", IN_GIT)
    with labs.running("checks") as lab, Api(lab.server, lab.pki) as api:
        put_in_the_way(api)
        yield Story(api, repo, labs.service_account_kubeconfig(lab))


TOLD = {
    "namespaces": "warning: Namespace/going: is being deleted",
    "quotas": "warning: ResourceQuota/small/tight: 0 of 1 requests.cpu is used, and the plan needs "
    "1500m more",
    "webhooks": "warning: ValidatingWebhookConfiguration.admissionregistration.k8s.io/partly: its "
    "webhook partly.example.com must answer, and nothing is behind Service/default/nobody; it "
    "would stop ConfigMap/hooked/asked",
    "nodes": "warning: Deployment.apps/placed/martian: no node has "
    "topology.kubernetes.io/zone=mars",
    "classes": "warning: PriorityClass.scheduling.k8s.io/first: is neither in Git nor in the "
    "target; needed by Deployment.apps/placed/classy",
    "storage": "warning: CSIDriver/gone.csi.example.com: is neither in Git nor in the target; "
    "needed by PersistentVolumeClaim/placed/data",
    "addresses": f"warning: Service/served/clash: its node port {PORT}/TCP is taken by "
    "Service/taken/first",
    "pod-security": "warning: Deployment.apps/strict/host: has hostNetwork, and Namespace/strict "
    "enforces baseline",
}


def test_each_trouble_is_told_with_its_remedy_and_nothing_else_is(story):
    checks = story.checks()
    found = {
        name: [f"{f['severity']}: {f['about']}: {f['reason']}" for f in one["findings"]]
        for name, one in checks.items()
    }
    for name, line in TOLD.items():
        assert any(each.startswith(line) for each in found[name]), (name, found[name])
        assert checks[name]["standing"] == "warning"
        assert all(each["remedy"] for each in checks[name]["findings"])
    # Near misses: a zone that is there, a port that is free, a quota with room for two more.
    text = str(found)
    assert "earthly" not in text
    assert str(PORT + 1) not in text
    assert "count/configmaps" not in text
    assert len(found["addresses"]) == len(found["quotas"]) == len(found["nodes"]) == 1
    for calm in ("permissions", "secrets", "data", "snapshots", "snapshot-contents", "clock"):
        assert checks[calm]["standing"] == "ok", checks[calm]


def test_it_is_all_above_the_plan_too(story):
    said = story.run("plan")
    assert "Checks:" in said.out
    assert "is taken by Service/taken/first" in said.out
    assert said.out.index("Checks:") < said.out.index("KIND")


def test_a_webhook_that_would_stop_everything_refuses_the_write(story):
    lasting_faults.post(story.api, HOOKS, webhook("wholly", ["*"]))
    try:
        checks = story.checks()
        assert checks["webhooks"]["standing"] == "blocker"
        assert story.run("plan", "--checks-only").code == 3
        assert story.run("plan").code == 3
        said = story.run("rebuild", "--yes", "--accept-empty-volumes")
        assert said.code == 6, said.err
        assert "wholly" in said.err
        assert "nothing was written" in said.err
        assert story.api.call("GET", "/api/v1/namespaces/placed")[0] == 404
    finally:
        assert story.api.call("DELETE", f"{HOOKS}/wholly")[0] == 200


def test_a_reader_may_check_and_nothing_is_written(story, tmp_path):
    api = story.api
    lasting_faults.post(
        api,
        "/api/v1/namespaces/default/serviceaccounts",
        manifest("v1", "ServiceAccount", "reader", "default"),
    )
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    version = "rbac.authorization.k8s.io/v1"
    root = f"/apis/{version}"
    lasting_faults.post(
        api, f"{root}/clusterroles", manifest(version, "ClusterRole", "reads", rules=rules)
    )
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"}
    who = [{"kind": "ServiceAccount", "namespace": "default", "name": "reader"}]
    lasting_faults.post(
        api,
        f"{root}/clusterrolebindings",
        manifest(version, "ClusterRoleBinding", "reads", roleRef=role, subjects=who),
    )
    status, answer = api.call(
        "POST",
        "/api/v1/namespaces/default/serviceaccounts/reader/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    assert status == 201
    config = tmp_path / "reader"
    access = json.loads(story.kubeconfig.read_text())
    access["users"][0]["user"] = {"token": answer["status"]["token"]}
    config.touch(mode=0o600)
    config.write_text(json.dumps(access))
    said = story.run("plan", "--checks-only", "-o", "json", kubeconfig=config)
    assert said.code == 0, said.err
    checks = {one["id"]: one for one in said.json["checks"]}
    told = [finding["reason"] for finding in checks["permissions"]["findings"]]
    assert "may not create configmaps in going" in told
    # All else is seen by somebody who may only read: nothing needed more.
    assert not [name for name, one in checks.items() if one["standing"] == "not known"]


# -- versions that are not served any more -----------------------------------------------------


def of_old_versions() -> dict[str, list[Any]]:
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "registry.example.com/shop:1"}],
    }
    cron = {
        "schedule": "0 3 * * *",
        "suspend": True,
        "jobTemplate": {"spec": {"template": {"spec": pod}}},
    }
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    rule = {
        "host": "shop.example.com",
        "http": {"paths": [{"path": "/", "backend": {"serviceName": "web", "servicePort": 80}}]},
    }
    metric = {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 70}}
    scaled = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": 3,
        "metrics": [metric],
    }
    here = "namespaces/aged"
    kinds = (
        ("batch/v1beta1", "CronJob", "cronjobs.batch", "nightly", cron),
        ("policy/v1beta1", "PodDisruptionBudget", "poddisruptionbudgets.policy", "web", budget),
        ("policy/v1beta1", "PodDisruptionBudget", "poddisruptionbudgets.policy", "all", EMPTY),
        (
            "networking.k8s.io/v1beta1",
            "Ingress",
            "ingresses.networking.k8s.io",
            "shop",
            {"rules": [rule]},
        ),
        ("extensions/v1beta1", "Ingress", "ingresses.extensions", "older", {"rules": [rule]}),
        (
            "autoscaling/v2beta1",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers.autoscaling",
            "web",
            scaled,
        ),
    )
    found: dict[str, list[Any]] = {"cluster/namespaces": [manifest("v1", "Namespace", "aged")]}
    for version, kind, folder, name, spec in kinds:
        body = manifest(version, kind, name, "aged", spec=spec)
        found.setdefault(f"{here}/{folder}", []).append(body)
    return found


def test_what_was_written_in_a_removed_version_comes_back_in_the_one_that_is_served(
    story, tmp_path
):
    old = Story(story.api, repository(tmp_path / "aged", of_old_versions()), story.kubeconfig)
    lines = {
        finding["about"]: finding["reason"] for finding in old.checks()["api-versions"]["findings"]
    }
    assert lines["Ingress.networking.k8s.io/aged/older and 1 more"].endswith(
        "it is made as networking.k8s.io/v1"
    )
    assert lines["CronJob.batch/aged/nightly"].endswith("it is made as batch/v1")
    # An empty selector means every pod now, and no pod then: nobody can say which is wanted.
    assert lines["PodDisruptionBudget.policy/aged/all"] == (
        "the target does not serve this kind in version v1beta1; it serves v1; it is a gap"
    )
    said = old.run("rebuild", "--yes", "-o", "json")
    assert said.code == 3, said.err
    assert [gap["ref"]["name"] for gap in said.json["gaps"]] == ["all"]
    assert {o["result"] for o in said.json["outcomes"]} == {"done"}, said.json["outcomes"]
    root = "/apis/networking.k8s.io/v1/namespaces/aged/ingresses"
    path = old.api.get(f"{root}/older")["spec"]["rules"][0]["http"]["paths"][0]
    assert path["backend"] == {"service": {"name": "web", "port": {"number": 80}}}
    scaler = "/apis/autoscaling/v2/namespaces/aged/horizontalpodautoscalers/web"
    target = {"type": "Utilization", "averageUtilization": 70}
    assert old.api.get(scaler)["spec"]["metrics"][0]["resource"]["target"] == target
    again = old.run("plan", "-o", "json")
    assert again.json["steps"] == [], again.json["steps"]


def test_a_registry_is_asked_only_when_somebody_says_so(story, tmp_path):
    with serving() as registry:
        registry.on("/v2/shop/manifests/1", Answer(200), method="HEAD")
        host = registry.url.partition("//")[2]
        pods = {
            "there": [{"name": "main", "image": f"{host}/shop:1"}],
            "gone": [{"name": "main", "image": f"{host}/shop:2"}],
        }
        files = {
            "cluster/namespaces": [manifest("v1", "Namespace", "pulled")],
            "namespaces/pulled/deployments.apps": [
                deployment(name, "pulled", containers=found) for name, found in pods.items()
            ],
        }
        asks = Story(story.api, repository(tmp_path / "pulled", files), story.kubeconfig)
        assert "images" not in asks.checks()
        assert registry.requests == []
        said = asks.run("plan", "--checks-only", "--check-images", "-o", "json")
        (images,) = (one for one in said.json["checks"] if one["id"] == "images")
        assert [(f["about"], f["reason"]) for f in images["findings"]] == [
            (
                f"image {host}/shop:2",
                "is not in its registry; needed by Deployment.apps/pulled/gone",
            )
        ]
        assert {each.method for each in registry.requests} == {"HEAD"}
