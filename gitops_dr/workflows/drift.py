"""``gitops-dr drift``: how the running cluster differs from Git. Reads both, writes neither."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gitops_dr.cluster.discover import identify
from gitops_dr.desired.authored import NOTHING, Rendering
from gitops_dr.drift.selection import selected
from gitops_dr.engine.against import merges, read_base
from gitops_dr.engine.difference import examine, held_against, look
from gitops_dr.engine.ignoring import without_ignored
from gitops_dr.engine.keyed import with_secrets
from gitops_dr.engine.lost_points import tell_lost_points
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.outward import with_words
from gitops_dr.engine.point import read_point
from gitops_dr.engine.rendered import read_rendered
from gitops_dr.engine.targets import open_target, read_target, refuse_another, without_platform
from gitops_dr.errors import UsageError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import Presence
from gitops_dr.results.drift import Against, Drifted


def drift(
    where: Where,
    *,
    at: str | None = None,
    against: str | None = None,
    target: str | None = None,
    rendered: Path | None = None,
    rendered_namespace: str | None = None,
    server: bool = False,
    by: str | None = None,
    since: datetime | None = None,
    unmanaged: bool = True,
    emit: Emit = silent,
) -> Drifted:
    """Compare a cluster with the commit ``at`` (default: HEAD).

    ``rendered``: a folder with what Helm or Kustomize rendered, which is wanted too, and instead of
    the commit's version of the same objects; ``rendered_namespace``: that of manifests without one.
    ``against``: the commit, branch or tag that ``at`` would be merged into. Drift is then measured
    against that one, and what merging would change is told apart. ``target``: compare the cluster
    of this target with what the commit says for it. ``server``: ask the API server about each
    object that differs, by a dry run. ``by`` and ``since`` choose what a field manager is known to
    have written, ``unmanaged`` whether objects that only the cluster has count.

    Raises ``RepositoryError`` if a commit is not there or has no export of the cluster,
    ``UsageError`` for what contradicts itself, and ``ManifestError`` for what is rendered and no
    manifest.
    """
    if rendered is not None and against is not None:
        raise UsageError(
            "--rendered with --against: what was rendered is of one of the two commits only",
            hint="run drift twice, once with each",
        )
    if target is not None and against is not None:
        raise UsageError(
            "--target with --against: a change is measured at the source",
            hint="run drift twice, once with each",
        )
    rendering = NOTHING
    if rendered is not None:
        rendering = Rendering(read_rendered(rendered), rendered_namespace)
    elif rendered_namespace is not None:
        raise UsageError("--rendered-namespace: nothing is rendered", hint="say --rendered DIR too")
    opened = open_repo(where, emit, target=target)
    tree = read_point(opened, at)
    base = read_base(opened, tree, against) if against is not None else None
    aimed = read_target(opened, where, target, emit=emit)
    if target is None:
        connection = open_cluster(where, opened.settings)
    else:
        connection = open_target(where, opened, aimed)
    tell_lost_points(opened, connection, emit)
    tree = with_secrets(opened, where, tree, connection, emit=emit)
    if base is not None:
        base = base.opened_by(tree.sealing)
    identity = identify(connection)
    refuse_another(aimed, tree, identity, emit)
    trusted = opened.settings.trusted_managers
    today = datetime.now(UTC).astimezone().date()

    if base is None:
        examined = examine(
            connection,
            identity,
            tree,
            target=aimed,
            rendering=rendering,
            trusted=trusted,
            server=server,
            emit=emit,
        )
        examined = without_platform(examined, aimed)
        beside = None
        for line in examined.idle:
            emit(Notice(line))
        if target is None:
            examined = with_words(opened, examined)
    else:
        observation = look(connection, identity, tree, base.tree, emit=emit)
        merged = held_against(
            connection, observation, tree, trusted=trusted, server=server, emit=emit
        )
        examined = held_against(
            connection, observation, base.tree, trusted=trusted, server=server, emit=emit
        )
        before = base.state(observation.state)
        after, _ = without_ignored(merged, opened.settings.ignore, today=today, whole=False)
        beside = Against(base.tree.commit, merges(before, merged.desired, after))
    asked_for_all = by is None and since is None and unmanaged
    kept, uses = without_ignored(
        examined,
        opened.settings.ignore,
        today=today,
        whole=asked_for_all and beside is None,
    )
    chosen = selected(kept, by=by, since=since)
    if chosen.unattributed:
        emit(Notice(f"{chosen.unattributed} without a known author or time are left out"))
    shown = tuple(
        difference
        for difference in chosen.differences
        if unmanaged or difference.presence is not Presence.UNMANAGED
    )
    observed = examined.observation.state
    told = {difference.ref for difference in shown}
    return Drifted(
        cluster=opened.settings.name,
        commit=tree.commit,
        live=identity,
        differences=shown,
        equal=examined.equal,
        gaps=tuple(sorted([*observed.gaps, *examined.unreadable])),
        omissions=examined.omissions,
        existing=len(observed.entries) + len(observed.unlisted),
        hidden=sum(d.ref in observed.entries and d.ref not in told for d in examined.differences),
        ignored=uses,
        against=beside,
    )
