"""The process that owns a lab: starts its children, waits, and takes everything away at the end.

``python -m gitops_dr.lab.supervisor SETTINGS``; started by ``lab.py``, never by hand. It talks to
the process that started it over its standard input and output:

- one line of JSON for each thing that has started, then ``{"ready": true}``, or ``{"error": ...}``;
- the end of its input ends the lab, unless the line ``keep`` came first. So a lab ends with the
  process that asked for it, however that process ends, until it is told to stay.

It holds the lock on the lab's folder (see ``places.py``) that it was given when it was started.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from gitops_dr.errors import GitOpsDRError, LabError
from gitops_dr.lab import handle, places
from gitops_dr.lab.handle import Lab
from gitops_dr.lab.processes import Children
from gitops_dr.lab.settings import KEEP, PID_FILE, decode
from gitops_dr.lab.start import start

_INPUT, _OUTPUT = 0, 1
# A driver in the middle of a copy finishes it, or takes its half away from a shared storage.
_GENTLY = ("csi-driver",)


class _Ended(BaseException):
    """The lab shall end: we were told so, or the process that asked for it is gone."""


def main(argument: str) -> None:
    """Run one lab from its start to its end. Raises nothing; the exit code means nothing."""
    # The starter waits for the first process; the second is nobody's child, so nobody has to.
    if os.fork():
        os._exit(0)
    settings = decode(argument)
    directory = Path(settings.directory)
    (directory / PID_FILE).write_text(str(os.getpid()))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    children = Children(directory, _environment(directory), _check_owner)
    keep_folder = False
    try:
        lab = start(settings, children, lambda subject: _say({"started": subject}))
        handle.write(lab)
        _say({"ready": True})
        keep_folder = _watch(children, lab)
    except _Ended:
        pass
    except GitOpsDRError as error:
        _say({"error": error.message, "hint": error.hint})
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        children.stop(gently=_GENTLY)
        if not keep_folder:
            places.remove(directory)


def _watch(children: Children, lab: Lab) -> bool:
    """Wait until the lab shall end. True if it broke, so that its logs are worth keeping."""
    kept = False
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        selector.register(_INPUT, selectors.EVENT_READ)
        for descriptor in children.descriptors(stack):
            selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if _INPUT not in {key.fd for key, _ in selector.select()}:
                break
            if os.read(_INPUT, len(KEEP)) != KEEP:
                raise _Ended
            kept = True
            selector.unregister(_INPUT)
            _let_go()
    try:
        children.check()
    except LabError as error:
        sys.stderr.write(f"lab {lab.name}: {error.message}\n{error.hint}\n")
    return kept


def _let_go() -> None:
    """Leave the pipes to the starter, which ends now."""
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), _INPUT)
        os.dup2(nothing.fileno(), _OUTPUT)


def _check_owner() -> None:
    """Before the lab is ready its starter says nothing, so what can be read is the end."""
    if select.select([_INPUT], [], [], 0)[0]:
        raise _Ended


def _say(content: dict[str, object]) -> None:
    try:
        os.write(_OUTPUT, json.dumps(content).encode() + b"\n")
    except BrokenPipeError:
        raise _Ended from None


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def _environment(directory: Path) -> dict[str, str]:
    """What children get: etcd and others would read settings from the user's own environment."""
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    return kept | {"HOME": str(directory), "TMPDIR": str(directory)}


if __name__ == "__main__":
    os.umask(0o077)
    main(sys.argv[1])
