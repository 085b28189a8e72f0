"""Chooses the differences that a person asks for by who made them and when. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gitops_dr.errors import UsageError
from gitops_dr.manifests.selector import pattern_matches
from gitops_dr.model import Difference, FieldManager, Presence

_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}[wdhms])+", re.ASCII)
_SECONDS: Final = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Selected:
    """The differences that are asked for."""

    differences: tuple[Difference, ...]
    unattributed: int
    """Field changes, and whole objects, that nobody can say this of: they are left out."""


def selected(
    differences: Iterable[Difference], *, by: str | None = None, since: datetime | None = None
) -> Selected:
    """Choose what is known to be written by a manager, or by one that last wrote since a time.

    ``by`` is a manager's name or a pattern of names. ``since`` (with a time zone) is held against
    the time of each manager's last write of the object, which is all that is known; where both are
    given, one manager must meet both. An object of which nothing is left is left out. What has no
    known author (or, for ``since``, no known time) is never chosen, and is counted. Without either,
    all are chosen.
    """
    if by is None and since is None:
        return Selected(tuple(differences), 0)

    def chosen(manager: FieldManager) -> bool:
        written = _when(manager)
        return (by is None or pattern_matches(by, manager.name)) and (
            since is None or (written is not None and written >= since)
        )

    def known(manager: FieldManager) -> bool:
        return since is None or _when(manager) is not None

    found = []
    unattributed = 0
    for difference in differences:
        left, unknown = _part(difference, chosen, known)
        unattributed += unknown
        if left is not None:
            found.append(left)
    return Selected(tuple(found), unattributed)


_Ask = Callable[[FieldManager], bool]


def _part(difference: Difference, chosen: _Ask, known: _Ask) -> tuple[Difference | None, int]:
    """What of a difference is chosen, and how much of it nothing is known of."""
    if difference.presence is not Presence.MODIFIED:
        if any(map(chosen, difference.managers)):
            return difference, 0
        return None, 0 if any(map(known, difference.managers)) else 1
    changes = tuple(c for c in difference.changes if any(map(chosen, c.managers)))
    unknown = sum(not any(map(known, change.managers)) for change in difference.changes)
    return (replace(difference, changes=changes) if changes else None), unknown


def _when(manager: FieldManager) -> datetime | None:
    try:
        return datetime.fromisoformat(manager.time)
    except ValueError:
        return None


def parse_since(text: str, now: datetime) -> datetime:
    """Read a time, or a duration before ``now`` (which has a time zone).

    A time is RFC 3339 or like ``2026-11-22 10:00`` or ``2026-11-22``, local where it names no zone;
    a duration is like ``90m``, ``1d12h`` or ``2w``. Raises ``UsageError`` for anything else.
    """
    try:
        if _DURATION.fullmatch(text):
            parts = re.findall(r"([0-9]+)([wdhms])", text)
            seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
            return now.astimezone(UTC) - timedelta(seconds=seconds)
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--since {text}: there is no such time", hint=_FORMS) from error
    raise UsageError(f"--since {text}: neither a time nor a duration", hint=_FORMS)


_FORMS: Final = "give a time such as '2026-11-22 10:00', or a duration such as 2h, 30m or 7d"
