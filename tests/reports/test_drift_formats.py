"""What holds for every format of drift: secrets, hostile text, sizes, exit codes."""

import time
from dataclasses import replace

import pytest
from reports.samples import (
    BASE,
    CLEAN,
    CONFIG,
    DATABASE,
    FULL,
    GAP,
    HOSTILE,
    MERGING,
    MODIFIED,
    SECRET,
    SMALL,
    UNKNOWN,
    WEB,
    hostile,
    many,
)

from gitops_dr.errors import ExitCode
from gitops_dr.model import Action, Difference, FieldChange, Presence
from gitops_dr.reports.drift import FORMATS, exit_code
from gitops_dr.results.drift import Against, Drifted, Merge

FORMAT = pytest.mark.parametrize("name", FORMATS)
FOR_PEOPLE = ("table", "markdown", "html", "junit", "annotations")


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (CLEAN, ExitCode.DONE),
        (replace(CLEAN, omissions=FULL.omissions, ignored=FULL.ignored), ExitCode.DONE),
        (replace(CLEAN, against=Against(BASE, (Merge(WEB, Action.CREATE),))), ExitCode.DONE),
        (SMALL, ExitCode.DIFFERENCES),
        (replace(CLEAN, gaps=(GAP,)), ExitCode.PARTIAL),
        (replace(SMALL, gaps=(GAP,)), ExitCode.PARTIAL),
        (replace(CLEAN, differences=(UNKNOWN,)), ExitCode.PARTIAL),
        (replace(CLEAN, differences=(MODIFIED, UNKNOWN)), ExitCode.PARTIAL),
    ],
)
def test_trouble_outranks_drift(result: Drifted, code: ExitCode) -> None:
    assert exit_code(result) == code


def test_the_formats_have_these_names() -> None:
    assert list(FORMATS) == [
        *("table", "json", "yaml", "markdown", "html", "junit", "annotations"),
    ]


@FORMAT
@pytest.mark.parametrize("result", [CLEAN, SMALL, FULL, MERGING], ids=["clean", "s", "f", "m"])
def test_it_is_text_that_ends_without_a_line_break_and_says_which_cluster(
    name: str, result: Drifted
) -> None:
    text = FORMATS[name](result)
    assert text == text.rstrip()
    assert "prod" in text
    text.encode()
    assert FORMATS[name](result) == text


@FORMAT
def test_each_format_says_what_differs_and_who_did_it(name: str) -> None:
    text = FORMATS[name](MERGING)
    for word in ("missing", "modified", "unmanaged", "unknown", "spec.replicas", "kubectl-edit"):
        assert word in text
    for word in ("403 Forbidden", "allows no dry run", "2026-11-24T10:05:00Z"):
        assert word in text


@FORMAT
def test_no_secret_is_in_any_format_but_that_it_changed(name: str) -> None:
    leaks = ("hunter", "aHVudGVy", "MHcCAQEE", "AGE-SECRET")
    key = f"-----BEGIN EC PRIVATE KEY-----\n{'MHcCAQEE' * 10}\n-----END EC PRIVATE KEY-----"
    changes = (
        *SECRET.changes,
        FieldChange("data", "add", None, {"x": "aHVudGVy"}),
        FieldChange("stringData.b", "remove", "hunter"),
    )
    foreign = (
        FieldChange("data.key", "replace", key, f"{key}x"),
        FieldChange("data.age", "add", None, {"a": ["AGE-SECRET-KEY-1" + "Q" * 58]}),
    )
    result = replace(
        CLEAN,
        differences=(
            Difference(CONFIG, Presence.MODIFIED, "p", foreign),
            Difference(DATABASE, Presence.MODIFIED, "p", changes),
        ),
        against=Against(BASE, (Merge(DATABASE, Action.CONFIGURE, changes),)),
    )
    text = FORMATS[name](result)
    assert not [leak for leak in leaks if leak in text]
    assert "data.password" in text
    for mark in ("*** (a)", "*** (b)", "*** (d)"):
        assert mark in text


@pytest.mark.parametrize("name", FOR_PEOPLE)
def test_no_control_character_gets_out(name: str) -> None:
    text = FORMATS[name](hostile())
    allowed = {"\n", "\t"} if name in ("html", "markdown", "junit") else {"\n"}
    found = {c for c in text if c < " " or "\x7f" <= c <= "\x9f"} - allowed
    assert not found
    assert not {"\u202e", "\u2066", "\ud800"} & set(text)
    assert "\\u001b" in text or "&#92;u001b" in text


@FORMAT
@pytest.mark.parametrize("result", [hostile(), hostile("\ud800"), hostile("%"), hostile(":,")])
def test_hostile_text_stops_no_format(name: str, result: Drifted) -> None:
    text = FORMATS[name](result)
    text.encode()
    assert len(text) < 400_000


@FORMAT
def test_a_mebibyte_on_each_side_is_cut(name: str) -> None:
    old = "x" * (1 << 20)
    lines = "\n".join(f"line {n}" for n in range(120_000))
    tree = {"a": [{"b": old}]}
    changes = (
        FieldChange("data.a", "replace", old, f"{old[:-1]}y"),
        FieldChange("data.b", "replace", lines, f"{lines[:-1]}y"),
        FieldChange("data.c", "replace", tree, [tree]),
        FieldChange("data.d", "add", None, lines),
        FieldChange("data.e", "remove", old),
    )
    found = Difference(CONFIG, Presence.MODIFIED, "p", changes)
    started = time.process_time()
    text = FORMATS[name](replace(CLEAN, differences=(found,)))
    assert len(text) < 100_000
    # A hang, not a measurement: it takes a fraction of a second.
    assert time.process_time() - started < 20


@FORMAT
def test_ten_thousand_objects_are_written_or_counted(name: str) -> None:
    text = FORMATS[name](many(10_000))
    if name in ("json", "yaml", "html", "junit"):
        assert text.count("object-9") >= 1111
    elif name == "table":
        assert text.count("\n") < 500
        assert "and 9800 more (-o json has them all): " in text
    elif name == "markdown":
        assert len(text.encode()) <= 1_000_000
    else:
        assert text.count("\n") <= 30
        assert "9990 more in the full report" in text


def test_what_is_hostile_has_all_of_it() -> None:
    """The sample is worth its name: all that a result may hold, and all tricks."""
    result = hostile()
    assert {difference.presence for difference in result.differences} == set(Presence)
    assert result.gaps
    assert result.omissions
    assert result.ignored
    assert result.against is not None
    for trick in ("\x1b", "\x00", "\u202e", "\ud800", "\uffff", "]]>", "<script>", "```", "\r\n::"):
        assert trick in HOSTILE.replace("\n::", "\r\n::")
