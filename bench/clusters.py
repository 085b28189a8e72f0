"""Labs for measuring: filled once and kept, or fresh. Starts labs, writes the user's cache."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import world
from platformdirs import user_cache_path
from process import run

from gitops_dr import lab as labs
from gitops_dr.lab.client import Client
from gitops_dr.lab.parts import CONTROL_PLANE, fingerprint

HERE = Path(__file__).parent
LOADING = 16
"""Objects created at once while a lab is filled."""
RATE = 250
"""Objects a second that an API server on two quiet cores takes, those of its controllers beside."""
QUIET_SECONDS, QUIET_WRITES = 3.0, 10
"""A cluster is quiet when it has seen no more than so many writes in so many seconds."""
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A quiet lab, reached as an ordinary cluster-admin ServiceAccount, by product and floor."""

    kubeconfig: Path
    kubectl: Path
    lab: labs.Lab


@contextmanager
def cluster(count: int = 0) -> Iterator[Cluster]:
    """A lab with a world of ``count`` objects; a fresh one for 0."""
    saved = _filled(count) if count else None
    with labs.running(f"bench-{os.getpid()}", saved=saved) as lab:
        reach = labs.service_account_kubeconfig(lab)
        _wait_until_quiet(lab)
        yield Cluster(reach, labs.assets().path("kubectl"), lab)


def _filled(count: int) -> Path:
    """The file of a lab that holds a world; made at the first time."""
    name = f"{count}-{world.digest()}-{fingerprint(CONTROL_PLANE)}.tar"
    file = user_cache_path("gitops-dr") / "bench" / name
    if file.is_file():
        return file
    say(f"filling a lab with {count} objects, once: about {1 + count // RATE // 60} minutes")
    started = time.monotonic()
    lab_name = f"bench-{os.getpid()}"
    with labs.running(lab_name) as lab, tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        run([sys.executable, HERE / "world.py", str(count)], stdout=lines)
        reach = labs.service_account_kubeconfig(lab)
        loading = ("--at-once", str(LOADING))
        run([sys.executable, HERE / "bare.py", "create", reach, lines, *loading])
        _wait_until_quiet(lab)
        labs.save(lab_name, file)
    say(f"filled in {time.monotonic() - started:.0f} s, kept in {file}")
    return file


def _wait_until_quiet(lab: labs.Lab) -> None:
    """Wait until controllers have nothing more to write."""
    deadline = time.monotonic() + PATIENCE
    with Client(lab.server, lab.pki) as client:
        before = _revision(client)
        while True:
            time.sleep(QUIET_SECONDS)
            now = _revision(client)
            if now - before <= QUIET_WRITES:
                return
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"lab {lab.name}: still {now - before} writes in {QUIET_SECONDS} s"
                )
            before = now


def _revision(client: Client) -> int:
    return int(client.get("/api/v1/namespaces?limit=1")["metadata"]["resourceVersion"])


def say(text: str) -> None:
    """A line about what goes on, apart from the table."""
    print(f"  {text}", file=sys.stderr, flush=True)
