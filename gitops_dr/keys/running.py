"""Runs a program that prints something secret, for no longer than it may take. Runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. What it printed is not shown."""

    code: int
    output: bytes = field(repr=False)


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    *,
    data: bytes = b"",
    silent: bool = False,
) -> Ended:
    """Run a program with ``data`` as its standard input and give what it prints.

    The terminal stays ours, so that it may ask for a password; so does standard error, unless it is
    to be ``silent`` because what it says may be secret too. Raises
    ``TimeoutError`` if it has not ended after ``seconds``, when it is killed; ``OSError`` or
    ``ValueError`` if it cannot be started.
    """
    process = subprocess.Popen(
        arguments,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if silent else None,
    )
    try:
        output, _ = process.communicate(data, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no answer in {seconds:g} seconds") from None
    finally:
        # What it started itself may hold the pipes open for ever: they are not waited for.
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()
    return Ended(process.returncode, output)
