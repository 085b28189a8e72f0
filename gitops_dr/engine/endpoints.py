"""Sees by what a cluster is known outside, and what of it is another after a rebuild.

Reads from the cluster only. Addresses come with what is observed anyway; only who signs the
cluster's tokens is asked for by a request of its own.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.desired.endpoints import (
    ENDPOINTS,
    Endpoints,
    Issuer,
    endpoints_after,
    issuer_of,
    write_endpoints,
)
from gitops_dr.desired.exposing import Exposed, exposing
from gitops_dr.desired.mappings import host
from gitops_dr.desired.outside import Moved, Outside, awaited, changed_outside, seen_since
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Tree
from gitops_dr.events import Emit, Notice, PhaseEnded, PhaseStarted, Waiting, silent
from gitops_dr.model import Outcome, Ref, Result

# An export needs none of these.
if TYPE_CHECKING:
    from gitops_dr.engine.difference import Examined
    from gitops_dr.engine.prepare import Prepared

ISSUER = "/.well-known/openid-configuration"
"""Where an API server says who signs its tokens:
https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery"""

_ASK_AGAIN = 1.0
"""Seconds between two looks at objects that have no address yet."""


def read_issuer(connection: Connection) -> Issuer:
    """Ask the API server who signs its tokens.

    That it may not be asked is words and no failure. They name nobody, since whoever exports next
    would otherwise write others.
    """
    try:
        return issuer_of(connection.json("GET", ISSUER))
    except ApiError as error:
        if error.status == 404:
            # An issuer that is no https URL is told to nobody.
            return Issuer()
        reason = "may not be read" if error.status in (401, 403) else "could not be read"
        return Issuer(unread=f"{ISSUER} {reason}")


def seen(connection: Connection, observation: Observation) -> Endpoints:
    """By what the cluster that was observed is known outside."""
    return Endpoints(observation.exposed, observation.api, read_issuer(connection))


def endpoints_file(
    connection: Connection, observation: Observation, tree: Tree, emit: Emit = silent
) -> bytes | None:
    """The bytes of ``endpoints.yaml`` for the next recovery point; None if it has none.

    Raises ``RepositoryError`` if that of the last one cannot be read.
    """
    now = seen(connection, observation)
    after = endpoints_after(now, Endpoints())
    data = write_endpoints(after)
    # To read what is the same costs more than all the rest, where there is much of it.
    if data is None or tree.files.get(ENDPOINTS) != tree.repo.blob_id(data):
        before = tree.endpoints() or Endpoints()
        if tree.coverage is not None and tree.coverage.uid != observation.identity.uid:
            before = Endpoints()
        after = endpoints_after(now, before, observation.state.gaps)
        data = write_endpoints(after)
    if after.issuer.unread:
        emit(Notice(f"the issuer of tokens is not known: {after.issuer.unread}"))
    return data


def what_changed(
    prepared: Prepared,
    recorded: Endpoints | None,
    after: Examined,
    outcomes: Collection[Outcome],
    *,
    until: float,
    emit: Emit = silent,
) -> Outside:
    """What is another for the outside, once a plan was carried out.

    ``recorded``: what the recovery point says of the source. ``after``: the comparison at the end.
    Until ``until`` (by ``time.monotonic``) addresses are waited for of what this run has made; what
    has none then is pending. A target that is at rest gets none, and is not waited for.
    """
    connection = prepared.connection
    before = recorded or Endpoints()
    moved = _moved(prepared)
    now = seen(connection, after.observation)
    if not now.api:
        # Nobody else says it, and this one leads there.
        now = Endpoints(now.exposed, connection.server, now.issuer)
    made = {outcome.ref for outcome in outcomes if outcome.result is Result.DONE}
    if made and not prepared.target.at_rest:
        made |= after.observation.state.unlisted
        now = _once_addressed(
            connection, after, now, before=before, moved=moved, made=made, until=until, emit=emit
        )
    return Outside(changed_outside(before, now, moved), recorded is not None)


def _moved(prepared: Prepared) -> Moved:
    rewriter, intent = prepared.examined.recorded.rewriter, prepared.planned.saved
    tree, hosts = prepared.examined.recorded.tree, prepared.target.mappings.hosts
    whole = intent is None or not intent.intent.selection

    def there(ref: Ref) -> Ref | None:
        if rewriter.omission(ref) is not None:
            return None
        found = rewriter.ref(ref)
        return found if whole or found in prepared.chosen else None

    uid = tree.coverage.uid if tree.coverage else ""
    return Moved(
        there,
        lambda name: host(name, hosts),
        elsewhere=uid != prepared.planned.goal.target.uid,
        whole=whole,
    )


def _once_addressed(
    connection: Connection,
    after: Examined,
    now: Endpoints,
    *,
    before: Endpoints,
    moved: Moved,
    made: Collection[Ref],
    until: float,
    emit: Emit,
) -> Endpoints:
    """The same, as soon as what was made has its addresses, or when time is up."""
    started = time.monotonic()
    waiting = [ref for ref in awaited(before, now, moved) if ref in made]
    if not waiting:
        return now
    emit(PhaseStarted("addresses", len(waiting)))
    while waiting and time.monotonic() < until:
        emit(Waiting(waiting[0], "has no address yet"))
        time.sleep(_ASK_AGAIN)
        since = {ref: _look(connection, after, ref, now.exposed.get(ref)) for ref in waiting}
        now = seen_since(now, since)
        waiting = [ref for ref in awaited(before, now, moved) if ref in made]
    emit(PhaseEnded("addresses", time.monotonic() - started))
    return now


def _look(
    connection: Connection, after: Examined, ref: Ref, known: Exposed | None
) -> Exposed | None:
    """What one object says now; what was known, if it cannot be asked."""
    resource, how = after.observation.resources.get(ref.group_kind), exposing(ref.group_kind)
    if resource is None or how is None:
        return known
    try:
        body = connection.json("GET", object_path(resource, ref.namespace, ref.name))
    except ApiError as error:
        return None if error.status == 404 else known
    return how.read(ref, body)
