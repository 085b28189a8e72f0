"""``gitops-dr doctor``: what would stop a job, before it is begun. Reads Git and the cluster.

gather: git, the repository, the cluster, as far as each can be had. compute: the rows of
``checks/``. Nothing is written, and what cannot be looked at is a finding, not a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gitops_dr.checks.facts import (
    ClusterFacts,
    Facts,
    Problem,
    RepositoryFacts,
    SecretFacts,
)
from gitops_dr.checks.needs import WRITES, Job, grants, needs_of
from gitops_dr.checks.of_repository import COMMITS, OPENS, RESTORES
from gitops_dr.checks.reading import read_terminating
from gitops_dr.checks.rows import check
from gitops_dr.cluster import access, lease
from gitops_dr.cluster.connect import Connection, connect, or_none
from gitops_dr.cluster.discover import discover, identify
from gitops_dr.cluster.record import NAMESPACE
from gitops_dr.config import FILE
from gitops_dr.desired.target import Target
from gitops_dr.engine.doubtful_hooks import doubtful_hooks
from gitops_dr.engine.opening import Opened, Where, open_cluster, open_repo
from gitops_dr.engine.recorded import read_tree
from gitops_dr.engine.snapshot_facts import snapshot_facts
from gitops_dr.engine.snapshots import listed
from gitops_dr.engine.source_facts import source_facts
from gitops_dr.engine.standing_facts import point_facts, rule_problems, secret_facts
from gitops_dr.engine.targets import open_target, read_target, refuse_another
from gitops_dr.errors import ClusterError, GitOpsDRError, RepositoryError, UsageError
from gitops_dr.events import Emit, silent
from gitops_dr.model import Body, Identity
from gitops_dr.repository.checkout import dirty
from gitops_dr.repository.commit import under_way
from gitops_dr.repository.git import check_version, installed_version
from gitops_dr.repository.history import is_shallow
from gitops_dr.repository.repository import current_branch
from gitops_dr.results.doctor import Diagnosis

_TO_A_TARGET = frozenset({Job.REBUILD, Job.SYNC, Job.FAILOVER})


def doctor(where: Where, job: Job, *, target: str | None = None, emit: Emit = silent) -> Diagnosis:
    """Look at all that the job needs; at the cluster of ``target``, if that is named.

    Raises ``UsageError`` for a failover without a target, and for a target of a job that has none.
    """
    if target is None and job is Job.FAILOVER:
        raise UsageError("failover: no target is named", hint="say --target NAME")
    if target is not None and job not in _TO_A_TARGET:
        jobs = ", ".join(sorted(_TO_A_TARGET))
        raise UsageError(f"{job}: has no target", hint=f"those that have one are {jobs}")
    git, git_problem = _tried(_git_version)
    opened, problem = _tried(lambda: open_repo(where, emit, target=target)) if git else (None, None)
    repository, problem = (
        _tried(lambda: _repository(where, opened, job, emit)) if opened else (None, problem)
    )
    aimed, target_problem = (
        _tried(lambda: read_target(opened, where, target, emit=emit)) if opened else (None, None)
    )
    connection, cluster_problem = _tried(lambda: _connect(where, opened, aimed, target))
    cluster: ClusterFacts | None = None
    manifests: tuple[Body, ...] = ()
    if connection:
        found, cluster_problem = _tried(lambda: _cluster(connection, job))
        if found:
            cluster, manifests = found
    if opened and aimed and target and cluster and cluster.uid:
        identity = Identity(cluster.uid, cluster.version, "")
        tree = read_tree(opened.repo, opened.head, opened.settings.prefix)
        _, target_problem = _tried(lambda: refuse_another(aimed, tree, identity))
    source = None
    if job is Job.FAILOVER and opened and repository and aimed and repository.recorded_uid:
        source = source_facts(where, opened, aimed, repository.recorded_uid)
    facts = Facts(
        job=job,
        git=git,
        git_problem=git_problem,
        repository=repository,
        repository_problem=problem,
        cluster=cluster,
        cluster_problem=cluster_problem,
        target=target or "",
        target_problem=target_problem,
        source=source,
    )
    return Diagnosis(
        job=job,
        cluster=repository.cluster if repository else "",
        context=connection.context if connection else "",
        server=connection.server if connection else "",
        checks=check(facts),
        missing=manifests,
    )


def _tried[Found](look: Callable[[], Found]) -> tuple[Found | None, Problem | None]:
    """What was looked for, or why it cannot be had."""
    try:
        return look(), None
    except GitOpsDRError as error:
        return None, Problem(error.message, error.hint)


def _git_version() -> str:
    check_version()
    return installed_version()


def _repository(where: Where, opened: Opened, job: Job, emit: Emit) -> RepositoryFacts:
    repo, settings = opened.repo, opened.settings
    branch = None
    with suppress(RepositoryError):
        branch = current_branch(repo)
    lock = repo.git_dir / "index.lock"
    coverage = read_tree(repo, opened.head, settings.prefix).coverage if opened.head else None
    changed = [*dirty(repo, settings.prefix), *dirty(repo, FILE)] if opened.head else []
    recipients, others = rule_problems(opened) if job in COMMITS else ((), ())
    return RepositoryFacts(
        root=str(repo.root),
        cluster=settings.name,
        prefix=settings.prefix,
        has_commit=opened.head is not None,
        branch=branch,
        under_way=under_way(repo) or "",
        locked=str(lock) if lock.exists() else "",
        dirty=tuple(changed),
        shallow=is_shallow(repo),
        recorded_uid=coverage.uid if coverage else "",
        recorded_version=coverage.version if coverage else "",
        recipients=recipients,
        other_recipients=others,
        secrets=secret_facts(opened, where, emit) if job in OPENS else SecretFacts(),
        point=point_facts(opened) if job in RESTORES else None,
    )


def _connect(
    where: Where, opened: Opened | None, aimed: Target | None, target: str | None
) -> Connection:
    """By the target or the repository's settings; else only by what flags and environment say."""
    if target is not None:
        if opened is None or aimed is None:
            raise ClusterError(f"target {target}: cannot be read, so nobody knows its cluster")
        return open_target(where, opened, aimed)
    if opened is not None:
        return open_cluster(where, opened.settings)
    return connect(where.kubeconfig, where.context)


def _cluster(connection: Connection, job: Job) -> tuple[ClusterFacts, tuple[Body, ...]]:
    """The cluster, and the manifests that allow what is missing. Raises ``ClusterError``."""
    with ThreadPoolExecutor(thread_name_prefix="doctor") as pool:
        identity = pool.submit(_tried, lambda: identify(connection))
        us = pool.submit(or_none, lambda: access.ourselves(connection))
        holder = pool.submit(or_none, lambda: lease.look(connection))
        has_namespace = pool.submit(or_none, lambda: _namespace(connection))
        discovery = discover(connection)
        needs = needs_of(job, discovery.resources)
        missing = pool.submit(or_none, lambda: access.missing(connection, needs))
        hooks = terminating = None
        if job in WRITES:
            hooks = pool.submit(or_none, lambda: doubtful_hooks(connection))
            terminating = pool.submit(
                or_none, lambda: read_terminating(listed(connection, "/api/v1/namespaces"))
            )
        snapshots = None
        if job in (Job.VOLUMES, Job.VOLUMES_RESTORE, Job.FAILOVER):
            snapshots = pool.submit(snapshot_facts, connection, discovery)
        who, lacking = us.result(), missing.result()
        live, unidentified = identity.result()
    user = who.user if who else ""
    facts = ClusterFacts(
        context=connection.context,
        server=connection.server,
        uid=live.uid if live else "",
        version=live.version if live else "",
        user=user,
        unidentified=unidentified,
        clock_ahead=who.clock_ahead if who else None,
        silent=discovery.gaps,
        missing=lacking,
        holder=holder.result(),
        snapshots=snapshots.result() if snapshots else None,
        hooks=hooks.result() if hooks else (),
        terminating=terminating.result() if terminating else {},
    )
    # An account of it shows that it is there, too, to whom it may not be shown.
    is_there = has_namespace.result() or user.startswith(f"system:serviceaccount:{NAMESPACE}:")
    there = (NAMESPACE,) if is_there else ()
    return facts, grants(lacking or (), job, user or "USER", namespaces=there)


def _namespace(connection: Connection) -> bool:
    connection.request("GET", f"/api/v1/namespaces/{NAMESPACE}")
    return True
