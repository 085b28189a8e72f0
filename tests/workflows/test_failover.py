"""A failover to a warm standby, and what must never happen in one: two that run, old data in use.

On two labs with one storage, as a person would; the tests tell one story and run in its order. A
primary that is dead is one that nobody can reach any more: its kubeconfig leads nowhere.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from command import Said, commit_all, git, gitops_dr
from stateful import App, Cluster

from gitops_dr import lab as labs
from gitops_dr.resources import shipped
from gitops_dr.volumes.in_place import REPLACED

pytestmark = pytest.mark.lab

SCHEMA = json.loads(shipped("reports/schemas/failover.json").read_text(encoding="utf-8"))
WEB = App("web", "Deployment", "directory")
DB = App("db", "StatefulSet", "directory-wait")
APPS = (WEB, DB)
CRON = "/apis/batch/v1/namespaces/web/cronjobs"
NIGHTLY = {
    "metadata": {"name": "nightly"},
    "spec": {
        "schedule": "0 3 * * *",
        "jobTemplate": {
            "spec": {
                "template": {
                    "spec": {
                        "containers": [{"name": "main", "image": "registry.example.com/main:1"}],
                        "restartPolicy": "Never",
                    }
                }
            }
        },
    },
}
SETTINGS = """\
format: 1
clusters:
  primary: {context: primary}
  standby: {context: standby}
"""
STANDBY = """\
# Where we go when the primary is lost.
format: 1
cluster: primary
context: standby
strategy: warm   # it waits
"""
PRIMARY = """\
format: 1
cluster: standby
context: primary
"""


class Story:
    def __init__(self, root: Path, primary: Cluster, standby: Cluster) -> None:
        self.repo, self.primary, self.standby = root / "repository", primary, standby
        self.dead = root / "dead.yaml"
        self.primary_is_dead = False

    @property
    def environment(self) -> dict[str, str]:
        primary = self.dead if self.primary_is_dead else self.primary.lab.kubeconfig
        files = (primary, self.standby.lab.kubeconfig)
        return {"KUBECONFIG": os.pathsep.join(map(str, files))}

    def run(self, *arguments: str, code: int = 0) -> Said:
        said = gitops_dr(*arguments, "--repo", str(self.repo), environment=self.environment)
        assert said.code == code, f"{said.code}\n{said.err}\n{said.out[:4000]}"
        return said

    def failover(self, *arguments: str, to: str = "standby", code: int = 0) -> Any:
        command = ("failover", "--target", to, "--yes", "-o", "json")
        said = self.run(*command, *arguments, code=code)
        if not said.out:
            return said
        jsonschema.validate(said.json, SCHEMA)
        return said.json

    def run_until(self, point: str, *arguments: str) -> None:
        """Run a command that dies there as by ``kill -9``; see killed.py."""
        program = [sys.executable, Path(__file__).parents[1] / "killed.py", point, *arguments]
        done = subprocess.run(
            [*program, "--repo", str(self.repo)],
            env=os.environ | self.environment | {"GITOPS_DR_DEBUG": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, (done.returncode, done.stdout, done.stderr)

    def write(self, path: str, text: str) -> None:
        file = self.repo / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self) -> str:
        return commit_all(self.repo)

    @property
    def head(self) -> str:
        return git(self.repo, "rev-parse", "HEAD").strip()

    def target(self, name: str = "standby") -> Any:
        return yaml.safe_load(git(self.repo, "show", f"HEAD:targets/{name}/target.yaml"))

    def exports(self, cluster: str) -> int:
        return int(git(self.repo, "rev-list", "--count", f"--grep=^Cluster: {cluster}$", "HEAD"))

    def noted(self, cluster: Cluster, name: str) -> dict[str, str]:
        found = cluster.look(f"/api/v1/namespaces/gitops-dr/configmaps/{name}")
        return found["data"] if found else {}


def replicas(cluster: Cluster, app: App) -> int:
    return cluster.look(app.path)["spec"]["replicas"]


def is_kept(cluster: Cluster, volume: str, of: str) -> bool:
    """Whether a volume that was replaced is there still, with its data."""
    body = cluster.look(f"/api/v1/persistentvolumes/{volume}")
    handle = body["spec"]["csi"]["volumeHandle"]
    return (
        body["metadata"]["annotations"][REPLACED] == of
        and body["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        and (cluster.lab.storage / "volumes" / handle / "deep/table").is_file()
    )


def claims_of(found: Any, key: str) -> list[str]:
    return sorted(f"{one['claim']['namespace']}/{one['claim']['name']}" for one in found[key])


NAMES = sorted([*WEB.named, *DB.named])


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("failover")
    with (
        tempfile.TemporaryDirectory(prefix="storage-") as storage,
        labs.running("primary", storage=Path(storage)) as source,
        labs.running("standby", storage=Path(storage)) as target,
    ):
        found = Story(root, Cluster(source), Cluster(target))
        assert gitops_dr("init", str(found.repo), "--cluster", "primary").code == 0
        found.write("gitops-dr.yaml", SETTINGS)
        found.write("targets/standby/target.yaml", STANDBY)
        found.write("targets/cold/target.yaml", STANDBY.replace("warm", "cold"))
        found.commit()
        text = source.kubeconfig.read_text()
        # Nothing listens there.
        found.dead.write_text(text.replace(source.server, "https://127.0.0.1:1"))
        found.primary.start(*APPS)
        found.primary.make(CRON, NIGHTLY)
        found.primary.write("first", *APPS)
        yield found


def test_a_cold_one_is_only_checked(story: Story) -> None:
    found = story.run("export", "--cluster", "primary", "--volumes", "-o", "json").json
    assert len(found["snapshots"]) == 4
    found = story.run("sync", "--target", "cold", "--yes", "-o", "json").json
    assert found["checks"]
    assert story.standby.look("/api/v1/namespaces/web") is None
    assert story.standby.look("/api/v1/namespaces/gitops-dr") is None


def test_a_warm_standby_is_there_and_rests(story: Story) -> None:
    synced = story.run("sync", "--target", "standby", "--yes", "-o", "json").json
    assert synced["complete"]
    for app in APPS:
        assert replicas(story.standby, app) == 0
    assert story.standby.look(f"{CRON}/nightly")["spec"]["suspend"] is True
    # A claim that binds at once is filled by now.
    assert story.standby.sums(WEB) == story.primary.sums(WEB)


def test_alive_and_not_fenced_is_refused_and_nothing_is_written(story: Story) -> None:
    before = story.head
    said = story.failover(code=6)
    assert "cluster primary: it answers, and Deployment.apps/web/web (and " in said.err
    assert "--fence" in said.err
    assert story.head == before
    assert replicas(story.primary, WEB) == 1
    assert replicas(story.standby, WEB) == 0
    assert story.noted(story.standby, "failover-primary") == {}
    assert story.noted(story.primary, "fenced") == {}


def test_unreachable_is_not_dead(story: Story) -> None:
    story.primary_is_dead = True
    before = story.head
    said = story.failover(code=6)
    assert "cluster primary: nobody knows whether it still runs" in said.err
    assert "--fenced" in said.err
    assert story.head == before
    assert "cannot be stopped" in story.failover("--fence", code=6).err


def test_a_claim_with_older_data_is_never_used(story: Story) -> None:
    """The standby's claims are of the first point, and there is a second one."""
    story.primary_is_dead = False
    story.primary.write("second", *APPS)
    story.run("export", "--cluster", "primary", "--volumes", "-q")
    story.primary_is_dead = True
    before = story.head
    said = story.failover("--fenced", code=6)
    assert "PersistentVolumeClaim/db/data-db-0: was filled from another snapshot" in said.err
    assert "(and 3 more claims)" in said.err
    assert "--replace-claims" in said.err
    assert story.head == before
    assert replicas(story.standby, WEB) == 0


def test_the_primary_is_dead(story: Story) -> None:
    point = story.head
    old = story.standby.volume(WEB, "data")["metadata"]["name"]
    found = story.failover("--fenced", "--replace-claims")
    assert found["complete"]
    assert found["differences"] == []
    assert found["source"]["answers"] is False
    assert found["point"]["commit"] == point
    assert not found["point"]["made"]
    assert claims_of(found["rpo"], "claims") == NAMES
    assert found["rpo"]["dataSeconds"] > 0
    assert found["rto"]["seconds"] > 0
    # Those of the set never had a volume, and are made anew.
    assert claims_of(found, "replaced") == WEB.named
    for app in APPS:
        story.standby.await_running(app)
        assert story.standby.sums(app) == story.primary.sums(app)
    assert is_kept(story.standby, old, "web/data")
    assert story.standby.look(f"{CRON}/nightly")["spec"]["suspend"] is False
    assert story.target()["active"] is True
    text = (story.repo / "targets/standby/target.yaml").read_text()
    assert text.startswith("# Where we go when the primary is lost.\n")
    assert "strategy: warm   # it waits\n" in text
    drift = story.run("drift", "--target", "standby", "-o", "json").json
    assert drift["differences"] == []
    noted = story.noted(story.standby, "failover-primary")
    assert (noted["active"], noted["commit"], noted["point"]) == ("true", story.head, point)
    assert noted["ended"]


def test_a_second_time_is_refused(story: Story) -> None:
    assert "has been failed over to" in story.failover("--fenced", code=6).err


def test_a_checkout_that_does_not_know_it_is_refused(story: Story, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(story.repo, old)
    git(old, "reset", "--quiet", "--hard", "HEAD~1")
    for verb in ("sync", "rebuild"):
        said = gitops_dr(
            *(verb, "--target", "standby", "--yes", "--repo", str(old)),
            environment=story.environment,
        )
        assert said.code == 6, said.err
        assert "has been failed over to by commit" in said.err
        assert "git pull" in said.err
    assert replicas(story.standby, WEB) == 1
    assert story.run("sync", "--target", "standby", "--yes", "-o", "json").json["complete"]


# -- and back ---------------------------------------------------------------------------------


def test_what_was_failed_over_from_is_exported_no_more(story: Story) -> None:
    story.primary_is_dead = False
    said = story.run("export", "--cluster", "primary", code=6)
    assert "has been failed over to target standby" in said.err
    story.primary_is_dead = True


def test_the_standby_is_a_cluster_of_its_own(story: Story) -> None:
    story.standby.write("meanwhile", *APPS)
    found = story.run("export", "--cluster", "standby", "--volumes", "-o", "json").json
    assert len(found["snapshots"]) == 4
    uid = story.primary.look("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    story.write("targets/primary/target.yaml", f"{PRIMARY}uid: {uid}\n")
    story.commit()


def test_the_old_data_of_the_primary_is_not_used(story: Story) -> None:
    """It came back as it was, and still runs."""
    story.primary_is_dead = False
    before = story.head
    assert "may still write" in story.failover(to="primary", code=6).err
    said = story.failover("--fence", to="primary", code=6)
    assert "PersistentVolumeClaim/db/data-db-0: holds data of its own" in said.err
    assert "--replace-claims" in said.err
    assert story.head == before
    assert replicas(story.standby, WEB) == 1
    assert story.noted(story.standby, "fenced") == {}


def test_back_again_killed_and_continued(story: Story) -> None:
    sums = {app: story.standby.sums(app) for app in APPS}
    assert all(sums[app] != story.primary.sums(app) for app in APPS)
    old = {
        name: story.primary.volume(app, name)["metadata"]["name"]
        for app in APPS
        for name in app.claims
    }
    command = ("failover", "--target", "primary", "--yes", "--fence", "--replace-claims")
    exports = story.exports("standby")
    # The source is stopped, its last point made, and nothing says yet where all runs.
    story.run_until("before|gitops_dr.workflows.failover.activate||1", *command)
    assert replicas(story.standby, WEB) == 0
    assert story.target("primary").get("active") is not True
    said = story.run("export", "--cluster", "standby", code=6)
    assert "was stopped for the failover to primary" in said.err
    # It is said, and two of the four claims are another's already.
    story.run_until("before|gitops_dr.engine.in_place.delete_claim||3", *command)
    assert story.target("primary")["active"] is True
    assert story.target("standby")["active"] is False
    # Nothing else may start there what would use the others.
    said = story.run("sync", "--target", "primary", "--yes", code=6)
    assert "a failover to it did not end" in said.err
    # A run that was killed is gone on with.
    found = story.failover("--fence", "--replace-claims", to="primary")
    assert found["complete"], found
    assert found["continued"]
    assert found["active"]["noLonger"] == []
    assert story.exports("standby") == exports + 1
    for app in APPS:
        story.primary.await_running(app)
        assert story.primary.sums(app) == sums[app]
        assert replicas(story.standby, app) == 0
    for name, volume in old.items():
        assert is_kept(story.primary, volume, f"{'web' if name == 'data' else 'db'}/{name}")
    assert story.primary.look(f"{CRON}/nightly")["spec"]["suspend"] is False
    assert story.standby.look(f"{CRON}/nightly")["spec"]["suspend"] is True
    assert story.noted(story.standby, "failover-primary")["active"] == "false"
    assert found["rpo"]["dataSeconds"] == 0
    point = found["point"]["commit"]
    path = f"{point}:clusters/standby/namespaces/db/statefulsets.apps/db.yaml"
    assert yaml.safe_load(git(story.repo, "show", path))["spec"]["replicas"] == 3


def test_the_standby_waits_again(story: Story) -> None:
    found = story.run("export", "--cluster", "primary", "--volumes", "-o", "json").json
    assert len(found["snapshots"]) == 4
    synced = story.run("sync", "--target", "standby", "--yes", "-o", "json").json
    assert synced["complete"]
    for app in APPS:
        assert replicas(story.standby, app) == 0


# -- and there again, as planned -----------------------------------------------------------------


def test_a_fence_can_be_taken_back(story: Story) -> None:
    command = ("failover", "--target", "standby", "--yes", "--fence", "--replace-claims")
    story.run_until("after|gitops_dr.engine.fencing.Fencing.stop||1", *command)
    assert replicas(story.primary, DB) == 0
    back = story.run("failover", "--target", "standby", "--unfence", "-o", "json").json
    assert "StatefulSet" in {one["kind"] for one in back["objects"]}
    for app in APPS:
        story.primary.await_running(app)
    assert story.primary.look(f"{CRON}/nightly")["spec"]["suspend"] is False
    drift = story.run("drift", "--cluster", "primary", "-o", "json").json
    assert drift["differences"] == []


def test_a_planned_one_loses_nothing(story: Story) -> None:
    command = ("failover", "--target", "standby", "--yes", "--fence", "--replace-claims")
    story.run_until("before|gitops_dr.workflows.failover.activate||1", *command)
    # It was stopped and recorded, and then somebody let it run again by hand: that counts.
    for app in APPS:
        story.primary.patch(app.path, {"spec": {"replicas": app.replicas}})
        story.primary.await_running(app)
    story.primary.write("last", *APPS)
    sums = {app: story.primary.sums(app) for app in APPS}
    found = story.failover("--fence", "--replace-claims")
    assert found["complete"]
    assert found["point"]["made"]
    assert found["rpo"]["dataSeconds"] == found["rpo"]["configurationSeconds"] == 0
    assert found["active"]["noLonger"] == ["primary"]
    for app in APPS:
        story.standby.await_running(app)
        assert story.standby.sums(app) == sums[app]
        assert replicas(story.primary, app) == 0
