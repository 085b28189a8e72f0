"""Keys are made, changed and lost around a running cluster; whoever exports needs none of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml
from command import Said, commit_all, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.lab import Lab

SECRETS = "/api/v1/namespaces/shop/secrets"
FOLDER = "clusters/prod/namespaces/shop/secrets"


@pytest.fixture(scope="module")
def lab(lab_home: Path) -> Iterator[Lab]:
    with labs.running("sealed") as running:
        shop = orjson.dumps({"metadata": {"name": "shop"}})
        connect(running.kubeconfig, None).json("POST", "/api/v1/namespaces", body=shop)
        yield running


@pytest.fixture
def connection(lab: Lab) -> Iterator[Connection]:
    made = connect(lab.kubeconfig, None)
    for name in ("a", "b"):
        body = {"metadata": {"name": name}, "stringData": {"p": f"value of {name}"}}
        made.json("POST", SECRETS, body=orjson.dumps(body))
    yield made
    for name in ("a", "b"):
        made.json("DELETE", f"{SECRETS}/{name}")


class Work:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.repo, self.key = lab, folder / "repo", folder / "prod.txt"
        self.home = folder

    def run(self, *arguments: str, key: bool = False, code: int = 0) -> Said:
        environment = {"HOME": str(self.home)}
        if key:
            environment["SOPS_AGE_KEY_FILE"] = str(self.key)
        done = gitops_dr(
            *arguments,
            "--repo",
            str(self.repo),
            kubeconfig=self.lab.kubeconfig,
            environment=environment,
        )
        assert done.code == code, done.err + done.out
        return done

    def export(self) -> list[str]:
        """Export without any key: the files that were written."""
        return self.run("export", "-o", "json").json["written"]

    def commit(self, message: str) -> None:
        commit_all(self.repo, message)


@pytest.fixture
def work(lab: Lab, connection: Connection, tmp_path: Path) -> Work:
    made = Work(lab, tmp_path)
    gitops_dr("init", str(made.repo), "--cluster", "prod")
    made.run("secrets", "init", "--key-file", str(made.key))
    assert {path for path in made.export() if "/secrets/" in path} == {
        "namespaces/shop/secrets/a.yaml",
        "namespaces/shop/secrets/b.yaml",
    }
    return made


def change(connection: Connection, name: str, value: str) -> None:
    connection.json(
        "PATCH",
        f"{SECRETS}/{name}",
        body=orjson.dumps({"stringData": {"p": value}}),
        content_type="application/merge-patch+json",
    )


def test_after_a_rotation_whoever_exports_still_needs_no_key(work, connection):
    work.run("secrets", "rotate", key=True)
    rotated = (work.repo / FOLDER / "b.yaml").read_bytes()
    assert work.export() == []
    assert work.run("drift").out.startswith("prod: no difference")
    change(connection, "a", "another")
    # Were it not known that both agreed on the new files, this would be a conflict.
    assert work.export() == ["namespaces/shop/secrets/a.yaml", "recovery/secrets.yaml"]
    assert (work.repo / FOLDER / "b.yaml").read_bytes() == rotated
    work.run("secrets", "check", key=True)


def test_a_rotation_on_top_of_what_only_git_has(work, connection):
    mine = work.repo / "clusters/prod/namespaces/shop/configmaps/mine.yaml"
    mine.parent.mkdir(exist_ok=True)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "shop"}}
    mine.write_text(yaml.safe_dump(body))
    work.commit("Mine")
    work.run("secrets", "rotate", key=True)
    change(connection, "a", "another")
    exported = work.run("export", "-o", "json").json
    assert "namespaces/shop/secrets/a.yaml" in exported["written"]
    assert [one["ref"]["name"] for one in exported["pending"]] == ["m"]
    assert exported["conflicts"] == []


def test_when_every_key_is_lost_the_cluster_still_has_the_values(work, connection):
    work.key.rename(work.key.with_name("lost"))
    settings = yaml.safe_load((work.repo / "gitops-dr.yaml").read_text())
    del settings["secrets"]
    (work.repo / "gitops-dr.yaml").write_text(yaml.safe_dump(settings))
    (work.repo / ".sops.yaml").unlink()
    work.commit("Take the lost key out")
    said = work.run("secrets", "init", "--key-file", str(work.key), code=3)
    assert "Secret/shop/a" in said.out
    work.run("secrets", "check", key=True, code=1)
    (work.repo / "clusters/prod/recovery/secrets.yaml").unlink()
    work.commit("Know them no more")
    assert {path for path in work.export() if "secrets" in path} == {
        "namespaces/shop/secrets/a.yaml",
        "namespaces/shop/secrets/b.yaml",
        "recovery/secrets.yaml",
    }
    checked = work.run("secrets", "check", "-o", "json", key=True).json
    assert (checked["opened"], checked["clean"]) == (2, True)
    assert work.run("drift", key=True).out.startswith("prod: no difference")
