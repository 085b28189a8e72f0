"""Says in Git that a target has been failed over to, and refuses checkouts that do not know it.

Commits; reads and writes what a cluster knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gitops_dr.cluster.standing_record import Standing, read_standing, write_standing
from gitops_dr.desired.target import Target
from gitops_dr.desired.target_file import FILE, TARGETS, read_target
from gitops_dr.engine.opening import Opened, source_settings
from gitops_dr.errors import RefusedError
from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.parse import parse_document
from gitops_dr.repository.checkout import dirty
from gitops_dr.repository.commit import commit
from gitops_dr.repository.history import descends
from gitops_dr.repository.paths import shown
from gitops_dr.repository.tree import blobs, read
from gitops_dr.secrets.guard import objection

if TYPE_CHECKING:
    # An export asks here, too, and plans nothing.
    from gitops_dr.engine.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Activated:
    """What Git says then."""

    commit: str
    """The commit that says so, or one after it."""
    at_rest: Mapping[str, str]
    """The targets that are the source, and not active, each with the cluster that it is one of."""
    left: tuple[str, ...] = ()
    """Those of them that were active before this commit."""


def activate(opened: Opened, name: str, source_uid: str, point: str) -> Activated:
    """Commit that everything runs at target ``name``, and nowhere else.

    ``source_uid``: of the cluster that is failed over from; the targets that are this cluster are
    no longer active by the same commit. ``point`` is the recovery point, for the message. If Git
    says all that already, there is no new commit. Raises ``RefusedError`` and ``RepositoryError``.
    """
    repo, settings = opened.repo, opened.settings
    here = source_settings(opened).context
    changes: dict[str, bytes] = {}
    at_rest: dict[str, str] = {}
    left: list[str] = []
    for path, data in _files(opened).items():
        of = path.split("/")[1]
        if of == name:
            changes[path] = _saying(data, path, active=True)
            continue
        target = read_target(data, of)
        if not _is(target, source_uid, here.value if here else ""):
            continue
        at_rest[of] = target.cluster or settings.name
        if target.active:
            changes[path] = _saying(data, path, active=False)
            left.append(of)
    made = commit(
        repo,
        changes=changes,
        message=f"Fail over {settings.name} to {name}",
        trailers={"Failover-To": name, "Failover-Point": point},
        guard=objection,
        expected=opened.head,
    )
    return Activated(made.id, at_rest, tuple(sorted(left)))


def refuse_unfinished_work(opened: Opened) -> None:
    """Raise ``RefusedError`` while a file of the targets has changes that are not committed."""
    if touched := dirty(opened.repo, TARGETS):
        raise RefusedError(
            f"{shown(touched[0])}: it has uncommitted changes, and a failover commits there",
            hint="commit, stash or restore them first (git status)",
        )


def refuse_failed_over(opened: Opened) -> None:
    """Raise ``RefusedError`` if everything of the cluster runs at one of its targets.

    What it is itself then is not what Git should say of it.
    """
    active = _active(opened)
    if active:
        raise RefusedError(
            f"cluster {opened.settings.name}: has been failed over to target {active}, and what it "
            "is now would be recorded as if it were to be so",
            hint="export the cluster that runs now, with --cluster: docs/failover.md; if this one "
            f"does, commit active: false in {TARGETS}/{active}/{FILE}",
        )


def refuse_older_checkout(opened: Opened, standing: Standing | None, target: Target) -> None:
    """Raise ``RefusedError`` if the cluster knows of a failover that HEAD does not.

    Such a checkout would put a target to rest that everything runs at, or start one that was failed
    over from. ``standing``: what the cluster knows of the target.
    """
    if standing is None or not standing.commit or standing.target != target.name:
        return
    if standing.is_active == target.active:
        return
    if opened.head is not None and descends(opened.repo, opened.head, standing.commit):
        return
    what = "has been failed over to" if standing.is_active else "has been failed over from"
    raise RefusedError(
        f"target {target.name}: {what} by commit {standing.commit[:12]}, which this checkout does "
        "not have; nothing was written",
        hint="git pull (in CI: fetch-depth 0), and run it again",
    )


def refuse_unsettled(prepared: Prepared) -> None:
    """The same of a plan; and refuse it where what it starts must not run.

    That is at a target as long as a failover to it has not filled the claims, whatever is in them
    now; and at the source itself while it is failed over from.
    """
    target, opened = prepared.target, prepared.opened
    if not target.name:
        coverage = prepared.examined.recorded.tree.coverage
        uid = prepared.examined.observation.identity.uid
        if coverage is not None and coverage.uid == uid and (active := _active(opened)):
            raise RefusedError(
                f"cluster {opened.settings.name}: has been failed over to target {active}, and "
                "would run besides; nothing was written",
                hint="go back by a failover to a target that is this cluster: docs/failover.md; or "
                f"commit active: false in {TARGETS}/{active}/{FILE}",
            )
        return
    standing = read_standing(prepared.connection, opened.settings.name)
    refuse_older_checkout(opened, standing, target)
    begun = failover_begun(standing, target)
    if begun is not None and not (begun.ended or begun.filled):
        raise RefusedError(
            f"target {target.name}: a failover to it did not end, and its claims may hold older "
            "data; nothing was written",
            hint=f"gitops-dr failover --target {target.name} goes on with it",
        )


def settle(prepared: Prepared) -> None:
    """Note that a failover to the target is over: from now on it is brought to later commits."""
    connection, target, name = prepared.connection, prepared.target, prepared.opened.settings.name
    begun = failover_begun(read_standing(connection, name), target) if target.active else None
    if begun is not None and not begun.ended:
        ended = replace(begun, ended=datetime.now(UTC).isoformat(timespec="seconds"))
        write_standing(connection, name, ended)


def failover_begun(standing: Standing | None, target: Target) -> Standing | None:
    """The failover to the target that has got so far that Git says so; it may have ended.

    Before that nothing is done there that another run would have to go on with, and its recovery
    point may be old by now.
    """
    if standing is None or standing.target != target.name or not target.active:
        return None
    if not standing.point or (standing.commit and not standing.is_active):
        return None
    return standing


def _active(opened: Opened) -> str:
    """The target of the cluster that everything runs at, as HEAD says; empty for none."""
    for path, data in _files(opened).items():
        target = read_target(data, path.split("/")[1])
        if target.active and target.cluster in ("", opened.settings.name):
            return target.name
    return ""


def _files(opened: Opened) -> dict[str, bytes]:
    """The ``target.yaml`` of each target at HEAD, by path."""
    found = blobs(opened.repo, opened.head, TARGETS) if opened.head else {}
    own = {path: blob for path, blob in found.items() if path.split("/")[1:] == [FILE]}
    contents = (data for _, data in read(opened.repo, own.values()))
    return {f"{TARGETS}/{path}": data for path, data in zip(own, contents, strict=True)}


def _is(target: Target, uid: str, context: str) -> bool:
    """Whether a target is the cluster that has this UID, or that is reached so if it pins none."""
    return target.uid == uid if target.uid else bool(context) and target.context == context


def _saying(data: bytes, path: str, *, active: bool) -> bytes:
    document = parse_document(data, path)
    return edited(data, {**document, "active": active}, path, read=parse_document).data
