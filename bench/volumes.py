"""Captures and restores many claims, beside a bare client that makes the same objects at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
from results import Measure

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.lab import Lab

COMMAND = Path(sys.executable).with_name("gitops-dr")
NAMESPACE = "many"
_AT_ONCE = 16
_GROUP = "snapshot.storage.k8s.io"
_CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
_SNAPSHOTS = f"/apis/{_GROUP}/v1/namespaces/{NAMESPACE}/volumesnapshots"
_CONTENTS = f"/apis/{_GROUP}/v1/volumesnapshotcontents"
_FACTOR = 1.2


def capturing(count: int, folder: Path) -> list[Measure]:
    """Capture ``count`` claims into a commit, and restore them in another cluster."""
    storage, repo = folder / "storage", folder / "volumes"
    storage.mkdir()
    with labs.running("bench-source", storage=storage) as source:
        connection = connect(source.kubeconfig, None)
        _namespace(connection)
        _make(connection, _CLAIMS, [_claim(number) for number in range(count)])
        _await(connection, _CLAIMS, count, lambda body: body["status"].get("phase") == "Bound")
        floor = _bare_snapshots(connection, count)
        _gitops_dr(source, "init", str(repo), "--cluster", "many")
        taken = _gitops_dr(source, "export", "--volumes", "-o", "json", "--repo", str(repo))
        captured = json.loads(taken)["seconds"]["snapshots"]
        records = [_record(path) for path in sorted(repo.rglob("recovery/volumes/*/*.yaml"))]
    with labs.running("bench-bare", storage=storage) as bare:
        floor_of_restore = _bare_restore(connect(bare.kubeconfig, None), records)
    with labs.running("bench-restored", storage=storage) as target:
        made = _gitops_dr(target, "rebuild", "--yes", "-o", "json", "--repo", str(repo))
        restored = json.loads(made)["seconds"]["execute"]
    return [
        Measure(f"capture of {count} claims", captured, floor, factor=_FACTOR),
        Measure(f"restore of {count} claims", restored, floor_of_restore, factor=_FACTOR),
    ]


def _gitops_dr(lab: Lab, *arguments: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(lab.kubeconfig)}
    command = [COMMAND, *arguments]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _claim(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"data-{number}", "namespace": NAMESPACE},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "directory",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _bare_snapshots(connection: Connection, count: int) -> float:
    """Seconds until snapshots that are made at once can all be used; they are deleted again."""
    bodies = [
        {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "VolumeSnapshot",
            "metadata": {"name": f"bare-{number}"},
            "spec": {
                "source": {"persistentVolumeClaimName": f"data-{number}"},
                "volumeSnapshotClassName": "directory",
            },
        }
        for number in range(count)
    ]
    started = time.monotonic()
    _make(connection, _SNAPSHOTS, bodies)
    _await(connection, _SNAPSHOTS, count, _is_usable)
    seconds = time.monotonic() - started
    connection.request("DELETE", _SNAPSHOTS)
    _await(connection, _SNAPSHOTS, 0, _is_usable)
    return seconds


def _bare_restore(connection: Connection, records: list[dict[str, str]]) -> float:
    """Seconds until claims that are made at once, each from a handle, are all bound."""
    _namespace(connection)
    kinds: list[tuple[str, list[dict[str, Any]]]] = [
        (_CONTENTS, []),
        (_SNAPSHOTS, []),
        (_CLAIMS, []),
    ]
    for number, record in enumerate(records):
        name = f"bare-{number}"
        reference = {"name": name, "namespace": NAMESPACE}
        kinds[0][1].append(
            {
                "apiVersion": f"{_GROUP}/v1",
                "kind": "VolumeSnapshotContent",
                "metadata": {"name": name},
                "spec": {
                    "deletionPolicy": "Retain",
                    "driver": record["driver"],
                    "source": {"snapshotHandle": record["handle"]},
                    "volumeSnapshotClassName": "directory",
                    "volumeSnapshotRef": reference,
                },
            }
        )
        kinds[1][1].append(
            {
                "apiVersion": f"{_GROUP}/v1",
                "kind": "VolumeSnapshot",
                "metadata": {"name": name},
                "spec": {
                    "source": {"volumeSnapshotContentName": name},
                    "volumeSnapshotClassName": "directory",
                },
            }
        )
        claim = _claim(number)
        claim["spec"]["dataSourceRef"] = {
            "apiGroup": _GROUP,
            "kind": "VolumeSnapshot",
            "name": name,
        }
        kinds[2][1].append(claim)
    started = time.monotonic()
    for path, bodies in kinds:
        _make(connection, path, bodies)
    _await(connection, _CLAIMS, len(records), lambda body: body["status"].get("phase") == "Bound")
    return time.monotonic() - started


def _is_usable(body: dict[str, Any]) -> bool:
    return bool((body.get("status") or {}).get("readyToUse"))


def _record(path: Path) -> dict[str, str]:
    lines = [line.strip().partition(": ") for line in path.read_text().splitlines()]
    return {key: value for key, _, value in lines if key in ("driver", "handle")}


def _namespace(connection: Connection) -> None:
    body = orjson.dumps({"metadata": {"name": NAMESPACE}})
    connection.request("POST", "/api/v1/namespaces", body=body)


def _make(connection: Connection, path: str, bodies: Iterable[dict[str, Any]]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = [pool.submit(connection.request, "POST", path, body=orjson.dumps(b)) for b in bodies]
    for one in made:
        one.result()


def _await(
    connection: Connection, path: str, count: int, done: Callable[[dict[str, Any]], bool]
) -> None:
    deadline = time.monotonic() + 600
    while True:
        items = connection.json("GET", path)["items"]
        if len(items) == count and all(map(done, items)):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"{path}: not all are ready after ten minutes")
        time.sleep(0.1)
