"""Measures a sync of a commit that changes one file, and the plan of all for an empty cluster.

The sync stands beside drift where nothing differs. Starts two labs, one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from clusters import cluster, say
from measures import COMMAND, INSTALLED, NAME, compared, gitops_dr, new_folder, new_repository
from process import Run, run
from results import Measure

MORE = 1.0
"""Seconds that a sync may take more than drift where nothing differs."""
PLAN_SECONDS, PLAN_MB = 2.0, 300.0
"""What the plan of 15,000 objects may take, each of which is missing."""
_PLANNED = re.compile(rb"^plan done \(([\d.]+) s", re.MULTILINE)
_VALUE = re.compile(r'^(  [\w.-]+: )"?[\w.-]+"?$', re.MULTILINE)
"""A short value of a ConfigMap's data."""
_AS = ("-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgSign=false")


def syncing(count: int, repeat: int, folder: Path) -> list[Measure]:
    """Change one file of ``count`` objects, commit it and sync, again and again; drift before."""
    repository = new_folder(folder)
    new_repository(repository)
    clean: list[Run] = []
    synced: list[Run] = []
    with cluster(count) as measured:
        gitops_dr(measured, "export", repository)
        file = _file(repository / "clusters" / NAME / "namespaces")
        # Before the first one there is no commit since which anything could have left Git.
        gitops_dr(measured, "sync", repository, "--yes", may_end_with=(0, 3))
        for turn in range(repeat):
            say(f"clean drift, and sync of one changed file: {turn + 1} of {repeat}")
            clean.append(gitops_dr(measured, "drift", repository, may_end_with=(0, 1)))
            file.write_text(_VALUE.sub(rf'\g<1>"turn-{turn}"', file.read_text(), count=1))
            run(["git", "-C", repository, *_AS, "commit", "-q", "-n", "--all", "--message", "One"])
            synced.append(gitops_dr(measured, "sync", repository, "--yes", may_end_with=(0, 3)))
    return [
        compared(
            "sync of one changed file, beside clean drift",
            synced,
            [each.seconds for each in clean],
            1.0,
            MORE,
            note=_touched(synced),
        ),
        Measure(
            "sync of one changed file: objects touched",
            max(len(_written(each)) for each in synced),
            allowance=1.0,
            unit="",
        ),
        Measure(
            "memory: sync of one changed file", max(each.peak_mb for each in synced), unit="MB"
        ),
        *_planning(repository, count, repeat),
    ]


def _planning(repository: Path, count: int, repeat: int) -> list[Measure]:
    """Plan all of it for a cluster that has nothing: manifests read, facts, references, order."""
    where = ("--repo", repository)
    with cluster() as empty:
        say("plan for an empty cluster")
        command = (COMMAND, "plan", *where, "--kubeconfig", empty.kubeconfig, "-o", "json")
        runs = [run(command, may_end_with=(1, 3), environment=INSTALLED) for _ in range(repeat)]
    best = min(runs, key=lambda each: each.seconds)
    steps = len(json.loads(best.out)["steps"])
    seconds = [float(found[1]) for each in runs if (found := _PLANNED.search(each.err))]
    return [
        Measure(
            "planning, nothing is there yet",
            min(seconds),
            allowance=PLAN_SECONDS,
            runs=seconds,
            loads=[each.load for each in runs],
            note=f"{steps} steps for {count} objects; the whole command took {best.seconds:.2f} s",
        ),
        Measure(
            "memory: planning", max(each.peak_mb for each in runs), allowance=PLAN_MB, unit="MB"
        ),
    ]


def _file(place: Path) -> Path:
    """A ConfigMap of which one short value can be changed."""
    for file in sorted(place.glob("*/configmaps/*.yaml")):
        head, _, _ = file.read_text().partition("\nkind:")
        if _VALUE.search(head):
            return file
    raise SystemExit(f"{place}: no ConfigMap with a short value")


def _written(one: Run) -> list[str]:
    document = json.loads(one.out)
    return [
        f"{outcome['ref']['kind']}/{outcome['ref']['name']}"
        for outcome in (*document["outcomes"], *document["pruned"])
    ]


def _touched(runs: Sequence[Run]) -> str:
    document = json.loads(runs[-1].out)
    note = f"touched {', '.join(sorted({name for each in runs for name in _written(each)}))}"
    if not document["complete"]:
        note += "; not complete"
    return note
