"""Commit messages with trailers."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.message import compose, parse

_values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])).filter(
    lambda text: text and text == text.strip()
)
_trailers = st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True), _values)


@given(_values, _trailers)
def test_what_is_composed_is_read_back(message, trailers):
    assert parse(compose(message, trailers)) == (message, trailers)


def test_git_reads_the_same_trailers():
    text = compose(
        "Export\n\nNot-a: trailer\nbecause this line is none", {"Cluster": "a: b", "N": "1"}
    )
    seen = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=text,
        text=True,
        capture_output=True,
        check=True,
    )
    assert seen.stdout == "Cluster: a: b\nN: 1\n"
    assert parse(text) == ("Export", {"Cluster": "a: b", "N": "1"})


@pytest.mark.parametrize("value", ["", " ", "a\nb", "a\rb", "a\u2028b", "a\0", "a "])
def test_a_value_is_one_line(value):
    with pytest.raises(RepositoryError, match="Cluster"):
        compose("Export", {"Cluster": value})


@pytest.mark.parametrize("key", ["", "a b", "a:", "a\nb", "-a"])
def test_a_key_is_a_word(key):
    with pytest.raises(RepositoryError, match="trailer"):
        compose("Export", {key: "x"})


@pytest.mark.parametrize("message", ["", " \n", "a\0b"])
def test_a_message_has_text(message):
    with pytest.raises(RepositoryError, match="commit message"):
        compose(message, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("", {})),
        ("Subject: x\n", ("Subject: x", {})),
        ("S\n\nprose\nA: 1\n", ("S", {})),
        ("S\n\nA: 1\n more\nA-b: 2\n", ("S", {"A": "1 more", "A-b": "2"})),
        ("S\n\nA: 1\nA: 2\n", ("S", {"A": "2"})),
        ("S\n\nA: 1\n\nprose\n", ("S", {})),
    ],
)
def test_messages_that_people_wrote(text, expected):
    assert parse(text) == expected
