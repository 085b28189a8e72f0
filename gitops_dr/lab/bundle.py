"""A saved lab: one tar file with etcd's content, the keys it depends on and its own volumes.

Runs ``etcdctl``. The lab goes on running while it is saved: etcd's snapshot is of one moment. A
storage folder that the lab shares is not copied, because it outlives the lab anyway.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from pathlib import Path

from gitops_dr.errors import LabError
from gitops_dr.lab.handle import Lab

_SNAPSHOT = "etcd.db"
_KEYS = ("ca.crt", "ca.key", "sa.key")
_STORAGE = "storage"


def pack(lab: Lab, etcdctl: Path, file: Path) -> None:
    """Write the saved lab to ``file``, readable by its owner only; whole or not at all.

    Raises ``LabError`` if etcd gives no snapshot.
    """
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
        snapshot, partial = Path(folder) / _SNAPSHOT, Path(folder) / "bundle.tar"
        command = [
            str(etcdctl),
            f"--endpoints={lab.etcd}",
            f"--cacert={lab.pki / 'ca.crt'}",
            f"--cert={lab.pki / 'admin.crt'}",
            f"--key={lab.pki / 'admin.key'}",
            "snapshot",
            "save",
            str(snapshot),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise LabError(f"lab {lab.name}: etcd gives no snapshot", hint=done.stderr.strip())
        with tarfile.open(partial, "w") as archive:
            archive.add(snapshot, _SNAPSHOT)
            for name in _KEYS:
                archive.add(lab.pki / name, f"pki/{name}")
            if lab.storage == lab.directory / _STORAGE and lab.storage.is_dir():
                archive.add(lab.storage, _STORAGE)
        partial.chmod(0o600)
        partial.rename(file)


def unpack(file: Path, lab: Lab) -> None:
    """Put a saved lab's files into the folder of a new one, before its processes start.

    Raises ``LabError`` if ``file`` is not a saved lab.
    """
    try:
        with tarfile.open(file) as archive:
            names = set(archive.getnames())
            wanted = {_SNAPSHOT, *(f"pki/{name}" for name in _KEYS)}
            if not wanted <= names:
                raise LabError(f"{file}: is not a saved lab")
            for member in archive:
                if member.name in wanted or member.name.split("/")[0] == _STORAGE:
                    archive.extract(member, lab.directory, filter="tar")
    except (OSError, tarfile.TarError) as error:
        raise LabError(f"{file}: cannot be read as a saved lab: {error}") from error


def unpacked_snapshot(lab: Lab) -> Path:
    """Where :func:`unpack` put etcd's content."""
    return lab.directory / _SNAPSHOT
