"""Checks of what a failover needs of its target and of the cluster that it is from. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitops_dr.checks.facts import Facts, SourceFacts
from gitops_dr.checks.findings import Finding, warning
from gitops_dr.checks.job_row import JobRow, unless
from gitops_dr.checks.needs import Job, Need
from gitops_dr.checks.of_cluster import unattended
from gitops_dr.checks.of_pods import NAMED

_TARGETS = frozenset({Job.REBUILD, Job.SYNC, Job.FAILOVER})
_FAILOVER = frozenset({Job.FAILOVER})
_ROLE = "have an administrator apply templates/deploy/rebuild.yaml there (docs/roles.md)"


def _target(facts: Facts) -> Iterator[Finding]:
    yield from unless(facts.target_problem)


def _source(facts: Facts) -> Iterator[Finding]:
    found = _of(facts)
    about = f"cluster {found.name}"
    if found.trouble:
        yield warning(
            about,
            f"cannot be asked ({found.trouble}): nobody stops it, and it gives no last recovery "
            "point",
            "name its context in gitops-dr.yaml; if it is dead, cut it off and say --fenced",
        )
    elif found.fenced_for and found.fenced_for != facts.target:
        yield warning(
            about,
            f"was stopped for a failover to {found.fenced_for}",
            f"gitops-dr failover --target {found.fenced_for} goes on with that",
        )


def _fence(facts: Facts) -> Iterator[Finding]:
    found = _of(facts)
    yield from _missing(found, found.cannot_stop, "failover --fence does not stop it")


def _last_point(facts: Facts) -> Iterator[Finding]:
    found = _of(facts)
    yield from _missing(found, found.cannot_record, "there is no last recovery point")
    if found.snapshots is not None:
        yield from unless(found.snapshots.problem, warning)
        yield from unattended(found.snapshots, warning)


def _missing(found: SourceFacts, missing: tuple[Need, ...] | None, so: str) -> Iterator[Finding]:
    who = f"{found.user or 'the user'} of context {found.context}"
    for need in (missing or ())[:NAMED]:
        yield warning(who, f"may not {need}, and so {so}", _ROLE)
    if len(missing or ()) > NAMED:
        yield warning(who, f"may not do {len(missing or ()) - NAMED} more things", _ROLE)


def _of(facts: Facts) -> SourceFacts:
    assert facts.source is not None  # noqa: S101 - the row needs it
    return facts.source


def _answers(facts: Facts) -> bool:
    return facts.source is not None and not facts.source.trouble


TARGET_ROWS: tuple[JobRow, ...] = (
    JobRow(
        "target",
        "the target can be read, and this is its cluster",
        "What is meant for one cluster must not come into another.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids",
        _target,
        lambda facts: facts.repository is not None,
        _TARGETS,
    ),
    JobRow(
        "source",
        "the cluster that is failed over from answers",
        "One that cannot be asked may still write.",
        "https://en.wikipedia.org/wiki/Fencing_(computing)",
        _source,
        lambda facts: facts.source is not None,
        _FAILOVER,
    ),
    JobRow(
        "fence",
        "the source can be stopped",
        "Two clusters that do the same work write to the same places outside.",
        "https://en.wikipedia.org/wiki/Fencing_(computing)",
        _fence,
        lambda facts: _answers(facts) and _of(facts).cannot_stop is not None,
        _FAILOVER,
    ),
    JobRow(
        "last-point",
        "the source can be recorded a last time",
        "What was written since the newest recovery point is lost otherwise.",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/",
        _last_point,
        lambda facts: _answers(facts) and _of(facts).cannot_record is not None,
        _FAILOVER,
    ),
)
