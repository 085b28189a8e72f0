"""Makes and deletes single claims, and says why one does not get its volume. Writes the cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import orjson

from gitops_dr.cluster.apply import create, find, get, patch
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.refusals import too_early
from gitops_dr.engine.snapshots import LOOK_AGAIN
from gitops_dr.engine.warnings import PerNamespace, newest_warnings
from gitops_dr.errors import ClusterError
from gitops_dr.events import Emit, Waiting
from gitops_dr.model import Body, Outcome, Ref, Resource, Result
from gitops_dr.volumes.remedies import remedy
from gitops_dr.volumes.restore import source_lost

CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
VOLUMES = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)


def find_claim(connection: Connection, ref: Ref) -> Body | None:
    """The claim as it is; None if it is not there. Raises ``ApiError``."""
    return find(connection, CLAIMS, ref.namespace, ref.name)


def make_filled(connection: Connection, ref: Ref, body: Body) -> None:
    """Create a claim with a data source, and see to it that the source stuck.

    Raises ``ClusterError``, and then has left no claim that would be filled with nothing.
    """
    stored = create(connection, CLAIMS, body)
    reason = source_lost(body, stored)
    if reason:
        delete_unbound(connection, stored)
        raise ClusterError(f"{ref}: {reason}", hint="no claim was left behind")


def delete_unbound(connection: Connection, stored: Body) -> str:
    """Delete a claim that was just made and must not be; says why it was not, or nothing.

    One that has a volume already is left: nobody knows what that holds.
    """
    metadata = stored["metadata"]
    ref = Ref("", CLAIMS.kind, metadata["namespace"], metadata["name"])
    try:
        live = find_claim(connection, ref)
        if live is None or live["metadata"].get("uid") != metadata.get("uid"):
            return ""
        if (live.get("spec") or {}).get("volumeName"):
            return "it has a volume already, and is left"
        delete_claim(connection, live)
    except ApiError as error:
        return error.message
    return ""


def delete_claim(connection: Connection, live: Body) -> None:
    """Delete just this claim, and none that has its name by now. Raises ``ApiError``."""
    metadata = live["metadata"]
    options = {"preconditions": {"uid": metadata["uid"]}}
    path = object_path(CLAIMS, metadata["namespace"], metadata["name"])
    try:
        connection.request("DELETE", path, body=orjson.dumps(options))
    except ApiError as error:
        if error.status != 404:
            raise


def await_gone(connection: Connection, live: Body, timeout: float, emit: Emit) -> None:
    """Wait until a claim that is being deleted is not there any more.

    Raises ``ClusterError`` after ``timeout`` seconds.
    """
    metadata = live["metadata"]
    ref = Ref("", CLAIMS.kind, metadata["namespace"], metadata["name"])
    deadline = time.monotonic() + timeout
    while (now := find_claim(connection, ref)) is not None:
        if now["metadata"]["uid"] != metadata["uid"]:
            return
        held = ", ".join(now["metadata"].get("finalizers") or ()) or "nobody says why"
        reason = f"is being deleted, and stays ({held})"
        if time.monotonic() > deadline:
            raise ClusterError(f"{ref}: {reason}", hint="does a pod still use it?")
        emit(Waiting(ref, reason))
        time.sleep(LOOK_AGAIN)


def await_bound(connection: Connection, ref: Ref, timeout: float, emit: Emit) -> Body:
    """Wait until a claim has its volume; gives the claim.

    Raises ``ClusterError`` after ``timeout`` seconds with what the provisioner says, and at once
    if the claim is lost or gone.
    """
    deadline = time.monotonic() + timeout
    while True:
        live = find_claim(connection, ref)
        if live is None:
            raise ClusterError(f"{ref}: was deleted while it was waited for")
        phase = (live.get("status") or {}).get("phase")
        if phase == "Bound":
            return live
        if phase == "Lost" or time.monotonic() > deadline:
            said = why_pending(connection, ref)
            reason = f"is {phase or 'Pending'}: {said}" if said else f"is {phase or 'Pending'}"
            raise ClusterError(f"{ref}: {reason}", hint=remedy(said))
        emit(Waiting(ref, f"is {phase or 'Pending'}"))
        time.sleep(LOOK_AGAIN)


def why_pending(connection: Connection, ref: Ref) -> str:
    """The newest warning about a claim, on one line; empty if none can be had."""
    try:
        return _warnings(connection, ref.namespace, ref.name).get(ref.name, "")
    except ApiError:
        return ""


def with_words(connection: Connection, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Outcomes, of which those of claims without a volume also say why, and what helps.

    The others stay as they are. One request a namespace; none any more once one has failed.
    """
    said = PerNamespace(partial(_warnings, connection))
    for outcome in outcomes:
        ref = outcome.ref
        if ref.group_kind != CLAIMS.group_kind or outcome.result is not Result.UNREADY:
            yield outcome
            continue
        message = (said.of(ref.namespace) or {}).get(ref.name, "")
        told = [f"{outcome.reason}: {message}" if message else outcome.reason, remedy(message)]
        yield replace(outcome, reason="; ".join(filter(None, told)))


def _warnings(connection: Connection, namespace: str, name: str = "") -> dict[str, str]:
    """The newest warning about each claim of a namespace, or of one, on one line, by name.

    Raises ``ApiError``.
    """
    about = f"involvedObject.kind={CLAIMS.kind}"
    if name:
        about += f",involvedObject.name={name}"
    found = newest_warnings(connection, namespace, about)
    return {claim: message for (_, claim), message in found.items()}


def free_released_volume(connection: Connection, ref: Ref, claim: Body) -> str:
    """Let a claim have its static volume again that a deleted claim of the same name has released.

    The volume stays Released while it names the old claim's UID, and the new claim stays Pending:
    https://github.com/vmware-tanzu/velero/issues/5141
    Returns why it could not be done, empty if nothing was wrong: the claim is there all the same.
    Raises ``ApiError`` only where time may help.
    """
    name = (claim.get("spec") or {}).get("volumeName")
    if ref.group_kind != CLAIMS.group_kind or not name:
        return ""
    try:
        _forget_claim(connection, name, claim)
    except ApiError as error:
        if too_early(error):
            raise
        # A volume that is not there yet knows no old claim.
        if error.status != 404:
            return f"its volume may still be held for a claim that is gone: {error.message}"
    return ""


def _forget_claim(connection: Connection, name: str, claim: Body) -> None:
    volume = get(connection, VOLUMES, "", name)
    held_for = volume.get("spec", {}).get("claimRef") or {}
    metadata = claim["metadata"]
    same_claim = (held_for.get("namespace"), held_for.get("name")) == (
        metadata["namespace"],
        metadata["name"],
    )
    if same_claim and held_for.get("uid") not in (None, metadata["uid"]):
        operations = [
            {"op": "test", "path": "/spec/claimRef/uid", "value": held_for["uid"]},
            {"op": "remove", "path": "/spec/claimRef/uid"},
        ]
        if "resourceVersion" in held_for:
            operations.append({"op": "remove", "path": "/spec/claimRef/resourceVersion"})
        patch(connection, VOLUMES, "", name, operations)
