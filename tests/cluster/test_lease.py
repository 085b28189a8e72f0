"""One run at a time on a cluster: who is refused, who is dead, and what becomes of a lost Lease."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from fake_api import refusal, reply

from gitops_dr.cluster import lease as leases
from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.lease import DURATION, HOLDER, Lease, held, is_gone, this_run
from gitops_dr.errors import ExitCode, RefusedError
from gitops_dr.events import Notice

NAMESPACE = "/api/v1/namespaces/gitops-dr"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/gitops-dr/leases"
PATH = f"{LEASES}/cluster"

ELSEWHERE = replace(
    this_run("rebuild"), run="other", host="laptop", user="alice", pid=4711, machine="there"
)


class Server:
    """A Lease as an API server keeps it: one version after the other, and no write over another."""

    def __init__(self, api) -> None:
        self.body = None
        self.version = 0
        self.before_write = []
        self._one_at_a_time = threading.RLock()
        api.on(NAMESPACE, reply({"metadata": {"name": "gitops-dr"}}))
        api.on(PATH, self._get)
        api.on(PATH, self._put, method="PUT")
        api.on(LEASES, self._post, method="POST")

    def hold(self, holder, *, ago: float = 0.0, lasts: object = DURATION) -> None:
        renewed = datetime.now(UTC) - timedelta(seconds=ago)
        self.store(
            {
                "metadata": {
                    "name": "cluster",
                    "annotations": {HOLDER: json.dumps(asdict(holder))},
                },
                "spec": {
                    "holderIdentity": f"{holder.user}@{holder.host}/{holder.run}",
                    "leaseDurationSeconds": lasts,
                    "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                },
            }
        )

    def store(self, body):
        with self._one_at_a_time:
            self.version += 1
            body["metadata"]["resourceVersion"] = str(self.version)
            self.body = body

    @property
    def run(self) -> str:
        return (self.body["spec"].get("holderIdentity") or "/").rpartition("/")[2]

    def _get(self, _request):
        return reply(self.body) if self.body else refusal(404, "NotFound", "no such lease")

    def _meanwhile(self):
        if self.before_write:
            self.before_write.pop(0)()

    def _put(self, request):
        self._meanwhile()
        body = request.json
        with self._one_at_a_time:
            if body["metadata"]["resourceVersion"] != str(self.version):
                return refusal(409, "Conflict", "changed meanwhile")
            self.store(body)
            return reply(body)

    def _post(self, request):
        self._meanwhile()
        with self._one_at_a_time:
            if self.body:
                return refusal(409, "AlreadyExists", "is there")
            self.store(request.json)
            return reply(self.body, 201)


@pytest.fixture
def server(api):
    return Server(api)


@pytest.fixture
def said():
    return []


@pytest.fixture
def clock(server):
    """A clock that only pauses move; ``during`` is called at each."""

    class Clock:
        now = 0.0
        during = staticmethod(lambda: None)

        def __call__(self) -> float:
            return self.now

        def pause(self, seconds: float) -> None:
            self.now += seconds
            self.during()

    return Clock()


@pytest.fixture
def lease(connection, clock, said):
    me = this_run("export")
    return Lease(
        connection, me, lambda event: said.append(event.text), clock=clock, pause=clock.pause
    )


def test_the_first_one_takes_it_and_lets_it_go(server, lease):
    lease.acquire()
    spec = server.body["spec"]
    assert server.run == lease.holder.run
    assert spec["leaseDurationSeconds"] == DURATION
    assert spec["renewTime"] == spec["acquireTime"]
    lease.release()
    assert "holderIdentity" not in server.body["spec"]
    assert HOLDER not in server.body["metadata"]["annotations"]
    lease.acquire()
    assert server.run == lease.holder.run


def test_our_namespace_is_made_if_it_is_not_there(api, server, lease):
    api.on(NAMESPACE, refusal(404, "NotFound", "no such namespace"))
    api.on("/api/v1/namespaces", reply({"metadata": {"name": "gitops-dr"}}, 201), method="POST")
    lease.acquire()
    assert len(api.asked("/api/v1/namespaces", "POST")) == 1


def test_who_lives_is_named(server, lease):
    server.hold(ELSEWHERE, ago=5)
    with pytest.raises(RefusedError) as caught:
        lease.acquire()
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.message.startswith("fake: Lease gitops-dr/cluster: is held by ")
    for fact in ("alice@laptop", "4711", "gitops-dr rebuild", ELSEWHERE.since):
        assert fact in caught.value.message
    assert server.run == "other"


def test_who_ran_here_and_is_gone_is_dead_at_once(server, lease, clock, said):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    server.hold(replace(ELSEWHERE, machine=lease.holder.machine, pid=process.pid))
    lease.acquire()
    assert server.run == lease.holder.run
    assert clock.now == 0
    assert "its holder is dead: alice@laptop" in said[0]


def test_who_does_not_renew_while_being_watched_is_dead(server, lease, clock, said):
    server.hold(ELSEWHERE, ago=3600, lasts=7)
    lease.acquire()
    assert server.run == lease.holder.run
    assert clock.now == pytest.approx(7)
    assert "watching for 7 s" in said[0]
    assert "taken over" in said[1]


@pytest.mark.parametrize("ago", [3600, -3600], ids=["behind", "ahead"])
def test_a_holder_whose_clock_is_wrong_and_who_renews_lives(server, lease, clock, ago):
    server.hold(ELSEWHERE, ago=ago)
    clock.during = lambda: server.hold(ELSEWHERE, ago=ago) if clock.now == 5 else None
    with pytest.raises(RefusedError):
        lease.acquire()
    assert clock.now == 5
    assert server.run == "other"


def test_another_who_takes_it_over_first_is_named(server, lease):
    server.hold(ELSEWHERE, ago=3600, lasts=3)
    quicker = replace(ELSEWHERE, run="third", user="bob")
    server.before_write = [lambda: server.hold(quicker)]
    with pytest.raises(RefusedError, match="bob@laptop"):
        lease.acquire()
    assert server.run == "third"


def test_another_who_makes_it_first_is_named(server, lease):
    server.before_write = [lambda: server.hold(ELSEWHERE)]
    with pytest.raises(RefusedError, match="alice@laptop"):
        lease.acquire()


@pytest.mark.parametrize("lasts", [10**9, 0, -1, None, "x"])
def test_a_lease_that_says_it_lasts_for_ever_does_not(server, lease, clock, lasts):
    server.hold(ELSEWHERE, ago=10**6, lasts=lasts)
    lease.acquire()
    assert clock.now <= 120


@pytest.mark.parametrize("told", [None, "", "{", json.dumps({"run": "x"}), "[" * 100_000])
def test_a_holder_who_does_not_introduce_himself(server, lease, told):
    server.hold(ELSEWHERE)
    server.body["metadata"]["annotations"] = {} if told is None else {HOLDER: told}
    with pytest.raises(RefusedError, match="held by alice@laptop/other"):
        lease.acquire()


def test_a_name_left_by_another_is_not_believed(server, lease):
    """The annotation of one that is gone, and the identity of one that lives."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = replace(ELSEWHERE, run="dead", machine=lease.holder.machine, pid=process.pid)
    server.hold(dead)
    server.body["spec"]["holderIdentity"] = "someone-else"
    with pytest.raises(RefusedError, match="held by someone-else"):
        lease.acquire()


@pytest.mark.parametrize("status", [401, 403, 405])
@pytest.mark.parametrize(("path", "method"), [(PATH, "GET"), (LEASES, "POST"), (NAMESPACE, "GET")])
def test_without_permission_one_goes_on_and_says_so(
    api, server, connection, said, status, path, method
):
    api.on(path, refusal(status, "Forbidden", "alice may not"), method=method)
    with held(connection, this_run("export"), emit=said.append):
        pass
    assert [type(event) for event in said] == [Notice]
    assert "cannot be held" in said[0].text
    assert "alice may not" in said[0].text


@pytest.mark.parametrize("was_stored", [True, False])
@pytest.mark.parametrize("was_there", [True, False])
def test_an_answer_that_leaves_it_open_is_looked_at_again(
    api, server, lease, was_there, was_stored
):
    if was_there:
        lease.acquire()
        lease.release()
    path, method = (PATH, "PUT") if was_there else (LEASES, "POST")
    real = server._put if was_there else server._post

    def unlucky(request):
        if was_stored:
            real(request)
        return refusal(500, "InternalError", "etcdserver: request timed out")

    api.on(path, unlucky, real, method=method)
    lease.acquire()
    assert server.run == lease.holder.run


def test_an_api_server_that_fails_is_no_lack_of_permission(api, server, connection, monkeypatch):
    monkeypatch.setattr(leases, "_LOOK_EVERY", 0.0)
    api.on(LEASES, refusal(500, "InternalError", "etcd is away"), method="POST")
    with pytest.raises(ApiError, match="etcd is away"), held(connection, this_run("export")):
        pytest.fail("held")
    assert len(api.asked(LEASES, "POST")) == 6


def test_a_write_that_was_stored_and_not_answered_is_ours(api, server, lease):
    lease.acquire()
    lease.acquire()
    assert server.run == lease.holder.run
    assert server.body["spec"]["leaseTransitions"] == 1


def test_it_is_renewed_in_the_background(api, server, connection):
    with held(connection, this_run("export"), renew_every=0.01):
        first = server.body["spec"]["renewTime"]
        api.wait_until_asked(PATH, 3, method="PUT")
        assert server.body["spec"]["renewTime"] > first
        assert server.body["spec"]["acquireTime"] == first
        assert server.body["spec"]["leaseTransitions"] == 1


def test_a_failed_renewal_is_told_once_and_tried_again(api, server, connection, said):
    good = server._get
    with held(connection, this_run("export"), emit=said.append, renew_every=0.01):
        api.on(PATH, refusal(500, "InternalError", "etcd is away"))
        before = len(api.asked(PATH))
        api.wait_until_asked(PATH, before + 3)
        api.on(PATH, good)
        api.wait_until_asked(PATH, 1, method="PUT")
    assert len([event for event in said if "cannot be renewed" in event.text]) == 1
    assert "holderIdentity" not in server.body["spec"]


@pytest.fixture(params=["in the foreground", "in a script's background"])
def ctrl_c(request):
    """A shell lets what it starts in a script's background ignore Ctrl-C."""
    in_foreground = request.param == "in the foreground"
    handler = signal.default_int_handler if in_foreground else signal.SIG_IGN
    before = signal.signal(signal.SIGINT, handler)
    yield handler
    assert signal.getsignal(signal.SIGINT) is handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_who_loses_it_stops(server, connection, said):
    """The block ends with a refusal that names the other, whose Lease stays."""

    def work() -> None:
        with held(connection, this_run("export"), emit=said.append, renew_every=0.01):
            server.hold(ELSEWHERE)
            threading.Event().wait(30)
            pytest.fail("goes on")

    with pytest.raises(RefusedError, match="taken over by alice@laptop"):
        work()
    assert server.run == "other"


def test_ctrl_c_stays_what_it_is(server, connection):
    with pytest.raises(KeyboardInterrupt), held(connection, this_run("export")):
        raise KeyboardInterrupt
    assert "holderIdentity" not in server.body["spec"]


def test_it_is_let_go_after_a_failure_too(server, connection):
    with pytest.raises(KeyError), held(connection, this_run("export")):
        raise KeyError
    assert "holderIdentity" not in server.body["spec"]


# -- who is gone --------------------------------------------------------------------------------


def test_this_process_is_not_gone():
    assert not is_gone(this_run("export"))


def test_a_killed_process_is_gone_also_before_its_parent_asked_for_it():
    process = subprocess.Popen(["sleep", "60"])
    holder = replace(this_run("x"), pid=process.pid, started=leases._process(process.pid)[1])
    assert not is_gone(holder)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(holder)
    process.wait()
    assert is_gone(holder)


def test_a_later_process_with_the_same_id_is_another_one():
    assert is_gone(replace(this_run("x"), started="1"))


@pytest.mark.parametrize(
    "holder",
    [
        replace(ELSEWHERE, pid=2**22 + 1),
        replace(ELSEWHERE, machine="", pid=2**22 + 1),
        replace(this_run("x"), machine="", pid=2**22 + 1),
        replace(this_run("x"), pid=0),
        replace(this_run("x"), pid=-1),
        replace(this_run("x"), pid=10**30),
    ],
)
def test_what_nobody_can_tell_is_not_gone(holder):
    assert not is_gone(holder)
