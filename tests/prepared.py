"""Processes that have imported all of gitops-dr, and fork for each command that is run.

To start Python and to import everything takes longer than most commands do. What a fork does is
what the installed command does: ``main`` in a process of its own, with its arguments, environment,
folder, inputs and outputs, and an end of its own; nothing of it comes back here. What it cannot
show is a module that a command needs and does not import: see command.py.

Run as a program it serves a socket until its standard input ends, one request a connection: the
request and three descriptors come in, the process id and at last the exit status go out.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# What commands import late. One that is missing here costs time and nothing else.
LATE = (
    *("cryptography.hazmat.primitives.ciphers.aead", "jinja2.sandbox", "kubernetes.client"),
    *("kubernetes.config", "pydantic", "pyrage", "rich.box", "rich.console", "rich.table"),
    *("ruamel.yaml", "urllib3", "websocket", "yamlrocks"),
)
LONGEST = 100_000
"""Bytes of a request."""


class Prepared:
    """Such a process from outside. It starts with the first command and ends with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place = ""

    def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path | None,
        timeout: float,
    ) -> tuple[int, bytes, bytes]:
        """Exit code (as ``subprocess`` has it), standard output and standard error.

        Raises ``subprocess.TimeoutExpired`` after so many seconds; the command is killed then.
        """
        place = self._started()
        with (
            Path(os.devnull).open("rb") as nothing,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
        ):
            connection.settimeout(timeout)
            connection.connect(place)
            request = [list(arguments), dict(environment), str(cwd or Path.cwd())]
            files = [each.fileno() for each in (nothing, out, err)]
            socket.send_fds(connection, [json.dumps(request).encode()], files)
            process = int(connection.recv(16))
            try:
                status = int(connection.recv(16))
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
            for each in (out, err):
                each.seek(0)
            return os.waitstatus_to_exitcode(status), out.read(), err.read()

    def _started(self) -> str:
        with self._lock:
            if not self._place:
                folder = tempfile.TemporaryDirectory(prefix="run-")
                place = f"{folder.name}/socket"
                server = subprocess.Popen(
                    [sys.executable, "-P", __file__, place],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                atexit.register(_end, server, folder)
                assert server.stdout
                assert server.stdout.readline() == b"ready\n"
                self._place = place
            return self._place


def _end(server: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    # The end of its input ends it.
    server.communicate()
    folder.cleanup()


# -- the process itself ------------------------------------------------------------------------


def _import_all() -> None:
    import gitops_dr

    names = [found.name for found in pkgutil.walk_packages(gitops_dr.__path__, "gitops_dr.")]
    for name in (*names, *LATE):
        # The lab's driver needs what only labs have; and what is broken, a command that needs it
        # says better.
        with suppress(Exception):
            importlib.import_module(name)


def _serve(place: str) -> list[Any] | None:
    """Fork for every request: each fork gets its request back, and nobody anything at the end."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening,
        selectors.DefaultSelector() as selector,
    ):
        listening.bind(place)
        listening.listen()
        # Who is interrupted is the one who waits for us.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listening, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is listening:
                    connection, _ = listening.accept()
                    request, descriptors, _, _ = socket.recv_fds(connection, LONGEST, 3)
                    process = os.fork()
                    if not process:
                        signal.signal(signal.SIGINT, signal.default_int_handler)
                        for number, descriptor in enumerate(descriptors):
                            os.dup2(descriptor, number)
                        return json.loads(request)
                    for descriptor in descriptors:
                        os.close(descriptor)
                    connection.send(str(process).encode())
                    ended = os.pidfd_open(process)
                    selector.register(ended, selectors.EVENT_READ, (process, connection))
                else:
                    process, connection = key.data
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(process, 0)
                    with connection:
                        connection.send(str(status).encode())


def _command() -> None:
    """Be the installed command, once there is one to be run."""
    from gitops_dr.cli import main

    _import_all()
    request = _serve(sys.argv[1])
    if request is None:
        return
    arguments, environment, folder = request
    sys.argv = ["gitops-dr", *arguments]
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    os.chdir(folder)
    main()


if __name__ == "__main__":
    _command()
