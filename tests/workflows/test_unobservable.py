"""Custom resources of which nobody says whether they are ready come back, and are named so."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import gitops_dr

from gitops_dr.cluster.connect import ApiError, Connection, connect

pytestmark = pytest.mark.lab

NAMESPACE = "/api/v1/namespaces/library"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BOOKS = "/apis/print.example.com/v1/namespaces/library/books"
ELSEWHERE = "/apis/print.example.com/v1/namespaces/default/books"
STONES = "/apis/mute.example.com/v1/namespaces/library/stones"
MERGE_PATCH = "application/merge-patch+json"
SECONDS = 60.0
MANY = 40


def definition(group: str, kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


def post(connection: Connection, path: str, body: Any) -> None:
    connection.request("POST", path, body=orjson.dumps(body))


def there(connection: Connection, path: str) -> bool:
    try:
        connection.request("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(kubeconfig: Path) -> Iterator[Connection]:
    connection = connect(kubeconfig)
    crds = (definition("print.example.com", "Book"), definition("mute.example.com", "Stone"))
    for crd in crds:
        post(connection, CRDS, crd)
    wait_until(lambda: there(connection, BOOKS) and there(connection, STONES))
    post(connection, "/api/v1/namespaces", {"metadata": {"name": "library"}})
    # One that stays shows that somebody reports on Books here.
    post(connection, ELSEWHERE, book("known"))
    say(connection, f"{ELSEWHERE}/known", "True")
    yield connection
    connection.request("DELETE", NAMESPACE)
    wait_until(lambda: not there(connection, NAMESPACE))
    for crd in crds:
        connection.request("DELETE", f"{CRDS}/{crd['metadata']['name']}")


def book(name: str) -> dict[str, Any]:
    return {"apiVersion": "print.example.com/v1", "kind": "Book", "metadata": {"name": name}}


def say(connection: Connection, path: str, ready: str) -> bool:
    """Report on a Book, as its controller would; returns whether it is there."""
    condition = {"type": "Ready", "status": ready, "message": "the press is busy"}
    body = orjson.dumps({"status": {"conditions": [condition]}})
    try:
        connection.request("PATCH", f"{path}/status", body=body, content_type=MERGE_PATCH)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


@pytest.fixture
def press(cluster: Connection) -> Iterator[None]:
    """A controller of Books that has not seen one of them: it is slow, and does not speak of it."""
    stop = threading.Event()

    def work() -> None:
        told: set[str] = set()
        while not stop.wait(0.1):
            if "quick" not in told and say(cluster, f"{BOOKS}/quick", "True"):
                told.add("quick")
            elif "quick" in told and "slow" not in told and say(cluster, f"{BOOKS}/slow", "False"):
                told.add("slow")
                stop.wait(1.0)
                say(cluster, f"{BOOKS}/slow", "True")

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    yield
    stop.set()
    worker.join(30)


def test_what_says_nothing_is_named_and_what_speaks_is_heard(
    cluster: Connection, kubeconfig: Path, tmp_path: Path, request: Any
) -> None:
    for name in ("quick", "slow", "unread"):
        post(cluster, BOOKS, book(name))
    for number in range(MANY):
        metadata = {"name": f"stone-{number}"}
        stone = {"apiVersion": "mute.example.com/v1", "kind": "Stone", "metadata": metadata}
        post(cluster, STONES, stone)
    repo = tmp_path / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
    assert gitops_dr("export", "--repo", str(repo), kubeconfig=kubeconfig).code == 0
    cluster.request("DELETE", NAMESPACE)
    wait_until(lambda: not there(cluster, NAMESPACE))

    request.getfixturevalue("press")
    flags = ("--repo", str(repo), "--yes", "-o", "json", "--namespace", "library")
    said = gitops_dr("rebuild", *flags, kubeconfig=kubeconfig)
    assert said.code == 0, said.out + said.err
    assert said.json["complete"] is True
    results = {o["ref"]["name"]: (o["result"], o["reason"]) for o in said.json["outcomes"]}
    silent = ("unobservable", "reports nothing to judge it by")
    assert results.pop("library") == ("done", "")
    assert results.pop("quick") == results.pop("slow") == ("done", "")
    assert results.pop("unread") == silent
    assert results == {f"stone-{number}": silent for number in range(MANY)}
    # One after the other they would take ten seconds each.
    assert said.json["seconds"]["execute"] < 60.0
