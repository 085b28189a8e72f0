"""Results as JSON documents. Pure.

Lists are always lists, also for one or none. Values of fields are not part of these documents yet:
names and paths are, so nothing secret can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gitops_dr.model import Difference, Gap, Omission, Outcome, Plan, Ref


def dump(document: dict[str, Any]) -> str:
    """Write the document as indented JSON."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def ref(of: Ref) -> dict[str, str]:
    """Write a Ref as an object."""
    return {"group": of.group, "kind": of.kind, "namespace": of.namespace, "name": of.name}


def gaps(found: Iterable[Gap]) -> list[dict[str, Any]]:
    """Gaps with their reasons."""
    return [{"ref": ref(gap.ref), "reason": gap.reason} for gap in found]


def omissions(found: Iterable[Omission]) -> list[dict[str, Any]]:
    """Omissions with rule and reason."""
    return [{"ref": ref(o.ref), "rule": o.rule, "reason": o.reason} for o in found]


def differences(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Differences with the paths of their fields."""
    return [
        {
            "ref": ref(d.ref),
            "state": d.presence.value,
            "reason": d.reason,
            "fields": [{"path": change.path, "op": change.op} for change in d.changes],
        }
        for d in found
    ]


def plan(made: Plan) -> dict[str, Any]:
    """List the steps in order with what each needs, gaps and notes."""
    return {
        "steps": [
            {
                "ref": ref(step.ref),
                "action": step.action.value,
                "reason": step.reason,
                "needs": [
                    {"ref": ref(need.ref), "ready": need.ready, "why": need.why}
                    for need in step.needs
                ],
            }
            for step in made.steps
        ],
        "omissions": omissions(made.omissions),
        "gaps": gaps(made.gaps),
        "notes": list(made.notes),
    }


def outcomes(found: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Outcomes of steps in the plan's order."""
    return [
        {
            "ref": ref(outcome.ref),
            "action": outcome.action.value,
            "result": outcome.result.value,
            "reason": outcome.reason,
            "seconds": round(outcome.seconds, 3),
        }
        for outcome in found
    ]


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds by phase, to the millisecond."""
    return {phase: round(taken, 3) for phase, taken in seconds.items()}
