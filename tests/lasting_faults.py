"""What a rebuild cannot get past, put into a lab: each waits until it is in force."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from campaigns.independent import Api

PATIENCE = 60.0


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not in {PATIENCE:g} s: {what}"
        time.sleep(0.1)


def post(api: Api, path: str, body: Any) -> None:
    """Create an object; one that is there is as good."""

    def is_there() -> bool:
        status, answer = api.call("POST", path, body)
        # The default ServiceAccount and the like come a moment later than their namespace.
        assert status in (0, 201, 403, 404, 409, 500, 503), (path, status, answer)
        return status in (201, 409)

    until(is_there, path)


def namespace(api: Api, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    post(api, "/api/v1/namespaces", body)


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    metadata = {"name": name, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def policy_denies(api: Api, where: str) -> None:
    """A ValidatingAdmissionPolicy takes no ConfigMap in a namespace."""
    root = "/apis/admissionregistration.k8s.io/v1"
    version = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    post(
        api,
        f"{root}/validatingadmissionpolicies",
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "no-config-maps"},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [
                    {
                        "expression": f"object.metadata.namespace != {where!r} && "
                        "object.metadata.name != 'probe'",
                        "message": "nobody needs these",
                    }
                ],
            },
        },
    )
    post(
        api,
        f"{root}/validatingadmissionpolicybindings",
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "no-config-maps"},
            "spec": {"policyName": "no-config-maps", "validationActions": ["Deny"]},
        },
    )
    path = "/api/v1/namespaces/default/configmaps?dryRun=All"
    until(lambda: api.call("POST", path, config_map("probe"))[0] == 422, "the policy denies")


def webhook_is_down(api: Api, where: str) -> None:
    """A webhook with ``failurePolicy: Fail`` and nobody behind it sees a namespace's Services."""
    namespace(api, "probing")
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["services"],
    }
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [where, "probing"]}
    post(
        api,
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "nobody-home"},
            "webhooks": [
                {
                    "name": "nobody-home.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 1,
                    "clientConfig": {"url": "https://127.0.0.1:9/"},
                    "namespaceSelector": {"matchExpressions": [names]},
                    "rules": [rule],
                }
            ],
        },
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "probe"},
        "spec": {"ports": [{"port": 80}]},
    }
    path = "/api/v1/namespaces/probing/services?dryRun=All"
    until(lambda: api.call("POST", path, service)[0] == 500, "the webhook is asked")


def quota_is_used_up(api: Api, where: str) -> None:
    """A namespace is there and may have no ConfigMap more."""
    namespace(api, where)
    root = f"/api/v1/namespaces/{where}/resourcequotas"
    post(
        api,
        root,
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none-left"},
            "spec": {"hard": {"count/configmaps": "0"}},
        },
    )
    until(lambda: api.get(f"{root}/none-left").get("status", {}).get("hard"), "the quota counts")


def namespace_is_stuck(api: Api, where: str) -> None:
    """A namespace is being deleted, and something in it does not go."""
    namespace(api, where)
    path = f"/api/v1/namespaces/{where}"
    held = config_map("held", finalizers=["example.com/stuck"])
    post(api, f"{path}/configmaps", held)
    assert api.call("DELETE", path)[0] == 200

    def is_stuck() -> bool:
        conditions = api.get(path)["status"].get("conditions") or ()
        names = {c["type"] for c in conditions if c["status"] == "True"}
        return "NamespaceFinalizersRemaining" in names

    until(is_stuck, "the namespace is stuck")


def definition_clashes(api: Api, where: str) -> None:
    """Another CRD has the short name that the shop's Books want."""
    root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = "tomes.bookstore.example.com"
    schema = {"openAPIV3Schema": {"type": "object"}}
    post(
        api,
        root,
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": "bookstore.example.com",
                "scope": "Namespaced",
                "names": {"kind": "Tome", "plural": "tomes", "shortNames": ["bk"]},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        },
    )

    def is_established() -> bool:
        conditions = api.get(f"{root}/{name}").get("status", {}).get("conditions") or ()
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    until(is_established, "the other CRD is established")


def api_service_is_dead(api: Api, where: str) -> None:
    """An aggregated API has nobody behind it."""
    root = "/apis/apiregistration.k8s.io/v1/apiservices"
    name = "v1.dead.example.com"
    post(
        api,
        root,
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": {
                "group": "dead.example.com",
                "version": "v1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"namespace": where, "name": "nobody"},
            },
        },
    )

    def is_dead() -> bool:
        conditions = api.get(f"{root}/{name}").get("status", {}).get("conditions") or ()
        return any(c["type"] == "Available" and c["status"] == "False" for c in conditions)

    until(is_dead, "the API service is dead")
