"""Puts a claim's data back in place: another volume under the same name. Writes the cluster.

Each step can be repeated, and looks first at what is there. So after ``kill -9`` the same run goes
on from where the other ended, and whatever fails brings every old volume back:

    import the snapshots, proved ready -> note each old volume and keep it -> stop the workloads
    -> delete each claim -> make it again, filled from its snapshot -> start the workloads
    -> see that all is bound and ready -> take the notes off
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gitops_dr.cluster.apply import create, find, get, merge, patch
from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine.claims import (
    CLAIMS,
    VOLUMES,
    await_bound,
    await_gone,
    delete_claim,
    find_claim,
    make_filled,
)
from gitops_dr.engine.importing import await_usable, forget, import_snapshot
from gitops_dr.engine.snapshots import listed
from gitops_dr.engine.suspending import await_running, await_unused, resume, suspend
from gitops_dr.errors import ClusterError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import Body, Ref
from gitops_dr.volumes.at_rest import AT_REST, write_rested
from gitops_dr.volumes.in_place import (
    NOTE,
    REPLACED,
    Note,
    Standing,
    Workload,
    note_of,
    standing,
    with_old_volume,
    write_note,
)
from gitops_dr.volumes.records import SnapshotRecord
from gitops_dr.volumes.restore import Restoration

Failpoint = Callable[[str], None]


def no_failpoint(_step: str) -> None:
    """Do nothing: the failpoint outside of tests."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One claim, its old volume, and what fills the new one."""

    note: Note
    volume: str
    """Name of the old PersistentVolume."""
    record: SnapshotRecord
    made: Restoration
    late: bool
    """It is bound only once a pod uses it."""
    used: bool
    """One of the workloads uses it."""

    @property
    def ref(self) -> Ref:
        """The claim."""
        return self.note.ref


@dataclass(frozen=True, slots=True)
class Ended:
    """How a restore in place ended."""

    reason: str = ""
    """Why it was taken back; empty if it was not."""
    hint: str = ""
    problems: tuple[str, ...] = ()
    """What could not be taken back, or does not run although it was not."""
    volumes: Mapping[Ref, str] = field(default_factory=dict)
    """The new volume of each claim, if all went well."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """One restore in place: all of its claims are replaced, or none."""

    connection: Connection
    replacements: tuple[Replacement, ...]
    workloads: tuple[Workload, ...]
    timeout: float
    """Seconds that each wait may take."""
    emit: Emit = silent
    failpoint: Failpoint = no_failpoint

    def run(self) -> Ended:
        """Carry it out, or take it back.

        Raises ``KeyboardInterrupt`` and what is a bug of ours, once it is taken back.
        """
        try:
            return self._forward()
        except ClusterError as error:
            self.emit(Notice(f"{error.message}; the old volumes are brought back"))
            return Ended(error.message, error.hint, tuple(self._back()))
        except BaseException:
            self.emit(Notice("interrupted; the old volumes are brought back first"))
            for problem in self._back():
                self.emit(Notice(problem))
            raise

    # -- forward -------------------------------------------------------------------------------

    def _forward(self) -> Ended:
        self._prove()
        if any(self._standing(one) is not Standing.NEW for one in self.replacements):
            self._note()
            self._stop()
            self._swap()
        self._start()
        volumes = self._verify()
        lacking = await_running(self.connection, self.workloads, self.timeout, self.emit)
        self.failpoint("verified")
        self._settle()
        return Ended(problems=tuple(lacking), volumes=volumes)

    def _prove(self) -> None:
        """Bring the snapshots in and wait until each can be used, before anything is touched."""
        snapshots = [import_snapshot(self.connection, one.made) for one in self.replacements]
        self.failpoint("imported")
        await_usable(self.connection, snapshots, self.timeout, self.emit)
        self.failpoint("proved")

    def _note(self) -> None:
        """Keep each old volume, whatever becomes of its claim, and write down what it is of."""
        for one in self.replacements:
            self._mark(one.volume, {NOTE: write_note(one.note)}, "Retain")
            self.failpoint("noted")

    def _stop(self) -> None:
        suspend(self.connection, self.workloads)
        self.failpoint("suspended")
        claims = [one.ref for one in self.replacements]
        await_unused(self.connection, claims, self.timeout, self.emit)
        self.failpoint("unused")

    def _swap(self) -> None:
        for one in self.replacements:
            self._delete_old(one)
            self.failpoint("deleted")
            self._make_new(one)
            self.failpoint("created")

    def _delete_old(self, one: Replacement) -> None:
        live = find_claim(self.connection, one.ref)
        found = standing(live, one.note, one.volume)
        if live is None or found is Standing.NEW:
            return
        if found is Standing.FOREIGN:
            raise _foreign(one)
        delete_claim(self.connection, live)
        await_gone(self.connection, live, self.timeout, self.emit)

    def _make_new(self, one: Replacement) -> None:
        found = self._standing(one)
        if found is Standing.NEW:
            return
        if found is not Standing.GONE:
            raise _foreign(one)
        make_filled(self.connection, one.ref, one.made.bodies[one.ref])

    def _start(self) -> None:
        for one in self.replacements:
            if not one.late:
                await_bound(self.connection, one.ref, self.timeout, self.emit)
        self.failpoint("filled")
        resume(self.connection, self.workloads)
        self.failpoint("resumed")

    def _verify(self) -> dict[Ref, str]:
        """See that each claim has a new volume of the snapshot's driver."""
        volumes: dict[Ref, str] = {}
        for one in self.replacements:
            if one.late and not one.used:
                # Nothing uses it now, so nothing makes its volume; whoever comes gets the data.
                continue
            live = await_bound(self.connection, one.ref, self.timeout, self.emit)
            volume = get(self.connection, VOLUMES, "", live["spec"]["volumeName"])
            driver = (volume["spec"].get("csi") or {}).get("driver")
            found = standing(live, one.note, one.volume)
            if found is not Standing.NEW or driver != one.record.driver:
                raise ClusterError(
                    f"{one.ref}: its volume {volume['metadata']['name']} is not made from the "
                    f"snapshot (driver {driver or 'none'})"
                )
            volumes[one.ref] = volume["metadata"]["name"]
        return volumes

    def _settle(self) -> None:
        """Take the notes off. The old volumes stay, for a person to delete."""
        for one in self.replacements:
            told = f"{one.ref.namespace}/{one.ref.name}"
            rested = {AT_REST: write_rested(one.note)} if one.note.at_rest else {}
            self._mark(one.volume, {NOTE: None, REPLACED: told, **rested}, None)
            self.failpoint("settled")

    # -- back ----------------------------------------------------------------------------------

    def _back(self) -> Iterator[str]:
        """Bring every old volume back and let the workloads run; gives what could not be done.

        What cannot be done now the same command does later: the notes are still there.
        """
        try:
            begun = [one for one in self.replacements if self._is_noted(one)]
            if any(self._standing(one) is not Standing.OLD for one in begun):
                suspend(self.connection, self.workloads)
                claims = [one.ref for one in begun]
                await_unused(self.connection, claims, self.timeout, self.emit)
            for one in begun:
                self._bring_back(one)
            resume(self.connection, self.workloads)
            for one in begun:
                self._mark(one.volume, {NOTE: None}, one.note.reclaim_policy)
            forget(self.connection, (one.made for one in self.replacements))
        except ClusterError as error:
            yield f"{error.message}; run the same command again, it goes on or back from here"

    def _bring_back(self, one: Replacement) -> None:
        live = find_claim(self.connection, one.ref)
        found = standing(live, one.note, one.volume)
        if found is Standing.OLD:
            return
        if found is Standing.FOREIGN:
            raise _foreign(one)
        if live is not None:
            delete_claim(self.connection, live)
            await_gone(self.connection, live, self.timeout, self.emit)
        self._release(one)
        create(self.connection, CLAIMS, with_old_volume(one.note, one.volume))
        await_bound(self.connection, one.ref, self.timeout, self.emit)

    def _release(self, one: Replacement) -> None:
        """Let the old volume wait for a claim of this name, whatever its UID will be."""
        volume = get(self.connection, VOLUMES, "", one.volume)
        held_for = volume["spec"].get("claimRef") or {}
        if "uid" not in held_for:
            return
        operations: list[Body] = [
            {"op": "test", "path": "/spec/claimRef/uid", "value": held_for["uid"]},
            {"op": "remove", "path": "/spec/claimRef/uid"},
        ]
        if "resourceVersion" in held_for:
            operations.append({"op": "remove", "path": "/spec/claimRef/resourceVersion"})
        patch(self.connection, VOLUMES, "", one.volume, operations)

    # -- looks ---------------------------------------------------------------------------------

    def _standing(self, one: Replacement) -> Standing:
        return standing(find_claim(self.connection, one.ref), one.note, one.volume)

    def _is_noted(self, one: Replacement) -> bool:
        volume = get(self.connection, VOLUMES, "", one.volume)
        return NOTE in (volume["metadata"].get("annotations") or {})

    def _mark(self, volume: str, annotations: Mapping[str, str | None], policy: str | None) -> None:
        change: Body = {"metadata": {"name": volume, "annotations": dict(annotations)}}
        if policy is not None:
            change["spec"] = {"persistentVolumeReclaimPolicy": policy}
        merge(self.connection, VOLUMES, change)


def _foreign(one: Replacement) -> ClusterError:
    return ClusterError(
        f"{one.ref}: somebody made another claim of this name meanwhile, and what is in its volume "
        "nobody knows",
        hint=f"delete that claim and run the same command again; the old volume is {one.volume}",
    )


def notes(connection: Connection) -> dict[str, Note]:
    """The notes of restores that have not ended, by volume.

    Raises ``CannotReplaceError`` for one that cannot be read, and ``ApiError``.
    """
    found: dict[str, Note] = {}
    for body in listed(connection, collection_path(VOLUMES)):
        note = note_of(body)
        if note is not None:
            found[body["metadata"]["name"]] = note
    return found


def find_volume(connection: Connection, name: str) -> Body | None:
    """A PersistentVolume; None if it is not there. Raises ``ApiError``."""
    return find(connection, VOLUMES, "", name)
