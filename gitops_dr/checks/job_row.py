"""One check of what a job needs, and what such checks share. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gitops_dr.checks.facts import ClusterFacts, Facts, Problem, RepositoryFacts
from gitops_dr.checks.findings import Finding, Row, blocker
from gitops_dr.checks.needs import Job


@dataclass(frozen=True, slots=True)
class JobRow(Row[Facts]):
    """One check of what a job needs."""

    jobs: frozenset[Job] = frozenset(Job)
    """The jobs that it matters for."""


def unless(
    problem: Problem | None, severe: Callable[[object, str, str], Finding] = blocker
) -> Iterator[Finding]:
    """A finding in the words of the error that was met; its object stands before the colon."""
    if problem is not None:
        about, colon, reason = problem.reason.partition(": ")
        yield severe(about if colon else "", reason if colon else about, problem.hint)


def repository_of(facts: Facts) -> RepositoryFacts:
    """The repository; for rows that are only looked at where there is one."""
    assert facts.repository is not None  # noqa: S101 - the row needs it
    return facts.repository


def cluster_of(facts: Facts) -> ClusterFacts:
    """The cluster; for rows that are only looked at where it answers."""
    assert facts.cluster is not None  # noqa: S101 - the row needs it
    return facts.cluster


def has_repository(facts: Facts) -> bool:
    """Whether the repository could be looked at."""
    return facts.repository is not None


def has_cluster(facts: Facts) -> bool:
    """Whether the cluster could be looked at."""
    return facts.cluster is not None


def has_both(facts: Facts) -> bool:
    """Whether both could be looked at."""
    return has_repository(facts) and has_cluster(facts)
