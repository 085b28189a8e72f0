"""Looks for age identities where ``sops`` looks for them. Reads files and runs a person's command.

The places are those of https://github.com/getsops/sops/blob/v3.11.0/age/keysource.go. What a place
should have given and did not is a problem that counts only if nothing else opens a file. Nothing is
written, and nothing of a key reaches a message.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gitops_dr.errors import SecretError
from gitops_dr.keys.running import run
from gitops_dr.secrets.identities import Identities, parse_identities

KEY: Final = "SOPS_AGE_KEY"
KEY_FILE: Final = "SOPS_AGE_KEY_FILE"
KEY_COMMAND: Final = "SOPS_AGE_KEY_CMD"
SSH_KEY_FILE: Final = "SOPS_AGE_SSH_PRIVATE_KEY_FILE"

_SSH_FILES: Final = ("id_ed25519", "id_rsa")
_DEFAULT: Final = Path("sops/age/keys.txt")
_MAX_BYTES: Final = 1 << 20
_SECONDS: Final = 60.0
"""A command may ask a person for a password."""


def find_identities(
    environment: Mapping[str, str], home: Path, *, seconds: float = _SECONDS
) -> Identities:
    """Collect every identity that ``sops`` would find; none at all is no error.

    ``SOPS_AGE_KEY``, ``SOPS_AGE_KEY_FILE``, the output of ``SOPS_AGE_KEY_CMD`` (which has
    ``seconds``), ``SOPS_AGE_SSH_PRIVATE_KEY_FILE``, the key file in the folder of the user's
    configuration, and the SSH keys in ``home``. A key file that others can read is a warning of the
    result. Call it when a Secret has to be opened, not before.
    """
    found = Identities()
    if KEY in environment:
        found += _parsed(environment[KEY], KEY)
    for variable in (KEY_FILE, SSH_KEY_FILE):
        if name := environment.get(variable):
            found += _file(Path(name).expanduser(), variable)
    if command := environment.get(KEY_COMMAND):
        found += _printed(command, environment, seconds)
    ssh_files = [home / ".ssh" / name for name in _SSH_FILES]
    for path in (_folder(environment, home) / _DEFAULT, *ssh_files):
        found += _file(path) if path.exists() else Identities(searched=(str(path),))
    return _without_doubles(found)


def _folder(environment: Mapping[str, str], home: Path) -> Path:
    """Where programs keep the user's configuration, as Go's ``os.UserConfigDir`` sees it."""
    if configured := environment.get("XDG_CONFIG_HOME"):
        return Path(configured)
    return home / ("Library/Application Support" if sys.platform == "darwin" else ".config")


def _parsed(text: str, place: str) -> Identities:
    try:
        return parse_identities(text, place)
    except SecretError as error:
        return _problem(place, error.message)


def _problem(place: str, problem: str, *, warnings: tuple[str, ...] = ()) -> Identities:
    return Identities(searched=(place,), problems=(problem,), warnings=warnings)


def _file(path: Path, variable: str = "") -> Identities:
    place = f"{variable} {path}".strip()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        return _problem(place, f"{place}: {reason}")
    try:
        found = _parsed(data.decode(), place)
    except UnicodeDecodeError:
        found = _problem(place, f"{place}: no text")
    if stat.S_ISREG(mode) and mode & 0o077 and found.found:
        found += Identities(
            warnings=(f"{path}: others can read this key file; repair it by: chmod 600 {path}",)
        )
    return found


def _printed(command: str, environment: Mapping[str, str], seconds: float) -> Identities:
    """Run a command and read the keys that it prints. Its arguments may be secret too."""
    try:
        arguments = shlex.split(command)
    except ValueError:
        arguments = []
    if not arguments:
        return _problem(KEY_COMMAND, f"{KEY_COMMAND}: no command line that a shell would take")
    program = f"{KEY_COMMAND}: {arguments[0]}"
    try:
        ended = run(arguments, environment, seconds)
    except TimeoutError as error:
        return _problem(KEY_COMMAND, f"{program}: {error}")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no command"
        return _problem(KEY_COMMAND, f"{program}: {reason}")
    if ended.code:
        return _problem(KEY_COMMAND, f"{program}: ended with {ended.code}")
    try:
        found = _parsed(ended.output.decode(), KEY_COMMAND)
    except UnicodeDecodeError:
        return _problem(KEY_COMMAND, f"{program}: printed no text")
    return found if found.found or found.problems else _problem(KEY_COMMAND, f"{program}: no key")


def _without_doubles(found: Identities) -> Identities:
    """Keep one of each age key; of SSH keys the public half, which tells them apart, is unknown."""
    known = {identity.recipient or str(id(identity)): identity for identity in found.found}
    return Identities(tuple(known.values()), found.searched, found.problems, found.warnings)
