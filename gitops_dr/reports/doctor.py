"""What doctor found. Pure."""

from __future__ import annotations

from typing import Any

from gitops_dr.checks.rows import Checked, Finding, Severity
from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents
from gitops_dr.reports.text import count, shown, table
from gitops_dr.results import Diagnosis

_UNKNOWN = "not known"


def exit_code(result: Diagnosis) -> ExitCode:
    """0, also with warnings; 3 if something stops the job or could not be looked at."""
    unknown = any(one.findings is None for one in result.checks)
    return ExitCode.PARTIAL if unknown or _found(result, Severity.BLOCKER) else ExitCode.DONE


def as_table(result: Diagnosis) -> str:
    """For a person."""
    where = result.context or result.server or "no cluster"
    lines = [f"{shown(result.cluster) or 'no repository'} by {shown(where)}, for {result.job}", ""]
    rows = [(one.id, _standing(one), one.title) for one in result.checks]
    lines += table(("CHECK", "STANDING", "ABOUT"), rows).splitlines()
    for severity in Severity:
        for finding in _found(result, severity):
            lines += ["", f"{severity}: {shown(finding.about)}: {shown(finding.reason)}"]
            if finding.remedy:
                lines.append(f"  {shown(finding.remedy)}")
    if result.missing:
        lines += ["", "What is not allowed, for kubectl apply -f - (alone: doctor -o yaml):", ""]
        lines.append(as_yaml(result))
    blockers, warnings = (len(_found(result, severity)) for severity in Severity)
    told = f"{count(blockers, 'blocker')}, {count(warnings, 'warning')}"
    return "\n".join([*lines, "", told if blockers or warnings else "nothing is in the way"])


def as_json(result: Diagnosis) -> str:
    """For a program."""
    return documents.dump(
        {
            "job": result.job.value,
            "cluster": result.cluster,
            "context": result.context,
            "server": result.server,
            "checks": [_check(one) for one in result.checks],
            "missing": list(result.missing),
        }
    )


def as_yaml(result: Diagnosis) -> str:
    """What is missing alone, as manifests that can be applied."""
    if not result.missing:
        return "# nothing is missing"
    return "\n---\n".join(documents.dump_yaml(body) for body in result.missing)


def _check(one: Checked) -> dict[str, Any]:
    return {
        "id": one.id,
        "about": one.title,
        "standing": _standing(one),
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


def _standing(one: Checked) -> str:
    """The worst that was found; ``ok`` for nothing."""
    if one.findings is None:
        return _UNKNOWN
    found = {finding.severity for finding in one.findings}
    return next((severity.value for severity in Severity if severity in found), "ok")


def _found(result: Diagnosis, severity: Severity) -> list[Finding]:
    return [
        finding
        for one in result.checks
        for finding in one.findings or ()
        if finding.severity is severity
    ]


FORMATS = {"table": as_table, "json": as_json, "yaml": as_yaml}
