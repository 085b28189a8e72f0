"""Writes one object as canonical YAML: equal objects give equal bytes. Pure.

yamlrocks does the writing. It leaves a few strings bare that some reader takes for something
else; the bytes are searched for what those look like, and only where something is found the
object is written once more with these strings quoted. The form of a string depends on that
string alone, so the second writing changes nothing else.
"""

from __future__ import annotations

import re
from typing import Final

import yamlrocks

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.limits import MAX_KEY_CHARACTERS
from gitops_dr.model import Body

_OPTIONS: Final = (
    yamlrocks.OPT_SORT_KEYS
    | yamlrocks.OPT_INDENTLESS_SEQUENCES
    | yamlrocks.OPT_NULL_AS_KEYWORD
    | yamlrocks.OPT_YAML_1_1  # quotes what only a YAML 1.1 reader takes for a number or boolean
    | yamlrocks.OPT_PASSTHROUGH_DATETIME
    | yamlrocks.OPT_PASSTHROUGH_DATACLASS
)

_BREAKS: Final = {
    "\x85": b"\\x85",
    "\u2028": b"\\u2028",
    "\u2029": b"\\u2029",
    "\ufeff": b"\\ufeff",
}
"""What YAML 1.1 takes for a line break and 1.2 does not, and the byte-order mark, with the escape
that stands for it in a double-quoted string. https://yaml.org/spec/1.2.2/#54-line-break-characters
"""

_AMBIGUOUS: Final = re.compile(
    r"=|\+?0[0-9_obxOBX][0-9A-Za-z_+-]*|\+?(?=[0-9_:]{19})[0-9_]*:[0-9_:]*"
    rf"|.*[{''.join(_BREAKS)}].*",
    re.DOTALL,
)
"""Strings that must be quoted, of those that yamlrocks would leave bare: ``=`` (a type of its own
in YAML 1.1), what begins like an octal number, which Go reads as one (``08`` is 8), and long rows
of digits and colons: numbers to base 60 in YAML 1.1, which yamlrocks leaves bare beyond 64 bits."""

# The same in the bytes that were written. A literal first byte lets the search skip ahead.
_ZERO: Final = re.compile(rb"0(?<![^ \n+]0)[0-9_obxOBX]")
_EQUALS: Final = re.compile(rb"=(?<![^ \n]=)[:\n]")
_BASE_60: Final = re.compile(rb":[0-9_]*[:\n](?<=[0-9_:]{19}[:\n])")
_LONG_LINE: Final = re.compile(rb"\n[^\n]{%d}" % MAX_KEY_CHARACTERS)
_BREAK_BYTES: Final = tuple((text.encode(), escape) for text, escape in _BREAKS.items())


def canonical(body: Body) -> bytes:
    """Write one object as canonical YAML, UTF-8 with a final newline.

    Raises ``ManifestError`` (its path is the object's name) for what no YAML can carry: half a
    surrogate pair, a key of more than ``MAX_KEY_CHARACTERS``, nesting beyond reason.
    """
    try:
        data: bytes = yamlrocks.dumps(body, option=_OPTIONS)
    except yamlrocks.YAMLRocksEncodeError as error:
        raise _unwritable(body, error.message) from error
    if _has_long_line(data) and (key := _longest_key(body)):
        raise _unwritable(body, f"the key {key[:40]!r}... has {len(key)} characters")
    return _careful(body) if _needs_care(data) else data


def too_long(key: str) -> bool:
    """Whether a key, once written, is longer than a YAML reader must look for its colon."""
    return len(yamlrocks.dumps(key, option=_OPTIONS)) > MAX_KEY_CHARACTERS


def _has_long_line(data: bytes) -> bool:
    """Whether a line has ``MAX_KEY_CHARACTERS`` bytes or more, as one with such a key must."""
    return len(data) > MAX_KEY_CHARACTERS and (
        _LONG_LINE.search(data) is not None or data.find(b"\n", 0, MAX_KEY_CHARACTERS) < 0
    )


def _needs_care(data: bytes) -> bool:
    """Whether something in these bytes looks like a string that must be quoted."""
    return (
        _ZERO.search(data) is not None
        or _EQUALS.search(data) is not None
        or _BASE_60.search(data) is not None
        or (not data.isascii() and any(raw in data for raw, _ in _BREAK_BYTES))
    )


def _careful(body: Body) -> bytes:
    """Write with every ambiguous string double-quoted."""
    data: bytes = yamlrocks.dumps(body, option=_OPTIONS, represent=_quote_ambiguous)
    for raw, escape in _BREAK_BYTES:
        data = data.replace(raw, escape)
    return data


def _quote_ambiguous(value: object) -> yamlrocks.YAMLRocksScalar | None:
    """Choose the style of one key or value; None leaves it to yamlrocks."""
    if isinstance(value, str) and _AMBIGUOUS.fullmatch(value):
        return yamlrocks.YAMLRocksScalar(value, style="double")
    return None


def _longest_key(value: object) -> str:
    """Return the first key that is too long once written, or an empty string."""
    if isinstance(value, dict):
        for key, child in value.items():
            if too_long(key):
                return str(key)
            if found := _longest_key(child):
                return found
    elif isinstance(value, list):
        for child in value:
            if found := _longest_key(child):
                return found
    return ""


def _unwritable(body: Body, problem: str) -> ManifestError:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return ManifestError(
        f"{body.get('kind', 'object')}/{name or '?'}".encode("utf-8", "replace").decode(),
        0,
        f"cannot be written as YAML: {problem}",
        hint="change the object in the cluster; no YAML file can hold it",
    )
