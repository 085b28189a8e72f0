"""Stopping a source: what is noted when, for a run that goes on; and what is recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from command import git
from small_cluster import SHOP, SmallCluster, config_map, new_repo

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.fence_record import Fence, moment_of, read_fence, write_fence
from gitops_dr.desired.fence import Found, Stop
from gitops_dr.engine import fencing
from gitops_dr.engine.exporting import make_point
from gitops_dr.engine.fencing import Fencing, as_it_was, refuse_fenced
from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.errors import ClusterError, RefusedError
from gitops_dr.model import Ref, Resource

WEB = Ref("apps", "Deployment", "shop", "web")
POD = Ref("", "Pod", "shop", "web-1")
RUNS = Found((Stop(WEB, {}, {"spec.replicas": 3}),), (WEB, POD))
ENDING = Found((), (POD,))
STILL = Found()
EARLIER = "2026-11-26T10:00:00+00:00"


class Stopped(Fencing):
    """One whose looks are known; what it does is kept in order."""

    def __init__(self, *looks: Found) -> None:
        self._looks = list(looks)
        self._connection: Any = None
        self._resources = {WEB.group_kind: Resource("apps", "v1", "Deployment", "d", True)}

    def look(self) -> Found:
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    kept: list[Any] = []
    monkeypatch.setattr(fencing, "_LOOK_AGAIN", 0.001)
    monkeypatch.setattr(fencing, "read_fence", lambda _connection: None)
    monkeypatch.setattr(fencing, "write_fence", lambda _connection, fence: kept.append(fence))
    monkeypatch.setattr(fencing, "merge", lambda *_: kept.append("stopped"))
    return kept


def test_how_it_was_is_noted_before_anything_is_stopped(done: list[Any]) -> None:
    fence = Stopped(RUNS, ENDING, STILL).stop("standby", timeout=5)
    first, stopped, *_, last = done
    assert first == Fence("standby", "", {WEB: {"spec.replicas": 3}})
    assert stopped == "stopped"
    assert last == fence
    assert moment_of(fence) is not None
    assert moment_of(first) is None


BEFORE = [
    pytest.param(
        Fence("standby", "", {WEB: {"spec.replicas": 5}}), RUNS, 5, False, id="killed on the way"
    ),
    pytest.param(
        Fence("standby", EARLIER, {WEB: {"spec.replicas": 5}}), STILL, 5, True, id="stopped already"
    ),
    pytest.param(
        Fence("standby", EARLIER, {WEB: {"spec.replicas": 5}}),
        RUNS,
        3,
        False,
        id="let run again by hand: how it is now is how it was",
    ),
    pytest.param(
        Fence("other", EARLIER, {WEB: {"spec.replicas": 5}}),
        STILL,
        5,
        True,
        id="for another target",
    ),
]


@pytest.mark.parametrize(("before", "found", "replicas", "since_then"), BEFORE)
def test_a_run_that_goes_on(
    done: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    before: Fence,
    found: Found,
    replicas: int,
    since_then: bool,
) -> None:
    monkeypatch.setattr(fencing, "read_fence", lambda _connection: before)
    fence = Stopped(found, STILL).stop("standby", timeout=5)
    assert fence.target == "standby"
    assert fence.before == {WEB: {"spec.replicas": replicas}}
    assert (fence.since == EARLIER) is since_then
    assert fence.since
    assert ("stopped" in done) is bool(found.stops)


def test_what_does_not_end_is_named_and_nothing_says_that_it_did(done: list[Any]) -> None:
    with pytest.raises(ClusterError) as caught:
        Stopped(RUNS, ENDING).stop("standby", timeout=0.01)
    assert str(caught.value).startswith("Pod/shop/web-1: still has its claim")
    assert "--unfence" in caught.value.hint
    assert not any(isinstance(one, Fence) and one.since for one in done)


class Kept:
    """A cluster that keeps one ConfigMap."""

    def __init__(self, data: Any = None, status: int = 404) -> None:
        self.data, self.status = data, status

    def json(self, _method: str, _path: str, **options: Any) -> Any:
        if "body" in options:
            self.data = orjson.loads(options["body"])["data"]
        elif self.data is None:
            raise ApiError("no", status=self.status)
        return {"metadata": {}, "data": self.data}


def test_the_note_is_read_as_it_was_written() -> None:
    connection: Any = Kept()
    assert read_fence(connection) is None
    fence = Fence(
        "standby", EARLIER, {WEB: {"spec.replicas": 3, 'metadata.annotations["a.b"]': None}}
    )
    connection.data = {}
    write_fence(connection, fence)
    assert read_fence(connection) == fence


@pytest.mark.parametrize("before", [None, "", "[]", "{", '{"Deployment": 1}', '{"x/y/z/w": {}}'])
def test_a_broken_note_is_an_error(before: str | None) -> None:
    data = {"target": "standby", "since": EARLIER}
    connection: Any = Kept(data if before is None else {**data, "before": before})
    with pytest.raises(ClusterError, match="ConfigMap/gitops-dr/fenced"):
        read_fence(connection)


def test_a_stopped_cluster_is_not_exported() -> None:
    refuse_fenced(Kept(), "prod")  # type: ignore[arg-type]
    refuse_fenced(Kept(status=403), "prod")  # type: ignore[arg-type]
    stopped: Any = Kept({"target": "standby", "since": "", "before": "{}"})
    with pytest.raises(RefusedError, match="cluster prod: was stopped for the failover to standby"):
        refuse_fenced(stopped, "prod")
    refuse_fenced(Kept({"target": "", "since": "", "before": "{}"}), "prod")  # type: ignore[arg-type]


def test_the_last_point_says_what_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    cluster = SmallCluster(SHOP, config_map("a", v="3"), config_map("b", v="1"))
    cluster.put_in_place(monkeypatch.setattr)
    repo = new_repo(tmp_path / "repository")
    none: Any = None

    def point(fence: Fence | None) -> bool:
        opened = open_repo(Where(repo))
        return make_point(opened, Where(repo), none, as_it_was=as_it_was(fence)).created

    assert point(None)
    cluster.put(config_map("a", v="0"))
    fence = Fence("standby", EARLIER, {Ref("", "ConfigMap", "shop", "a"): {"data.v": "3"}, WEB: {}})
    assert not point(fence)
    cluster.put(config_map("a", v="0", w="new"))
    assert point(fence)
    text = git(repo, "show", "HEAD:clusters/prod/namespaces/shop/configmaps/a.yaml")
    assert 'v: "3"' in text
    assert "w: new" in text
    assert point(None)
