"""Recovery points and volumes as pages: what is on them, and that nothing of it is live."""

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from reports.pages import Node, read_html
from volumes_samples import RECORD

from gitops_dr.model import Gap, Identity, Omission, Ref
from gitops_dr.reports.points import rpo_seconds
from gitops_dr.reports.recovery import (
    POINT_FORMATS,
    POINTS_FORMATS,
    VOLUMES_FORMATS,
    point_as_html,
    points_as_html,
    volumes_as_html,
)
from gitops_dr.results.rebuild import Goal
from gitops_dr.results.volumes import Point, PointVolume, VolumeStanding
from gitops_dr.volumes.records import SnapshotRecord, Survives

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
NOW = datetime(2026, 11, 26, 14, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


def record(claim: str, hours: int = 3, **changes: object) -> SnapshotRecord:
    when = (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(RECORD, claim=claim, created=when, **changes)  # type: ignore[arg-type]


def claim(name: str) -> Ref:
    return Ref("", "PersistentVolumeClaim", "shop", name)


WHOLE = Point(
    commit="a3f8c41200d1" + "0" * 28,
    time=NOW - timedelta(hours=3),
    subject="Export prod: 3 changed",
    source="7f0c",
    version="v1.37.2",
    objects=1204,
    omissions=(Omission(Ref("", "Event", "shop", "e"), "events", "They are history."),),
    gaps=(),
    torn="",
    volumes=(
        PointVolume(record("data-db-0"), gone=False),
        PointVolume(record("data-db-1", 5), gone=False),
    ),
)
PART = replace(
    WHOLE,
    commit="b3f8c41200d1" + "0" * 28,
    gaps=(Gap(claim("uploads"), "its volume is nfs"),),
    torn="Deployment.apps",
    volumes=(
        PointVolume(record("data-db-0", 27, survives=Survives.VOLUME), gone=False),
        PointVolume(record("data-db-1", 40), gone=True),
    ),
)
BARE = replace(WHOLE, volumes=(PointVolume(record("data-db-0", 216), gone=True),))
PROTECTED = VolumeStanding(claim("data-db-0"), "rbd", "10Gi", "StatefulSet/db", record("a"), "")
UNPROTECTED = VolumeStanding(claim("uploads"), "", "1Gi", "Deployment/web", None, "it is nfs")


def page(text: str) -> Node:
    assert text.startswith("<!doctype html>")
    return read_html(text.removeprefix("<!doctype html>"))


def words(node: Node) -> str:
    return " ".join(node.text.split())


def cells(found: Node) -> list[list[str]]:
    rows = [row for body in found.every("tbody") for row in body.every("tr")]
    return [[words(cell) for cell in row.every("td")] for row in rows]


def test_points_say_what_they_hold_and_lack() -> None:
    found = page(points_as_html([WHOLE, PART, BARE], NOW))
    assert words(found.every("p")[0]) == "Ages are counted to 2026-11-26 14:00 UTC."
    assert [words(tile) for tile in found.every(class_="tile")] == [
        *("1 complete", "1 with something lacking", "1 objects only"),
    ]
    assert [words(head) for head in found.every(class_="head")] == [
        ("complete 2026-11-26 11:00 UTC a3f8c41200d1 · 1204 objects, 2 volumes data 5h old"),
        (
            "some data pruned, 1 gap, torn 2026-11-26 11:00 UTC b3f8c41200d1 ·"
            " 1204 objects, 2 volumes data 1d 3h old"
        ),
        "objects only 2026-11-26 11:00 UTC a3f8c41200d1 · 1204 objects, 1 volume",
    ]
    assert not [each for each in found.every("details") if "open" in each.attributes]


def test_one_point_is_unfolded() -> None:
    found = page(point_as_html(PART, NOW))
    (shown,) = found.every("details")
    assert "open" in shown.attributes
    assert cells(shown) == [
        [
            *("shop/data-db-0", "2026-11-25T11:00:00Z", "1d 3h", "volume"),
            *(RECORD.driver, RECORD.snapshot_set),
        ],
        [
            *("shop/data-db-1", "2026-11-24T22:00:00Z", "1d 16h", "pruned"),
            *(RECORD.driver, RECORD.snapshot_set),
        ],
    ]
    # A snapshot that dies with its volume is no recovery.
    assert [row.attributes["class"] for row in shown.every("tr")[1:]] == ["none", "none"]
    assert [words(each) for each in shown.every("li")] == [
        "PersistentVolumeClaim/shop/uploads: its volume is nfs",
        "1 by events: They are history.",
    ]
    assert "Torn: Deployment.apps" in words(shown)


def test_volumes_without_protection_come_first() -> None:
    found = page(volumes_as_html([PROTECTED, UNPROTECTED], NOW))
    assert [words(tile) for tile in found.every(class_="tile")] == [
        "1 protected",
        "1 not protected",
    ]
    assert cells(found) == [
        ["shop/uploads", "it is nfs", "none", "", "1Gi", "none", "Deployment/web"],
        ["shop/data-db-0", "protected", "3h", "cluster", "10Gi", "rbd", "StatefulSet/db"],
    ]


def test_there_may_be_nothing() -> None:
    assert "gitops-dr export makes one" in words(page(points_as_html([], NOW)))
    assert "The cluster has no claims." in words(page(volumes_as_html([], NOW)))
    bare = page(point_as_html(replace(WHOLE, volumes=(), omissions=()), NOW))
    assert "no volumes" in words(bare)
    assert not bare.every("table")


def test_nothing_on_a_page_is_live() -> None:
    hostile = replace(
        PART,
        subject=HOSTILE,
        source=HOSTILE,
        version=HOSTILE,
        torn=HOSTILE,
        gaps=(Gap(claim(HOSTILE), HOSTILE),),
        volumes=(PointVolume(record(HOSTILE, driver=HOSTILE, snapshot_set=HOSTILE), gone=False),),
    )
    standing = VolumeStanding(claim(HOSTILE), HOSTILE, HOSTILE, HOSTILE, None, HOSTILE)
    for text in (point_as_html(hostile, NOW), volumes_as_html([standing], NOW)):
        assert not re.search("[\x1b\u202e]", text)
        found = page(text)
        assert not found.every("script")
        (policy,) = [
            meta.attributes["content"]
            for meta in found.every("meta")
            if meta.attributes.get("http-equiv")
        ]
        assert policy is not None
        assert "default-src 'none'; script-src 'none'; style-src 'sha256-" in policy
        assert "\\u001b" in found.text


def test_programs_are_told_the_age_too() -> None:
    found = orjson.loads(POINTS_FORMATS["json"]([WHOLE, BARE], NOW))["points"]
    assert [each["dataAgeSeconds"] for each in found] == [5 * 3600, None]
    assert orjson.loads(POINT_FORMATS["json"](WHOLE, NOW)) == found[0]
    rows = orjson.loads(VOLUMES_FORMATS["json"]([PROTECTED, UNPROTECTED], NOW))["volumes"]
    assert [row["dataAgeSeconds"] for row in rows] == [3 * 3600, None]


def test_what_a_restore_loses_is_a_number_for_programs() -> None:
    records = [record("a", 3), record("b", 5)]
    identity = Identity("uid", "v1.37.2", "1")
    goal = Goal("prod", "a3f8", "standby", "https://target", identity, asked=NOW)
    assert rpo_seconds(records, goal) == 5 * 3600
    assert rpo_seconds([], goal) is None
    assert rpo_seconds(records, replace(goal, asked=None)) is None


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")
def test_a_browser_has_nothing_to_complain_of(tmp_path: Path) -> None:
    """Its style is let through by the policy: text in a cell has the colour of its state."""
    file = tmp_path / "page.html"
    for text in (points_as_html([WHOLE, PART], NOW), volumes_as_html([PROTECTED], NOW)):
        file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [
                str(CHROMIUM),
                *("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        complaints = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        assert complaints == []
        assert "<table>" in done.stdout
