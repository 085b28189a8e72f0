"""The checks of ``doctor``: a row each, which looks at the facts and says what is wrong. Pure.

A blocker stops the job that was asked about; a warning does not, but somebody should know. The rows
follow the order in which things go wrong. Which checks there are is told by ``ROWS`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitops_dr.checks.facts import Facts
from gitops_dr.checks.findings import Checked, Finding, Severity, blocker, warning
from gitops_dr.checks.job_row import (
    JobRow,
    cluster_of,
    has_both,
    has_cluster,
    repository_of,
    unless,
)
from gitops_dr.checks.needs import OWN, WRITES, Job
from gitops_dr.checks.of_cluster import another_version, at_work, minor, skew, unattended
from gitops_dr.checks.of_repository import REPOSITORY_ROWS
from gitops_dr.checks.of_target import TARGET_ROWS

_OLDEST = (1, 30)
"""The first version that serves aggregated discovery without a feature gate."""

_SHOWN = 5
"""Permissions that are told one by one; of more there is only their number."""

_APPLY = "an administrator applies what doctor -o yaml prints"

_SNAPSHOTS = frozenset({Job.VOLUMES, Job.VOLUMES_RESTORE, Job.FAILOVER})
_SAME_CLUSTER = frozenset(Job) - {Job.REBUILD, Job.SYNC, Job.FAILOVER}
"""Jobs that make sense for the recorded cluster only."""


def check(facts: Facts) -> tuple[Checked, ...]:
    """Look at all that matters for the job, in order."""
    return tuple(row.check(facts) for row in ROWS if facts.job in row.jobs)


def _reachable(facts: Facts) -> Iterator[Finding]:
    yield from unless(facts.cluster_problem)


def _version(facts: Facts) -> Iterator[Finding]:
    live = cluster_of(facts)
    version = minor(live.version)
    if version and version < _OLDEST:
        yield blocker(
            live.server,
            f"runs Kubernetes {live.version}",
            f"1.{_OLDEST[1]} or newer is needed",
        )
    recorded = facts.repository.recorded_version if facts.repository else ""
    if facts.job in WRITES:
        remedy = "gitops-dr plan names the kinds and fields that it does not know"
        yield from another_version(live.server, live.version, recorded, remedy)


def _identity(facts: Facts) -> Iterator[Finding]:
    live, recorded = cluster_of(facts), repository_of(facts).recorded_uid
    yield from unless(live.unidentified)
    if recorded and live.uid and recorded != live.uid:
        yield blocker(
            f"context {live.context}" if live.context else live.server,
            f"is not the cluster that was exported (UID {live.uid}, recorded {recorded})",
            "choose another --context or --cluster; "
            "after a rebuild say export --adopt-cluster once",
        )


def _silent(facts: Facts) -> Iterator[Finding]:
    for gap in cluster_of(facts).silent:
        yield warning(
            gap.ref.group,
            f"{gap.reason}; nothing is known of its kinds",
            "repair or delete the APIService (kubectl get apiservices)",
        )


def _clock(facts: Facts) -> Iterator[Finding]:
    live = cluster_of(facts)
    yield from skew(live.server, live.clock_ahead)


def _permissions(facts: Facts) -> Iterator[Finding]:
    live = cluster_of(facts)
    missing = live.missing or ()
    if live.missing is None:
        yield warning(
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
    yield from at_work(cluster_of(facts).holder)


def _namespaces(facts: Facts) -> Iterator[Finding]:
    for name, holds in sorted((cluster_of(facts).terminating or {}).items()):
        yield warning(
            f"Namespace/{name}",
            f"is being deleted{f' ({holds})' if holds else ''}, and nothing can be made in it",
            "wait until it is gone, or take away what holds it",
        )


def _webhooks(facts: Facts) -> Iterator[Finding]:
    for hook in cluster_of(facts).hooks or ():
        if hook.service is None:
            continue  # Whether it is asked at all, a plan says.
        yield warning(
            str(hook.configuration),
            f"its webhook {hook.name} must answer, and nothing is behind {hook.service}: whatever "
            "it is about is refused",
            "bring its backend up, or delete the configuration until it is",
        )


# -- volumes ----------------------------------------------------------------------------------


def _snapshots(facts: Facts) -> Iterator[Finding]:
    found = cluster_of(facts).snapshots
    if found is None:
        return
    yield from unless(found.problem)
    if not found.served:
        yield blocker(
            "snapshot.storage.k8s.io/v1",
            "is not served",
            "install the CRDs and the controller of kubernetes-csi/external-snapshotter",
        )
        return
    for driver in found.drivers:
        classes = found.classes.get(driver, 0)
        if not classes:
            yield warning(
                driver,
                "has volumes and no VolumeSnapshotClass: they cannot be captured",
                "create one, or say capture: false for them in gitops-dr.yaml",
            )
    yield from unattended(found, blocker)


ROWS = (
    *REPOSITORY_ROWS,
    *TARGET_ROWS,
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
        has_cluster,
    ),
    JobRow(
        "identity",
        "it is the recorded cluster",
        "The state of one cluster is not that of another.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids",
        _identity,
        has_both,
        _SAME_CLUSTER,
    ),
    JobRow(
        "api-services",
        "all its APIs answer",
        "Of a kind whose API is silent nothing is known.",
        "https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/",
        _silent,
        has_cluster,
    ),
    JobRow(
        "clock",
        "its clock and ours",
        "Ages of recovery points are told by both.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
        _clock,
        has_cluster,
    ),
    JobRow(
        "permissions",
        "what its user may do",
        "What may not be read is a gap; what may not be written does not come back.",
        "https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
        _permissions,
        has_cluster,
    ),
    JobRow(
        "alone",
        "nobody else is at work",
        "One run at a time works on a cluster.",
        "https://kubernetes.io/docs/concepts/architecture/leases/",
        _alone,
        has_cluster,
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
        has_cluster,
        _SNAPSHOTS,
    ),
)
"""In the order in which they are told."""
