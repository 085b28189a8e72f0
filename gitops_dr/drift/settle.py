"""Puts Git's manifest beside the cluster's object, without what is not Git's to say. Pure.

What remains different, by meaning, is what Git and the cluster disagree about.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from gitops_dr.drift.compare import differ, says_nothing
from gitops_dr.drift.items import by_name
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.rows import Fold, ObjectRow, object_rows
from gitops_dr.manifests.fieldpath import FieldPath, Wildcard
from gitops_dr.manifests.quantity import amount
from gitops_dr.model import Body, Ref
from gitops_dr.rules.clean import rules_for

IsAutoscaled = Callable[[Ref], bool]
"""Whether an autoscaler targets the object in the cluster."""


def settled(
    ref: Ref,
    git: Body,
    seen: Body,
    meaning: Meaning = LITERALLY,
    *,
    is_autoscaled: IsAutoscaled = lambda _ref: False,
) -> Body:
    """A copy of Git's manifest as the rows over objects read it, beside what was seen live.

    ``seen`` is the live object without what rules take out; it is not changed. ``is_autoscaled`` is
    asked only where the answer matters.
    """
    body: Body = _copied(git)
    for row in object_rows():
        if not row.applies_to(ref.group, ref.kind):
            continue
        if row.cleaned:
            # They tell of writes to some cluster, and rules would take them for this object's.
            body["metadata"].pop("managedFields", None)
            rules_for(ref.group, ref.kind).clean(body)
        if row.fold:
            _fold(body, row.fold)
        _fill_in(body, seen, row, meaning)
        _take_in(body, seen, row, meaning)
        for path in row.autoscaled:
            for ours, theirs, key in _holders(body, seen, path, meaning):
                if differ(ours.get(key), theirs.get(key)) and is_autoscaled(ref):
                    ours.pop(key, None)
                    ours.update({key: theirs[key]} if key in theirs else {})
    return body


def _copied(value: Any) -> Any:
    """A copy of decoded JSON, several times as fast as one of anything."""
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _fill_in(body: Body, seen: Body, row: ObjectRow, meaning: Meaning) -> None:
    for path in row.filled_in:
        field = meaning.at(path)
        for ours, theirs, key in _holders(body, seen, path, meaning):
            says_so = key in ours and ours[key] not in row.placeholders
            if key in theirs and (not says_so or says_nothing(ours[key], field)):
                ours[key] = theirs[key]


def _fold(body: Body, fold: Fold) -> None:
    written = body.get(fold.source)
    if not isinstance(written, dict):
        return
    encoded = {
        key: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
        for key, value in written.items()
        if isinstance(value, str)
    }
    held = body.get(fold.into)
    body[fold.into] = {**(held if isinstance(held, dict) else {}), **encoded}
    del body[fold.source]


def _take_in(body: Body, seen: Body, row: ObjectRow, meaning: Meaning) -> None:
    """What Git said once and the cluster has gone on from."""
    for path in row.spent:
        for ours, theirs, key in _holders(body, seen, path, meaning):
            if key not in theirs:
                ours.pop(key, None)
    for path in row.grown:
        for ours, theirs, key in _holders(body, seen, path, meaning):
            less, more = amount(ours.get(key)), amount(theirs.get(key))
            if less is not None and more is not None and less < more:
                ours[key] = theirs[key]


def _holders(
    body: Any, seen: Any, path: FieldPath, meaning: Meaning
) -> Iterator[tuple[Body, Body, str]]:
    """The maps on both sides that hold the field, as far as both have them, and its key."""
    *parents, last = path
    pairs = [(body, seen, meaning)]
    for step in parents:
        if isinstance(step, Wildcard):
            pairs = [found for pair in pairs for found in _matched(*pair)]
        else:
            pairs = [
                (ours[step], theirs[step], field.field(str(step)))
                for ours, theirs, field in pairs
                if isinstance(ours, dict)
                and isinstance(theirs, dict)
                and step in ours
                and step in theirs
            ]
    for ours, theirs, _ in pairs:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield ours, theirs, str(last)


def _matched(ours: Any, theirs: Any, meaning: Meaning) -> Iterator[tuple[Any, Any, Meaning]]:
    if not (isinstance(ours, list) and isinstance(theirs, list)):
        return
    named = by_name(meaning, ours, theirs)
    if named is not None:
        of_ours, of_theirs = named
        for name in of_ours.keys() & of_theirs.keys():
            yield of_ours[name], of_theirs[name], meaning.item()
