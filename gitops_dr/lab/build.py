"""Makes one part of the lab in the user's cache. Runs ``go`` and the protobuf compiler.

One build at a time (a lock on the cache folder). A part is made in a folder beside its place and
renamed when it is whole, so an interrupted build leaves nothing that looks complete.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitops_dr.errors import LabError
from gitops_dr.events import Advanced, Emit, Notice, PhaseEnded, PhaseStarted
from gitops_dr.lab.parts import INTERFACES, MODULE_FILES, Part
from gitops_dr.lab.toolchain import Report, find_go, run_go
from gitops_dr.resources import shipped

SNAPSHOT_CLIENT = "github.com/kubernetes-csi/external-snapshotter/client/v8"
CSI_SPEC = "github.com/container-storage-interface/spec"

_EXPECTATION = {
    "control-plane": "is built from source once: about 12 to 15 minutes on two cores",
    "csi-provisioner": "is built from source once: about 3 minutes on two cores",
    "interfaces": "are fetched and generated once: a few seconds",
}


def build(part: Part, place: Path, emit: Emit) -> None:
    """Make ``part`` at ``place``; if another run is making it, wait for that one instead.

    Raises ``LabError`` if there is no toolchain or the build fails.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with _only_build(place.parent, emit):
        if place.is_dir():
            return
        go = find_go()
        emit(Notice(f"lab: {part.name} {_EXPECTATION[part.name]}"))
        for leftover in place.parent.glob("*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(dir=place.parent, suffix=".partial"))
        try:
            with _module(part) as module:
                if part is INTERFACES:
                    _make_interfaces(go, module, partial, emit)
                else:
                    _compile(part, go, module, partial, emit)
            for name in part.files:
                if not (partial / name).is_file():
                    raise LabError(f"{part.name}: the build made no {name}")
            partial.chmod(0o755)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _compile(part: Part, go: Path, module: Path, into: Path, emit: Emit) -> None:
    with _phase(f"download {part.name}", 0, emit) as report:
        packages = run_go(go, ("list", "-deps", "tool"), module, report).split()
    with _phase(f"build {part.name}", len(packages), emit) as report:
        options = ("-v", "-trimpath", "-buildvcs=false", "-ldflags", part.ldflags)
        run_go(go, ("build", *options, "-o", f"{into}{os.sep}", "tool"), module, report)
    for go_name, name in part.renamed.items():
        (into / go_name).rename(into / name)


def _make_interfaces(go: Path, module: Path, into: Path, emit: Emit) -> None:
    """The VolumeSnapshot CRDs, and Python messages of CSI, out of Go's module cache."""
    with _phase("fetch interfaces", 0, emit) as report:
        answer = run_go(go, ("mod", "download", "-json", SNAPSHOT_CLIENT, CSI_SPEC), module, report)
    folders = {found["Path"]: Path(found["Dir"]) for found in _json_stream(answer)}
    for name in INTERFACES.files:
        if name.endswith(".yaml"):
            shutil.copyfile(folders[SNAPSHOT_CLIENT] / "config" / "crd" / name, into / name)
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folders[CSI_SPEC]}"]
    done = subprocess.run(
        [*compiler, f"--python_out={into}", "csi.proto"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LabError("csi.proto: could not be compiled", hint=done.stderr.strip())


def _json_stream(text: str) -> Iterator[dict[str, str]]:
    """The objects of a text that is one JSON object after another."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:]


@contextmanager
def _module(part: Part) -> Iterator[Path]:
    """A writable copy of the part's module files: the installed ones may be read-only."""
    with tempfile.TemporaryDirectory(prefix="gitops-dr-module-") as folder:
        for name in MODULE_FILES:
            shutil.copyfile(shipped(f"lab/go/{part.module}/{name}"), Path(folder) / name)
        yield Path(folder)


@contextmanager
def _phase(name: str, total: int, emit: Emit) -> Iterator[Report]:
    started = time.monotonic()
    done = 0

    def report(count: int, subject: str) -> None:
        nonlocal done
        done = count
        emit(Advanced(name, count, subject))

    emit(PhaseStarted(name, total))
    yield report
    emit(PhaseEnded(name, time.monotonic() - started, done))


@contextmanager
def _only_build(folder: Path, emit: Emit) -> Iterator[None]:
    """Hold the one lock of all builds into this folder; the folder itself carries it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            emit(Notice("lab: waiting for another build of it to end"))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
