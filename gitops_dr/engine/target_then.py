"""Says what only a target had when its cluster was last brought to a commit. Reads Git only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitops_dr.cluster.sync_record import SyncedTo
from gitops_dr.desired.target import Target
from gitops_dr.desired.target_file import TARGETS
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.recorded import Tree
from gitops_dr.engine.targeted import own_objects
from gitops_dr.engine.targets import read_target
from gitops_dr.errors import GitOpsDRError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import Entry, Ref, Resource


def owned_then(
    opened: Opened,
    where: Where,
    synced: SyncedTo,
    now: Target,
    *,
    tree: Tree,
    resources: Mapping[tuple[str, str], Resource],
    emit: Emit = silent,
) -> dict[Ref, Entry]:
    """The objects of the target's own folder at the commit that ``synced`` names.

    ``now``: the target as it is today; where nothing of its folder has changed there is nothing to
    be told. ``tree``: the source's files then, ``resources``: how the cluster serves each kind.
    What cannot be made of that commit is said, and nothing is owned then. Raises ``RefusedError``
    for a commit that nobody signed whose signature counts.
    """
    if not synced.target:
        return {}
    commit = synced.targets or synced.commit
    if commit == opened.head and synced.target == now.name:
        return {}
    opened.trust.require(commit, f"the target {synced.target} before")
    try:
        then = read_target(replace(opened, head=commit), where, synced.target, emit=emit)
        if then.version == now.version:
            return {}
        return {ref: entry for ref, (_, entry) in own_objects(then, tree, resources).items()}
    except GitOpsDRError as error:
        emit(
            Notice(
                f"what left {TARGETS}/{synced.target} since commit {commit[:12]} is not known, and "
                f"nothing of it is deleted: {error.message}"
            )
        )
        return {}
