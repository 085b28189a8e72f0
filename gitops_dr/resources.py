"""Finds the files that ship with the package, in a wheel and in a checkout alike. Reads only."""

from __future__ import annotations

from pathlib import Path

from gitops_dr.errors import GitOpsDRError

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The path of a shipped file or folder, for example ``templates/repository``.

    Files inside the package (``rules/objects.yaml``) are found beside the code; ``templates/`` and
    ``cluster-repos/`` stand at the root of a checkout and inside the package in a wheel.
    Raises ``GitOpsDRError`` if the installation lacks it.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        candidate = root / name
        if candidate.exists():
            return candidate
    raise GitOpsDRError(
        f"{name}: this file ships with gitops-dr, but the installation lacks it",
        hint="reinstall gitops-dr",
    )
