"""A lab's child processes, free ports, and waiting for conditions. Runs programs.

Every child dies with the process that started it, also when that one is killed: the kernel sends
it ``SIGKILL`` (``PR_SET_PDEATHSIG``, prctl(2)). The signal is tied to the *thread* that forked,
so children are started from the supervisor's main thread only.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from gitops_dr.errors import LabError

# Below every default range of ephemeral ports, so that no outgoing connection takes one between
# our looking and the child's binding.
PORTS = range(20000, 32000)
LOG_LINES = 15
_POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Children:
    """The processes of one lab. Not thread-safe: use it from the main thread."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], check_owner: Callable[[], None]
    ) -> None:
        """``folder`` is their working directory; their logs go to ``logs/`` in it.

        ``check_owner`` is called while we wait, and raises if nobody wants them any more.
        """
        self._folder = folder
        self._environment = dict(environment)
        self._check_owner = check_owner
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: tuple[str, ...]) -> None:
        """Start one process; its output is in ``logs/NAME.log``.

        Raises ``LabError`` if the program cannot be run.
        """
        parent = os.getpid()
        path = log(self._folder, name)
        path.parent.mkdir(exist_ok=True)

        def die_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        with path.open("ab") as output:
            try:
                self._running[name] = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - one thread, see the docstring
                )
            except OSError as error:
                raise LabError(f"{name}: {command[0]} cannot be run: {error.strerror}") from error

    def check(self) -> None:
        """Raise ``LabError`` with the last lines of its log if a process has ended."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                end = (
                    f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                )
                raise LabError(f"{name}: {end}", hint=last_lines(log(self._folder, name)))

    def wait_until(self, condition: Callable[[], bool], *, name: str, seconds: float) -> None:
        """Wait until ``condition`` holds, which the process ``name`` should bring about.

        Raises ``LabError`` if a process ends meanwhile or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            self._check_owner()
            self.check()
            if time.monotonic() > deadline:
                raise LabError(
                    f"{name}: was not ready after {seconds:.0f} seconds",
                    hint=last_lines(log(self._folder, name)),
                )
            time.sleep(_POLL_SECONDS)

    def descriptors(self, stack: ExitStack) -> list[int]:
        """A descriptor for each process that becomes readable when it ends; ``stack`` closes it."""
        found = []
        for process in self._running.values():
            descriptor = os.pidfd_open(process.pid)
            stack.callback(os.close, descriptor)
            found.append(descriptor)
        return found

    def stop(self, *, gently: tuple[str, ...] = (), seconds: float = 3.0) -> None:
        """End every process and wait for it; those named get time to finish what they do."""
        for name in gently:
            if name in self._running:
                self._running[name].terminate()
        for name, process in self._running.items():
            if name not in gently:
                process.kill()
        for process in self._running.values():
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def log(folder: Path, name: str) -> Path:
    """Where a process of the lab in ``folder`` writes what it says."""
    return folder / "logs" / f"{name}.log"


def last_lines(path: Path) -> str:
    """The end of a log, for the hint of an error; empty if there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join((f"the last lines of {path.name}:", *lines[-LOG_LINES:])) if lines else ""


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on 127.0.0.1 that nobody listens on, in random order so that two labs differ."""
    found: list[int] = []
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return tuple(found)
    raise LabError("lab: no free port is left on 127.0.0.1")
