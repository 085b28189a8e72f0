"""Takes out of changes what an API server fills in by itself, or does not keep. Pure.

The rows of ``defaults.yaml`` say what that is for Kubernetes' own kinds; the schemas of custom
resources say it themselves, and ``meaning.yaml`` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from gitops_dr.drift.defaults import Defaults
from gitops_dr.drift.meaning import Meaning
from gitops_dr.drift.undo import undone
from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath, parse_fieldpath
from gitops_dr.model import Body, FieldChange


def without_defaults(
    changes: Sequence[FieldChange], git: Body, seen: Body, meaning: Meaning, defaults: Defaults
) -> Iterator[FieldChange]:
    """Those changes that no default explains; of what was added as a whole, perhaps only a part.

    ``changes`` lead from ``git``, Git's manifest, to ``seen``, the cluster's, by ``meaning``.
    """

    @cache
    def whole() -> Body:
        # Some defaults follow from other fields: what counts is what Git says of these.
        return undone(seen, [change for change in changes if change.op != "add"], git, meaning)

    for change in changes:
        path = parse_fieldpath(change.path)
        if change.op == "add":
            for at, value in _left(whole, path, change.new, defaults):
                yield change if at == path else FieldChange(format_fieldpath(at), "add", new=value)
        elif change.op != "remove" or not defaults.omits(path, change.old):
            yield change


def _left(
    whole: Callable[[], Body], path: FieldPath, value: Any, defaults: Defaults
) -> Iterator[tuple[FieldPath, Any]]:
    """The parts of a value that no default explains: most often none of it, or all of it."""
    if defaults.knows(path) and defaults.fills_in(whole(), path, value):
        return
    if isinstance(value, dict) and value and defaults.makes(path):
        for key, child in value.items():
            yield from _left(whole, (*path, key), child, defaults)
    elif not _is_filled_list(whole, path, value, defaults):
        yield path, value


def _is_filled_list(
    whole: Callable[[], Body], path: FieldPath, value: Any, defaults: Defaults
) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and defaults.knows((*path, 0))
        and all(defaults.fills_in(whole(), (*path, i), item) for i, item in enumerate(value))
    )
