"""Looks at the cluster that a failover is from: may it be stopped and recorded. Reads only."""

from __future__ import annotations

from gitops_dr.checks.facts import SourceFacts
from gitops_dr.checks.needs import Job, needs_of, needs_of_fence
from gitops_dr.cluster import access
from gitops_dr.cluster.connect import Connection, or_none
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.fence_record import read_fence
from gitops_dr.desired.fence import Stoppable
from gitops_dr.desired.target import Target
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.snapshot_facts import snapshot_facts
from gitops_dr.engine.sources import find_source
from gitops_dr.errors import GitOpsDRError


def source_facts(where: Where, opened: Opened, target: Target, uid: str) -> SourceFacts:
    """What a failover to ``target`` needs of its source, whose UID is ``uid``."""
    found = find_source(where, opened, uid)
    if found.connection is None:
        return SourceFacts(found.cluster, found.context, trouble=found.trouble)
    try:
        return _look(found.connection, found.cluster, opened, target)
    except GitOpsDRError as error:
        return SourceFacts(found.cluster, found.context, trouble=error.message)


def _look(connection: Connection, name: str, opened: Opened, target: Target) -> SourceFacts:
    """Raises ``ClusterError``."""
    discovery = discover(connection)
    asked = Stoppable(opened.settings.outward, target.standby.kept)
    stop = needs_of_fence(asked, discovery.resources)
    record = needs_of(Job.VOLUMES, discovery.resources)
    who = or_none(lambda: access.ourselves(connection))
    fence = or_none(lambda: read_fence(connection))
    return SourceFacts(
        name,
        connection.context,
        user=who.user if who else "",
        fenced_for=fence.target if fence else "",
        cannot_stop=or_none(lambda: access.missing(connection, stop)),
        cannot_record=or_none(lambda: access.missing(connection, record)),
        snapshots=snapshot_facts(connection, discovery),
    )
