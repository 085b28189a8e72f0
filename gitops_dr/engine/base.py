"""Finds what the cluster was when Git and it last agreed: the base of a three-way comparison.

It is what the newest export commit holds, but for the objects whose version in Git the cluster
never had; for those the commit says so itself, in ``pending.yaml``. Reads from the repository only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitops_dr.desired.pending import PENDING, Held, read_pending
from gitops_dr.engine.keyed import read_records
from gitops_dr.engine.recorded import Recorded, read_state, read_tree
from gitops_dr.model import Body, Entry, Ref
from gitops_dr.repository.history import newest_export


@dataclass(frozen=True, slots=True)
class Base:
    """The cluster's side of the last recovery point."""

    export: Recorded | None
    """What that commit holds; None before the first export, when both had nothing."""
    held: Mapping[Ref, Held]

    @property
    def entries(self) -> Mapping[Ref, Entry]:
        """What the commit holds."""
        return self.export.state.entries if self.export else {}

    def fingerprint(self, ref: Ref) -> str | None:
        """The object's fingerprint; None if it was absent."""
        held = self.held.get(ref)
        if held is not None:
            # Meanwhile the Secret that it is the HMAC of may have been told to be a file's.
            sealing = self.export.tree.sealing if self.export else None
            return (sealing.fingerprint(held.base) if sealing else held.base) or None
        entry = self.entries.get(ref)
        return entry.fingerprint if entry else None

    def path(self, ref: Ref) -> str | None:
        """Where the object's manifest was, below the cluster's folder."""
        known = self.held.get(ref) or self.entries.get(ref)
        return known.path if known else None

    def blob(self, ref: Ref) -> str | None:
        """The file that held the object as it was, by Git's id; None if it was absent."""
        held = self.held.get(ref)
        if held is not None:
            return held.blob or held.base or None
        return self.export.blob_of.get(ref) if self.export else None

    def body(self, ref: Ref) -> Body | None:
        """The object as it was; None if it was absent.

        Raises ``RepositoryError`` if Git does not have it: nobody ever committed that version.
        """
        blob = self.blob(ref)
        if blob is None or self.export is None:
            return None
        return self.export.tree.manifest(self.path(ref) or str(ref), blob)


FIRST = Base(None, {})
"""The base of a first export."""


def find_base(recorded: Recorded, cluster: str) -> Base | None:
    """Find the base for what ``recorded`` holds; None if its history has no export of the cluster.

    Raises ``RepositoryError`` if what the export left cannot be read.
    """
    tree = recorded.tree
    commit = newest_export(
        tree.repo, tree.commit, cluster=cluster, prefix=tree.prefix, files=tree.files
    )
    if commit is None:
        return None
    then = tree
    if commit != tree.commit:
        then = read_tree(tree.repo, commit, tree.prefix, sealing=tree.sealing)
        tree.sealing.remember(read_records(then))
    # Mostly it holds the very files of today, which need not be opened again.
    export = recorded if then.files == tree.files else read_state(then, recorded.state)
    blob = then.files.get(PENDING)
    held = read_pending(then.blob(blob), f"{tree.prefix}/{PENDING}") if blob else {}
    return Base(export, held)
