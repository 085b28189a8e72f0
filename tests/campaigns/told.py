"""What a report of drift says of edits, and what it must say. Pure; parses paths and no more.

It shares no code with what compares and attributes: what is to be expected follows from what was
done, from the objects before and after it, and from what Kubernetes documents of field managers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from campaigns.independent import Body, Key, normalised

from gitops_dr.manifests.fieldpath import parse_fieldpath

Author = tuple[str, str, str]
"""Name, operation and subresource of a field manager."""

Where = tuple[Any, ...]
"""Keys, places in lists, and ``(key, value, key, value, ...)`` that tells an item of a list."""

Field = tuple[Where, str]
"""A path of keys and places, in Git's body for ``remove`` and else in the cluster's; and the op."""

MODIFIED, MISSING, UNMANAGED = "modified", "missing", "unmanaged"


@dataclass(frozen=True)
class Edit:
    """One deed."""

    way: str
    key: Key
    deed: str
    """``added``, ``changed``, ``removed``; or of a whole object ``created`` or ``deleted``."""
    where: Where = ()
    author: Author | None = None
    """Of what is there afterwards; of what is not, nobody is known."""


@dataclass
class Told:
    """What a report says, or must say, of one object."""

    state: str
    managers: frozenset[Author] = frozenset()
    fields: dict[Field, frozenset[Author]] = field(default_factory=dict)


def expected(
    edits: Iterable[Edit], git: Mapping[Key, Body], live: Mapping[Key, Body]
) -> dict[Key, Told]:
    """What a report must say, and nothing else.

    Of an object of which nobody owns anything, as it has nothing but a name, the API server notes
    no later writer either: nothing can be known of who that was.
    """
    found: dict[Key, Told] = {}
    for edit in edits:
        noted = edit.deed == "deleted" or live[edit.key]["metadata"].get("managedFields")
        authors = frozenset({edit.author} if edit.author and noted else ())
        if edit.deed == "created":
            found[edit.key] = Told(UNMANAGED, authors)
        elif edit.deed == "deleted":
            found[edit.key] = Told(MISSING)
        else:
            told = found.setdefault(edit.key, Told(MODIFIED))
            at = _field(edit, git[edit.key], normalised(live[edit.key], None))
            told.fields[at] = told.fields.get(at, frozenset()) | authors
    return found


def _field(edit: Edit, git: Body, live: Body) -> Field:
    """Where an edit shows: at the topmost of what came or went with it."""
    after: Where | None = ()
    for depth in range(1, len(edit.where) + 1):
        before, after = (locate(body, edit.where[:depth]) for body in (git, live))
        if before is None:
            assert after is not None, edit
            return after, "add"
        if after is None:
            return before, "remove"
    assert edit.deed == "changed", edit
    assert after is not None, edit
    return after, "replace"


def reported(document: Any, git: Mapping[Key, Body], live: Mapping[Key, Body]) -> dict[Key, Told]:
    """What the JSON of ``drift`` says. Raises ``AssertionError`` for a path that leads nowhere."""
    found: dict[Key, Told] = {}
    for each in document["differences"]:
        ref = each["ref"]
        key = ref["group"], ref["kind"], ref["namespace"], ref["name"]
        told = found[key] = Told(each["state"], _authors(each["managers"]))
        for change in each["fields"]:
            body = (git if change["op"] == "remove" else live)[key]
            at = locate(body, parse_fieldpath(change["path"]))
            assert at is not None, (key, change["path"])
            assert (at, change["op"]) not in told.fields, (key, change["path"])
            told.fields[at, change["op"]] = _authors(change["managers"])
    return found


def _authors(managers: Any) -> frozenset[Author]:
    return frozenset((m["manager"], m["operation"], m["subresource"]) for m in managers)


def unlike(want: Mapping[Key, Told], told: Mapping[Key, Told]) -> list[str]:
    """Each object of which something else is told than must be, with both."""
    return [
        f"{'/'.join(key)}: must be {want.get(key)}, is {told.get(key)}"
        for key in sorted(want.keys() | told.keys())
        if want.get(key) != told.get(key)
    ]


def locate(body: Any, where: Where) -> Where | None:
    """Where a path leads, as keys and places; None if to nothing, or to one item as to another."""
    found: list[str | int] = []
    for step in where:
        at = step
        if isinstance(step, tuple):
            asked = dict(zip(step[::2], step[1::2], strict=True))
            places = [place for place, item in enumerate(body or ()) if _has(item, asked)]
            if len(places) != 1:
                return None
            at = places[0]
        try:
            body = body[at]
        except (KeyError, IndexError, TypeError):
            return None
        found.append(at)
    return tuple(found)


def _has(item: Any, asked: Mapping[str, str]) -> bool:
    return isinstance(item, dict) and all(
        (item[key] if isinstance(item[key], str) else json.dumps(item[key])) == value
        if key in item
        else False
        for key, value in asked.items()
    )


def at(body: Any, path: Where) -> Any:
    """The value that a path of keys and places leads to; None if to nothing."""
    for step in path:
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            return None
    return body
