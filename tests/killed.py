"""Runs gitops-dr until a named point and dies there as by ``kill -9``.

``python killed.py POINT ARGUMENT...``. A point is ``before`` or ``after``, the path of a function,
a text that its arguments must hold or nothing, and which time it is:
``after|gitops_dr.engine.act.create|VolumeSnapshotContent|1``. ``in-place|deleted||2`` is the second
time that a restore in place passes its failpoint of that name.
"""

import functools
import importlib
import os
import signal
import sys
import threading
from typing import Any

from gitops_dr.cli import run
from gitops_dr.workflows import volumes_restore


class Death:
    """Comes when it was called so often."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def holder_of(path: str) -> tuple[Any, str]:
    """The module or class that has the function, and its name there."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            holder: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:-1]:
            holder = getattr(holder, part)
        return holder, parts[-1]
    raise LookupError(path)


def install(point: str) -> None:
    when, path, text, nth = point.split("|")
    death = Death(int(nth))
    if when == "in-place":
        here = volumes_restore.restore
        volumes_restore.restore = functools.partial(
            here, failpoint=lambda name: death() if name == path else None
        )
        return
    holder, name = holder_of(path)
    whole = getattr(holder, name)

    @functools.wraps(whole)
    def mortal(*args: Any, **options: Any) -> Any:
        meant = text in repr(args)
        if meant and when == "before":
            death()
        result = whole(*args, **options)
        if meant and when == "after":
            death()
        return result

    setattr(holder, name, mortal)


if __name__ == "__main__":
    install(sys.argv[1])
    sys.exit(run(sys.argv[2:]))
