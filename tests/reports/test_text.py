"""What every report is made of: text that cannot play tricks on a terminal, tables, cut lists."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops_dr.reports.text import (
    brief,
    count,
    listing,
    shorten,
    shown,
    shown_halves,
    shown_line,
    table,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-1", "web-1"),
        ("café 日本 😀", "café 日本 😀"),
        ("a\nb", "a\\u000ab"),
        ("\x1b[2J", "\\u001b[2J"),
        ("a\rb\tc\x00", "a\\u000db\\u0009c\\u0000"),
        ("\x9b31m", "\\u009b31m"),
        ("a\u202etxt.exe", "a\\u202etxt.exe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\u061ca\xad", "\\u061ca\\u00ad"),
        ("a\u2028b\x85", "a\\u2028b\\u0085"),
        ("\ud800", "\\ud800"),
        (None, "None"),
        (5, "5"),
    ],
)
def test_text_is_shown_so_that_it_cannot_move_hide_or_turn_anything(
    text: object, expected: str
) -> None:
    assert shown(text) == expected


@given(st.text())
@settings(deadline=None)
def test_nothing_invisible_is_left_and_it_can_be_written(text: str) -> None:
    out = shown(text)
    out.encode()
    assert not {unicodedata.category(c) for c in out} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in out} & {"RLO", "LRO", "RLE", "LRE", "RLI"}
    assert out.splitlines() in ([], [out])


def test_tabs_of_a_line_and_all_but_halves_stay_where_they_may() -> None:
    assert shown_line("a\tb\x1b\n") == "a\tb\\u001b\\u000a"
    assert shown_halves("a\tb\x1b\ud800😀") == "a\tb\x1b\\ud800😀"


def test_what_is_too_long_is_cut_after_it_was_shown() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"
    assert brief("abcd", 4) == "abcd"
    assert brief("\x1bcd", 5) == "\\u00…"
    assert brief("x" * 10, 5) == "xxxx…"
    assert brief(12345, 3) == "12…"


def test_one_and_many() -> None:
    assert [count(n, "object") for n in (0, 1, 2)] == ["0 objects", "1 object", "2 objects"]
    assert count(2, "entry", "entries") == "2 entries"


def test_a_table_is_as_wide_as_its_content() -> None:
    rows = [("a", 1), ("longer-name", 22), ("\x1b[1m[red]x[/red]", "")]
    assert table(("KIND", "NUMBER"), rows).splitlines() == [
        "KIND                    NUMBER",
        "──────────────────────────────",
        "a                       1",
        "longer-name             22",
        "\\u001b[1m[red]x[/red]",
    ]


def test_a_table_without_rows_is_its_headings() -> None:
    assert table(("A", "B"), []).splitlines()[0] == "A   B"


@pytest.mark.parametrize(("lines", "left"), [(0, ""), (1, ""), (20, ""), (21, "1"), (1000, "980")])
def test_a_long_list_is_cut_and_says_so(lines: int, left: str) -> None:
    found = listing("Title:", [f"line {number}" for number in range(lines)])
    if not lines:
        assert found == []
        return
    assert found[:2] == ["Title:", "  line 0"]
    assert len(found) == min(lines, 20) + 1 + bool(left)
    assert (found[-1] == f"  and {left} more (-o json has them all)") is bool(left)


def test_each_entry_of_a_list_is_one_line() -> None:
    assert listing("T:", ["a\nb"]) == ["T:", "  a\\u000ab"]
