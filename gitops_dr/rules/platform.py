"""Tells what a distribution or provider owns, by the rows of ``platform.yaml``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.model import Ref
from gitops_dr.resources import shipped
from gitops_dr.rules.rows import names_kind

_NAMESPACE = ("", "Namespace")


@dataclass(frozen=True, slots=True)
class PlatformRow:
    """One rule over identities; a pattern that is ``None`` asks for nothing."""

    id: str
    because: str
    link: str
    kinds: tuple[str, ...]
    except_kinds: tuple[str, ...]
    namespaces: re.Pattern[str] | None
    names: re.Pattern[str] | None
    except_names: re.Pattern[str] | None

    def applies_to(self, ref: Ref) -> bool:
        """Whether the object that ``ref`` names is one of those the row is about."""
        return self.is_about(*ref.group_kind) and self.names_one(ref)

    def is_about(self, group: str, kind: str) -> bool:
        """Whether it is about some objects of a kind."""
        return (not self.kinds or names_kind(self.kinds, group, kind)) and not names_kind(
            self.except_kinds, group, kind
        )

    def names_one(self, ref: Ref) -> bool:
        """Whether it is about an object, of those of a kind that it is about."""
        return (
            _fits(self.namespaces, ref.name if ref.group_kind == _NAMESPACE else ref.namespace)
            and _fits(self.names, ref.name)
            and not (self.except_names and self.except_names.match(ref.name))
        )


def platform_reason(ref: Ref) -> str | None:
    """Say why this object belongs to the platform; ``None`` if it is the user's own.

    It is not to be put into another cluster than the one it was exported from, unless it is named.
    """
    rows = _rows_about(ref.group, ref.kind)
    return next((row.because for row in rows if row.names_one(ref)), None)


@cache
def _rows_about(group: str, kind: str) -> tuple[PlatformRow, ...]:
    return tuple(row for row in platform_rows() if row.is_about(group, kind))


@cache
def platform_rows() -> tuple[PlatformRow, ...]:
    """Read the shipped rows, in file order."""
    raw = yamlrocks.loads(shipped("rules/platform.yaml").read_bytes())
    return tuple(_read(row) for row in raw)


def _read(row: Mapping[str, Any]) -> PlatformRow:
    return PlatformRow(
        id=row["id"],
        because=row["because"],
        link=row["link"],
        kinds=tuple(row.get("kinds", ())),
        except_kinds=tuple(row.get("except_kinds", ())),
        namespaces=_pattern(row.get("namespaces", ())),
        names=_pattern(row.get("names", ())),
        except_names=_pattern(row.get("except_names", ())),
    )


def _pattern(globs: Iterable[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(translate, globs))) if globs else None


def _fits(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is None or pattern.match(text) is not None
