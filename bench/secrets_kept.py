"""Measures what encrypted Secrets cost beside as many ConfigMaps. Starts two labs, one by one."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from clusters import Cluster, cluster, say
from measures import COMMAND, gitops_dr, new_folder
from process import run
from results import Measure

from gitops_dr.cluster.connect import connect
from gitops_dr.secrets.sops import seal

NAMESPACE = "many"
_AT_ONCE = 16
_MORE = 1.3
"""Times as long as with ConfigMaps, at most."""
_A_SECOND = 3_000
"""Secrets to encrypt in a second, at least."""
_TEXT = base64.b64encode(b"something that nobody is to know.").decode()


def sealing(count: int, repeat: int, folder: Path) -> list[Measure]:
    """Export ``count`` Secrets again and again, and as many ConfigMaps; and encrypt them alone."""
    say(f"{count} ConfigMaps, and {count} Secrets")
    plain = _unchanged("ConfigMap", count, repeat, folder / "plain")
    sealed = _unchanged("Secret", count, repeat, folder / "sealed")
    key = _key(folder)
    started = time.monotonic()
    for number in range(count):
        seal(_body("Secret", number), [key], now=datetime.now(UTC))
    seconds = (time.monotonic() - started) * _A_SECOND / count
    return [
        Measure(f"unchanged export, {count} Secrets", min(sealed), min(plain), factor=_MORE),
        Measure(
            f"first encryption of {_A_SECOND} Secrets",
            seconds,
            allowance=1.0,
            note=f"{_A_SECOND / seconds:.0f} a second, to one recipient",
        ),
    ]


def _unchanged(kind: str, count: int, repeat: int, folder: Path) -> list[float]:
    """Seconds of each unchanged export of a cluster that has so many of a kind."""
    with cluster() as measured:
        _fill(measured, kind, count)
        run([COMMAND, "init", folder, "--cluster", "bench"])
        key = ("--key-file", new_folder(folder.parent))
        run([COMMAND, "secrets", "init", *key, "--repo", folder])
        gitops_dr(measured, "export", folder)
        runs = [gitops_dr(measured, "export", folder) for _ in range(repeat)]
    if any(json.loads(each.out)["created"] for each in runs):
        say("not unchanged: an export of an unchanged cluster made a commit")
    return [each.seconds for each in runs]


def _fill(measured: Cluster, kind: str, count: int) -> None:
    connection = connect(measured.kubeconfig, None)
    body = orjson.dumps({"metadata": {"name": NAMESPACE}})
    connection.request("POST", "/api/v1/namespaces", body=body)
    path = f"/api/v1/namespaces/{NAMESPACE}/{kind.lower()}s"

    def make(number: int) -> None:
        connection.request("POST", path, body=orjson.dumps(_body(kind, number)))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(make, range(count)))


def _body(kind: str, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"namespace": NAMESPACE, "name": f"one-{number}"},
        "data": {"password": _TEXT, "user": _TEXT, "token": _TEXT * 4},
    }


def _key(folder: Path) -> str:
    """A recipient that the export before has made."""
    text = (folder / "sealed" / ".sops.yaml").read_text()
    return text[text.index("age1") :].split()[0].strip(",'\"")
