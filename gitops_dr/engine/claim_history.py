"""Finds in Git's history what a claim of the target may have been filled from. Reads from Git."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gitops_dr.engine.prepare import Prepared
from gitops_dr.model import Ref
from gitops_dr.repository.history import past_files
from gitops_dr.repository.tree import read
from gitops_dr.volumes.records import VOLUMES, SnapshotRecord, read_record, record_path
from gitops_dr.volumes.restore import restored_name

History = Mapping[Ref, Mapping[str, SnapshotRecord]]
"""Of each claim of the target: its records by the name of the VolumeSnapshot that each is brought
in as (``restored_name``)."""


def records_ever(prepared: Prepared, claims: Collection[Ref]) -> History:
    """Every record of these claims that a commit at or before HEAD holds.

    The target's mappings are those of today. Raises ``RepositoryError``.
    """
    opened, examined = prepared.opened, prepared.examined
    uid, rewriter = examined.observation.identity.uid, examined.recorded.rewriter
    sources = examined.recorded.sources
    found: dict[Ref, dict[str, SnapshotRecord]] = {ref: {} for ref in claims}
    prefix = opened.settings.prefix
    paths = {f"{prefix}/{record_path(sources.get(ref, ref))}" for ref in claims}
    if not paths or opened.head is None:
        return found
    every = past_files(opened.repo, opened.head, f"{prefix}/{VOLUMES}")
    blobs = {blob: path for blob, path in every.items() if path in paths}
    for (blob, path), (_, data) in zip(blobs.items(), read(opened.repo, blobs), strict=True):
        source = read_record(data, f"{path} ({blob[:12]})")
        for ref, record in rewriter.records({source.ref: source}).items():
            if ref in found:
                found[ref][restored_name(ref, record, uid)] = record
    return found
