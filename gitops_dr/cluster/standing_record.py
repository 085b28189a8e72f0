"""Keeps in our namespace whether a target has been failed over to: one ConfigMap a cluster.

Git says it too, but an older checkout says what was. And what a failover has begun must be known to
whoever goes on with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.record import keep, kept


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last failover did to a target, or has begun to do."""

    target: str
    """Name of the target."""
    commit: str = ""
    """Full id of the commit that says what it is now; empty as long as there is none."""
    active: str = ""
    """``true`` if that commit says that everything runs here, ``false`` if it does not."""
    point: str = ""
    """Full id of the recovery point whose data it has, or is to get."""
    begun: str = ""
    """RFC 3339, UTC: when the failover began."""
    filled: str = ""
    """``true`` as soon as no claim holds other data than that point's."""
    ended: str = ""
    """When it was complete, or a sync went on from it; empty as long as it is not."""

    @property
    def is_active(self) -> bool:
        """Whether it has been failed over to, and not away from since."""
        return self.active == "true"


def read_standing(connection: Connection, cluster: str) -> Standing | None:
    """What is noted of the target of ``cluster`` that this cluster is; None if nothing is.

    Raises ``ApiError`` if it cannot be read although it may be there.
    """
    data = kept(connection, _name(cluster))
    if data is None:
        return None
    return Standing(**{each.name: str(data.get(each.name, "")) for each in fields(Standing)})


def write_standing(connection: Connection, cluster: str, standing: Standing) -> None:
    """Note it down. Raises ``ApiError``."""
    keep(connection, _name(cluster), asdict(standing), make_namespace=True)


def _name(cluster: str) -> str:
    return f"failover-{cluster}"
