"""Broken kubeconfigs, credentials, failures of servers, and what is sent a second time."""

import gzip
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from fake_api import (
    Answer,
    FakeApi,
    broken,
    event,
    refusal,
    reply,
    silence,
    stream,
    text,
    truncated,
    write_kubeconfig,
)
from kubernetes.config import incluster_config
from urllib3.exceptions import SSLError

from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.cluster.repeating import LONGEST_PAUSE
from gitops_dr.errors import ClusterError, UsageError

SECRET = "hunter2-the-password"


@pytest.fixture(autouse=True)
def _nobody_is_home(tmp_path, monkeypatch):
    """Neither the user's kubeconfig nor a pod's environment."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


# -- kubeconfig ------------------------------------------------------------------------------------


def test_without_kubeconfig_and_outside_a_cluster_it_says_both():
    with pytest.raises(UsageError) as caught:
        connect()
    assert (
        caught.value.message == "cluster: no kubeconfig was found, and we are not inside a cluster"
    )
    assert "--kubeconfig" in caught.value.hint


def test_a_context_needs_a_kubeconfig():
    with pytest.raises(UsageError, match="context 'prod': no kubeconfig was found"):
        connect(context="prod")


def test_a_named_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.yaml: no such file"):
        connect(tmp_path / "nowhere.yaml")


def test_in_a_pod_without_a_token_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    with pytest.raises(UsageError, match="service account is of no use"):
        connect()


def test_in_a_pod_its_service_account_is_used(monkeypatch, tmp_path):
    for setting, content in (("TOKEN", "in-cluster-token"), ("CERT", "certificate")):
        (tmp_path / setting).write_text(content)
        monkeypatch.setattr(
            incluster_config, f"SERVICE_{setting}_FILENAME", str(tmp_path / setting)
        )
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    connection = connect()
    assert (connection.context, connection.server) == ("", "https://10.0.0.1:443")
    assert connection._credentials() == {"authorization": "bearer in-cluster-token"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "just text",
        "- a\n- list\n",
        "a: b: c",
        "contexts: 5",
        "contexts: [{context: {}}]",
        "contexts: [{name: fake}]\ncurrent-context: fake",
        "contexts: [{name: fake, context: {cluster: gone}}]\ncurrent-context: fake",
        "\x00",
    ],
)
def test_a_malformed_kubeconfig_is_one_line_that_names_it(tmp_path, content):
    file = tmp_path / "broken"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        connect(file)
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_folder_is_no_kubeconfig(tmp_path):
    with pytest.raises(UsageError, match="Is a directory"):
        connect(tmp_path)


@pytest.mark.parametrize(
    "authority",
    [
        {"certificate-authority": "missing.crt"},
        {"certificate-authority-data": "not base64"},
    ],
)
def test_an_authority_that_cannot_be_read_is_the_kubeconfigs_fault(tmp_path, authority):
    file = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1")
    document = yaml.safe_load(file.read_text())
    document["clusters"][0]["cluster"] |= authority
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(UsageError, match="kubeconfig") as caught:
        connect(file)
    assert "\n" not in caught.value.message


def test_an_unknown_context_is_answered_with_the_known_ones(tmp_path):
    file = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(UsageError) as caught:
        connect(file, "prod")
    assert "'prod'" in caught.value.message
    assert caught.value.hint == "known contexts: fake"


def test_a_kubeconfig_without_current_context_needs_one_named(tmp_path):
    file = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    document = yaml.safe_load(file.read_text())
    for current in (None, ""):
        document["current-context"] = current
        file.write_text(yaml.safe_dump(document))
        with pytest.raises(UsageError, match="no current context") as caught:
            connect(file)
        assert caught.value.hint == "known contexts: fake"
        assert connect(file, "fake").context == "fake"
    del document["current-context"]
    file.write_text(yaml.safe_dump(document))
    assert connect(file, "fake").context == "fake"


def test_a_current_context_that_is_gone_is_named(tmp_path):
    file = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    file.write_bytes(
        file.read_bytes().replace(b'"current-context":"fake"', b'"current-context":"x"')
    )
    with pytest.raises(UsageError, match="context 'x'"):
        connect(file)


def test_the_environment_names_several_files_and_missing_ones_are_passed_over(
    tmp_path, monkeypatch
):
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1/")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{tmp_path / 'config'}")
    found = connect()
    assert (found.context, found.server) == ("fake", "http://127.0.0.1:1")


def test_an_empty_variable_means_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "")
    (tmp_path / "home" / ".kube").mkdir()
    write_kubeconfig(tmp_path / "home" / ".kube" / "config", "http://127.0.0.1:1")
    assert connect().context == "fake"


# -- credentials -----------------------------------------------------------------------------------


def plugin(folder: Path, lifetime: timedelta) -> dict[str, object]:
    """The user of a kubeconfig whose token an exec plugin gives: a new one each time."""
    calls = folder / "calls"
    expiry = (datetime.now(UTC) + lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
    script = folder / "plugin.py"
    script.write_text(
        f"""
import json, pathlib
calls = pathlib.Path({str(calls)!r})
with calls.open("a") as file:
    file.write("x")
print(json.dumps({{
    "apiVersion": "client.authentication.k8s.io/v1",
    "kind": "ExecCredential",
    "status": {{"token": f"token-{{calls.stat().st_size}}", "expirationTimestamp": {expiry!r}}},
}}))
"""
    )
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-I", "-S", str(script)],
            "interactiveMode": "Never",
        }
    }


def tokens(api: FakeApi, path: str) -> list[str | None]:
    return [request.headers.get("Authorization") for request in api.asked(path)]


def test_an_expired_token_is_renewed_by_the_exec_plugin(api, tmp_path):
    api.on("/version", reply({}))
    user = plugin(tmp_path, timedelta(seconds=-1))
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, user))
    connection.request("GET", "/version")
    connection.request("GET", "/version")
    assert tokens(api, "/version") == ["Bearer token-2", "Bearer token-3"]


def test_a_token_that_is_valid_is_kept_also_by_many_threads(api, tmp_path):
    api.on("/version", reply({}))
    user = plugin(tmp_path, timedelta(hours=1))
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, user))
    threads = [
        threading.Thread(target=connection.request, args=("GET", "/version")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert tokens(api, "/version") == ["Bearer token-1"] * 4


def test_only_one_thread_at_a_time_renews(api, tmp_path):
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, {"token": "t"}))
    inside, most = [], []

    def renew(_configuration):
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.pop()

    connection._client.configuration.refresh_api_key_hook = renew
    api.on("/version", reply({}))
    threads = [
        threading.Thread(target=connection.request, args=("GET", "/version")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1, 1, 1, 1]


def test_a_token_file_may_end_with_a_newline(api, tmp_path):
    (tmp_path / "token").write_text(f"{SECRET}\n")
    user = {"tokenFile": str(tmp_path / "token")}
    api.on("/version", reply({}))
    connect(write_kubeconfig(tmp_path / "config", api.url, user)).request("GET", "/version")
    assert tokens(api, "/version") == [f"Bearer {SECRET}"]


def test_credentials_that_cannot_be_renewed_are_an_api_error(api, tmp_path):
    from kubernetes.config import ConfigException

    connection = connect(write_kubeconfig(tmp_path / "config", api.url, {"token": "t"}))

    def fail(_configuration):
        raise ConfigException("Token file exists but empty.")

    connection._client.configuration.refresh_api_key_hook = fail
    with pytest.raises(ApiError, match="credentials cannot be renewed: Token file") as caught:
        connection.request("GET", "/version")
    assert caught.value.status == 0
    assert not api.requests


UNAUTHORIZED = refusal(401, "Unauthorized", "Unauthorized")


def test_a_token_that_is_refused_before_its_end_is_renewed_once(api, tmp_path):
    """It was revoked, or the clocks differ; a write that was refused for it has done nothing."""
    api.on("/version", UNAUTHORIZED, reply({}))
    user = plugin(tmp_path, timedelta(hours=1))
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, user))
    connection.request("GET", "/version")
    assert tokens(api, "/version") == ["Bearer token-1", "Bearer token-2"]
    api.on("/api/v1/pods", UNAUTHORIZED, reply({}), method="POST")
    connection.request("POST", "/api/v1/pods", body=b"{}")
    sent = api.asked("/api/v1/pods", "POST")
    assert [(each.headers["Authorization"], each.body) for each in sent] == [
        ("Bearer token-2", b"{}"),
        ("Bearer token-3", b"{}"),
    ]


def test_new_credentials_that_are_refused_too_are_no_reason_to_go_on(api, tmp_path):
    api.on("/version", UNAUTHORIZED)
    user = plugin(tmp_path, timedelta(hours=1))
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, user))
    assert failure(connection, "/version").status == 401
    assert len(api.requests) == 2


def test_a_watch_gets_new_credentials_too(api, tmp_path):
    api.on("/api/v1/pods", UNAUTHORIZED, stream(b"{}"))
    user = plugin(tmp_path, timedelta(hours=1))
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, user))
    opened = connection.open_stream("/api/v1/pods", query={"watch": 1}, read_timeout=20)
    assert b"".join(opened.stream(100)) == b"{}"


def test_where_the_same_credentials_come_back_nobody_asks_again_at_once(api, tmp_path):
    api.on("/version", UNAUTHORIZED)
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, {"token": "t"}))
    loaded = []
    load = connection._renewal.load
    connection._renewal.load = lambda: loaded.append(1) or load()
    for _ in range(3):
        assert failure(connection, "/version").status == 401
    assert (len(loaded), len(api.requests)) == (1, 3)


def test_many_threads_that_are_refused_renew_once(api, tmp_path):
    all_have_asked = threading.Barrier(4)

    def answer(request):
        if request.headers["Authorization"] == "Bearer token-1":
            all_have_asked.wait(30)
            return UNAUTHORIZED
        return reply({})

    api.on("/version", answer)
    user = plugin(tmp_path, timedelta(hours=1))
    connection = connect(write_kubeconfig(tmp_path / "config", api.url, user))
    threads = [
        threading.Thread(target=connection.request, args=("GET", "/version")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (tmp_path / "calls").read_text() == "xx"


def test_credentials_that_are_gone_leave_the_servers_words(api, tmp_path):
    api.on("/version", UNAUTHORIZED)
    file = write_kubeconfig(tmp_path / "config", api.url, {"token": "t"})
    connection = connect(file)
    file.unlink()
    assert failure(connection, "/version").message == "Unauthorized"


# -- answers ---------------------------------------------------------------------------------------


def failure(connection: Connection, path: str = "/api/v1/pods", method: str = "GET") -> ApiError:
    with pytest.raises(ApiError) as caught:
        connection.request(method, path, read_timeout=20, body=b"{}" if method == "POST" else None)
    return caught.value


def test_a_request_says_what_it_is_and_gives_back_the_bytes(api, connection):
    api.on("/api/v1/pods", reply({"a": 1}))
    data = connection.request("GET", "/api/v1/pods", query={"limit": 5, "continue": "a b&c"})
    assert data == b'{"a":1}'
    (request,) = api.requests
    assert request.query == {"limit": "5", "continue": "a b&c"}
    assert request.headers["User-Agent"] == "gitops-dr"
    assert request.headers["Accept"] == "application/json"
    assert "Authorization" not in request.headers


def test_a_server_that_is_not_there_is_named_with_the_request(
    tmp_path, monkeypatch, api, connection
):
    api.stop()
    error = failure(connection, "/version")
    assert error.status == 0
    assert error.message.startswith(f"{connection.server}: no answer to GET /version: ")
    assert "Connection refused" in error.message
    assert isinstance(error, ClusterError)


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [
        (401, "Unauthorized", "credentials were refused"),
        (403, "Forbidden", "lacks a permission"),
        (404, "NotFound", ""),
        (409, "AlreadyExists", ""),
        (422, "Invalid", ""),
        (500, "InternalError", ""),
    ],
)
def test_a_refusal_has_the_servers_own_words(api, connection, status, reason, hint):
    api.on("/api/v1/pods", refusal(status, reason, f"the server says {reason}"))
    error = failure(connection)
    assert (error.status, error.reason, error.message) == (
        status,
        reason,
        f"the server says {reason}",
    )
    assert hint in error.hint
    assert bool(error.hint) == bool(hint)


def test_an_expired_list_says_where_to_go_on(api, connection):
    api.on("/api/v1/pods", refusal(410, "Expired", "too old", then="token"))
    assert failure(connection).continuation == "token"


@pytest.mark.parametrize(
    "body",
    [f"<html>{SECRET}</html>", f'{{"kind": "Secret", "message": "{SECRET}"}}', f'"{SECRET}"', ""],
)
def test_a_body_that_is_no_status_is_never_quoted(api, connection, body):
    api.on("/api/v1/pods", text(404, body))
    error = failure(connection)
    assert error.message == "GET /api/v1/pods: HTTP 404"
    assert SECRET not in f"{error.hint}{error.reason}"


def test_what_is_not_served_is_said_in_plain_text(api, connection):
    api.on("/api/v1/pods", text(404, "404 page not found\n"))
    assert failure(connection).message == "GET /api/v1/pods: 404 page not found"


@pytest.mark.parametrize("body", [f"<html>{SECRET}</html>", f'{{"data": "{SECRET}"', ""])
def test_an_answer_that_is_not_json_is_an_api_error_that_quotes_nothing(api, connection, body):
    api.on("/version", text(200, body))
    with pytest.raises(ApiError, match="the answer is not JSON") as caught:
        connection.json("GET", "/version")
    assert SECRET not in f"{caught.value.message}{caught.value.hint}"


# -- repeating -------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [429, 502, 503, 504])
def test_a_read_is_repeated_while_the_server_is_in_trouble(api, connection, trouble):
    api.on("/version", *[refusal(trouble)] * 6, reply({"fine": 1}))
    assert connection.json("GET", "/version") == {"fine": 1}
    assert len(api.requests) == 7


def test_in_the_end_the_trouble_is_reported(api, connection):
    api.on("/version", refusal(503, "ServiceUnavailable", "etcd is gone"))
    error = failure(connection, "/version")
    assert (error.status, error.message) == (503, "etcd is gone")


def test_after_an_internal_error_a_read_is_repeated_twice(api, connection):
    """A leader of etcd is elected in between, a conversion webhook that is down stays down."""
    trouble = refusal(500, "InternalError", "etcdserver: leader changed")
    api.on("/version", trouble, trouble, reply({"fine": 1}))
    assert connection.json("GET", "/version") == {"fine": 1}
    api.on("/apis", trouble)
    assert failure(connection, "/apis").status == 500
    assert len(api.asked("/apis")) == 3


@pytest.mark.parametrize("trouble", [404, 403])
def test_other_refusals_of_a_read_are_final(api, connection, trouble):
    api.on("/version", refusal(trouble, "Because", "no"), reply({}))
    assert failure(connection, "/version").status == trouble


def test_the_server_says_how_long_to_wait(api, connection, monkeypatch):
    slept = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)
    api.on(
        "/version",
        refusal(429, Retry_After="7"),
        refusal(503, Retry_After="3600"),
        reply({}),
    )
    connection.json("GET", "/version")
    assert slept == [7, LONGEST_PAUSE]


@pytest.mark.parametrize(
    ("server", "asks"),
    [
        ("https://cluster.example.com:6443", True),
        ("https://10.0.0.1", True),
        ("https://localhost.example.com", True),
        ("https://127.0.0.1:6443", False),
        ("https://localhost", False),
        ("https://[::1]:6443", False),
    ],
)
def test_compressed_answers_are_asked_for_where_a_network_is_between(tmp_path, server, asks):
    assert connect(write_kubeconfig(tmp_path / "kubeconfig", server))._compressed is asks


def test_an_answer_may_come_compressed_but_a_stream_never_does(api, connection):
    connection = replace(connection, _compressed=True)
    packed = Answer(pieces=(gzip.compress(b'{"a": 1}'),), headers={"Content-Encoding": "gzip"})
    api.on("/apis", packed)
    assert connection.json("GET", "/apis") == {"a": 1}
    assert api.asked("/apis")[0].headers["Accept-Encoding"] == "gzip"
    api.on("/api/v1/pods", stream(event("ADDED", {})))
    opened = connection.open_stream("/api/v1/pods", query={"watch": 1}, read_timeout=10)
    assert list(opened.stream(1 << 16))
    assert api.asked("/api/v1/pods")[0].headers["Accept-Encoding"] != "gzip"


@pytest.mark.parametrize(
    "data", [b"not compressed", gzip.compress(b'{"a": 1}')[:-14]], ids=["plain", "cut off"]
)
def test_an_answer_that_cannot_be_unpacked_is_an_api_error(api, connection, data):
    api.on("/apis", Answer(pieces=(data,), headers={"Content-Encoding": "gzip"}))
    with pytest.raises(ApiError) as caught:
        connection.json("GET", "/apis")
    assert caught.value.status == 0


def test_a_truncated_or_reset_read_is_repeated(api, connection):
    api.on("/version", truncated({"a": "long" * 9}), broken(), reply({"fine": 1}))
    assert connection.json("GET", "/version") == {"fine": 1}


def test_a_read_that_breaks_every_time_is_no_answer(api, connection):
    api.on("/version", truncated({"a": "long" * 9}))
    error = failure(connection, "/version")
    assert error.status == 0
    assert "no answer to GET /version" in error.message
    assert len(api.requests) == 5


def test_a_read_that_breaks_four_times_is_answered_in_the_end(api, connection):
    """In a hundred requests over a bad line, one breaks three times in a row."""
    api.on("/version", *[truncated({"a": "long" * 9})] * 4, reply({"fine": 1}))
    assert connection.json("GET", "/version") == {"fine": 1}


def test_a_server_that_nobody_vouches_for_is_not_asked_again(api, tmp_path, monkeypatch):
    """It would not be vouched for a moment later either, and pauses cost half a minute."""
    slept = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)

    def refuse(*_arguments, **_options):
        raise SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unknown CA")

    monkeypatch.setattr("urllib3.connectionpool.HTTPConnectionPool._make_request", refuse)
    connection = connect(write_kubeconfig(tmp_path / "config", api.url))
    error = failure(connection, "/version")
    assert "certificate verify failed" in error.message
    assert slept == []


def test_the_read_timeout_counts(api, connection):
    api.on("/version", silence())
    with pytest.raises(ApiError, match=r"no answer to GET /version: .*timed out") as caught:
        connection.request("GET", "/version", read_timeout=0.05)
    assert caught.value.status == 0
    # The server may come to note the last one only after we gave it up.
    deadline = time.monotonic() + 10
    while len(api.requests) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(api.requests) == 3


def test_a_write_is_repeated_only_where_the_server_did_not_take_it(api, connection):
    busy = refusal(503, Retry_After="0")
    api.on("/api/v1/pods", refusal(429), busy, reply({"made": 1}, 201), method="POST")
    assert connection.json("POST", "/api/v1/pods", body=b"{}") == {"made": 1}
    assert [request.body for request in api.requests] == [b"{}"] * 3


@pytest.mark.parametrize("answer", [broken(), truncated({"a": "long" * 9})])
def test_a_write_that_may_have_been_taken_is_not_repeated(api, connection, answer):
    api.on("/api/v1/pods", answer, reply({}), method="POST")
    assert failure(connection, method="POST").status == 0
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_nor_is_one_that_failed_on_its_way(api, connection, status):
    api.on("/api/v1/pods", refusal(status, "Because", "no"), reply({}), method="POST")
    assert failure(connection, method="POST").status == status


# -- streams ---------------------------------------------------------------------------------------


def pieces(connection: Connection) -> list[bytes]:
    opened = connection.open_stream("/api/v1/pods", query={"watch": 1}, read_timeout=20)
    try:
        return list(opened.stream(1 << 16))
    finally:
        opened.close()


def test_a_stream_is_read_piece_by_piece(api, connection):
    lines = [event("ADDED", {"n": n}) for n in range(3)]
    api.on("/api/v1/pods", stream(*lines))
    assert b"".join(pieces(connection)) == b"".join(lines)
    assert api.requests[0].query == {"watch": "1"}


def test_a_stream_that_is_refused_says_why(api, connection):
    api.on("/api/v1/pods", refusal(410, "Expired", "too old resource version"))
    with pytest.raises(ApiError, match="too old resource version") as caught:
        pieces(connection)
    assert caught.value.status == 410


def test_a_stream_that_breaks_off_is_an_api_error(api, connection):
    api.on("/api/v1/pods", stream(b'{"type"', end="break"))
    with pytest.raises(ApiError, match="/api/v1/pods: broken off") as caught:
        pieces(connection)
    assert caught.value.status == 0
