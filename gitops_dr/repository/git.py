"""The door itself: starts the real ``git`` from argument lists, so that nothing else runs with it.

Hooks, filters, file-system monitors, pagers, prompts, signing programs and remotes are all shut
out here, for every command alike; the user's identity and ``safe.directory`` stay in force.
Runs ``git`` and writes what those commands write, nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gitops_dr.errors import RepositoryError

MINIMUM_VERSION = (2, 30)
"""Debian 11's; older ones lack ``--end-of-options`` where we need it."""

_SETTINGS = {
    # Programs that a repository's configuration could name.
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "commit.gpgSign": "false",
    # Only who signs or checks a signature starts one, and then these, from PATH.
    "gpg.program": "gpg",
    "gpg.openpgp.program": "gpg",
    "gpg.x509.program": "false",
    "gpg.ssh.program": "ssh-keygen",
    "gpg.ssh.defaultKeyCommand": "false",
    "log.showSignature": "false",
    "submodule.recurse": "false",
    # Bytes are bytes: in-tree attributes cannot be turned off, so no command of ours converts.
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "i18n.commitEncoding": "UTF-8",
    # Names that are one with `.git` on another file system.
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    # A recovery point survives a power cut; `batch` makes that one flush, not one an object.
    "core.fsync": "committed,reference",
    "core.fsyncMethod": "batch",
}

_PIPE = 1 << 16
"""Bytes that are read of a command at once: what a pipe of Linux holds."""

_ENVIRONMENT = {
    "LC_ALL": "C",
    # An empty list: this door speaks to no remote, not even to fetch what a partial clone lacks.
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    # What a commit is must not depend on local replacements.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    # For each object that git compresses, glibc takes memory from the kernel and gives it back:
    # half of the time of fast-import. Others know neither of them.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}

# Of the caller's GIT_* only who commits and where configuration is; GIT_DIR, GIT_INDEX_FILE and
# their like are set by hooks and aliases, and would send us to another repository.
_KEPT = re.compile(
    r"GIT_(AUTHOR_\w+|COMMITTER_\w+|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+)"
    r"|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM|EXEC_PATH)"
)

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Git:
    """``git``, run in the directory ``root``."""

    root: Path

    def run(
        self,
        args: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one command to its end and return its standard output.

        ``env`` is added to the environment. Raises ``RepositoryError`` if it fails.
        """
        done = self._run(args, stdin, env)
        if done.returncode:
            raise self._failure(args, done.returncode, done.stderr)
        return done.stdout

    def ask(self, args: Sequence[str], *, no: Collection[int] = (1,)) -> str | None:
        """Run a command whose exit codes ``no`` mean "no such thing": its output, or None.

        The final newline is cut. Raises ``RepositoryError`` for any other failure.
        """
        done = self._run(args, b"", None)
        if done.returncode in no:
            return None
        if done.returncode:
            raise self._failure(args, done.returncode, done.stderr)
        return os.fsdecode(done.stdout.removesuffix(b"\n"))

    def verdict(
        self, args: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> tuple[bool, str]:
        """Run a command that judges: whether it ended well, and all that it said of it.

        ``env`` is added to the environment. What it said is neither scrubbed nor safe to show.
        Raises ``RepositoryError`` if it cannot be started.
        """
        done = self._run(args, b"", env)
        return done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")

    def feed(self, args: Sequence[str], chunks: Iterable[bytes]) -> bytes:
        """Run a command that reads ``chunks`` as they are made; return its standard output.

        Raises ``RepositoryError`` if it fails; an error while making a chunk kills the command.
        """
        # What it says goes through a file, so neither side can wait for the other.
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            process = self._start(args, stdin=subprocess.PIPE, stdout=stdout, err=stderr)
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            with process:
                try:
                    for chunk in chunks:
                        process.stdin.write(chunk)
                    process.stdin.flush()
                except BrokenPipeError:
                    pass  # The exit code and standard error say why.
                except BaseException:
                    process.kill()
                    raise
                finally:
                    _close(process.stdin)
            self._check(args, process, stderr)
            stdout.seek(0)
            return stdout.read()

    @contextmanager
    def stream(self, args: Sequence[str], *, stdin: bytes = b"") -> Iterator[IO[bytes]]:
        """Run a command and hand out its standard output as a file, to be read to its end.

        Input goes through a temporary file, so neither side can wait for the other. Leaving by an
        exception kills the command. Raises ``RepositoryError`` if it fails.
        """
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as stderr:
            source.write(stdin)
            source.seek(0)
            process = self._start(args, stdin=source, stdout=subprocess.PIPE, err=stderr)
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            with process:
                try:
                    yield process.stdout
                except BaseException:
                    process.kill()
                    raise
            self._check(args, process, stderr)

    def _run(
        self, args: Sequence[str], stdin: bytes, env: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                _command(args),
                cwd=self.root,
                env=_environment() | dict(env or {}),
                input=stdin,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise self._cannot_start(error) from error

    def _start(
        self,
        args: Sequence[str],
        *,
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        err: IO[bytes],
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                _command(args),
                cwd=self.root,
                env=_environment(),
                stdin=stdin,
                stdout=stdout,
                stderr=err,
                bufsize=_PIPE,
            )
        except OSError as error:
            raise self._cannot_start(error) from error

    def _check(
        self, args: Sequence[str], process: subprocess.Popen[bytes], stderr: IO[bytes]
    ) -> None:
        if process.returncode:
            stderr.seek(0)
            raise self._failure(args, process.returncode, stderr.read())

    def _failure(self, args: Sequence[str], code: int, stderr: bytes) -> RepositoryError:
        said = scrub(stderr.decode(errors="replace")) or f"ended with code {code}"
        hint = ""
        if "index.lock" in said or "cannot lock ref" in said:
            hint = "another git may be running; if none is, delete the .lock file named here"
        elif "dubious ownership" in said:
            hint = "the repository belongs to someone else; see safe.directory in `git help config`"
        return RepositoryError(f"{self.root}: git {_verb(args)}: {said}", hint=hint)

    def _cannot_start(self, error: OSError) -> RepositoryError:
        if shutil.which("git") is None:
            wanted = ".".join(map(str, MINIMUM_VERSION))
            return RepositoryError("git: not found", hint=f"install git {wanted} or newer")
        return RepositoryError(f"{self.root}: {error.strerror}")


def installed_version() -> str:
    """The version of ``git`` in its own words, such as ``2.39.5``. Raises ``RepositoryError``."""
    said = Git(Path.cwd()).run(["version"]).decode().split()
    return said[2] if len(said) > 2 else ""


def check_version() -> None:
    """Raise ``RepositoryError`` if ``git`` is missing or older than ``MINIMUM_VERSION``."""
    said = Git(Path.cwd()).run(["version"]).decode()
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise RepositoryError(
            f"git: version {found[0]} is too old", hint=f"install {wanted} or newer"
        )


def scrub(stderr: str) -> str:
    """Return the line of a complaint that matters, without credentials and control characters."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    line = (fatal or lines or [""])[0].removeprefix("fatal: ").removeprefix("error: ")
    return _CONTROL.sub("?", _CREDENTIALS.sub("***@", line))


def user_revision(text: str) -> str:
    """Return ``text`` unless git could take it for an option or a negation.

    Raises ``RepositoryError`` then, and for control characters.
    """
    if not text or text.startswith(("-", "^")) or _CONTROL.search(text):
        raise RepositoryError(
            f"{text!r}: this is not the name of a commit",
            hint="give a commit, a tag, a branch or a time",
        )
    return text


def _command(args: Sequence[str]) -> list[str]:
    settings = [part for item in _SETTINGS.items() for part in ("-c", "=".join(item))]
    return ["git", "--no-pager", *settings, *args]


def _verb(args: Sequence[str]) -> str:
    """The command itself, after settings of its own."""
    place = 0
    while args[place] == "-c":
        place += 2
    return args[place]


def _environment() -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or _KEPT.fullmatch(name)
    }
    return inherited | _ENVIRONMENT


def _close(pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        pipe.close()
