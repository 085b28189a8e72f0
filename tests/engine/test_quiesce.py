"""Applications are held still while their data is cut, and whatever happens let go again."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from exec_server import STDERR, Call, ExecServer, exec_serving
from fake_api import write_kubeconfig

from gitops_dr.cluster import exec as execution
from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.cluster.exec import Ran
from gitops_dr.engine.quiesce import Frozen, freezing, last_words, quiesce
from gitops_dr.events import Notice
from gitops_dr.model import Ref
from gitops_dr.volumes.hooks import Freeze, PodHooks
from gitops_dr.volumes.policy import Hook, OnError
from gitops_dr.volumes.records import Hooks

DATA = Ref("", "PersistentVolumeClaim", "shop", "data")
WAL = Ref("", "PersistentVolumeClaim", "shop", "wal")
DB, READER = (Ref("", "Pod", "shop", name) for name in ("db-7d9c4", "reader-x2x"))
NOTHING: dict[Ref, str] = {}
SECONDS = 20.0


def hook(word: str, timeout: float = SECONDS, *, fails: bool = True) -> Hook:
    return Hook((word,), "db", timeout, OnError.FAIL if fails else OnError.CONTINUE)


def freeze_of(*pods: PodHooks, claims: tuple[Ref, ...] = (DATA,), problems: Any = ()) -> Freeze:
    return Freeze(claims, pods, tuple(problems))


BOTH = PodHooks(DB, (hook("freeze"),), (hook("thaw"),))


@pytest.fixture
def server() -> Iterator[ExecServer]:
    with exec_serving() as started:
        yield started


@pytest.fixture
def connection(server: ExecServer, tmp_path: Path, monkeypatch) -> Connection:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(execution, "_PAUSE", 0.01)
    return connect(write_kubeconfig(tmp_path / "kubeconfig", server.url))


class Storage:
    """Cuts data, and remembers which commands had been run by then."""

    def __init__(self, server: ExecServer, reasons: Mapping[Ref, str] = NOTHING) -> None:
        self.server = server
        self.reasons = reasons
        self.cuts: list[tuple[tuple[Ref, ...], list[str]]] = []
        self.before: Callable[[threading.Event], None] = lambda _stop: None

    def cut(self, claims: Collection[Ref], stop: threading.Event) -> Mapping[Ref, str]:
        self.cuts.append((tuple(claims), self.server.commands()))
        self.before(stop)
        return self.reasons


def failing(code: int, said: bytes = b"", channel: int = STDERR) -> Callable[[Call], None]:
    def script(call: Call) -> None:
        call.say(said, channel)
        call.exit(code)

    return script


# -- the order of things ---------------------------------------------------------------------------


def test_the_data_is_cut_between_the_hooks(server, connection) -> None:
    storage = Storage(server)
    frozen = quiesce(connection, freeze_of(BOTH, claims=(DATA, WAL)), storage.cut)
    assert storage.cuts == [((DATA, WAL), ["freeze"])]
    assert server.commands() == ["freeze", "thaw"]
    assert [(call.pod, call.container) for call in server.calls] == [(DB.name, "db")] * 2
    assert frozen == Frozen((DATA, WAL), Hooks("ok", frozen.hooks.frozen_seconds))


def test_several_pods_are_let_go_in_the_opposite_order(server, connection) -> None:
    storage = Storage(server)
    first = PodHooks(DB, (hook("freeze-1"), hook("freeze-2")), (hook("thaw-1"), hook("thaw-2")))
    second = PodHooks(READER, (hook("stop"),), (hook("start"),))
    quiesce(connection, freeze_of(first, second), storage.cut)
    assert storage.cuts == [((DATA,), ["freeze-1", "freeze-2", "stop"])]
    assert server.commands()[3:] == ["start", "thaw-2", "thaw-1"]


@pytest.mark.parametrize("pod", [PodHooks(DB, BOTH.pre), PodHooks(DB, (), BOTH.post)])
def test_half_a_pair_is_enough(server, connection, pod) -> None:
    storage = Storage(server)
    frozen = quiesce(connection, freeze_of(pod), storage.cut)
    assert len(storage.cuts) == len(server.calls) == 1
    assert frozen.hooks.result == "ok"


def test_the_time_of_the_freeze_is_measured_from_begin_to_end(server, connection) -> None:
    server.on("freeze", lambda call: (time.sleep(0.1), call.exit(0)))
    server.on("thaw", lambda call: (time.sleep(0.1), call.exit(0)))
    storage = Storage(server)
    storage.before = lambda _stop: time.sleep(0.1)
    frozen = quiesce(connection, freeze_of(BOTH), storage.cut)
    first, last = server.calls
    while not last.ended:  # Its thread notes that once the client has the answer.
        time.sleep(0.01)
    assert last.ended - first.started >= 0.3
    assert frozen.hooks.frozen_seconds >= 0.3


def test_what_cannot_be_cut_is_told_and_the_rest_counts(server, connection) -> None:
    storage = Storage(server, {WAL: "it is not cut yet"})
    frozen = quiesce(connection, freeze_of(BOTH, claims=(DATA, WAL)), storage.cut)
    assert frozen.reasons == {WAL: "it is not cut yet"}
    assert frozen.hooks.result == "ok"
    assert server.commands() == ["freeze", "thaw"]


def test_hooks_that_cannot_be_run_and_need_not_are_told(server, connection) -> None:
    frozen = quiesce(connection, freeze_of(problems=["annotation x: y"]), Storage(server).cut)
    assert frozen == Frozen((DATA,), Hooks("failed", 0.0), {}, (f"{DATA}: annotation x: y",))


# -- whatever goes wrong, the application is let go ------------------------------------------------


def test_a_pre_hook_that_fails_costs_the_snapshots_of_the_whole_freeze(server, connection) -> None:
    server.on("stop", failing(3, b"cannot\nstop now\n"))
    storage = Storage(server)
    pods = (
        BOTH,
        PodHooks(READER, (hook("stop"), hook("never")), (hook("start"),)),
        PodHooks(DB, (hook("never"),), (hook("never"),)),
    )
    frozen = quiesce(connection, freeze_of(*pods, claims=(DATA, WAL)), storage.cut)
    assert storage.cuts == []
    assert server.commands() == ["freeze", "stop", "start", "thaw"]
    reason = "its pre hook failed in container db: it ended with exit code 3"
    assert frozen.reasons == {DATA: reason, WAL: reason}
    assert frozen.hooks.result == "failed"
    [note] = frozen.notes
    assert note == (
        f"{DATA}, {WAL}: its pre hook failed in container db of {READER}: "
        "it ended with exit code 3: stop now"
    )


def test_a_pre_hook_that_may_fail_costs_nothing(server, connection) -> None:
    server.on("freeze", failing(1))
    storage = Storage(server)
    pod = PodHooks(DB, (hook("freeze", fails=False), hook("next")), (hook("thaw"),))
    frozen = quiesce(connection, freeze_of(pod), storage.cut)
    assert storage.cuts == [((DATA,), ["freeze", "next"])]
    assert server.commands()[-1] == "thaw"
    assert frozen.reasons == {}
    assert frozen.hooks.result == "failed"
    assert len(frozen.notes) == 1


@pytest.mark.parametrize("fails", [True, False])
def test_a_post_hook_that_fails(server, connection, fails) -> None:
    server.on("thaw", failing(1, b"busy"))
    pod = PodHooks(DB, BOTH.pre, (hook("last", fails=fails), hook("thaw", fails=fails)))
    frozen = quiesce(connection, freeze_of(pod), Storage(server).cut)
    assert server.commands() == ["freeze", "thaw", "last"]
    reason = "its post hook failed in container db: it ended with exit code 1"
    assert frozen.reasons == ({DATA: reason} if fails else {})
    assert frozen.hooks.result == "failed"
    [note] = frozen.notes
    assert note.endswith("exit code 1: busy; the application may still be held still")


def test_a_hook_that_does_not_end_is_given_up(server, connection) -> None:
    server.on("freeze", lambda call: call.until_the_client_goes())
    storage = Storage(server)
    pod = PodHooks(DB, (hook("freeze", 0.3),), (hook("thaw"),))
    frozen = quiesce(connection, freeze_of(pod), storage.cut)
    assert 0.3 <= frozen.hooks.frozen_seconds < SECONDS
    assert storage.cuts == []
    assert server.commands() == ["freeze", "thaw"]
    reason = "its pre hook failed in container db: it did not end within 0.3 s"
    assert frozen.reasons == {DATA: reason}


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        ((403, {"kind": "Status", "reason": "Forbidden", "message": "no"}), "(Forbidden)"),
        ((404, {"kind": "Status", "reason": "NotFound", "message": "gone"}), "(NotFound)"),
        ((502, b""), "(HTTP 502)"),
        ((302, b""), "(no answer)"),
    ],
)
def test_a_hook_that_cannot_be_run(server, connection, refusal, why) -> None:
    server.refusals = [refusal]
    frozen = quiesce(connection, freeze_of(BOTH), Storage(server).cut)
    assert frozen.reasons == {
        DATA: f"its pre hook failed in container db: it could not be run {why}"
    }
    assert ("get and create on pods/exec" in frozen.notes[0]) == (refusal[0] == 403)
    # The pod may hold still nevertheless: who knows what of the request came through.
    assert server.commands() == ["thaw"]


def test_a_connection_that_is_cut_in_the_middle_is_a_failure(server, connection) -> None:
    server.on("freeze", lambda call: call.reset())
    frozen = quiesce(connection, freeze_of(BOTH), Storage(server).cut)
    assert "(no answer)" in frozen.reasons[DATA]
    assert server.commands() == ["freeze", "thaw"]


def test_a_reason_names_no_pod_and_repeats_no_words(server, connection) -> None:
    """Reasons are kept in Git."""
    server.on("freeze", failing(1, b"hunter2"))
    frozen = quiesce(connection, freeze_of(BOTH), Storage(server).cut)
    assert DB.name not in frozen.reasons[DATA]
    assert "hunter2" not in frozen.reasons[DATA]


def test_an_api_server_that_fails_during_the_freeze_costs_the_snapshots(server, connection) -> None:
    def lost(_claims, _stop):
        raise ApiError("no answer", status=0)

    frozen = quiesce(connection, freeze_of(BOTH, claims=(DATA, WAL)), lost)
    assert frozen.reasons == dict.fromkeys((DATA, WAL), "its snapshot cannot be made: no answer")
    assert server.commands() == ["freeze", "thaw"]


def test_even_a_bug_lets_go(server, connection) -> None:
    def broken(_claims, _stop):
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        quiesce(connection, freeze_of(BOTH), broken)
    assert server.commands() == ["freeze", "thaw"]


# -- several at once, and interrupted --------------------------------------------------------------


def test_freezes_go_on_beside_each_other_and_beside_the_block(server, connection) -> None:
    together = threading.Barrier(3)

    def meet(call: Call) -> None:
        together.wait(SECONDS)
        call.exit(0)

    server.on("freeze", meet)
    storage = Storage(server)
    freezes = [freeze_of(BOTH), freeze_of(BOTH, claims=(WAL,))]
    found: list[Frozen] = []
    with freezing(connection, freezes, storage.cut, lambda _event: None) as going:
        assert going.busy
        together.wait(SECONDS)
        while going.busy:
            found += going.ended(SECONDS)
    assert sorted(frozen.claims for frozen in found) == [(DATA,), (WAL,)]
    assert going.ended(0.0) == []


def test_a_block_that_is_over_early_waits_for_what_is_held_still(server, connection) -> None:
    with freezing(connection, [freeze_of(BOTH)], Storage(server).cut, lambda _event: None):
        pass
    assert server.commands() == ["freeze", "thaw"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_lets_go_what_is_held_still_and_begins_with_nothing_more(
    server, connection, error
) -> None:
    storage = Storage(server)
    inside = threading.Semaphore(0)

    def until_stopped(stop: threading.Event) -> None:
        inside.release()
        assert stop.wait(SECONDS)

    storage.before = until_stopped
    events: list[Any] = []
    many = [
        freeze_of(BOTH, claims=(Ref("", "PersistentVolumeClaim", "shop", f"data-{i:02}"),))
        for i in range(20)
    ]

    def interrupted() -> None:
        with freezing(connection, many, storage.cut, events.append):
            for _ in range(8):
                assert inside.acquire(timeout=SECONDS)
            raise error

    with pytest.raises(error):
        interrupted()
    assert sorted(server.commands()) == ["freeze"] * 8 + ["thaw"] * 8
    assert events == [Notice("stopping; what is held still is let go first")]


@pytest.mark.parametrize("more", [(), (hook("never"),)])
def test_an_interruption_while_a_pre_hook_runs_waits_for_it_and_cuts_nothing(
    server, connection, more
) -> None:
    """Otherwise the pre hook might hold still what the post hook has let go."""
    stop, release = threading.Event(), threading.Event()

    def slow(call: Call) -> None:
        assert release.wait(SECONDS)
        call.exit(0)

    server.on("freeze", slow)
    storage = Storage(server)
    pod = PodHooks(DB, (hook("freeze"), *more), (hook("thaw"),))
    found: list[Frozen] = []
    thread = threading.Thread(
        target=lambda: found.append(quiesce(connection, freeze_of(pod), storage.cut, stop))
    )
    thread.start()
    call = server.wait_for("freeze")
    stop.set()
    release.set()
    thread.join(SECONDS)
    assert storage.cuts == []
    assert server.commands() == ["freeze", "thaw"]
    assert server.calls[1].started >= call.ended > 0
    assert found[0].reasons == {DATA: "the run was interrupted"}


PROGRAM = """
import signal, sys
sys.path[:0] = ["tests", "tests/engine"]
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
from test_quiesce import BOTH, freeze_of
from gitops_dr.cluster.connect import connect
from gitops_dr.engine.quiesce import freezing

def cut(claims, stop):
    print("cut", flush=True)
    stop.wait(60)
    return {}

try:
    with freezing(connect(Path(sys.argv[1])), [freeze_of(BOTH)], cut, print) as going:
        while going.busy:
            going.ended(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_go_before_the_process_ends(server, connection, tmp_path, number) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "kubeconfig")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"cut\n"
        assert server.commands() == ["freeze"]
        process.send_signal(number)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
    assert server.commands() == ["freeze", "thaw"]


def test_signals_are_left_as_they_were(server, connection) -> None:
    seen = {}

    def during() -> None:
        for each in (signal.SIGTERM, signal.SIGHUP):
            seen[each] = signal.getsignal(each)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with freezing(connection, [freeze_of(BOTH)], Storage(server).cut, lambda _event: None):
            during()
        assert seen[signal.SIGTERM] is signal.default_int_handler
        assert seen[signal.SIGHUP] is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with freezing(connection, [], Storage(server).cut, lambda _event: None):
            during()
        assert seen[signal.SIGTERM] is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


# -- last words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stderr", "stdout", "words"),
    [
        (b"fsfreeze: /data: Operation not supported\n", b"", "fsfreeze: /data: Operation not"),
        (b"\n\n", b"only this\n", "only this"),
        (b"", b"", ""),
        (b"first\nlast  \n\n", b"other", "last"),
        (b"\xff\xfe", b"", "\ufffd\ufffd"),
        (b"x" * 5000, b"", "x" * 199 + "…"),
        (b"connect to postgres://u:hunter2@db/shop failed", b"", "postgres://***@db/shop failed"),
        (b"PASSWORD=hunter2 is wrong", b"", "PASSWORD= ***"),
        (b"api-key: hunter2", b"", "api-key: ***"),
        (b"DB_PASSWORD_FILE = hunter2", b"", "DB_PASSWORD_FILE = ***"),
        (b"Authorization: Bearer hunter2", b"", "Bearer ***"),
        (
            b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64 + b"\n-----END PRIVATE KEY-----\nhunter2",
            b"",
            "what it said is not shown",
        ),
    ],
)
def test_the_last_words_are_told_without_credentials(stderr, stdout, words) -> None:
    told = last_words(Ran(1, stdout, stderr))
    assert words in told
    assert bool(told) == bool(words)
    assert "hunter2" not in told
    assert "\n" not in told
    assert len(told) <= 200
