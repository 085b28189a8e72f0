"""Tells which data a claim that is there holds: that of a snapshot record, or other data. Pure."""

from __future__ import annotations

from gitops_dr.model import Body, Ref
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.restore import SNAPSHOT, restored_name


def other_data(claim: Ref, live: Body, record: SnapshotRecord, target_uid: str) -> str:
    """Why a claim does not hold the data of a record; empty if it was filled from that one.

    What a volume was made from stands in its claim for as long as that lives: the field cannot be
    changed, and the name of the snapshot follows from its handle (``restored_name``). A claim that
    the record is of, itself, has that data and what was written since.
    """
    if live["metadata"].get("uid") == record.claim_uid:
        return ""
    name = source_of(live)
    if not name:
        return f"holds data of its own, not that of the snapshot of {record.created}"
    if name != restored_name(claim, record, target_uid):
        return f"was filled from another snapshot ({name}), not from that of {record.created}"
    return ""


def source_of(live: Body) -> str:
    """The VolumeSnapshot that a claim was made from; empty if it was not made from one."""
    source = (live.get("spec") or {}).get("dataSourceRef") or {}
    return str(source.get("name") or "") if source.get("kind") == SNAPSHOT[1] else ""


def has_volume(live: Body) -> bool:
    """Whether a claim has got a volume, which may hold something."""
    return bool(volume_of(live))


def volume_of(live: Body) -> str:
    """The PersistentVolume of a claim; empty as long as it has none."""
    return str((live.get("spec") or {}).get("volumeName") or "")
