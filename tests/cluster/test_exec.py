"""Commands in containers: against a server that speaks the protocol, and against a real API server.

The lab's kubelets are simulated, so nothing runs there; who may run what, and what is said where
nothing can, is the real thing.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import pytest
from api_server import ApiServer
from exec_server import STDERR, STDOUT, Call, ExecServer, exec_serving
from fake_api import write_kubeconfig

from gitops_dr import lab as labs
from gitops_dr.cluster import exec as execution
from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.cluster.exec import Ran, run
from gitops_dr.lab import Lab
from gitops_dr.model import Ref

POD = Ref("", "Pod", "shop", "db-0")
SOON = 0.5


@pytest.fixture
def server() -> Iterator[ExecServer]:
    with exec_serving() as started:
        yield started


@pytest.fixture
def connection(server: ExecServer, tmp_path: Path, monkeypatch) -> Connection:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(execution, "_PAUSE", 0.01)
    user = {"token": "t0ken\n"}
    return connect(write_kubeconfig(tmp_path / "kubeconfig", server.url, user))


def execute(connection: Connection, *command: str, timeout: float = 20.0) -> Ran:
    return run(connection, POD, "db", command or ("freeze",), timeout=timeout)


def problem(connection: Connection, *command: str, timeout: float = 20.0) -> ApiError:
    with pytest.raises(ApiError) as caught:
        execute(connection, *command, timeout=timeout)
    assert caught.value.message.startswith("Pod/shop/db-0, container db: ")
    assert "\n" not in caught.value.message
    return caught.value


# -- what is asked and what comes of it ------------------------------------------------------------


@pytest.mark.parametrize("version", ["v5", "v4"])
def test_a_command_runs_and_says_how_it_ended(server, connection, version) -> None:
    server.protocols = [f"{version}.channel.k8s.io"]

    def script(call: Call) -> None:
        call.say(b"frozen ", STDOUT)
        call.say(b"careful", STDERR)
        call.say(b"now", STDOUT)
        call.exit(0)

    server.on("freeze", script)
    words = ("freeze", "--at=/data", "a b", "&x=y", "", "é")
    done = execute(connection, *words)
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"frozen now", b"careful")
    [call] = server.calls
    assert (call.namespace, call.pod, call.container) == ("shop", "db-0", "db")
    assert call.command == list(words)
    assert call.protocol.startswith(version)
    assert call.query["stdout"] == call.query["stderr"] == ["true"]
    assert "stdin" not in call.query
    assert "tty" not in call.query
    assert call.headers["authorization"] == "Bearer t0ken"
    assert call.headers["user-agent"] == "gitops-dr"
    assert "origin" not in call.headers


def test_the_newest_version_that_both_know_is_taken(server, connection) -> None:
    execute(connection)
    server.protocols = ["v4.channel.k8s.io", "v3.channel.k8s.io"]
    execute(connection)
    assert [call.protocol for call in server.calls] == ["v5.channel.k8s.io", "v4.channel.k8s.io"]


@pytest.mark.parametrize("code", [1, 3, 137])
def test_an_exit_code_is_a_result(server, connection, code) -> None:
    def script(call: Call) -> None:
        call.say(b"no such file", STDERR)
        call.exit(code)

    server.on("freeze", script)
    done = execute(connection)
    assert (done.exit_code, done.stderr) == (code, b"no such file")


def test_a_slow_command_is_waited_for(server, connection) -> None:
    go = threading.Event()

    def script(call: Call) -> None:
        call.say(b"begun")
        call.frame(b"still there?", opcode=9)
        assert go.wait(20)
        call.exit(0)

    server.on("freeze", script)
    found: list[Ran] = []
    thread = threading.Thread(target=lambda: found.append(execute(connection)))
    thread.start()
    server.wait_for("freeze")
    assert not found
    go.set()
    thread.join(20)
    assert found[0].stdout == b"begun"


def test_the_end_of_much_output_is_kept(server, connection) -> None:
    def script(call: Call) -> None:
        for i in range(400):
            call.say(b"%06d" % i * 5000, STDOUT)
        call.say(b"the last word", STDERR)
        call.exit(2)

    server.on("freeze", script)
    done = execute(connection)
    assert done.exit_code == 2
    assert done.stdout == (b"%06d" % 399 * 5000)[-execution.KEPT :]
    assert done.stderr == b"the last word"
    assert run(connection, POD, "db", ["freeze"], timeout=20, kept=0).stdout == b""


def test_what_a_command_said_is_not_shown_by_accident(server, connection) -> None:
    def script(call: Call) -> None:
        call.say(b"password: hunter2")
        call.exit(0)

    server.on("freeze", script)
    assert "hunter2" not in repr(execute(connection))


def test_output_that_is_on_its_way_when_the_end_is_told_is_read(server, connection) -> None:
    def script(call: Call) -> None:
        call.status({"status": "Success"})
        call.say(b"late")
        call.close()

    server.on("freeze", script)
    assert execute(connection).stdout == b"late"


def test_a_server_that_forgets_to_close_is_not_waited_for(server, connection, monkeypatch) -> None:
    monkeypatch.setattr(execution, "_REST", 0.05)
    server.on("freeze", lambda call: call.status({"status": "Success"}))
    before = time.monotonic()
    assert execute(connection).exit_code == 0
    assert time.monotonic() - before < 10


def test_streams_that_nobody_knows_are_left_aside(server, connection) -> None:
    def script(call: Call) -> None:
        call.frame(b"")
        call.frame(bytes([42]) + b"?")
        call.frame(bytes([STDOUT]) + b"text", opcode=1)
        call.frame(bytes([STDOUT]) + b"\xff", opcode=1)
        call.exit(0)

    server.on("freeze", script)
    assert execute(connection).stdout == b"text\xff"


# -- what goes wrong -------------------------------------------------------------------------------


def never(call: Call) -> None:
    call.until_the_client_goes()


def drop_by_drop(call: Call) -> None:
    """Each byte comes long before anybody would give up waiting for the next."""
    call.raw(b"\x82\x7e\xff\xff")
    while True:
        call.raw(b"\x01")
        time.sleep(0.02)


@pytest.mark.parametrize("script", [never, drop_by_drop])
def test_a_command_that_never_ends_is_given_up(server, connection, script) -> None:
    server.on("freeze", script)
    before = time.monotonic()
    error = problem(connection, timeout=SOON)
    assert SOON <= time.monotonic() - before < 10
    assert error.message.endswith("the command did not end within 0.5 s")
    assert (error.status, error.reason) == (0, "Timeout")
    assert "may still be running" in error.hint


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web"])
def test_a_server_that_never_answers_is_given_up(server, connection, monkeypatch, said) -> None:
    def silent(self: ExecServer, accepted) -> None:
        accepted.sendall(said)
        while accepted.recv(4096):
            pass

    monkeypatch.setattr(ExecServer, "_answer", silent)
    assert "did not end within" in problem(connection, timeout=SOON).message


@pytest.mark.parametrize(
    "script",
    [
        lambda call: call.reset(),
        lambda call: call.close(),
        lambda call: (call.say(b"half"), call.reset()),
        lambda call: call.raw(b"\x82\x7e\x10\x00half"),
        lambda call: call.raw(b"\xff\xff\xff\xff"),
        lambda call: call.status(b""),
    ],
)
def test_a_connection_that_ends_before_the_command_is_no_success(
    server, connection, script
) -> None:
    def broken(call: Call) -> None:
        script(call)
        call._socket.close()

    server.on("freeze", broken)
    error = problem(connection)
    assert "the connection ended before the command did" in error.message
    assert error.status == 0
    assert len(server.calls) == 1, "a command that may have begun was started again"


@pytest.mark.parametrize(
    "status",
    [
        b"command terminated with exit code 1",
        b"[]",
        b"{}",
        b'"Failure"',
        {"status": "Failure"},
        {"status": "Failure", "details": 5, "message": "x"},
        {"status": "Failure", "details": {"causes": [5]}},
        {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "one"}]}},
        b"x" * 200_000,
    ],
)
def test_an_end_that_cannot_be_read_is_no_success(server, connection, status) -> None:
    def script(call: Call) -> None:
        call.status(status)
        call.close()

    server.on("freeze", script)
    error = problem(connection)
    assert "in no readable way" in error.message
    assert error.status == 0


def test_a_command_that_cannot_be_started_is_an_error_with_the_servers_words(
    server, connection
) -> None:
    def script(call: Call) -> None:
        call.status(
            {
                "status": "Failure",
                "message": 'exec failed:\n "freeze":  executable file not found in $PATH',
                "reason": "InternalError",
                "code": 500,
            }
        )
        call.close()

    server.on("freeze", script)
    error = problem(connection)
    assert error.message.endswith('exec failed: "freeze": executable file not found in $PATH')
    assert (error.status, error.reason) == (500, "InternalError")


def refused(status: int, reason: str, message: str) -> tuple[int, dict[str, object]]:
    kind = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return status, kind


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (
            refused(403, "Forbidden", 'User "u" cannot create resource "pods/exec"'),
            'User "u" cannot create resource "pods/exec"',
            "get and create on pods/exec",
        ),
        (refused(404, "NotFound", 'pods "db-0" not found'), 'pods "db-0" not found', ""),
        (
            refused(400, "BadRequest", "container db is not valid for pod db-0"),
            "container db is not valid for pod db-0",
            "",
        ),
        (refused(401, "Unauthorized", "Unauthorized"), "Unauthorized", "log in again"),
        ((200, b"<html>welcome</html>"), "HTTP 200", ""),
        ((302, b""), "opens no WebSocket", "proxy"),
        ((500, b"secret"), "HTTP 500", ""),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(server, connection, answer, message, hint) -> None:
    server.refusals = [answer]
    error = problem(connection)
    assert message in error.message
    assert hint in error.hint
    assert "secret" not in error.message
    assert error.status == (0 if answer[0] == 302 else answer[0])
    assert server.connections == 1
    assert not server.calls


def test_nobody_else_is_given_the_credentials(server, connection) -> None:
    with exec_serving() as other:
        server.elsewhere = f"{other.url.replace('http', 'ws')}/api/v1/namespaces/a/pods/b/exec"
        server.refusals = [(302, b"")]
        assert "opens no WebSocket" in problem(connection).message
        assert other.connections == 0


def test_a_server_without_a_protocol_that_we_know_is_told(server, connection) -> None:
    server.protocols = ["v3.channel.k8s.io"]
    error = problem(connection)
    assert "opens no WebSocket" in error.message
    assert "proxy" in error.hint


def test_the_command_is_in_no_error(server, connection) -> None:
    """It may hold a password, and stands where people put it anyway."""
    for refusal in ((500, b""), (302, b""), refused(403, "Forbidden", "no")):
        server.refusals = [refusal]
        assert "hunter2" not in problem(connection, "mysql", "-phunter2").message
    server.on("mysql", lambda call: call.reset())
    assert "hunter2" not in problem(connection, "mysql", "-phunter2").message
    server.stop()
    assert "hunter2" not in problem(connection, "mysql", "-phunter2").message


# -- tried again, only where nothing can have begun ------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_what_the_server_did_not_take_is_asked_again(server, connection, status) -> None:
    server.refusals = [(status, b"")] * 3
    assert execute(connection).exit_code == 0
    assert server.connections == 4
    assert len(server.calls) == 1


def test_a_server_that_takes_nothing_is_asked_a_few_times_and_no_more(server, connection) -> None:
    server.refusals = [(503, b"")] * 100
    assert problem(connection).status == 503
    assert server.connections == execution._TRIES


def test_a_server_that_is_not_there_yet_is_tried_again(
    server, connection, monkeypatch, tmp_path
) -> None:
    tried = []
    real = Connection.open_socket

    def later(self, timeout):
        tried.append(timeout)
        if len(tried) < 3:
            raise ConnectionRefusedError(111, "Connection refused")
        return real(self, timeout)

    monkeypatch.setattr(Connection, "open_socket", later)
    assert execute(connection).exit_code == 0
    assert len(tried) == 3


def test_a_server_that_is_never_there_is_an_error(server, connection) -> None:
    server.stop()
    error = problem(connection)
    assert "refused" in error.message
    assert error.status == 0


def test_nothing_is_asked_again_once_the_time_is_over(server, connection, monkeypatch) -> None:
    monkeypatch.setattr(execution, "_PAUSE", 30.0)
    server.refusals = [(503, b"")] * 2
    before = time.monotonic()
    assert problem(connection).status == 503
    assert time.monotonic() - before < 10


# -- on the lab ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pod(kubeconfig: Path) -> Iterator[tuple[Connection, Ref]]:
    """A Pod on a node where nobody answers, which the API server finds out at once."""
    api = ApiServer(connect(kubeconfig))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "exec"}}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "exec"},
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "nobody"}}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "db-0", "namespace": "exec"},
        "spec": {
            "nodeName": "nobody",
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "db", "image": "db"}],
        },
    }
    api.create(namespace)
    api.create(node)
    api.until(node, lambda body: body["status"].get("addresses"))
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    api.patch(node, {"status": status}, "status")
    api.until(account, lambda _: True)
    api.create(body)
    yield api.connection, Ref("", "Pod", "exec", "db-0")
    api.delete(body, gracePeriodSeconds="0")
    api.delete(node)
    api.delete(namespace)


def told(connection: Connection, pod: Ref, container: str = "db") -> ApiError:
    with pytest.raises(ApiError) as caught:
        run(connection, pod, container, ["true"], timeout=30)
    return caught.value


def test_a_real_api_server_takes_the_protocol(pod, monkeypatch) -> None:
    """It opens the WebSocket, turns to the kubelet, and says on the status stream what came."""
    connection, ref = pod
    monkeypatch.delattr(execution, "failure")  # Needed where no WebSocket is opened.
    error = told(connection, ref)
    assert "connection refused" in error.message
    assert error.status == 500


def test_a_real_api_server_says_what_is_not_there(pod) -> None:
    connection, ref = pod
    error = told(connection, ref, "dbb")
    assert (error.status, error.reason) == (400, "BadRequest")
    assert "dbb" in error.message
    error = told(connection, Ref("", "Pod", "exec", "db-9"))
    assert error.status == 404
    assert error.message == 'Pod/exec/db-9, container db: pods "db-9" not found'


def test_who_may_not_run_commands_is_told_what_it_needs(lab: Lab, pod) -> None:
    _, ref = pod
    reader = connect(labs.service_account_kubeconfig(lab, "view"))
    error = told(reader, ref)
    assert error.status == 403
    assert "pods/exec" in error.message
    assert "get and create on pods/exec" in error.hint


def test_certificates_serve_as_well_as_tokens(lab: Lab, pod) -> None:
    _, ref = pod
    assert "connection refused" in told(connect(lab.kubeconfig), ref).message


def test_a_proxy_is_gone_through(lab: Lab, pod, monkeypatch) -> None:
    _, ref = pod
    with tunnelling() as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        for name in ("https_proxy", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert "connection refused" in told(connect(lab.kubeconfig), ref).message
    assert asked == [lab.server.removeprefix("https://")]


@contextmanager
def tunnelling() -> Iterator[tuple[str, list[str]]]:
    """A proxy for one connection, and the hosts that it was asked for."""
    asked: list[str] = []

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            host = head.split()[1].decode()
            asked.append(host)
            name, _, port = host.rpartition(":")
            with socket.create_connection((name, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                up = threading.Thread(target=copy, args=(client, server))
                up.start()
                copy(server, client)
                up.join(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(20)
        assert not thread.is_alive()


def test_a_server_that_is_not_who_it_should_be_gets_no_credentials(
    lab: Lab, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(execution, "_TRIES", 1)
    config = orjson.loads(lab.kubeconfig.read_bytes())
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    (tmp_path / "kubeconfig").write_bytes(orjson.dumps(config))
    error = told(connect(tmp_path / "kubeconfig"), POD)
    assert "CERTIFICATE_VERIFY_FAILED" in error.message or "certificate" in error.message
