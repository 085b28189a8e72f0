"""Keeps the recovery files true beside a change of manifests that is no export. Reads Git only.

An export writes them from all that it sees. Here only what the change is about is brought up to
date, so that an export after it finds nothing more to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from gitops_dr.desired.managers import MANAGERS, Holder, write_managers
from gitops_dr.desired.pending import PENDING, Held, write_pending
from gitops_dr.desired.recovery import (
    COVERAGE,
    IMAGES,
    Coverage,
    has_images,
    images_of,
    write_coverage,
    write_images,
)
from gitops_dr.desired.secret_records import SecretRecord, SecretRecords
from gitops_dr.drift.threeway import unlike
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.sides import Sides
from gitops_dr.model import ANY, SECRET, Body, Ref, by_kind


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit does to one object."""

    ref: Ref
    before: frozenset[str] | None
    """The images that it asked for; None if it is new in Git."""
    after: frozenset[str] | None
    """The images that it asks for; None if it leaves Git."""
    fingerprint: str | None
    """Of what Git then says; None if it leaves Git."""


def account(sides: Sides, changes: Collection[Change]) -> dict[str, bytes | None]:
    """The recovery files that differ once the changes are made: path to bytes, None to delete.

    ``pending.yaml`` then says of the commit what it says of an export: what it holds is what the
    cluster was when both last agreed, but for the objects that are in there.
    """
    tree, observation = sides.recorded.tree, sides.observation
    files: dict[str, bytes | None] = {}
    if tree.coverage is not None:
        files[COVERAGE] = write_coverage(_counted(tree.coverage, observation, changes))
    if IMAGES in tree.files:
        files[IMAGES] = _images(tree.images(), observation, changes)
    if MANAGERS in tree.files:
        files[MANAGERS] = write_managers(_held_by(sides, changes))
    if sides.base is not None:
        files[PENDING] = write_pending(_held(sides, changes))
    return {
        path: data
        for path, data in files.items()
        if tree.files.get(path) != (None if data is None else tree.repo.blob_id(data))
    }


def _held_by(sides: Sides, changes: Collection[Change]) -> dict[Ref, Holder]:
    observation, known = sides.observation, sides.recorded.tree.managers()
    for change in changes:
        known.pop(change.ref, None)
        holder = observation.holders.get(change.ref)
        if change.after is not None and holder is not None:
            known[change.ref] = holder
    return known


def holders_after(sides: Sides, in_git: Collection[Ref]) -> dict[Ref, Holder]:
    """Who applied the objects that Git has in the end; of what is not seen now, who did before."""
    observation = sides.observation
    return {
        ref: holder
        for ref, holder in {**sides.recorded.tree.managers(), **observation.holders}.items()
        if ref in in_git and (ref in observation.holders or ref not in observation.state.entries)
    }


def secrets_after(sides: Sides, files: Mapping[str, bytes | None]) -> SecretRecords:
    """By what the Secrets are known again once ``files`` (bytes by path, None to delete) are there.

    What is written says what the cluster is. A Secret whose version in Git stays keeps its record,
    which is of what the cluster was when both last agreed.
    """
    observation, recorded = sides.observation, sides.recorded
    in_git, sealing = recorded.state.entries, recorded.tree.sealing
    if observation.state.gap_for(Ref(*SECRET, "", ANY)) is not None:
        return sealing.records
    sealed: dict[Ref, SecretRecord] = {}
    for ref in observation.hmacs.keys() | (sealing.known.keys() & in_git.keys()):
        hmac, path = observation.hmacs.get(ref), sides.path(ref)
        if path in files:
            data = files[path]
            if hmac and data is not None:
                sealed[ref] = SecretRecord(hmac, recorded.tree.repo.blob_id(data))
        elif hmac and ref in in_git and in_git[ref].fingerprint == sides.fingerprint(ref):
            sealed[ref] = SecretRecord(hmac, recorded.blob_of[ref])
        elif ref in sealing.known:
            sealed[ref] = sealing.known[ref]
    return sealing.records_of(sealed, observation.external)


def _held(sides: Sides, changes: Collection[Change]) -> dict[Ref, Held]:
    base = sides.base or {}
    after = dict(sides.git)
    for change in changes:
        if change.fingerprint is None:
            after.pop(change.ref, None)
        elif change.ref in sides.git or change.ref in sides.live:  # Else people keep it.
            after[change.ref] = change.fingerprint
    differing = {
        ref
        for ref in after.keys() | sides.live.keys() | base.keys()
        if after.get(ref) != sides.live.get(ref)
    }
    return {ref: sides.held(ref, known) for ref, known in unlike(after, base, differing).items()}


def _counted(coverage: Coverage, observation: Observation, changes: Collection[Change]) -> Coverage:
    new = by_kind(change.ref for change in changes if change.before is None)
    gone = by_kind(change.ref for change in changes if change.after is None)
    dropped = {change.ref for change in changes if change.after is None}
    known = {resource.group_kind for resource, _ in coverage.kinds}
    kinds = [*coverage.kinds]
    kinds += [(observation.resources[kind], 0) for kind in new if kind not in known]
    counted = (
        (resource, count + new.get(resource.group_kind, 0) - gone.get(resource.group_kind, 0))
        for resource, count in kinds
    )
    generated = {**coverage.generated}
    for change in changes:
        made = observation.generated.get(change.ref) if change.after is not None else None
        generated.pop(change.ref, None)
        generated |= {change.ref: made} if made else {}
    return replace(
        coverage,
        kinds=tuple(sorted(counted, key=lambda kind: kind[0].group_kind)),
        generated=dict(sorted(generated.items())),
        unprotected={
            ref: reason for ref, reason in coverage.unprotected.items() if ref not in dropped
        },
    )


def _images(
    recorded: Mapping[str, tuple[str, ...]], observation: Observation, changes: Collection[Change]
) -> bytes:
    before = frozenset[str]().union(*(change.before or () for change in changes))
    after = frozenset[str]().union(*(change.after or () for change in changes))
    wanted = (recorded.keys() - (before - observation.images)) | after
    running = {image: observation.digests.get(image, ()) for image in wanted - recorded.keys()}
    return write_images(wanted, running, recorded)


def images_in(ref: Ref, body: Body | None) -> frozenset[str] | None:
    """The images that an object asks for, if it is of a kind that does; None for no object."""
    if body is None:
        return None
    return frozenset(images_of(ref, body)) if has_images(ref.group_kind) else frozenset()
