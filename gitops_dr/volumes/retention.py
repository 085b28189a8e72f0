"""Which snapshots may go, and the note in Git that they are gone. Pure.

Chosen as ``restic forget`` does it: of each hour, day, week and month the newest is kept, as many
of them as asked, counting only those that have one.
https://restic.readthedocs.io/en/stable/060_forget.html#removing-snapshots-according-to-a-policy
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.versioned import as_text, parse_versioned
from gitops_dr.model import Ref
from gitops_dr.volumes.policy import Keep
from gitops_dr.volumes.records import SnapshotRecord

FORMAT = 1
PRUNED = "recovery/pruned.yaml"

Handle = tuple[str, str]
"""Driver and handle: what the storage knows a snapshot by."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one snapshot."""

    record: SnapshotRecord
    kept: str
    """Why it is kept, such as ``daily``; empty if it goes."""


def handle_of(record: SnapshotRecord) -> Handle:
    """By what a record's snapshot is told from all others."""
    return record.driver, record.handle


def judge(
    records: Iterable[SnapshotRecord],
    keep: Keep,
    *,
    ready: Collection[Handle],
    protected: Collection[Handle],
) -> list[Verdict]:
    """Say of each snapshot whether it is kept, claim by claim, the newest first.

    ``ready``: those that a volume can be made from; only they count for the policy, and the newest
    of them is never let go. ``protected``: those of tagged recovery points.
    """
    by_claim: dict[Ref, list[SnapshotRecord]] = {}
    for record in records:
        by_claim.setdefault(record.ref, []).append(record)
    verdicts = []
    for _, found in sorted(by_claim.items()):
        newest_first = sorted(found, key=lambda r: (_when(r), r.handle), reverse=True)
        usable = [record for record in newest_first if handle_of(record) in ready]
        reasons = _reasons(usable, keep)
        for record in newest_first:
            handle = handle_of(record)
            why = "tagged" if handle in protected else reasons.get(handle, "")
            if usable and record is usable[0]:
                why = why or "newest"
            if not usable:
                why = why or "nothing newer is ready"
            verdicts.append(Verdict(record, why))
    return verdicts


def _reasons(newest_first: list[SnapshotRecord], keep: Keep) -> dict[Handle, str]:
    found: dict[Handle, str] = {}
    for name, number, key in _periods(keep):
        seen: set[object] = set()
        for index, record in enumerate(newest_first):
            if len(seen) >= number:
                break
            period = index if key is None else key(_when(record))
            if period not in seen:
                seen.add(period)
                found.setdefault(handle_of(record), name)
    return found


_Period = Callable[[datetime], object]


def _periods(keep: Keep) -> list[tuple[str, int, _Period | None]]:
    return [
        ("last", keep.last, None),
        ("hourly", keep.hourly, lambda t: (t.date(), t.hour)),
        ("daily", keep.daily, lambda t: t.date()),
        ("weekly", keep.weekly, lambda t: t.isocalendar()[:2]),
        ("monthly", keep.monthly, lambda t: (t.year, t.month)),
    ]


def _when(record: SnapshotRecord) -> datetime:
    try:
        return datetime.fromisoformat(record.created).astimezone(UTC)
    except ValueError as error:
        raise RepositoryError(
            f"{record.ref}: {record.created!r} in its snapshot record is no time",
            hint="restore the record from the commit of gitops-dr that wrote it",
        ) from error


def write_pruned(handles: Collection[Handle]) -> bytes | None:
    """Write the bytes of ``pruned.yaml``; None if it should not be there."""
    if not handles:
        return None
    gone = [{"driver": driver, "handle": handle} for driver, handle in sorted(handles)]
    return canonical({"format": FORMAT, "snapshots": gone})


def read_pruned(data: bytes, path: str) -> frozenset[Handle]:
    """Read ``pruned.yaml``. Raises ``RepositoryError`` if it is not one, or of a newer format."""
    document = parse_versioned(data, path, FORMAT)
    try:
        return frozenset(
            (as_text(row["driver"]), as_text(row["handle"])) for row in document["snapshots"]
        )
    except (KeyError, TypeError) as error:
        raise RepositoryError(
            f"{path}: not a list of pruned snapshots: {type(error).__name__}: {error}",
            hint="restore it from the commit of gitops-dr that wrote it",
        ) from error
