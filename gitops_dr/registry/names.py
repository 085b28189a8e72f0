"""Reads an image's name as container runtimes read it. Pure.

Source: https://github.com/distribution/reference/blob/main/normalize.go
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

DOCKER_HUB = "docker.io"
_HUBS_SERVER = "registry-1.docker.io"
_HOST = re.compile(r"[a-zA-Z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](?::[0-9]{1,5})?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,128}")
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class ImageName:
    """Which image of which registry."""

    registry: str
    """Host, with its port if it is not the usual one; ``docker.io`` where the name has none."""
    path: str
    reference: str
    """The digest, or else the tag."""

    @property
    def url(self) -> str:
        """Where its manifest is."""
        host = _HUBS_SERVER if self.registry == DOCKER_HUB else self.registry
        scheme = "http" if is_loopback(self.registry) else "https"
        return f"{scheme}://{host}/v2/{self.path}/manifests/{self.reference}"


def read_name(text: str) -> ImageName | None:
    """Read an image's name; None if it is none, or nothing that anybody should ask for."""
    if len(text) > _LONGEST:
        return None
    named, _, digest = text.partition("@")
    first, slash, rest = named.partition("/")
    registry, path = DOCKER_HUB, named
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = first, rest
    path, colon, tag = path.partition(":")
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    reference = digest or tag or "latest"
    if (
        _HOST.fullmatch(registry) is None
        or _PATH.fullmatch(path) is None
        or (colon and not _TAG.fullmatch(tag))
        or ("@" in text and not _DIGEST.fullmatch(digest))
    ):
        return None
    return ImageName(registry, path, reference)


def is_loopback(registry: str) -> bool:
    """Whether it is on this very machine, where nobody listens in between."""
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
