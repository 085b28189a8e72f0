"""``gitops-dr accept``: writes what the cluster has into Git, where the two differ.

gather as ``drift`` does; compute the files; then act: write the user's files, or make one commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gitops_dr.cluster.discover import identify
from gitops_dr.config import ClusterSettings
from gitops_dr.desired.secret_records import SECRETS, write_secret_records
from gitops_dr.drift.undo import flipped, undone
from gitops_dr.engine.account import Change, account, images_in, secrets_after
from gitops_dr.engine.base import find_base
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.holding import holding
from gitops_dr.engine.ignoring import without_ignored
from gitops_dr.engine.keyed import with_secrets
from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.engine.point import read_point, refuse_another_cluster
from gitops_dr.engine.sealing import SOPS, has_values
from gitops_dr.engine.sides import Sides
from gitops_dr.errors import RefusedError, SecretError, UsageError
from gitops_dr.events import Emit, silent
from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.model import SECRET, Body, Difference, Gap, Presence, Ref
from gitops_dr.planning.chosen import ALL, Choice, chosen
from gitops_dr.repository.checkout import finish_interrupted_checkout
from gitops_dr.repository.commit import commit
from gitops_dr.repository.history import files_digest
from gitops_dr.repository.paths import shown
from gitops_dr.repository.repository import current_branch
from gitops_dr.repository.tree import read
from gitops_dr.repository.write import write_files
from gitops_dr.results.drift import Accepted
from gitops_dr.secrets.guard import objection

Confirm = Callable[[Accepted], None]
"""Called before the first write; raises ``RefusedError`` to stop."""

_SPELLING = "what Git spelt in another way, or left out as a default, is now as the cluster has it"

_LISTED = 100
"""Objects that a commit's message names; the rest is counted."""


def accept(
    where: Where,
    confirm: Confirm = lambda _found: None,
    *,
    choice: Choice = ALL,
    to_commit: bool = False,
    dry_run: bool = False,
    emit: Emit = silent,
) -> Accepted:
    """Write the cluster's version of what differs into Git.

    Of a modified object the fields that differ are changed in its file, and nothing else in a file
    that a person has laid out; an unmanaged one gets a file, a missing one loses its own. The files
    are written for the user to commit or, ``to_commit``, committed; ``dry_run`` stops before both.

    Raises, before anything is written, ``UsageError`` for a name that is that of no difference;
    ``RefusedError`` where a named object cannot be accepted, for another cluster than the recorded
    one, and for files with uncommitted changes; and what ``confirm`` raises. Of what is not named,
    the result says what could not be accepted.
    """
    opened = open_repo(where, emit)
    repo, settings = opened.repo, opened.settings
    if repo.bare and not (to_commit or dry_run):
        raise UsageError(f"{repo.root}: a bare repository has no files", hint="say --commit")
    if to_commit and not dry_run:
        opened.trust.require_own_key()
        current_branch(repo)
    with holding("accept", repo=repo, wanted=not dry_run):
        if not dry_run:
            finish_interrupted_checkout(repo)
        connection = open_cluster(where, settings)
        tree = with_secrets(opened, where, read_point(opened, None), connection, emit=emit)
        identity = identify(connection)
        refuse_another_cluster(tree, identity, settings.name)
        trusted = settings.trusted_managers
        examined = examine(connection, identity, tree, trusted=trusted, holders=True, emit=emit)
        today = datetime.now(UTC).astimezone().date()
        found, _ = without_ignored(examined, settings.ignore, today=today)

        meant = chosen(
            found,
            choice,
            hidden={d.ref for d in examined.differences} - {d.ref for d in found},
            desired=examined.desired,
            observed=examined.observation.state,
        )
        made = _made(meant, examined, settings)
        if made.refused and choice.selection.refs:
            gap = made.refused[0]
            raise RefusedError(f"{gap.ref}: {gap.reason}", hint="nothing was written")
        base = find_base(examined.recorded, settings.name)
        sides = Sides(
            examined.recorded, examined.observation, base, is_authored=settings.is_authored
        )
        if made.files:
            made.files |= account(sides, made.changes)
            made.files |= _secrets(sides, made)
        result = Accepted(
            cluster=settings.name,
            source=identity,
            commit=None,
            dry_run=dry_run,
            differences=tuple(made.differences),
            written=tuple(sorted(p for p, data in made.files.items() if data is not None)),
            deleted=tuple(sorted(p for p, data in made.files.items() if data is None)),
            notes=tuple(made.notes),
            refused=tuple(made.refused),
        )
        if not dry_run:
            confirm(result)

        if dry_run or not made.files:
            return result
        changes = {f"{settings.prefix}/{path}": data for path, data in made.files.items()}
        if not to_commit:
            write_files(repo, changes=changes, guard=objection, expected=opened.head)
            return result
        done = commit(
            repo,
            changes=changes,
            message=_message(settings.name, made.differences),
            trailers=_trailers(settings.name, sides, made),
            guard=objection,
            expected=opened.head,
        )
        return replace(result, commit=done.id, left=done.left)


@dataclass(slots=True)
class _Made:
    """What is to be written, below the cluster's prefix."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[Gap] = field(default_factory=list)


def _made(meant: Iterable[Difference], examined: Examined, settings: ClusterSettings) -> _Made:
    made = _Made()
    number = {difference.ref: len(difference.changes) for difference in examined.differences}
    taken = set(examined.recorded.tree.files)
    for difference, file in _with_files(meant, examined):
        ref, path = difference.ref, difference.path
        if difference.presence is Presence.UNKNOWN:
            made.refused.append(Gap(ref, difference.reason))
            continue
        if file is None and path in taken:
            reason = f"{path} holds another object: move that one to a place of its own"
            made.refused.append(Gap(ref, reason))
            continue
        # An authored file lacks what an API server adds; else Git holds just what the cluster is.
        whole = len(difference.changes) == number[ref] and not settings.is_authored(path)
        sealing = examined.recorded.tree.sealing
        try:
            before = None if file is None else _body(file, path, examined)
        except SecretError as error:
            made.refused.append(Gap(ref, error.message))
            continue
        after = _after(difference, before, examined, whole=whole)
        note = ""
        repo = examined.recorded.tree.repo
        fingerprint = None if after is None else repo.blob_id(canonical(after))
        if after is not None and ref.group_kind == SECRET and has_values(after):
            data: bytes | None = sealing.sealed(after, path, file)
            fingerprint = sealing.fingerprint(sealing.hmac(ref, canonical(after)))
        else:
            data, note = _file(file, after, path)
        objected = None if data is None else objection(path, data)
        if objected:
            made.refused.append(Gap(ref, objected))
            continue
        made.notes += [
            f"{path}: {each}" for each in (note, _besides(difference, before, after)) if each
        ]
        made.files[path] = data
        taken.add(path)
        made.differences.append(difference)
        made.changes.append(Change(ref, images_in(ref, before), images_in(ref, after), fingerprint))
    return made


def _with_files(
    meant: Iterable[Difference], examined: Examined
) -> Iterator[tuple[Difference, bytes | None]]:
    """Each difference with the bytes of the object's file; None where it has none."""
    meant = list(meant)
    blob_of = examined.recorded.blob_of
    blobs = [blob_of[difference.ref] for difference in meant if difference.ref in blob_of]
    contents = read(examined.recorded.tree.repo, blobs)
    for difference in meant:
        yield difference, next(contents)[1] if difference.ref in blob_of else None
    next(contents, None)


def _after(
    difference: Difference, before: Body | None, examined: Examined, *, whole: bool
) -> Body | None:
    """What Git is to say of the object; None for nothing."""
    if difference.presence is Presence.MISSING:
        return None
    live = _live(difference.ref, examined)
    if before is None or whole:
        return live
    return undone(before, map(flipped, difference.changes), live)


def _besides(difference: Difference, before: Body | None, after: Body | None) -> str:
    """A note if more changes than drift shows, which is what means the same in either spelling."""
    if before is None or after is None:
        return ""
    shown_only = undone(before, map(flipped, difference.changes), after)
    return "" if canonical(shown_only) == canonical(after) else _SPELLING


def _live(ref: Ref, examined: Examined) -> Body:
    fingerprint = examined.observation.state.entries[ref].fingerprint
    data = examined.observation.bodies.get(fingerprint)
    # A body that observe was told is known lies in Git, under another object's path.
    return parse(examined.recorded.tree.blob(fingerprint) if data is None else data, str(ref))


def _body(file: bytes, path: str, examined: Examined) -> Body:
    """The manifest in a file, opened if it is sealed."""
    body = parse(file, path)
    return examined.recorded.tree.sealing.opened(file, path) if SOPS in body else body


def _file(file: bytes | None, after: Body | None, path: str) -> tuple[bytes | None, str]:
    """The file's new bytes, and a note if its layout could not be kept."""
    if after is None:
        return None, ""
    if file is None:
        return canonical(after), ""
    result = edited(file, after, path)
    return result.data, result.note


def _secrets(sides: Sides, made: _Made) -> dict[str, bytes | None]:
    """The account of the Secrets, if what is accepted changes it."""
    tree = sides.recorded.tree
    if not any(change.ref.group_kind == SECRET for change in made.changes):
        return {}
    # One of which a part was accepted is not what the cluster is.
    paths = {
        sides.path(change.ref)
        for change in made.changes
        if change.fingerprint is None or change.fingerprint == sides.fingerprint(change.ref)
    }
    files = {path: data for path, data in made.files.items() if path in paths}
    data = write_secret_records(secrets_after(sides, files))
    same = tree.files.get(SECRETS) == (None if data is None else tree.repo.blob_id(data))
    return {} if same else {SECRETS: data}


def _trailers(name: str, sides: Sides, made: _Made) -> dict[str, str]:
    """From where, and by which files the next export knows what both sides agreed on."""
    trailers = {"Accepted-From": name, "Accepted-From-UID": sides.observation.identity.uid}
    if sides.base is None:
        return trailers
    tree = sides.recorded.tree
    files = dict(tree.files)
    for path, data in made.files.items():
        if data is None:
            files.pop(path, None)
        else:
            files[path] = tree.repo.blob_id(data)
    return {**trailers, "Cluster-Files": files_digest(files)}


def _message(name: str, differences: list[Difference]) -> str:
    counts = {p: sum(d.presence is p for d in differences) for p in Presence}
    subject = ", ".join(f"{number} {presence}" for presence, number in counts.items() if number)
    # A name may be anything; no line of the message must be taken for something else.
    lines = [f"  {d.presence} {shown(str(d.ref))}" for d in differences[:_LISTED]]
    if len(differences) > _LISTED:
        lines.append(f"  and {len(differences) - _LISTED} more")
    return "\n".join([f"Accept from {name}: {subject}", "", *lines])
