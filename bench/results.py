"""What is measured, its floor and its budget; as a table and as JSON. Pure, but for `machine`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

START = 0.6
"""Seconds that a budget allows for the start of the process, discovery and the like."""
MEMORY_MB = 300.0
"""Megabytes (10^6 bytes) that any command may take at 100,000 objects."""
MEMORY_OBJECTS = 100_000
GROWTH = 1.2
"""Growth of the time beyond proportion to the number of objects that still counts as linear."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table."""

    name: str
    measured: float
    """Best of the runs; seconds unless ``unit`` says otherwise."""
    floor: float | None = None
    factor: float = 0.0
    allowance: float = 0.0
    """The budget is ``allowance + factor x floor``; without either it only stands beside."""
    unit: str = "s"
    runs: Sequence[float] = ()
    """Every run, in order."""
    floor_runs: Sequence[float] = ()
    loads: Sequence[float] = ()
    """Load average (1 minute) of the machine before each run."""
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Measured to floor."""
        return self.measured / self.floor if self.floor else None

    @property
    def budget(self) -> float | None:
        """The most that it may be; None if nothing is asked."""
        return self.allowance + self.factor * (self.floor or 0.0) or None

    @property
    def verdict(self) -> str:
        """``ok``, ``missed`` or nothing."""
        if self.budget is None:
            return ""
        return "ok" if self.measured <= self.budget else "missed"

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        figures = {"ratio": self.ratio, "budget": self.budget, "verdict": self.verdict}
        document: dict[str, Any] = _rounded(asdict(self) | figures)
        return document


def machine() -> dict[str, Any]:
    """What it was measured on, and how busy that was before."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True)
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memoryGB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "git": git.stdout.split()[-1],
        "loadBefore": [round(each, 2) for each in os.getloadavg()],
    }


def as_json(title: str, facts: dict[str, Any], measures: Iterable[Measure]) -> str:
    """The document that is kept beside the table."""
    rows = [measure.document() for measure in measures]
    document = {"title": title, "machine": facts, "measures": rows}
    return json.dumps(document, indent=2) + "\n"


def as_table(title: str, facts: dict[str, Any], measures: Sequence[Measure]) -> str:
    """The table, in Markdown."""
    before = ", ".join(f"{each:.1f}" for each in facts["loadBefore"])
    where = (
        f"{facts['cores']} cores ({facts['processor']}), {facts['memoryGB']} GB, "
        f"Python {facts['python']}, git {facts['git']}; load average before: {before}. "
        "How to read it: [docs/performance.md](../../docs/performance.md)."
    )
    lines = [
        f"# {title}",
        "",
        where,
        "",
        "| what | measured | floor | ratio | budget | | load |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    lines += [_line(measure) for measure in measures]
    notes = [f"- {measure.name}: {measure.note}" for measure in measures if measure.note]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def _line(measure: Measure) -> str:
    def figure(value: float | None) -> str:
        digits = 0 if measure.unit == "MB" else 2
        return "" if value is None else f"{value:.{digits}f} {measure.unit}".rstrip()

    cells = (
        measure.name,
        figure(measure.measured),
        figure(measure.floor),
        "" if measure.ratio is None else f"{measure.ratio:.2f}",
        figure(measure.budget),
        f"**{measure.verdict}**" if measure.verdict == "missed" else measure.verdict,
        f"{max(measure.loads):.1f}" if measure.loads else "",
    )
    return f"| {' | '.join(cells)} |"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
