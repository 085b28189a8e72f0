"""Kubeconfigs for a lab: its administrator's, and ordinary ServiceAccounts'. Writes files.

They are written as JSON, which every reader of YAML reads.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from gitops_dr.errors import LabError
from gitops_dr.lab.client import Client
from gitops_dr.lab.handle import Lab

NAMESPACE = "kube-system"
_TOKEN_SECONDS = 24 * 3600


def write_kubeconfig(path: Path, *, name: str, server: str, pki: Path, client: str) -> None:
    """Write a kubeconfig that uses the client certificate ``client`` of the folder ``pki``."""
    user = {
        "client-certificate-data": _encoded(pki / f"{client}.crt"),
        "client-key-data": _encoded(pki / f"{client}.key"),
    }
    _write(path, name=name, server=server, pki=pki, user=user)


def service_account_kubeconfig(lab: Lab, role: str = "cluster-admin") -> Path:
    """A kubeconfig of an ordinary ServiceAccount that is bound to the ClusterRole ``role``.

    Unlike the lab's own administrator it is not in ``system:masters``, so RBAC decides what it may
    do. Makes the account ``kube-system/lab-ROLE`` and its binding if they are not there; the token
    is good for a day. Raises ``LabError`` if the API server refuses.
    """
    name = f"lab-{role.replace(':', '-')}"
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    with Client(lab.server, lab.pki) as client:
        _ensure(client, accounts, {"apiVersion": "v1", "kind": "ServiceAccount"}, name)
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            },
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        }
        bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        _ensure(client, bindings, binding, name)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS},
        }
        token = client.post(f"{accounts}/{name}/token", request)["status"]["token"]
    path = lab.directory / f"{name}.kubeconfig"
    _write(path, name=lab.name, server=lab.server, pki=lab.pki, user={"token": token})
    return path


def _ensure(client: Client, path: str, body: dict[str, Any], name: str) -> None:
    status, _ = client.call("POST", path, body | {"metadata": {"name": name}})
    if status not in (201, 409):
        raise LabError(f"{path}/{name}: the API server answered {status}")


def _write(path: Path, *, name: str, server: str, pki: Path, user: dict[str, Any]) -> None:
    cluster = {"server": server, "certificate-authority-data": _encoded(pki / "ca.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": user}],
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file, indent=2)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
