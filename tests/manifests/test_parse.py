"""Reading manifests: as kubectl would, or an error that names path and line; nothing else."""

import tarfile
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from corpus import corpus
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_dr.errors import ExitCode, ManifestError
from gitops_dr.manifests import parse as parsing
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.limits import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES
from gitops_dr.manifests.parse import (
    parse,
    parse_again,
    parse_canonical,
    parse_carefully,
    parse_document,
    parse_documents,
)
from gitops_dr.manifests.scalars import as_json

PATH = "namespaces/shop/configmaps/a.yaml"
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
BODY: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}

REFUSED = {
    # Syntax, and what YAML allows but no two readers read alike.
    "open quote": (HEAD + "data:\n  k: 'open\n", 6, "unterminated"),
    "tab": (HEAD + "data:\n\tk: v\n", 6, "tab"),
    "colon": (HEAD + "data:\n  k: a: b\n", 6, "mapping key"),
    "open flow": (HEAD + "data: {k: [1,\n", 6, "unclosed"),
    "unknown alias": (HEAD + "data: *x\n", 5, "unknown alias"),
    "alias to itself": (HEAD + "data: &x\n  k: *x\n", 6, "unknown alias"),
    "content after ---": ("--- " + HEAD, 1, "---"),
    "duplicate key": (HEAD + "data:\n  k: a\n  j: b\n  k: c\n", 8, "duplicate mapping key: k"),
    "duplicate at the top": (HEAD + "kind: Secret\n", 5, "duplicate mapping key: kind"),
    "same key in quotes": (HEAD + "data:\n  k: a\n  'k': b\n", 7, "duplicate mapping key: k"),
    "merged key twice": (
        HEAD + "x: &x {k: 1}\ndata:\n  k: a\n  <<: *x\n",
        7,
        "<< brings the key 'k' a second time",
    ),
    "two merges": (HEAD + "a: &a {k: 1}\nd:\n  <<: *a\n  <<: *a\n", 7, "<< a second time"),
    "merge of a string": (HEAD + "data:\n  <<: x\n", 6, ""),
    "tag of another type": (HEAD + "data:\n  k: !!binary YQ==\n", 6, "the tag !!binary"),
    "tag that runs code": (
        HEAD + "data: !!python/object/apply:os.system [reboot]\n",
        5,
        "the tag !!python",
    ),
    "tag of their own": (HEAD + "data:\n  j: 1\n  k: !env X\n", 7, "the tag !env"),
    "number as key": (HEAD + "data:\n  j: 1\n  80: x\n", 7, "the key 80, which is a number"),
    "null as key": (HEAD + "data:\n  null: x\n", 6, "the key null, which is null"),
    "boolean as key": (HEAD + "data:\n  true: x\n", 6, "the key true, which is a boolean"),
    "YAML 1.1 boolean as key": (HEAD + "on: x\n", 5, "the key on, which is a boolean"),
    "octal as key": (HEAD + "data:\n  08: x\n", 6, "the key 08, which is a number"),
    "very long key": (HEAD + f"data:\n  {'k' * 1001}: x\n", 6, "has 1001 characters"),
    "list as key": (HEAD + "data:\n  ? [a]\n  : x\n", 6, "complex mapping key"),
    "mapping as key": (HEAD + "data:\n  {a: b}: x\n", 6, "complex mapping key"),
    "infinity": (HEAD + "data:\n  k: .inf\n", 6, "a number that JSON does not have"),
    "minus infinity": (HEAD + "data:\n- -.INF\n", 6, "a number that JSON does not have"),
    "not a number": (HEAD + "data:\n  k: .nan\n", 6, "a number that JSON does not have"),
    "beyond doubles": (HEAD + "data:\n  k: 1e999\n", 6, "a number that JSON does not have"),
    "65 bits": (HEAD + "data:\n  k: 18446744073709551616\n", 6, "more than 64 bits"),
    "a thousand bits": (HEAD + f"data:\n  k: 0x{'f' * 400}\n", 6, "more than 64 bits"),
    "directive": ("%YAML 1.1\n--- {a: 1}\n", 1, "%YAML"),
    "YAML 1.1 line break": (HEAD + "data:\n  k: a\u2028b\n", 6, "U+2028"),
    "next line": (HEAD + 'data:\n  k: "a\x85b"\n', 6, "U+0085"),
    # Templates.
    "template in a value": (HEAD + "data: {{ .Values.data }}\n", 5, ""),
    "template line": ("{{- if .Values.on }}\n" + HEAD + "{{- end }}\n", 1, ""),
    # Not one object with an identity.
    "empty": ("", 1, "no manifest in it"),
    "only a comment": ("# nothing\n---\n# here\n", 1, "no manifest in it"),
    "two documents": (HEAD + "---\n" + HEAD, 6, "a second manifest; the file has 2"),
    "two documents, dots": (HEAD + "...\n" + HEAD, 6, "a second document"),
    "list": ("- a\n", 1, "not a mapping but a list"),
    "string": ("\n\nhello\n", 3, "not a mapping but a string"),
    "number": ("3\n", 1, "not a mapping but a number"),
    "List": ("apiVersion: v1\nkind: List\nitems: []\n", 2, "a List"),
    "typed list": (
        "apiVersion: v1\nkind: ConfigMapList\nmetadata: {name: a}\nitems:\n- {}\n",
        2,
        "a ConfigMapList",
    ),
    "no apiVersion": ("kind: ConfigMap\nmetadata:\n  name: a\n", 1, "no apiVersion"),
    "empty apiVersion": (HEAD.replace("v1", "''"), 1, "apiVersion is no string"),
    "no kind": ("apiVersion: v1\nmetadata:\n  name: a\n", 1, "no kind"),
    "kind is a number": (HEAD.replace("ConfigMap", "3"), 2, "kind is no string"),
    "no metadata": ("apiVersion: v1\nkind: ConfigMap\n", 1, "no metadata"),
    "empty metadata": ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n", 3, "no metadata"),
    "a name without a value": (HEAD.replace(": a", ":"), 4, "metadata.name is no string"),
    "a quoted name without one": (HEAD.replace("name: a", "'name':"), 4, "name is no string"),
    "another name before it": (
        HEAD.replace("name: a", "x:\n    name: b\n  name:\n  z: c"),
        6,
        "metadata.name is no string",
    ),
    # The value stands further down than what is wrong, or there is none.
    "tag without a value": (HEAD + "data:\n  k: !foo\n  l: x\n", 6, "the tag !foo"),
    "tag without a value at the end": (HEAD + "data:\n  l: é€\n  k: !foo\n", 7, "the tag !foo"),
    "tag of an item without a value": (HEAD + "data:\n- !foo\n- b\n", 6, "the tag !foo"),
    "tag before its value": (HEAD + "data: !foo\n  k: v\n", 5, "the tag !foo"),
    "key before its value": (HEAD + "data:\n  1:\n    k: v\n", 6, "the key 1, which is a number"),
    "key before a comment": (HEAD + "data:\n  1: # 1: one\n    # 1\n    k: v\n", 6, "the key 1"),
    "key without a value": (HEAD + "data:\n  1:\n  k: v\n", 6, "the key 1, which is a number"),
    "key that is true": (HEAD + "data:\n  a: b\n  True:\n    - x\n", 7, "which is a boolean"),
    "key of many characters": (HEAD + f"data:\n  ? {'k' * 2000}\n  : v\n", 6, "2000 characters"),
    "no name": (HEAD.replace("name:", "namespace:"), 4, "no metadata.name"),
    "generateName": (HEAD.replace("name:", "generateName:"), 4, "no metadata.name"),
    "name is a number": (HEAD.replace(": a", ": 8"), 4, "metadata.name is no string"),
    "name is YAML 1.1's true": (HEAD.replace(": a", ": y"), 4, "metadata.name is no string"),
    "empty name": (HEAD.replace(": a", ": ''"), 4, "metadata.name is no string"),
    "namespace is a number": (HEAD + "  namespace: 7\n", 5, "metadata.namespace is no string"),
    "labels are a list": (HEAD + "  labels:\n  - a\n", 6, "metadata.labels is a list"),
    "label is a number": (
        HEAD + "  labels:\n    a: b\n    v: 1.0\n",
        7,
        'metadata.labels["v"] is a number, not a string',
    ),
    "annotation is octal": (
        HEAD + "  annotations:\n    mode: 0755\n",
        6,
        'metadata.annotations["mode"] is a number, not a string',
    ),
    "annotation is a boolean": (
        HEAD + "  annotations:\n    a: x\n    b: on\n",
        7,
        'metadata.annotations["b"] is a boolean, not a string',
    ),
}


@pytest.mark.parametrize(("text", "line", "problem"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_path_line_and_problem(text: str, line: int, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text.encode(), PATH)
    assert caught.value.message.startswith(f"{PATH}:{line}: ")
    assert (caught.value.path, caught.value.line) == (PATH, line)
    assert problem in caught.value.problem
    assert "\n" not in caught.value.message
    assert caught.value.exit_code is ExitCode.REPOSITORY


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (HEAD + "data: {{ .Values.data }}\n", "rendered first"),
        (HEAD + "on: x\n", "put quotes around it"),
        (HEAD + "data: !x y\n", "without a tag"),
        (HEAD.replace("name:", "generateName:"), "generateName gives another name each time"),
        (HEAD + "  labels: {a: 1}\n", "put quotes around it"),
        (HEAD + "data:\n  k: a\u2028b\n", '"\\u2028"'),
        (HEAD + "---\n" + HEAD, "one object in a file"),
    ],
)
def test_refusals_say_what_to_do(text: str, hint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text.encode(), PATH)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("data", "line", "problem"),
    [
        (HEAD.encode("utf-16"), 1, "UTF-16"),
        (HEAD.encode("utf-16-be"), 1, "null byte"),
        (b"# a\n" + HEAD.encode("utf-16-le"), 2, "null byte"),
        (HEAD.encode() + b"data:\n  k: \xe9\n", 6, "not UTF-8: byte 0xe9"),
        (HEAD.encode() + b'data:\n  k: "\xed\xa0\x80"\n', 6, "not UTF-8"),
    ],
)
def test_other_encodings_are_refused(data: bytes, line: int, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(data, PATH)
    assert caught.value.line == line
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        HEAD.replace("\n", "\r\n"),
        HEAD.replace("\n", "\r\n") + "---\r\n",
        "\ufeff" + HEAD,
        "# licence\n---\n" + HEAD,
        "--- # first\n" + HEAD + "---\n",
        "---   \n\n---\n" + HEAD + "...\n---\n# end\n",
        HEAD.removesuffix("\n"),
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}',
        "apiVersion: !!str v1\nkind: ConfigMap\nmetadata: !!map {name: !!str a}\n",
        "? kind\n: ConfigMap\n'apiVersion': 'v1'\n\"metadata\": {? name : a}\n",
        "metadata: {name: &n a}\nkind: ConfigMap\napiVersion: v1\n",
    ],
)
def test_the_same_object_in_many_spellings(text: str) -> None:
    assert parse(text.encode(), PATH) == BODY
    assert parse_documents(text.encode(), PATH) == [BODY]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", True),
        ("0755", 493),
        ("08", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("3.0", 3),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
        ("'yes'", "yes"),
        ('"0755"', "0755"),
        ("!!str yes", "yes"),
        ("!!str 0755", "0755"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("|-\n  yes", "yes"),
        ('"a\\u2028b"', "a\u2028b"),
        ("&a yes", True),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_values_are_what_kubectl_sends(written: str, value: Any) -> None:
    body = parse_document(f"v: {written}\nl:\n- 0x1\n".encode(), PATH)
    assert body == {"v": value, "l": [1]}
    assert type(body["v"]) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1))
@example(3.0)
@example(1e17)
@example(-0.0)
@example(2.0**62)
def test_whole_floats_become_integers_however_they_are_written(number: float) -> None:
    data = canonical({"n": number, "items": [number]})
    read = parse_document(data, PATH)
    assert read["n"] == number
    assert type(read["n"]) is type(read["items"][0]) is type(as_json(number))


def test_aliases_are_copies() -> None:
    body = parse_document(b"a: &x {k: [1]}\nb: *x\nc: {<<: *x}\n", PATH)
    body["b"]["k"].append(2)
    assert body == {"a": {"k": [1]}, "b": {"k": [1, 2]}, "c": {"k": [1]}}


def test_an_anchor_keeps_what_kubectl_reads_in_it() -> None:
    assert parse_document(b"a: &x 0755\nb: *x\n", PATH) == {"a": 493, "b": 493}


def test_merges_as_kubectl_makes_them() -> None:
    text = b"p: &p {a: 1, b: 1}\nq: &q {b: 2, c: 2}\nm:\n  <<: [*p, *q]\n  c: 3\n"
    assert parse_document(text, PATH)["m"] == {"a": 1, "b": 1, "c": 3}


def test_documents_are_split_where_kubectl_splits_them() -> None:
    script = HEAD + "data:\n  s: |\n    a\n    ---\n    b\n"
    text = f"# first\n---\n{script}--- # next\n\n---\n{HEAD}---\t\r\n{HEAD}"
    with_data = BODY | {"data": {"s": "a\n---\nb\n"}}
    assert parse_documents(text.encode(), PATH) == [with_data, BODY, BODY]


@pytest.mark.parametrize(
    "separator", ["---\n", "--- # c\n", "---\r\n", "---\n# c\n---\n", "---#\n"]
)
def test_lines_are_counted_from_the_start_of_the_file(separator: str) -> None:
    text = HEAD + separator + HEAD + separator + HEAD + "data:\n  k: !x y\n"
    with pytest.raises(ManifestError) as caught:
        parse_documents(text.encode(), PATH)
    assert caught.value.line == text.count("\n")
    with pytest.raises(ManifestError) as caught:
        parse_documents((HEAD + separator + HEAD + separator + "kind: X\n").encode(), PATH)
    assert caught.value.line == 9 + 2 * separator.count("\n")


def test_no_documents_are_an_empty_list() -> None:
    assert parse_documents(b"", PATH) == []
    assert parse_documents(b"# only words\n---\n", PATH) == []


def test_a_document_needs_no_identity() -> None:
    assert parse_document(b"format: 1\n", PATH) == {"format": 1}
    assert parse_document(b"# by hand\nformat: 1\ngaps:\n  []\n", PATH) == {"format": 1, "gaps": []}
    with pytest.raises(ManifestError, match=r"a\.yaml:1: no document in it"):
        parse_document(b"", PATH)
    with pytest.raises(ManifestError, match=r"a\.yaml:1: not a mapping but a list"):
        parse_document(b"- format: 1\n", PATH)
    with pytest.raises(ManifestError, match=r"a\.yaml:3: a second document"):
        parse_document(b"format: 1\n---\nformat: 1\n", PATH)
    with pytest.raises(ManifestError, match=r"a\.yaml:2: duplicate"):
        parse_document(b"format: 1\nformat: 1\n", PATH)


# --- the quick way ---------------------------------------------------------------------------


class _CarefulReadingError(Exception):
    pass


@pytest.fixture
def only_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise _CarefulReadingError

    monkeypatch.setattr(parsing, "read_documents", refuse)


@pytest.mark.usefixtures("only_quick")
def test_canonical_bytes_are_read_the_quick_way() -> None:
    body = BODY | {"data": {"mode": "0755", "08": "yes", "z": "a\u2028b", "n": [1.5, -3, None]}}
    assert parse(canonical(body), PATH) == body
    assert parse_canonical(canonical(body)) == parse_again(canonical(body)) == body
    assert parse_document(canonical({"format": 1}), PATH) == {"format": 1}


def test_canonical_bytes_mean_the_same_to_the_careful_reader() -> None:
    body = BODY | {"data": {"mode": "0755", "08": "yes", "z": "ab", "n": [1.5, -3, None]}}
    assert parse_carefully(canonical(body), PATH) == parse_canonical(canonical(body)) == body


@pytest.mark.usefixtures("only_quick")
@pytest.mark.parametrize(
    "text",
    [
        "# comment\n" + HEAD,
        "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\n",
        HEAD + "v: 0755\n",
        HEAD + "v: yes\n",
        HEAD + "v: 3.0\n",
        HEAD + "v: .nan\n",
        HEAD + "v: 18446744073709551616\n",
        "1: x\n" + HEAD,
        "null: x\n" + HEAD,
        HEAD + "x: &x\n- 1\n",
        HEAD + "---\n" + HEAD,
        "",
    ],
)
def test_nothing_else_is_read_the_quick_way(text: str) -> None:
    with pytest.raises(_CarefulReadingError):
        parse(text.encode(), PATH)
    assert parse_canonical(text.encode()) is None


# --- limits ----------------------------------------------------------------------------------


def _nested(depth: int) -> str:
    return "".join(f"{' ' * level}k:\n" for level in range(depth))


def test_nesting_has_a_limit() -> None:
    assert parse_document(_nested(MAX_DEPTH - 1).encode(), PATH)
    with pytest.raises(ManifestError, match=f"nested deeper than {MAX_DEPTH}"):
        parse_document(_nested(MAX_DEPTH + 2).encode(), PATH)
    half = MAX_DEPTH // 2 + 2
    text = f"a: &x {'[' * half}{']' * half}\nb: {'[' * half}*x{']' * half}\n"
    with pytest.raises(ManifestError, match="nested deeper"):
        parse_document(text.encode(), PATH)


HOSTILE = {
    "too large": "k: " + "x" * MAX_BYTES,
    "very deep": "k: " + "[" * 100_000 + "]" * 100_000,
    "never closed": "k: " + "{" * 100_000,
    "many dashes": "- " * 100_000 + "a\n",
    "many aliases": "a: &a 1\nb: [" + "*a, " * (MAX_ALIASES + 1) + "]\n",
    "long string, many aliases": "a: &a "
    + "x" * 200_000
    + "\nb: ["
    + "*a, " * (MAX_ALIASES - 1)
    + "]\n",
    "long key, many aliases": "a: &a {"
    + "x" * 900
    + ": 1}\nb: ["
    + "*a, " * (MAX_ALIASES - 1)
    + "]\n",
    "long string, nested aliases": f"a0: &a0 {'x' * 20_000}\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "aliases right after a colon": f'a0: {{"k":&a0 {"x" * 20_000}}}\n'
    + "".join(f"a{i}: {{'k':&a{i} [{f"{{'k':*a{i - 1}}}, " * 9}]}}\n" for i in range(1, 7)),
    "many laughs": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "long list, many aliases": "a: &a [" + "0, " * 200_000 + "]\nb: [" + "*a, " * 9000 + "]\n",
    "many merges": "a: &a {"
    + ", ".join(f"k{i}: 1" for i in range(1000))
    + "}\nb:\n"
    + "- {<<: *a}\n" * 1000,
    "aliases hidden behind merges": "x0: &x0 {a: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n"
    + "".join(
        f"x{i}: &x{i}\n  <<: *x{i - 1}\n  k{i}: [{', '.join([f'*x{i - 1}'] * 9)}]\n"
        for i in range(1, 12)
    ),
    "many values in one line": "k: {" + ", ".join(f"k{i}: 1" for i in range(60_000)) + "}\n",
    "many values": "k:\n" + " - a\n" * (MAX_NODES + 1),
    "many documents": "---\nk: 1\n" * (MAX_DOCUMENTS + 2),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_cost_an_error_and_not_the_machine(text: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError) as caught:
            parse_document(text.encode(), PATH)
        assert tracemalloc.get_traced_memory()[1] < 500 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.path == PATH
    assert len(caught.value.message) < 300


# --- anything at all -------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        *HEAD.splitlines(keepends=True),
        *(text for text, _, _ in REFUSED.values() if len(text) < 300),
        *(
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "%TAG ! tag:x,2:\n",
            "<<: ",
            "*a",
            "&a ",
            "!!str ",
            "!x ",
        ),
        *("? ", ": ", "- ", "{", "}", "[", "]", ",", "'", '"', "|\n", ">-\n", "|2+\n", "#", " "),
        *("0o17", "08", "0x", ".inf", "1e400", "9" * 30, "9" * 5000, "~", "null", "yes", "a"),
        *("\ufeff", "\u2028", "\x85", "\x00", "\r", "\r\n", "\n", "\t", "é", "😀", "\\", "\\ud800"),
    ]
)
FILES = st.lists(FRAGMENTS, max_size=14).map(lambda parts: "".join(parts).encode())


def _outcome(read: Callable[[bytes, str], Any], data: bytes, path: str) -> Any:
    """What was read, or the refusal; any other exception fails the test."""
    try:
        return read(data, path)
    except ManifestError as error:
        return error


@given(FILES | st.binary(max_size=60))
def test_nothing_but_a_manifest_error_ever_comes_out(data: bytes) -> None:
    for read in (parse, parse_document, parse_documents):
        outcome = _outcome(read, data, PATH)
        if isinstance(outcome, ManifestError):
            # A carriage return by itself ends a line, too.
            assert 1 <= outcome.line <= data.count(b"\n") + data.count(b"\r") + 1
            assert outcome.message.startswith(f"{PATH}:{outcome.line}: ")
        else:
            for body in outcome if isinstance(outcome, list) else [outcome]:
                assert parse_document(canonical(body), PATH) == body


# Encodings, directives and tags that happen to say nothing else than the manifest does.
READABLE = {"constructor-error", "crlf", "other-ComposerError"}


def test_malformed_files_of_real_projects() -> None:
    seen = 0
    with tarfile.open(corpus() / "malformed.tar.gz") as archive:
        for member in archive:
            if not member.isfile():
                continue
            seen += 1
            extracted = archive.extractfile(member)
            assert extracted is not None
            data = extracted.read()
            outcome = _outcome(parse, data, member.name)
            if isinstance(outcome, ManifestError):
                assert outcome.path == member.name
                assert 1 <= outcome.line <= data.count(b"\n") + 1
            else:
                assert READABLE & set(member.name.split("/")), member.name
                assert parse(canonical(outcome), member.name) == outcome
    assert seen == 158
