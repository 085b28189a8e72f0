"""The one error family. Imports nothing; every other room may raise these.

A message is one line that begins with the object or thing it is about. ``hint`` says what to
do next. The CLI prints both and ends with ``exit_code``; nothing else maps errors to codes.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command, the same for every verb."""

    DONE = 0
    DIFFERENCES = 1
    USAGE = 2
    PARTIAL = 3
    CLUSTER = 4
    REPOSITORY = 5
    REFUSED = 6
    BUG = 70
    INTERRUPTED = 130


class GitOpsDRError(Exception):
    """Something a person can act on: one line, and a hint."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitOpsDRError):
    """The command line, the environment or ``gitops-dr.yaml`` asks for something impossible."""

    exit_code = ExitCode.USAGE


class ClusterError(GitOpsDRError):
    """The API server could not be reached, refused us, or answered what we cannot use."""

    exit_code = ExitCode.CLUSTER


class LabError(ClusterError):
    """A lab's binaries could not be built or its processes did not start."""


class RepositoryError(GitOpsDRError):
    """The Git repository is missing, in the way, or holds what we cannot read."""

    exit_code = ExitCode.REPOSITORY


class ManifestError(RepositoryError):
    """A file is not one well-formed manifest. ``path`` and ``line`` (from 1) say where."""

    def __init__(self, path: str, line: int, problem: str, *, hint: str = "") -> None:
        where = f"{path}:{line}" if line else path
        super().__init__(f"{where}: {problem}", hint=hint)
        self.path = path
        self.line = line
        self.problem = problem


class RefusedError(GitOpsDRError):
    """We could, but will not without being told: a guard, a wrong cluster, no confirmation."""

    exit_code = ExitCode.REFUSED


class SecretError(RefusedError):
    """An encrypted file cannot be opened or written with the keys at hand.

    Neither message nor hint ever quotes a value, a data key or an identity.
    """
