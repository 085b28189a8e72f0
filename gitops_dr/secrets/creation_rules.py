"""Reads ``.sops.yaml``: to whom the files of a repository are encrypted. Pure.

The first rule whose ``path_regex`` is found in a file's path counts; one without takes every file.
https://getsops.io/docs/#using-sops-yaml-conf-to-select-kms-pgp-and-age-for-new-files
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gitops_dr.errors import ManifestError, RefusedError
from gitops_dr.manifests.parse import parse_document
from gitops_dr.model import Body
from gitops_dr.secrets.patterns import pattern
from gitops_dr.secrets.recipients import checked_recipients

_OTHER_KEYS: Final = (
    "kms",
    "gcp_kms",
    "hckms",
    "azure_keyvault",
    "hc_vault",
    "pgp",
    "hc_vault_transit_uri",
    "plugins",
)
_MAX_MERGES: Final = 20
"""Key groups that merge others, within each other."""


@dataclass(frozen=True, slots=True)
class CreationRule:
    """One rule. ``place`` says where it stands, for messages."""

    place: str
    matches: Callable[[str], bool]
    age: tuple[str, ...]
    other_keys: tuple[str, ...]
    """Kinds of other keys that it names, which only ``sops`` can encrypt to."""
    groups: int
    """How many key groups of which several are needed; 0 if any one key opens a file."""

    def recipients(self) -> tuple[str, ...]:
        """Give its age and SSH recipients.

        Raises ``UsageError`` for one that is none, and ``RefusedError`` for a rule that only
        ``sops`` could follow.
        """
        if self.groups > 1:
            raise RefusedError(
                f"{self.place}: {self.groups} key groups, of which several open a file together",
                hint="gitops-dr encrypts so that any one key opens a file: use one group",
            )
        if not self.age:
            named = f" but {' and '.join(self.other_keys)}" if self.other_keys else ""
            raise RefusedError(
                f"{self.place}: names no age recipient{named}",
                hint="add one under age: only to those does gitops-dr encrypt",
            )
        return checked_recipients(self.age, self.place)


@dataclass(frozen=True, slots=True)
class CreationRules:
    """The rules of a repository, in their order."""

    rules: tuple[CreationRule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules)

    def rule(self, path: str) -> CreationRule | None:
        """Find the rule for a file; ``path`` is relative to the folder of ``.sops.yaml``."""
        return next((rule for rule in self.rules if rule.matches(path)), None)

    def recipients(self, path: str) -> tuple[str, ...]:
        """Give the recipients of a file; none if no rule is about it.

        Raises as :meth:`CreationRule.recipients` does.
        """
        rule = self.rule(path)
        return rule.recipients() if rule else ()

    def other_keys(self, path: str) -> tuple[str, ...]:
        """Name the kinds of keys that a file should have too, and gets only from ``sops``."""
        rule = self.rule(path)
        return rule.other_keys if rule else ()


def read_creation_rules(data: bytes, place: str) -> CreationRules:
    """Read the text of a ``.sops.yaml``; an empty one has no rules.

    Raises ``ManifestError`` for what is no such file, with the line where it is no YAML.
    """
    if not data.strip():
        return CreationRules()
    rules = parse_document(data, place).get("creation_rules")
    if rules is None:
        return CreationRules()
    if not isinstance(rules, list):
        raise ManifestError(place, 0, "creation_rules is no list")
    return CreationRules(tuple(_rule(rule, i, place) for i, rule in enumerate(rules)))


def _rule(rule: Any, index: int, place: str) -> CreationRule:
    name = f"creation_rules[{index}]"
    if not isinstance(rule, dict):
        raise ManifestError(place, 0, f"{name} is no mapping")
    regex = rule.get("path_regex")
    if not isinstance(regex, str | None):
        raise ManifestError(place, 0, f"{name}.path_regex is no string")
    try:
        matches = pattern(regex) if regex else _everything
    except ValueError as error:
        raise ManifestError(place, 0, f"{name}.path_regex: {error}") from None
    groups = rule.get("key_groups")
    if not groups:
        return CreationRule(f"{place}: {name}", matches, *_keys(rule, place, name), groups=0)
    age: list[str] = []
    others: list[str] = []
    for group in _flat(groups, place, f"{name}.key_groups"):
        own, kinds = _keys(group, place, f"{name}.key_groups")
        age += own
        others += kinds
    return CreationRule(
        f"{place}: {name}", matches, tuple(age), tuple(dict.fromkeys(others)), groups=len(groups)
    )


def _flat(groups: Any, place: str, name: str, depth: int = 0) -> Iterator[Body]:
    """Yield key groups and what they merge, outermost last."""
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ManifestError(place, 0, f"{name} is no list of mappings")
    if depth > _MAX_MERGES:
        raise ManifestError(place, 0, f"{name}: merged more than {_MAX_MERGES} deep")
    for group in groups:
        yield from _flat(group.get("merge") or [], place, f"{name}.merge", depth + 1)
        yield group


def _keys(rule: Body, place: str, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the age recipients, and the kinds of other keys."""
    age = rule.get("age") or []
    if isinstance(age, str):
        age = [age]
    if not isinstance(age, list) or not all(isinstance(text, str) for text in age):
        raise ManifestError(place, 0, f"{name}.age is neither a string nor a list of strings")
    split = [text.strip() for texts in age for text in texts.split(",")]
    return (
        tuple(text for text in split if text),
        tuple(kind for kind in _OTHER_KEYS if rule.get(kind)),
    )


def _everything(_path: str) -> bool:
    return True
