"""Quantities are the numbers that an API server takes them for."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.manifests.quantity import amount

NANO = Fraction(1, 10**9)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("+1", 1), ("-1", -1), ("0", 0), ("-0", 0), ("007", 7),
        ("0.5", Fraction(1, 2)), (".5", Fraction(1, 2)), ("5.", 5), ("1.50", Fraction(3, 2)),
        ("1000m", 1), ("500m", Fraction(1, 2)), ("1u", Fraction(1, 10**6)), ("1n", NANO),
        ("1k", 1000), ("1M", 10**6), ("1G", 10**9), ("1T", 10**12), ("1P", 10**15),
        ("1E", 10**18), ("1Ki", 1024), ("1Mi", 1 << 20), ("1Gi", 1 << 30), ("1Ti", 1 << 40),
        ("1Pi", 1 << 50), ("1Ei", 1 << 60), ("0.5Gi", 1 << 29), ("-1.5Ki", -1536),
        ("1e3", 1000), ("1E3", 1000), ("1e+3", 1000), ("1e-3", Fraction(1, 1000)), ("0e0", 0),
        ("0.1n", NANO), ("-0.1n", -NANO), ("1.5n", 2 * NANO), ("1e-12", NANO),
        (1, 1), (0, 0), (-3, -3), (0.5, Fraction(1, 2)), (0.1, Fraction(1, 10)), (1e3, 1000),
        (10**30, 10**30),
    ],
)  # fmt: skip
def test_a_quantity_is_a_number(text: Any, number: Any) -> None:
    assert amount(text) == number


@pytest.mark.parametrize(
    "value",
    [
        "", " 1", "1 ", "m", "1mm", "1K", "1KI", "1ki", "1.5.5", "1e", "1e1.5", "1e1000", "--1",
        "1,5", "\u0661", "1\n", "0x10", "inf", "nan", "1" * 129, float("inf"), float("nan"),
        True, False, None, [], {}, ["1"], b"1",
    ],
)  # fmt: skip
def test_anything_else_is_none(value: Any) -> None:
    assert amount(value) is None


WHOLE = st.integers(-(10**12), 10**12)


@given(WHOLE, st.sampled_from([("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("E", 18)]))
def test_a_decimal_suffix_is_a_power_of_ten(number: int, suffix: tuple[str, int]) -> None:
    name, power = suffix
    assert amount(f"{number}{name}") == number * Fraction(10) ** power
    assert amount(f"{number}e{power}") == amount(f"{number}{name}")


@given(WHOLE, st.sampled_from(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]))
def test_a_binary_suffix_is_a_power_of_1024(number: int, suffix: str) -> None:
    power = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].index(suffix) + 1
    assert amount(f"{number}{suffix}") == number * 1024**power


@given(st.decimals(-(10**6), 10**6, places=9))
def test_a_decimal_point_stands_where_it_stands(number: Any) -> None:
    assert amount(f"{number:f}") == Fraction(number)


@given(st.decimals(-10, 10, places=12))
def test_what_is_too_fine_is_rounded_away_from_zero_and_by_less_than_a_billionth(
    number: Any,
) -> None:
    exact, found = Fraction(number), amount(f"{number:f}")
    assert found is not None
    assert abs(exact) <= abs(found) < abs(exact) + NANO
    assert (found / NANO).denominator == 1


@given(st.integers() | st.floats() | st.text(max_size=200) | st.binary())
def test_any_value_has_an_answer(value: Any) -> None:
    found = amount(value)
    assert found is None or isinstance(found, Fraction)
