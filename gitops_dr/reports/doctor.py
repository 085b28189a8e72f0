"""What doctor found. Pure."""

from __future__ import annotations

from gitops_dr.checks.findings import blockers
from gitops_dr.errors import ExitCode
from gitops_dr.reports import checks, documents
from gitops_dr.reports.text import shown
from gitops_dr.results.doctor import Diagnosis


def exit_code(result: Diagnosis) -> ExitCode:
    """0, also with warnings; 3 if something stops the job or could not be looked at."""
    unknown = any(one.findings is None for one in result.checks)
    return ExitCode.PARTIAL if unknown or blockers(result.checks) else ExitCode.DONE


def as_table(result: Diagnosis) -> str:
    """For a person."""
    where = result.context or result.server or "no cluster"
    lines = [f"{shown(result.cluster) or 'no repository'} by {shown(where)}, for {result.job}", ""]
    lines += checks.rows(result.checks)
    lines += checks.findings(result.checks)
    if result.missing:
        lines += ["", "What is not allowed, for kubectl apply -f - (alone: doctor -o yaml):", ""]
        lines.append(as_yaml(result))
    return "\n".join([*lines, "", checks.tally(result.checks)])


def as_json(result: Diagnosis) -> str:
    """For a program."""
    return documents.dump(
        {
            "job": result.job.value,
            "cluster": result.cluster,
            "context": result.context,
            "server": result.server,
            "checks": [checks.document(one) for one in result.checks],
            "missing": list(result.missing),
        }
    )


def as_yaml(result: Diagnosis) -> str:
    """What is missing alone, as manifests that can be applied."""
    if not result.missing:
        return "# nothing is missing"
    return "\n---\n".join(documents.dump_yaml(body) for body in result.missing)


FORMATS = {"table": as_table, "json": as_json, "yaml": as_yaml}
