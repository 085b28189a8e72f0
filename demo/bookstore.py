"""``make demo``: a shop goes into Git with its data, drifts, is destroyed, and comes back twice.

Starts three labs, one after the other, on one storage, as a failover site would share it. The real
command runs in between, so everything printed here is what a user would see. The repository that it
makes stays in a temporary folder.
"""

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

from hands import (
    LEDGER,
    PASSWORD,
    add_a_variable,
    delete_a_config_map,
    ledger_file,
    make_a_secret,
    scale_the_api,
    secret_digest,
    write_ledger,
)
from shop import create_shop, wait_until_open

from gitops_dr import lab
from gitops_dr.cluster.connect import connect
from gitops_dr.errors import GitOpsDRError
from gitops_dr.events import Advanced, Event, Notice, PhaseStarted

# Outside of the checkout, which is a repository itself; it stays for the user to look at.
PLACE = Path(tempfile.mkdtemp(prefix="gitops-dr-demo-"))
REPOSITORY = PLACE / "bookstore"
KEY = PLACE / "age.key"
NAMESPACE, NAME = PASSWORD
SEALED = REPOSITORY / f"clusters/bookstore/namespaces/{NAMESPACE}/secrets/{NAME}.yaml"
COMMAND = Path(sys.executable).with_name("gitops-dr")

ENVIRONMENT = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Demo"), ("EMAIL", "demo@localhost"))
}

# The pre-commit hook of a new repository looks for the command there.
ENVIRONMENT["PATH"] = f"{COMMAND.parent}{os.pathsep}{os.environ.get('PATH', '')}"

# What is on the file server is no cluster's to capture; it is said, so that it is no gap.
VOLUMES = """
volumes:
  policies:
  - namespace: catalog
    name: legacy-scans
    capture: false
"""

MORNING, EVENING = "order,total\n1,19.90\n", "order,total\n1,19.90\n2,7.50\n"

digests: list[str] = []
phases: list[tuple[str, float]] = []


def main() -> int:
    """Run the story; 0 if both rebuilt clusters equal their commits, data included."""
    # Where they are not there yet, this takes minutes; it is no part of the story.
    lab.assets(emit=tell)
    began = time.monotonic()
    storage = PLACE / "storage"
    storage.mkdir()

    say("A cluster with a shop in it")
    started = time.monotonic()
    with lab.running("bookstore-primary", storage=storage) as primary:
        phases.append(("first cluster up", time.monotonic() - started))
        connection = connect(primary.kubeconfig, primary.name)
        number = timed("shop created", lambda: create_shop(connection))
        timed("shop open", lambda: wait_until_open(connection))
        print(f"{number} objects created by plain API calls; every workload is ready.")
        reach = lab.service_account_kubeconfig(primary)

        say("The cluster goes into Git, and its volumes into snapshots of the same commit")
        write_ledger(primary.name, MORNING)
        show_ledger(primary.name)
        make_a_secret(connection)
        gitops_dr(reach, "init", str(REPOSITORY), "--cluster", "bookstore")
        configure(VOLUMES)
        gitops_dr(reach, "secrets", "init", "--key-file", str(KEY), "--quiet", *REPO)
        timed("export", lambda: gitops_dr(reach, "export", "--volumes", *REPO))
        gitops_dr(reach, "export", "--quiet", *REPO)
        show_sealed()
        digests.append(secret_digest(reach))
        git("log", "--stat=100,60", "--stat-count=6", "-1")
        git("tag", "morning")

        say("Three people work past Git")
        scale_the_api(connection)
        add_a_variable(connection)
        delete_a_config_map(connection)
        timed("drift", lambda: gitops_dr(reach, "drift", *REPO))
        timed("revert", lambda: gitops_dr(reach, "revert", "--yes", *REPO))
        if gitops_dr(reach, "drift", "--quiet", *REPO):
            raise SystemExit("the difference is not empty after revert")

        say("The day goes on; a second recovery point")
        write_ledger(primary.name, EVENING)
        show_ledger(primary.name)
        timed("second export", lambda: gitops_dr(reach, "export", "--volumes", "--quiet", *REPO))
        gitops_dr(reach, "points", "list", *REPO)

    say("The cluster is destroyed: its processes, its etcd")
    print("Labs that are left:", ", ".join(each.name for each in lab.labs()) or "none")

    say("A second cluster is built at the first point")
    rebuild("bookstore-morning", storage, MORNING, "--at", "morning")

    say("A third cluster is built at the second point")
    code = rebuild("bookstore-evening", storage, EVENING)

    say("How long it took")
    for what, seconds in [*phases, ("all of it", time.monotonic() - began)]:
        print(f"  {what:<24} {seconds:6.1f} s")
    print(f"\nThe repository stays for you to look at: {REPOSITORY}")
    return code


REPO = ("--repo", str(REPOSITORY))


def rebuild(name: str, storage: Path, ledger: str, *point: str) -> int:
    """Build a cluster at a point, and show that its data is what it was; drift's exit code."""
    started = time.monotonic()
    with lab.running(name, storage=storage) as rebuilt:
        phases.append((f"{name} up", time.monotonic() - started))
        reach = lab.service_account_kubeconfig(rebuilt)
        timed(f"{name} rebuilt", lambda: gitops_dr(reach, "rebuild", "--yes", *point, *REPO))
        show_ledger(name)
        if ledger_file(name).read_text() != ledger:
            raise SystemExit("the ledger is not what it was")
        digests.append(secret_digest(reach))
        print(f"Secret {'/'.join(PASSWORD)}: sha256 of its values {digests[-1][:16]}", flush=True)
        if len(set(digests)) > 1:
            raise SystemExit("the Secret is not what it was")
        return gitops_dr(reach, "drift", "--quiet", *point, *REPO)


def timed[T](what: str, deed: Callable[[], T]) -> T:
    """Do it, and note how long it took."""
    started = time.monotonic()
    result = deed()
    phases.append((what, time.monotonic() - started))
    return result


def configure(text: str) -> None:
    """Add to the configuration, and commit it."""
    file = REPOSITORY / "gitops-dr.yaml"
    file.write_text(file.read_text() + text)
    print(text.strip(), flush=True)
    git("commit", "-qam", "Volumes")


def show_ledger(name: str) -> None:
    """Print the checksum of the ledger's data, as it lies in the volume."""
    file = ledger_file(name)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    orders = file.read_text().count("\n") - 1
    print(f"{'/'.join(LEDGER)}: {file.name} has {orders} orders, sha256 {digest[:16]}", flush=True)


def show_sealed() -> None:
    """Print the head of the Secret's file, as it is in Git."""
    print(f"$ head -n 6 {SEALED.relative_to(REPOSITORY)}")
    lines = SEALED.read_text().splitlines()[:6]
    print("\n".join(line if len(line) < 90 else f"{line[:87]}..." for line in lines), flush=True)


def say(title: str) -> None:
    """A heading."""
    print(f"\n== {title}", flush=True)


def gitops_dr(kubeconfig: Path, *arguments: str) -> int:
    """Show a command line, run it, and return its exit code; only drift may end with 1."""
    print(f"$ gitops-dr {shlex.join(arguments)}", flush=True)
    environment = {**os.environ, **ENVIRONMENT, "KUBECONFIG": str(kubeconfig)}
    if arguments[0] != "export":
        # An export needs no private key, and should have none.
        environment["SOPS_AGE_KEY_FILE"] = str(KEY)
    code = subprocess.run([COMMAND, *arguments], env=environment, check=False).returncode
    if code and not (code == 1 and arguments[0] == "drift"):
        raise SystemExit(f"gitops-dr {arguments[0]} ended with exit code {code}")
    return code


def git(*arguments: str) -> None:
    """Show a git command line and run it in the repository."""
    print(f"$ git {shlex.join(arguments)}", flush=True)
    environment = {**os.environ, **ENVIRONMENT}
    subprocess.run(["git", "--no-pager", *arguments], cwd=REPOSITORY, env=environment, check=True)


def tell(event: Event) -> None:
    """Say what the lab's build is doing; it is silent when the binaries are there."""
    match event:
        case PhaseStarted():
            print(f"{event.phase} ...", flush=True)
        case Notice():
            print(event.text, flush=True)
        case Advanced():
            print(f"{event.phase}: {event.subject}", flush=True)
        case _:
            pass


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GitOpsDRError as error:
        sys.exit(f"{error.message}\n  hint: {error.hint}" if error.hint else error.message)
