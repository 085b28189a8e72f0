"""``make demo``: a shop goes into Git with its data, drifts, fails over, and comes back.

Starts four labs on one storage, as two sites would share it. The real command runs in between, so
everything printed here is what a user would see. The repository that it makes stays in a temporary
folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hands import (
    PASSWORD,
    add_a_variable,
    delete_a_config_map,
    make_a_secret,
    scale_the_api,
    write_ledger,
)
from shop import create_shop, wait_until_open
from sites import STANDBY, fail_over, go_back, stand_by
from stage import (
    KEY,
    PLACE,
    REPO,
    REPOSITORY,
    git,
    gitops_dr,
    phases,
    reach,
    say,
    show_ledger,
    show_password,
    timed,
)

from gitops_dr import lab
from gitops_dr.cluster.connect import connect
from gitops_dr.errors import GitOpsDRError
from gitops_dr.events import Advanced, Event, Notice, PhaseStarted

PRIMARY = "bookstore"
NAMESPACE, NAME = PASSWORD
SEALED = REPOSITORY / f"clusters/bookstore/namespaces/{NAMESPACE}/secrets/{NAME}.yaml"

# What is on the file server is no cluster's to capture; it is said, so that it is no gap.
VOLUMES = """
volumes:
  policies:
  - namespace: catalog
    name: legacy-scans
    capture: false
"""

MORNING = "order,total\n1,19.90\n"
EVENING = MORNING + "2,7.50\n"
NIGHT = EVENING + "3,12.00\n"


def main() -> int:
    """Run the story; 0 if every cluster equals its commit in the end, data included."""
    # Where they are not there yet, this takes minutes; it is no part of the story.
    lab.assets(emit=tell)
    began = time.monotonic()
    storage, site = PLACE / "storage", PLACE / "site.tar"
    storage.mkdir()

    with lab.running(PRIMARY, storage=storage) as primary:
        phases.append(("first cluster up", time.monotonic() - began))
        digest = the_day(primary)
        drill("bookstore-morning", storage, digest)
        lab.save(PRIMARY, site)
        with lab.running(STANDBY, storage=storage) as standby:
            stand_by(standby)

            say("The first site is lost: the cluster's processes, its network")
            lab.down(PRIMARY)
            print("Labs that are left:", ", ".join(each.name for each in lab.labs()), flush=True)
            fail_over(primary, standby, EVENING)

            say("The night goes on at the other site, and the first one comes back as it was")
            write_ledger(STANDBY, NIGHT)
            show_ledger(STANDBY, NIGHT)
            with lab.running(PRIMARY, storage=storage, saved=site) as back:
                show_ledger(PRIMARY, EVENING)
                go_back(back, standby, NIGHT)

    say("How long it took")
    for what, seconds in [*phases, ("all of it", time.monotonic() - began)]:
        print(f"  {what:<24} {seconds:6.1f} s")
    print(f"\nThe repository stays for you to look at: {REPOSITORY}")
    return 0


def the_day(primary: lab.Lab) -> str:
    """A shop goes into Git, drifts, and goes into Git again; a digest of its Secret."""
    say("A cluster with a shop in it")
    connection = connect(primary.kubeconfig, primary.name)
    number = timed("shop created", lambda: create_shop(connection))
    timed("shop open", lambda: wait_until_open(connection))
    print(f"{number} objects created by plain API calls; every workload is ready.")
    here = reach(primary)

    say("The cluster goes into Git, and its volumes into snapshots of the same commit")
    write_ledger(primary.name, MORNING)
    show_ledger(primary.name, MORNING)
    make_a_secret(connection)
    gitops_dr(here, "init", str(REPOSITORY), "--cluster", "bookstore")
    configure(VOLUMES)
    gitops_dr(here, "secrets", "init", "--key-file", str(KEY), "--quiet", *REPO)
    timed("export", lambda: gitops_dr(here, "export", "--volumes", *REPO))
    gitops_dr(here, "export", "--quiet", *REPO)
    show_sealed()
    digest = show_password(here)
    git("log", "--stat=100,60", "--stat-count=6", "-1")
    git("tag", "morning")

    say("Three people work past Git")
    scale_the_api(connection)
    add_a_variable(connection)
    delete_a_config_map(connection)
    timed("drift", lambda: gitops_dr(here, "drift", *REPO))
    timed("revert", lambda: gitops_dr(here, "revert", "--yes", *REPO))
    if gitops_dr(here, "drift", "--quiet", *REPO):
        raise SystemExit("the difference is not empty after revert")

    say("The day goes on; a second recovery point")
    write_ledger(primary.name, EVENING)
    show_ledger(primary.name, EVENING)
    timed("second export", lambda: gitops_dr(here, "export", "--volumes", "--quiet", *REPO))
    gitops_dr(here, "points", "list", *REPO)
    return digest


def drill(name: str, storage: Path, digest: str) -> None:
    """Build a cluster at the first point, and show that its data is what it was."""
    say("Would it come back? An empty cluster is built at the first point")
    started = time.monotonic()
    with lab.running(name, storage=storage) as rebuilt:
        phases.append((f"{name} up", time.monotonic() - started))
        here, point = reach(rebuilt), ("--at", "morning")
        timed(f"{name} rebuilt", lambda: gitops_dr(here, "rebuild", "--yes", *point, *REPO))
        show_ledger(name, MORNING)
        if show_password(here) != digest:
            raise SystemExit("the Secret is not what it was")
        # What acts outward stays held at an older point; that is the difference that is left.
        gitops_dr(here, "drift", "--quiet", *point, *REPO)


def configure(text: str) -> None:
    """Add to the configuration, and commit it."""
    file = REPOSITORY / "gitops-dr.yaml"
    file.write_text(file.read_text() + text)
    print(text.strip(), flush=True)
    git("commit", "-qam", "Volumes")


def show_sealed() -> None:
    """Print the head of the Secret's file, as it is in Git."""
    print(f"$ head -n 6 {SEALED.relative_to(REPOSITORY)}")
    lines = SEALED.read_text().splitlines()[:6]
    print("\n".join(line if len(line) < 90 else f"{line[:87]}..." for line in lines), flush=True)


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
