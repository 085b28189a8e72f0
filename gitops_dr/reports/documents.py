"""Results as JSON documents. Pure.

Lists are always lists, also for one or none. Values of fields are no part of what is written here:
names and paths are, so nothing secret can be. Those of a comparison are in ``drift/document.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from gitops_dr.model import Difference, Gap, Omission, Outcome, Plan, Ref
from gitops_dr.reports.text import shown_halves
from gitops_dr.results.rebuild import Outwards
from gitops_dr.volumes.records import SnapshotRecord


def dump(document: dict[str, Any]) -> str:
    """Write the document as indented JSON."""
    try:
        return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits.
        return json.dumps(_writable(document), ensure_ascii=False, indent=2)


def dump_yaml(document: dict[str, Any]) -> str:
    """Write the document as YAML, keys sorted, that readers of YAML 1.1 and 1.2 read alike."""
    from gitops_dr.errors import ManifestError
    from gitops_dr.manifests.emit import canonical

    for attempt in (document, _writable(document)):
        with suppress(ManifestError):
            return canonical(attempt).decode().rstrip("\n")
    # A key that is too long for YAML's own style; JSON is YAML as well.
    return dump(document)


def _writable(value: Any) -> Any:
    """Turn halves of surrogate pairs into escapes: UTF-8 has no bytes for them."""
    if isinstance(value, dict):
        return {_writable(key): _writable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_writable(child) for child in value]
    return shown_halves(value) if isinstance(value, str) else value


def ref(of: Ref) -> dict[str, str]:
    """Write a Ref as an object."""
    return {"group": of.group, "kind": of.kind, "namespace": of.namespace, "name": of.name}


def gaps(found: Iterable[Gap]) -> list[dict[str, Any]]:
    """Gaps with their reasons."""
    return [{"ref": ref(gap.ref), "reason": gap.reason} for gap in found]


def outward(found: Outwards) -> dict[str, Any]:
    """What acts outward and is held, and what becomes of it."""
    held = [
        {"ref": ref(each.ref), "field": each.field, "because": each.because} for each in found.held
    ]
    return {"held": held, "stays": found.stays, "releasedBy": found.command}


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


def snapshot(record: SnapshotRecord) -> dict[str, Any]:
    """A volume's snapshot, without what only a restore needs."""
    return {
        "claim": ref(record.ref),
        "set": record.snapshot_set,
        "driver": record.driver,
        "handle": record.handle,
        "created": record.created,
        "restoreSize": record.restore_size,
        "survives": record.survives.value,
    }
