"""Every command under its own role: what ``templates/deploy/`` grants is enough, and no more.

The tests of this file tell one story and run in its order. The same cluster shows that two runs are
never at work on it at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from api_server import ApiServer
from command import Said, git, gitops_dr
from stateful import App, Cluster
from stopped import stopped

from gitops_dr import lab as labs
from gitops_dr.cluster.access import ourselves
from gitops_dr.cluster.connect import ApiError, connect
from gitops_dr.manifests.parse import parse_documents
from gitops_dr.resources import shipped

pytestmark = pytest.mark.lab

DATA = App("db", "StatefulSet", "directory")
CANARY = "canary-77ab-not-for-robots"
BEFORE_COMMIT = "before|gitops_dr.engine.exporting.commit||1"
BEFORE_EXECUTE = "before|gitops_dr.engine.carrying.execute||1"

SHOPS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shops.roles.example.com"},
    "spec": {
        "group": "roles.example.com",
        "scope": "Namespaced",
        "names": {"kind": "Shop", "plural": "shops"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


@dataclass
class Story:
    cluster: Cluster
    repo: Path
    server: ApiServer

    def apply(self, text: bytes) -> None:
        """What an administrator does with ``kubectl apply``."""
        for body in parse_documents(text, "manifests"):
            try:
                self.server.create(body)
            except ApiError as error:
                if error.status != 409:
                    raise

    def account(self, name: str) -> Path:
        """The kubeconfig of a service account of our namespace, which it makes if need be."""
        metadata = {"name": name, "namespace": "gitops-dr"}
        self.apply(json.dumps(body("v1", "ServiceAccount", metadata)).encode())
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/gitops-dr/serviceaccounts/{name}/token"
        token = self.cluster.make(path, request)["status"]["token"]
        config = json.loads(self.cluster.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        file = self.repo.parent / f"{name}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))
        return file

    def run(self, account: str, *arguments: str) -> Said:
        return gitops_dr(*arguments, "--repo", str(self.repo), kubeconfig=self.account(account))

    def doctor(self, account: str, job: str) -> dict[str, str]:
        """What doctor says of each check."""
        said = self.run(account, "doctor", "--for", job, "-o", "json")
        document = said.json
        assert said.code == (3 if "blocker" in str(document["checks"]) else 0), said.err
        return {one["id"]: one["standing"] for one in document["checks"]}


def body(version: str, kind: str, metadata: dict[str, object], **more: object) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def deploy(name: str) -> bytes:
    return shipped(f"templates/deploy/{name}.yaml").read_bytes()


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("roles")
    storage = folder / "storage"
    storage.mkdir()
    with labs.running("roles", storage=storage) as lab:
        cluster = Cluster(lab)
        server = ApiServer(cluster.connection)
        server.create(SHOPS)
        cluster.start(DATA)
        cluster.write("first", DATA)
        for data in (
            body("v1", "Namespace", {"name": "shop"}),
            body("v1", "ConfigMap", {"name": "page", "namespace": "shop"}, data={"a": "1"}),
            body("v1", "Secret", {"name": "key", "namespace": "shop"}, stringData={"k": CANARY}),
        ):
            server.create(data)
        wait_for_kind(server)
        server.create(body("roles.example.com/v1", "Shop", {"name": "one", "namespace": "shop"}))
        repo = folder / "repository"
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        yield Story(cluster, repo, server)


def wait_for_kind(server: ApiServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.connection.request("GET", "/apis/roles.example.com/v1/shops")
        except ApiError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


# -- roles --------------------------------------------------------------------------------------


def test_nobody_is_told_what_to_ask_for(story):
    """An account without any role: doctor looks at what it can, and its YAML is what is missing."""
    story.apply(deploy("namespace"))
    said = story.run("nobody", "doctor", "--for", "export", "-o", "yaml")
    assert said.code == 3
    granted = [one for one in yaml.safe_load_all(said.out) if one]
    kinds = [one["kind"] for one in granted]
    assert kinds == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    account = {"kind": "ServiceAccount", "namespace": "gitops-dr", "name": "nobody"}
    assert granted[1]["subjects"] == [account]
    assert "secrets" not in said.out
    assert ourselves(connect(story.account("nobody"))).clock_ahead is not None
    table = story.run("nobody", "doctor", "--for", "export")
    assert "blocker: system:serviceaccount:gitops-dr:nobody: may not get" in table.out
    assert story.doctor("nobody", "export")["permissions"] == "blocker"

    story.apply(said.out.encode())
    # The API server's authorizer hears of it through a watch.
    deadline = time.monotonic() + 30
    while story.doctor("nobody", "export")["permissions"] != "ok":
        assert time.monotonic() < deadline


@pytest.mark.parametrize("name", ["cronjob-drift", "cronjob-export"])
def test_the_cron_jobs_are_as_the_api_server_wants_them(story, name):
    (job,) = parse_documents(deploy(name), name)
    assert story.server.create(job, dry_run=True)["kind"] == "CronJob"


@pytest.mark.parametrize("job", ["drift", "export"])
def test_a_shipped_role_lacks_custom_kinds_only(story, job):
    story.apply(deploy(job))
    deadline = time.monotonic() + 30
    while True:
        said = story.run(job, "doctor", "--for", job, "-o", "yaml")
        granted = [one for one in yaml.safe_load_all(said.out) if one]
        if len(granted) == 2:
            break
        assert time.monotonic() < deadline, said.out
    role, _binding = granted
    assert role["rules"] == [
        {
            "apiGroups": ["roles.example.com"],
            "resources": ["shops"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    story.apply(said.out.encode())


def test_export_under_its_role(story):
    said = story.run("export", "export", "-o", "json")
    assert said.json["created"] is True, said.err
    assert "cannot be held" not in said.err
    # That Secrets are not read is no gap where none is to be in Git.
    assert (said.code, said.json["gaps"]) == (0, [])
    assert "Secret" in {omission["ref"]["kind"] for omission in said.json["omissions"]}
    assert "namespaces/shop/shops.roles.example.com/one.yaml" in said.json["written"]
    lease = story.cluster.look("/apis/coordination.k8s.io/v1/namespaces/gitops-dr/leases/cluster")
    assert "holderIdentity" not in lease["spec"]
    log = story.cluster.look("/api/v1/namespaces/gitops-dr/configmaps/recovery-points")
    assert said.json["commit"] in log["data"]["points"]


def test_drift_under_its_role_and_no_secret_is_read_by_it(story):
    said = story.run("drift", "drift", "-o", "json")
    assert said.code == 0, said.out + said.err
    for account in ("drift", "export"):
        connection = connect(story.account(account))
        for path in ("/api/v1/secrets", "/api/v1/namespaces/shop/secrets/key"):
            with pytest.raises(ApiError) as caught:
                connection.request("GET", path)
            assert caught.value.status == 403
        for verb, path in (
            ("POST", "/api/v1/namespaces/shop/configmaps"),
            ("DELETE", "/api/v1/namespaces/shop/configmaps/page"),
        ):
            with pytest.raises(ApiError) as caught:
                connection.request(verb, path, body=b"{}" if verb == "POST" else None)
            assert caught.value.status == 403


def test_plan_and_accept_need_no_more_than_drift(story):
    assert story.run("drift", "plan").code == 0
    story.cluster.patch("/api/v1/namespaces/shop/configmaps/page", {"data": {"b": "1"}})
    said = story.run("drift", "accept", "--commit", "--yes", "ConfigMap/shop/page")
    assert said.code == 0, said.err
    assert "  b: " in git(story.repo, "show", "HEAD")


def test_with_the_role_for_secrets_nothing_is_lacking(story):
    assert story.doctor("export", "secrets")["permissions"] == "blocker"
    story.apply(deploy("secrets"))
    deadline = time.monotonic() + 30
    while story.doctor("export", "secrets")["permissions"] != "ok":
        assert time.monotonic() < deadline
    remote = story.repo.parent / "remote.git"
    git(story.repo, "init", "-q", "--bare", str(remote))
    said = story.run("export", "export", "--push-to", str(remote), "-o", "json")
    assert (said.code, said.json["gaps"]) == (0, []), said.err
    assert said.json["push"]["done"] is True
    assert said.json["commit"] == git(remote, "rev-parse", "main").strip()


def test_volumes_under_their_role(story):
    assert story.doctor("export", "volumes")["permissions"] == "blocker"
    story.apply(deploy("volumes"))
    deadline = time.monotonic() + 30
    while story.doctor("export", "volumes")["permissions"] != "ok":
        assert time.monotonic() < deadline
    assert story.doctor("export", "volumes")["snapshots"] in ("ok", "warning")
    said = story.run("export", "volumes", "snapshot", "-o", "json")
    assert len(said.json["snapshots"]) == 3, said.out + said.err
    assert CANARY not in git(story.repo, "cat-file", "--batch-all-objects", "--batch")


def test_rebuild_under_its_role_and_under_no_smaller_one(story):
    story.cluster.delete("/api/v1/namespaces/shop")
    refused = story.run("export", "doctor", "--for", "rebuild")
    assert refused.code == 3
    assert "name: cluster-admin" in refused.out
    story.apply(deploy("rebuild"))
    deadline = time.monotonic() + 30
    while story.doctor("rebuild", "rebuild")["permissions"] != "ok":
        assert time.monotonic() < deadline
    said = story.run("rebuild", "rebuild", "--yes", "-o", "json", "--namespace", "shop")
    assert said.json["outcomes"], said.err
    page = story.cluster.look("/api/v1/namespaces/shop/configmaps/page")
    assert page["data"]["a"] == "1"
    page["data"] = {"a": "2"}
    story.cluster.patch("/api/v1/namespaces/shop/configmaps/page", {"data": {"a": "2"}})
    assert story.run("rebuild", "revert", "--yes", "ConfigMap/shop/page").code == 0
    page = story.cluster.look("/api/v1/namespaces/shop/configmaps/page")
    assert page["data"]["a"] == "1"


# -- one at a time ------------------------------------------------------------------------------


@pytest.fixture
def admin(story) -> Path:
    return story.cluster.kubeconfig


@pytest.fixture
def clone(story, tmp_path) -> Path:
    git(story.repo, "clone", "-q", str(story.repo), str(tmp_path / "clone"))
    return tmp_path / "clone"


def change(story, value: str) -> None:
    story.cluster.patch("/api/v1/namespaces/shop/configmaps/page", {"data": {"a": value}})


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_two_exports_into_one_folder(story, admin):
    change(story, "two")
    before = git(story.repo, "rev-parse", "HEAD")
    with stopped(BEFORE_COMMIT, "export", "--repo", str(story.repo), kubeconfig=admin) as first:
        said = gitops_dr("export", "--repo", str(story.repo), kubeconfig=admin)
        assert said.code == 6
        assert f"{story.repo}: is in use by " in said.err
        assert f"(process {first.pid}): gitops-dr export, since " in said.err
        assert git(story.repo, "rev-parse", "HEAD") == before
        code, _, err = ended(first)
        assert code in (0, 3), err
    assert git(story.repo, "rev-list", "--count", f"{before.strip()}..HEAD").strip() == "1"


def test_two_exports_into_two_clones_and_a_dry_run(story, admin, clone):
    with stopped(BEFORE_COMMIT, "export", "--repo", str(story.repo), kubeconfig=admin) as first:
        said = gitops_dr("export", "--repo", str(clone), kubeconfig=admin)
        assert said.code == 6
        assert "Lease gitops-dr/cluster: is held by " in said.err
        assert f"(process {first.pid}): gitops-dr export" in said.err
        # Neither of these writes anything, so they need not wait.
        assert gitops_dr("export", "--dry-run", "--repo", str(clone), kubeconfig=admin).code != 6
        assert gitops_dr("drift", "--repo", str(clone), kubeconfig=admin).code != 6
        checks = story.doctor("export", "export")
        assert checks["alone"] == "warning"
        assert ended(first)[0] in (0, 3)


def test_an_export_and_a_rebuild(story, admin, clone):
    story.cluster.delete("/api/v1/namespaces/shop/configmaps/page")
    rebuild = ["rebuild", "--yes", "--namespace", "shop", "--repo", str(clone)]
    with stopped(BEFORE_EXECUTE, *rebuild, kubeconfig=admin) as first:
        said = gitops_dr("export", "--repo", str(story.repo), kubeconfig=admin)
        assert said.code == 6
        assert f"(process {first.pid}): gitops-dr rebuild" in said.err
        again = gitops_dr(*rebuild, kubeconfig=admin)
        assert again.code == 6
        assert f"(process {first.pid}): gitops-dr rebuild" in again.err
        assert story.cluster.look("/api/v1/namespaces/shop/configmaps/page") is None
        code, out, err = ended(first)
        assert story.cluster.look("/api/v1/namespaces/shop/configmaps/page"), (code, out, err)


def test_a_killed_holder_is_in_nobodys_way(story, admin, clone):
    change(story, "killed")
    command = ["export", "--repo", str(story.repo)]
    with stopped(BEFORE_COMMIT, *command, kubeconfig=admin) as first:
        first.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
        started = time.monotonic()
        said = gitops_dr(*command, "-o", "json", kubeconfig=admin)
    assert said.json["created"] is True, said.err
    assert "taken over; its holder is dead: " in said.err
    assert f"(process {first.pid})" in said.err
    # No Lease was waited for: the process was here, and is gone.
    assert time.monotonic() - started < 25
    lease = story.cluster.look("/apis/coordination.k8s.io/v1/namespaces/gitops-dr/leases/cluster")
    assert "holderIdentity" not in lease["spec"]


def test_our_own_objects_are_in_no_commit_and_no_drift(story, admin):
    said = gitops_dr("drift", "--repo", str(story.repo), "-o", "json", kubeconfig=admin)
    named = [one["ref"] for one in said.json["differences"]]
    assert not [ref for ref in named if "gitops-dr" in (ref["namespace"], ref["name"])]
    files = git(story.repo, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert not [path for path in files if "/namespaces/gitops-dr" in path]
