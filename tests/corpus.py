"""Finds the corpus of real manifests, which is kept outside the project. Reads only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus"


def corpus() -> Path:
    """The corpus folder; skips the test, with the reason, where there is none.

    ``GITOPS_DR_CORPUS`` names it; without that it is ``../shared/corpus`` beside the project.
    """
    folder = Path(os.environ.get("GITOPS_DR_CORPUS") or _BESIDE)
    if not (folder / "objects.jsonl.gz").is_file():
        pytest.skip(f"no corpus of real manifests in {folder} (set GITOPS_DR_CORPUS)")
    return folder
