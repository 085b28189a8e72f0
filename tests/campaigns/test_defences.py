"""Each defence against hostile content is taken out in a copy, and its tests must fail there.

The rows are those of ``tests/security/hostile.yaml``.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from security.rows import ROOT, Row, rows

pytestmark = pytest.mark.campaign

LIMIT = 120
"""Seconds; without some defences nothing ever ends."""
MEMORY = 6 << 30


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    skipped = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("gitops_dr", "tests", "docs", "templates", "demo"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(copy: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


def test_with_all_of_them_the_tests_pass(copy: Path) -> None:
    """Else nothing would follow from their failing."""
    probe = "import gitops_dr; print(gitops_dr.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", probe], cwd=copy, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(copy))
    every = tuple(sorted({test for row in rows() for test in row.tests}))
    done = run(copy, every)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_without_it_its_tests_fail(copy: Path, row: Row) -> None:
    file = copy / "gitops_dr" / row.file
    before = file.read_text(encoding="utf-8")
    file.write_text(row.take_out(before), encoding="utf-8")
    try:
        for test in row.tests:
            try:
                done = run(copy, (test,))
            except subprocess.TimeoutExpired:
                continue
            assert done.returncode in (1, -9), f"{test}\n{done.stdout}{done.stderr}"
    finally:
        file.write_text(before, encoding="utf-8")
