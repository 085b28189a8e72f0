"""Random bodies, laid out at random, changed at random: the rest of the text stays."""

import copy
import gzip
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
from corpus import corpus
from hypothesis import given
from hypothesis import strategies as st
from manifests.laid_out import Line, Path, laid_out
from yaml_traps import TRAPS

from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse

TEXT = st.one_of(
    st.sampled_from(["web", "a b", "x: y", "a, b", "it's", "line\nline\n", "l\n\n  m\nn", "{a}"]),
    st.sampled_from(TRAPS).filter(lambda text: "\x00" not in text),
    st.text(max_size=12),
)
SCALARS = st.one_of(TEXT, st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.just(1.5))
KEYS = st.one_of(st.sampled_from(list("abcdefgh")), st.sampled_from(["a/b.c", "on", "x y", "#"]))


def _named(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "name": f"n{index}"} for index, item in enumerate(items)]


def _collections(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    mapping = st.dictionaries(KEYS, inner, max_size=5)
    return st.one_of(
        mapping, mapping, st.lists(mapping, max_size=4).map(_named), st.lists(inner, max_size=4)
    )


SPECS = st.dictionaries(KEYS, st.recursive(SCALARS, _collections, max_leaves=25), max_size=6)


def body_of(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "C", "metadata": {"name": "x"}, "spec": spec}


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with some of it changed, taken away or added."""
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(SCALARS)
    if isinstance(value, dict) and value:
        value = dict(value)
        for key in draw(st.lists(st.sampled_from(sorted(value)), max_size=3, unique=True)):
            if key == "name":
                continue
            if draw(st.booleans()):
                value[key] = draw(changed(value[key]))
            else:
                del value[key]
        return {**value, **(draw(st.dictionaries(KEYS, SCALARS, max_size=2)))}
    if isinstance(value, list) and value:
        value = list(value)
        index = draw(st.integers(0, len(value) - 1))
        if choice < 4:
            value[index] = draw(changed(value[index]))
        elif choice < 7:
            del value[index]
        else:
            new = {"name": "new", "v": draw(SCALARS)} if isinstance(value[0], dict) else "new"
            value.insert(index, new)
        return value
    return draw(SCALARS)


def differing(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[str, Path]]:
    """What was taken away, added, or replaced as a whole."""
    if canonical({"k": old}) == canonical({"k": new}):
        return
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() & new.keys():
        for key in old:
            if key in new:
                yield from differing(old[key], new[key], (*path, key))
            else:
                yield "removed", (*path, key)
        yield from (("added", (*path, key)) for key in new if key not in old)
        return
    if isinstance(old, list) and isinstance(new, list) and _are_named(old) and _are_named(new):
        before = {item["name"]: item for item in old}
        after = {item["name"]: item for item in new}
        if before.keys() & after.keys():
            for name, item in before.items():
                if name in after:
                    yield from differing(item, after[name], (*path, name))
                else:
                    yield "removed", (*path, name)
            yield from (("added", (*path, name)) for name in after if name not in before)
            return
    yield "replaced", path


def _are_named(items: list[Any]) -> bool:
    names = [item.get("name") for item in items if isinstance(item, dict)]
    return len({name for name in names if isinstance(name, str)}) == len(items)


def stays(line: Line, changes: list[tuple[str, Path]]) -> bool:
    for how, path in changes:
        within = line.path[: len(path)] == path
        if line.kind == "comment" and how == "replaced":
            within = within and line.path != path
        around = line.kind == "whole" and path[: len(line.path)] == line.path
        if within or around:
            return False
    return line.kind != "blank"


@given(st.data(), SPECS, st.integers(0, 2**32), st.booleans())
def test_only_what_changes_is_touched(data, spec, seed, windows):
    wanted = body_of(data.draw(changed(copy.deepcopy(spec))))
    check(body_of(spec), wanted, random.Random(seed), windows=windows)


def test_real_manifests_are_edited_where_they_differ():
    with gzip.open(corpus() / "objects.jsonl.gz") as lines:
        bodies = [orjson.loads(line)["object"] for line in islice(lines, 0, None, 15)]
    for seed, body in enumerate(bodies):
        if "name" not in body["metadata"] or len(orjson.dumps(body)) > 20_000:
            continue
        rng = random.Random(seed)
        wanted = copy.deepcopy(body)
        for _ in range(3):
            edit_at_random(wanted, rng)
        check(body, wanted, rng, windows=False)


def edit_at_random(body: dict[str, Any], rng: random.Random) -> None:
    """Change, add or take away one thing somewhere in the body, but not its identity."""
    holders = [
        node
        for key, value in body.items()
        if key not in ("apiVersion", "kind", "metadata")
        for node in _collections_in(value)
        if node
    ]
    if not holders:
        body["new"] = "value"
        return
    node = rng.choice(holders)
    index = rng.randrange(len(node))
    key = index if isinstance(node, list) else sorted(node)[index]
    act = rng.choice(["change", "remove", "add"])
    if act == "remove":
        del node[key]
    elif act == "change":
        node[key] = rng.choice(["changed", "08", "two\nlines\n", 7, None, {"a": ["b"]}])
    elif isinstance(node, list):
        node.insert(index, {"name": "new"} if isinstance(node[0], dict) else "new")
    else:
        node["new"] = {"a": "yes", "b": [{"name": "c"}]}


def _collections_in(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from _collections_in(child)


def check(
    body: dict[str, Any], wanted: dict[str, Any], rng: random.Random, *, windows: bool
) -> None:
    """Lay a body out, edit it, and hold the lines that no change is about against the result."""
    lines = laid_out(body, rng)
    text = "".join(f"{line.text}\n" for line in lines)
    written = (text.replace("\n", "\r\n") if windows else text).encode()
    assert parse(written, "file") == body

    result = edited(written, wanted, "file")

    assert canonical(parse(result.data, "file")) == canonical(wanted)
    assert result.note == ""
    after = result.data.decode()
    assert after.count("\r\n") == (after.count("\n") if windows else 0)
    changes = list(differing(body, wanted))
    remaining = iter(bare(line) for line in after.split("\n"))
    for line in lines:
        if stays(line, changes):
            assert bare(line.text) in remaining, (line, after)


def bare(text: str) -> str:
    """A line without its dash: the first key of an item may go, and the next one moves there."""
    return text.removesuffix("\r").lstrip(" -")
