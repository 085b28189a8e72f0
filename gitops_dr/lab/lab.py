"""The verbs of the lab: up, down, list, save, and where things are. Starts and ends processes.

A lab belongs to its supervisor, a process of its own (``supervisor.py``); this module starts it,
listens until it is ready, and later finds it again through the lab's folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from gitops_dr.errors import LabError, UsageError
from gitops_dr.events import Advanced, Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.lab import bundle, handle, places
from gitops_dr.lab.binaries import assets
from gitops_dr.lab.client import Client
from gitops_dr.lab.handle import Lab
from gitops_dr.lab.settings import KEEP, PID_FILE, STARTED, Settings
from gitops_dr.resources import shipped

_END_SECONDS = 20.0
_POLL_SECONDS = 0.02


def up(
    name: str,
    *,
    storage: Path | None = None,
    saved: Path | None = None,
    audit_log: Path | None = None,
    api_server_flags: Sequence[str] = (),
    emit: Emit = silent,
) -> Lab:
    """Start a lab that stays until ``down``, also after this process has ended.

    ``storage`` is the CSI driver's folder, which may be shared with other labs and outlives them;
    without it volumes go with the lab. ``saved`` is a file made by :func:`save`, whose content the
    lab starts with. ``audit_log`` is a file for one line of JSON a request; ``api_server_flags``
    are appended to the API server's command line.

    Raises ``UsageError`` for a bad name, ``RefusedError`` if the lab is running already and
    ``LabError`` if the programs cannot be built or a process does not start; nothing is left then.
    """
    lab, control = _start(_settings(name, storage, saved, audit_log, api_server_flags), emit)
    with control:
        control.write(KEEP)
    return lab


@contextmanager
def running(
    name: str,
    *,
    storage: Path | None = None,
    saved: Path | None = None,
    audit_log: Path | None = None,
    api_server_flags: Sequence[str] = (),
    emit: Emit = silent,
) -> Iterator[Lab]:
    """A lab for the length of a ``with`` block; it ends with this process at the latest.

    Takes and raises what :func:`up` does.
    """
    lab, control = _start(_settings(name, storage, saved, audit_log, api_server_flags), emit)
    try:
        yield lab
    finally:
        control.close()
        _await_end(lab.directory)


def down(name: str) -> None:
    """End a lab: afterwards none of its processes and none of its files are there.

    Raises ``LabError`` if there is no lab of this name, ``UsageError`` for a bad name.
    """
    folder = places.place(name)
    if not folder.is_dir():
        raise _no_such_lab(name)
    deadline = time.monotonic() + _END_SECONDS
    while places.is_held(folder) and time.monotonic() < deadline:
        # The file appears a moment after the lock; a process id in it is the lock's holder.
        if (folder / PID_FILE).is_file():
            _signal(int((folder / PID_FILE).read_text()), signal.SIGTERM)
            break
        time.sleep(_POLL_SECONDS)
    _await_end(folder)


def labs() -> tuple[Lab, ...]:
    """The labs that are up, by name."""
    found = (handle.read(folder) for folder in places.held())
    return tuple(lab for lab in found if lab is not None)


def find(name: str) -> Lab:
    """The handle of a lab that is up.

    Raises ``LabError`` if there is no lab of this name, ``UsageError`` for a bad name.
    """
    folder = places.place(name)
    lab = handle.read(folder) if places.is_held(folder) else None
    if lab is None:
        raise _no_such_lab(name)
    return lab


def kubeconfig(name: str) -> Path:
    """The administrator's kubeconfig; its context has the lab's name.

    Raises what :func:`find` does.
    """
    return find(name).kubeconfig


def volume(name: str, namespace: str, claim: str) -> Path:
    """The folder with the data of a PersistentVolumeClaim.

    Raises ``LabError`` if there is no such lab or claim, or the claim has no volume of our driver.
    """
    lab = find(name)
    if not namespace or not claim:
        raise UsageError(f"claim {namespace}/{claim}: is not NAMESPACE/CLAIM")
    with Client(lab.server, lab.pki) as client:
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}"
        bound = client.get(path)["spec"].get("volumeName", "")
        source = client.get(f"/api/v1/persistentvolumes/{bound}")["spec"] if bound else {}
    identifier = str(source.get("csi", {}).get("volumeHandle", ""))
    folder = lab.storage / "volumes" / identifier
    if not identifier or not folder.is_dir():
        raise LabError(
            f"PersistentVolumeClaim/{namespace}/{claim}: has no volume in lab {name}",
            hint="a claim of a WaitForFirstConsumer class gets its volume with its first pod",
        )
    return folder


def save(name: str, file: Path) -> None:
    """Copy a lab's cluster into ``file``, from which ``up(saved=...)`` starts others.

    The lab goes on running. The file holds the cluster's Secrets and keys; only its owner can
    read it. Raises ``LabError`` if there is no such lab or it gives no copy.
    """
    lab = find(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    bundle.pack(lab, assets().path("etcdctl"), file)


def _settings(
    name: str,
    storage: Path | None,
    saved: Path | None,
    audit_log: Path | None,
    api_server_flags: Sequence[str],
) -> Settings:
    if sys.platform != "linux":
        raise LabError(f"lab {name}: labs run on Linux only")
    folder = places.place(name)
    if saved is not None and not saved.is_file():
        raise UsageError(f"{saved}: there is no such file to start lab {name} from")
    audit = () if audit_log is None else _audit_flags(audit_log)
    return Settings(
        name=name,
        directory=str(folder),
        storage="" if storage is None else str(storage.absolute()),
        saved="" if saved is None else str(saved.absolute()),
        api_server_flags=(*audit, *api_server_flags),
    )


def _start(settings: Settings, emit: Emit) -> tuple[Lab, IO[bytes]]:
    """Start the supervisor and wait until it is ready; the lab ends when the stream is closed."""
    paths = assets(emit).paths
    settings = replace(settings, assets={name: str(path) for name, path in paths.items()})
    phase = f"start lab {settings.name}"
    started = time.monotonic()
    emit(PhaseStarted(phase, len(STARTED)))
    lab, control = _supervise(settings, phase, emit)
    emit(PhaseEnded(phase, time.monotonic() - started, len(STARTED)))
    return lab, control


def _supervise(settings: Settings, phase: str, emit: Emit) -> tuple[Lab, IO[bytes]]:
    folder = Path(settings.directory)
    lock = places.claim(settings.name)
    messages = (folder / "supervisor.log").open("w+b")
    # What this process can import, the supervisor must be able to, wherever that comes from.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        starter = subprocess.Popen(
            [sys.executable, "-P", "-m", "gitops_dr.lab.supervisor", settings.encoded()],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            pass_fds=(lock,),
            start_new_session=True,
            bufsize=0,
        )
    finally:
        os.close(lock)
    control, answers = starter.stdin, starter.stdout
    assert control is not None and answers is not None  # noqa: S101, PT018 - both are pipes
    try:
        with answers, messages:
            starter.wait()
            lab = _listen(settings, answers, messages, phase, emit)
    except BaseException:
        control.close()
        _await_end(folder)
        raise
    return lab, control


def _listen(
    settings: Settings, answers: IO[bytes], messages: IO[bytes], phase: str, emit: Emit
) -> Lab:
    """Follow the supervisor until the lab is ready.

    Raises ``LabError`` with what it says, or with the end of its log if it says nothing.
    """
    for line in answers:
        content = json.loads(line)
        if "started" in content:
            subject = content["started"]
            emit(Advanced(phase, STARTED.index(subject) + 1, subject))
        elif "error" in content:
            raise LabError(f"lab {settings.name}: {content['error']}", hint=content["hint"])
        elif lab := handle.read(Path(settings.directory)):
            return lab
    messages.seek(0)
    raise LabError(
        f"lab {settings.name}: its supervisor ended before it was ready",
        hint=messages.read().decode(errors="replace").strip(),
    )


def _await_end(folder: Path) -> None:
    """Wait for the supervisor to end, kill it if it does not, and remove what it left."""
    if not places.await_release(folder, _END_SECONDS):
        _signal(int((folder / PID_FILE).read_text()), signal.SIGKILL)
        places.await_release(folder, _END_SECONDS)
    places.clear(folder)


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def _audit_flags(file: Path) -> tuple[str, ...]:
    policy = shipped("lab/audit.yaml")
    return (f"--audit-log-path={file.absolute()}", f"--audit-policy-file={policy}")


def _no_such_lab(name: str) -> LabError:
    return LabError(f"lab {name}: there is none", hint="`gitops-dr lab list` shows those there are")
