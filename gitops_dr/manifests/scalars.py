"""What kubectl makes of a bare word in a YAML file. Pure.

kubectl reads with sigs.k8s.io/yaml, which is neither YAML 1.1 nor 1.2: ``yes`` is a boolean and
``0777`` octal as in 1.1, ``0o17`` is octal as in 1.2, ``08`` is eight, ``12:30``, ``2024-01-01``
and ``=`` are strings. The rules are those of its ``resolve``:
https://github.com/yaml/go-yaml/blob/v2.4.4/resolve.go (checked against it, see the tests).
"""

from __future__ import annotations

import math
import re
from typing import Final

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, bool]] = {
    word: truth
    for truth, words in (
        (True, "y Y yes Yes YES on On ON true True TRUE"),
        (False, "n N no No NO off Off OFF false False FALSE"),
    )
    for word in words.split()
}

_INTEGERS: Final = (
    (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,19})"), 10),
    (re.compile(r"[-+]?0[0-7]+"), 8),
    (re.compile(r"[-+]?0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)"), 0),
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LOOSE_UNDERSCORE: Final = re.compile(r"(?<![0-9])_|_(?![0-9])")

_UINT64_MAX: Final = 2**64 - 1
_INT64_MIN: Final = -(2**63)
_FLOAT_INTEGERS: Final = 2.0**63


def resolve(text: str) -> Scalar:
    """Resolve a bare (unquoted, untagged) word that a YAML 1.2 reader takes for a string."""
    if text in _WORDS:
        return _WORDS[text]
    if not text or text[0] not in "+-.0123456789":
        return text
    if text[0] == "." and _LOOSE_UNDERSCORE.search(text):
        return text
    number = _number(text.replace("_", ""))
    return text if number is None or math.isinf(number) else as_json(number)


def fits(value: int) -> bool:
    """Whether an integer has at most 64 bits; of larger ones each reader makes something else."""
    return _INT64_MIN <= value <= _UINT64_MAX


def _number(plain: str) -> int | float | None:
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(plain) and fits(value := int(plain, base)):
            return value
    return float(plain) if _FLOAT.fullmatch(plain) else None


def as_json(value: int | float) -> int | float:
    """Convert a number to what kubectl sends: ``3.0`` is ``3``.

    An API server refuses ``3.0`` for an integer field, so what kubectl turns into ``3`` must be
    ``3`` here as well. Infinity and NaN are returned as they are: JSON has neither.
    """
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _FLOAT_INTEGERS
    return int(value) if whole else value
