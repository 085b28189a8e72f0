"""A snapshot that only its handle tells of, against an API server that plays what it is told."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from fake_api import FakeApi, refusal, reply
from volumes_samples import CLAIM, FACTS, RECORD

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine import importing
from gitops_dr.engine.importing import await_usable, forget, import_snapshot, revive, sources
from gitops_dr.errors import ClusterError
from gitops_dr.volumes.restore import restoration

MADE = restoration(RECORD.ref, CLAIM, RECORD, FACTS, target_uid="t")
CONTENT_REF, SNAPSHOT_REF = sources(MADE)
NAME = CONTENT_REF.name
API = "/apis/snapshot.storage.k8s.io/v1"
CONTENTS = f"{API}/volumesnapshotcontents"
SNAPSHOTS = f"{API}/namespaces/shop/volumesnapshots"
THERE = refusal(409, "AlreadyExists", "already exists")
PROTECTED = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LOOK_AGAIN", 0.01)


def stored(which: Any, *, status: Any = None, **metadata: Any) -> dict[str, Any]:
    """As the API server and the controllers have made it."""
    body = deepcopy(MADE.bodies[which])
    added = {"uid": f"uid of {which.kind}", "resourceVersion": "7", "finalizers": ["bound"]}
    body["metadata"] |= added | metadata
    body["status"] = status
    if which is CONTENT_REF:
        body["spec"]["volumeSnapshotRef"]["uid"] = f"uid of {SNAPSHOT_REF.kind}"
    return body


def both_there(api: FakeApi, content: Any, snapshot: Any = None) -> None:
    api.on(CONTENTS, THERE, method="POST")
    api.on(SNAPSHOTS, THERE, method="POST")
    api.on(f"{CONTENTS}/{NAME}", reply(content))
    api.on(f"{SNAPSHOTS}/{NAME}", reply(snapshot or stored(SNAPSHOT_REF)))
    api.on(f"{CONTENTS}/{NAME}", reply(content), method="PATCH")


def test_what_is_not_there_is_made(api: FakeApi, connection: Connection) -> None:
    api.on(CONTENTS, reply(stored(CONTENT_REF), 201), method="POST")
    api.on(SNAPSHOTS, reply(stored(SNAPSHOT_REF), 201), method="POST")
    assert import_snapshot(connection, MADE) == SNAPSHOT_REF
    assert [request.path for request in api.requests] == [CONTENTS, SNAPSHOTS]
    assert api.requests[0].json == MADE.bodies[CONTENT_REF]


def test_what_an_earlier_run_has_made_is_found(api: FakeApi, connection: Connection) -> None:
    both_there(api, stored(CONTENT_REF))
    assert import_snapshot(connection, MADE) == SNAPSHOT_REF
    assert api.asked(f"{CONTENTS}/{NAME}", "PATCH") == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spec": {**MADE.bodies[CONTENT_REF]["spec"], "deletionPolicy": "Delete"}}, "differs"),
        ({"spec": {**MADE.bodies[CONTENT_REF]["spec"], "driver": "other"}}, "differs"),
        ({"spec": {"source": {}}}, "differs"),
    ],
)
def test_what_has_its_name_and_is_something_else_is_left(
    api: FakeApi, connection: Connection, change: Any, says: str
) -> None:
    both_there(api, stored(CONTENT_REF) | change)
    with pytest.raises(ClusterError, match=says):
        import_snapshot(connection, MADE)
    assert {request.method for request in api.requests} == {"POST", "GET"}


def test_what_is_on_its_way_out_is_said_to_be(api: FakeApi, connection: Connection) -> None:
    both_there(api, stored(CONTENT_REF, deletionTimestamp="2026-01-01T00:00:00Z"))
    with pytest.raises(ClusterError, match=r"is being deleted, and stays \(bound\)"):
        import_snapshot(connection, MADE)


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "made anew"])
def test_a_content_that_outlived_its_snapshot_is_let_go(
    api: FakeApi, connection: Connection, gone: bool
) -> None:
    both_there(api, stored(CONTENT_REF), stored(SNAPSHOT_REF, uid="another"))
    if gone:
        api.on(f"{SNAPSHOTS}/{NAME}", refusal(404, "NotFound", "gone"))
    revive(connection, CONTENT_REF, stored(CONTENT_REF))
    (patched,) = api.asked(f"{CONTENTS}/{NAME}", "PATCH")
    assert [each["op"] for each in patched.json] == ["test", "remove"]
    assert patched.json[1]["path"] == "/spec/volumeSnapshotRef/uid"


def test_a_content_that_had_an_error_is_looked_at_again(
    api: FakeApi, connection: Connection
) -> None:
    both_there(api, stored(CONTENT_REF))
    revive(connection, CONTENT_REF, stored(CONTENT_REF, status={"error": {"message": "x"}}))
    (patched,) = api.asked(f"{CONTENTS}/{NAME}", "PATCH")
    assert list(patched.json["metadata"]["annotations"]) == ["gitops-dr.dev/asked-again"]


def test_a_snapshot_needs_no_reviving(api: FakeApi, connection: Connection) -> None:
    revive(connection, SNAPSHOT_REF, stored(SNAPSHOT_REF, status={"error": {"message": "x"}}))
    assert api.requests == []


def test_it_is_waited_for_until_it_can_be_used(api: FakeApi, connection: Connection) -> None:
    api.on(
        f"{SNAPSHOTS}/{NAME}",
        reply(stored(SNAPSHOT_REF)),
        reply(stored(SNAPSHOT_REF, status={"error": {"message": "try again"}})),
        reply(stored(SNAPSHOT_REF, status={"readyToUse": True})),
    )
    await_usable(connection, [SNAPSHOT_REF], 30.0)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (None, "no snapshot controller has taken it up"),
        ({"error": {"message": "no such handle"}}, "no such handle"),
        ({"readyToUse": False}, "readyToUse is not true yet"),
    ],
)
def test_one_that_cannot_be_used_says_why(
    api: FakeApi, connection: Connection, status: Any, says: str
) -> None:
    api.on(f"{SNAPSHOTS}/{NAME}", reply(stored(SNAPSHOT_REF, status=status)))
    with pytest.raises(ClusterError, match=says):
        await_usable(connection, [SNAPSHOT_REF], 0.0)


def test_what_was_brought_in_is_taken_away_with_what_holds_it(
    api: FakeApi, connection: Connection
) -> None:
    held = stored(SNAPSHOT_REF, finalizers=["mine", PROTECTED])
    api.on(f"{CONTENTS}/{NAME}", reply(stored(CONTENT_REF)))
    api.on(f"{SNAPSHOTS}/{NAME}", reply(held), reply(held), reply(held), refusal(404, "NotFound"))
    for path in (f"{CONTENTS}/{NAME}", f"{SNAPSHOTS}/{NAME}"):
        api.on(path, reply({}), method="DELETE")
    conflict = refusal(409, "Conflict", "changed meanwhile")
    api.on(f"{SNAPSHOTS}/{NAME}", conflict, reply(held), method="PATCH")
    forget(connection, [MADE])
    first, second = api.asked(f"{SNAPSHOTS}/{NAME}", "PATCH")
    assert first.json["metadata"]["finalizers"] == second.json["metadata"]["finalizers"] == ["mine"]
    deleted = [request.path for request in api.requests if request.method == "DELETE"]
    assert deleted == [f"{SNAPSHOTS}/{NAME}", f"{CONTENTS}/{NAME}"]


def test_what_could_take_data_along_is_not_deleted(api: FakeApi, connection: Connection) -> None:
    content = stored(CONTENT_REF)
    content["spec"]["deletionPolicy"] = "Delete"
    api.on(f"{CONTENTS}/{NAME}", reply(content))
    forget(connection, [MADE])
    assert not [request for request in api.requests if request.method == "DELETE"]
