"""A comparison as GitHub's workflow commands, which become annotations of files. Pure.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from gitops_dr.model import Difference, Presence
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.table import field_lines
from gitops_dr.reports.text import brief, shorten, shown
from gitops_dr.reports.values import mask
from gitops_dr.results.drift import Drifted

EACH = 10
"""Annotations of one level that GitHub shows of a step; it drops the others without a word."""

_LEVELS = {
    Presence.UNKNOWN: "error",
    Presence.MISSING: "warning",
    Presence.MODIFIED: "warning",
    Presence.UNMANAGED: "notice",
}
_IN_GIT = (Presence.MISSING, Presence.MODIFIED)
_MESSAGE = 2000


def as_annotations(result: Drifted) -> str:
    """One line that sums up, then the most important differences of each level."""
    result = mask(result)
    commands: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for gap in result.gaps:
        commands["error"].append(_command("error", gap.reason, title=f"gap: {gap.ref}"))
    for difference in sorted(result.differences, key=_urgency):
        level = _LEVELS[difference.presence]
        commands[level].append(_annotation(level, difference, result.cluster))
    # The line that sums up is a notice as well.
    kept = [
        command
        for level, found in commands.items()
        for command in found[: EACH - (level == "notice")]
    ]
    text = words.headline(result)
    if result.against:
        text += f"; merging will {words.merging(result.against)}"
    if left := sum(map(len, commands.values())) - len(kept):
        text += f"; {left} more in the full report"
    return "\n".join([_command("notice", text, title="gitops-dr drift"), *kept])


def _urgency(difference: Difference) -> tuple[int, bool]:
    trusted = bool(difference.changes) and all(map(words.is_trusted, difference.changes))
    return (words.by_weight(difference.presence), trusted)


def _annotation(level: str, difference: Difference, cluster: str) -> str:
    lines = [difference.reason, *(line.strip() for line in field_lines(difference.changes))]
    if difference.presence in (Presence.MISSING, Presence.UNMANAGED):
        lines.append(words.written_by(difference.managers))
    if difference.held:
        lines.append(difference.held)
    if difference.compared_locally:
        lines.append(f"compared locally: {difference.compared_locally}")
    properties = {"title": f"{difference.presence}: {difference.ref}"}
    if difference.presence in _IN_GIT and difference.path:
        file = f"clusters/{cluster}/{difference.path}"
        properties = {"file": file, "line": "1"} | properties
    return _command(level, *filter(None, lines), **properties)


def _command(level: str, *lines: str, **properties: str) -> str:
    message = shorten("\n".join(map(shown, lines)), _MESSAGE)
    named = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {named}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(brief(text, 400)).replace(":", "%3A").replace(",", "%2C")
