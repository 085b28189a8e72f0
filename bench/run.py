"""``make bench``: measures the commands beside their floors and writes a table and JSON.

    python bench/run.py             15,000 objects, and a rebuild of 2,000
    python bench/run.py --large     100,000 objects, and how the time grows from 15,000
    python bench/run.py --objects 1000 --rebuild 200 --results DIR      to try it out

A number that misses its budget is a finding, not a failure: the exit code is 0.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from clusters import HERE, say
from measures import observing, rebuilding
from results import GROWTH, START, Measure, as_json, as_table, machine
from secrets_kept import sealing
from syncing import syncing
from volumes import capturing

SMALL, LARGE, REBUILD, CLAIMS, SECRETS = 15_000, 100_000, 2_000, 200, 5_000


def main() -> None:
    """Measure, write, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--objects", type=int, default=SMALL)
    parser.add_argument("--rebuild", type=int, default=REBUILD, metavar="OBJECTS")
    parser.add_argument("--claims", type=int, default=CLAIMS, help="claims to capture and restore")
    parser.add_argument("--secrets", type=int, default=SECRETS, help="Secrets to export")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measure")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    given = parser.parse_args()
    facts = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        # Apart from the user's own labs; a socket's path has room for a hundred characters.
        os.environ["GITOPS_DR_LAB_HOME"] = str(folder / "labs")
        if given.large:
            measures = _large(given.objects, given.repeat, folder)
        else:
            measures = observing(given.objects, given.repeat, folder)
            measures += syncing(given.objects, given.repeat, folder)
            measures += rebuilding(given.rebuild, given.repeat, folder)
            measures += capturing(given.claims, folder)
            measures += sealing(given.secrets, given.repeat, folder)
    name = "bench-large" if given.large else "bench"
    title = f"make {name}"
    table = as_table(title, facts, measures)
    given.results.mkdir(exist_ok=True)
    (given.results / f"{name}.md").write_text(table)
    (given.results / f"{name}.json").write_text(as_json(title, facts, measures))
    print(table, end="")
    say(f"written to {given.results / name}.md and .json")


def _large(objects: int, repeat: int, folder: Path) -> list[Measure]:
    small, large = folder / "small", folder / "large"
    small.mkdir()
    large.mkdir()
    before, after = observing(objects, repeat, small), observing(LARGE, repeat, large)
    return after + [
        _growth(objects, one, other)
        for one, other in zip(before, after, strict=False)
        if one.budget and one.unit == "s"
    ]


def _growth(objects: int, before: Measure, after: Measure) -> Measure:
    """How much more the time grew than the number of objects; 1 is linear."""
    proportion = LARGE / objects
    grown = (after.measured - START) / max(0.001, before.measured - START) / proportion
    floor = (after.floor or 0.0) / (before.floor or 1.0) / proportion
    return Measure(
        f"growth from {objects}: {after.name}",
        grown,
        allowance=GROWTH,
        unit="x",
        note=f"from {before.measured:.2f} s to {after.measured:.2f} s; its floor grew {floor:.2f}x",
    )


if __name__ == "__main__":
    main()
