"""Holds a cluster for a whole run by a Lease, so that no other run works on it meanwhile.

Writes one Lease in our own namespace, and that namespace if it is not there. The clocks of two
hosts are never compared to call a holder dead: it is dead if it ran here and its process is gone,
or if its Lease was watched for as long as it lasts and was not renewed.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from gitops_dr.cluster.apply import create, get
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import object_path
from gitops_dr.cluster.record import NAMESPACE, ensure_namespace
from gitops_dr.errors import RefusedError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.model import Body, Holder, Resource, read_holder

LEASE = "cluster"
"""One for all verbs: whoever reads the whole cluster into Git must not read a half-built one."""

HOLDER = "gitops-dr.dev/holder"
"""The annotation that says who holds it."""

DURATION = 30
"""Seconds that a Lease lasts without being renewed."""

RENEW_EVERY = 10.0
"""Seconds; so two renewals in a row may fail."""

_LONGEST = 120
"""Seconds that any Lease is believed to last, whatever it says."""

_LOOK_EVERY = 1.0
_AGAIN = 0.05
_UNKNOWN = (0, 500, 502, 503, 504)
"""Answers after which nobody knows whether the Lease was stored: it is looked at again."""
_UNKNOWN_AT_MOST = 5
_PATIENCE = 5.0
"""Seconds that a run waits in the end for a renewal that is under way."""

_LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
_WITHOUT = (401, 403, 404, 405)
"""What an API server answers whom it does not let write there, or that has no Leases."""
_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


class _LacksPermissionError(Exception):
    """Nobody lets us write our Lease; says so in the API server's words."""


def this_run(command: str) -> Holder:
    """Describe this process as the holder of something; ``command`` is the verb."""
    import getpass
    import uuid

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return Holder(
        run=str(uuid.uuid4()),
        host=os.uname().nodename,
        user=user,
        pid=os.getpid(),
        command=f"gitops-dr {command}",
        since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        machine=_machine(),
        started=_process(os.getpid())[1],
    )


def is_gone(holder: Holder) -> bool:
    """Whether the holder's process is known to have ended: it ran here and is not there any more.

    False where nobody can tell, on another host above all.
    """
    if not holder.machine or holder.machine != _machine() or holder.pid <= 0:
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    state, started = _process(holder.pid)
    # What ended by a signal stays as a zombie until its parent has asked for it.
    return state == "Z" or (bool(holder.started and started) and holder.started != started)


def look(connection: Connection) -> Holder | None:
    """Who holds the cluster now, as far as we may know; None for a holder who seems dead.

    Raises ``ApiError`` if the API server does not answer.
    """
    try:
        found = get(connection, _LEASES, NAMESPACE, LEASE)
    except ApiError as error:
        if error.status in _WITHOUT:
            return None
        raise
    holder = _holder(found)
    is_fresh = 0 <= _age(found) <= _duration(found)
    return holder if holder is not None and is_fresh and not is_gone(holder) else None


@contextmanager
def held(
    connection: Connection,
    holder: Holder,
    *,
    emit: Emit = silent,
    duration: int = DURATION,
    renew_every: float = RENEW_EVERY,
) -> Iterator[None]:
    """Hold the cluster until the block ends, renewing the Lease in the background.

    Who lacks the permission goes on without, and a ``Notice`` says so. If another run takes the
    Lease over, because this one could not renew it in time, the block is interrupted as by Ctrl-C
    and that becomes a ``RefusedError``. Raises ``RefusedError`` that names who holds it, and
    ``ApiError`` if the API server fails.
    """
    lease = Lease(connection, holder, emit, duration=duration)
    try:
        lease.acquire()
    except _LacksPermissionError as error:
        emit(Notice(f"{lease}: cannot be held, so another run may work meanwhile: {error}"))
        yield
        return
    with _interruption() as number:
        renewal = _Renewal(lease, renew_every, number)
        renewal.start()
        try:
            yield
        except KeyboardInterrupt:
            if renewal.lost_to is None:
                raise
            raise RefusedError(
                f"{lease}: was taken over by {renewal.lost_to}, because it was not renewed in time",
                hint="wait until that has ended and run this again; it goes on from here",
            ) from None
        finally:
            # One that hangs in an API server that does not answer could not be let go either.
            if renewal.stop() and renewal.lost_to is None:
                lease.release()


@contextmanager
def _interruption() -> Iterator[signal.Signals | None]:
    """Give the signal that interrupts the work; None outside the main thread, where none does.

    A script's background ignores what Ctrl-C sends, so another signal is made to do the same there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
    elif callable(signal.getsignal(signal.SIGINT)):
        yield signal.SIGINT
    else:
        before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
        try:
            yield signal.SIGUSR1
        finally:
            signal.signal(signal.SIGUSR1, before or signal.SIG_DFL)


@dataclass(slots=True)
class Lease:
    """The Lease as one run sees it."""

    connection: Connection
    holder: Holder
    emit: Emit = silent
    duration: int = DURATION
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _version: str = field(default="", init=False)
    _unknown: int = field(default=0, init=False)

    def __str__(self) -> str:
        """Name it, with the cluster that it stands for."""
        return f"{self.connection.context or self.connection.server}: Lease {NAMESPACE}/{LEASE}"

    def acquire(self) -> None:
        """Take the Lease: a new one, one that is let go, or a dead holder's.

        Raises ``RefusedError`` that names a holder who lives or may live.
        """
        watched, since = "", 0.0
        while True:
            found = self._read()
            other = _holder(found) if found else None
            if found is None or other is None or other.run == self.holder.run or is_gone(other):
                if self._take(found):
                    self._say_taken(other)
                    return
                # Somebody was quicker, and is looked at next.
                self.pause(_AGAIN)
                continue
            version, lasts = found["metadata"].get("resourceVersion", ""), _duration(found)
            if watched and version != watched:
                raise self._refusal(other)
            if not watched:
                if 0 <= _age(found) <= lasts:
                    raise self._refusal(other)
                watched, since = version, self.clock()
                self.emit(Notice(f"{self}: is {other}'s, who seems dead; watching for {lasts} s"))
            elif self.clock() - since >= lasts and self._take(found):
                self._say_taken(other)
                return
            self.pause(_LOOK_EVERY)

    def renew(self) -> Holder | None:
        """Say that this run lives; gives the other holder if it has the Lease no more.

        Raises ``ApiError``.
        """
        found = self._read()
        other = _holder(found) if found else None
        if other is not None and other.run != self.holder.run:
            return other
        self._write(found)
        return None

    def release(self) -> None:
        """Let it go, if it is still ours. What fails here ends by itself, when the Lease does."""
        with suppress(ApiError, _LacksPermissionError):
            found = self._read()
            other = _holder(found) if found else None
            if found and other and other.run == self.holder.run:
                self._write(found, release=True)

    def _say_taken(self, other: Holder | None) -> None:
        if other is not None and other.run != self.holder.run:
            self.emit(Notice(f"{self}: taken over; its holder is dead: {other}"))

    def _read(self) -> Body | None:
        try:
            return get(self.connection, _LEASES, NAMESPACE, LEASE)
        except ApiError as error:
            if error.status == 404:
                return None
            raise _as_permission(error) from error

    def _take(self, found: Body | None) -> bool:
        """As :meth:`_write`, but False also where nobody knows, a few times."""
        try:
            return self._write(found)
        except ApiError as error:
            self._unknown += 1
            if error.status not in _UNKNOWN or self._unknown > _UNKNOWN_AT_MOST:
                raise
            self.pause(_LOOK_EVERY)
            return False

    def _write(self, found: Body | None, *, release: bool = False) -> bool:
        """Put the Lease there as ours, in the place of just the version that was found.

        False if somebody else was quicker. Raises ``ApiError``.
        """
        now = datetime.now(UTC).strftime(_MOMENT)
        spec = (found or {}).get("spec") or {}
        ours = _holder(found) if found else None
        kept = ours is not None and ours.run == self.holder.run
        body: Body = {
            "apiVersion": _LEASES.api_version,
            "kind": _LEASES.kind,
            "metadata": {
                "namespace": NAMESPACE,
                "name": LEASE,
                "annotations": {HOLDER: json.dumps(asdict(self.holder))},
            },
            "spec": {
                "holderIdentity": f"{self.holder.user}@{self.holder.host}/{self.holder.run}",
                "leaseDurationSeconds": self.duration,
                "acquireTime": (spec.get("acquireTime") or now) if kept else now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (not kept),
            },
        }
        if release:
            body["metadata"]["annotations"] = {}
            body["spec"] = {"leaseTransitions": body["spec"]["leaseTransitions"]}
        try:
            if found is None:
                ensure_namespace(self.connection)
                create(self.connection, _LEASES, body)
            else:
                body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
                path = object_path(_LEASES, NAMESPACE, LEASE)
                self.connection.request("PUT", path, body=orjson.dumps(body))
        except ApiError as error:
            if error.status == 409:
                return False
            raise _as_permission(error) from error
        return True

    def _refusal(self, other: Holder) -> RefusedError:
        return RefusedError(
            f"{self}: is held by {other}",
            hint="wait until that has ended; if it has died, its Lease ends "
            f"{self.duration} seconds after it was last renewed",
        )


class _Renewal:
    """A thread that renews the Lease until it is stopped, or until another run has it."""

    def __init__(self, lease: Lease, every: float, number: signal.Signals | None) -> None:
        self.lost_to: Holder | None = None
        self._lease = lease
        self._every = every
        self._stopped = threading.Event()
        self._number = number
        """The signal that interrupts the work; without one the loss is only told."""
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """End it; False if it is still busy, with an API server that does not answer."""
        self._stopped.set()
        self._thread.join(_PATIENCE)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failing = ""
        while not self._stopped.wait(self._every):
            try:
                self.lost_to = self._lease.renew()
            except (ApiError, _LacksPermissionError) as error:
                # As long as the API server does not answer us it takes no other's Lease either.
                if not failing:
                    failing = str(error)
                    self._lease.emit(Notice(f"{self._lease}: cannot be renewed: {failing}"))
                continue
            failing = ""
            if self.lost_to is not None:
                self._lease.emit(Notice(f"{self._lease}: was taken over by {self.lost_to}"))
                if self._number is not None:
                    signal.pthread_kill(threading.main_thread().ident or 0, self._number)
                return


def _as_permission(error: ApiError) -> Exception:
    return _LacksPermissionError(error.message) if error.status in _WITHOUT else error


def _holder(lease: Body) -> Holder | None:
    """Who holds a Lease; None if nobody does."""
    identity = (lease.get("spec") or {}).get("holderIdentity")
    if not identity:
        return None
    told = (lease["metadata"].get("annotations") or {}).get(HOLDER)
    found = read_holder(told) if isinstance(told, str) else None
    if found is not None and str(identity).endswith(f"/{found.run}"):
        return found
    return Holder(run=str(identity), host="", user="", pid=0, command="", since="")


def _duration(lease: Body) -> int:
    """Seconds that it lasts after each renewal."""
    said = (lease.get("spec") or {}).get("leaseDurationSeconds")
    return min(said, _LONGEST) if isinstance(said, int) and said > 0 else DURATION


def _age(lease: Body) -> float:
    """Seconds since it was last renewed, by two clocks that may differ; -1 if nobody knows."""
    spec: Mapping[str, Any] = lease.get("spec") or {}
    said = spec.get("renewTime") or spec.get("acquireTime")
    try:
        renewed = datetime.fromisoformat(str(said))
        return (datetime.now(UTC) - renewed).total_seconds()
    except (TypeError, ValueError):
        return -1.0


def _machine() -> str:
    """Name this start of this host and its namespace of process ids; empty where nobody tells."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):
        return ""


def _process(pid: int) -> tuple[str, str]:
    """The state of a process, and when it began in ticks since the host did; empty if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return "", ""
    # Its name stands in parentheses and may hold any of them.
    facts = stat.rpartition(b")")[2].decode().split()
    return (facts[0], facts[19]) if len(facts) > 19 else ("", "")
