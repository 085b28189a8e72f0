"""A target that serves less than the source did: said before the first write; the rest comes back.

The repository is the shipped example, as if a newer cluster had been exported, with some objects
that only that cluster knew. The target is a control plane that emulates an older version.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

NEWER = "v1.99.0"

POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": {"name": "no-root"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["pods"],
                }
            ]
        },
        "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}},
        ],
        "reinvocationPolicy": "Never",
    },
}
"""Served in this version since 1.36."""

AUTOSCALER = {
    "apiVersion": "autoscaling/v3",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "from-the-future", "namespace": "storefront"},
    "spec": {"maxReplicas": 2},
}

WORKLOAD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "from-the-future", "namespace": "storefront"},
    "spec": {
        "selector": {"matchLabels": {"app": "future"}},
        "template": {
            "metadata": {"labels": {"app": "future"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:9",
                        "telepathy": {"on": True},
                    }
                ],
                "gravity": "low",
            },
        },
    },
}

FILES = {
    "cluster/mutatingadmissionpolicies.admissionregistration.k8s.io/no-root.yaml": POLICY,
    "namespaces/storefront/horizontalpodautoscalers.autoscaling/from-the-future.yaml": AUTOSCALER,
    "namespaces/storefront/deployments.apps/from-the-future.yaml": WORKLOAD,
}

REASONS = {
    "MutatingAdmissionPolicy": "the target does not serve this kind in version v1",
    "HorizontalPodAutoscaler": "the target does not serve this kind in version v3; it serves v2",
    "Deployment": "the target does not know its "
    "spec.template.spec.containers[0].telepathy, spec.template.spec.gravity",
}

DROPPED = {
    ("StatefulSet", "spec.updateStrategy.rollingUpdate.maxUnavailable", "remove"),
    ("CSIDriver", "spec.preventPodSchedulingIfMissing", "remove"),
}


@pytest.fixture(scope="module")
def repo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("older") / "repository"
    assert gitops_dr("init", str(path), "--cluster", "bookstore").code == 0
    clusters = shipped("cluster-repos/bookstore/clusters")
    subprocess.run(["cp", "-r", clusters, path], check=True)
    root = path / "clusters" / "bookstore"
    coverage = root / "recovery" / "coverage.yaml"
    account = yaml.safe_load(coverage.read_text())
    account["source"]["version"] = NEWER
    coverage.write_text(yaml.safe_dump(account))
    for name, body in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(yaml.safe_dump(body))
    git(path, "add", "-A")
    git(path, "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "The shop")
    return path


@pytest.fixture(scope="module")
def target(lab_home):
    with labs.running("older", api_server_flags=["--emulated-version=1.34"]) as lab:
        yield labs.service_account_kubeconfig(lab)


def by_kind(gaps: list[Any]) -> dict[str, str]:
    found = {gap["ref"]["kind"]: gap["reason"] for gap in gaps}
    assert len(found) == len(gaps)
    return found


def namespaces(kubeconfig: Path) -> set[str]:
    listed = connect(kubeconfig).json("GET", "/api/v1/namespaces")["items"]
    return {each["metadata"]["name"] for each in listed}


def test_the_plan_names_what_the_target_does_not_take(repo, target):
    before = namespaces(target)
    flags = ("--repo", str(repo), "--accept-empty-volumes")
    said = gitops_dr("plan", *flags, "-o", "json", kubeconfig=target)
    assert said.code == 3, said.err
    assert by_kind(said.json["gaps"]) == REASONS
    steps = [step["ref"] for step in said.json["steps"]]
    assert len(steps) > 50
    refused = {(body["kind"], body["metadata"]["name"]) for body in FILES.values()}
    assert not refused & {(ref["kind"], ref["name"]) for ref in steps}

    text = gitops_dr("plan", *flags, kubeconfig=target).out
    assert "MutatingAdmissionPolicy.admissionregistration.k8s.io/no-root" in text
    assert "spec.template.spec.gravity" in text
    assert namespaces(target) == before
    assert "storefront" not in before


def test_the_rest_comes_back(repo, target):
    flags = ("--repo", str(repo), "--accept-empty-volumes", "--yes", "-o", "json")
    said = gitops_dr("rebuild", *flags, kubeconfig=target)
    assert said.code == 3, said.err
    assert by_kind(said.json["gaps"]) == REASONS
    odd = {o["ref"]["group"]: o["result"] for o in said.json["outcomes"] if o["result"] != "done"}
    # Nobody here reports on custom resources.
    assert odd == {"bookstore.example.com": "unobservable"}, said.json["outcomes"]
    left = [d for d in said.json["differences"] if d["state"] != "unmanaged"]
    missing = {d["ref"]["kind"] for d in left if d["state"] == "missing"}
    assert missing == REASONS.keys()
    # What only a switched-off feature of the target knows it drops without a word; we say it.
    dropped = {
        (d["ref"]["kind"], field["path"], field["op"])
        for d in left
        if d["state"] != "missing"
        for field in d["fields"]
    }
    assert dropped == DROPPED
    deployments = connect(target).json("GET", "/apis/apps/v1/namespaces/storefront/deployments")
    names = {each["metadata"]["name"] for each in deployments["items"]}
    assert "web" in names
    assert "from-the-future" not in names
