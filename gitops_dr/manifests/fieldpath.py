"""Field paths as people write them: read, written, followed, and compiled to deletions. Pure.

``spec.containers[name=web].env[0].value``, ``metadata.labels["app.kubernetes.io/name"]``,
``spec.ports[containerPort=80,protocol=TCP]``, ``spec.containers[*].resources``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final

from gitops_dr.model import Body


class Wildcard(Enum):
    """The step ``[*]``: every item of a list."""

    EVERY = "*"


EVERY: Final = Wildcard.EVERY

Step = str | int | tuple[str, ...] | Wildcard
"""A key; an index; a selector ``(key, value)`` of list items, or ``(key, value, key, value, ...)``
where one key does not identify an item; or ``EVERY``. Values are compared as text: 80 is "80"."""

FieldPath = tuple[Step, ...]

Drop = Callable[[Body], None]

_BARE: Final = r"[^\s.\[\]\"=,*\x00-\x1f]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_TERM: Final = rf"(?:[^\s\[\]\"=,\x00-\x1f]+|{_QUOTED})"
_STEP: Final = re.compile(
    rf"(?:^|(?!^)\.)(?P<key>{_BARE})|\[(?:(?P<index>[0-9]+)|(?P<every>\*)|(?P<quoted>{_QUOTED})"
    rf"|(?P<pairs>{_TERM}={_TERM}(?:,{_TERM}={_TERM})*))\]",
    re.ASCII,
)
_PAIR: Final = re.compile(rf"({_TERM})=({_TERM})")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_$/-]+")

_PRUNED: Final = frozenset({"annotations", "labels"})
_ABSENT: Final = object()


def parse_fieldpath(text: str) -> FieldPath:
    """Read a field path.

    Raises ``ValueError`` that says at which character (from 1) it stops being one.
    """
    steps: list[Step] = []
    position = 0
    while position < len(text) or not steps:
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is not a field path: stopped at character {position + 1}")
        try:
            steps.append(_step(match))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is not a field path: {error} after character {position + 1}"
            ) from error
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["key"] is not None:
        return match["key"]
    if match["index"] is not None:
        return int(match["index"])
    if match["every"] is not None:
        return EVERY
    if match["quoted"] is not None:
        return _unquoted(match["quoted"])
    return tuple(_unquoted(term) for pair in _PAIR.findall(match["pairs"]) for term in pair)


def _unquoted(term: str) -> str:
    return str(json.loads(term)) if term.startswith('"') else term


def format_fieldpath(path: FieldPath) -> str:
    """Write a field path so that :func:`parse_fieldpath` reads it back."""
    return "".join(_format(step, first=index == 0) for index, step in enumerate(path))


def _format(step: Step, *, first: bool) -> str:
    match step:
        case str() if _PLAIN_KEY.fullmatch(step):
            return step if first else f".{step}"
        case str():
            return f"[{json.dumps(step)}]"
        case int():
            return f"[{step}]"
        case Wildcard():
            return "[*]"
        case _:
            pairs = zip(step[::2], step[1::2], strict=True)
            return f"[{','.join(f'{_term(key)}={_term(value)}' for key, value in pairs)}]"


def _term(text: str) -> str:
    return text if _PLAIN_KEY.fullmatch(text) else json.dumps(text)


def may_overlap(one: FieldPath, other: FieldPath) -> bool:
    """Whether one of the two paths may lead to, or into, what the other leads to."""
    return all(_may_be_one(a, b) for a, b in zip(one, other, strict=False))


def _may_be_one(one: Step, other: Step) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple) and one[::2] == other[::2]:
        return one == other
    # Two items of a list, named in different ways.
    return one == other or not (isinstance(one, str) or isinstance(other, str))


def get(body: Any, path: FieldPath, default: Any = None) -> Any:
    """Return the value at ``path``, or ``default`` if there is none.

    A selector takes the first item that matches. Raises ``ValueError`` for a path with ``[*]``.
    """
    node = body
    for step in path:
        node = _child(node, step)
        if node is _ABSENT:
            return default
    return node


def _child(node: Any, step: Step) -> Any:
    if isinstance(step, Wildcard):
        raise ValueError("[*] names many fields, not one")  # noqa: TRY004
    if isinstance(step, str):
        return node.get(step, _ABSENT) if isinstance(node, dict) else _ABSENT
    if not isinstance(node, list):
        return _ABSENT
    if isinstance(step, int):
        return node[step] if step < len(node) else _ABSENT
    return next((item for item in node if _selected(item, step)), _ABSENT)


def _selected(item: Any, selector: tuple[str, ...]) -> bool:
    return isinstance(item, dict) and selected_by(item, selector[::2]) == selector[1::2]


def selected_by(item: Body, keys: Iterable[str]) -> tuple[str | None, ...]:
    """The values by which a selector of these keys finds the list item; None: by none.

    For an index of a long list: :func:`get` looks at one item after the other.
    """
    return tuple(_text(item.get(key, _ABSENT)) for key in keys)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def compile_drop(path: FieldPath) -> Drop:
    """Make a function that deletes the field from a body in place, if it is there.

    A selector or ``[*]`` deletes from every item that matches; as last step it deletes the items.
    What encloses the field stays, even when it becomes empty (``{}`` and ``[]`` mean something to
    Kubernetes), with one exception: ``annotations`` and ``labels`` go when this deletion emptied
    them, because an API server keeps no empty ones. Raises ``ValueError`` for an empty path.
    """
    if not path:
        raise ValueError("an empty field path would delete the object itself")
    keys = _keys(path)
    return _drop_through(path) if keys is None else _drop_keys(keys[:-1], {keys[-1]})


def compile_drops(paths: Iterable[FieldPath]) -> tuple[Drop, ...]:
    """Make what :func:`compile_drop` makes of each path, in fewer functions.

    Fields of one map go all at once. Raises ``ValueError`` for an empty path.
    """
    together: dict[tuple[str, ...], set[str]] = {}
    apart: list[Drop] = []
    for path in paths:
        keys = _keys(path)
        if keys:
            together.setdefault(keys[:-1], set()).add(keys[-1])
        else:
            apart.append(compile_drop(path))
    return (*(_drop_keys(holder, names) for holder, names in together.items()), *apart)


def _keys(path: FieldPath) -> tuple[str, ...] | None:
    """The path, if it is of keys alone."""
    keys = tuple(step for step in path if isinstance(step, str))
    return keys if len(keys) == len(path) else None


def _drop_keys(holder: tuple[str, ...], names: Iterable[str]) -> Drop:
    """Take the fast way, for fields of one map that is reached by keys alone."""
    unwanted = frozenset(names)
    if holder and holder[-1] in _PRUNED:
        return _drop_pruning(holder[:-1], holder[-1], unwanted)

    def drop(body: Body) -> None:
        node: Any = body
        for key in holder:
            node = node.get(key)
            if type(node) is not dict:
                return
        for name in node.keys() & unwanted:
            del node[name]

    return drop


def _drop_pruning(parents: tuple[str, ...], holder: str, unwanted: frozenset[str]) -> Drop:
    def drop(body: Body) -> None:
        node: Any = body
        for key in parents:
            node = node.get(key)
            if type(node) is not dict:
                return
        held = node.get(holder)
        if type(held) is not dict or unwanted.isdisjoint(held):
            return
        for name in held.keys() & unwanted:
            del held[name]
        if not held:
            del node[holder]

    return drop


def _drop_through(path: FieldPath) -> Drop:
    """Take the general way: find the lists on the path, and go on in each item."""
    index = next(i for i, step in enumerate(path) if not isinstance(step, str))
    before, step, rest = path[:index], path[index], path[index + 1 :]
    drop_rest: Callable[[Any], None] | None = compile_drop(rest) if rest else None
    inner = dict if rest and isinstance(rest[0], str) else list

    def drop(body: Body) -> None:
        items: Any = body
        for step_before in before:
            items = items.get(step_before) if type(items) is dict else None
        if type(items) is not list:
            return
        if drop_rest is None:
            items[:] = [item for i, item in enumerate(items) if not _matches(i, item, step)]
            return
        for i, item in enumerate(items):
            if type(item) is inner and _matches(i, item, step):
                drop_rest(item)

    return drop


def _matches(index: int, item: Any, step: Step) -> bool:
    if isinstance(step, tuple):
        return _selected(item, step)
    return step is EVERY or step == index
