"""The checks of ``doctor``: a row each, which looks at the facts and says what is wrong. Pure.

A blocker stops the job that was asked about; a warning does not, but somebody should know. The rows
follow the order in which things go wrong. Which checks there are is told by ``ROWS`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitops_dr.checks.facts import ClusterFacts, Facts, Problem, RepositoryFacts
from gitops_dr.checks.findings import Checked, Finding, Row, Severity
from gitops_dr.checks.findings import blocker as _blocker
from gitops_dr.checks.findings import warning as _warning
from gitops_dr.checks.needs import OWN, WRITES, Job
from gitops_dr.checks.of_cluster import another_version, at_work, minor, skew, unattended

_OLDEST = (1, 30)
"""The first version that serves aggregated discovery without a feature gate."""

_SHOWN = 5
"""Permissions that are told one by one; of more there is only their number."""

_APPLY = "an administrator applies what doctor -o yaml prints"

_COMMITS = frozenset({Job.EXPORT, Job.SECRETS, Job.VOLUMES})
_SNAPSHOTS = frozenset({Job.VOLUMES, Job.VOLUMES_RESTORE})
_SAME_CLUSTER = frozenset(Job) - {Job.REBUILD, Job.SYNC}
"""Jobs that make sense for the recorded cluster only."""


@dataclass(frozen=True, slots=True)
class JobRow(Row[Facts]):
    """One check of what a job needs."""

    jobs: frozenset[Job] = frozenset(Job)
    """The jobs that it matters for."""


def check(facts: Facts) -> tuple[Checked, ...]:
    """Look at all that matters for the job, in order."""
    return tuple(row.check(facts) for row in ROWS if facts.job in row.jobs)


def _unless(problem: Problem | None) -> Iterator[Finding]:
    """A blocker in the words of the error that was met; its object stands before the colon."""
    if problem is not None:
        about, colon, reason = problem.reason.partition(": ")
        yield _blocker(about if colon else "", reason if colon else about, problem.hint)


# -- git and the repository -------------------------------------------------------------------


def _git(facts: Facts) -> Iterator[Finding]:
    yield from _unless(facts.git_problem)


def _repository(facts: Facts) -> Iterator[Finding]:
    yield from _unless(facts.repository_problem)
    found = facts.repository
    if found is None:
        return
    if not found.has_commit and facts.job not in _COMMITS:
        yield _blocker(found.root, "has no commit yet", "run gitops-dr export first")
    elif not found.recorded_uid and facts.job not in _COMMITS:
        yield _blocker(
            found.prefix,
            "HEAD has no export of this cluster",
            "run gitops-dr export first, or choose another --cluster",
        )


def _branch(facts: Facts) -> Iterator[Finding]:
    found = _repo(facts)
    if found.branch is None:
        yield _blocker(
            found.root,
            "HEAD is detached, so a commit would belong to no branch",
            "git switch BRANCH (in CI: git switch -C main)",
        )
    if found.under_way:
        yield _blocker(
            found.root,
            f"a {found.under_way} is under way",
            f"finish it, or git {found.under_way} --abort",
        )
    if found.locked:
        yield _blocker(
            found.locked,
            "git is at work here, or was killed",
            "if no git is running in this repository, delete the file",
        )


def _worktree(facts: Facts) -> Iterator[Finding]:
    found = _repo(facts)
    if found.dirty:
        more = f" (and {len(found.dirty) - 1} more)" if len(found.dirty) > 1 else ""
        yield _warning(
            found.dirty[0],
            f"has changes that are not committed{more}; an export that would write there refuses",
            "commit, stash or restore them (git status)",
        )


def _history(facts: Facts) -> Iterator[Finding]:
    found = _repo(facts)
    if found.shallow:
        yield _warning(
            found.root,
            "the clone is shallow, and may be cut off before the last export",
            "git fetch --unshallow (in CI: fetch-depth 0)",
        )


# -- the cluster ------------------------------------------------------------------------------


def _reachable(facts: Facts) -> Iterator[Finding]:
    yield from _unless(facts.cluster_problem)


def _version(facts: Facts) -> Iterator[Finding]:
    live = _live(facts)
    version = minor(live.version)
    if version and version < _OLDEST:
        yield _blocker(
            live.server,
            f"runs Kubernetes {live.version}",
            f"1.{_OLDEST[1]} or newer is needed",
        )
    recorded = facts.repository.recorded_version if facts.repository else ""
    if facts.job in WRITES:
        remedy = "gitops-dr plan names the kinds and fields that it does not know"
        yield from another_version(live.server, live.version, recorded, remedy)


def _identity(facts: Facts) -> Iterator[Finding]:
    live, recorded = _live(facts), _repo(facts).recorded_uid
    yield from _unless(live.unidentified)
    if recorded and live.uid and recorded != live.uid:
        yield _blocker(
            f"context {live.context}" if live.context else live.server,
            f"is not the cluster that was exported (UID {live.uid}, recorded {recorded})",
            "choose another --context or --cluster; "
            "after a rebuild say export --adopt-cluster once",
        )


def _silent(facts: Facts) -> Iterator[Finding]:
    for gap in _live(facts).silent:
        yield _warning(
            gap.ref.group,
            f"{gap.reason}; nothing is known of its kinds",
            "repair or delete the APIService (kubectl get apiservices)",
        )


def _clock(facts: Facts) -> Iterator[Finding]:
    live = _live(facts)
    yield from skew(live.server, live.clock_ahead)


def _permissions(facts: Facts) -> Iterator[Finding]:
    live = _live(facts)
    missing = live.missing or ()
    if live.missing is None:
        yield _warning(
            live.server,
            "does not say what its user may do",
            "bind system:basic-user to system:authenticated again, as Kubernetes does",
        )
    who = live.user or "the user of this context"
    # What we keep in our own namespace is worth having, and every job goes on without.
    theirs = [need for need in missing if need.namespace != OWN]
    ours = [need for need in missing if need.namespace == OWN]
    for needs, severity in ((theirs, Severity.BLOCKER), (ours, Severity.WARNING)):
        for need in needs[:_SHOWN]:
            yield Finding(severity, who, f"may not {need}", _APPLY)
        if len(needs) > _SHOWN:
            more = f"may not do {len(needs) - _SHOWN} more things"
            yield Finding(severity, who, more, _APPLY)


def _alone(facts: Facts) -> Iterator[Finding]:
    yield from at_work(_live(facts).holder)


def _namespaces(facts: Facts) -> Iterator[Finding]:
    for name, holds in sorted((_live(facts).terminating or {}).items()):
        yield _warning(
            f"Namespace/{name}",
            f"is being deleted{f' ({holds})' if holds else ''}, and nothing can be made in it",
            "wait until it is gone, or take away what holds it",
        )


def _webhooks(facts: Facts) -> Iterator[Finding]:
    for hook in _live(facts).hooks or ():
        yield _warning(
            str(hook.configuration),
            f"its webhook {hook.name} must answer, and nothing is behind {hook.service}: whatever "
            "it is about is refused",
            "bring its backend up, or delete the configuration until it is",
        )


# -- volumes ----------------------------------------------------------------------------------


def _snapshots(facts: Facts) -> Iterator[Finding]:
    found = _live(facts).snapshots
    if found is None:
        return
    yield from _unless(found.problem)
    if not found.served:
        yield _blocker(
            "snapshot.storage.k8s.io/v1",
            "is not served",
            "install the CRDs and the controller of kubernetes-csi/external-snapshotter",
        )
        return
    for driver in found.drivers:
        classes = found.classes.get(driver, 0)
        if not classes:
            yield _warning(
                driver,
                "has volumes and no VolumeSnapshotClass: they cannot be captured",
                "create one, or say capture: false for them in gitops-dr.yaml",
            )
    yield from unattended(found, _blocker)


def _repo(facts: Facts) -> RepositoryFacts:
    assert facts.repository is not None  # noqa: S101 - the row needs it
    return facts.repository


def _live(facts: Facts) -> ClusterFacts:
    assert facts.cluster is not None  # noqa: S101 - the row needs it
    return facts.cluster


def _has_repository(facts: Facts) -> bool:
    return facts.repository is not None


def _has_cluster(facts: Facts) -> bool:
    return facts.cluster is not None


def _has_both(facts: Facts) -> bool:
    return _has_repository(facts) and _has_cluster(facts)


ROWS = (
    JobRow(
        "git",
        "git is there and new enough",
        "Everything is kept in Git, by features that old versions lack.",
        "https://git-scm.com/docs/git-fast-import",
        _git,
    ),
    JobRow(
        "repository",
        "the repository and the cluster in it",
        "Without a recovery point there is nothing to compare with.",
        "https://git-scm.com/docs/gitrepository-layout",
        _repository,
    ),
    JobRow(
        "branch",
        "a commit can be made",
        "An export ends in a commit, which must belong to a branch.",
        "https://git-scm.com/docs/git-checkout#_detached_head",
        _branch,
        _has_repository,
        _COMMITS,
    ),
    JobRow(
        "worktree",
        "nothing is in the way of it",
        "What somebody edits is never written over.",
        "https://git-scm.com/docs/git-status",
        _worktree,
        _has_repository,
        _COMMITS,
    ),
    JobRow(
        "history",
        "the history is complete",
        "A recovery point that was cut off cannot be found.",
        "https://git-scm.com/docs/shallow",
        _history,
        _has_repository,
        _COMMITS,
    ),
    JobRow(
        "reachable",
        "the API server answers",
        "Every job asks it.",
        "https://kubernetes.io/docs/concepts/overview/kubernetes-api/",
        _reachable,
    ),
    JobRow(
        "version",
        "its version",
        "Older ones answer otherwise; another one knows other kinds and fields.",
        "https://kubernetes.io/releases/version-skew-policy/",
        _version,
        _has_cluster,
    ),
    JobRow(
        "identity",
        "it is the recorded cluster",
        "The state of one cluster is not that of another.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids",
        _identity,
        _has_both,
        _SAME_CLUSTER,
    ),
    JobRow(
        "api-services",
        "all its APIs answer",
        "Of a kind whose API is silent nothing is known.",
        "https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/",
        _silent,
        _has_cluster,
    ),
    JobRow(
        "clock",
        "its clock and ours",
        "Ages of recovery points are told by both.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
        _clock,
        _has_cluster,
    ),
    JobRow(
        "permissions",
        "what its user may do",
        "What may not be read is a gap; what may not be written does not come back.",
        "https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
        _permissions,
        _has_cluster,
    ),
    JobRow(
        "alone",
        "nobody else is at work",
        "One run at a time works on a cluster.",
        "https://kubernetes.io/docs/concepts/architecture/leases/",
        _alone,
        _has_cluster,
        frozenset(Job) - {Job.DRIFT},
    ),
    JobRow(
        "namespaces",
        "no namespace is being deleted",
        "Nothing can be created in it until it is gone.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
        _namespaces,
        lambda facts: facts.cluster is not None and facts.cluster.terminating is not None,
        WRITES,
    ),
    JobRow(
        "webhooks",
        "webhooks of the cluster answer",
        "With failurePolicy Fail and nobody behind it, whatever it is about is refused.",
        "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
        _webhooks,
        lambda facts: facts.cluster is not None and facts.cluster.hooks is not None,
        WRITES,
    ),
    JobRow(
        "snapshots",
        "snapshots of volumes",
        "Where the controller is missing, snapshots stay without status and without an event.",
        "https://github.com/kubernetes-csi/external-snapshotter#usage",
        _snapshots,
        _has_cluster,
        _SNAPSHOTS,
    ),
)
"""In the order in which they are told."""
