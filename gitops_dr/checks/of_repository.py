"""Checks of what a job needs of git and of the repository. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gitops_dr.checks.facts import Facts
from gitops_dr.checks.findings import Finding, blocker, warning
from gitops_dr.checks.job_row import JobRow, has_repository, repository_of, unless
from gitops_dr.checks.needs import Job
from gitops_dr.checks.of_cluster import told
from gitops_dr.checks.of_pods import some

COMMITS = frozenset({Job.EXPORT, Job.SECRETS, Job.VOLUMES})
"""Jobs that end in a commit of what they found."""
OPENS = frozenset({Job.REBUILD, Job.SYNC, Job.FAILOVER})
"""Jobs that bring Secrets back."""
RESTORES = OPENS | {Job.VOLUMES_RESTORE}
"""Jobs that bring data back."""


def _git(facts: Facts) -> Iterator[Finding]:
    yield from unless(facts.git_problem)


def _repository(facts: Facts) -> Iterator[Finding]:
    yield from unless(facts.repository_problem)
    found = facts.repository
    if found is None:
        return
    if not found.has_commit and facts.job not in COMMITS:
        yield blocker(found.root, "has no commit yet", "run gitops-dr export first")
    elif not found.recorded_uid and facts.job not in COMMITS:
        yield blocker(
            found.prefix,
            "HEAD has no export of this cluster",
            "run gitops-dr export first, or choose another --cluster",
        )


def _branch(facts: Facts) -> Iterator[Finding]:
    found = repository_of(facts)
    if found.branch is None:
        yield blocker(
            found.root,
            "HEAD is detached, so a commit would belong to no branch",
            "git switch BRANCH (in CI: git switch -C main)",
        )
    if found.under_way:
        yield blocker(
            found.root,
            f"a {found.under_way} is under way",
            f"finish it, or git {found.under_way} --abort",
        )
    if found.locked:
        yield blocker(
            found.locked,
            "git is at work here, or was killed",
            "if no git is running in this repository, delete the file",
        )


def _worktree(facts: Facts) -> Iterator[Finding]:
    found = repository_of(facts)
    if found.dirty:
        more = f" (and {len(found.dirty) - 1} more)" if len(found.dirty) > 1 else ""
        yield warning(
            found.dirty[0],
            f"has changes that are not committed{more}; an export that would write there refuses",
            "commit, stash or restore them (git status)",
        )


def _history(facts: Facts) -> Iterator[Finding]:
    found = repository_of(facts)
    if found.shallow:
        yield warning(
            found.root,
            "the clone is shallow, and may be cut off before the last export",
            "git fetch --unshallow (in CI: fetch-depth 0)",
        )


# -- secrets -----------------------------------------------------------------------------------


def _recipients(facts: Facts) -> Iterator[Finding]:
    found = repository_of(facts)
    for problem in found.recipients:
        yield from unless(problem)
    for problem in found.other_recipients:
        yield from unless(problem, warning)


def _identities(facts: Facts) -> Iterator[Finding]:
    found = repository_of(facts).secrets
    yield from unless(found.problem)
    for problem in found.closed:
        yield from unless(problem)


# -- the recovery point ------------------------------------------------------------------------


def _point(facts: Facts) -> Iterator[Finding]:
    found = repository_of(facts).point
    if found is None:
        return
    about = f"recovery point {found.commit[:12]}"
    if found.max_age is not None and found.age > found.max_age:
        yield warning(
            about,
            f"is {told(found.age)} old, and volumes.maxAge is {told(found.max_age)}",
            "gitops-dr export --volumes, if the source still answers",
        )
    if found.stale:
        yield warning(
            some(sorted(found.stale)),
            f"its snapshot is older than volumes.maxAge ({told(found.max_age or timedelta())})",
            "gitops-dr export --volumes, if the source still answers",
        )
    reasons: dict[str, list[str]] = {}
    for ref, why in sorted(found.without.items()):
        reasons.setdefault(why, []).append(str(ref))
    for why, refs in reasons.items():
        more = f" and {len(refs) - 1} more" if refs[1:] else ""
        yield warning(
            f"{refs[0]}{more}",
            f"comes back without its data: {why}",
            "gitops-dr export --volumes, or say in gitops-dr.yaml that it may start empty",
        )


REPOSITORY_ROWS: tuple[JobRow, ...] = (
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
        has_repository,
        COMMITS,
    ),
    JobRow(
        "worktree",
        "nothing is in the way of it",
        "What somebody edits is never written over.",
        "https://git-scm.com/docs/git-status",
        _worktree,
        has_repository,
        COMMITS,
    ),
    JobRow(
        "history",
        "the history is complete",
        "A recovery point that was cut off cannot be found.",
        "https://git-scm.com/docs/shallow",
        _history,
        has_repository,
        COMMITS,
    ),
    JobRow(
        "recipients",
        "those who are to open Secrets can be encrypted to",
        "A rule of .sops.yaml that cannot be followed stops an export that has Secrets.",
        "https://getsops.io/docs/#using-sops-yaml-conf-to-select-kms-pgp-and-age-for-new-files",
        _recipients,
        has_repository,
        COMMITS,
    ),
    JobRow(
        "identities",
        "a private key here opens the Secrets in Git",
        "A Secret without its values is none, and what needs it does not run.",
        "https://github.com/getsops/sops#encrypting-using-age",
        _identities,
        has_repository,
        OPENS,
    ),
    JobRow(
        "recovery-point",
        "the newest recovery point has the data, and is as new as is said",
        "What happened since is lost, and a claim without a snapshot comes back empty or not at "
        "all.",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/",
        _point,
        has_repository,
        RESTORES,
    ),
)
