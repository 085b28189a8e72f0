"""Makes a recovery point: what a cluster is becomes a commit. Reads the cluster, commits.

``export`` and ``failover`` go this way. gather: what Git has, what the cluster is, what both last
agreed on. compute: which files change. act: one commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import identify
from gitops_dr.desired.endpoints import ENDPOINTS
from gitops_dr.desired.managers import MANAGERS, write_managers
from gitops_dr.desired.pending import PENDING, Held, write_pending
from gitops_dr.desired.recovery import COVERAGE, IMAGES, Coverage, write_coverage, write_images
from gitops_dr.desired.secret_records import SECRETS, write_secret_records
from gitops_dr.drift.threeway import ThreeWay, sort_out, unlike
from gitops_dr.engine.account import holders_after, secrets_after
from gitops_dr.engine.autoscaled import keep_recorded_scale
from gitops_dr.engine.base import FIRST, find_base
from gitops_dr.engine.capture import CLAIM, Captured, InScope, discard
from gitops_dr.engine.contents import FileChanges
from gitops_dr.engine.endpoints import endpoints_file
from gitops_dr.engine.holding import holding
from gitops_dr.engine.keyed import refuse_unsealable, with_secrets
from gitops_dr.engine.lost_points import tell_lost_points
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.protecting import SNAPSHOT_SET, record_files, snapshots, unprotected
from gitops_dr.engine.recorded import Recorded, Tree, read_state, read_tree
from gitops_dr.engine.remembered import read_remembered, write_remembered
from gitops_dr.engine.sides import Sides
from gitops_dr.errors import RefusedError, SecretError
from gitops_dr.events import Emit, Notice, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import Gap, Identity, Ref, by_kind
from gitops_dr.repository.commit import commit
from gitops_dr.repository.history import files_digest, is_shallow
from gitops_dr.results.export import Exported
from gitops_dr.secrets.guard import objection

SHRINK_LIMIT = 0.10
"""Losing a larger part of the recorded objects at once needs the user's word."""

AsItWas = Callable[[Tree, Observation], Observation]
"""Says what a cluster is of which something was changed only for the time being."""

_NO_BASE = "no export in Git's history; wherever the two differ the cluster's version is taken"


def make_point(
    opened: Opened,
    where: Where,
    connection: Connection,
    *,
    command: str = "export",
    dry_run: bool = False,
    adopt_cluster: bool = False,
    allow_shrink: bool = False,
    cluster_wins: bool = False,
    volumes: InScope | None = None,
    snapshot_timeout: float = 300.0,
    as_it_was: AsItWas = lambda _tree, seen: seen,
    emit: Emit = silent,
) -> Exported:
    """Commit what the cluster is; the repository must be held already.

    ``command`` is the verb, for whoever is refused meanwhile; the others as for ``export``.
    Raises ``RefusedError`` and what its parts do, with nothing committed.
    """
    repo, settings = opened.repo, opened.settings
    tree = read_tree(repo, opened.head, settings.prefix)
    identity = identify(connection)
    _refuse_another_cluster(tree, identity, settings.name, adopt_cluster=adopt_cluster)
    tell_lost_points(opened, connection, emit)
    scope = None if dry_run else volumes
    tree = with_secrets(opened, where, tree, connection, make_key=not dry_run, emit=emit)
    refuse_unsealable(tree, settings.name)
    with (
        holding(command, connection=connection, wanted=not dry_run, emit=emit),
        snapshots(connection, opened, scope, timeout=snapshot_timeout, emit=emit) as captured,
    ):
        return _export(
            opened,
            tree,
            connection,
            identity,
            captured,
            dry_run=dry_run,
            allow_shrink=allow_shrink,
            cluster_wins=cluster_wins,
            as_it_was=as_it_was,
            emit=emit,
        )


def _export(
    opened: Opened,
    tree: Tree,
    connection: Connection,
    identity: Identity,
    captured: Captured,
    *,
    dry_run: bool,
    allow_shrink: bool,
    cluster_wins: bool,
    as_it_was: AsItWas,
    emit: Emit,
) -> Exported:
    repo, settings = opened.repo, opened.settings
    remembered = read_remembered(repo, settings.prefix)
    observation = observe(
        connection,
        identity,
        repo.blob_id,
        known=frozenset(tree.files.values()),
        versions=tree.coverage.versions if tree.coverage else None,
        recorded=tree.coverage.resources if tree.coverage else (),
        exact=True,
        holders=True,
        remembered=remembered,
        secrets=tree.sealing if tree.sealing.is_wanted else None,
        emit=emit,
    )
    observation = as_it_was(tree, observation)
    recorded = read_state(tree, observation.state)
    base = find_base(recorded, settings.name) if tree.coverage else FIRST
    observation = keep_recorded_scale(observation, recorded, base)

    sides = Sides(recorded, observation, base, is_authored=settings.is_authored)
    sorted_out = sort_out(
        sides.git,
        sides.live,
        sides.base,
        unknown=sides.is_unknown,
        applied=sides.is_applied,
        cluster_wins=cluster_wins,
    )
    if base is None:
        _refuse_without_base(sorted_out, recorded, settings.name)
        emit(Notice(f"cluster {settings.name}: {_NO_BASE}"))
    changes = _changes(sides, sorted_out)
    for note in changes.notes:
        emit(Notice(note))
    _refuse_shrinking(recorded, changes, settings.name, allow_shrink=allow_shrink)
    captured = _of_claims_in_git(connection, captured, changes, sides)
    _account(changes, sides, captured, endpoints_file(connection, observation, tree, emit))

    started = time.monotonic()
    made = None
    if not dry_run:
        emit(PhaseStarted("commit", len(changes.files)))
        made = commit(
            repo,
            changes=changes.files.below(settings.prefix),
            message=_message(settings.name, changes, sorted_out),
            trailers=_trailers(settings.name, observation, tree, changes, captured),
            guard=objection,
            expected=opened.head,
        )
        observed = {entry.fingerprint for entry in observation.state.entries.values()}
        write_remembered(repo, settings.prefix, remembered, observed)
        emit(PhaseEnded("commit", time.monotonic() - started, len(changes.files)))
    return Exported(
        cluster=settings.name,
        source=identity,
        commit=made.id if made else opened.head,
        created=bool(made and made.created),
        objects=len(observation.state.entries) - len(changes.gaps),
        written=tuple(changes.files.written),
        deleted=tuple(changes.files.deleted),
        omissions=sides.omissions,
        gaps=tuple(
            sorted(
                {
                    *observation.state.gaps,
                    *changes.gaps,
                    *sides.unreadable.values(),
                    *captured.gaps,
                }
            )
        ),
        torn=observation.torn,
        left=made.left if made else (),
        dry_run=dry_run,
        pending=sorted_out.pending,
        conflicts=sorted_out.conflicts,
        snapshots=captured.records,
    )


@dataclass(slots=True)
class _Changes:
    """File changes below the cluster's prefix."""

    files: FileChanges = field(default_factory=FileChanges)
    gaps: list[Gap] = field(default_factory=list)
    after: dict[Ref, str] = field(default_factory=dict)
    """Git's side with these changes, of the objects that are on it."""
    held: dict[Ref, Held] = field(default_factory=dict)
    """What the commit will hold that the cluster never was."""
    notes: list[str] = field(default_factory=list)
    """Files whose layout could not be kept."""


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


def _refuse_without_base(sorted_out: ThreeWay, recorded: Recorded, name: str) -> None:
    """Nobody can tell what changed in Git from what changed in the cluster."""
    if not sorted_out.conflicts:
        return
    why, remedy = "has no untouched commit of an export", ""
    if is_shallow(recorded.tree.repo):
        why = "is cut off before the last export"
        remedy = "git fetch --unshallow (in CI: fetch-depth 0), or "
    raise RefusedError(
        f"cluster {name}: {len(sorted_out.conflicts)} objects differ from Git, and its history "
        f"{why}, so nobody can tell which side changed; nothing was written",
        hint=f"{remedy}say --cluster-wins if the cluster is right wherever they differ",
    )


def _changes(sides: Sides, sorted_out: ThreeWay) -> _Changes:
    """Which files must change so that Git says what the cluster is.

    A file that a person moved or laid out stays where it is, and as it is but for what differs.
    """
    changes = _Changes(after=dict(sides.git))
    gone = [ref for ref in sorted_out.written if ref not in sides.live]
    for ref in gone:
        changes.files[sides.path(ref)] = None
        del changes.after[ref]
    for ref in sorted_out.written:
        if ref not in sides.live:
            continue
        path = sides.path(ref)
        try:
            written = sides.written(ref)
        except SecretError as error:
            changes.gaps.append(Gap(ref, f"{error.message}; {error.hint}"))
            continue
        reason = objection(path, written.data) or _in_the_way(ref, path, sides, changes)
        if reason:
            changes.gaps.append(Gap(ref, reason))
        else:
            changes.files[path] = written.data
            changes.after[ref] = sides.live[ref]
            if written.note:
                changes.notes.append(f"{path}: {written.note}")
    refused = {gap.ref for gap in changes.gaps}
    kept = sorted_out.verdicts.keys() - (set(sorted_out.written) - refused)
    for ref, base in unlike(changes.after, sides.base or {}, kept).items():
        changes.held[ref] = sides.held(ref, base)
    return changes


def _in_the_way(ref: Ref, path: str, sides: Sides, changes: _Changes) -> str | None:
    """Say what a new file would overwrite; None if its place is free."""
    files = changes.files
    taken = files[path] is not None if path in files else path in sides.recorded.tree.files
    if ref in sides.git or not taken:
        return None
    return f"{path} holds another object: move that one to a place of its own"


def _refuse_shrinking(
    recorded: Recorded, changes: _Changes, name: str, *, allow_shrink: bool
) -> None:
    before = len(recorded.state.entries)
    lost = len(changes.files.deleted)
    if lost > before * SHRINK_LIMIT and not allow_shrink:
        raise RefusedError(
            f"cluster {name}: {lost} of {before} recorded objects are gone; nothing was written",
            hint="if that is right, say --allow-shrink",
        )


def _of_claims_in_git(
    connection: Connection, captured: Captured, changes: _Changes, sides: Sides
) -> Captured:
    """The snapshots whose claims the commit has; those of claims that went meanwhile go too."""
    known = {*changes.after, *sides.recorded.state.entries}
    unknown = [record for record in captured.records if record.ref not in known]
    discard(connection, unknown)
    return replace(captured, records=tuple(r for r in captured.records if r.ref in known))


def _account(changes: _Changes, sides: Sides, captured: Captured, endpoints: bytes | None) -> None:
    """Add the recovery files to the changes where they differ."""
    observation, tree = sides.observation, sides.recorded.tree
    before = sides.recorded.state.entries.keys()
    gone = sides.git.keys() - changes.after.keys()
    in_git = by_kind(chain((r for r in before if r not in gone), changes.after.keys() - before))
    claims = {
        ref for ref in (*changes.after, *before) if ref.group_kind == CLAIM and ref not in gone
    }
    known = tree.coverage.unprotected if tree.coverage else {}
    coverage = Coverage(
        uid=observation.identity.uid,
        version=observation.identity.version,
        kinds=tuple(
            (kind.resource, in_git.get(kind.resource.group_kind, 0)) for kind in observation.kinds
        ),
        omissions=sides.omissions,
        gaps=tuple(sorted({*observation.state.gaps, *changes.gaps})),
        generated=observation.generated,
        unprotected=unprotected(known, captured, claims),
    )
    files: Mapping[str, bytes | None] = {
        COVERAGE: write_coverage(coverage),
        ENDPOINTS: endpoints,
        IMAGES: write_images(observation.images, observation.digests, tree.images()),
        MANAGERS: write_managers(holders_after(sides, {*changes.after, *before} - gone)),
        PENDING: write_pending(changes.held),
        SECRETS: write_secret_records(secrets_after(sides, changes.files)),
        **record_files(tree, captured, claims),
    }
    for path, data in files.items():
        if tree.files.get(path) != (None if data is None else tree.repo.blob_id(data)):
            changes.files[path] = data


def _message(name: str, changes: _Changes, sorted_out: ThreeWay) -> str:
    files = changes.files
    parts = [f"{len(files.written)} written", f"{len(files.deleted)} deleted"]
    if sorted_out.pending:
        parts.append(f"{len(sorted_out.pending)} pending")
    if sorted_out.conflicts:
        parts.append(f"{len(sorted_out.conflicts)} in conflict")
    return f"Export {name}: {', '.join(parts)}"


def _trailers(
    name: str, observation: Observation, tree: Tree, changes: _Changes, captured: Captured
) -> dict[str, str]:
    """What is true of this moment and therefore in no file, and by which files to know it again."""
    identity = observation.identity
    files = dict(tree.files)
    for path, data in changes.files.items():
        if data is None:
            files.pop(path, None)
        else:
            files[path] = tree.repo.blob_id(data)
    trailers = {
        "Cluster": name,
        "Cluster-UID": identity.uid,
        "Cluster-Files": files_digest(files),
        "Kubernetes-Version": identity.version,
        "Resource-Version": identity.revision,
        "Objects": str(len(observation.state.entries)),
    }
    if captured.records:
        trailers[SNAPSHOT_SET] = captured.snapshot_set
    if observation.torn:
        trailers["Torn"] = ", ".join(observation.torn)
    return trailers
