"""What changed for the outside, as a table and as JSON values. Pure.

``docs/json.md`` explains the document; its JSON Schema is ``reports/schemas/outside.json``.
"""

from __future__ import annotations

from typing import Any

from gitops_dr.desired.outside import Affects, Changed, Outside
from gitops_dr.reports import documents
from gitops_dr.reports.text import shorten, table

_WIDTH = 60
_WORDS = {
    Affects.DNS: "DNS",
    Affects.ADDRESS: "address",
    Affects.ROUTED: "routed address",
    Affects.NODE_PORT: "node port",
    Affects.API: "API server",
    Affects.ISSUER: "token issuer",
    Affects.TRUST: "trust",
    Affects.TOKENS: "tokens",
}


def lines(outside: Outside | None) -> list[str]:
    """A table of what to change, and nothing if nobody looked."""
    if outside is None:
        return []
    found = list(outside.changes)
    unrecorded = (
        ["The recovery point does not say by what the source was known outside: export again."]
        if not outside.recorded
        else []
    )
    if not found:
        return unrecorded or ["Nothing changed outside."]
    rows = [
        (
            _WORDS[change.affects],
            shorten(_subject(change), _WIDTH),
            shorten(_listed(change.old, "unknown"), _WIDTH),
            shorten(_listed(change.new, "pending" if change.pending else "none"), _WIDTH),
            change.todo,
        )
        for change in found
    ]
    heads = ("CHANGED OUTSIDE", "OF", "OLD", "NEW", "TO DO")
    return [*unrecorded, *table(heads, rows).splitlines()]


def document(outside: Outside | None) -> dict[str, Any] | None:
    """Put it into JSON values."""
    if outside is None:
        return None
    return {
        "recorded": outside.recorded,
        "changes": [
            {
                "affects": change.affects.value,
                "subject": change.subject,
                "host": change.host,
                "old": list(change.old),
                "new": list(change.new),
                "pending": change.pending,
                "refs": [documents.ref(ref) for ref in change.refs],
                "todo": change.todo,
            }
            for change in outside.changes
        ],
    }


def _subject(change: Changed) -> str:
    if change.affects is not Affects.DNS:
        return change.subject
    if change.host and change.subject and change.host != change.subject:
        return f"{change.subject} -> {change.host}"
    return change.subject or change.host


def _listed(values: tuple[str, ...], otherwise: str) -> str:
    return ", ".join(values) or otherwise
