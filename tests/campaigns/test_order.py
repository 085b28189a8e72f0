"""The audit log proves the order of a rebuild: what was needed was there, or ready, before.

Once for the whole corpus, and once for the bookstore with an admission webhook and an aggregated
API that a real process serves (``served.py``). What mutating admission changes is proved in
``tests/workflows/test_mutating_admission.py``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import backend
from campaigns.history import POLICY, prove, read_history
from campaigns.independent import Api
from campaigns.loader import load, wait_until
from campaigns.rebuilding import Figures, Rebuilt, rebuild
from campaigns.served import FLAGS as SERVED
from campaigns.served import NAMESPACE, SERVICE, Backend, serving
from command import gitops_dr
from shop import create_shop, wait_until_open

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect

API_SERVICE = f"/apis/apiregistration.k8s.io/v1/apiservices/{backend.VERSION}.{backend.GROUP}"
ADMISSION = ("admissionregistration.k8s.io", "apiregistration.k8s.io")
"""Groups whose objects stand between a request and the API server: what refuses comes last."""

FLAGS = (f"--audit-policy-file={POLICY}", *SERVED)


def test_the_corpus_came_back_in_order(rebuilt: Rebuilt, figures: Figures) -> None:
    proof = prove(rebuilt.report, read_history(rebuilt.audit))
    figures(
        f"order of the corpus: {proof.existence} edges of existence and {proof.readiness} of "
        f"readiness hold, {proof.excused} excused, {len(proof.wrong)} violated"
    )
    assert proof.existence > 1000
    assert not proof.wrong, "\n".join(proof.wrong)


def _edge(served: Backend) -> list[dict[str, Any]]:
    """The objects around the process, in the order in which a plain loader can create them."""
    bundle = base64.b64encode(served.certificate).decode()
    labels = {"app": "backend"}
    service = {"name": SERVICE, "namespace": NAMESPACE, "port": served.port}
    container = {"name": "backend", "image": "registry.example/backend:1"}
    inside = f"namespaces/{NAMESPACE}"
    return [
        _line("0", "/api/v1/namespaces", "v1", "Namespace", NAMESPACE),
        _line(
            "1",
            f"/apis/apps/v1/{inside}/deployments",
            "apps/v1",
            "Deployment",
            SERVICE,
            spec={
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        ),
        _line(
            "1",
            f"/api/v1/{inside}/services",
            "v1",
            "Service",
            SERVICE,
            spec={
                "type": "ExternalName",
                "externalName": "localhost",
                "ports": [{"port": served.port}],
                "selector": labels,
            },
        ),
        _config_map("checked"),
        _line(
            "2",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "checks",
            webhooks=[
                {
                    "name": "checks.campaign.example",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "objectSelector": {"matchLabels": {"checked": "yes"}},
                    "clientConfig": {"caBundle": bundle, "service": {**service, "path": "/check"}},
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["configmaps"],
                        }
                    ],
                }
            ],
        ),
        _line(
            "2",
            API_SERVICE.rpartition("/")[0],
            "apiregistration.k8s.io/v1",
            "APIService",
            API_SERVICE.rpartition("/")[2],
            spec={
                "group": backend.GROUP,
                "version": backend.VERSION,
                "groupPriorityMinimum": 1000,
                "versionPriority": 10,
                "caBundle": bundle,
                "service": service,
            },
        ),
    ]


def _config_map(name: str) -> dict[str, Any]:
    line = _line("1", f"/api/v1/namespaces/{NAMESPACE}/configmaps", "v1", "ConfigMap", name)
    line["object"]["metadata"]["labels"] = {"checked": "yes"}
    return line


def _line(
    phase: str, path: str, api_version: str, kind: str, name: str, **content: Any
) -> dict[str, Any]:
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **content}
    return {"phase": phase, "path": path, "object": body}


def _await_api(api: Api) -> None:
    def available() -> bool:
        conditions = api.get(API_SERVICE).get("status", {}).get("conditions") or ()
        return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)

    wait_until(available, "the aggregated API answers")


def _create_checked(api: Api, served: Backend) -> None:
    """Create what the webhook is asked about."""
    before = served.calls().get("webhook", 0)
    line = _config_map("checked-afterwards")

    def taken() -> bool:
        # Webhooks are in force a moment after they were created.
        name = line["object"]["metadata"]["name"]
        api.call("DELETE", f"{line['path']}/{name}")
        status, answer = api.call("POST", line["path"], line["object"])
        assert status == 201, answer
        return served.calls().get("webhook", 0) > before

    wait_until(taken, "the webhook is asked")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with serving(tmp_path_factory.mktemp("backend")) as process:
        yield process


def test_a_webhook_and_an_aggregated_api_come_last_and_work(
    served: Backend, lab_home: Path, tmp_path: Path, figures: Figures
) -> None:
    repo = tmp_path / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "edge").code == 0
    with labs.running("edge", api_server_flags=SERVED) as lab, Api(lab.server, lab.pki) as api:
        reach = labs.service_account_kubeconfig(lab)
        connection = connect(reach)
        create_shop(connection)
        loaded = load(api, _edge(served))
        assert not loaded.refused
        wait_until_open(connection)
        _await_api(api)
        exported = gitops_dr("export", "--repo", str(repo), "-o", "json", kubeconfig=reach)
        assert exported.code == 0, exported.out + exported.err

    log = tmp_path / "audit.log"
    asked = served.calls()
    with (
        labs.running("edge", audit_log=log, api_server_flags=FLAGS) as lab,
        Api(lab.server, lab.pki) as api,
    ):
        reach = labs.service_account_kubeconfig(lab)
        said = rebuild(repo, reach)
        assert said.code == 0, said.out + said.err
        _await_api(api)
        shelves = api.get(f"/apis/{backend.GROUP}/{backend.VERSION}/shelves")
        assert shelves["kind"] == "ShelfList"
        assert served.calls()["api"] > asked["api"]
        _create_checked(api, served)
    history = read_history(log)
    proof = prove(said.json, history)
    figures(
        f"order of the bookstore with webhook and aggregated API: {proof.existence} edges of "
        f"existence and {proof.readiness} of readiness hold, {proof.excused} excused, "
        f"{len(proof.wrong)} violated; the process was asked {served.calls()}"
    )
    assert not proof.wrong, "\n".join(proof.wrong)
    assert not proof.excused
    needs = {
        step["ref"]["kind"]: {need["ref"]["kind"]: need["ready"] for need in step["needs"]}
        for step in said.json["plan"]["steps"]
    }
    for kind in ("ValidatingWebhookConfiguration", "APIService"):
        assert needs[kind] == {"Service": True, "Deployment": True}
    done = {tuple(each["ref"].values()) for each in said.json["outcomes"]}
    stages: dict[bool, list[int]] = {False: [], True: []}
    for key, revision in history.created.items():
        if key in done:
            # A policy does nothing before its binding is there; what changes objects comes first.
            late = key[0] in ADMISSION and not key[1].endswith("Policy")
            stages[late and not key[1].startswith("Mutating")].append(revision)
    assert max(stages[False]) < min(stages[True])
