"""``docs/format.md`` says enough to write the form: this is a second writer, made from its text."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import orjson
from corpus import corpus
from hypothesis import given
from hypothesis import strategies as st
from yaml_traps import TRAPS

from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse_document
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import Ref

LOWER = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
WORDS = {"~", "=", "<<", "..."}.union(LOWER, map(str.capitalize, LOWER), map(str.upper, LOWER))
INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
INTEGER = re.compile(r"(0|[1-9][0-9]*(:[0-5]?[0-9])*|0b[01]+|0[0-7]+|0x[0-9a-fA-F]+)")
FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
BASE_60 = re.compile(r"[-+]{0,2}[0-9]+(:\+?0*[0-5]?[0-9])*:\+?0*[0-5]?[0-9]\.[0-9]*")
COLONS = re.compile(r"\+?(?=[0-9:_]{19})[0-9_]*:[0-9:_]*")
ZERO = re.compile(r"\+?0[0-9_obxOBX][0-9A-Za-z_+-]*")
DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"([ \t]*(Z|[-+][0-9]{1,2}(:?[0-9]{2})?))?"
)
ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
SHORT = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def write(body: Any) -> bytes:
    return "".join(f"{line}\n" for line in _mapping(body, "")).encode()


def _mapping(value: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for key in sorted(value):
        lines += _entry(f"{indent}{_scalar(key)}:", value[key], indent, indent)
    return lines


def _sequence(value: list[Any], indent: str) -> list[str]:
    lines = []
    for item in value:
        if isinstance(item, dict) and item:
            inner = _mapping(item, indent + "  ")
            lines += [f"{indent}- {inner[0].strip(' ')}", *inner[1:]]
        else:
            lines += _entry(f"{indent}-", item, indent, indent + "  ")
    return lines


def _entry(head: str, value: Any, indent: str, items: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [head, *_mapping(value, indent + "  ")]
    if isinstance(value, list) and value:
        return [head, *_sequence(value, items)]
    if isinstance(value, str) and _block(value):
        text, stripped = value.rstrip("\n"), len(value) - len(value.rstrip("\n"))
        mark = "|-" if not stripped else "|" if stripped == 1 and text else "|+"
        lines = value.removesuffix("\n").split("\n") if stripped else value.split("\n")
        return [f"{head} {mark}", *(f"{indent}  {line}" if line else "" for line in lines)]
    return [f"{head} {_scalar(value)}"]


def _scalar(value: Any) -> str:
    if value == {} and isinstance(value, dict):
        return "{}"
    if value == [] and isinstance(value, list):
        return "[]"
    if isinstance(value, str):
        return _quoted(value) if _must_quote(value) else value
    if isinstance(value, float):
        mantissa, e, exponent = repr(value).partition("e")
        return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent
    return json.dumps(value)


def _block(text: str) -> bool:
    return "\n" in text and text.lstrip("\n")[:1] not in {" ", "\t"} and not ODD.search(text)


def _must_quote(text: str) -> bool:
    bare = text.replace("_", "")
    return (
        not text
        or text != text.strip(" \t\n")
        or "\n" in text
        or "\t" in text
        or text[0] in "-?:,[]{}#&*!|>'\"%@`"
        or ": " in text
        or " #" in text
        or text.endswith(":")
        or text.startswith("... ")
        or text in WORDS
        or INFINITY.fullmatch(text) is not None
        or INTEGER.fullmatch(text.removeprefix("+").replace("_", "")) is not None
        or FLOAT.fullmatch(bare) is not None
        or BASE_60.fullmatch(bare) is not None
        or COLONS.fullmatch(text) is not None
        or ZERO.fullmatch(text) is not None
        or DATE.fullmatch(text) is not None
        or ODD.search(text) is not None
    )


def _quoted(text: str) -> str:
    written = "".join(SHORT.get(c) or (_escape(c) if ODD.match(c) else c) for c in text)
    return f'"{written}"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


TEXT = st.one_of(
    st.sampled_from(TRAPS),
    st.text(st.sampled_from("0189.eE+-_:xoabTZ"), max_size=6),
    st.text(st.sampled_from("ab01. \n\t\r'\"\\|>&*!%@{}[],?`=~#:-yN<\x85\u2028\ufeff"), max_size=8),
    st.builds(str.__add__, st.sampled_from(TRAPS), st.text(st.sampled_from("0_:.eZ "), max_size=2)),
    st.text(max_size=10),
).filter(lambda text: len(text) < 900)
BODIES = st.dictionaries(
    TEXT,
    st.recursive(
        TEXT
        | st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        # Of two shortest forms that are equally near, another writer may choose the other one.
        | st.integers(-(10**9), 10**9).map(lambda number: number / 1000)
        | st.sampled_from([1e15, 1e16, 1.5e22, 1e-4, 1e-5, 2.5e-7, 1.5e300, 5e-324, -0.0]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=10,
    ),
    max_size=4,
)


@given(BODIES)
def test_the_second_writer_writes_the_same(body: dict[str, Any]) -> None:
    if body:
        assert write(body) == canonical(body)


def test_and_so_it_does_for_real_objects() -> None:
    with gzip.open(corpus() / "objects.jsonl.gz") as lines:
        for line in lines:
            body = orjson.loads(line)["object"]
            assert write(body) == canonical(body)


def test_the_documents_paths_are_the_real_ones() -> None:
    document = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    rows = re.findall(r"^\|(.*)\| `((?:cluster|namespaces)/.*\.yaml)` \|$", document, re.MULTILINE)
    assert len(rows) == 8
    for cells, path in rows:
        group, resource, namespace, name = (cell.strip(" `") for cell in cells.split("|"))
        assert manifest_path(Ref(group, "Any", namespace, name), resource) == path


def test_the_documents_yaml_is_canonical() -> None:
    document = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        assert canonical(parse_document(block.encode(), "format.md")).decode() == block
