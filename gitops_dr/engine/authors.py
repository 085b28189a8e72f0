"""Adds to differences who wrote them, from what observe kept beside the bodies. Reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import orjson

from gitops_dr.drift.attribute import attributed, trusted_managers
from gitops_dr.engine.observe import Observation
from gitops_dr.model import Body, Difference, Presence, Ref


def with_authors(
    found: Iterable[Difference],
    observation: Observation,
    live: Callable[[Ref], Body],
    *,
    trusted: Collection[str] = (),
) -> tuple[Difference, ...]:
    """Add their authors to differences, as far as they are known.

    ``observation`` was made with ``authors``; ``live`` gives the cluster's body, as it was
    compared, of an object that is modified or unmanaged. ``trusted``: names of managers to mark
    beside Kubernetes' own.
    """
    names = trusted_managers() | frozenset(trusted)

    def one(difference: Difference) -> Difference:
        managed = observation.managed.get(difference.ref)
        if managed is None or difference.presence not in (Presence.MODIFIED, Presence.UNMANAGED):
            return difference
        body = live(difference.ref)
        return attributed(difference, orjson.loads(managed), body, trusted=names)

    return tuple(map(one, found))
