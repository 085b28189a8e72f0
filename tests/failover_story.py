"""A primary, a standby and a repository of both, for tests that fail over. Labs with one storage.

A primary that is dead is one that nobody can reach any more: its kubeconfig leads nowhere.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from command import Said, commit_all, git, gitops_dr
from stateful import App, Cluster

from gitops_dr import lab as labs
from gitops_dr.resources import shipped
from gitops_dr.volumes.in_place import REPLACED

SCHEMA = json.loads(shipped("reports/schemas/failover.json").read_text(encoding="utf-8"))
CRON = "/apis/batch/v1/namespaces/{}/cronjobs"
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
        self.points: dict[str, str] = {}
        """Commits of recovery points, by what was written before them."""

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
        program = [sys.executable, Path(__file__).with_name("killed.py"), point, *arguments]
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


@contextmanager
def begun(root: Path, *apps: App) -> Iterator[Story]:
    """Two labs with one storage, the applications with their first data, and nothing exported."""
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
        found.primary.start(*apps)
        found.primary.make(CRON.format(apps[0].name), NIGHTLY)
        found.primary.write("first", *apps)
        yield found
