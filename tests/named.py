"""Which tests there are, for the tables in docs/ and beside tests that name some."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

COLLECTED = pytest.StashKey[frozenset[str]]()
"""What this session collected, before anything was deselected; see conftest.py."""


def missing(named: Iterable[str], config: pytest.Config) -> list[str]:
    """Those of ``tests/FILE``, ``tests/FILE::TEST`` and ``...[PARAMETERS]`` that do not exist."""
    here = _names(config.stash[COLLECTED])
    elsewhere = {test.partition("::")[0] for test in set(named) - here}
    return sorted(set(named) - here - _names(_collect(elsewhere)))


def _names(tests: Iterable[str]) -> set[str]:
    """What tests may be called by: their file, without and with parameters."""
    return {
        name for test in tests for name in (test.partition("::")[0], test.partition("[")[0], test)
    }


def _collect(files: Iterable[str]) -> list[str]:
    there = sorted(file for file in files if (ROOT / file).is_file())
    if not there:
        return []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, *there], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()
