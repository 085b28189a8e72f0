"""Reads a Kubernetes quantity (``500m``, ``1Gi``, ``12e6``) as a number, and writes bytes. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any, Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_SUFFIXES: Final = {
    **{suffix: Fraction(10) ** power for suffix, power in zip("num", (-9, -6, -3), strict=True)},
    **{suffix: Fraction(1000) ** n for n, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Fraction(1024) ** n for n, suffix in enumerate("KMGTPE", 1)},
}
_LONGEST: Final = 128
"""Characters: what is longer is none that anybody wrote, and takes time to read."""
_NANO: Final = 10**9


def amount(value: Any) -> Fraction | None:
    """The number that a quantity means; None if the value is none.

    A JSON number is one too, as it stands in a manifest without quotes. What is finer than a
    billionth is rounded up, away from zero, as an API server does it.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, float):
        return _rounded(Fraction(str(value))) if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    found = _QUANTITY.fullmatch(value)
    if found is None:
        return None
    number = Fraction(found["number"])
    if found["suffix"]:
        number *= _SUFFIXES[found["suffix"]]
    elif found["exponent"]:
        number *= Fraction(10) ** int(found["exponent"])
    return _rounded(number)


def with_unit(value: Fraction) -> str:
    """As people write it, in the largest unit that gives a whole number."""
    number = math.ceil(value)
    for unit in ("", "Ki", "Mi", "Gi", "Ti"):
        if number % 1024 or not number or unit == "Ti":
            return f"{number}{unit}"
        number //= 1024
    raise AssertionError


def _rounded(number: Fraction) -> Fraction:
    nanos = number * _NANO
    if nanos.denominator == 1:
        return number
    return Fraction(math.ceil(nanos) if nanos > 0 else math.floor(nanos), _NANO)
