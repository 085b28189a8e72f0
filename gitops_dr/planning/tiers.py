"""Says when a kind comes where references say nothing, by ``order.yaml``. Pure."""

from __future__ import annotations

from functools import cache

import yamlrocks

from gitops_dr.model import ANY, parse_kind
from gitops_dr.resources import shipped


def tier(group_kind: tuple[str, str]) -> int:
    """Rank a kind, 0 first, to break ties."""
    return _place(group_kind)[0]


def stage(group_kind: tuple[str, str]) -> int:
    """Tell the stage of a kind, 0 first.

    A step starts only when every step of the earlier stages was tried, whatever came of it.
    """
    return _place(group_kind)[1]


def unbacked_stage(group_kind: tuple[str, str]) -> int:
    """Tell the stage of one of this kind whose backend is not known to be ready."""
    return _place(group_kind)[2]


def _place(group_kind: tuple[str, str]) -> tuple[int, int, int]:
    places = _places()
    return places.get(group_kind) or places[ANY, ANY]


@cache
def _places() -> dict[tuple[str, str], tuple[int, int, int]]:
    """Tier and stages of each kind that the file names, and of the rest under (ANY, ANY)."""
    places = {}
    tiers = yamlrocks.loads(shipped("planning/order.yaml").read_bytes())["tiers"]
    for rank, entry in enumerate(tiers):
        for text in entry["kinds"]:
            key = (ANY, ANY) if text == ANY else parse_kind(text)
            at = entry.get("stage", 0)
            places[key] = (rank, at, entry.get("unbacked", at))
    return places
