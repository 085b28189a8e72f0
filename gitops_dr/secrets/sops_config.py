"""Adds recipients to the text of a ``.sops.yaml``, which belongs to its people. Pure.

``sops``, its editors and we take the first rule whose ``path_regex`` is found in a file's path:
https://getsops.io/docs/#using-sops-yaml-conf-to-select-kms-pgp-and-age-for-new-files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gitops_dr.errors import RefusedError
from gitops_dr.manifests.edit import edited
from gitops_dr.manifests.parse import parse_document
from gitops_dr.secrets.creation_rules import read_creation_rules

FILE: Final = ".sops.yaml"

FORM: Final = {"encrypted_regex": "^(data|stringData)$", "mac_only_encrypted": True}
"""So that ``sops`` encrypts a Secret that a person makes just as we do."""

_ODD: Final = "gitops-dr.no.such.name"
"""A part of a path that no rule is about in particular."""


@dataclass(frozen=True, slots=True)
class Extended:
    """The file's new text."""

    data: bytes
    recipients: tuple[str, ...]
    """All age recipients that files of the cluster have by it."""
    notes: tuple[str, ...] = ()
    """What a person should know of the rules, one line each."""


def extended(text: bytes, prefix: str, recipients: Sequence[str]) -> Extended:
    """Make the rules of a ``.sops.yaml`` give these age recipients to files below ``prefix``.

    A rule that is about this folder alone gets them beside its own. Where only a more general one
    takes the folder in, a new rule is put before that with the recipients of both, so that whoever
    can read today can still read. Comments, order and all other rules stay as they are. Raises
    ``ManifestError`` for what is no such file, ``RefusedError`` where only a person can decide.
    """
    rules = read_creation_rules(text, FILE).rules
    document = parse_document(text, FILE)
    written: list[dict[str, Any]] = document.get("creation_rules") or []
    place = next((i for i, rule in enumerate(rules) if rule.matches(_inside(prefix))), None)
    known = () if place is None else rules[place].age
    wanted = tuple(dict.fromkeys([*known, *recipients]))
    notes: tuple[str, ...] = ()
    if place is None:
        written = [*written, _rule(prefix, wanted)]
    elif not _is_about(written[place].get("path_regex") or "", prefix):
        if others := rules[place].other_keys:
            kinds = ", ".join(others)
            notes = (f"{rules[place].place}: {kinds} cannot open what is encrypted for {prefix}",)
        written = [*written[:place], _rule(prefix, wanted), *written[place:]]
    elif written[place].get("key_groups"):
        raise RefusedError(
            f"{rules[place].place}: is about {prefix} and has key_groups",
            hint="add the recipients to a group of it by hand, and commit",
        )
    elif wanted != known:
        rule = {**written[place], "age": _age(written[place], wanted)}
        written = [*written[:place], rule, *written[place + 1 :]]
    made = edited(text, {**document, "creation_rules": written}, FILE, read=parse_document)
    if made.note:
        raise RefusedError(
            f"{FILE}: cannot be added to without losing its comments ({made.note})",
            hint=f"add a rule for ^{prefix}/ with age: {','.join(wanted)} by hand, and commit",
        )
    return Extended(made.data, wanted, notes)


def _is_about(regex: str, prefix: str) -> bool:
    """Whether a rule can take in files below ``prefix`` only; a careful no is no harm."""
    return regex.startswith(f"^{prefix}/") and "|" not in regex


def _inside(folder: str) -> str:
    """A path of a Secret in a cluster's folder that nothing in particular is said about."""
    return f"{folder}/namespaces/{_ODD}/secrets/{_ODD}.yaml"


def _age(rule: Mapping[str, Any], recipients: Sequence[str]) -> str | list[str]:
    """The recipients as a rule has them: one text, which every ``sops`` reads, or a list."""
    return [*recipients] if isinstance(rule.get("age"), list) else ", ".join(recipients)


def _rule(prefix: str, recipients: Sequence[str]) -> dict[str, Any]:
    return {"path_regex": f"^{prefix}/", "age": ", ".join(recipients), **FORM}
