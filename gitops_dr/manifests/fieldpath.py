"""Field paths as people write them: read, written, followed, and compiled to deletions. Pure.

``spec.containers[name=web].env[0].value``, ``metadata.labels["app.kubernetes.io/name"]``,
``spec.ports[containerPort=80,protocol=TCP]``, ``spec.containers[*].resources``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
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
    return isinstance(item, dict) and all(
        _text(item.get(key, _ABSENT)) == value
        for key, value in zip(selector[::2], selector[1::2], strict=True)
    )


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
    keys = [step for step in path if isinstance(step, str)]
    if len(keys) == len(path):
        return _drop_key(tuple(keys))
    return _drop_through(path)


def _drop_key(keys: tuple[str, ...]) -> Drop:
    """Take the fast way, for paths of keys alone."""
    *parents, last = keys
    if parents and parents[-1] in _PRUNED:
        return _drop_pruning(tuple(parents[:-1]), parents[-1], last)

    def drop(body: Body) -> None:
        node: Any = body
        for key in parents:
            node = node.get(key)
            if type(node) is not dict:
                return
        node.pop(last, None)

    return drop


def _drop_pruning(parents: tuple[str, ...], holder: str, last: str) -> Drop:
    def drop(body: Body) -> None:
        node: Any = body
        for key in parents:
            node = node.get(key)
            if type(node) is not dict:
                return
        held = node.get(holder)
        if type(held) is dict and held.pop(last, _ABSENT) is not _ABSENT and not held:
            del node[holder]

    return drop


def _drop_through(path: FieldPath) -> Drop:
    """Take the general way: find the lists on the path, and go on in each item."""
    index = next(i for i, step in enumerate(path) if not isinstance(step, str))
    before, step, rest = path[:index], path[index], path[index + 1 :]
    drop_rest: Callable[[Any], None] | None = compile_drop(rest) if rest else None
    inner = dict if rest and isinstance(rest[0], str) else list

    def drop(body: Body) -> None:
        items = get(body, before)
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
