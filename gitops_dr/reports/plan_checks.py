"""What ``plan --checks-only`` has to say. Pure."""

from __future__ import annotations

from gitops_dr.checks.findings import blockers
from gitops_dr.errors import ExitCode
from gitops_dr.reports import checks, documents
from gitops_dr.reports.plan import announcement, document_of_goal
from gitops_dr.results.rebuild import Planned


def exit_code(planned: Planned) -> ExitCode:
    """0, also with warnings; 3 if something stops the plan."""
    return ExitCode.PARTIAL if blockers(planned.checks) else ExitCode.DONE


def as_table(planned: Planned) -> str:
    """For a person."""
    lines = [*announcement(planned.goal), "", *checks.rows(planned.checks)]
    return "\n".join([*lines, *checks.findings(planned.checks), "", checks.tally(planned.checks)])


def as_json(planned: Planned) -> str:
    """For a program; its schema is ``schemas/checks.json``."""
    found = [checks.document(one) for one in planned.checks]
    return documents.dump({**document_of_goal(planned.goal), "checks": found})


FORMATS = {"table": as_table, "json": as_json}
