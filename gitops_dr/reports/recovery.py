"""Recovery points, and how claims are protected, as pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gitops_dr.reports import points, volumes
from gitops_dr.reports.html import render
from gitops_dr.reports.points import age, oldest, state
from gitops_dr.reports.tables import omission_counts
from gitops_dr.reports.text import count
from gitops_dr.results.volumes import Point, PointVolume, VolumeStanding
from gitops_dr.volumes.records import Survives

WHOLE, PART, NONE = "whole", "part", "none"
"""Whether all is well with something, or with a part of it: its colour."""


@dataclass(frozen=True, slots=True)
class _Row:
    state: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    headings: tuple[str, ...]
    judged: int
    """The column that has the row's colour."""
    rows: list[_Row]


@dataclass(frozen=True, slots=True)
class _Part:
    """A recovery point; unfolded if there is only one."""

    state: str
    badge: str
    title: str
    about: str
    aside: str
    notes: list[str]
    table: _Table
    lists: list[tuple[str, list[str]]]
    unfolded: bool


@dataclass(frozen=True, slots=True)
class _Page:
    title: str
    about: str
    tiles: list[tuple[str, int, str]]
    """State, number, word."""
    tables: list[_Table]
    points: list[_Part]
    nothing: str


def points_as_html(found: Sequence[Point], now: datetime) -> str:
    """Recovery points, newest first, each with its volumes; ages are counted to ``now``."""
    whole = sum(point.complete for point in found)
    bare = sum(point.objects_only for point in found)
    page = _Page(
        title="Recovery point" if len(found) == 1 else "Recovery points",
        about=f"Ages are counted to {_time(now)}.",
        tiles=[
            (WHOLE, whole, "complete"),
            (PART, len(found) - whole - bare, "with something lacking"),
            (NONE, bare, "objects only"),
        ],
        tables=[],
        points=[_point(point, now, unfolded=len(found) == 1) for point in found],
        nothing="" if found else "No recovery point yet: gitops-dr export makes one.",
    )
    return render("recovery.html.j2", {"page": page}, styles=_STYLES)


def point_as_html(point: Point, now: datetime) -> str:
    """One recovery point."""
    return points_as_html([point], now)


def volumes_as_html(found: Sequence[VolumeStanding], now: datetime) -> str:
    """Every claim; those that are not protected come first."""
    without = [one for one in found if one.reason]
    rows = [
        _Row(
            NONE if one.reason else WHOLE,
            (
                f"{one.claim.namespace}/{one.claim.name}",
                one.reason or "protected",
                age(one.record.moment, now) if one.record else "none",
                one.record.survives.value if one.record else "",
                one.size,
                one.driver or "none",
                one.workload,
            ),
        )
        for one in [*without, *(one for one in found if not one.reason)]
    ]
    heads = ("Claim", "Protected", "Age of its data", "Lost with", "Size", "Driver", "Workload")
    page = _Page(
        title="Volumes",
        about=f"Ages are counted to {_time(now)}.",
        tiles=[
            (WHOLE, len(found) - len(without), "protected"),
            (NONE, len(without), "not protected"),
        ],
        tables=[_Table(heads, 1, rows)] if rows else [],
        points=[],
        nothing="" if found else "The cluster has no claims.",
    )
    return render("recovery.html.j2", {"page": page}, styles=_STYLES)


_STYLES = ("drift.css", "recovery.css")


def _point(point: Point, now: datetime, *, unfolded: bool) -> _Part:
    data = count(len(point.volumes), "volume") if point.volumes else "no volumes"
    left_out = omission_counts(point.omissions)
    gaps = [f"{gap.ref}: {gap.reason}" for gap in point.gaps]
    lists = [("Gaps", gaps), ("Left out of Git, named in coverage.yaml", left_out)]
    notes = [
        f"{point.subject} · commit {point.commit}",
        f"Source: cluster UID {point.source}, Kubernetes {point.version}",
        *([f"Torn: {point.torn}"] if point.torn else []),
    ]
    heads = ("Claim", "Data of", "Age", "Lost with", "Driver", "Snapshot set")
    return _Part(
        state=WHOLE if point.complete else NONE if point.objects_only else PART,
        badge=state(point),
        title=_time(point.time),
        about=f"{point.commit[:12]} · {count(point.objects, 'object')}, {data}",
        aside=f"data {age(oldest(point.usable), now)} old" if point.usable else "",
        notes=notes,
        table=_Table(heads, 3, [_volume(volume, now) for volume in point.volumes]),
        lists=[(title, lines) for title, lines in lists if lines],
        unfolded=unfolded,
    )


def _volume(volume: PointVolume, now: datetime) -> _Row:
    record = volume.record
    return _Row(
        NONE if volume.gone or record.survives is Survives.VOLUME else WHOLE,
        (
            f"{record.namespace}/{record.claim}",
            record.created,
            age(record.moment, now),
            "pruned" if volume.gone else record.survives.value,
            record.driver,
            record.snapshot_set,
        ),
    )


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M %Z").rstrip()


POINTS_FORMATS = {**points.LIST_FORMATS, "html": points_as_html}
POINT_FORMATS = {**points.SHOW_FORMATS, "html": point_as_html}
VOLUMES_FORMATS = {**volumes.LIST_FORMATS, "html": volumes_as_html}
