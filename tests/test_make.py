"""The set-up on a fresh machine: finding a Python, and requirements that are pinned.

Runs scripts with fake interpreters on PATH; no network, nothing outside tmp_path is written.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FAILING_SHIM = "echo 'pyenv: python3.13: command not found' >&2; echo 'more words' >&2; exit 127"
TOO_OLD = "echo 'Python 3.11.2, too old' >&2; exit 1"
WITHOUT_ENSUREPIP = "echo 'Python 3.12.3, without ensurepip' >&2; exit 1"
GOOD = f'exec "{sys.executable}" "$@"'


def find_python(
    tmp_path: Path, candidates: dict[str, str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the script with only these candidates on PATH (each a line of shell)."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, line in candidates.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    for tool in ("head", "tail", "cat"):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    return subprocess.run(
        [ROOT / "scripts" / "find-python"],
        env={"PATH": str(folder), "HOME": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_candidates_are_run_and_the_first_that_fits_is_taken(tmp_path: Path) -> None:
    found = find_python(
        tmp_path,
        {
            "python3.14": FAILING_SHIM,
            "python3.13": WITHOUT_ENSUREPIP,
            "python3": TOO_OLD,
            "python": GOOD,
        },
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert Path(found.stdout.rstrip("\n")).samefile(sys.executable)


def test_a_warning_before_the_answer_does_no_harm(tmp_path: Path) -> None:
    found = find_python(tmp_path, {"python3": f"echo 'a warning' >&2; {GOOD}"})
    assert Path(found.stdout.rstrip("\n")).samefile(sys.executable)


def test_the_user_may_name_one(tmp_path: Path) -> None:
    found = find_python(tmp_path, {"python3": TOO_OLD}, PYTHON=sys.executable)
    assert Path(found.stdout.rstrip("\n")).samefile(sys.executable)


def test_pyenv_versions_are_found_although_their_shims_fail(tmp_path: Path) -> None:
    pyenv = tmp_path / ".pyenv" / "versions" / "3.12.1" / "bin"
    pyenv.mkdir(parents=True)
    (pyenv / "python").write_text(f"#!/bin/sh\n{GOOD}\n")
    (pyenv / "python").chmod(0o755)
    found = find_python(tmp_path, {"python3": FAILING_SHIM})
    assert Path(found.stdout.rstrip("\n")).samefile(sys.executable)


@pytest.mark.skipif(
    any(map(os.path.exists, ("/opt/homebrew/bin/python3", "/usr/local/bin/python3"))),
    reason="this machine has a Python in a place that the script always tries",
)
def test_none_is_said_plainly(tmp_path: Path) -> None:
    found = find_python(
        tmp_path,
        {"python3.13": FAILING_SHIM, "python3.12": WITHOUT_ENSUREPIP, "python3": TOO_OLD},
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("gitops-dr needs Python 3.12 or newer")
    tried = [line.strip() for line in found.stderr.splitlines() if line.startswith("  python")]
    assert tried == [
        "python3.14: not found",
        "python3.13: pyenv: python3.13: command not found",
        "python3.12: Python 3.12.3, without ensurepip",
        "python3: Python 3.11.2, too old",
        "python: not found",
    ]
    assert "apt install" in found.stderr


def test_this_python_passes_the_real_probe(tmp_path: Path) -> None:
    """And an older one fails it, which the fakes above cannot show."""
    script = (ROOT / "scripts" / "find-python").read_text()
    probe = script.split("probe='")[1].split("'\n")[0]
    run = subprocess.run(
        [sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True
    )
    assert Path(run.stdout.strip()).samefile(sys.executable)
    old = "import sys; sys.version_info = (3, 11, 2)\n" + probe
    run = subprocess.run(
        [sys.executable, "-I", "-c", old], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (1, "Python 3.11.2, too old\n")


def pinned() -> dict[str, str]:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))


def test_every_requirement_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["lab"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    versions = pinned()
    for requirement in map(Requirement, lines):
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, (
            f"{requirement}: run `make lock`"
        )


def test_the_lock_has_hashes_for_all_and_names_no_place() -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pinned())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--index|--extra-index|--find-links|^\s*#.* /", text, re.MULTILINE)


def test_every_target_has_its_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^  make ([a-z-]+) +\S", shown.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(targets[1].split())
