"""Runs one command to its end and says what it took. Starts processes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a command took, its start included."""

    seconds: float
    cpu_seconds: float
    """Of the command and of what it started, such as git."""
    peak_mb: float
    """Resident memory in 10^6 bytes, of the largest of its processes.

    The kernel counts the memory of whoever starts a process as that process's own, for the moment
    before it becomes another program: whoever measures must be small.
    """
    code: int
    out: bytes
    load: float
    """Load average (1 minute) before it."""
    err: bytes = b""


def run(
    command: Sequence[str | Path],
    *,
    may_end_with: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
    stdout: Path | None = None,
) -> Run:
    """Run a command; ends the program, with what the command said, if its code is unexpected.

    ``out`` of what it returns is empty if ``stdout`` names a file.
    """
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        Path(stdin or os.devnull).open("rb") as source,
        Path(stdout or os.devnull).open("wb") as elsewhere,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=elsewhere if stdout else out,
            stderr=err,
            env=None if environment is None else {**os.environ, **environment},
            cwd=cwd,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        code = process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
        err.seek(0)
        words_for_people = err.read()
        if code not in may_end_with:
            complaint = (words_for_people + said[-3000:]).decode(errors="replace")
            words = " ".join(map(str, command))
            raise SystemExit(f"{words}: ended with code {code}\n{complaint}")
    return Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
        code=code,
        out=said,
        load=load,
        err=words_for_people,
    )
