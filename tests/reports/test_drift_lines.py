"""Old and new under each other: what is matched, what is left out, what it costs."""

from typing import Any

import pytest
from counting import steps
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.model import FieldChange
from gitops_dr.reports.drift.lines import diff_lines
from gitops_dr.reports.values import Mark

MARK = Mark("*** (a)")


def lines(change: FieldChange, limit: int = 100, width: int = 100) -> list[str]:
    return [f"{sign}{line}" for sign, line in diff_lines(change, limit=limit, width=width)]


def replaced(old: Any, new: Any) -> list[str]:
    return lines(FieldChange("a", "replace", old, new))


def test_one_side_alone() -> None:
    assert lines(FieldChange("a", "add", new=3)) == ["+3"]
    assert lines(FieldChange("a", "add", new=None)) == ["+null"]
    assert lines(FieldChange("a", "remove", "x")) == ['-"x"']
    assert lines(FieldChange("a", "add", new={"b": [1, {"c": "d"}]})) == [
        *("+b:", "+- 1", "+- c: d"),
    ]
    assert lines(FieldChange("a", "add", new={})) == ["+{}"]
    assert lines(FieldChange("a", "add", new="b\nc\n")) == ["+b", "+c", "+"]
    assert lines(FieldChange("a", "add", new=MARK)) == ["+*** (a)"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, "1", ["-1", '+"1"']),
        ("a\nb\nc", "a\nx\nc", [" a", "-b", "+x", " c"]),
        ("a\nb", "a", ["-a", "-b", '+"a"']),
        ("a\nb\n", "a\nb", [" a", " b", "-"]),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [" a: 1", "-b: 2", "+b: 3"]),
        ([1, 2], [2, 1], ["+- 2", " - 1", "-- 2"]),
        (MARK, Mark("*** (b)"), ["-*** (a)", "+*** (b)"]),
        ({"a": MARK}, {"a": "x"}, ['-a: "*** (a)"', "+a: x"]),
        (None, None, [" changed"]),
        ("a\tb\n\x1b", "a\tc\n\u202e", ["-a\tb", "-\\u001b", "+a\tc", "+\\u202e"]),
        ("a\r\nb", "a\nb", ["-a\\u000d", "+a", " b"]),
        ("\ud800\na", "a\nb", ["-\\ud800", " a", "+b"]),
    ],
)
def test_both_sides(old: Any, new: Any, expected: list[str]) -> None:
    assert replaced(old, new) == expected


def test_equal_lines_far_from_what_differs_are_counted() -> None:
    old = [str(n) for n in range(30)]
    new = [*old[:10], "x", *old[11:20], "y", *old[21:]]
    assert replaced("\n".join(old), "\n".join(new)) == [
        *(" … 8 equal lines", " 8", " 9", "-10", "+x", " 11", " 12", " … 5 equal lines"),
        *(" 18", " 19", "-20", "+y", " 21", " 22", " … 7 equal lines"),
    ]


def test_many_lines_and_long_ones_are_cut() -> None:
    change = FieldChange("a", "add", new="\n".join(map(str, range(10))))
    assert lines(change, limit=3) == ["+0", "+1", "+2", " … 7 more lines (-o json has them all)"]
    assert lines(FieldChange("a", "add", new="x" * 50), width=10) == ['+"xxxxxxxx…']


def test_what_is_too_much_to_match_line_by_line_is_not_tried() -> None:
    # No line is common enough for difflib to leave it out, so it would look at all pairs, often.
    old = "\n".join(str(n % 110) for n in range(20_000))
    new = "\n".join(reversed(old.split("\n")))
    change = FieldChange("a", "replace", old, new)
    assert len(diff_lines(change, limit=20, width=80)) == 21
    # A step or two for a line, and not for each pair of lines.
    assert steps(lambda: diff_lines(change, limit=20, width=80)) < 10 * 20_000


texts = st.lists(st.sampled_from("abc"), max_size=12).map("\n".join)


@given(texts, texts)
def test_each_side_can_be_read_off(old: str, new: str) -> None:
    if "\n" not in old or "\n" not in new or "…" in "".join(found := replaced(old, new)):
        return
    assert [line[1:] for line in found if line[0] in " -"] == old.split("\n")
    assert [line[1:] for line in found if line[0] in " +"] == new.split("\n")
