"""Each row of ``doctor``: silent where all is well, and plain where it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gitops_dr.checks.facts import (
    ClusterFacts,
    Facts,
    Hook,
    PointFacts,
    Problem,
    RepositoryFacts,
    SecretFacts,
    SnapshotFacts,
    SourceFacts,
)
from gitops_dr.checks.findings import Severity
from gitops_dr.checks.needs import Job, Need
from gitops_dr.checks.of_cluster import MOST_SKEW
from gitops_dr.checks.rows import ROWS, check
from gitops_dr.model import ANY, Gap, Holder, Ref

REPOSITORY = RepositoryFacts(
    root="/repo",
    cluster="prod",
    prefix="clusters/prod",
    has_commit=True,
    branch="refs/heads/main",
    recorded_uid="u1",
    recorded_version="v1.37.2",
)
SNAPSHOTS = SnapshotFacts(served=True, drivers=("disk.csi",), classes={"disk.csi": 1})
CLUSTER = ClusterFacts(
    context="prod-admin",
    server="https://prod",
    uid="u1",
    version="v1.37.2",
    user="alice",
    clock_ahead=0.4,
    missing=(),
    snapshots=SNAPSHOTS,
)
SOURCE = SourceFacts("prod", "prod", user="bob", snapshots=SNAPSHOTS)
GOOD = Facts(
    job=Job.VOLUMES,
    git="2.39.5",
    repository=REPOSITORY,
    cluster=CLUSTER,
    target="standby",
    source=SOURCE,
)
CLAIM = Ref("", "PersistentVolumeClaim", "shop", "data")
DAY = timedelta(days=1)
HOOK = Hook(
    Ref("x", "ValidatingWebhookConfiguration", "", "w"),
    "w.example.com",
    Ref("", "Service", "ops", "w"),
    (),
)
HOLDER = Holder("r", "laptop", "bob", 7, "gitops-dr rebuild", "2026-11-22T10:00:00Z")


def repository(**changes) -> Facts:
    return replace(GOOD, repository=replace(REPOSITORY, **changes))


def cluster(**changes) -> Facts:
    return replace(GOOD, cluster=replace(CLUSTER, **changes))


def source(**changes) -> Facts:
    return replace(GOOD, job=Job.FAILOVER, source=replace(SOURCE, **changes))


def point(job: Job = Job.REBUILD, age: timedelta = DAY, **changes) -> Facts:
    return replace(repository(point=PointFacts("a" * 40, age, **changes)), job=job)


def found(facts: Facts) -> dict[str, list[tuple[str, str]]]:
    return {
        one.id: [(f.severity, f"{f.about}: {f.reason}") for f in one.findings]
        for one in check(facts)
        if one.findings
    }


@pytest.mark.parametrize("job", list(Job))
def test_nothing_is_wrong_where_all_is_well(job: Job) -> None:
    checks = check(replace(GOOD, job=job))
    assert [one.findings for one in checks] == [()] * len(checks)
    assert {"git", "repository", "reachable", "permissions"} <= {one.id for one in checks}


CASES = {
    "no git": (
        replace(GOOD, git=None, git_problem=Problem("git: not found", "install it")),
        ("git", Severity.BLOCKER, "git: not found"),
    ),
    "no repository": (
        replace(GOOD, repository=None, repository_problem=Problem("/x: not in a Git repository")),
        ("repository", Severity.BLOCKER, "/x: not in a Git repository"),
    ),
    "an error without an object": (
        replace(GOOD, repository=None, repository_problem=Problem("strange")),
        ("repository", Severity.BLOCKER, ": strange"),
    ),
    "nothing to rebuild from": (
        replace(repository(has_commit=False), job=Job.REBUILD),
        ("repository", Severity.BLOCKER, "/repo: has no commit yet"),
    ),
    "no export to compare with": (
        replace(repository(recorded_uid=""), job=Job.DRIFT),
        ("repository", Severity.BLOCKER, "clusters/prod: HEAD has no export of this cluster"),
    ),
    "detached": (
        repository(branch=None),
        ("branch", Severity.BLOCKER, "/repo: HEAD is detached, so a commit would belong to no"),
    ),
    "a merge": (
        repository(under_way="merge"),
        ("branch", Severity.BLOCKER, "/repo: a merge is under way"),
    ),
    "git's lock": (
        repository(locked="/repo/.git/index.lock"),
        ("branch", Severity.BLOCKER, "/repo/.git/index.lock: git is at work here, or was killed"),
    ),
    "uncommitted": (
        repository(dirty=("a.yaml", "b.yaml")),
        ("worktree", Severity.WARNING, "a.yaml: has changes that are not committed (and 1 more)"),
    ),
    "shallow": (
        repository(shallow=True),
        ("history", Severity.WARNING, "/repo: the clone is shallow"),
    ),
    "unreachable": (
        replace(GOOD, cluster=None, cluster_problem=Problem("https://prod: no answer to GET /api")),
        ("reachable", Severity.BLOCKER, "https://prod: no answer to GET /api"),
    ),
    "too old": (
        cluster(version="v1.29.9"),
        ("version", Severity.BLOCKER, "https://prod: runs Kubernetes v1.29.9"),
    ),
    "older than the source": (
        replace(cluster(version="v1.36.0"), job=Job.REBUILD),
        ("version", Severity.WARNING, "https://prod: runs Kubernetes v1.36.0, which is older than"),
    ),
    "newer than the source": (
        replace(cluster(version="v1.38.0+k3s1"), job=Job.REBUILD),
        ("version", Severity.WARNING, "https://prod: runs Kubernetes v1.38.0+k3s1, which is newer"),
    ),
    "another cluster": (
        cluster(uid="u2"),
        (
            "identity",
            Severity.BLOCKER,
            "context prod-admin: is not the cluster that was exported (UID u2, recorded u1)",
        ),
    ),
    "a cluster that may not be known": (
        cluster(uid="", version="", unidentified=Problem("https://prod: cannot be identified: no")),
        ("identity", Severity.BLOCKER, "https://prod: cannot be identified: no"),
    ),
    "a silent API": (
        cluster(silent=(Gap(Ref("metrics.k8s.io", ANY, "", ANY), "does not answer"),)),
        ("api-services", Severity.WARNING, "metrics.k8s.io: does not answer"),
    ),
    "clock ahead": (
        cluster(clock_ahead=MOST_SKEW + 7),
        ("clock", Severity.WARNING, "https://prod: its clock is 12 s ahead of ours"),
    ),
    "clock behind": (
        cluster(clock_ahead=-MOST_SKEW - 7),
        ("clock", Severity.WARNING, "https://prod: its clock is 12 s behind ours"),
    ),
    "a permission": (
        cluster(missing=(Need("apps", "deployments", "list"),)),
        ("permissions", Severity.BLOCKER, "alice: may not list deployments.apps"),
    ),
    "a permission for what every job can do without": (
        cluster(missing=(Need("coordination.k8s.io", "leases", "get", "gitops-dr"),)),
        (
            "permissions",
            Severity.WARNING,
            "alice: may not get leases.coordination.k8s.io in gitops-dr",
        ),
    ),
    "permissions unknown": (
        cluster(missing=None),
        ("permissions", Severity.WARNING, "https://prod: does not say what its user may do"),
    ),
    "somebody at work": (
        cluster(holder=HOLDER),
        ("alone", Severity.WARNING, "Lease gitops-dr/cluster: is held by bob@laptop (process 7)"),
    ),
    "no snapshots": (
        cluster(snapshots=SnapshotFacts(served=False)),
        ("snapshots", Severity.BLOCKER, "snapshot.storage.k8s.io/v1: is not served"),
    ),
    "no class": (
        cluster(snapshots=replace(SNAPSHOTS, classes={"other.csi": 1})),
        ("snapshots", Severity.WARNING, "disk.csi: has volumes and no VolumeSnapshotClass"),
    ),
    "nobody takes snapshots": (
        cluster(snapshots=replace(SNAPSHOTS, untouched=("a/b", "a/c"))),
        ("snapshots", Severity.BLOCKER, "VolumeSnapshot a/b: nobody has looked at it (and 1 more)"),
    ),
    "a controller that is gone": (
        cluster(snapshots=replace(SNAPSHOTS, leader="its Lease is old")),
        ("snapshots", Severity.WARNING, "snapshot controller: its Lease is old"),
    ),
    "a namespace that goes": (
        replace(cluster(terminating={"old": "finalizers"}), job=Job.REBUILD),
        ("namespaces", Severity.WARNING, "Namespace/old: is being deleted (finalizers)"),
    ),
    "a webhook without a backend": (
        replace(cluster(hooks=(HOOK,)), job=Job.SYNC),
        (
            "webhooks",
            Severity.WARNING,
            (
                "ValidatingWebhookConfiguration.x/w: its webhook w.example.com must answer, and "
                "nothing is behind Service/ops/w"
            ),
        ),
    ),
    "a rule that cannot be followed": (
        repository(recipients=(Problem(".sops.yaml: creation_rules[0]: no recipient", "repair"),)),
        ("recipients", Severity.BLOCKER, ".sops.yaml: creation_rules[0]: no recipient"),
    ),
    "a rule of others that cannot be followed": (
        repository(other_recipients=(Problem(".sops.yaml: rule 1: no recipient", "repair"),)),
        ("recipients", Severity.WARNING, ".sops.yaml: rule 1: no recipient"),
    ),
    "a Secret that nobody here opens": (
        replace(
            repository(secrets=SecretFacts(3, (Problem("a.yaml: no key of it", "name one"),))),
            job=Job.FAILOVER,
        ),
        ("identities", Severity.BLOCKER, "a.yaml: no key of it"),
    ),
    "a key file that is damaged": (
        replace(
            repository(secrets=SecretFacts(problem=Problem("keys.txt: no age identity", "x"))),
            job=Job.SYNC,
        ),
        ("identities", Severity.BLOCKER, "keys.txt: no age identity"),
    ),
    "an old recovery point": (
        point(age=timedelta(hours=37, minutes=5), max_age=timedelta(hours=26)),
        (
            "recovery-point",
            Severity.WARNING,
            "recovery point aaaaaaaaaaaa: is 1d13h old, and volumes.maxAge is 1d2h",
        ),
    ),
    "an old snapshot": (
        point(max_age=DAY, stale=(CLAIM,)),
        (
            "recovery-point",
            Severity.WARNING,
            f"{CLAIM}: its snapshot is older than volumes.maxAge (1d)",
        ),
    ),
    "a claim without a snapshot": (
        point(Job.VOLUMES_RESTORE, without={CLAIM: "none was taken"}),
        (
            "recovery-point",
            Severity.WARNING,
            f"{CLAIM}: comes back without its data: none was taken",
        ),
    ),
    "another cluster than the target's": (
        replace(GOOD, job=Job.FAILOVER, target_problem=Problem("target standby: not it", "x")),
        ("target", Severity.BLOCKER, "target standby: not it"),
    ),
    "a source that was stopped for another target": (
        source(fenced_for="elsewhere"),
        ("source", Severity.WARNING, "cluster prod: was stopped for a failover to elsewhere"),
    ),
    "a source that may not be stopped": (
        source(cannot_stop=(Need("apps", "deployments", "patch"),)),
        (
            "fence",
            Severity.WARNING,
            (
                "bob of context prod: may not patch deployments.apps, and so failover --fence does "
                "not stop it"
            ),
        ),
    ),
    "a source that may not be recorded": (
        source(cannot_record=(Need("", "secrets", "list"),)),
        (
            "last-point",
            Severity.WARNING,
            "bob of context prod: may not list secrets, and so there is no last recovery point",
        ),
    ),
    "a source that nobody takes snapshots in": (
        source(snapshots=replace(SNAPSHOTS, untouched=("a/b",))),
        ("last-point", Severity.WARNING, "VolumeSnapshot a/b: nobody has looked at it"),
    ),
    "a source whose snapshots nobody may look at": (
        source(snapshots=SnapshotFacts(served=True, problem=Problem("snapshots: no", "x"))),
        ("last-point", Severity.WARNING, "snapshots: no"),
    ),
    "snapshots cannot be listed": (
        cluster(snapshots=SnapshotFacts(served=True, problem=Problem("volumesnapshots: no"))),
        ("snapshots", Severity.BLOCKER, "volumesnapshots: no"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told_once_and_has_a_remedy(case: str) -> None:
    facts, (row, severity, text) = CASES[case]
    told = found(facts)
    assert list(told) == [row]
    ((how, what),) = told[row]
    assert how == severity
    assert what.startswith(text)
    if not case.startswith(("no repository", "an error", "unreachable", "a cluster that", "snap")):
        assert all(f.remedy for one in check(facts) for f in one.findings or ())


def test_every_row_has_a_case() -> None:
    assert {row for _, (row, *_) in CASES.values()} == {row.id for row in ROWS}


def test_what_stops_writes_is_nothing_to_who_reads() -> None:
    facts = cluster(terminating={"old": ""}, hooks=(HOOK,))
    assert found(replace(facts, job=Job.EXPORT)) == {}


def test_what_we_may_not_look_at_is_not_known() -> None:
    facts = replace(cluster(terminating=None, hooks=None), job=Job.REBUILD)
    assert {one.id for one in check(facts) if one.findings is None} == {"namespaces", "webhooks"}


def test_of_a_source_that_does_not_answer_nothing_more_is_known() -> None:
    """Exit code 3: what a failover needs of it could not be looked at."""
    facts = source(trouble="no answer", cannot_stop=None, cannot_record=None)
    (told,) = found(facts)["source"]
    assert told[0] is Severity.WARNING
    assert told[1].startswith("cluster prod: cannot be asked (no answer): nobody stops it")
    unknown = {one.id for one in check(facts) if one.findings is None}
    assert unknown == {"fence", "last-point"}


def test_a_source_that_was_stopped_for_this_target_is_as_it_should_be() -> None:
    assert found(source(fenced_for="standby")) == {}


def test_a_point_as_old_as_is_said_is_new_enough() -> None:
    assert found(point(age=DAY, max_age=DAY)) == {}
    assert found(point(age=DAY)) == {}


@pytest.mark.parametrize(
    ("job", "rows"),
    [
        (Job.EXPORT, {"recipients"}),
        (Job.DRIFT, set()),
        (Job.REBUILD, {"identities", "recovery-point", "target"}),
        (Job.VOLUMES_RESTORE, {"recovery-point"}),
        (
            Job.FAILOVER,
            {"identities", "recovery-point", "target", "source", "fence", "last-point"},
        ),
    ],
)
def test_what_no_job_needs_is_not_looked_at(job: Job, rows: set[str]) -> None:
    some = {"recipients", "identities", "recovery-point", "target", "source", "fence", "last-point"}
    assert {one.id for one in check(replace(GOOD, job=job))} & some == rows


def test_many_permissions_are_counted() -> None:
    missing = tuple(Need("apps", f"things{n}", "list") for n in range(9))
    told = [text for _, text in found(cluster(missing=missing))["permissions"]]
    assert len(told) == 6
    assert told[-1] == "alice: may not do 4 more things"


def test_what_cannot_be_looked_at_is_not_called_well() -> None:
    facts = replace(GOOD, repository=None, cluster=None)
    unknown = {one.id for one in check(facts) if one.findings is None}
    assert unknown == {
        *("branch", "worktree", "history", "version", "identity", "api-services", "clock"),
        *("permissions", "alone", "snapshots", "recipients"),
    }


def test_another_cluster_is_what_a_rebuild_is_for() -> None:
    assert found(replace(cluster(uid="u2"), job=Job.REBUILD)) == {}


@pytest.mark.parametrize("ahead", [None, 0.0, MOST_SKEW, -MOST_SKEW])
def test_a_little_skew_is_none(ahead: float | None) -> None:
    assert found(cluster(clock_ahead=ahead)) == {}


@pytest.mark.parametrize("version", ["", "v1", "master", "vx.y"])
def test_a_version_that_says_nothing_stops_nothing(version: str) -> None:
    assert found(replace(cluster(version=version), job=Job.REBUILD)) == {}
