"""Finds credentials of registries: Docker's file, and Secrets that pods pull with. Reads a file.

Helper programs that Docker can be told to run are not run.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gitops_dr.model import MaskedValue
from gitops_dr.registry.names import DOCKER_HUB

_HUB_KEYS = frozenset({"index.docker.io", "registry-1.docker.io", DOCKER_HUB})
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """By which one registry knows us."""

    registry: str
    basic: MaskedValue
    """User and password, as ``Authorization: Basic`` has them."""


def read_credentials(data: bytes) -> tuple[Credentials, ...]:
    """Read a ``config.json`` of Docker, or what a Secret of type dockerconfigjson holds.

    What is not as it should be holds none.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ()
    entries = document.get("auths") if isinstance(document, dict) else None
    found = []
    for key, entry in entries.items() if isinstance(entries, dict) else ():
        basic = _basic(entry)
        if basic:
            found.append(Credentials(_registry(key), MaskedValue(basic)))
    return tuple(found)


def dockers_own(environment: Mapping[str, str]) -> tuple[Credentials, ...]:
    """Those of the person who runs us: ``$DOCKER_CONFIG`` or ``~/.docker``."""
    folder = environment.get("DOCKER_CONFIG")
    home = environment.get("HOME")
    if not folder and not home:
        return ()
    path = Path(folder or f"{home}/.docker") / "config.json"
    try:
        with path.open("rb") as file:
            return read_credentials(file.read(_LARGEST))
    except OSError:
        return ()


def _registry(key: str) -> str:
    """The registry that a key of ``auths`` is about: some are whole URLs."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DOCKER_HUB if host in _HUB_KEYS else host


def _basic(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    auth, user, password = entry.get("auth"), entry.get("username"), entry.get("password")
    if isinstance(user, str) and isinstance(password, str) and user:
        return base64.b64encode(f"{user}:{password}".encode()).decode()
    try:
        if isinstance(auth, str) and b":" in base64.b64decode(auth, validate=True):
            return auth
    except (binascii.Error, ValueError):
        return ""
    return ""
