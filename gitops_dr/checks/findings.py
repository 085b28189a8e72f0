"""The words of the checks: a row, what it finds, and what came of it. Pure.

A blocker stops the job that was asked about; a warning does not, but somebody should know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is."""

    BLOCKER = "blocker"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    severity: Severity
    about: str
    """The object or thing that it is about."""
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a row."""

    id: str
    title: str
    findings: tuple[Finding, ...] | None
    """Empty: all is well. None: it could not be looked at."""
    because: str = ""
    """Why it is looked at; empty where the title says it."""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row[Facts]:
    """One check."""

    id: str
    title: str
    because: str
    """Why it matters."""
    link: str
    look: Callable[[Facts], Iterator[Finding]]
    known: Callable[[Facts], bool] = lambda _facts: True
    """Whether what it looks at could be had."""

    def check(self, facts: Facts) -> Checked:
        """Look at the facts."""
        findings = tuple(self.look(facts)) if self.known(facts) else None
        return Checked(self.id, self.title, findings, self.because, self.link)


@dataclass(frozen=True, slots=True)
class PlanRow[Facts](Row[Facts]):
    """One check of a plan."""

    blocks: str = ""
    """When it is a blocker, in words; empty: never."""
    asked: Callable[[Facts], bool] = lambda _facts: True
    """Whether it is looked at at all."""


def blocker(about: object, reason: str, remedy: str) -> Finding:
    """Something that stops the job."""
    return Finding(Severity.BLOCKER, str(about), reason, remedy)


def warning(about: object, reason: str, remedy: str) -> Finding:
    """Something that somebody should know."""
    return Finding(Severity.WARNING, str(about), reason, remedy)


def of_severity(checked: Iterable[Checked], severity: Severity) -> list[Finding]:
    """What was found of one severity, in the order of the rows."""
    return [
        finding for one in checked for finding in one.findings or () if finding.severity is severity
    ]


def blockers(checked: Iterable[Checked]) -> list[Finding]:
    """All that stops the job, in the order of the rows."""
    return of_severity(checked, Severity.BLOCKER)
