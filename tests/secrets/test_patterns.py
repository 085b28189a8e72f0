"""Regular expressions of other people: what Go makes of them, and never for long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.secrets.patterns import pattern


@pytest.mark.parametrize(
    ("regex", "text", "found"),
    [
        ("^(data|stringData)$", "data", True),
        ("^(data|stringData)$", "dat", False),
        ("^data$", "data", True),
        ("^data$", "adata", False),
        ("^a|b$", "axx", True),
        ("^a|b$", "xxb", True),
        ("^a|b$", "xax", False),
        ("data", "metadata", True),
        ("(?i)^DATA.*$", "data1", True),
        (r"clusters/[^/]+/.*\.yaml$", "clusters/a/b/c.yaml", True),
        (r"clusters/[^/]+/.*\.yaml$", "clusters/a/b/c.yml", False),
        (r"^\w+$", "é", True),
        ("", "anything", True),
        ("^$", "", True),
    ],
)
def test_patterns(regex: str, text: str, found: bool) -> None:
    assert pattern(regex)(text) is found


@pytest.mark.parametrize(
    "regex", ["(", "a**b(", "(?=a)", r"(a)\1", "[", "a" * 3000, "(a{1000}){1000}"]
)
def test_what_is_none_is_refused(regex: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        pattern(regex)


def test_time_is_linear() -> None:
    started = time.monotonic()
    assert not pattern("^(a+)+(a|a)+(a*)*$")("a" * 100_000 + "b")
    assert time.monotonic() - started < 5


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_text_is_one_or_is_refused(regex: str, text: str) -> None:
    try:
        matches = pattern(regex)
    except ValueError:
        return
    assert matches(text) in (True, False)
