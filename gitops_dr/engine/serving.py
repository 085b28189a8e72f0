"""Writes what Git has in a removed version as the cluster serves it. Reads Git and discovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import discover
from gitops_dr.desired.versions import Conversion, conversion
from gitops_dr.engine.recorded import Recorded
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Entry, Ref, Resource


def with_served_versions(
    connection: Connection, recorded: Recorded, resources: Mapping[tuple[str, str], Resource]
) -> Recorded:
    """The same with the objects rewritten whose version the cluster does not serve any more.

    ``resources``: in which version each kind was listed. Only what a row of ``versions.yaml`` is
    about is touched, and only where the cluster serves what the row leads to; everything else is
    the very same. Raises ``ClusterError``.
    """
    old = {
        ref: row
        for ref, entry in recorded.state.entries.items()
        if (row := conversion(ref.group_kind, entry.version)) is not None
        and _listed(resources, row, ref.kind)
        and not _is_listed_in(resources, ref, entry)
    }
    if not old:
        return recorded
    served = {(r.group, r.version, r.kind) for r in discover(connection).resources}
    entries = dict(recorded.state.entries)
    moves: dict[Ref, Ref] = {}
    conversions: dict[Ref, Conversion] = {}
    for ref, body in recorded.bodies(old):
        row, entry = old[ref], entries[ref]
        moved = replace(ref, group=row.group)
        if (ref.group, entry.version, ref.kind) in served or not row.fits(body):
            continue
        if moved != ref and moved in entries:
            continue
        fingerprint = entry.fingerprint
        if fingerprint:
            fingerprint = recorded.tree.repo.blob_id(canonical(row.converted(body)))
        del entries[ref]
        entries[moved] = replace(entry, fingerprint=fingerprint, version=row.version)
        conversions[moved] = row
        moves[ref] = moved
    return replace(
        recorded,
        state=replace(recorded.state, entries=entries),
        blob_of=_moved(moves, recorded.blob_of),
        sources=_moved(moves, recorded.sources),
        rendered=_moved(moves, recorded.rendered),
        unopened=_moved(moves, recorded.unopened),
        conversions=conversions,
    )


def _moved[T](moves: Mapping[Ref, Ref], known: Mapping[Ref, T]) -> dict[Ref, T]:
    return {moves.get(ref, ref): one for ref, one in known.items()}


def _listed(
    resources: Mapping[tuple[str, str], Resource], row: Conversion, kind: str
) -> Resource | None:
    """The kind as it was listed, if that is the version that the row leads to."""
    found = resources.get((row.group, kind))
    return found if found is not None and found.version == row.version else None


def _is_listed_in(resources: Mapping[tuple[str, str], Resource], ref: Ref, entry: Entry) -> bool:
    found = resources.get(ref.group_kind)
    return found is not None and found.version == entry.version
