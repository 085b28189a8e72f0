"""What can be said of an object's readiness, and how a status is read. Pure.

Never fails: a field of an odd type counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitops_dr.model import Body

_LONGEST = 200
"""Characters of a controller's message that are shown."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether an object is ready; if not, ``reason`` is one short line that says what it lacks."""

    ready: bool
    reason: str = ""
    failed: bool = False
    """It will not become ready by waiting."""
    observable: bool = True
    """False for a custom resource that reports nothing (yet): nothing says that it is not ready,
    and nothing that it is."""
    patience: float | None = None
    """Seconds for which waiting is worth it while nothing else of its API group changes either, if
    there is reason to think that more would be in vain."""
    usable: bool = False
    """Not ready as a whole, but whoever needs it may go on."""
    settles: float = 0.0
    """Of one that is ready: seconds until it can be relied on, which nothing tells."""


READY = Readiness(ready=True)
UNSEEN = Readiness(ready=False, reason="its controller has not seen it yet")


def not_seen(body: Body) -> bool:
    """Whether the controller of a built-in kind has not worked on this generation."""
    observed = as_map(body.get("status")).get("observedGeneration")
    return is_behind(observed if isinstance(observed, int) else 0, body)


def is_behind(observed: Any, body: Body) -> bool:
    """Whether a generation that was worked on is older than that of the object."""
    generation = number_of(as_map(body.get("metadata")), "generation")
    return isinstance(observed, int) and observed < generation


def condition_of(body: Body, name: str) -> Mapping[str, Any]:
    """Return the condition of that type; empty if there is none."""
    for condition in as_list(as_map(body.get("status")).get("conditions")):
        if isinstance(condition, dict) and condition.get("type") == name:
            return condition
    return {}


def told(condition: Mapping[str, Any], name: str) -> str:
    """One line on a condition: its message, else its reason, else its state."""
    said = one_line(condition.get("message")) or one_line(condition.get("reason"))
    return said or f"condition {name} is {condition.get('status', 'not reported yet')}"


def one_line(text: Any) -> str:
    """Fold a message into one line of bearable length; empty for anything but text."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def as_map(value: Any) -> Mapping[str, Any]:
    """The value, if it is a map; else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value, if it is a list; else an empty one."""
    return value if isinstance(value, list) else []


def number_of(holder: Mapping[str, Any], name: str, default: int = 0) -> int:
    """The whole number in that field; the default for anything else."""
    value = holder.get(name)
    return value if isinstance(value, int) else default


def group_kind_of(body: Body) -> tuple[str, str]:
    """Group and kind of a body."""
    return (str(body.get("apiVersion", "")).rpartition("/")[0], str(body.get("kind", "")))
