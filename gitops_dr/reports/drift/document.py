"""A comparison as a document for programs, in JSON and in YAML. Pure.

``docs/json.md`` explains it; its JSON Schema is ``gitops_dr/reports/schemas/drift.json``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitops_dr.model import FieldChange, FieldManager
from gitops_dr.reports import documents
from gitops_dr.reports.values import is_masked, mask, within
from gitops_dr.results.drift import Against, Drifted


def as_json(result: Drifted) -> str:
    """Write the document as JSON."""
    return documents.dump(document(result))


def as_yaml(result: Drifted) -> str:
    """Write the document as YAML, which says the same."""
    return documents.dump_yaml(document(result))


def document(result: Drifted) -> dict[str, Any]:
    """Put the comparison into JSON values; what must not be seen is masked."""
    result = mask(result)
    return {
        "cluster": result.cluster,
        "commit": result.commit,
        "live": {"uid": result.live.uid, "version": result.live.version},
        "clean": result.clean,
        "equal": result.equal,
        "coverage": {"compared": result.compared, "existing": result.existing},
        "differences": [
            {
                "ref": documents.ref(found.ref),
                "state": found.presence.value,
                "path": found.path,
                "reason": found.reason,
                "held": found.held,
                "compared_locally": found.compared_locally,
                "managers": _managers(found.managers),
                "fields": _fields(found.changes),
            }
            for found in result.differences
        ],
        "gaps": documents.gaps(result.gaps),
        "omissions": documents.omissions(result.omissions),
        "ignored": [
            {
                "rule": use.rule,
                "because": use.because,
                "hidden": use.hidden,
                "problem": use.problem,
                "hint": use.hint,
            }
            for use in result.ignored
        ],
        "against": _against(result.against) if result.against else None,
    }


def _against(against: Against) -> dict[str, Any]:
    return {
        "base": against.base,
        "merges": [
            {
                "ref": documents.ref(merge.ref),
                "action": merge.action.value,
                "reason": merge.reason,
                "fields": _fields(merge.changes),
            }
            for merge in against.merges
        ],
    }


def _fields(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    return [_field(change) for change in changes]


def _field(change: FieldChange) -> dict[str, Any]:
    """One field; a side on which it is absent is no key, so that null is a value."""
    old, old_is_cut = within(change.old)
    new, new_is_cut = within(change.new)
    sides = {"old": old, "new": new}
    absent = {"add": "old", "remove": "new"}.get(change.op)
    return {
        "path": change.path,
        "op": change.op,
        **{side: value for side, value in sides.items() if side != absent},
        "masked": is_masked(change.old) or is_masked(change.new),
        "cut": old_is_cut or new_is_cut,
        "managers": _managers(change.managers),
        "removed_from_git": change.removed_from_git,
    }


def _managers(managers: Iterable[FieldManager]) -> list[dict[str, Any]]:
    return [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "subresource": manager.subresource,
            "time": manager.time,
            "trusted": manager.trusted,
        }
        for manager in managers
    ]
