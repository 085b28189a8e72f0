"""Checks of a plan about volumes: drivers, snapshots, data that must not be lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitops_dr.checks.demand import DAEMON_SET, Claim
from gitops_dr.checks.findings import Finding, PlanRow, blocker, warning
from gitops_dr.checks.of_cluster import told, unattended
from gitops_dr.checks.of_pods import some
from gitops_dr.checks.plan_facts import PlanFacts, Storage
from gitops_dr.model import SECRET, Ref

_STATIC = ("kubernetes.io/no-provisioner", "")


def claims(facts: PlanFacts) -> Iterator[tuple[Ref, Claim]]:
    """The plan's claims that somebody must make a volume for, and those of StatefulSets."""
    for ref, claim in facts.demand.claims.items():
        if ref in facts.creates and not claim.volume:
            yield ref, claim
    for ref, (_, templates) in facts.demand.templates.items():
        if ref in facts.creates:
            for _, claim in templates:
                yield ref, claim


def _storage(facts: PlanFacts) -> Iterator[Finding]:
    seen = facts.seen.storage or Storage()
    without: list[Ref] = []
    users: dict[str, list[Ref]] = {}
    for ref, claim in claims(facts):
        if claim.storage_class is None:
            without.append(ref)
        elif claim.storage_class in seen.provisioners:
            users.setdefault(seen.provisioners[claim.storage_class], []).append(ref)
    if without and len(seen.default_classes) != 1:
        yield warning(
            some(sorted(set(without))),
            "names no StorageClass, and the target has "
            + (f"{len(seen.default_classes)} defaults" if seen.default_classes else "no default"),
            "name a class in Git, or mark one as the default there",
        )
    for driver, refs in sorted(users.items()):
        # Provisioners that are no CSI drivers have their own names, and register nowhere.
        if driver in _STATIC or driver.startswith("kubernetes.io/"):
            continue
        who = some(sorted(set(refs)))
        if driver not in seen.drivers and driver not in seen.nodes:
            yield warning(
                f"CSIDriver/{driver}",
                f"is neither in Git nor in the target; needed by {who}",
                "install the driver, or say mappings.storageClasses in target.yaml",
            )
        elif seen.told_of and driver not in seen.nodes and not _brings_daemons(facts):
            yield warning(
                f"CSIDriver/{driver}",
                f"runs on none of the target's nodes; needed by {who}",
                "see why its DaemonSet has no pods",
            )
        limit = seen.limits.get(driver)
        if limit is not None and seen.attached.get(driver, 0) + len(refs) > limit:
            yield warning(
                f"CSIDriver/{driver}",
                f"its nodes take {limit} volumes, {seen.attached.get(driver, 0)} are there, and "
                f"the plan needs {len(refs)} more",
                "add nodes",
            )


def _brings_daemons(facts: PlanFacts) -> bool:
    """Whether the plan makes DaemonSets, one of which may be the driver's."""
    return any(ref.group_kind == DAEMON_SET for ref in facts.creates)


def _data(facts: PlanFacts) -> Iterator[Finding]:
    for gap in facts.blocked:
        if gap.ref.group_kind != SECRET:
            yield blocker(
                gap.ref,
                gap.reason,
                "choose a recovery point that has it with --at, make room, or say "
                "--accept-empty-volumes",
            )


def _snapshots(facts: PlanFacts) -> Iterator[Finding]:
    if not facts.restored or facts.seen.snapshots is None:
        return
    found = facts.seen.snapshots
    if not found.served and not facts.brings_snapshots:
        yield blocker(
            "snapshot.storage.k8s.io/v1",
            f"is not served, and {len(facts.restored)} claims are to be filled from snapshots",
            "install the CRDs and the controller of kubernetes-csi/external-snapshotter",
        )
    yield from unattended(found, warning)


def _ages(facts: PlanFacts) -> Iterator[Finding]:
    if facts.max_age is None or facts.asked is None:
        return
    oldest = facts.asked - facts.max_age
    stale = {
        ref: record
        for ref, record in facts.restored.items()
        if record.moment is None or record.moment < oldest
    }
    if stale:
        first = min(stale.values(), key=lambda record: record.created)
        yield warning(
            some(sorted(stale)),
            f"comes back as it was at {first.created}, and volumes.maxAge is {told(facts.max_age)}",
            "make a newer recovery point, if the source still answers: gitops-dr export --volumes",
        )


def _contents(facts: PlanFacts) -> Iterator[Finding]:
    for ref, handle in sorted(facts.demand.deleting.items()):
        if ref in facts.creates:
            yield blocker(
                ref,
                f"takes snapshot {handle} along when it is deleted, and it is not alone to have it",
                "say deletionPolicy: Retain",
            )


def _shared(facts: PlanFacts) -> Iterator[Finding]:
    if not facts.elsewhere:
        return
    for ref, handle in sorted(facts.demand.static.items()):
        if ref in facts.creates:
            yield warning(
                ref,
                f"names volume {handle}, which is the source's, too: both clusters would write it",
                "see that only one of them does, or leave it out at the target",
            )


STORAGE_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "data",
        "the data of volumes can be had",
        "A database that starts empty may be taken for a whole one.",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/",
        _data,
        blocks="data that is required is not to be had, or a quota has no room for it",
    ),
    PlanRow(
        "storage",
        "somebody makes the volumes",
        "A claim whose driver does not run waits for ever.",
        "https://kubernetes-csi.github.io/docs/csi-driver-object.html",
        _storage,
        known=lambda facts: facts.seen.storage is not None,
    ),
    PlanRow(
        "snapshots",
        "snapshots are served, and somebody looks at them",
        "Where the controller is missing, snapshots stay without status and without an event.",
        "https://github.com/kubernetes-csi/external-snapshotter#usage",
        _snapshots,
        blocks="claims are to be filled from snapshots, which neither the target nor Git defines",
    ),
    PlanRow(
        "snapshot-age",
        "snapshots are as new as is said",
        "What was written since a snapshot is lost.",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/",
        _ages,
    ),
    PlanRow(
        "snapshot-contents",
        "no content takes a snapshot along",
        "A content with the policy Delete deletes a snapshot that the source counts on.",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/#deletionpolicy",
        _contents,
        blocks="always: data would be lost",
    ),
    PlanRow(
        "shared-volumes",
        "no volume belongs to two clusters",
        "A file system that two clusters write is destroyed.",
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes",
        _shared,
    ),
)
