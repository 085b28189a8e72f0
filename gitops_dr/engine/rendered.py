"""Reads the files that Helm or Kustomize rendered into a folder. Reads files, and nothing else.

They are no part of the repository, so nobody has looked at them: links that lead elsewhere are
refused, and sizes are limited as everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gitops_dr.desired.authored import SUFFIXES, Authored
from gitops_dr.errors import ManifestError, UsageError
from gitops_dr.manifests.limits import MAX_FILE_BYTES
from gitops_dr.manifests.parse import parse_rendered


def read_rendered(place: Path) -> tuple[Authored, ...]:
    """Read every manifest below a folder, or those of one file, in the order of the paths.

    Files are those that end in ``.yaml``, ``.yml`` or ``.json``; hidden ones and hidden folders are
    left out. Raises ``UsageError`` if there is no such place, no manifest in it, or a link that
    leads out of it, and ``ManifestError`` with file and line for what is no manifest.
    """
    try:
        found = [
            Authored(body, str(path))
            for path in _files(place)
            for body in parse_rendered(_content(path), str(path))
        ]
    except OSError as error:
        raise UsageError(f"--rendered {place}: {error.strerror}: {error.filename}") from error
    if not found:
        raise UsageError(
            f"--rendered {place}: no manifest in it",
            hint="give it what helm template --output-dir or kustomize build -o wrote",
        )
    return tuple(found)


def _files(place: Path) -> Iterator[Path]:
    if not place.exists():
        raise UsageError(f"--rendered {place}: no such folder")
    if not place.is_dir():
        yield place
        return
    root = place.resolve()
    for folder, folders, files in os.walk(place, onerror=_refuse):
        for name in folders:
            _check_inside(Path(folder, name), root)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(SUFFIXES) and not name.startswith("."):
                _check_inside(path, root)
                yield path


def _refuse(error: OSError) -> None:
    raise error


def _check_inside(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise UsageError(
            f"{path}: a link that leads out of {root}", hint="copy what it leads to, or remove it"
        )


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise ManifestError(str(path), 0, "not a file")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ManifestError(str(path), 0, f"{size} bytes; at most {MAX_FILE_BYTES} are read")
    return path.read_bytes()
