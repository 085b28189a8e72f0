"""What is known of a running lab, kept as a file in its folder. Reads and writes that file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FILE = "lab.json"


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab."""

    name: str
    """Also the name of its kubeconfigs' context."""
    directory: Path
    """Everything it has on disk, gone when it is taken down."""
    storage: Path
    """Where the CSI driver keeps volumes and snapshots; may be shared and outlive the lab."""
    server: str
    """URL of the API server."""
    etcd: str
    """URL of etcd; it takes the lab's client certificates."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def pki(self) -> Path:
        """The folder of the lab's keys and certificates."""
        return self.directory / "pki"


def write(lab: Lab) -> None:
    """Write the handle into the lab's folder, as the last act of its start."""
    content = {"storage": str(lab.storage), "server": lab.server, "etcd": lab.etcd}
    partial = lab.directory / f".{_FILE}"
    partial.write_text(json.dumps(content))
    partial.rename(lab.directory / _FILE)


def read(directory: Path) -> Lab | None:
    """The handle in a lab's folder, or nothing if the lab has not come up (yet)."""
    try:
        content = json.loads((directory / _FILE).read_text())
    except FileNotFoundError:
        return None
    return Lab(
        name=directory.name,
        directory=directory,
        storage=Path(content["storage"]),
        server=content["server"],
        etcd=content["etcd"],
    )
