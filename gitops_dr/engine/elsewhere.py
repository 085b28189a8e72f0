"""Makes a copy of a claim, filled from its snapshot, under another name. Writes the cluster."""

from __future__ import annotations

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.claims import (
    await_bound,
    delete_unbound,
    find_claim,
    make_filled,
)
from gitops_dr.engine.importing import await_usable, forget, import_snapshot
from gitops_dr.events import Emit, silent
from gitops_dr.model import Body
from gitops_dr.volumes.restore import Restoration, source_lost


def is_begun(live: Body | None, made: Restoration) -> bool:
    """Whether the claim that is there is the copy, made by a run of the same that did not end.

    Once it has a volume somebody may have written to it, and it is a claim like any other.
    """
    return (
        live is not None
        and not (live.get("spec") or {}).get("volumeName")
        and not source_lost(made.bodies[made.claim], live)
    )


def copy(
    connection: Connection,
    made: Restoration,
    *,
    late: bool,
    timeout: float,
    emit: Emit = silent,
) -> str:
    """Make the copy; gives the name of its volume, nothing if that comes with its first pod.

    ``late``: its class binds it only once a pod uses it. ``timeout``: seconds of each wait. Raises
    ``ClusterError``, and then has left nothing behind, but for a claim that has a volume already.
    """
    try:
        snapshot = import_snapshot(connection, made)
        await_usable(connection, [snapshot], timeout, emit)
        if find_claim(connection, made.claim) is None:
            make_filled(connection, made.claim, made.bodies[made.claim])
        if late:
            return ""
        live = await_bound(connection, made.claim, timeout, emit)
        return str(live["spec"]["volumeName"])
    except BaseException:
        live_now = find_claim(connection, made.claim)
        if live_now is not None and is_begun(live_now, made):
            delete_unbound(connection, live_now)
        forget(connection, [made])
        raise
