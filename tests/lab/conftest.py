"""Plain requests to a lab, and waiting for what it is to do."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gitops_dr.lab import Lab
from gitops_dr.lab.client import Client

SECONDS = 60.0


class Cluster:
    """One lab's API server, asked as its administrator."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client = Client(lab.server, lab.pki)

    def get(self, path: str) -> Any:
        """The object, or None if it is not there."""
        status, answer = self.client.call("GET", path)
        assert status in (200, 404), answer
        return json.loads(answer) if status == 200 else None

    def create(self, path: str, body: dict[str, Any]) -> Any:
        return self.client.post(f"{path}?fieldValidation=Strict", body)

    def delete(self, path: str) -> None:
        status, answer = self.client.call("DELETE", path)
        assert status in (200, 202), answer

    def wait(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """The object once the condition holds for it."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = self.get(path)
            if condition(found):
                return found
            assert time.monotonic() < deadline, f"{path} stays {found}"
            time.sleep(0.05)

    def claim(self, namespace: str, name: str, **spec: Any) -> Any:
        """A claim, once it has its volume."""
        claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": size | spec}
        self.create(claims, body | {"metadata": {"name": name}})
        return self.wait(f"{claims}/{name}", lambda found: found["status"].get("phase") == "Bound")

    def snapshot(self, namespace: str, name: str, **source: str) -> Any:
        """The content of a VolumeSnapshot, once it is ready to use."""
        body = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot"}
        root = "/apis/snapshot.storage.k8s.io/v1"
        path = f"{root}/namespaces/{namespace}/volumesnapshots"
        self.create(path, body | {"metadata": {"name": name}, "spec": {"source": source}})
        made = self.wait(
            f"{path}/{name}", lambda found: found.get("status", {}).get("readyToUse") is True
        )
        content = made["status"]["boundVolumeSnapshotContentName"]
        return self.get(f"{root}/volumesnapshotcontents/{content}")


@pytest.fixture
def open_cluster() -> Iterator[Callable[[Lab], Cluster]]:
    opened: list[Cluster] = []

    def start(lab: Lab) -> Cluster:
        opened.append(Cluster(lab))
        return opened[-1]

    yield start
    for cluster in opened:
        cluster.client.__exit__(None, None, None)


@pytest.fixture
def cluster(lab: Lab, open_cluster: Callable[[Lab], Cluster]) -> Cluster:
    """The session's lab."""
    return open_cluster(lab)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own in the session's lab, on its way out afterwards."""
    name = request.node.name.replace("_", "-")[:60].rstrip("-")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.create("/api/v1/namespaces", body)
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    cluster.wait(account, lambda found: found is not None)
    yield name
    cluster.delete(f"/api/v1/namespaces/{name}")
