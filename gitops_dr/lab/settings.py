"""What a supervisor is told, as one JSON text. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

SERVICE_RANGE = "10.96.0.0/16"
SERVICE_IP = "10.96.0.1"
"""First address of the range: the ``kubernetes`` Service."""
POD_RANGE = "10.244.0.0/16"

PID_FILE = "supervisor.pid"
KEEP = b"keep\n"
"""What a supervisor reads when its lab shall outlive the process that started it."""
STARTED = ("fixtures", "kube-apiserver", "controllers", "nodes")
"""What a supervisor says has started, in order."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One lab as it shall be."""

    name: str
    directory: str
    """The lab's folder; it exists and is locked."""
    storage: str
    """The CSI driver's folder; empty for one inside the lab's own."""
    saved: str
    """A file made by ``save``, or empty for a new cluster."""
    api_server_flags: tuple[str, ...]
    """Appended to the API server's command line, where the last of two equal flags wins."""
    assets: dict[str, str] = field(default_factory=dict)
    """Paths of programs and interface files, by name."""

    def path(self, name: str) -> Path:
        """A file or folder of the lab."""
        return Path(self.directory) / name

    @property
    def storage_path(self) -> Path:
        """Where volumes and snapshots are."""
        return Path(self.storage) if self.storage else self.path("storage")

    def encoded(self) -> str:
        """The JSON that :func:`decode` reads."""
        return json.dumps(asdict(self))


def decode(text: str) -> Settings:
    """Read what ``Settings.encoded`` wrote."""
    content = json.loads(text)
    content["api_server_flags"] = tuple(content["api_server_flags"])
    return Settings(**content)
