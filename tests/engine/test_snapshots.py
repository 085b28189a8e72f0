"""The snapshots of one set: made, looked at by several at once, and taken back."""

import threading
import time
from typing import Any

import pytest
from fake_api import FakeApi, Request, listed, refusal, reply

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.engine import snapshots as module
from gitops_dr.engine.capture import capture
from gitops_dr.engine.snapshots import SnapshotSet, delete, secure
from gitops_dr.events import Notice
from gitops_dr.model import Ref
from gitops_dr.volumes.capture import (
    CannotCaptureError,
    Protectable,
    is_cut,
    is_usable,
    snapshot_name,
)
from gitops_dr.volumes.policy import NO_POLICY, VolumeSettings

SET = "20261126t104500z-3f2a91"
GROUP = "/apis/snapshot.storage.k8s.io/v1"
ALL = f"{GROUP}/volumesnapshots"
HERE = f"{GROUP}/namespaces/shop/volumesnapshots"
CUT = {"creationTime": "2026-11-26T10:45:00Z"}
USABLE = {**CUT, "readyToUse": True, "boundVolumeSnapshotContentName": "content"}


def ref(name: str) -> Ref:
    return Ref("", "PersistentVolumeClaim", "shop", name)


def one(name: str) -> Protectable:
    return Protectable(ref(name), "driver", "class", NO_POLICY)


def snapshot(name: str, status: Any = None, snapshot_set: str = SET) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": snapshot_name(ref(name), snapshot_set), "uid": name}
    return {"metadata": metadata, "status": status}


@pytest.fixture
def found(connection: Connection) -> SnapshotSet:
    return SnapshotSet(connection, SET, "source")


def test_each_snapshot_is_asked_for_with_its_class_and_our_labels(api: FakeApi, found) -> None:
    api.on(HERE, reply({}, 201), method="POST")
    assert found.take([one("data"), one("wal")]) == {}
    assert found.taken == {ref("data"), ref("wal")}
    bodies = [request.json for request in api.asked(HERE, "POST")]
    assert {body["spec"]["volumeSnapshotClassName"] for body in bodies} == {"class"}
    assert {body["metadata"]["labels"]["gitops-dr.dev/snapshot-set"] for body in bodies} == {SET}
    assert found.take([]) == {}


def test_one_that_is_refused_is_told_and_one_that_is_there_already_is_ours(api, found) -> None:
    def answer(request: Request) -> Any:
        name = request.json["metadata"]["name"]
        if name.startswith("data"):
            return refusal(403, "Forbidden", "exceeded quota")
        return refusal(409, "AlreadyExists", "there is one")

    api.on(HERE, answer, method="POST")
    assert found.take([one("data"), one("wal")]) == {
        ref("data"): "no snapshot can be taken of it: exceeded quota"
    }
    assert found.taken == {ref("wal")}


@pytest.fixture
def taken(api: FakeApi, found: SnapshotSet) -> SnapshotSet:
    api.on(HERE, reply({}, 201), method="POST")
    found.take([one("data"), one("wal")])
    return found


def test_a_look_tells_what_is_as_wanted_and_what_the_others_lack(api, taken) -> None:
    api.on(ALL, reply(listed(snapshot("data", USABLE), snapshot("wal", CUT))))
    lacking: dict[Ref, str] = {}
    seen = taken.look([ref("data"), ref("wal")], is_usable, 60.0, lacking.__setitem__)
    assert seen == {ref("data"): snapshot("data", USABLE)}
    assert lacking == {ref("wal"): "its snapshot is cut, but not ready to use"}
    assert taken.look([ref("wal")], is_cut, 60.0) == {ref("wal"): snapshot("wal", CUT)}
    [asked] = api.asked(ALL)
    assert asked.query["labelSelector"] == f"gitops-dr.dev/snapshot-set={SET}"
    assert taken.look([], is_cut, 60.0) == {}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (CUT, "its snapshot is cut, but not ready to use"),
        ({"error": {"message": "full"}}, "its snapshot fails: full"),
        ({}, "it is not cut yet"),
        (None, "it is not cut yet"),
    ],
)
def test_a_snapshot_that_takes_too_long_is_given_up(api, taken, status, reason) -> None:
    api.on(ALL, reply(listed(snapshot("data", status))))
    assert taken.look([ref("data")], is_usable, 60.0) == {}
    assert taken.look([ref("data")], is_usable, 0.0) == {ref("data"): reason}


def test_a_snapshot_that_nobody_touches_is_given_up_early(api, taken, monkeypatch) -> None:
    monkeypatch.setattr(module, "_NOBODY_ANSWERS", 0.0)
    api.on(ALL, reply(listed(snapshot("data"), snapshot("wal", {"readyToUse": False}))))
    seen = taken.look([ref("data"), ref("wal")], is_usable, 60.0)
    assert set(seen) == {ref("data")}
    assert "is the snapshot controller running" in str(seen[ref("data")])


def test_a_snapshot_that_is_gone_is_told(api, taken) -> None:
    api.on(ALL, reply(listed()))
    assert taken.look([ref("data")], is_cut, 60.0) == {
        ref("data"): "its snapshot was deleted while it was taken"
    }


def test_a_snapshot_is_not_missed_because_somebody_looked_before_it_was_there(api, taken) -> None:
    api.on(ALL, reply(listed(snapshot("data", CUT))), reply(listed(snapshot("more", CUT))))
    taken.look([ref("data")], is_cut, 60.0)
    taken.take([one("more")])
    assert taken.look([ref("more")], is_cut, 60.0) == {ref("more"): snapshot("more", CUT)}


def test_threads_share_a_look(api, taken, monkeypatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 30.0)
    api.on(ALL, reply(listed(snapshot("data", CUT), snapshot("wal", CUT))))
    threads = [
        threading.Thread(target=taken.look, args=([ref("data")], is_cut, 60.0)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(api.asked(ALL)) == 1


def test_waiting_for_the_cut_ends_with_the_last_of_them(api, taken, monkeypatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.01)
    first = reply(listed(snapshot("data", CUT), snapshot("wal")))
    api.on(ALL, first, first, reply(listed(snapshot("data", CUT), snapshot("wal", CUT))))
    assert taken.await_cut([ref("data"), ref("wal")], 60.0, threading.Event()) == {}
    assert len(api.asked(ALL)) == 3


def test_waiting_for_the_cut_has_a_limit_and_can_be_stopped(api, taken, monkeypatch) -> None:
    api.on(ALL, reply(listed(snapshot("data", CUT), snapshot("wal", {}))))
    both = [ref("data"), ref("wal")]
    stop = threading.Event()
    assert taken.await_cut(both, 0.0, stop) == {ref("wal"): "it is not cut yet"}
    monkeypatch.setattr(module, "LOOK_AGAIN", 60.0)
    threading.Timer(0.2, stop.set).start()
    before = time.monotonic()
    assert taken.await_cut(both, 60.0, stop) == {ref("wal"): "the run was interrupted"}
    assert time.monotonic() - before < 30


def test_a_snapshot_is_taken_back_with_its_data(api: FakeApi, connection: Connection) -> None:
    api.on(f"{HERE}/x", reply(snapshot("data", USABLE)))
    api.on(f"{HERE}/x", reply({}), method="DELETE")
    api.on(f"{GROUP}/volumesnapshotcontents/content", reply({}), method="PATCH")
    delete(connection, "shop", "x")
    [patch] = api.asked(f"{GROUP}/volumesnapshotcontents/content", "PATCH")
    assert patch.json["spec"] == {"deletionPolicy": "Delete"}
    assert len(api.asked(f"{HERE}/x", "DELETE")) == 1
    assert "gitops-dr.dev/taken-back" in patch.json["metadata"]["annotations"]
    api.on(f"{GROUP}/volumesnapshotcontents/content", refusal(404), method="PATCH")
    delete(connection, "shop", "x")
    assert len(api.asked(f"{HERE}/x", "DELETE")) == 2
    delete(connection, "shop", "gone")
    api.on(f"{HERE}/x", refusal(403, "Forbidden", "no"), method="DELETE")
    with pytest.raises(ApiError):
        delete(connection, "shop", "x")


# -- making one safe -------------------------------------------------------------------------------

CONTENT = f"{GROUP}/volumesnapshotcontents/content"


def content(**spec: Any) -> dict[str, Any]:
    told = {"namespace": "shop", "name": snapshot_name(ref("data"), SET), "uid": "data"}
    return {
        "metadata": {"name": "content"},
        "spec": {"volumeSnapshotRef": told, **spec},
        "status": {"snapshotHandle": "h"},
    }


def test_a_snapshot_is_made_safe_by_one_request(api: FakeApi, connection: Connection) -> None:
    api.on(CONTENT, reply(content(deletionPolicy="Retain")), method="PATCH")
    assert secure(connection, snapshot("data", USABLE)) == content(deletionPolicy="Retain")
    (asked,) = api.requests
    assert asked.json == [
        {"op": "test", "path": "/spec/volumeSnapshotRef/uid", "value": "data"},
        {"op": "replace", "path": "/spec/deletionPolicy", "value": "Retain"},
    ]


@pytest.mark.parametrize(
    ("live", "says"),
    [
        (content(volumeSnapshotRef={"namespace": "x", "name": "y"}), "is of another snapshot, x/y"),
        (content(), "the test failed"),
    ],
)
def test_the_content_of_another_snapshot_is_left_as_it_is(
    api: FakeApi, connection: Connection, live: Any, says: str
) -> None:
    api.on(CONTENT, refusal(422, "Invalid", "the test failed"), method="PATCH")
    api.on(CONTENT, reply(live))
    with pytest.raises(CannotCaptureError, match=says):
        secure(connection, snapshot("data", USABLE))


def test_what_has_no_handle_or_no_content_is_not_safe(api: FakeApi, connection: Connection) -> None:
    api.on(CONTENT, reply({**content(), "status": {}}), method="PATCH")
    with pytest.raises(CannotCaptureError, match="content content has no handle"):
        secure(connection, snapshot("data", USABLE))
    with pytest.raises(CannotCaptureError, match="bound to no content"):
        secure(connection, snapshot("data", {**CUT, "readyToUse": True}))
    api.on(CONTENT, refusal(403, "Forbidden", "no"), method="PATCH")
    with pytest.raises(ApiError):
        secure(connection, snapshot("data", USABLE))


# -- a capture whose cluster fails it --------------------------------------------------------------


def cluster(api: FakeApi, *claims: tuple[str, str]) -> None:
    """Bound claims of one driver; each is namespace and name."""
    bodies = [
        {
            "metadata": {"namespace": namespace, "name": name, "uid": name},
            "spec": {"volumeName": f"pv-{namespace}-{name}"},
            "status": {"phase": "Bound"},
        }
        for namespace, name in claims
    ]
    volumes = [
        {"metadata": {"name": body["spec"]["volumeName"]}, "spec": {"csi": {"driver": "driver"}}}
        for body in bodies
    ]
    api.on("/api/v1/persistentvolumeclaims", reply(listed(*bodies)))
    api.on("/api/v1/persistentvolumes", reply(listed(*volumes)))
    classes = listed({"metadata": {"name": "class"}, "driver": "driver"})
    api.on(f"{GROUP}/volumesnapshotclasses", reply(classes))


def test_a_snapshot_that_cannot_be_taken_back_is_told_and_left_for_the_next_run(
    api: FakeApi, connection: Connection, monkeypatch
) -> None:
    monkeypatch.setattr("gitops_dr.engine.capture.new_set", lambda: SET)
    cluster(api, ("shop", "data"))
    name = snapshot_name(ref("data"), SET)
    api.on(HERE, reply({}, 201), method="POST")
    api.on(ALL, reply(listed(snapshot("data", {"error": {"message": "full"}}))))
    api.on(f"{HERE}/{name}", refusal(403, "Forbidden", "no"))
    events: list[Any] = []
    done = capture(connection, VolumeSettings(), "source", timeout=0.0, emit=events.append)
    assert [gap.reason for gap in done.gaps] == ["its snapshot fails: full"]
    assert Notice(f"VolumeSnapshot shop/{name} is left for now: no") in events


@pytest.mark.parametrize(("namespaces", "lists"), [(8, 0), (9, 1)])
def test_pods_of_few_namespaces_are_asked_for_one_by_one(
    api: FakeApi, connection: Connection, namespaces: int, lists: int
) -> None:
    cluster(api, *[(f"ns-{i}", "data") for i in range(namespaces)])
    done = capture(connection, VolumeSettings(), "source")
    assert len(done.gaps) == namespaces
    assert len(api.asked("/api/v1/pods")) == lists
    asked = [request.path for request in api.requests if request.path.endswith("/pods")]
    assert len(asked) == (1 if lists else namespaces)


def test_a_snapshot_that_cannot_be_made_safe_has_no_record_and_is_taken_back(
    api: FakeApi, connection: Connection, monkeypatch
) -> None:
    monkeypatch.setattr("gitops_dr.engine.capture.new_set", lambda: SET)
    cluster(api, ("shop", "data"))
    api.on(HERE, reply({}, 201), method="POST")
    api.on(ALL, reply(listed(snapshot("data", USABLE))))
    api.on(CONTENT, refusal(403, "Forbidden", "not yours"), method="PATCH")
    path = f"{HERE}/{snapshot_name(ref('data'), SET)}"
    api.on(path, reply(snapshot("data")))
    api.on(path, reply({}), method="DELETE")
    done = capture(connection, VolumeSettings(), "source")
    assert [gap.reason for gap in done.gaps] == ["its snapshot cannot be relied on: not yours"]
    assert done.records == ()
    assert len(api.asked(path, "DELETE")) == 1


def test_pods_that_may_not_be_read_end_the_capture(api: FakeApi, connection: Connection) -> None:
    """They may have hooks, and a snapshot without them would be worth less than it seems."""
    cluster(api, ("shop", "data"))
    api.on("/api/v1/namespaces/shop/pods", refusal(403, "Forbidden", "no pods"))
    with pytest.raises(ApiError, match="no pods"):
        capture(connection, VolumeSettings(), "source")
    assert not api.asked(HERE, "POST")
