"""The measures themselves: each runs the real command, and its floor beside it. Starts processes.

Runs of a command and of its floor alternate, and the best of each counts, so that what else the
machine does falls on both.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clusters import HERE, Cluster, cluster, say
from process import Run, run
from results import MEMORY_MB, MEMORY_OBJECTS, START, Measure

COMMAND = Path(sys.executable).with_name("gitops-dr")
NAME = "bench"
LISTS_AT_ONCE = 4
CREATES_AT_ONCE = (8, 16)
INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
"""An installation has its bytecode compiled; with this variable set every run compiles it anew."""
DRIFTED, DRIFTED_MORE, DRIFTED_MB = 0.01, 0.3, 200.0
"""Part of the objects that differ; seconds more, and megabytes, that drift may then take."""
SAMPLE = 1_000
"""Objects that are shown to kubectl, which takes too long for all."""
_numbers = itertools.count()


def observing(count: int, repeat: int, folder: Path) -> list[Measure]:
    """Export and drift on a cluster of ``count`` objects, against lists and git alone."""
    with cluster(count) as measured:
        return _observing(measured, count, repeat, folder)


def _observing(measured: Cluster, count: int, repeat: int, folder: Path) -> list[Measure]:
    repository = folder / "repository"
    new_repository(repository)
    say(f"{count} objects: exporting once, so that everything is warm")
    exported = gitops_dr(measured, "export", repository)
    paths, stream = folder / "paths", folder / "stream"
    paths.write_bytes(_python("files.py", "paths", repository).out)
    stream.write_bytes(_python("files.py", "stream", repository).out)

    def lists(*flags: str) -> float:
        flags = ("--at-once", str(LISTS_AT_ONCE), *flags)
        listed = _python("bare.py", "list", measured.kubeconfig, paths, *flags)
        return float(json.loads(listed.out)["seconds"])

    def exact_lists() -> float:
        return lists("--exact")

    def first_export() -> Run:
        fresh = new_folder(folder)
        new_repository(fresh)
        return gitops_dr(measured, "export", fresh)

    say("first export")
    first, first_floor = _alternate(
        repeat, first_export, lambda: exact_lists() + _bare_git(folder, stream)
    )
    say("unchanged export")
    again, again_floor = _alternate(
        repeat, lambda: gitops_dr(measured, "export", repository), exact_lists
    )
    if any(json.loads(each.out)["created"] for each in again):
        say("not unchanged: an export of an unchanged cluster made a commit")
    say("clean drift")
    drift, drift_floor = _alternate(
        repeat, lambda: gitops_dr(measured, "drift", repository, may_end_with=(0, 1)), lists
    )
    objects = f"{json.loads(exported.out)['objects']} exported of {count} created"
    return [
        compared("first export", first, first_floor, 1.5, START, note=objects),
        compared("unchanged export", again, again_floor, 2.5, START),
        compared("clean drift", drift, drift_floor, 2.5, START, note=_difference(drift)),
        _memory("first export", first, count),
        _memory("unchanged export", again, count),
        _memory("clean drift", drift, count),
        *(_beside(measured, paths) if count < MEMORY_OBJECTS else ()),
        *(_drifting(measured, repository, repeat, folder) if count < MEMORY_OBJECTS else ()),
    ]


def _drifting(measured: Cluster, repository: Path, repeat: int, folder: Path) -> list[Measure]:
    """Drift where one object in a hundred differs, against drift where none does, and kubectl."""
    files = sorted((repository / "clusters" / NAME / "namespaces").rglob("*.yaml"))
    one_percent = _copied(files[:: round(1 / DRIFTED)], folder / "drifted")
    sample = _copied(files[:: -(-len(files) // SAMPLE)], folder / "sample")

    def drift() -> Run:
        return gitops_dr(measured, "drift", repository, may_end_with=(0, 1))

    clean: list[Run] = []
    drifted: list[Run] = []
    for turn in range(repeat):
        say(f"clean drift, and drift of {DRIFTED:.0%}: {turn + 1} of {repeat}")
        clean.append(drift())
        _kubectl(measured, "label", "-f", one_percent, "bench.example/drifted=yes")
        drifted.append(drift())
        if turn + 1 < repeat:
            _kubectl(measured, "label", "-f", one_percent, "bench.example/drifted-")
    say("kubectl diff --server-side")
    differing = ("diff", "--server-side", "--force-conflicts", "-f", sample)
    kubectl = _kubectl(measured, *differing, may_end_with=(0, 1))
    counted = len(list(sample.iterdir()))
    found = json.loads(drifted[0].out)
    return [
        compared(
            "drift, 1% differ, beside clean drift",
            drifted,
            [each.seconds for each in clean],
            1.0,
            DRIFTED_MORE,
            note=f"{len(found['differences'])} of {found['coverage']['compared']} objects differ",
        ),
        Measure(
            "memory: drift, 1% differ",
            max(each.peak_mb for each in drifted),
            allowance=DRIFTED_MB,
            unit="MB",
        ),
        Measure(
            f"kubectl diff --server-side, {counted} of them",
            kubectl.seconds,
            loads=[kubectl.load],
            note=f"{counted / kubectl.seconds:.0f} objects a second",
        ),
    ]


def _copied(files: Sequence[Path], place: Path) -> Path:
    """Some of a repository's files in one folder, as kubectl takes them."""
    place.mkdir()
    for number, file in enumerate(files):
        (place / f"{number:06d}.yaml").write_bytes(file.read_bytes())
    return place


def _beside(measured: Cluster, paths: Path) -> list[Measure]:
    """What has no budget; kubectl would need 10 GB for 100,000 objects."""
    say("kubectl get -o yaml")
    kinds = ",".join(_kubectl_name(path) for path in paths.read_text().split())
    kubectl = _kubectl(measured, "get", "-A", "-o", "yaml", kinds)
    start = run([COMMAND, "--version"], environment=INSTALLED)
    return [
        Measure("kubectl get -o yaml, same kinds", kubectl.seconds, loads=[kubectl.load]),
        Measure("memory: kubectl get", kubectl.peak_mb, unit="MB"),
        Measure("gitops-dr --version", start.seconds, loads=[start.load]),
    ]


def rebuilding(count: int, repeat: int, folder: Path) -> list[Measure]:
    """A rebuild of ``count`` objects into a fresh lab, against bare requests into another."""
    repository, lines = folder / "source", folder / "lines"
    new_repository(repository)
    with cluster(count) as source:
        gitops_dr(source, "export", repository)
    lines.write_bytes(_python("files.py", "lines", repository).out)
    rebuilt: list[Run] = []
    posted: dict[int, list[dict[str, float]]] = {number: [] for number in CREATES_AT_ONCE}
    for turn in range(repeat):
        say(f"rebuild of {count} objects, and bare creates: {turn + 1} of {repeat}")
        with cluster() as target:
            flags = ("--yes", "--accept-empty-volumes")
            made = gitops_dr(target, "rebuild", repository, *flags, may_end_with=(0, 3))
            rebuilt.append(made)
        for number, runs in posted.items():
            with cluster() as target:
                creating = ("bare.py", "create", target.kubeconfig, lines)
                runs.append(json.loads(_python(*creating, "--at-once", str(number)).out))
    say("kubectl apply --server-side")
    with cluster() as target:
        applied = _kubectl_apply(target, lines, folder)
    # The best number of requests at once is the floor; which one it is, a machine decides.
    best = min(CREATES_AT_ONCE, key=lambda number: _best(posted[number]))
    floor = [each["seconds"] for each in posted[best]]
    others = {f"{n} at once": [each["seconds"] for each in posted[n]] for n in CREATES_AT_ONCE}
    result = json.loads(min(rebuilt, key=lambda each: each.seconds).out)
    made = ("done", "unobservable")
    done = sum(outcome["result"] in made for outcome in result["outcomes"])
    note = (
        f"{done} created by the rebuild, {posted[best][0]['objects']} by the floor ({best} at once)"
    )
    if not result["complete"]:
        note += f"; not complete: {_why(result)}"
    return [
        compared("rebuild, objects only", rebuilt, floor, 1.2, note=note, details=others),
        Measure("kubectl apply --server-side, same files", applied),
        _memory("rebuild", rebuilt, count),
    ]


def _best(runs: Sequence[dict[str, float]]) -> float:
    return min(each["seconds"] for each in runs)


def _alternate[T](
    repeat: int, command: Callable[[], Run], floor: Callable[[], float]
) -> tuple[list[Run], list[float]]:
    runs, floors = [], []
    for _ in range(repeat):
        floors.append(floor())
        runs.append(command())
    return runs, floors


def compared(
    name: str,
    runs: Sequence[Run],
    floors: Sequence[float],
    factor: float,
    allowance: float = 0.0,
    *,
    note: str = "",
    details: dict[str, Any] | None = None,
) -> Measure:
    best = min(runs, key=lambda each: each.seconds)
    phases = json.loads(best.out).get("seconds", {})
    return Measure(
        name,
        best.seconds,
        min(floors),
        factor,
        allowance,
        runs=[each.seconds for each in runs],
        floor_runs=floors,
        loads=[each.load for each in runs],
        note=note,
        details={"phases": phases, "cpuSeconds": best.cpu_seconds, **(details or {})},
    )


def _memory(name: str, runs: Sequence[Run], count: int) -> Measure:
    allowance = MEMORY_MB if count >= MEMORY_OBJECTS else 0.0
    peak = max(each.peak_mb for each in runs)
    return Measure(f"memory: {name}", peak, allowance=allowance, unit="MB")


def _difference(runs: Sequence[Run]) -> str:
    documents = [json.loads(each.out) for each in runs]
    found = max(len(each["differences"]) for each in documents)
    return "" if not found else f"not clean: {found} differences, {_why(documents[0])}"


def _why(document: dict[str, Any]) -> str:
    """The first of what differs, so that a result that means nothing is seen as such."""
    for difference in document["differences"]:
        ref = difference["ref"]
        return f"{ref['kind']}/{ref['namespace']}/{ref['name']} is {difference['state']}"
    for gap in document["gaps"]:
        return f"{gap['ref']['kind']}/{gap['ref']['name']}: {gap['reason']}"
    return "an object was not ready"


# -- the command and the floors ----------------------------------------------------------------


def gitops_dr(
    reach: Cluster, verb: str, repository: Path, *flags: str, may_end_with: Sequence[int] = (0,)
) -> Run:
    where = ("--repo", repository, "--kubeconfig", reach.kubeconfig)
    command = [COMMAND, verb, *where, "-q", "-o", "json", *flags]
    return run(command, may_end_with=may_end_with, environment=INSTALLED)


def new_folder(folder: Path) -> Path:
    """A folder that never was: nothing is deleted while something is measured.

    Where a file system looks for a free inode past each one lately deleted (ext4 without a
    journal does), writing files takes five times as long for a minute afterwards.
    """
    return folder / f"new-{next(_numbers)}"


def new_repository(folder: Path) -> None:
    run([COMMAND, "init", folder, "--cluster", NAME])


def _python(script: str, *arguments: str | Path) -> Run:
    return run([sys.executable, HERE / script, *arguments])


def _bare_git(folder: Path, stream: Path) -> float:
    """Seconds for ``git fast-import`` and checkout of the files in ``stream``."""
    fresh = new_folder(folder)
    run(["git", "init", "-q", fresh])
    # Deltas would cost it a third of its time; the product does without them, and so does this.
    imported = run(["git", "fast-import", "--quiet", "--depth=0"], cwd=fresh, stdin=stream)
    checked_out = run(["git", "checkout", "-q", "main"], cwd=fresh)
    return imported.seconds + checked_out.seconds


def _kubectl_name(path: str) -> str:
    """``/apis/apps/v1/deployments`` as ``deployments.v1.apps``."""
    parts = path.strip("/").split("/")
    return parts[-1] if parts[0] == "api" else f"{parts[-1]}.{parts[2]}.{parts[1]}"


def _kubectl(reach: Cluster, *arguments: str | Path, may_end_with: Sequence[int] = (0,)) -> Run:
    command = (reach.kubectl, "--kubeconfig", reach.kubeconfig, *arguments)
    return run(command, may_end_with=may_end_with, stdout=Path(os.devnull))


def _kubectl_apply(target: Cluster, lines: Path, folder: Path) -> float:
    """Seconds for ``kubectl apply``, what the others need first."""
    seconds = 0.0
    waves: dict[int, list[Any]] = {}
    for line in lines.read_text().splitlines():
        wave, _, body = json.loads(line)
        waves.setdefault(wave, []).append(body)
    for wave, bodies in sorted(waves.items()):
        place = folder / f"wave-{wave}"
        place.mkdir()
        for number, body in enumerate(bodies):
            (place / f"{number:06d}.json").write_text(json.dumps(body))
        apply = ("apply", "--server-side", "-f", place)
        seconds += _kubectl(target, *apply).seconds
    return seconds
