"""Every pod gets what admission injects: a real webhook and a policy, and the audit log's word.

The webhook fails what it matches if nobody answers, and it matches the whole namespace of its own
backend. The process behind it is real; that the workload in front of it is ready is played.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns.backend import INJECTED
from campaigns.history import POLICY, History, prove, read_history
from campaigns.independent import Api
from campaigns.loader import load, wait_until
from campaigns.rebuilding import rebuild
from campaigns.served import FLAGS, NAMESPACE, SERVICE, Backend, serving
from command import Said, git, gitops_dr

from gitops_dr import lab as labs

SHOP = "shop"
SEEN = "policy.example/seen"
"""The annotation that the policy puts on pods of the shop."""

ROOT_CA = ("", "ConfigMap", SHOP, "kube-root-ca.crt")
FINALIZER = "shop.example/keep"
"""On its namespace."""

GROUP = "admissionregistration.k8s.io"
WEBHOOK = (GROUP, "MutatingWebhookConfiguration", "", "injector")
BINDING = (GROUP, "MutatingAdmissionPolicyBinding", "", "seen")
CONTAINER = {"name": "main", "image": "registry.example/main:1"}


def line(phase: str, api_version: str, plural: str, body: dict[str, Any]) -> dict[str, Any]:
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    namespace = body["metadata"].get("namespace")
    inside = f"/namespaces/{namespace}" if namespace else ""
    whole = {"apiVersion": api_version, **body}
    return {"phase": phase, "path": f"{root}{inside}/{plural}", "object": whole}


def named(kind: str, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"kind": kind, "metadata": metadata, **content}


def workload(kind: str, name: str, namespace: str, spec: Any = None, **more: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER], **(spec or {})}}
    made = {"selector": {"matchLabels": labels}, "template": template, **more}
    return named(kind, name, namespace, spec=made)


def admission(served: Backend) -> list[dict[str, Any]]:
    bundle = base64.b64encode(served.certificate).decode()
    service = {"name": SERVICE, "namespace": NAMESPACE, "port": served.port, "path": "/inject"}
    everywhere = {
        "matchExpressions": [
            {
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": ["kube-system", "kube-public"],
            }
        ]
    }
    created = {"apiVersions": ["v1"], "operations": ["CREATE"]}
    webhook = {
        "name": "injector.campaign.example",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "namespaceSelector": everywhere,
        "clientConfig": {"caBundle": bundle, "service": service},
        "rules": [
            {**created, "apiGroups": [""], "resources": ["pods", "configmaps"]},
            {**created, "apiGroups": ["apps"], "resources": ["*"]},
        ],
    }
    expression = f'Object{{metadata: Object.metadata{{annotations: {{"{SEEN}": "yes"}}}}}}'
    policy = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SHOP}},
            "resourceRules": [{**created, "apiGroups": [""], "resources": ["pods"]}],
        },
        "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
        ],
    }
    hooks = named("MutatingWebhookConfiguration", "injector", webhooks=[webhook])
    policies = named("MutatingAdmissionPolicy", "seen", spec=policy)
    binding = named("MutatingAdmissionPolicyBinding", "seen", spec={"policyName": "seen"})
    version = f"{GROUP}/v1"
    return [
        line("2", version, "mutatingwebhookconfigurations", hooks),
        line("2", version, "mutatingadmissionpolicies", policies),
        line("3", version, "mutatingadmissionpolicybindings", binding),
    ]


def backend_objects(served: Backend) -> list[dict[str, Any]]:
    mounted = {"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}
    shop = named("Namespace", SHOP)
    shop["metadata"]["finalizers"] = [FINALIZER]
    spec = {
        "type": "ExternalName",
        "externalName": "localhost",
        "ports": [{"port": served.port}],
        "selector": {"app": SERVICE},
    }
    return [
        line("0", "v1", "namespaces", named("Namespace", NAMESPACE)),
        line("0", "v1", "namespaces", shop),
        line("1", "v1", "configmaps", named("ConfigMap", "settings", NAMESPACE, data={"a": "b"})),
        line("1", "v1", "services", named("Service", SERVICE, NAMESPACE, spec=spec)),
        line(
            "1",
            "apps/v1",
            "deployments",
            workload("Deployment", SERVICE, NAMESPACE, mounted, replicas=2),
        ),
    ]


def shop_objects() -> list[dict[str, Any]]:
    mounted = {"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}
    return [
        line("5", "v1", "configmaps", named("ConfigMap", "settings", SHOP, data={"c": "d"})),
        line(
            "5",
            "apps/v1",
            "deployments",
            workload("Deployment", "web", SHOP, mounted, replicas=3),
        ),
        line("5", "apps/v1", "daemonsets", workload("DaemonSet", "agent", SHOP)),
        line(
            "5",
            "apps/v1",
            "statefulsets",
            workload("StatefulSet", "db", SHOP, serviceName="db", replicas=2),
        ),
        line("5", "v1", "pods", named("Pod", "alone", SHOP, spec={"containers": [CONTAINER]})),
        # Not of the backend, though beside it.
        line("5", "apps/v1", "deployments", workload("Deployment", "beside", NAMESPACE)),
    ]


def pods(api: Api, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return found


def injected(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(INJECTED) == "yes")


def await_injection(api: Api) -> None:
    """Wait until a pod of the shop would get both."""
    probe = line("0", "v1", "pods", named("Pod", "probe", SHOP, spec={"containers": [CONTAINER]}))

    def both() -> bool:
        status, made = api.call("POST", f"{probe['path']}?dryRun=All", probe["object"])
        return status == 201 and injected(made) and SEEN in made["metadata"].get("annotations", {})

    wait_until(both, "the webhook and the policy are in force")


@dataclass(frozen=True)
class Exported:
    repo: Path
    served: Backend


@pytest.fixture(scope="module")
def exported(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """A cluster with the webhook, in Git; its shop was made when the webhook was there."""
    repo = tmp_path_factory.mktemp("mutating") / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "edge").code == 0
    with serving(tmp_path_factory.mktemp("backend")) as served:
        with (
            labs.running("edge-source", api_server_flags=FLAGS) as lab,
            Api(lab.server, lab.pki) as api,
        ):
            assert not load(api, [*backend_objects(served), *admission(served)]).refused
            await_injection(api)
            assert not load(api, shop_objects()).refused
            wait_until(lambda: len(pods(api, SHOP)) >= 7, "the shop has its pods")
            reach = labs.service_account_kubeconfig(lab)
            said = gitops_dr("export", "--repo", str(repo), "-o", "json", kubeconfig=reach)
            assert said.code == 0, said.out + said.err
        yield Exported(repo, served)


@contextmanager
def rebuilt(
    exported: Exported,
    folder: Path,
    *flags: str,
    meanwhile: Callable[[Api], None] = lambda _api: None,
) -> Iterator[tuple[Api, Said, Path]]:
    """Another lab, made of what is in Git; ``meanwhile`` is what somebody else does there."""
    log = folder / "audit.log"
    with (
        labs.running(
            "edge-target",
            audit_log=log,
            api_server_flags=(f"--audit-policy-file={POLICY}", *FLAGS),
        ) as lab,
        Api(lab.server, lab.pki) as api,
        ThreadPoolExecutor(1) as aside,
    ):
        other = aside.submit(meanwhile, api)
        said = rebuild(exported.repo, labs.service_account_kubeconfig(lab), *flags)
        other.result()
        yield api, said, log


def edited(exported: Exported, folder: Path, file: str, edit: Callable[[str], str]) -> Exported:
    """A clone of the repository in which somebody has changed one file of the cluster."""
    repo = folder / "repository"
    git(exported.repo, "clone", "--quiet", str(exported.repo), str(repo))
    path = repo / "clusters/edge" / file
    text = path.read_text()
    changed = edit(text)
    assert changed != text
    path.write_text(changed)
    git(repo, "commit", "--quiet", "--all", "--message", "Change one file")
    return Exported(repo, exported.served)


def created(history: History, kind: tuple[str, str], namespace: str) -> list[int]:
    return [at for key, at in history.created.items() if key[:3] == (*kind, namespace)]


def test_every_pod_has_what_admission_injects_and_no_backend_waits_for_itself(
    exported: Exported, tmp_path: Path
) -> None:
    with rebuilt(exported, tmp_path) as (api, said, log):
        assert said.code == 0, said.out + said.err
        shop, edge = pods(api, SHOP), pods(api, NAMESPACE)
        namespace = api.get(f"/api/v1/namespaces/{SHOP}")
    assert namespace["metadata"]["finalizers"] == [FINALIZER]
    assert namespace["spec"]["finalizers"] == ["kubernetes"]
    assert len(shop) >= 7
    assert all(map(injected, shop))
    assert all(SEEN in pod["metadata"].get("annotations", {}) for pod in shop)
    # Its own pods were there before it, or it would never have come.
    apps = {pod["metadata"]["labels"]["app"]: injected(pod) for pod in edge}
    assert apps == {SERVICE: False, "beside": True}
    history = read_history(log)
    proof = prove(said.json, history)
    assert not proof.wrong, "\n".join(proof.wrong)
    assert not proof.excused
    in_force = max(history.created[WEBHOOK], history.created[BINDING])
    assert min(created(history, ("", "Pod"), SHOP)) > in_force
    assert history.ready["apps", "Deployment", NAMESPACE, SERVICE] < history.created[WEBHOOK]
    waiting = {
        (step["ref"]["kind"], step["ref"]["namespace"], step["ref"]["name"])
        for step in said.json["plan"]["steps"]
        if WEBHOOK[3] in [need["ref"]["name"] for need in step["needs"]]
    }
    assert waiting == {
        ("ConfigMap", SHOP, "settings"),
        ("DaemonSet", SHOP, "agent"),
        ("Deployment", NAMESPACE, "beside"),
        ("Deployment", SHOP, "web"),
        ("Pod", SHOP, "alone"),
        ("StatefulSet", SHOP, "db"),
    }


def test_without_its_backend_the_webhook_comes_last_and_stops_nobody(
    exported: Exported, tmp_path: Path
) -> None:
    nowhere = "      nodeSelector:\n        runs: nowhere\n      containers:\n"
    changed = edited(
        exported,
        tmp_path,
        f"namespaces/{NAMESPACE}/deployments.apps/{SERVICE}.yaml",
        lambda text: text.replace("      containers:\n", nowhere),
    )
    with rebuilt(changed, tmp_path, "--timeout", "8") as (api, said, log):
        assert said.code == 3, said.out + said.err
        shop = pods(api, SHOP)
    outcomes = {
        (each["ref"]["kind"], each["ref"]["name"]): (each["result"], each["reason"])
        for each in said.json["outcomes"]
    }
    bad = {key: found for key, found in outcomes.items() if found[0] not in ("done", "present")}
    assert list(bad) == [("Deployment", SERVICE)]
    result, reason = outcomes["MutatingWebhookConfiguration", "injector"]
    assert result == "done"
    assert reason.startswith(
        f"came after what it matches: Deployment.apps/{NAMESPACE}/{SERVICE} 0 of 2 replicas"
    )
    assert shop
    assert all(SEEN in pod["metadata"].get("annotations", {}) for pod in shop)
    history = read_history(log)
    for kind in (("apps", "Deployment"), ("apps", "StatefulSet"), ("", "ConfigMap")):
        assert max(created(history, kind, SHOP)) < history.created[WEBHOOK]


def test_what_it_matches_waits_until_its_bundle_is_injected(
    exported: Exported, tmp_path: Path
) -> None:
    """As cert-manager would: the export leaves such a bundle out, and it is made anew."""
    path = f"/apis/{GROUP}/v1/mutatingwebhookconfigurations/injector"
    bundle = base64.b64encode(exported.served.certificate).decode()
    injected_at: list[int] = []

    def inject(api: Api) -> None:
        wait_until(lambda: api.call("GET", path)[0] == 200, "the webhook is there")
        # Longer than one that is ready takes to be in force.
        there = time.monotonic()
        wait_until(lambda: time.monotonic() - there > 5, "others would have gone on")
        value = {"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}
        status, answer = api.call("PATCH", path, [value], "application/json-patch+json")
        assert status == 200, answer
        injected_at.append(int(answer["metadata"]["resourceVersion"]))

    def without_bundle(text: str) -> str:
        body = yaml.safe_load(text)
        body["metadata"]["annotations"] = {"cert-manager.io/inject-apiserver-ca": "true"}
        del body["webhooks"][0]["clientConfig"]["caBundle"]
        return yaml.safe_dump(body)

    file = f"cluster/mutatingwebhookconfigurations.{GROUP}/injector.yaml"
    changed = edited(exported, tmp_path, file, without_bundle)
    with rebuilt(changed, tmp_path, meanwhile=inject) as (api, said, log):
        assert said.code == 0, said.out + said.err
        assert all(map(injected, pods(api, SHOP)))
    history = read_history(log)
    assert history.created[WEBHOOK] < injected_at[0]
    for kind in (("", "ConfigMap"), ("apps", "Deployment"), ("", "Pod")):
        made = [at for key, at in history.created.items() if key[:3] == (*kind, SHOP)]
        # The trust bundle of every namespace comes from its own controller, whatever we do.
        ours = [at for at in made if at != history.created.get(ROOT_CA)]
        assert min(ours) > injected_at[0]
