"""Whether an API server answers, and how soon that is known."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.reach import why_silent


def kubeconfig(folder: Path, port: int) -> Path:
    file = folder / "kubeconfig"
    document: Any = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "x", "user": {}}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def listening() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answer(server: socket.socket, text: bytes) -> threading.Thread:
    """Answer the second connection; the first one is only opened and closed."""

    def serve() -> None:
        server.accept()[0].close()
        taken, _ = server.accept()
        with taken:
            taken.recv(4096)
            taken.sendall(text)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "403 Forbidden"])
def test_one_that_answers_is_there_whatever_it_says(
    tmp_path: Path, listening: socket.socket, status: str
) -> None:
    body = f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    thread = answer(listening, body)
    assert why_silent(connect(kubeconfig(tmp_path, listening.getsockname()[1]))) == ""
    thread.join(5)


def test_where_nobody_listens_it_is_known_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    started = time.monotonic()
    said = why_silent(connect(kubeconfig(tmp_path, port)))
    assert f"http://127.0.0.1:{port}: no answer" in said
    assert time.monotonic() - started < 2


def test_one_that_never_answers_is_given_up(tmp_path: Path, listening: socket.socket) -> None:
    said = why_silent(connect(kubeconfig(tmp_path, listening.getsockname()[1])), timeout=0.2)
    assert "no answer" in said
