"""Regular expressions that stand in files of other people, matched in linear time. Pure.

SOPS takes those of Go (https://github.com/google/re2/wiki/Syntax), which cannot be made to run for
ever; Python's can. The engine of pydantic is Rust's, which is as Go's in both respects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_MAX_CHARACTERS: Final = 2000
_WORDS: Final = re.compile(r"\^(?:\(([A-Za-z0-9_-]+(?:\|[A-Za-z0-9_-]+)*)\)|([A-Za-z0-9_-]+))\$")
"""``^(data|stringData)$``: what nearly all are, and what needs no engine."""


def words(text: str) -> frozenset[str] | None:
    """Give the words that an expression like ``^(data|stringData)$`` is about; None for others."""
    found = _WORDS.fullmatch(text)
    return frozenset((found[1] or found[2]).split("|")) if found else None


@lru_cache(maxsize=256)
def pattern(text: str) -> Callable[[str], bool]:
    """Give a function that says whether the expression is found in a text.

    Raises ``ValueError`` for what is no regular expression, or a very long one.
    """
    if (exact := words(text)) is not None:
        return exact.__contains__
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"a regular expression of {len(text)} characters")

    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        validator = SchemaValidator(core_schema.str_schema(pattern=text, regex_engine="rust-regex"))
    except SchemaError:
        raise ValueError(f"{text[:80]!r} is no regular expression") from None
    return validator.isinstance_python
