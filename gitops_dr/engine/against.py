"""Says what merging a change of the repository would do to a cluster. Reads from Git only.

Three commits are at play. ``head`` is the change, ``base`` what it would be merged into, and where
their histories parted stands the commit that shows what the change itself does: what ``base`` has
got since is not undone by merging. Drift is measured against ``base``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gitops_dr.drift.undo import flipped
from gitops_dr.engine.opening import Opened
from gitops_dr.engine.recorded import Tree, read_state, read_tree
from gitops_dr.engine.sealing import Sealing
from gitops_dr.errors import RepositoryError
from gitops_dr.model import Action, Difference, Presence, Ref, State
from gitops_dr.repository.history import is_shallow, merge_base, resolve
from gitops_dr.repository.repository import Repository
from gitops_dr.results.drift import Merge

LEFT = "deleted in Git; it stays in the cluster, where nobody manages it then"


@dataclass(frozen=True, slots=True)
class Base:
    """What a change would be merged into."""

    tree: Tree
    parted: Tree
    """The files where the histories parted."""

    def opened_by(self, sealing: Sealing) -> Base:
        """The same, whose Secrets are known and opened as those of the change are."""
        return Base(replace(self.tree, sealing=sealing), replace(self.parted, sealing=sealing))

    def state(self, seen: State) -> State:
        """What Git wanted where the histories parted; ``seen`` spares opening files."""
        return read_state(self.parted, seen).state


def read_base(opened: Opened, head: Tree, base: str) -> Base:
    """Find the commit that ``head`` would be merged into, and where they parted.

    Raises ``RepositoryError`` if there is no such commit, and as :func:`parting` does.
    """
    repo, settings = opened.repo, opened.settings
    commit = resolve(repo, base, cluster_prefix=settings.prefix)
    opened.trust.require(commit, "what the change is against")
    parted = parting(repo, commit, head.commit)
    opened.trust.require(parted, "where the two histories parted")

    def read(at: str) -> Tree:
        return read_tree(repo, at, settings.prefix, is_authored=settings.is_authored)

    tree = read(commit)
    return Base(tree, tree if parted == commit else read(parted))


def parting(repo: Repository, base: str, head: str) -> str:
    """Full id of the commit at which two histories parted.

    Raises ``RepositoryError`` if they have none in common, or if a shallow clone lacks it.
    """
    found = merge_base(repo, base, head)
    if found is None:
        hint = "give it the commit that the change would be merged into"
        if is_shallow(repo):
            hint = "this clone is shallow: git fetch --unshallow, or fetch-depth: 0 on a runner"
        raise RepositoryError(f"{base[:12]}: has no history in common with {head[:12]}", hint=hint)
    return found


def merges(before: State, after: State, differences: Iterable[Difference]) -> tuple[Merge, ...]:
    """What merging would do to each object that the change is about, sorted by Ref.

    ``before`` and ``after`` are Git's States without the change and with it, ``differences`` those
    between ``after`` and the cluster. What the cluster is already like is left out, and so is what
    only the change's surroundings differ in. An object that the change deletes is left as it is:
    nothing of ours deletes what Git does not have.
    """
    found = {difference.ref: difference for difference in differences}
    return tuple(
        merge
        for ref in sorted(_changed(before, after))
        if ref in found
        for merge in _merge(found[ref], deleted=ref not in after.entries)
    )


def _changed(before: State, after: State) -> Iterator[Ref]:
    """Objects that one of the two has not, or has otherwise; how a file is written is no change."""
    for ref in before.entries.keys() | after.entries.keys():
        one, other = before.entries.get(ref), after.entries.get(ref)
        if one is None or other is None or one.fingerprint != other.fingerprint:
            yield ref


def _merge(difference: Difference, *, deleted: bool) -> Iterator[Merge]:
    ref = difference.ref
    match difference.presence:
        case Presence.MISSING:
            yield Merge(ref, Action.CREATE)
        case Presence.MODIFIED:
            yield Merge(ref, Action.CONFIGURE, tuple(map(flipped, difference.changes)))
        case Presence.UNMANAGED if deleted:
            yield Merge(ref, Action.SKIP, reason=LEFT)
        case Presence.UNKNOWN:
            yield Merge(ref, Action.SKIP, reason=difference.reason)
        case _:
            pass
