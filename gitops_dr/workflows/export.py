"""``gitops-dr export``: writes a running cluster into Git. Reads the cluster, commits.

gather: what Git has, what the cluster is. compute: which files change. act: one commit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops_dr.cluster.discover import identify
from gitops_dr.desired.recovery import COVERAGE, IMAGES, Coverage, write_coverage, write_images
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.recorded import Recorded, Tree, read_state, read_tree
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import Gap, Identity
from gitops_dr.repository.checkout import finish_interrupted_checkout
from gitops_dr.repository.commit import commit
from gitops_dr.results import Exported
from gitops_dr.secrets.guard import objection

SHRINK_LIMIT = 0.10
"""Losing a larger part of the recorded objects at once needs the user's word."""


@dataclass(slots=True)
class _Changes:
    """File changes below the cluster's prefix."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)


def export(
    where: Where,
    *,
    dry_run: bool = False,
    adopt_cluster: bool = False,
    allow_shrink: bool = False,
    emit: Emit = silent,
) -> Exported:
    """Export a cluster into its repository.

    ``dry_run`` stops before the commit. Refuses (``RefusedError``) a cluster whose UID is not the
    recorded one unless ``adopt_cluster``, and to delete more than a tenth of the recorded objects
    unless ``allow_shrink``. What cannot be read keeps its files and is a gap of the result.
    """
    opened = open_repo(where, emit)
    repo, settings = opened.repo, opened.settings
    if not dry_run:
        finish_interrupted_checkout(repo)
    tree = read_tree(repo, opened.head, settings.prefix)
    connection = open_cluster(where, settings)
    identity = identify(connection)
    _refuse_another_cluster(tree, identity, settings.name, adopt_cluster=adopt_cluster)

    observation = observe(
        connection,
        identity,
        repo.blob_id,
        known=frozenset(tree.files.values()),
        versions=tree.coverage.versions if tree.coverage else None,
        exact=True,
        emit=emit,
    )
    recorded = read_state(tree, observation.state)
    changes = _changes(recorded, observation)
    _refuse_shrinking(recorded, changes, settings.name, allow_shrink=allow_shrink)
    gaps = tuple(sorted({*observation.state.gaps, *changes.gaps}))
    _account(changes, tree, observation, gaps)

    started = time.monotonic()
    made = None
    if not dry_run:
        emit(PhaseStarted("commit", len(changes.files)))
        made = commit(
            repo,
            changes={f"{settings.prefix}/{path}": data for path, data in changes.files.items()},
            message=_message(settings.name, changes.files),
            trailers=_trailers(settings.name, observation),
            guard=objection,
            expected=opened.head,
        )
        emit(PhaseEnded("commit", time.monotonic() - started, len(changes.files)))
    return Exported(
        cluster=settings.name,
        source=identity,
        commit=made.id if made else opened.head,
        created=bool(made and made.created),
        objects=len(observation.state.entries) - len(changes.gaps),
        written=tuple(sorted(p for p, data in changes.files.items() if data is not None)),
        deleted=tuple(sorted(p for p, data in changes.files.items() if data is None)),
        omissions=observation.state.omissions,
        gaps=gaps,
        torn=observation.torn,
        left=made.left if made else (),
        dry_run=dry_run,
    )


def _refuse_another_cluster(
    tree: Tree, identity: Identity, name: str, *, adopt_cluster: bool
) -> None:
    recorded = tree.coverage.uid if tree.coverage else identity.uid
    if recorded != identity.uid and not adopt_cluster:
        raise RefusedError(
            f"cluster {name}: this is not the cluster that was exported before "
            f"(UID {identity.uid}, recorded {recorded})",
            hint="choose another --context; after a rebuild say --adopt-cluster once",
        )


def _changes(recorded: Recorded, observation: Observation) -> _Changes:
    """Which files must change so that Git says what the cluster is.

    A file that a person moved or reformatted stays where and as it is while it says the same.
    """
    changes = _Changes()
    seen = observation.state.entries
    before = recorded.state.entries
    for ref, entry in seen.items():
        old = before.get(ref)
        if old is not None and old.fingerprint == entry.fingerprint:
            continue
        path = old.path if old else entry.path
        data = observation.bodies.get(entry.fingerprint)
        if data is None:
            # The body is in Git already, under another object's path.
            data = recorded.tree.blob(entry.fingerprint)
        reason = objection(path, data)
        if reason:
            changes.gaps.append(Gap(ref, reason))
        else:
            changes.files[path] = data
    for ref, old in before.items():
        if ref not in seen and observation.state.gap_for(ref) is None:
            changes.files[old.path] = None
    return changes


def _refuse_shrinking(
    recorded: Recorded, changes: _Changes, name: str, *, allow_shrink: bool
) -> None:
    before = len(recorded.state.entries)
    lost = sum(data is None for data in changes.files.values())
    if lost > before * SHRINK_LIMIT and not allow_shrink:
        raise RefusedError(
            f"cluster {name}: {lost} of {before} recorded objects are gone; nothing was written",
            hint="if that is right, say --allow-shrink",
        )


def _account(
    changes: _Changes, tree: Tree, observation: Observation, gaps: tuple[Gap, ...]
) -> None:
    """Add the recovery files to the changes where they differ."""
    coverage = Coverage(
        uid=observation.identity.uid,
        version=observation.identity.version,
        kinds=tuple((kind.resource, kind.objects) for kind in observation.kinds),
        omissions=observation.state.omissions,
        gaps=gaps,
    )
    files: Mapping[str, bytes] = {
        COVERAGE: write_coverage(coverage),
        IMAGES: write_images(observation.images, observation.digests, tree.images()),
    }
    for path, data in files.items():
        if tree.files.get(path) != tree.repo.blob_id(data):
            changes.files[path] = data


def _message(name: str, files: Mapping[str, bytes | None]) -> str:
    written = sum(data is not None for data in files.values())
    deleted = len(files) - written
    return f"Export {name}: {written} written, {deleted} deleted"


def _trailers(name: str, observation: Observation) -> dict[str, str]:
    """What is true of this moment and therefore in no file."""
    identity = observation.identity
    trailers = {
        "Cluster": name,
        "Cluster-UID": identity.uid,
        "Kubernetes-Version": identity.version,
        "Resource-Version": identity.revision,
        "Objects": str(len(observation.state.entries)),
    }
    if observation.torn:
        trailers["Torn"] = ", ".join(observation.torn)
    return trailers
