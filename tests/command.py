"""Runs the real command in a process of its own, as a user would, and shows what it said."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

COMMAND = Path(sys.executable).with_name("gitops-dr")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return orjson.loads(self.out)


def gitops_dr(
    *arguments: str,
    kubeconfig: Path | None = None,
    cwd: Path | None = None,
    timeout: float = 300.0,
    environment: Mapping[str, str] | None = None,
) -> Said:
    given = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    given |= {"GITOPS_DR_DEBUG": "1", **(environment or {})}
    if kubeconfig:
        given["KUBECONFIG"] = str(kubeconfig)
    done = subprocess.run(
        [COMMAND, *arguments],
        env=given,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def git(repo: Path, *arguments: str) -> str:
    # A machine that tests need not have anybody who commits.
    people = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Tester"), ("EMAIL", "tester@localhost"))
    }
    # The hook that a new repository comes with has tests of its own.
    done = subprocess.run(
        ["git", "-C", repo, "-c", f"core.hooksPath={os.devnull}", *arguments],
        env=os.environ | people,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode(errors="replace")


def commit_all(repo: Path, message: str = "By hand") -> str:
    """Commit whatever the files are now; the commit's id."""
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", message)
    return git(repo, "rev-parse", "HEAD").strip()
