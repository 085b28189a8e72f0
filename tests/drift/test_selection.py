"""The differences of one manager, or since a time."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.drift.selection import Selected, parse_since, selected
from gitops_dr.errors import UsageError
from gitops_dr.model import Difference, FieldChange, FieldManager, Presence, Ref


def ref(name):
    return Ref("apps", "Deployment", "shop", name)


def manager(name, day=1, **other):
    return FieldManager(name, "Update", time=f"2026-01-{day:02}T00:00:00Z", **other)


def day(number):
    return datetime(2026, 1, number, tzinfo=UTC)


def change(path, *managers):
    return FieldChange(path, "replace", old=1, new=2, managers=managers)


def modified(name, *changes):
    return Difference(ref(name), Presence.MODIFIED, name, changes)


EDIT_1, EDIT_9 = manager("kubectl-edit", 1), manager("kubectl-edit", 9)
HELM_5 = manager("helm", 5)
TIMELESS = FieldManager("kubectl-edit", "Update")

SPEC_A = change("spec.a", EDIT_1)
SPEC_B = change("spec.b", HELM_5)
SPEC_BOTH = change("spec.both", EDIT_9, HELM_5)
SPEC_NOBODY = change("spec.nobody")
SPEC_TIMELESS = change("spec.timeless", TIMELESS)
WEB = modified("web", SPEC_A, SPEC_B, SPEC_BOTH, SPEC_NOBODY, SPEC_TIMELESS)
NEW = Difference(ref("new"), Presence.UNMANAGED, "new", managers=(EDIT_1, HELM_5))
FOUND = Difference(ref("found"), Presence.UNMANAGED, "found")
GONE = Difference(ref("gone"), Presence.MISSING, "gone")
UNREAD = Difference(ref("unread"), Presence.UNKNOWN, "unread", reason="403")
ALL = (FOUND, GONE, NEW, UNREAD, WEB)


def of_web(*changes):
    return modified("web", *changes)


@pytest.mark.parametrize(
    ("by", "since", "expected", "unattributed"),
    [
        (None, None, ALL, 0),
        ("kubectl-edit", None, (NEW, of_web(SPEC_A, SPEC_BOTH, SPEC_TIMELESS)), 4),
        ("kubectl*", None, (NEW, of_web(SPEC_A, SPEC_BOTH, SPEC_TIMELESS)), 4),
        ("helm", None, (NEW, of_web(SPEC_B, SPEC_BOTH)), 4),
        ("Helm", None, (), 4),
        ("nobody", None, (), 4),
        (None, day(5), (NEW, of_web(SPEC_B, SPEC_BOTH)), 5),
        (None, day(6), (of_web(SPEC_BOTH),), 5),
        (None, day(1), (NEW, of_web(SPEC_A, SPEC_B, SPEC_BOTH)), 5),
        (None, day(10), (), 5),
        # One manager must meet both.
        ("helm", day(6), (), 5),
        ("helm", day(5), (NEW, of_web(SPEC_B, SPEC_BOTH)), 5),
        ("kubectl-edit", day(6), (of_web(SPEC_BOTH),), 5),
    ],
)
def test_what_is_known_to_be_of_a_manager_or_a_time(by, since, expected, unattributed):
    assert selected(ALL, by=by, since=since) == Selected(expected, unattributed)


def test_times_of_other_zones_are_the_same_times():
    east = datetime(2026, 1, 5, 2, tzinfo=timezone(timedelta(hours=2)))
    assert selected([modified("web", SPEC_B)], since=east).differences
    assert not selected([modified("web", SPEC_B)], since=east + timedelta(seconds=1)).differences


def test_a_time_that_there_is_not_is_no_time():
    strange = FieldManager("x", "Update", time="2026-99-01T00:00:00Z")
    found = selected([modified("web", change("a", strange))], since=day(1))
    assert found == Selected((), 1)


NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("2h", timedelta(hours=2)),
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1d12h", timedelta(days=1.5)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_before_now(text, ago):
    assert parse_since(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00Z", NOW),
        ("2026-11-22t10:00:00z", NOW),
        ("2026-11-22 12:00+02:00", NOW),
        ("2026-11-22T10:00:00.5Z", NOW + timedelta(seconds=0.5)),
        ("2026-11-22 10:00", datetime(2026, 11, 22, 10).astimezone()),
        ("2026-11-22", datetime(2026, 11, 22).astimezone()),
    ],
)
def test_a_time_is_local_unless_it_says_otherwise(text, expected):
    found = parse_since(text, NOW)
    assert found == expected
    assert found.tzinfo is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "h",
        "2 h",
        "-2h",
        "2y",
        "1.5h",
        "yesterday",
        "10:00",
        "2026-11",
        "2026-11-22 10",
        "2026-11-22\n",
        "2h\n",
        "٢h",
        "2026-11-22T10:00:00X",
        "2026W01",
    ],
)
def test_what_is_neither_is_refused(text):
    with pytest.raises(UsageError, match="neither a time nor a duration") as caught:
        parse_since(text, NOW)
    assert "2h" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2026-13-01 10:00",
        "2026-11-22 25:00",
        "0000-01-01",
        "999999999w",
        "2026-11-22T10:00:00+99:00",
    ],
)
def test_a_time_that_there_never_was_is_refused(text):
    with pytest.raises(UsageError, match="there is no such time"):
        parse_since(text, NOW)


@given(st.text("0123456789-:TtZz+ .wdhms", max_size=25))
def test_any_text_is_a_time_or_refused(text):
    with suppress(UsageError):
        assert parse_since(text, NOW).tzinfo is not None
