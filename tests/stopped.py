"""Runs gitops-dr until a named point and stops there, as by Ctrl-Z, until it is told to go on.

``python stopped.py POINT ARGUMENT...``; the points are those of killed.py.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import killed


class Stop(killed.Death):
    def __call__(self, *_: object) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGSTOP)


@contextmanager
def stopped(point: str, *arguments: str, kubeconfig: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has come to the point and waits there; it ends with the block at the latest.

    ``SIGCONT`` lets it go on.
    """
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "GITOPS_DR_DEBUG": "1"}
    process = subprocess.Popen(
        [sys.executable, Path(__file__), point, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    killed.Death = Stop
    killed.install(sys.argv[1])
    sys.exit(killed.run(sys.argv[2:]))
