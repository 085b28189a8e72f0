"""A target's State as manifests, and as it differs from the source's. Pure.

What Secrets hold is masked, in manifests too, so that nobody can apply one of these by mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from gitops_dr.desired.target_rendered import Change, Contrast, Rewriting
from gitops_dr.errors import ExitCode
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Body, FieldChange
from gitops_dr.reports import documents
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.lines import contrast
from gitops_dr.reports.text import brief, count, listing, shown
from gitops_dr.reports.values import is_masked, mask_differences, within

MASK = "***"
_HELD_IN = ("data", "stringData")
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
_NAME, _VALUE, _REASON = 160, 60, 200
_FIELD = " " * 13


def manifest(body: Body) -> bytes:
    """One object as YAML, without what a Secret holds."""
    return canonical(without_values(body))


def without_values(body: Body) -> Body:
    """The object; of a Secret only the names of its values."""
    if (body.get("apiVersion"), body.get("kind")) != ("v1", "Secret"):
        return body
    held = {
        key: dict.fromkeys(body[key], MASK) if isinstance(body[key], dict) else MASK
        for key in _HELD_IN
        if body.get(key)
    }
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    if _COPY in annotations:
        metadata = {**metadata, "annotations": {**annotations, _COPY: MASK}}
    return {**body, **held, "metadata": metadata}


def masked(result: Contrast) -> list[Rewriting]:
    """The rewritings, with a mark wherever a value must not be seen."""
    from dataclasses import replace

    differences = mask_differences(each.difference for each in result.rewritings)
    pairs = zip(result.rewritings, differences, strict=True)
    return [replace(each, difference=difference) for each, difference in pairs]


def as_table(result: Contrast) -> str:
    """Each object that is another at the target, with its fields and the reason of each."""
    where = f"target {result.target}" if result.target else "the source"
    counts = Counter(each.change for each in result.rewritings)
    found = ", ".join(f"{counts[c]} {c}" for c in Change if counts[c]) or "no difference"
    head = (
        f"{result.cluster} at {where}: {found}, {count(result.same, 'object')} as at the source; "
        f"commit {result.commit[:12]}"
    )
    lines = [shown(head)]
    for each in masked(result):
        lines += _object_lines(each)
    lines += listing("About nothing:", result.idle)
    lines += listing("Gaps:", result.unreadable)
    return "\n".join(lines)


def _object_lines(each: Rewriting) -> list[str]:
    ref = each.difference.ref
    head = f"{each.change:<10} {brief(ref, _NAME)}"
    if each.source is not None and each.source != ref:
        head += f"  (at the source {brief(each.source, _NAME)})"
    if each.because:
        head += f"  ({brief(each.because, _REASON)})"
    lines = [head]
    for change, reason in zip(each.difference.changes, each.reasons, strict=True):
        sign, path = words.SIGNS[change.op], brief(change.path, _NAME)
        why = f"  ({brief(reason, _REASON)})" if reason else ""
        lines.append(f"{_FIELD}{sign} {path}: {contrast(change, _VALUE)}{why}")
    return lines


def as_json(result: Contrast) -> str:
    """The same as a document for programs."""
    return documents.dump(
        {
            "cluster": result.cluster,
            "commit": result.commit,
            "target": result.target,
            "same": result.same,
            "objects": [
                {
                    "ref": documents.ref(each.difference.ref),
                    "source": documents.ref(each.source) if each.source else None,
                    "state": each.change.value,
                    "path": each.difference.path,
                    "because": each.because,
                    "fields": [
                        {**_field(change), "because": reason}
                        for change, reason in zip(
                            each.difference.changes, each.reasons, strict=True
                        )
                    ],
                }
                for each in masked(result)
            ],
            "idle": list(result.idle),
            "gaps": list(result.unreadable),
        }
    )


def _field(change: FieldChange) -> dict[str, Any]:
    """One field; a side on which it is absent is no key, so that null is a value."""
    absent = {"add": "old", "remove": "new"}.get(change.op)
    sides = {"old": within(change.old)[0], "new": within(change.new)[0]}
    return {
        "path": change.path,
        "op": change.op,
        **{side: value for side, value in sides.items() if side != absent},
        "masked": is_masked(change.old) or is_masked(change.new),
    }


FORMATS: Mapping[str, Callable[[Contrast], str]] = {"table": as_table, "json": as_json}


def exit_code(result: Contrast) -> ExitCode:
    """0 the same as at the source, 1 different; 3 if a file of the commit is no manifest."""
    if result.unreadable:
        return ExitCode.PARTIAL
    return ExitCode.DIFFERENCES if result.rewritings else ExitCode.DONE
