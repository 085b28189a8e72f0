"""Bare words as kubectl reads them: each row was read by sigs.k8s.io/yaml 1.6.0."""

from typing import Any

import pytest

from gitops_dr.manifests.scalars import as_json, resolve

READ_BY_KUBECTL: list[tuple[str, Any]] = [
    ("yes", True),
    ("y", True),
    ("On", True),
    ("n", False),
    ("OFF", False),
    ("yEs", "yEs"),
    ("08", 8),
    ("0777", 511),
    ("-017", -15),
    ("0o17", 15),
    ("0x1F", 31),
    ("+0b11", 3),
    ("0b2", "0b2"),
    ("1_000", 1000),
    ("0_7", 7),
    ("_1", "_1"),
    ("1e3", 1000),
    ("123e4", 1230000),
    ("1.50", 1.5),
    (".5", 0.5),
    (".3_8", 0.38),
    (".3_", ".3_"),
    ("1e400", "1e400"),
    ("99999999999999999999999", 1e23),
    ("18446744073709551615", 18446744073709551615),
    ("0" + "7" * 30, float("7" * 30)),
    ("0x1" + "0" * 16, "0x1" + "0" * 16),
    ("0b" + "1" * 70, "0b" + "1" * 70),
    ("9" * 400, "9" * 400),
    ("12:30", "12:30"),
    ("190:20:30", "190:20:30"),
    ("2024-01-01", "2024-01-01"),
    ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ("=", "="),
    ("<<", "<<"),
    ("-", "-"),
    (".", "."),
    ("1.2.3", "1.2.3"),
    ("१", "१"),
    ("", ""),
]


@pytest.mark.parametrize(("word", "value"), READ_BY_KUBECTL)
def test_words(word: str, value: Any) -> None:
    read = resolve(word)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("number", "sent"), [(3.0, 3), (-0.0, 0), (1e18, 10**18), (0.5, 0.5), (1e30, 1e30), (7, 7)]
)
def test_numbers_as_they_are_sent(number: float, sent: float) -> None:
    assert as_json(number) == sent
    assert type(as_json(number)) is type(sent)
