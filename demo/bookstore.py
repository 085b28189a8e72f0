"""``make demo``: a shop goes into Git, its cluster is destroyed, a new one comes from the commit.

Starts two labs, one after the other, and runs the real command in between, so everything printed
here is what a user would see. The repository that it makes stays in a temporary folder.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from shop import create_shop, wait_until_open

from gitops_dr import lab
from gitops_dr.cluster.connect import connect
from gitops_dr.errors import GitOpsDRError
from gitops_dr.events import Advanced, Event, Notice, PhaseStarted

# Outside of the checkout, which is a repository itself; it stays for the user to look at.
REPOSITORY = Path(tempfile.mkdtemp(prefix="gitops-dr-demo-")) / "bookstore"
COMMAND = Path(sys.executable).with_name("gitops-dr")


def main() -> int:
    """Run the story; 0 if the rebuilt cluster equals the commit."""
    # Where they are not there yet, this takes minutes; it is no part of the story.
    lab.assets(emit=tell)
    began = time.monotonic()
    phases: list[tuple[str, float]] = []

    def timed[T](what: str, deed: Callable[[], T]) -> T:
        started = time.monotonic()
        result = deed()
        phases.append((what, time.monotonic() - started))
        return result

    say("A cluster with a shop in it")
    with lab.running("bookstore-primary") as primary:
        phases.append(("first cluster up", time.monotonic() - began))
        connection = connect(primary.kubeconfig, primary.name)
        number = timed("shop created", lambda: create_shop(connection))
        timed("shop open", lambda: wait_until_open(connection))
        print(f"{number} objects created by plain API calls; every workload is ready.")

        say("The cluster goes into Git")
        reach = lab.service_account_kubeconfig(primary)
        gitops_dr(reach, "init", str(REPOSITORY), "--cluster", "bookstore")
        timed("export", lambda: gitops_dr(reach, "export", "--repo", str(REPOSITORY)))
        gitops_dr(reach, "export", "--repo", str(REPOSITORY), "--quiet")
        git("log", "--stat=100,60", "--stat-count=6", "-1")

    say("The cluster is destroyed: its processes, its etcd, its volumes")
    print("Labs that are left:", ", ".join(each.name for each in lab.labs()) or "none")

    say("Another cluster is built from the commit alone")
    started = time.monotonic()
    with lab.running("bookstore-rebuilt") as rebuilt:
        phases.append(("second cluster up", time.monotonic() - started))
        reach = lab.service_account_kubeconfig(rebuilt)
        flags = ("--repo", str(REPOSITORY), "--yes", "--accept-empty-volumes")
        timed("rebuild", lambda: gitops_dr(reach, "rebuild", *flags))

        say("The difference")
        code = timed("drift", lambda: gitops_dr(reach, "drift", "--repo", str(REPOSITORY)))

    say("How long it took")
    for what, seconds in [*phases, ("all of it", time.monotonic() - began)]:
        print(f"  {what:<20} {seconds:6.1f} s")
    print(f"\nThe repository stays for you to look at: {REPOSITORY}")
    return code


def say(title: str) -> None:
    """A heading."""
    print(f"\n== {title}", flush=True)


def gitops_dr(kubeconfig: Path, *arguments: str) -> int:
    """Show a command line, run it, and return its exit code; only drift may end with 1."""
    print(f"$ gitops-dr {shlex.join(arguments)}", flush=True)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    code = subprocess.run([COMMAND, *arguments], env=environment, check=False).returncode
    if code and not (code == 1 and arguments[0] == "drift"):
        raise SystemExit(f"gitops-dr {arguments[0]} ended with exit code {code}")
    return code


def git(*arguments: str) -> None:
    """Show a git command line and run it in the repository."""
    print(f"$ git {shlex.join(arguments)}", flush=True)
    subprocess.run(["git", "--no-pager", *arguments], cwd=REPOSITORY, check=True)


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
