"""Applications with data on labs: made, filled, looked at. Their volumes are folders of the lab."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from command import Said, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, connect
from gitops_dr.lab import Lab
from gitops_dr.lab.storage import Faults, Storage

SECONDS = 90.0
MERGE = "application/merge-patch+json"
SNAPSHOT_API = "/apis/snapshot.storage.k8s.io/v1"


@dataclass(frozen=True)
class App:
    """One workload with its claims, in a namespace of its name."""

    name: str
    kind: str = "Deployment"
    storage_class: str = "directory"

    @property
    def claims(self) -> list[str]:
        many = self.kind == "StatefulSet"
        return [f"data-{self.name}-{number}" for number in range(3)] if many else ["data"]

    @property
    def named(self) -> list[str]:
        """The claims as the command line names them."""
        return [f"{self.name}/{claim}" for claim in self.claims]

    @property
    def replicas(self) -> int:
        return 3 if self.kind == "StatefulSet" else 1

    @property
    def path(self) -> str:
        plural = f"{self.kind.lower()}s"
        return f"/apis/apps/v1/namespaces/{self.name}/{plural}/{self.name}"

    def bodies(self) -> list[tuple[str, dict[str, Any]]]:
        """Path of the collection, and body, in order."""
        space = f"/api/v1/namespaces/{self.name}"
        labels = {"app": self.name}
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        template = {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [{"name": "main", "image": "registry.example.com/main:1"}],
                # Or its namespace takes half a minute to go.
                "terminationGracePeriodSeconds": 0,
            },
        }
        spec: dict[str, Any] = {
            "replicas": self.replicas,
            "selector": {"matchLabels": labels},
            "template": template,
        }
        found = [("/api/v1/namespaces", {"metadata": {"name": self.name}})]
        if self.kind == "StatefulSet":
            metadata = {"name": "data"}
            spec |= {"serviceName": self.name, "podManagementPolicy": "Parallel"}
            spec["volumeClaimTemplates"] = [{"metadata": metadata, "spec": self.claim_spec()}]
        else:
            template["spec"]["volumes"] = [volume]
            metadata = {"name": "data", "labels": {"tier": "data"}}
            claim = {"metadata": metadata, "spec": self.claim_spec()}
            found.append((f"{space}/persistentvolumeclaims", claim))
        body = {"metadata": {"name": self.name}, "spec": spec}
        found.append((self.path.rpartition("/")[0], body))
        return found

    def claim_spec(self) -> dict[str, Any]:
        return {
            "storageClassName": self.storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        }


class Cluster:
    """A lab, and what its applications have written."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.storage = Storage(lab.storage)
        self.kubeconfig = labs.service_account_kubeconfig(lab)
        self.connection = connect(lab.kubeconfig, None)

    # -- objects -------------------------------------------------------------------------------

    def look(self, path: str) -> Any:
        """The object, or None if it is not there."""
        try:
            return self.connection.json("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def listed(self, path: str) -> list[Any]:
        return self.connection.json("GET", path)["items"]

    def make(self, path: str, body: Any) -> Any:
        return self.connection.json("POST", path, body=orjson.dumps(body))

    def patch(self, path: str, change: Any) -> None:
        self.connection.request("PATCH", path, body=orjson.dumps(change), content_type=MERGE)

    def delete(self, path: str, *, wait: bool = True) -> None:
        self.connection.request("DELETE", path)
        if wait:
            wait_until(lambda: self.look(path) is None)

    def claim(self, app: App, name: str) -> Any:
        return self.look(f"/api/v1/namespaces/{app.name}/persistentvolumeclaims/{name}")

    def volume(self, app: App, name: str) -> Any:
        """The PersistentVolume that a claim has."""
        bound = self.claim(app, name)["spec"]["volumeName"]
        return self.look(f"/api/v1/persistentvolumes/{bound}")

    def snapshots(self) -> set[str]:
        found = self.listed(f"{SNAPSHOT_API}/volumesnapshots")
        return {f"{b['metadata']['namespace']}/{b['metadata']['name']}" for b in found}

    def contents(self) -> set[str]:
        found = self.listed(f"{SNAPSHOT_API}/volumesnapshotcontents")
        return {body["metadata"]["name"] for body in found}

    def contents_of(self, app: App, prefix: str = "") -> list[str]:
        """The contents of an application's snapshots."""
        return [
            body["metadata"]["name"]
            for body in self.listed(f"{SNAPSHOT_API}/volumesnapshotcontents")
            if body["spec"]["volumeSnapshotRef"]["namespace"] == app.name
            and body["metadata"]["name"].startswith(prefix)
        ]

    # -- applications --------------------------------------------------------------------------

    def start(self, *apps: App) -> None:
        for app in apps:
            for path, body in app.bodies():
                self.make(path, body)
        for app in apps:
            self.await_running(app)

    def await_running(self, app: App) -> None:
        wait_until(lambda: self.is_running(app))

    def is_running(self, app: App) -> bool:
        body = self.look(app.path) or {}
        ready = (body.get("status") or {}).get("readyReplicas", 0)
        return ready == body.get("spec", {}).get("replicas") == app.replicas and self.all_bound(app)

    def all_bound(self, app: App) -> bool:
        found = [self.claim(app, name) for name in app.claims]
        return all(body and body["status"].get("phase") == "Bound" for body in found)

    def folder(self, app: App, claim: str) -> Path:
        return labs.volume(self.lab.name, app.name, claim)

    def write(self, text: str, *apps: App) -> None:
        """Give each volume its own content: files, one of them in a folder."""
        for app in apps:
            for claim in app.claims:
                folder = self.folder(app, claim)
                (folder / "deep").mkdir(exist_ok=True)
                (folder / "deep/table").write_text(f"{text} of {app.name}/{claim}\n" * 100)
                (folder / text).write_text(claim)

    def sums(self, app: App) -> dict[str, str]:
        """A checksum of all that each claim's volume holds."""
        return {claim: checksum(self.folder(app, claim)) for claim in app.claims}

    def wipe(self, *apps: App) -> None:
        """Delete workloads, claims, and the snapshots that were brought in for them."""
        for app in apps:
            self.delete(app.path, wait=False)
            for claim in app.claims:
                path = f"/api/v1/namespaces/{app.name}/persistentvolumeclaims/{claim}"
                self.delete(path, wait=False)
        for app in apps:
            wait_until(lambda app=app: not any(self.claim(app, name) for name in app.claims))
        for snapshot in self.snapshots():
            space, _, name = snapshot.partition("/")
            if name.startswith("gitops-dr-") and space in {app.name for app in apps}:
                self.delete(f"{SNAPSHOT_API}/namespaces/{space}/volumesnapshots/{name}")
                self.delete(f"{SNAPSHOT_API}/volumesnapshotcontents/{name}")

    # -- faults --------------------------------------------------------------------------------

    def fail(self, **faults: Any) -> None:
        self.storage.set_faults(Faults(**faults))

    # -- commands ------------------------------------------------------------------------------

    def run(self, *arguments: str, code: int = 0) -> Said:
        said = gitops_dr(*arguments, kubeconfig=self.kubeconfig)
        assert said.code == code, f"{said.code}\n{said.err}\n{said.out}"
        return said

    def run_until(self, point: str, *arguments: str) -> None:
        """Run a command that dies there as by ``kill -9``; see killed.py."""
        program = [sys.executable, Path(__file__).with_name("killed.py"), point, *arguments]
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig), "GITOPS_DR_DEBUG": "1"}
        done = subprocess.run(
            program, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, (done.returncode, done.stdout, done.stderr)

    @contextmanager
    def stopped(self, program: str) -> Iterator[None]:
        """One of the lab's processes does nothing in the block."""
        process = self._process(program)
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def _process(self, program: str) -> int:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                ours = any(str(self.lab.directory).encode() in part for part in command)
                if ours and Path(command[0].decode()).name == program:
                    return int(folder.name)
        raise LookupError(program)

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "-o", "json", code=code).out)


def checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def wait_until(condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found
