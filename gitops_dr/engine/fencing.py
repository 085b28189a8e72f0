"""Stops what writes and acts in a cluster that is failed over from. Writes to that cluster.

What is stopped is noted before, with how it was, so that a run that was killed goes on, and a
recovery point of the stopped cluster says what it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from gitops_dr.cluster.apply import merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.fence_record import Fence, lift_fence, read_fence, write_fence
from gitops_dr.cluster.listing import collection_path
from gitops_dr.cluster.record import NAMESPACE
from gitops_dr.desired.fence import Found, Stop, Stoppable, as_before, find, given_back, merged
from gitops_dr.desired.target_standby import Behind, backend_kinds, backends
from gitops_dr.engine.exporting import AsItWas
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Tree
from gitops_dr.engine.snapshots import listed
from gitops_dr.errors import ClusterError, RefusedError
from gitops_dr.events import Advanced, Emit, PhaseEnded, PhaseStarted, Waiting, phase, silent
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body, Ref, Resource

_LOOK_AGAIN = 0.5
_POD = ("", "Pod")
_SERVICE = ("", "Service")


class Fencing:
    """One cluster that is to be stopped."""

    def __init__(self, connection: Connection, asked: Stoppable) -> None:
        self._connection = connection
        self._resources = {
            kind: versions[0]
            for kind, versions in discover(connection).versions().items()
            if {"list", "patch"} <= versions[0].verbs
        }
        self._asked = replace(asked, ours=NAMESPACE, behind=self._behind())

    def look(self) -> Found:
        """What is to be stopped, and what may write. Raises ``ApiError``."""
        kinds = [k for k in self._resources if k == _POD or self._asked.is_about(k)]
        return find(self._objects(kinds), self._asked)

    def stop(self, target: str, *, timeout: float, emit: Emit = silent) -> Fence:
        """Stop it, and wait until nothing has a claim any more.

        Raises ``ClusterError`` if something still has after ``timeout`` seconds, with its name;
        what is stopped stays so.
        """
        started = time.monotonic()
        found = self.look()
        emit(PhaseStarted("fence", len(found.stops)))
        fence = read_fence(self._connection) or Fence(target)
        if fence.since and not (found.stops or found.writers):
            fence = replace(fence, target=target)
        elif fence.since:
            # It was let run again, by others: how it is now is how it was.
            fence = Fence(target, before={**fence.before, **merged({}, found.stops)})
        while found.stops or found.writers:
            fence = replace(fence, target=target, before=merged(fence.before, found.stops))
            write_fence(self._connection, fence)
            for done, stop in enumerate(found.stops, 1):
                self._stop(stop)
                emit(Advanced("fence", done, str(stop.ref)))
            found = self.look()
            if not found.writers:
                break
            first = found.writers[0]
            if time.monotonic() - started > timeout:
                raise ClusterError(
                    f"{first}: still has its claim although its workload was stopped",
                    hint="does an operator start it again? Stop it by that one's own means, and "
                    "run the same command again; or say --unfence to let all run again",
                )
            emit(Waiting(first, "has not ended yet"))
            time.sleep(_LOOK_AGAIN)
        if not fence.since:
            fence = replace(fence, since=datetime.now(UTC).isoformat(timespec="seconds"))
        write_fence(self._connection, fence)
        emit(PhaseEnded("fence", time.monotonic() - started, len(fence.before)))
        return fence

    def _stop(self, stop: Stop) -> None:
        try:
            merge(self._connection, self._resources[stop.ref.group_kind], stop.patch)
        except ApiError as error:
            if error.status != 404:
                raise

    def _objects(self, kinds: list[tuple[str, str]]) -> Iterator[tuple[Ref, Body]]:
        for kind in kinds:
            resource = self._resources.get(kind)
            for body in listed(self._connection, collection_path(resource)) if resource else ():
                metadata = body["metadata"]
                yield Ref(*kind, metadata.get("namespace", ""), metadata["name"]), body

    def _behind(self) -> tuple[Behind, ...]:
        bodies = dict(self._objects([*backend_kinds(), _SERVICE]))
        return backends(bodies, lambda refs: ((ref, bodies[ref]) for ref in refs))


def refuse_fenced(connection: Connection, cluster: str) -> None:
    """Raise ``RefusedError`` for a cluster that was stopped: at rest it is not what it is.

    Who may not read what we keep there does without. Raises ``ClusterError``.
    """
    try:
        fence = read_fence(connection)
    except ApiError as error:
        if error.status in (401, 403):
            return
        raise
    if fence is not None:
        raise RefusedError(
            f"cluster {cluster}: was stopped for the failover to {fence.target}, and would "
            "be recorded as if it were to be so",
            hint=f"export the cluster that runs now; or let this one run again: gitops-dr failover "
            f"--target {fence.target} --unfence",
        )


def give_back(connection: Connection, fence: Fence, *, emit: Emit = silent) -> list[str]:
    """Give everything that was stopped its fields back; gives what could not be done, a line each.

    The fence is lifted if all of it could. Raises ``ClusterError``.
    """
    resources = {kind: found[0] for kind, found in discover(connection).versions().items()}
    problems = []
    with phase("give back", emit, len(fence.before)):
        for ref, was in sorted(fence.before.items()):
            resource: Resource | None = resources.get(ref.group_kind)
            try:
                if resource is not None:
                    merge(connection, resource, given_back(ref, was))
            except ApiError as error:
                if error.status != 404:
                    problems.append(f"{ref}: {error.message}")
        if not problems:
            lift_fence(connection)
    return problems


def as_it_was(fence: Fence | None) -> AsItWas:
    """What a stopped cluster was before it was stopped, to be committed in place of what it is."""

    def seen(tree: Tree, observation: Observation) -> Observation:
        if fence is None:
            return observation
        state = observation.state
        entries, bodies = dict(state.entries), dict(observation.bodies)
        for ref, was in fence.before.items():
            entry = entries.get(ref)
            if entry is None:
                continue
            # What the caller of observe had already lies in Git, under another object's path.
            data = bodies.get(entry.fingerprint) or tree.blob(entry.fingerprint)
            data = canonical(as_before(parse(data, str(ref)), was))
            fingerprint = tree.repo.blob_id(data)
            entries[ref] = replace(entry, fingerprint=fingerprint)
            bodies[fingerprint] = data
        return replace(observation, state=replace(state, entries=entries), bodies=bodies)

    return seen
