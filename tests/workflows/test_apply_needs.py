"""Needs of docs/needs/apply.md that no other test shows by itself; on a real control plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from api_server import ApiServer
from command import gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect

pytestmark = pytest.mark.lab

_NAMES = {"plural": "ledgers", "singular": "ledger", "kind": "Ledger", "listKind": "LedgerList"}
_ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ledgers.large.example.com"},
    "spec": {
        "group": "large.example.com",
        "scope": "Namespaced",
        "names": _NAMES,
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"spec": _ANYTHING}}
                },
            }
        ],
    },
}
LARGE: dict[str, dict[str, Any]] = {
    "config map": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "large", "name": "large"},
        # A MiB is what may be in one, and four times what the annotation of an apply may hold.
        "data": {"text": "".join(f"line {number:06d}\n" for number in range(85_000))},
    },
    "custom resource": {
        "apiVersion": "large.example.com/v1",
        "kind": "Ledger",
        "metadata": {"namespace": "large", "name": "large"},
        "spec": {f"key-{number:05d}": {"value": number, "text": "x"} for number in range(25_000)},
    },
}


@pytest.fixture(scope="module")
def rebuilt(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A cluster that got its namespace back."""
    repo = tmp_path_factory.mktemp("large") / "repository"
    with labs.running("large") as lab:
        reach = labs.service_account_kubeconfig(lab)
        api = ApiServer(connect(lab.kubeconfig, lab.name))
        api.define(DEFINITION)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "large"}}
        api.create(namespace)
        for body in LARGE.values():
            api.create(body)
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        for command in (("export",), ("rebuild", "--namespace", "large", "--yes"), ("drift",)):
            if command[0] == "rebuild":
                api.delete(namespace, wait=True)
            said = gitops_dr(*command, "--repo", str(repo), kubeconfig=reach)
            assert said.code == 0, said.out + said.err
        yield api


@pytest.mark.parametrize("name", LARGE)
def test_an_object_as_large_as_the_api_server_takes_comes_back(
    rebuilt: ApiServer, name: str
) -> None:
    wanted = LARGE[name]
    assert len(orjson.dumps(wanted)) > 900_000
    live = rebuilt.listed(wanted)
    assert {key: live[key] for key in ("data", "spec") if key in live} == {
        key: wanted[key] for key in ("data", "spec") if key in wanted
    }
    assert "annotations" not in live["metadata"]
