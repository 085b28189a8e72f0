"""What different people do to a running shop behind Git's back, each under a name of their own."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from gitops_dr import lab
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.secrets.sops import seal

LEDGER = ("orders", "data-ledger-db-0")
"""Namespace and claim of the shop's ledger."""

PASSWORD = ("orders", "payment")
"""Namespace and name of a Secret."""

FIRST_PASSWORD, OTHER_PASSWORD = "correct horse battery staple", "tr0ub4dor at the other site"

_STRATEGIC = "application/strategic-merge-patch+json"
_MERGE = "application/merge-patch+json"


def scale_the_api(connection: Connection) -> None:
    """Somebody needs more of it tonight."""
    path = "/apis/apps/v1/namespaces/orders/deployments/api/scale"
    _patch(connection, path, "kubectl-scale", {"spec": {"replicas": 3}}, _MERGE)


def add_a_variable(connection: Connection) -> None:
    """Somebody looks for a fault, and forgets to clear up."""
    path = "/apis/apps/v1/namespaces/orders/deployments/api"
    container = _containers(connection, path)[0]["name"]
    variable = {"name": "LOG_LEVEL", "value": "debug"}
    pod = {"spec": {"containers": [{"name": container, "env": [variable]}]}}
    _patch(connection, path, "kubectl-edit", {"spec": {"template": pod}}, _STRATEGIC)


def delete_a_config_map(connection: Connection) -> None:
    """Somebody takes it for a leftover."""
    connection.request("DELETE", "/api/v1/namespaces/orders/configmaps/report-script")


def make_a_secret(connection: Connection) -> None:
    """The password of the payment service, as its people would bring it in."""
    values = {"user": "bookstore", "password": FIRST_PASSWORD}
    body = {"metadata": {"name": PASSWORD[1]}, "stringData": values}
    path = f"/api/v1/namespaces/{PASSWORD[0]}/secrets"
    connection.request(
        "POST", path, query={"fieldManager": "kubectl-create"}, body=orjson.dumps(body)
    )


def seal_password(repository: Path, password: str) -> bytes:
    """The same Secret in a file, as ``sops --encrypt`` would write it for the repository's key."""
    values = {"user": "bookstore", "password": password}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PASSWORD[1], "namespace": PASSWORD[0]},
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
    return seal(body, [recipient_of(repository)], now=datetime.now(UTC))


def recipient_of(repository: Path) -> str:
    """The public half of the one key that opens the repository's Secrets."""
    (found,) = set(re.findall(r"age1[0-9a-z]+", (repository / ".sops.yaml").read_text()))
    return found


def secret_digest(kubeconfig: Path) -> str:
    """A digest of the password's Secret, by which two clusters can be told to have the same."""
    path = f"/api/v1/namespaces/{PASSWORD[0]}/secrets/{PASSWORD[1]}"
    data = connect(kubeconfig).json("GET", path)["data"]
    return hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()


def ledger_file(name: str) -> Path:
    """The ledger in the volume of a lab."""
    return lab.volume(name, *LEDGER) / "ledger.csv"


def write_ledger(name: str, text: str) -> None:
    """Write into the ledger's volume, as the program in the pod would."""
    ledger_file(name).write_text(text)


def _containers(connection: Connection, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = connection.json("GET", path)["spec"]["template"]["spec"][
        "containers"
    ]
    return found


def _patch(
    connection: Connection, path: str, manager: str, body: dict[str, Any], content_type: str
) -> None:
    connection.request(
        "PATCH",
        path,
        query={"fieldManager": manager},
        body=orjson.dumps(body),
        content_type=content_type,
    )
