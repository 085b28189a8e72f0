"""Which of the differences a person means, by name. Pure.

Only what is named is meant, and a name that is that of no difference is an error: whoever names an
object expects that something happens to it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.manifests.fieldpath import FieldPath, format_fieldpath, parse_fieldpath
from gitops_dr.model import Difference, Presence, Ref, State
from gitops_dr.planning.selection import WHOLE, Selection

_NAMESPACE = ("", "Namespace")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person names; nothing named means all that differs."""

    selection: Selection = WHOLE
    """Objects and namespaces."""
    fields: tuple[FieldPath, ...] = ()
    """Only these fields, and what is below them, of the one object that is named."""


ALL = Choice()


def chosen(
    found: Sequence[Difference],
    choice: Choice,
    *,
    hidden: Collection[Ref] = (),
    desired: State,
    observed: State,
) -> tuple[Difference, ...]:
    """The differences of ``found`` that are meant, with the fields that are meant, in their order.

    ``hidden``: objects whose difference an ignore rule hides. Raises ``UsageError``, with a near
    match, for a name that is that of no difference, and ``RefusedError`` for what is not in Git by
    a rule or policy.
    """
    selection = choice.selection
    differing = {difference.ref: difference for difference in found}
    known = dict.fromkeys((*differing, *desired.entries, *observed.entries))
    for ref in sorted(selection.refs - differing.keys()):
        raise _not_differing(ref, known, hidden, observed)
    for namespace in sorted(selection.namespaces):
        _check_namespace(namespace, known)
    meant = [d for d in found if not selection or selection.names(d.ref, {})]
    return tuple(_with_fields(meant, choice) if choice.fields else meant)


def _not_differing(
    ref: Ref, known: Mapping[Ref, None], hidden: Collection[Ref], observed: State
) -> UsageError | RefusedError:
    if ref in hidden:
        return UsageError(f"{ref}: an ignore rule hides how it differs", hint="see gitops-dr.yaml")
    if ref in known:
        return UsageError(f"{ref}: does not differ from Git")
    # An omission of all of a kind only says that the rule exists.
    reason = next((o.reason for o in observed.omissions if o.ref == ref), None)
    if reason is not None or ref in observed.unlisted:
        return RefusedError(f"{ref}: is left out of Git", hint=reason or "by a rule")
    return UsageError(
        f"{ref}: neither in Git nor in the cluster",
        hint=_near(str(ref), map(str, known)) or "name it as drift does",
    )


def _check_namespace(namespace: str, known: Iterable[Ref]) -> None:
    names = {ref.name if ref.group_kind == _NAMESPACE else ref.namespace for ref in known}
    if namespace not in names - {""}:
        raise UsageError(
            f"namespace {namespace}: neither in Git nor in the cluster",
            hint=_near(namespace, names),
        )


def _with_fields(meant: Sequence[Difference], choice: Choice) -> list[Difference]:
    if len(choice.selection.refs) != 1 or choice.selection.namespaces:
        raise UsageError("--field: of which object?", hint="name one object with it")
    (difference,) = meant
    if difference.presence is not Presence.MODIFIED:
        raise UsageError(
            f"{difference.ref}: is {difference.presence}, so it differs as a whole",
            hint="leave --field out",
        )
    paths = [parse_fieldpath(change.path) for change in difference.changes]
    for wanted in choice.fields:
        if not any(_is_within(path, wanted) for path in paths):
            text = format_fieldpath(wanted)
            raise UsageError(
                f"{difference.ref}: {text} does not differ",
                hint=_near(text, [change.path for change in difference.changes]),
            )
    changes = zip(difference.changes, paths, strict=True)
    kept = [c for c, path in changes if any(_is_within(path, w) for w in choice.fields)]
    return [replace(difference, changes=tuple(kept))]


def _is_within(path: FieldPath, wanted: FieldPath) -> bool:
    return path[: len(wanted)] == wanted


def _near(word: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {match[0]}?" if match else ""
