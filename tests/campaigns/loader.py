"""Loads the corpus into a cluster as people do: phase by phase. Writes to that cluster.

It shares nothing with the product, so what an export finds was not arranged by the code under test.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaigns.independent import Api

Line = dict[str, Any]

AT_ONCE = 12
PATIENCE = 120.0
"""Seconds for the definitions to be served, and for each object that comes too early."""

PAUSE = 0.25
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Refused:
    """What the API server would not take, and why."""

    path: str
    name: str
    status: int
    message: str


@dataclass
class Loaded:
    """What came of loading."""

    created: Counter[str] = field(default_factory=Counter)
    """By phase."""
    refused: list[Refused] = field(default_factory=list)


def read_lines(file: Path) -> list[Line]:
    """Every line of one of the corpus' files."""
    with gzip.open(file) as lines:
        return [json.loads(line) for line in lines]


def load(api: Api, lines: Iterable[Line]) -> Loaded:
    """Create every object, each phase once the one before is done; go on after a refusal."""
    phases: dict[str, list[Line]] = {}
    for line in lines:
        phases.setdefault(line["phase"], []).append(line)
    loaded = Loaded()
    with ThreadPoolExecutor(AT_ONCE) as workers:
        for phase, batch in sorted(phases.items()):
            for line, refused in zip(
                batch, workers.map(lambda each: _create(api, each), batch), strict=True
            ):
                if refused:
                    loaded.refused.append(refused)
                else:
                    loaded.created[line["phase"]] += 1
            if phase == "00-crd":
                await_definitions(api)
    return loaded


def await_definitions(api: Api) -> None:
    """Wait until every definition is established and discovery has its kind."""

    def served() -> bool:
        found: dict[str, set[str]] = {}
        for body in api.get(CRDS)["items"]:
            conditions = (body.get("status") or {}).get("conditions") or ()
            if not any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
                return False
            spec = body["spec"]
            for version in (each["name"] for each in spec["versions"] if each["served"]):
                place = f"/apis/{spec['group']}/{version}"
                if place not in found:
                    status, answer = api.call("GET", place)
                    resources = answer["resources"] if status == 200 else ()
                    found[place] = {each["name"] for each in resources}
                if spec["names"]["plural"] not in found[place]:
                    return False
        return True

    wait_until(served, "every definition is served")


def wait_until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Ask until the answer is true, and return it; raises ``TimeoutError`` after a while."""
    deadline = time.monotonic() + patience
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {patience:g} s: {what}")
        time.sleep(PAUSE)
    return answer


def _create(api: Api, line: Line) -> Refused | None:
    deadline = time.monotonic() + PATIENCE
    unanswered = False
    while True:
        status, answer = api.call("POST", line["path"], line["object"])
        if status == 201 or (status == 409 and unanswered):
            return None
        message = str(answer.get("message"))
        unanswered = unanswered or status == 0
        if not _comes_too_early(status, message) or time.monotonic() > deadline:
            name = line["object"]["metadata"].get("name", "")
            return Refused(line["path"], name, status, message)
        time.sleep(PAUSE)


def _comes_too_early(status: int, message: str) -> bool:
    """Whether the same request may succeed a little later."""
    return (
        status in (0, 404, 429, 503)
        or "error looking up service account" in message
        or "status unknown for quota" in message
    )
