"""Runs the real command in a process of its own, as a user would, and shows what it said."""

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
from prepared import Prepared

COMMAND = Path(sys.executable).with_name("gitops-dr")

# Two of them in turn: in each, sets have another order.
_PROCESSES = itertools.cycle((Prepared(), Prepared()))

_GROUPS = ("lab", "points", "secrets", "volumes")
_DONE = (0, 1, 3)

_started: set[str] = set()
"""Commands that have come to their end from nothing, with no more than they import themselves."""


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
    """Run the installed command until it has worked once, and then forks (see prepared.py)."""
    given = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    given |= {"GITOPS_DR_DEBUG": "1", **(environment or {})}
    if kubeconfig:
        given["KUBECONFIG"] = str(kubeconfig)
    words = [str(each) for each in arguments]
    name = " ".join(words[: 2 if words[:1] and words[0] in _GROUPS else 1])
    if name in _started:
        said = next(_PROCESSES).run(words, environment=given, cwd=cwd, timeout=timeout)
    else:
        said = _installed(words, given, cwd, timeout)
        if said[0] in _DONE:
            _started.add(name)
    code, out, err = said
    return Said(code, out.decode(), err.decode())


def _installed(
    words: list[str], environment: Mapping[str, str], cwd: Path | None, timeout: float
) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        [COMMAND, *words],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=timeout,
    )
    return done.returncode, done.stdout, done.stderr


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
