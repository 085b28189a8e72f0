"""What the acts of the demo share: where they play, headings, commands shown and run, the clock."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hands import LEDGER, PASSWORD, ledger_file, secret_digest

from gitops_dr import lab
from gitops_dr.lab import Lab

# Outside of the checkout, which is a repository itself; it stays for the user to look at.
PLACE = Path(tempfile.mkdtemp(prefix="gitops-dr-demo-"))
REPOSITORY = PLACE / "bookstore"
REPO = ("--repo", str(REPOSITORY))
KEY = PLACE / "age.key"
COMMAND = Path(sys.executable).with_name("gitops-dr")

ENVIRONMENT = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Demo"), ("EMAIL", "demo@localhost"))
}

# The pre-commit hook of a new repository looks for the command there.
ENVIRONMENT["PATH"] = f"{COMMAND.parent}{os.pathsep}{os.environ.get('PATH', '')}"

phases: list[tuple[str, float]] = []


def reach(*clusters: Lab) -> str:
    """A KUBECONFIG by which ordinary accounts reach these labs; it outlives them."""
    paths = [PLACE / f"{each.name}.kubeconfig" for each in clusters]
    for path, each in zip(paths, clusters, strict=True):
        if each.directory.is_dir():
            path.touch(mode=0o600)
            path.write_bytes(lab.service_account_kubeconfig(each).read_bytes())
    return os.pathsep.join(map(str, paths))


def timed[T](what: str, deed: Callable[[], T]) -> T:
    """Do it, and note how long it took."""
    started = time.monotonic()
    result = deed()
    phases.append((what, time.monotonic() - started))
    return result


def say(title: str) -> None:
    """A heading."""
    print(f"\n== {title}", flush=True)


def show_ledger(name: str, orders: str) -> None:
    """Print the checksum of the ledger's data, as it lies in a lab's volume; it must be that."""
    file = ledger_file(name)
    text = file.read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()
    number = text.count("\n") - 1
    print(f"{'/'.join(LEDGER)}: {file.name} has {number} orders, sha256 {digest[:16]}", flush=True)
    if text != orders:
        raise SystemExit("the ledger is not what it was")


def show_password(kubeconfig: str) -> str:
    """Print a digest of the password's Secret, and return it."""
    digest = secret_digest(Path(kubeconfig))
    print(f"Secret {'/'.join(PASSWORD)}: sha256 of its values {digest[:16]}", flush=True)
    return digest


def gitops_dr(kubeconfig: str, *arguments: str) -> int:
    """Show a command line, run it, and return its exit code; only drift may end with 1."""
    print(f"$ gitops-dr {shlex.join(arguments)}", flush=True)
    environment = {**os.environ, **ENVIRONMENT, "KUBECONFIG": kubeconfig}
    if arguments[0] != "export":
        # An export needs no private key, and should have none.
        environment["SOPS_AGE_KEY_FILE"] = str(KEY)
    code = subprocess.run([COMMAND, *arguments], env=environment, check=False).returncode
    if code and not (code == 1 and arguments[0] == "drift"):
        raise SystemExit(f"gitops-dr {arguments[0]} ended with exit code {code}")
    return code


def write(path: str, data: bytes, message: str = "") -> None:
    """Write a file of the repository, and commit all if there is a message."""
    file = REPOSITORY / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    if message:
        git("add", "--all")
        git("commit", "-qm", message)


def git(*arguments: str) -> None:
    """Show a git command line and run it in the repository."""
    print(f"$ git {shlex.join(arguments)}", flush=True)
    environment = {**os.environ, **ENVIRONMENT}
    subprocess.run(["git", "--no-pager", *arguments], cwd=REPOSITORY, env=environment, check=True)
