"""Holds applications still while their data is cut, and lets each of them go again. Runs commands.

Whatever happens in between, the post hooks of every pod that was begun with are run: also if a pre
hook fails half way, the snapshot fails, or somebody interrupts us. Only what ends this process at
once (``kill -9``) leaves an application held still.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.exec import Ran, run
from gitops_dr.events import Emit, Notice
from gitops_dr.model import Ref
from gitops_dr.secrets.guard import objection
from gitops_dr.volumes.hooks import Freeze, PodHooks
from gitops_dr.volumes.policy import Hook, OnError
from gitops_dr.volumes.records import Hooks

_AT_ONCE = 8
"""Freezes at once."""
_MOST_WORDS = 200
"""Characters of what a failed command said that are told."""
_CREDENTIALS = (
    (re.compile(r"(?<=://)[^/\s]*@"), r"***@"),
    (
        re.compile(r"(?i)((?:passw|pwd|secret|token|credential|api.?key)[^\s=:]*\s*[=:]).*"),
        r"\1 ***",
    ),
    (re.compile(r"(?i)\b((?:bearer|basic)\s).*"), r"\1***"),
)

Cut = Callable[[Collection[Ref], threading.Event], Mapping[Ref, str]]
"""Cuts the data of these claims, and comes back when that is done; gives the reasons where it is
not. It comes back soon once the event is set. May raise ``ApiError``."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What came of one freeze."""

    claims: tuple[Ref, ...]
    hooks: Hooks
    reasons: Mapping[Ref, str] = field(default_factory=dict)
    """Claims whose snapshot must not be relied on. A reason is kept, so it names no pod."""
    notes: tuple[str, ...] = ()
    """What went wrong, with the pod and the command's last words; one line each."""


class Freezing:
    """The freezes that are going on."""

    def __init__(self, running: Iterable[Future[Frozen]]) -> None:
        self._running = set(running)

    @property
    def busy(self) -> bool:
        """Whether something is to come."""
        return bool(self._running)

    def ended(self, seconds: float) -> list[Frozen]:
        """Those that have ended since; waits so long if there are none."""
        if not self._running:
            time.sleep(seconds)
            return []
        done, self._running = wait(self._running, seconds, FIRST_COMPLETED)
        return sorted((each.result() for each in done), key=lambda frozen: frozen.claims)


@contextmanager
def freezing(
    connection: Connection, freezes: Collection[Freeze], cut: Cut, emit: Emit
) -> Iterator[Freezing]:
    """Carry out the freezes beside the block, several at once, and do not leave it before they end.

    If the block ends by an exception, which SIGTERM and SIGHUP then are too, what is held still is
    let go first, and what is not yet is not begun with.
    """
    stop = threading.Event()
    running: list[Future[Frozen]] = []
    with _signals_interrupt(wanted=bool(freezes)), ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            running.extend(pool.submit(quiesce, connection, one, cut, stop) for one in freezes)
            yield Freezing(running)
        except BaseException:
            stop.set()
            if not all(future.done() for future in running):
                emit(Notice("stopping; what is held still is let go first"))
            raise


def quiesce(
    connection: Connection, freeze: Freeze, cut: Cut, stop: threading.Event | None = None
) -> Frozen:
    """Hold the pods of a freeze still, cut the data of its claims, and let the pods go.

    A hook that fails and must not costs all claims of the freeze their snapshots. Raises nothing
    that the API server causes.
    """
    stop = stop or threading.Event()
    hooks = _Runner(connection, freeze)
    reasons: dict[Ref, str] = {}
    started = time.monotonic()
    try:
        with ExitStack() as held:
            if all(hooks.hold(pod, held, stop) for pod in freeze.pods) and not stop.is_set():
                reasons.update(cut(freeze.claims, stop))
    except ApiError as error:
        reasons = dict.fromkeys(freeze.claims, f"its snapshot cannot be made: {error.message}")
    seconds = time.monotonic() - started
    refusal = hooks.refusal or ("the run was interrupted" if stop.is_set() else "")
    if refusal:
        reasons = dict.fromkeys(freeze.claims, refusal)
    any_run = any(pod.pre or pod.post for pod in freeze.pods)
    return Frozen(
        claims=freeze.claims,
        hooks=Hooks(
            "failed" if hooks.notes else "ok" if any_run else "none", seconds if any_run else 0.0
        ),
        reasons=reasons,
        notes=tuple(hooks.notes),
    )


class _Runner:
    """Runs the hooks of one freeze and remembers what failed."""

    def __init__(self, connection: Connection, freeze: Freeze) -> None:
        self._connection = connection
        self._about = ", ".join(map(str, freeze.claims))
        self.notes = [f"{self._about}: {problem}" for problem in freeze.problems]
        self.refusal = ""
        """Why the claims must not have snapshots; empty if they may."""

    def hold(self, pod: PodHooks, held: ExitStack, stop: threading.Event) -> bool:
        """Run a pod's pre hooks; ``held`` will run its post hooks. False to go no further."""
        if stop.is_set():
            return False
        held.callback(self._release, pod)
        return all(not stop.is_set() and self._run("pre", pod.pod, hook) for hook in pod.pre)

    def _release(self, pod: PodHooks) -> None:
        for hook in reversed(pod.post):
            self._run("post", pod.pod, hook)

    def _run(self, phase: str, pod: Ref, hook: Hook) -> bool:
        """Run one hook; says whether all is well, or need not be."""
        problem, words = self._attempt(pod, hook)
        if not problem:
            return True
        where = f"{phase} hook failed in container {hook.container}"
        still = "; the application may still be held still" if phase == "post" else ""
        self.notes.append(f"{self._about}: its {where} of {pod}: {problem}{words}{still}")
        if hook.on_error is OnError.CONTINUE:
            return True
        self.refusal = self.refusal or f"its {where}: {problem}"
        return False

    def _attempt(self, pod: Ref, hook: Hook) -> tuple[str, str]:
        """What went wrong, and in which words; both empty if nothing did."""
        try:
            ran = run(self._connection, pod, hook.container, hook.command, timeout=hook.timeout)
        except ApiError as error:
            if error.reason == "Timeout":
                return f"it did not end within {hook.timeout:g} s", ""
            why = error.reason or (f"HTTP {error.status}" if error.status else "no answer")
            hint = f" ({error.hint})" if error.hint else ""
            return f"it could not be run ({why})", f": {error.message}{hint}"
        if ran.exit_code == 0:
            return "", ""
        words = last_words(ran)
        return f"it ended with exit code {ran.exit_code}", f": {words}" if words else ""


def last_words(ran: Ran) -> str:
    """The last line that a command said, without what looks like a credential, and not too long."""
    said = ran.stderr.strip() or ran.stdout.strip()
    if objection("", said):
        return "what it said is not shown, because it holds a key or a Secret"
    line = said.rpartition(b"\n")[2].decode(errors="replace").strip()
    for pattern, instead in _CREDENTIALS:
        line = pattern.sub(instead, line)
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 1]}…"


@contextmanager
def _signals_interrupt(*, wanted: bool) -> Iterator[None]:
    """Let what asks us to end do so as Ctrl-C does, if nobody said otherwise."""
    changed = []
    if wanted and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            # What was started by nohup ignores SIGHUP, and shall.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)
                changed.append(number)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
