"""Finds the cluster that is failed over from, and whether it still answers. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.cluster.discover import identify
from gitops_dr.cluster.reach import why_silent
from gitops_dr.config import FILE
from gitops_dr.engine.opening import Opened, Where, source_settings
from gitops_dr.errors import ClusterError, UsageError
from gitops_dr.model import Identity


@dataclass(frozen=True, slots=True)
class Source:
    """The cluster that is failed over from."""

    cluster: str
    """Its name in the repository."""
    context: str
    """How it is reached; empty if nobody says."""
    connection: Connection | None = None
    """None if it does not answer, or is not known to be the source."""
    identity: Identity | None = None
    trouble: str = ""
    """Why there is no connection; empty if there is one."""


def find_source(where: Where, opened: Opened, uid: str, context: str | None = None) -> Source:
    """Ask the source, whose UID is ``uid``, by ``context`` or by what ``gitops-dr.yaml`` names.

    Whatever goes wrong is the result's trouble: nobody knows then what the source does.
    """
    settings = source_settings(opened)
    name = context or (settings.context.value if settings.context else "")
    if not name:
        why = f"{FILE} names no context of it, so nobody can ask"
        return Source(settings.name, "", trouble=why)
    try:
        connection = connect(where.kubeconfig, name)
        if silence := why_silent(connection):
            return Source(settings.name, name, trouble=silence)
        identity = identify(connection)
    except (ClusterError, UsageError) as error:
        return Source(settings.name, name, trouble=error.message)
    if identity.uid != uid:
        why = f"context {name} reaches another cluster (UID {identity.uid}, recorded {uid})"
        return Source(settings.name, name, trouble=why)
    return Source(settings.name, name, connection, identity)
