"""What only a target has leaves it when it leaves the target's folder; on two real control planes.

The tests of this file tell one story and run in its order.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyrage
import pytest
from command import Said, commit_all, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.secrets.sops import seal

pytestmark = pytest.mark.lab

SHOP = "/api/v1/namespaces/shop"
CANARY = "canary-of-a-synced-target"
# Of an object without a field nobody is known to have written it.
OWN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: shop}\ndata: {a: b}\n"
TEMPLATE = "templates/own.yaml.j2"


class World:
    def __init__(self, root: Path, source: Path, target: Path) -> None:
        self.repo = root / "repository"
        self.source, self.target = source, target
        identity = pyrage.x25519.Identity.generate()
        self.key, self.recipient = str(identity), str(identity.to_public())

    def run(self, *arguments: str, on: Path | None = None, code: int = 0) -> Said:
        said = gitops_dr(
            *arguments,
            "--repo",
            str(self.repo),
            kubeconfig=on or self.target,
            environment={"SOPS_AGE_KEY": self.key},
        )
        assert CANARY not in said.out + said.err
        assert said.code == code, said.out[:3000] + said.err
        return said

    def sync(self, *flags: str, code: int = 0) -> Said:
        return self.run("sync", "--target", "standby", "--yes", "-o", "json", *flags, code=code)

    def write(self, path: str, data: str | bytes) -> None:
        file = self.repo / "targets/standby" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())

    def commit(self, message: str) -> None:
        commit_all(self.repo, message)

    def there(self, kind: str) -> set[str]:
        listed = connect(self.target).json("GET", f"{SHOP}/{kind}")["items"]
        return {each["metadata"]["name"] for each in listed} - {"kube-root-ca.crt"}


def create(connection: Connection, path: str, body: dict[str, Any]) -> None:
    connection.request("POST", path, body=orjson.dumps(body))


def secret(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop"},
        "type": "Opaque",
        "data": {"password": base64.b64encode(CANARY.encode()).decode()},
    }


def pruned(said: Said) -> list[str]:
    return [f"{one['ref']['kind']}/{one['ref']['name']}" for one in said.json["pruned"]]


@pytest.fixture(scope="module")
def world(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with labs.running("own-source") as source, labs.running("own-target") as target:
        connection = connect(source.kubeconfig, source.name)
        create(connection, "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        for number in range(30):
            create(connection, f"{SHOP}/configmaps", {"metadata": {"name": f"c{number}"}})
        create(connection, f"{SHOP}/secrets", secret("db"))
        reach = [labs.service_account_kubeconfig(lab) for lab in (source, target)]
        made = World(tmp_path_factory.mktemp("own"), *reach)
        assert gitops_dr("init", str(made.repo), "--cluster", "prod").code == 0
        rules = f"creation_rules:\n- path_regex: .*\n  age: {made.recipient}\n"
        (made.repo / ".sops.yaml").write_text(rules)
        made.commit("Who may read")
        made.run("export", on=made.source)
        made.write("target.yaml", f"format: 1\ncontext: {target.name}\n")
        made.write(TEMPLATE, "---\n".join(OWN % name for name in ("one", "two", "three")))
        for name in ("api", "web"):
            sealed = seal(secret(name), [made.recipient], now=datetime.now(UTC))
            made.write(f"secrets/{name}.yaml", sealed)
        made.commit("A standby")
        yield made


def test_what_only_the_target_has_is_made(world: World) -> None:
    found = world.sync()
    assert found.json["complete"]
    assert {"one", "two", "three", "c1"} <= world.there("configmaps")
    assert {"db", "api", "web"} <= world.there("secrets")
    create(connect(world.target), f"{SHOP}/configmaps", {"metadata": {"name": "theirs"}})
    assert pruned(world.sync()) == []


def test_what_leaves_the_folder_leaves_the_cluster(world: World) -> None:
    world.write(TEMPLATE, "---\n".join(OWN % name for name in ("one", "three")))
    (world.repo / "targets/standby/secrets/api.yaml").unlink()
    world.commit("With less of its own")
    asked = world.run("sync", "--target", "standby", code=6)
    assert "ConfigMap/shop/two" in asked.err
    assert "Secret/shop/api" in asked.err
    assert "two" in world.there("configmaps")
    assert sorted(pruned(world.sync())) == ["ConfigMap/two", "Secret/api"]
    assert {"one", "three", "theirs"} <= world.there("configmaps")
    assert "two" not in world.there("configmaps")
    assert {"db", "web"} == world.there("secrets") & {"db", "web", "api"}
    assert pruned(world.sync()) == []


def test_of_an_older_state_of_the_source_it_is_the_targets_folder_of_that_day(
    world: World,
) -> None:
    before = git(world.repo, "rev-parse", "HEAD~1").strip()
    world.sync("--at", before)
    world.write(TEMPLATE, OWN % "one")
    world.commit("With one")
    assert pruned(world.sync()) == ["ConfigMap/three"]


def test_what_cannot_be_rendered_any_more_is_said_and_stays(world: World) -> None:
    world.write(TEMPLATE, OWN % "one" + "---\n" + OWN % "four")
    world.commit("One more")
    world.sync()
    world.write(TEMPLATE, "{{ values.none }}")
    world.commit("A slip of the pen")
    broken = git(world.repo, "rev-parse", "HEAD").strip()
    # As if that one had been brought there, by a version that could make something of it.
    connection = connect(world.target)
    where = "/api/v1/namespaces/gitops-dr/configmaps/synced-prod"
    body = orjson.dumps({"data": {"commit": broken, "targets": broken}})
    merge = "application/merge-patch+json"
    connection.request("PATCH", where, body=body, content_type=merge)
    world.write(TEMPLATE, OWN % "one")
    world.commit("Without it")
    said = world.sync()
    assert pruned(said) == []
    assert f"what left targets/standby since commit {broken[:12]} is not known" in said.err
    assert "four" in world.there("configmaps")
