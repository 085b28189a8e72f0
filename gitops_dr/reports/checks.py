"""What checks have to say, of a plan or of a job. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitops_dr.checks.findings import Checked, Severity, of_severity
from gitops_dr.reports.text import count, shown, table

_UNKNOWN = "not known"


def standing(one: Checked) -> str:
    """The worst that was found; ``ok`` for nothing."""
    if one.findings is None:
        return _UNKNOWN
    severities = {finding.severity for finding in one.findings}
    return next((severity.value for severity in Severity if severity in severities), "ok")


def rows(checks: Iterable[Checked]) -> list[str]:
    """A table of every check, with how it stands."""
    standings = [(one.id, standing(one), one.title) for one in checks]
    return table(("CHECK", "STANDING", "ABOUT"), standings).splitlines()


def findings(checks: Iterable[Checked]) -> list[str]:
    """What was found, with the remedy: blockers, then warnings."""
    checks = list(checks)
    lines: list[str] = []
    for severity in Severity:
        for finding in of_severity(checks, severity):
            lines += ["", f"{severity}: {shown(finding.about)}: {shown(finding.reason)}"]
            if finding.remedy:
                lines.append(f"  {shown(finding.remedy)}")
    return lines


def tally(checks: Iterable[Checked]) -> str:
    """How many blockers and warnings there are."""
    checks = list(checks)
    blockers, warnings = (len(of_severity(checks, severity)) for severity in Severity)
    told = f"{count(blockers, 'blocker')}, {count(warnings, 'warning')}"
    return told if blockers or warnings else "nothing is in the way"


def document(one: Checked) -> dict[str, Any]:
    """Put a check into JSON values."""
    return {
        "id": one.id,
        "about": one.title,
        "because": one.because,
        "link": one.link,
        "standing": standing(one),
        "findings": [
            {
                "severity": finding.severity.value,
                "about": finding.about,
                "reason": finding.reason,
                "remedy": finding.remedy,
            }
            for finding in one.findings or ()
        ],
    }
