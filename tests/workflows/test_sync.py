"""A pipeline brings a cluster to one commit after the other: what left Git goes, and no more.

On two labs as an ordinary ServiceAccount; the tests tell one story and run in its order.
"""

from pathlib import Path

import orjson
import pytest
from command import commit_all, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect

pytestmark = pytest.mark.lab

SHOP = "/api/v1/namespaces/shop"


class World:
    def __init__(self, root: Path, source: Path, target: Path) -> None:
        self.repo = root / "repository"
        self.source, self.target = source, target

    def run(self, *arguments: str, on: Path | None = None, code: int | None = 0):
        said = gitops_dr(*arguments, "--repo", str(self.repo), kubeconfig=on or self.target)
        if code is not None:
            assert said.code == code, said.out[:3000] + said.err
        return said

    def sync(self, *flags: str, code: int = 0):
        return self.run("sync", "--yes", "-o", "json", *flags, code=code).json

    def commit(self, message: str) -> None:
        commit_all(self.repo, message)

    def file(self, kind: str, name: str) -> Path:
        return self.repo / f"clusters/prod/namespaces/shop/{kind}/{name}.yaml"

    def there(self, kind: str, name: str) -> bool:
        listed = connect(self.target).json("GET", f"{SHOP}/{kind}")["items"]
        return name in {each["metadata"]["name"] for each in listed}


def create(connection, path: str, body: dict) -> None:
    connection.request("POST", path, body=orjson.dumps(body))


@pytest.fixture(scope="module")
def world(lab_home, tmp_path_factory):
    with labs.running("sync-source") as source, labs.running("sync-target") as target:
        connection = connect(source.kubeconfig, source.name)
        create(connection, "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        for number in range(30):
            body = {"metadata": {"name": f"c{number}"}, "data": {"number": str(number)}}
            create(connection, f"{SHOP}/configmaps", body)
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        claim["storageClassName"] = "directory"
        create(
            connection,
            f"{SHOP}/persistentvolumeclaims",
            {"metadata": {"name": "data"}, "spec": claim},
        )
        reach = [labs.service_account_kubeconfig(lab) for lab in (source, target)]
        made = World(tmp_path_factory.mktemp("sync"), *reach)
        assert gitops_dr("init", str(made.repo), "--cluster", "prod").code == 0
        made.run("export", on=made.source)
        yield made


def test_the_first_one_builds_and_deletes_nothing(world):
    create(connect(world.target), "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    create(connect(world.target), f"{SHOP}/configmaps", {"metadata": {"name": "theirs"}})
    found = world.sync("--accept-empty-volumes")
    assert found["before"] is None
    assert found["pruned"] == []
    assert world.there("configmaps", "c1")
    assert world.there("configmaps", "theirs")


def test_one_changed_file_is_one_object(world):
    file = world.file("configmaps", "c1")
    file.write_text(file.read_text().replace('"1"', '"100"'))
    world.commit("Another number")
    found = world.sync()
    assert [o["ref"]["name"] for o in found["outcomes"]] == ["c1"]
    assert connect(world.target).json("GET", f"{SHOP}/configmaps/c1")["data"] == {"number": "100"}


def test_what_left_git_is_shown_and_deleted(world):
    world.file("configmaps", "c2").unlink()
    world.commit("Without it")
    asked = world.run("sync", code=6)
    assert "ConfigMap/shop/c2" in asked.err
    assert world.there("configmaps", "c2")
    found = world.sync()
    assert [o["ref"]["name"] for o in found["pruned"]] == ["c2"]
    assert found["complete"]
    assert not world.there("configmaps", "c2")
    assert world.there("configmaps", "theirs")
    assert world.sync()["pruned"] == []


def test_data_stays_unless_it_is_named(world):
    world.file("persistentvolumeclaims", "data").unlink()
    world.commit("Without the data")
    found = world.sync()
    assert found["pruned"] == []
    assert [one["ref"]["name"] for one in found["kept"]] == ["data"]
    assert "The data goes with it." in found["kept"][0]["reason"]
    assert world.there("persistentvolumeclaims", "data")


def test_what_a_finalizer_holds_is_awaited_and_told(world):
    connection = connect(world.target)
    patch = {"metadata": {"finalizers": ["example.com/held"]}}
    where = f"{SHOP}/configmaps/c3"
    merge = "application/merge-patch+json"
    connection.request("PATCH", where, body=orjson.dumps(patch), content_type=merge)
    world.file("configmaps", "c3").unlink()
    world.commit("Without another")
    found = world.sync("--timeout", "2", code=3)
    (outcome,) = found["pruned"]
    assert outcome["reason"] == "is still there, held by example.com/held"
    patch = {"metadata": {"finalizers": None}}
    connection.request("PATCH", where, body=orjson.dumps(patch), content_type=merge)
    assert world.sync()["complete"]
    assert not world.there("configmaps", "c3")


def test_a_sudden_loss_is_refused(world):
    for number in range(10, 20):
        world.file("configmaps", f"c{number}").unlink()
    world.commit("Half of it")
    said = world.run("sync", "--yes", code=6)
    assert "10 of" in said.err
    assert "--allow-shrink" in said.err
    assert world.there("configmaps", "c10")
    found = world.sync("--no-prune")
    assert found["pruned"] == []
    git(world.repo, "revert", "--no-edit", "HEAD")
    assert world.sync()["complete"]
