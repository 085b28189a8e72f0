"""Edits of files that people have laid out: nothing but what changes is touched."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from gitops_dr.errors import ManifestError
from gitops_dr.manifests import edit
from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse

Change = Callable[[dict[str, Any]], object]

HEAD = "apiVersion: v1\nkind: C\nmetadata: {name: x}\n"


def changed(text: str | bytes, change: Change) -> edit.Edited:
    """The text after the change, which is known to say what was wanted."""
    data = text.encode() if isinstance(text, str) else text
    wanted = copy.deepcopy(parse(data, "file"))
    change(wanted)
    result = edited(data, wanted, "file")
    assert canonical(parse(result.data, "file")) == canonical(wanted)
    return result


def spec(before: str, change: Change) -> str:
    """What becomes of the lines below ``spec:``."""
    result = changed(f"{HEAD}spec:\n{before}", lambda body: change(body["spec"]))
    assert result.note == ""
    text = result.data.decode()
    head = f"{HEAD}spec:\n" if text.startswith(f"{HEAD}spec:\n") else HEAD
    assert text.startswith(head)
    return text.removeprefix(head)


def put(**values: Any) -> Change:
    return lambda node: node.update(values)


def drop(*keys: str) -> Change:
    return lambda node: [node.pop(key) for key in keys]


def within(key: Any, change: Change) -> Change:
    return lambda node: change(node[key])


def all_of(*changes: Change) -> Change:
    return lambda node: [change(node) for change in changes]


SCALARS = {
    "a number": ("  a: 1  # one\n", put(a=2), "  a: 2  # one\n"),
    "blanks around it": ("  a:   1\n  b :  2 \n", put(a=3, b=4), "  a:   3\n  b :  4 \n"),
    "single quotes stay": ("  a: 'x'\n", put(a="it's"), "  a: 'it''s'\n"),
    "double quotes stay": ('  a: "x"\n', put(a='say "y"'), '  a: "say \\"y\\""\n'),
    "no quotes where none are due": ('  a: "8080"\n', put(a=9090), "  a: 9090\n"),
    "a word that readers disagree on": ("  a: no-way\n", put(a="no"), '  a: "no"\n'),
    "digits that are text": ("  a: x\n", put(a="08"), '  a: "08"\n'),
    "a number with an exponent": ("  a: x\n", put(a="1e3"), '  a: "1e3"\n'),
    "the type of YAML 1.1": ("  a: x\n", put(a="="), '  a: "="\n'),
    "single quotes cannot hold it": ("  a: 'x'\n", put(a="a\nb"), '  a: "a\\nb"\n'),
    "control characters": ("  a: 'x'\n", put(a="\x1b[1m"), '  a: "\\u001b[1m"\n'),
    "a null of nothing": ("  a:\n  b: 1\n", put(a="x"), "  a: x\n  b: 1\n"),
    "a null with a comment": ("  a: # why\n  b: 1\n", put(a="x"), "  a: x # why\n  b: 1\n"),
    "a null at the end": ("  a:", put(a=1), "  a: 1"),
    "to null": ("  a: x # why\n", put(a=None), "  a: null # why\n"),
    "a value below its key": ("  a:\n    'x'  # w\n", put(a="y"), "  a:\n    'y'  # w\n"),
    "several lines, bare": ("  a: x\n    y\n    z\n  b: 1\n", put(a="x"), "  a: x\n  b: 1\n"),
    "several lines, quoted": ('  a: "x\n    y"  # w\n', put(a="z"), '  a: "z"  # w\n'),
    "a value below its key, to text": (
        "  a:\n    'x'  # w\n  b: 1\n",
        put(a={"c": 1}),
        "  a:\n    c: 1\n  b: 1\n",
    ),
    "a tag": ("  a: !!str 12\n", put(a=13), "  a: 13\n"),
    "an explicit key": ("  ? a\n  : x\n  b: 1\n", put(a="z"), "  ? a\n  : z\n  b: 1\n"),
    "a key in quotes": ('  "a/b": x\n', lambda s: s.update({"a/b": "z"}), '  "a/b": z\n'),
    "no line break at the end": ("  a: 1", put(a=2), "  a: 2"),
    "text in place of a line": ("  a: x # w\n", put(a="y\nz\n"), "  a: | # w\n    y\n    z\n"),
    "text at the very end": ("  a: x", put(a="z\n"), "  a: |\n    z\n"),
    "a line of over 1000 characters": (
        f"  a: {'x ' * 999}y\n  b: 1\n",
        put(b=2),
        f"  a: {'x ' * 999}y\n  b: 2\n",
    ),
}

BLOCKS = {
    "literal": (
        "  a: |\n    x\n    y\n  b: 1\n",
        put(a="x\nz\n"),
        "  a: |\n    x\n    z\n  b: 1\n",
    ),
    "its indentation": ("  a: |\n     x\n  b: 1\n", put(a="z\n"), "  a: |\n     z\n  b: 1\n"),
    "its comment": ("  a: |-  # w\n    x\n", put(a="z\n"), "  a: |  # w\n    z\n"),
    "no line break at its end": ("  a: |\n    x\n", put(a="z"), "  a: |-\n    z\n"),
    "several at its end": (
        "  a: |\n    x\n\n  b: 1\n",
        put(a="z\n\n"),
        '  a: "z\\n\\n"\n\n  b: 1\n',
    ),
    "all kept": ("  a: |+\n    x\n\n  b: 1\n", put(a="z\n\n\n"), "  a: |+\n    z\n\n\n  b: 1\n"),
    "all kept, to one": ("  a: |+\n    x\n\n\n  b: 1\n", put(a="z\n"), "  a: |\n    z\n  b: 1\n"),
    "to a number": ("  a: |  # w\n    x\n    y\n\n  b: 1\n", put(a=1), "  a: 1  # w\n\n  b: 1\n"),
    "a first line that is indented": ("  a: |\n    x\n", put(a=" z\ny\n"), '  a: " z\\ny\\n"\n'),
    "# is no comment in it": (
        "  a: |\n    # x\n\n    # y\n  # a comment\n  b: 1\n",
        all_of(put(a="# x\n\n# z\n", b=2)),
        "  a: |\n    # x\n\n    # z\n  # a comment\n  b: 2\n",
    ),
    "what no block can hold": ("  a: |\n    x\n", put(a="z\x1b\ny\n"), '  a: "z\\u001b\\ny\\n"\n'),
    "folded": (
        "  a: >-\n    The quick brown fox\n    jumps.\n\n    It sleeps.\n  b: 1\n",
        put(a="The quick red fox jumps.\nIt sleeps."),
        "  a: >-\n    The quick red fox\n    jumps.\n\n    It sleeps.\n  b: 1\n",
    ),
    "not to be folded": (
        "  a: >\n    x\n",
        put(a="x\n  y\nz\n"),
        "  a: |\n    x\n      y\n    z\n",
    ),
    "folded, several breaks": ("  a: >\n    x\n", put(a="x\n\ny\n"), "  a: >\n    x\n\n\n    y\n"),
    "an untouched one, oddly laid out": (
        "  a: >2+\n    x\n     y\n\n\n  b: 1\n",
        put(b=2),
        "  a: >2+\n    x\n     y\n\n\n  b: 2\n",
    ),
}

MAPPINGS = {
    "a key at the end": ("  b: 1\n  a: 2\n", put(c=3), "  b: 1\n  a: 2\n  c: 3\n"),
    "a key where the order says": ("  a: 1\n  c: 3\n", put(b=2), "  a: 1\n  b: 2\n  c: 3\n"),
    "a key at the start": (
        "  # b's\n  b: 1\n  c: 3\n",
        put(a=2),
        "  a: 2\n  # b's\n  b: 1\n  c: 3\n",
    ),
    "indented as its siblings": (
        "     b: 1\n",
        put(c={"d": 1}),
        "     b: 1\n     c:\n          d: 1\n",
    ),
    "indented as the file": (
        "    b:\n        a: 1\n",
        put(c={"d": [1]}),
        "    b:\n        a: 1\n    c:\n        d:\n        - 1\n",
    ),
    "lists indented as the file": ("  b:\n    - 1\n", put(c=[2]), "  b:\n    - 1\n  c:\n    - 2\n"),
    "behind a comment": ("  b: 1 # w\n", put(c=3), "  b: 1 # w\n  c: 3\n"),
    "behind a comment that is further in": (
        "  b:\n    d: 1\n    # e: 2\n# not ours\n",
        put(c=3),
        "  b:\n    d: 1\n    # e: 2\n  c: 3\n# not ours\n",
    ),
    "behind a block of text": ("  b: |\n    x\n\n", put(c=3), "  b: |\n    x\n  c: 3\n\n"),
    "behind one that keeps its end": ("  b: |+\n    x\n\n", put(c=3), "  b: |+\n    x\n\n  c: 3\n"),
    "behind the last line": ("  b: 1", put(c=3), "  b: 1\n  c: 3\n"),
    "quoted as its siblings": ("  b: 'x'\n", put(c="y"), "  b: 'x'\n  c: 'y'\n"),
    "a key to be quoted": ("  b: 1\n", lambda s: s.update({"on": 2}), '  b: 1\n  "on": 2\n'),
    "text": ("  b: 'x'\n", put(c="y\nz\n"), "  b: 'x'\n  c: |\n    y\n    z\n"),
    "into an empty one": ("  b: {}  # w\n", within("b", put(c=3)), "  b:  # w\n    c: 3\n"),
    "two deep ends at once": (
        "  b:\n    d:\n      e: 1\n",
        all_of(put(z=1), within("b", put(f=2)), lambda s: s["b"]["d"].update(g=3)),
        "  b:\n    d:\n      e: 1\n      g: 3\n    f: 2\n  z: 1\n",
    ),
    "a key goes": ("  a: 1\n  b: 2\n  c: 3\n", drop("b"), "  a: 1\n  c: 3\n"),
    "with its comments": (
        "  a: 1\n\n  # not b's\n\n  # b's\n  # own\n  b: 2  # w\n    # also\n  # c's\n  c: 3\n",
        drop("b"),
        "  a: 1\n\n  # not b's\n\n  # c's\n  c: 3\n",
    ),
    "with all below it": (
        "  a: 1\n  b:\n  - x: |\n      y\n\n  c: 3\n",
        drop("b"),
        "  a: 1\n\n  c: 3\n",
    ),
    "the last line": ("  a: 1\n  b: 2", drop("b"), "  a: 1"),
    "the last key of all": ("  b:\n    # d's\n    d: 1\n", within("b", drop("d")), "  b: {}\n"),
    "the key itself": ("  a: 1\n  b:\n    d: 1\n", drop("b"), "  a: 1\n"),
    "all keys, and others": ("  b:  # w\n    d: 1\n", put(b={"e": 2}), "  b:  # w\n    e: 2\n"),
    "to text": ("  b:  # w\n    d: 1\n  c: 1\n", put(b="x"), "  b: x  # w\n  c: 1\n"),
    "from text": ("  b: x  # w\n  c: 1\n", put(b={"d": 1}), "  b:  # w\n    d: 1\n  c: 1\n"),
    "to a list": ("  b:\n    d: 1\n", put(b=[1, {"x": 2}]), "  b:\n  - 1\n  - x: 2\n"),
    "a removal and an addition in one place": (
        "  a: 1\n  b:\n    d: 1\n    e: 2\n  c: 1\n",
        all_of(within("b", drop("e")), within("b", put(f=1)), drop("c"), put(z=1)),
        "  a: 1\n  b:\n    d: 1\n    f: 1\n  z: 1\n",
    ),
}


def item(**values: Any) -> dict[str, Any]:
    return values


def insert(index: int, value: Any) -> Change:
    return lambda node: node.insert(index, value)


def pop(*indexes: int) -> Change:
    return lambda node: [node.pop(index) for index in sorted(indexes, reverse=True)]


ITEMS = """\
  l:
  # first a
  - name: a  # w
    v: 1

  # then b
  # of course
  - v: 2
    name: b
    # trailing
  # the end
"""

LISTS = {
    "one item": (ITEMS, within("l", within(0, put(v=9))), ITEMS.replace("v: 1", "v: 9")),
    "an item at the end, as its siblings": (
        ITEMS,
        within("l", insert(2, item(name="c", v=3, w=4))),
        ITEMS.replace("    # trailing\n", "    # trailing\n  - v: 3\n    name: c\n    w: 4\n"),
    ),
    "an item at the start": (
        ITEMS,
        within("l", insert(0, item(name="c", v=3))),
        ITEMS.replace("  l:\n", "  l:\n  - name: c\n    v: 3\n"),
    ),
    "an item between": (
        ITEMS,
        within("l", insert(1, item(name="c", v=[{"x": 1}]))),
        ITEMS.replace("    v: 1\n", "    v: 1\n  - name: c\n    v:\n    - x: 1\n"),
    ),
    "an item goes, with its comments": (
        ITEMS,
        within("l", pop(1)),
        "  l:\n  # first a\n  - name: a  # w\n    v: 1\n\n  # the end\n",
    ),
    "the first goes": (ITEMS, within("l", pop(0)), "  l:\n\n" + ITEMS[ITEMS.index("  # then") :]),
    "all go": ("  l:  # w\n  - a\n  - b\n  c: 1\n", put(l=[]), "  l: []  # w\n  c: 1\n"),
    "an item and others instead": (
        ITEMS,
        put(l=[item(name="z"), item(name="b", v=2)]),
        "  l:\n  - name: z\n\n" + ITEMS[ITEMS.index("  # then") :],
    ),
    "the first key of an item": (
        "  l:\n  - name: a  # w\n    # v's\n    v: 1\n    w: 2\n",
        within("l", within(0, drop("name"))),
        "  l:\n  - # v's\n    v: 1\n    w: 2\n",
    ),
    "the first keys of an item": (
        "  l:\n  - a: 1\n    # b's\n    b:\n      c: 2\n    d: 3\n",
        within("l", within(0, drop("a", "b"))),
        "  l:\n  - d: 3\n",
    ),
    "a key before the first of an item": (
        "  l:\n  - b: 1\n    c: 2\n",
        within("l", within(0, all_of(put(a={"x": 1}), drop("b")))),
        "  l:\n  - a:\n      x: 1\n    c: 2\n",
    ),
    "words": (
        "  l:\n    - sh  # w\n    # run it\n    - '-c'\n    - x\n",
        put(l=["sh", "-e", "z", "yes"]),
        "  l:\n    - sh  # w\n    # run it\n    - '-e'\n    - z\n    - \"yes\"\n",
    ),
    "wide dashes": (
        "  l:\n  -   a: 1\n      b: 2\n",
        within("l", all_of(insert(1, item(a=2, b={"c": 3})), within(0, put(z=1)))),
        "  l:\n  -   a: 1\n      b: 2\n      z: 1\n  -   a: 2\n      b:\n        c: 3\n",
    ),
    "an item of nothing": ("  l:\n  -\n  - 1\n", put(l=["x", 1]), "  l:\n  - x\n  - 1\n"),
    "an item below its dash": (
        "  l:\n  -\n    a: 1\n    b: 2\n",
        within("l", within(0, drop("a"))),
        "  l:\n  -\n    b: 2\n",
    ),
    "an item changes its kind": (
        "  l:\n  - a: 1\n    b: 2\n  - x  # w\n  - z\n",
        put(l=["v", item(c=1, d=2), "z"]),
        "  l:\n  - v\n  - c: 1  # w\n    d: 2\n  - z\n",
    ),
    "lists in a list": (
        "  l:\n  - - a\n    - b  # w\n  - - c\n",
        put(l=[["z", "b"], ["c", "d"], ["e"]]),
        "  l:\n  - - z\n    - b  # w\n  - - c\n    - d\n  -\n    - e\n",
    ),
    "the first of a list in a list": (
        "  l:\n  - - a\n    # b's\n    - b\n",
        within("l", within(0, pop(0))),
        "  l:\n  - # b's\n    - b\n",
    ),
    "text in a list": (
        "  l:\n  - |\n    x\n  - w\n",
        put(l=["x\nz\n", "w", "a\nb\n"]),
        "  l:\n  - |\n    x\n    z\n  - w\n  - |\n    a\n    b\n",
    ),
    "items known by a port": (
        "  l:\n  - port: 80\n    x: 1  # w\n  - port: 443\n    x: 2\n",
        put(l=[item(port=443, x=3)]),
        "  l:\n  - port: 443\n    x: 3\n",
    ),
    "items that nothing tells apart": (
        "  l:\n  - {a: 1}\n  - {a: 1}\n  - {a: 2}\n",
        put(l=[{"a": 1}, {"a": 2}, {"a": 3}]),
        "  l:\n  - {a: 1}\n  - {a: 2}\n  - {a: 3}\n",
    ),
    "another order": (
        "  l:\n  - name: a  # w\n  - name: b  # w\n  - name: c  # w\n",
        put(l=[item(name="b"), item(name="c"), item(name="a")]),
        "  l:\n  - name: b  # w\n  - name: c  # w\n  - name: a\n",
    ),
    "lists without dashes further in, and a key behind": (
        "  l:\n  - a\n  # k's\n  k: 1\n",
        all_of(within("l", insert(1, "b")), drop("k")),
        "  l:\n  - a\n  - b\n",
    ),
}

FLOWS = {
    "a value": ("  a: {b: 1, c: x} # w\n", within("a", put(b=2)), "  a: {b: 2, c: x} # w\n"),
    "a value to be quoted": ("  a: {b: x}\n", within("a", put(b="y, z")), '  a: {b: "y, z"}\n'),
    "a value in quotes": ("  a: {b: 'x'}\n", within("a", put(b="y")), "  a: {b: 'y'}\n"),
    "text": ("  a: {b: x}\n", within("a", put(b="y\nz\n")), '  a: {b: "y\\nz\\n"}\n'),
    "nothing": ("  a: {b: , c: 1}\n", within("a", put(b=2)), "  a: {b: 2 , c: 1}\n"),
    "a key more": ("  a: {c: 1, b: 2}\n", within("a", put(d="e")), "  a: {c: 1, b: 2, d: e}\n"),
    "a key in its order": (
        "  a: {b: 1, d: 2}\n",
        within("a", put(c=3)),
        "  a: {b: 1, c: 3, d: 2}\n",
    ),
    "a key at the start": (
        "  a: {b: 1, d: 2}\n",
        within("a", put(a=3)),
        "  a: {a: 3, b: 1, d: 2}\n",
    ),
    "a key less": ("  a: {b: 1, c: 2, d: 3}\n", within("a", drop("c")), "  a: {b: 1, d: 3}\n"),
    "the first key": ("  a: {b: 1, c: 2, d: 3}\n", within("a", drop("b", "c")), "  a: {d: 3}\n"),
    "the last keys": ("  a: {b: 1, c: 2, d: 3}\n", within("a", drop("c", "d")), "  a: {b: 1}\n"),
    "a comma at the end": ("  a: {b: 1, c: 2,}\n", within("a", drop("c")), "  a: {b: 1,}\n"),
    "more behind a comma": ("  a: {b: 1,}\n", within("a", put(c=2)), "  a: {b: 1, c: 2,}\n"),
    "all keys": ("  a: {b: 1} # w\n", put(a={}), "  a: {} # w\n"),
    "into an empty one within": (
        "  a: {b: {}}\n",
        within("a", put(b={"c": [1]})),
        "  a: {b: {c: [1]}}\n",
    ),
    "another key for the last": (
        "  a: {b: 1, c: 2}\n",
        within("a", all_of(drop("c"), put(d=3))),
        "  a: {b: 1, d: 3}\n",
    ),
    "a list": ("  a: [1, 'x', 3]\n", put(a=[1, "y", 3, 4]), "  a: [1, 'y', 3, 4]\n"),
    "a list, less": ("  a: [1, 2, 3, 4]\n", put(a=[2, 4]), "  a: [2, 4]\n"),
    "a list in quotes": (
        '  a: ["sh", "-c"]\n',
        put(a=["sh", "-e", "-c"]),
        '  a: ["sh", "-e", "-c"]\n',
    ),
    "all of a list": ("  a: [1]\n", put(a=[]), "  a: []\n"),
    "into an empty list": ("  a: []  # w\n", put(a=[1]), "  a:  # w\n  - 1\n"),
    "braces to text": ("  a: {b: 1} # w\n", put(a="x"), "  a: x # w\n"),
    "over several lines": (
        "  a: {\n    b: 1, # one\n    c: 2, # two\n    d: 3 # three\n    }\n",
        within("a", all_of(drop("c"), put(b=9))),
        "  a: {\n    b: 9, # one\n    d: 3 # three\n    }\n",
    ),
    "more lines": (
        "  a: {\n    b: 1, # one\n    d: 3 # three\n    }\n",
        within("a", put(c=2, e=4)),
        "  a: {\n    b: 1, # one\n    c: 2,\n    d: 3, # three\n    e: 4\n    }\n",
    ),
    "the last line of several": (
        "  a: [\n    b, # one\n    # c's\n    c\n    ]\n",
        put(a=["b"]),
        "  a: [\n    b # one\n    # c's\n    ]\n",
    ),
    "several lines with a comma at the end": (
        "  a: [\n    b, # one\n    ]\n",
        put(a=["b", "c"]),
        "  a: [\n    b, # one\n    c,\n    ]\n",
    ),
    "the start of several lines": (
        "  a: [\n    b, c,\n    d\n    ]\n",
        put(a=["z", "b", "d"]),
        "  a: [\n    z,\n    b,\n    d\n    ]\n",
    ),
}

ALL = {"scalar": SCALARS, "text": BLOCKS, "mapping": MAPPINGS, "list": LISTS, "flow": FLOWS}
CASES = [
    pytest.param(*case, id=f"{kind}: {name}")
    for kind, cases in ALL.items()
    for name, case in cases.items()
]


@pytest.mark.parametrize(("before", "change", "after"), CASES)
def test_only_what_changes_is_touched(before, change, after):
    assert spec(before, change) == after


@pytest.mark.parametrize(("before", "change", "after"), CASES)
def test_line_breaks_and_byte_order_marks_stay(before, change, after):
    # Two bytes for each line break, and a mark before the first: as editors on Windows write.
    text = f"\ufeff# top\n---\n{HEAD}spec:\n{before}".replace("\n", "\r\n")
    result = changed(text, lambda body: change(body["spec"]))
    assert result.note == ""
    written = f"\ufeff# top\n---\n{HEAD}spec:\n{after}"
    assert result.data.decode() == written.replace("\n", "\r\n")


@pytest.mark.parametrize(("before", "change", "after"), CASES)
def test_what_is_not_edited_keeps_its_bytes(before, change, after):
    text = f"{HEAD}spec:\n{before}"
    assert changed(text, lambda _body: None).data == text.encode()


# -- anchors, aliases, merges ------------------------------------------------------------------

ANCHORS = """\
apiVersion: v1
kind: C
metadata:
  name: x
  labels: &labels  # the same everywhere
    app: web
    tier: front
spec:
  selector: *labels
  merged:
    <<: *labels
    # of its own
    extra: "1"
  port: &port 80
  ports: [*port, 81]
"""


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (
            # All places say the same: what they share is changed.
            lambda b: [
                each.update(tier="back")
                for each in (b["metadata"]["labels"], b["spec"]["selector"], b["spec"]["merged"])
            ],
            "tier: front",
            "tier: back",
        ),
        (
            lambda b: b["spec"].update(port=90, ports=[90, 81]),
            "&port 80",
            "&port 90",
        ),
        (lambda b: b["spec"].update(ports=[80]), "[*port, 81]", "[*port]"),
        (lambda b: b["spec"].update(ports=[82, 81]), "[*port, 81]", "[82, 81]"),
        (
            lambda b: b["spec"].update(port=90),
            "&port 80\n  ports: [*port, 81]",
            "&port 90\n  ports: [80, 81]",
        ),
        (
            lambda b: b["spec"]["selector"].update(tier="back"),
            "selector: *labels\n",
            "selector:\n    app: web\n    tier: back\n",
        ),
        (
            lambda b: b["spec"]["merged"].update(tier="back"),
            '    extra: "1"\n',
            '    extra: "1"\n    tier: "back"\n',
        ),
        (
            lambda b: b["spec"]["merged"].pop("tier"),
            '    <<: *labels\n    # of its own\n    extra: "1"\n',
            '    app: web\n    extra: "1"\n',
        ),
        (
            lambda b: all_of(put(extra="2", more="3"), drop("tier"))(b["spec"]["merged"]),
            '    <<: *labels\n    # of its own\n    extra: "1"\n',
            '    app: web\n    extra: "2"\n    more: "3"\n',
        ),
        (
            lambda b: b["spec"]["merged"].pop("extra"),
            '    <<: *labels\n    # of its own\n    extra: "1"\n',
            "    <<: *labels\n",
        ),
        (
            lambda b: b["spec"].update(port={"a": 1}, ports=[{"a": 1}, 81]),
            "&port 80\n",
            "&port\n    a: 1\n",
        ),
        (lambda b: b["spec"].pop("selector"), "  selector: *labels\n", ""),
    ],
)
def test_anchors_stay_while_they_can(change, before, after):
    result = changed(ANCHORS, change)
    assert result.note == ""
    assert before in ANCHORS
    assert result.data.decode() == ANCHORS.replace(before, after)


def test_a_mapping_that_must_be_written_anew_is_so_as_a_whole():
    text = f"{HEAD}a: &a {{x: 1, y z: 2}}\nb: &b 3\nc:\n  d: *b\n  <<: *a\n# end\n"
    result = changed(text, within("c", all_of(put(d=4), drop("x"))))
    assert result.note == ""
    assert result.data.decode() == text.replace("d: *b\n  <<: *a", "d: 4\n  y z: 2")


def test_tabs_stay_where_yaml_allows_them():
    text = f"{HEAD}a:\t1\t# w\n\t\nb: 1 \t\nl:\n-\tx\nc: |\n  x\n\n\n\t# end\n"
    result = changed(text, put(a=2, b=2, c="x\nz\n", l=["x", "z"]))
    assert result.note == ""
    assert result.data.decode() == (
        f"{HEAD}a:\t2\t# w\n\t\nb: 2 \t\nl:\n-\tx\n- z\nc: |\n  x\n  z\n\n\n\t# end\n"
    )
    text = f'{HEAD}"a\tb": 1\t# w\nb: 1\n'
    assert changed(text, put(b=2)).note == "written anew, without its comments: a key with a tab"


def test_an_anchor_within_braces():
    text = "apiVersion: v1\nkind: C\nmetadata: {name: x}\ns: {a: &a x, b: *a, c: &c }\n"
    result = changed(text, lambda b: b["s"].update(a="y, z", b="y, z", c=1))
    assert result.data.decode() == text.replace("&a x", '&a "y, z"').replace("&c ", "&c 1 ")


# -- what cannot be edited in place --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "change"),
    [
        # What others refer to is gone.
        (ANCHORS, lambda b: b["metadata"].pop("labels")),
        # Rare ways of writing.
        (f"{HEAD}s: [a: 1]\nt: 1 # w\n", put(t=2)),
        (f"{HEAD}s: {{a, b: 1}}\nt: 1 # w\n", put(t=2)),
    ],
)
def test_what_cannot_be_edited_is_written_anew_and_said(text, change):
    result = changed(text, change)
    assert result.note.startswith("written anew, without its comments: ")
    assert "\n" not in result.note
    assert result.data == canonical(parse(result.data, "file"))


def test_what_would_say_something_else_is_never_returned(monkeypatch):
    # Whatever an edit does to the text, the result is read again.
    monkeypatch.setattr(edit.Splice, "result", lambda splice: splice.text.replace("1", "3"))
    result = changed(f"{HEAD}t: 1 # w\n", put(t=2))
    assert result.note
    assert b"t: 2\n" in result.data


def test_a_file_in_canonical_form_stays_in_it():
    body = parse(f"{HEAD}s: {{b: [1], a: x}}\n".encode(), "file")
    result = changed(canonical(body), put(t={"a": "yes"}))
    assert result == edit.Edited(canonical(parse(result.data, "file")))


def test_values_in_it_get_no_quotes_for_what_was_there():
    body = parse(f'{HEAD}s: "yes"\n'.encode(), "file")
    assert changed(canonical(body), put(s="word")).data.endswith(b"\ns: word\n")


def test_the_comments_at_the_top_belong_to_the_file():
    text = f"# Ours.\naggregationRule: {{}}\n{HEAD}t: 1 # w\n"
    assert changed(text, drop("aggregationRule")).data.decode() == f"# Ours.\n{HEAD}t: 1 # w\n"
    text = f"# Ours.\n{HEAD}t: 1 # w\n"
    result = changed(text, put(aggregationRule={"a": 1}))
    assert result.data.decode() == f"# Ours.\naggregationRule:\n  a: 1\n{HEAD}t: 1 # w\n"
    assert changed(text.removeprefix("# Ours.\n"), put(a=1)).data.decode() == (
        f"a: 1\n{HEAD}t: 1 # w\n"
    )


def test_json_stays_json():
    body = parse(
        f"{HEAD}s: {{b: [1, 2, 3], a: x, c: {{}}, e: [], l: [{{name: a}}]}}\n".encode(), "f"
    )
    for indent in (None, 2, 4):
        result = changed(
            json.dumps(body, indent=indent),
            within(
                "s",
                all_of(
                    put(a="z, y", b=[2, 3, "word"], c={"yes": "no"}, e=["on"], n="a\nb", f=None),
                    within("l", insert(1, item(name="b", v=[True]))),
                ),
            ),
        )
        assert result.note == ""
        assert json.loads(result.data) == parse(result.data, "f")
        assert len(result.data.split(b"\n")) >= len(json.dumps(body, indent=indent).split("\n"))


def test_a_file_that_is_no_manifest_is_an_error():
    with pytest.raises(ManifestError):
        edited(b"a: [", {"apiVersion": "v1", "kind": "C", "metadata": {"name": "x"}}, "file")


def test_documents_around_it_stay():
    text = f"# top\n---\n# nothing\n---\n{HEAD}t: 1\n...\n# end\n"
    assert changed(text, put(t=2)).data.decode() == text.replace("t: 1", "t: 2")


def test_true_is_not_one():
    text = f"{HEAD}a: 1 # w\nb: 1.5\nc: true # w\n"
    result = changed(text, put(a=True, b=2, c=1))
    assert result.data.decode() == f"{HEAD}a: true # w\nb: 2\nc: 1 # w\n"


def test_the_fields_of_a_deployment():
    """A file as people keep it: most of what can be in one."""
    result = changed(DEPLOYMENT, _upgrade)
    assert result.note == ""
    before, after = DEPLOYMENT.splitlines(), result.data.decode().splitlines()
    assert [line for line in before if line not in after] == [
        "    replicas: 2  # two are enough",
        '                  image: "nginx:1.27"  # pinned',
        "                    - {name: LEVEL, value: info}",
        "                # the log shipper",
        "                - image: ship:1",
        "                  name: ship",
    ]
    assert [line for line in after if line not in before] == [
        "    replicas: 5  # two are enough",
        '                  image: "nginx:1.28"  # pinned',
        "                    - {name: LEVEL, value: debug}",
        '                    - {name: VERSION, value: "08"}',
        "            nodeSelector:",
        "                disk: ssd",
    ]


DEPLOYMENT = """\
# The shop's front end. Ask the web team.
---
apiVersion: apps/v1
kind: Deployment
metadata:
    name: 'web'
    namespace: shop

    annotations: {note: "a, b"}   # flow
spec:
    replicas: 2  # two are enough

    selector:
        matchLabels: &labels
            app: web
    template:
        metadata:
            labels: *labels
        spec:
            containers:
                # the main one
                - name: web
                  image: "nginx:1.27"  # pinned
                  command:
                    - sh
                    - -c
                    # start
                    - |
                      # warm up
                      exec nginx
                  env:
                    - {name: LEVEL, value: info}
                # the log shipper
                - image: ship:1
                  name: ship
            # the end
"""


def _upgrade(body: dict[str, Any]) -> None:
    body["spec"]["replicas"] = 5
    pod = body["spec"]["template"]["spec"]
    del pod["containers"][1]
    pod["nodeSelector"] = {"disk": "ssd"}
    web = pod["containers"][0]
    web["image"] = "nginx:1.28"
    web["env"][0]["value"] = "debug"
    web["env"].append({"name": "VERSION", "value": "08"})
