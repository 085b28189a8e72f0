"""docs/needs/ says for each need what became of it, and names only tests that exist.

Reads the pages, and compares what they name with what pytest collects; runs none of it.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from named import missing

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "needs"
PAGES = {p.stem: p.read_text(encoding="utf-8") for p in sorted(FOLDER.glob("*.md"))}
README = PAGES.pop("README")
LEFT_OUT_AT_MOST = 5
REASONS = ("needs a cloud's api", "needs a real kubelet", "contradicts the mission")


@dataclass(frozen=True)
class Need:
    """One row of a page."""

    page: str
    number: int
    source: str
    state: str
    how: str
    tests: tuple[str, ...]


def needs(page: str) -> list[Need]:
    found = []
    for line in PAGES[page].splitlines():
        if re.match(r"\| \d+ \|", line):
            number, _, source, state, how, tests = (cell.strip() for cell in line.split("|")[1:-1])
            named = tuple(re.findall(r"`(tests/[^`]*::[^`]*)`", tests))
            found.append(Need(page, int(number), source, state, how, named))
    return found


NEEDS = {page: needs(page) for page in PAGES}
ALL = [need for found in NEEDS.values() for need in found]
CAPABILITIES = {
    name.lower() for name in re.findall(r"\*\*([\w ]+)\*\* \(", " ".join(README.split()))
}

pages = pytest.mark.parametrize("page", PAGES)


@pages
def test_every_need_has_one_row(page: str) -> None:
    found = NEEDS[page]
    assert found
    assert [need.number for need in found] == list(range(1, len(found) + 1))
    assert all(need.source and need.how for need in found)
    assert f"({page}.md)" in README


@pytest.mark.parametrize("need", ALL, ids=lambda need: f"{need.page}-{need.number}")
def test_a_need_says_what_became_of_it(need: Need) -> None:
    how = need.how.lower()
    match need.state:
        case "met":
            assert need.tests
            assert "not yet" not in how
        case "part":
            assert need.tests
            later = re.search(r"\*\*not yet\*\* \(([^)]*)\)", how)
            assert later
            assert set(later[1].split("; ")) <= CAPABILITIES
        case "not yet":
            assert not need.tests
            later = re.match(r"\*\*([^*]*)\*\*", how)
            assert later
            assert later[1] in CAPABILITIES
        case "left out":
            assert not need.tests
            assert any(reason in how for reason in REASONS)
        case other:
            pytest.fail(f"{other}: no such state")


def test_few_are_left_out() -> None:
    assert sum(need.state == "left out" for need in ALL) <= LEFT_OUT_AT_MOST


@pages
def test_the_summary_counts_them(page: str) -> None:
    summary = PAGES[page].split("## Summary")[1]
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) \| ([\d, ]*) ?\|$", summary, re.MULTILINE)
    counted = Counter(need.state for need in NEEDS[page])
    assert {state: int(count) for state, count, _ in rows} == {
        **counted,
        "all": len(NEEDS[page]),
    }
    numbers = {state: re.findall(r"\d+", listed) for state, _, listed in rows if state != "all"}
    assert numbers == {
        state: [str(need.number) for need in NEEDS[page] if need.state == state]
        for state in counted
    }


def test_every_test_that_is_named_exists(pytestconfig: pytest.Config) -> None:
    """With its parameters, which only a collection knows."""
    named = {test for need in ALL for test in need.tests}
    assert named
    assert missing(named, pytestconfig) == []
