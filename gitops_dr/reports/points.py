"""What recovery points there are, and what each holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gitops_dr.reports import documents, tables
from gitops_dr.reports.text import count, listing, shown, table
from gitops_dr.results.rebuild import Goal
from gitops_dr.results.volumes import Point
from gitops_dr.volumes.records import SnapshotRecord


def list_as_table(found: Sequence[Point], now: datetime) -> str:
    """One line a recovery point, for a person; ages are counted to ``now``."""
    if not found:
        return "no recovery point yet: gitops-dr export makes one"
    rows = [
        (
            point.commit[:12],
            point.time.isoformat(sep=" ", timespec="minutes"),
            str(point.objects),
            _volumes(point),
            age(oldest(point.usable), now) if point.usable else "",
            state(point),
        )
        for point in found
    ]
    return table(("POINT", "COMMITTED", "OBJECTS", "VOLUMES", "DATA AGE", "STATE"), rows)


def state(point: Point) -> str:
    """Whether it is whole, in a few words."""
    words = []
    if point.objects_only:
        words.append("objects only")
    elif any(volume.gone for volume in point.volumes):
        words.append("some data pruned")
    if point.gaps:
        words.append(count(len(point.gaps), "gap"))
    if point.torn:
        words.append("torn")
    return ", ".join(words) or "complete"


def show_as_table(point: Point, now: datetime) -> str:
    """All that one recovery point holds, for a person."""
    lines = [
        f"Point    {point.commit}",
        f"         {shown(point.subject)}",
        f"Made     {point.time.isoformat(sep=' ', timespec='seconds')}",
        f"Source   cluster UID {shown(point.source)}, Kubernetes {shown(point.version)}",
        f"Objects  {point.objects}",
        f"State    {state(point)}",
    ]
    if point.torn:
        lines.append(f"Torn     {shown(point.torn)}")
    if point.volumes:
        rows = [
            (
                f"{shown(volume.record.namespace)}/{shown(volume.record.claim)}",
                shown(volume.record.created),
                age(volume.record.moment, now),
                "pruned" if volume.gone else volume.record.survives.value,
                shown(volume.record.driver),
                shown(volume.record.snapshot_set),
            )
            for volume in point.volumes
        ]
        heads = ("CLAIM", "DATA OF", "AGE", "LOST WITH", "DRIVER", "SET")
        lines += ["", *table(heads, rows).splitlines()]
    lines += listing("Gaps:", [f"{gap.ref}: {gap.reason}" for gap in point.gaps])
    return "\n".join([*lines, *tables.coverage(point.omissions, ())])


def list_as_json(found: Sequence[Point], now: datetime) -> str:
    """For a program."""
    return documents.dump({"points": [_document(point, now) for point in found]})


def show_as_json(point: Point, now: datetime) -> str:
    """For a program."""
    return documents.dump(_document(point, now))


def _document(point: Point, now: datetime) -> dict[str, Any]:
    return {
        "commit": point.commit,
        "time": point.time.isoformat(),
        "subject": point.subject,
        "source": {"uid": point.source, "version": point.version},
        "objects": point.objects,
        "complete": point.complete,
        "objectsOnly": point.objects_only,
        "torn": point.torn,
        "dataAgeSeconds": seconds_since(oldest(point.usable), now),
        "volumes": [
            {**documents.snapshot(volume.record), "pruned": volume.gone} for volume in point.volumes
        ],
        "gaps": documents.gaps(point.gaps),
        "omissions": documents.omissions(point.omissions),
    }


def _volumes(point: Point) -> str:
    if not point.volumes:
        return "none"
    there = len(point.usable)
    return str(there) if there == len(point.volumes) else f"{there} of {len(point.volumes)}"


def oldest(records: Sequence[SnapshotRecord]) -> datetime | None:
    """When the oldest data among the records was cut: what the RPO counts from."""
    moments = [when for record in records if (when := record.moment) is not None]
    return min(moments, default=None)


def newest(records: Sequence[SnapshotRecord]) -> datetime | None:
    """When the newest data among the records was cut."""
    moments = [when for record in records if (when := record.moment) is not None]
    return max(moments, default=None)


def age(when: datetime | None, now: datetime) -> str:
    """How long ago, in one unit or two: ``3d 4h``, ``12m``, ``40s``."""
    if when is None:
        return "unknown"
    left = seconds_since(when, now) or 0
    parts: list[str] = []
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, seconds)
        if number or (unit == "s" and not parts):
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


def seconds_since(when: datetime | None, now: datetime) -> int | None:
    """Whole seconds, at least 0; None if it is not known when."""
    return None if when is None else max(int((now - when) / timedelta(seconds=1)), 0)


def rpo_seconds(records: Sequence[SnapshotRecord], goal: Goal) -> int | None:
    """How much is lost with a restore from the records, in seconds; None without data or a time."""
    return None if goal.asked is None else seconds_since(oldest(records), goal.asked)


LIST_FORMATS = {"table": list_as_table, "json": list_as_json}
SHOW_FORMATS = {"table": show_as_table, "json": show_as_json}
