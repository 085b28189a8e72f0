"""Finds the lab's programs and interface files, or has them built once. Reads the file system.

Order: ``GITOPS_DR_LAB_ASSETS``, ``KUBEBUILDER_ASSETS``, the user's cache, ``PATH``, a build. The
folders may hold only some of the files: what one lacks is looked up in the next.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gitops_dr.errors import LabError
from gitops_dr.events import Emit, silent
from gitops_dr.lab.build import build
from gitops_dr.lab.parts import INTERFACES, PARTS, Part, fingerprint

FOLDERS = ("GITOPS_DR_LAB_ASSETS", "KUBEBUILDER_ASSETS")


@dataclass(frozen=True, slots=True)
class Assets:
    """Where each file of the lab's parts is, by its name."""

    paths: Mapping[str, Path]

    def path(self, name: str) -> Path:
        """The path of one program or interface file, for example ``etcd``."""
        return self.paths[name]


def assets(emit: Emit = silent) -> Assets:
    """Find every part; build those that are found nowhere (minutes, once, with progress).

    Raises ``LabError`` if a build is needed and fails, or if there is no Go toolchain for it.
    """
    paths: dict[str, Path] = {}
    for part in PARTS:
        found = _find(part)
        if found is None:
            build(part, cached(part), emit)
            found = _find(part)
        if found is None:
            raise LabError(f"{part.name}: was built, but {cached(part)} is not complete")
        paths |= found
    return Assets(paths)


def cached(part: Part) -> Path:
    """The folder in the user's cache that holds this part in this version, once it is built."""
    from platformdirs import user_cache_path

    version = _version(part.generator) if part.generator else ""
    name = f"{part.name}-{fingerprint(part, version)}"
    return user_cache_path("gitops-dr") / "lab" / name


def _find(part: Part) -> dict[str, Path] | None:
    """Every file of the part, or nothing if one of them is nowhere."""
    folders = [Path(os.environ[name]) for name in FOLDERS if os.environ.get(name)]
    folders.append(cached(part))
    found: dict[str, Path] = {}
    for name in part.files:
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is None and part is not INTERFACES and (program := shutil.which(name)):
            path = Path(program)
        if path is None:
            return None
        found[name] = path.resolve()
    return found


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise LabError(
            f"{distribution}: is not installed, and the lab needs it",
            hint="pip install 'gitops-dr[lab]'",
        ) from None
