"""Whether the source still answers: whatever goes wrong, nobody knows what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_cluster import new_repo

from gitops_dr.engine import sources
from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.sources import find_source
from gitops_dr.errors import ClusterError, UsageError
from gitops_dr.model import Identity

SETTINGS = "format: 1\nclusters:\n  prod: {context: primary}\n  other:\n"


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Where:
    repo = new_repo(tmp_path / "repository", settings=SETTINGS)
    monkeypatch.setattr(sources, "connect", lambda _file, context: f"to {context}")
    monkeypatch.setattr(sources, "why_silent", lambda _connection: "")
    monkeypatch.setattr(sources, "identify", lambda _connection: Identity("U1", "v1.37.2", "1"))
    # What flag and environment name is the target's.
    return Where(repo, "prod", "standby", environment={"GITOPS_DR_CONTEXT": "standby"})


def found(where: Where, uid: str = "U1", context: str | None = None) -> Any:
    return find_source(where, open_repo(where), uid, context)


def test_it_is_reached_by_what_the_file_names_and_never_by_the_targets_context(
    where: Where,
) -> None:
    source = found(where)
    assert (source.connection, source.context, source.trouble) == ("to primary", "primary", "")
    assert source.cluster == "prod"
    assert found(where, context="by-hand").connection == "to by-hand"


def raising(error: Exception) -> Any:
    def ask(*_: Any) -> Any:
        raise error

    return ask


TROUBLE = [
    ("why_silent", lambda _: "no answer", "no answer"),
    ("connect", raising(UsageError("no such context")), "no such context"),
    ("identify", raising(ClusterError("403: may not")), "403: may not"),
    ("identify", lambda _: Identity("U9", "v1", "1"), "reaches another cluster (UID U9"),
]


@pytest.mark.parametrize(("name", "does", "why"), TROUBLE)
def test_trouble_is_no_connection(
    where: Where, monkeypatch: pytest.MonkeyPatch, name: str, does: Any, why: str
) -> None:
    monkeypatch.setattr(sources, name, does)
    source = found(where)
    assert source.connection is None
    assert source.identity is None
    assert why in source.trouble


def test_without_a_context_nobody_is_asked(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "connect", raising(AssertionError("asked the current context")))
    source = found(Where(where.repo, "other"))
    assert source.connection is None
    assert source.trouble == "gitops-dr.yaml names no context of it, so nobody can ask"
