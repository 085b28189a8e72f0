"""Strategic patches beside what a real API server makes of them."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from stateful import wait_until

from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.desired.patches import strategic
from gitops_dr.model import Body

SPACE = "patched"
PATH = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
STRATEGIC = "application/strategic-merge-patch+json"


def container(name: str, **more: Any) -> Body:
    return {"name": name, "image": f"registry.example.com/{name}:1", **more}


BODY: Body = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": SPACE, "finalizers": ["example.com/a"]},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    container(
                        "a",
                        env=[{"name": name, "value": "1"} for name in ("X", "Y", "Z")],
                        ports=[{"containerPort": port} for port in (80, 81, 82)],
                        volumeMounts=[{"name": "v", "mountPath": f"/{m}"} for m in "mno"],
                    ),
                    container("b"),
                    container("c"),
                ],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
                "tolerations": [{"key": "k", "operator": "Exists"}],
                "nodeSelector": {"zone": "a"},
            },
        },
    },
}


@pytest.fixture(scope="module")
def connection(kubeconfig: Path) -> Iterator[Connection]:
    found = connect(kubeconfig)
    space = {"metadata": {"name": SPACE}}
    found.request("POST", "/api/v1/namespaces", body=orjson.dumps(space))
    found.request("POST", PATH, body=orjson.dumps(BODY))
    # Its controller notes a revision.
    wait_until(lambda: "annotations" in found.json("GET", f"{PATH}/web")["metadata"])
    yield found
    clear = orjson.dumps({"metadata": {"finalizers": None}})
    found.request("PATCH", f"{PATH}/web", body=clear, content_type="application/merge-patch+json")
    found.request("DELETE", f"/api/v1/namespaces/{SPACE}")


def some(random: Random, names: str) -> list[str]:
    return random.sample(names, random.randint(1, len(names)))


def patch_of(random: Random) -> Body:
    """A patch that mixes what is there and what is not, in any order."""

    def items(of: str, key: str, names: list[Any], **fields: Any) -> list[Body]:
        # In what is new an API server takes the directive for nothing, and the rest for an item.
        often = 0.2 if of in "abc" else 0
        return [
            {key: name, **({"$patch": "delete"} if random.random() < often else fields)}
            for name in names
        ]

    containers = []
    for name in some(random, "abcde"):
        more: Body = {}
        if random.random() < 0.5:
            more["env"] = items(name, "name", some(random, "XYZUV"), value="2")
        if random.random() < 0.5:
            more["ports"] = items(name, "containerPort", random.sample(range(80, 86), 3), name=None)
        containers.append(container(name, **more))
    spec: Body = {"containers": containers}
    if random.random() < 0.5:
        spec["volumes"] = [
            {"name": name, "configMap": {"name": "c"}, "emptyDir": None}
            for name in some(random, "vwxy")
        ]
    if random.random() < 0.3:
        spec["tolerations"] = [{"key": "l", "operator": "Exists"}]
    if random.random() < 0.3:
        spec["nodeSelector"] = {"$patch": "replace", "disk": "ssd"}
    patch: Body = {"spec": {"template": {"spec": spec}}}
    if random.random() < 0.3:
        patch["metadata"] = {"finalizers": ["example.com/b"]}
    return patch


def kept(body: Body) -> Body:
    metadata = {
        key: value
        for key, value in body["metadata"].items()
        if key not in ("managedFields", "generation", "resourceVersion")
    }
    return {"metadata": metadata, "spec": body["spec"]}


@pytest.mark.parametrize("seed", range(40))
def test_a_patch_does_what_the_api_server_makes_of_it(connection: Connection, seed: int) -> None:
    live = connection.json("GET", f"{PATH}/web")
    patch = patch_of(Random(seed))
    theirs = connection.json(
        "PATCH", f"{PATH}/web?dryRun=All", body=orjson.dumps(patch), content_type=STRATEGIC
    )
    ours = strategic(live, patch, ("apps", "Deployment"))
    # Its controller may just have written the status.
    del ours["metadata"]["resourceVersion"]
    stored = connection.json("PUT", f"{PATH}/web?dryRun=All", body=orjson.dumps(ours))
    assert kept(stored) == kept(theirs)
