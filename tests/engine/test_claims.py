"""Single claims against an API server that plays what it is told."""

from __future__ import annotations

import pytest
from fake_api import FakeApi, listed, refusal, reply

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine import claims
from gitops_dr.engine.claims import (
    await_bound,
    await_gone,
    delete_claim,
    delete_unbound,
    find_claim,
    make_filled,
    why_pending,
    with_words,
)
from gitops_dr.errors import ClusterError
from gitops_dr.events import silent
from gitops_dr.model import Action, Outcome, Ref, Result

REF = Ref("", "PersistentVolumeClaim", "shop", "data")
CLAIMS = "/api/v1/namespaces/shop/persistentvolumeclaims"
CLAIM = f"{CLAIMS}/data"
EVENTS = "/api/v1/namespaces/shop/events"
SOURCE = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}


def body(phase: str = "Pending", **spec: object) -> dict[str, object]:
    metadata = {"name": "data", "namespace": "shop", "uid": "1"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def event(message: str, time: str | None, name: str = "data", **more: object) -> dict[str, object]:
    involved = {"kind": "PersistentVolumeClaim", "name": name}
    return {"message": message, "lastTimestamp": time, "involvedObject": involved, **more}


def wanted() -> dict[str, object]:
    return {"metadata": {"name": "data", "namespace": "shop"}, "spec": {"dataSourceRef": SOURCE}}


def test_a_claim_that_is_not_there_is_none(api: FakeApi, connection: Connection) -> None:
    assert find_claim(connection, REF) is None


def test_a_source_that_stuck_is_all_there_is_to_it(api: FakeApi, connection: Connection) -> None:
    api.on(CLAIMS, reply(body(dataSourceRef=SOURCE), 201), method="POST")
    make_filled(connection, REF, wanted())
    assert [request.method for request in api.requests] == ["POST"]


@pytest.mark.parametrize("stored", [{}, {"dataSourceRef": {**SOURCE, "name": "another"}}])
def test_a_claim_whose_source_was_dropped_does_not_stay(
    api: FakeApi, connection: Connection, stored: dict[str, object]
) -> None:
    api.on(CLAIMS, reply(body(**stored), 201), method="POST")
    api.on(CLAIM, reply(body(**stored)))
    api.on(CLAIM, reply({}), method="DELETE")
    with pytest.raises(ClusterError, match="the data source that it was made with was dropped"):
        make_filled(connection, REF, wanted())
    (deleted,) = api.asked(CLAIM, "DELETE")
    assert deleted.json == {"preconditions": {"uid": "1"}}


def test_a_claim_that_has_a_volume_by_now_is_left(api: FakeApi, connection: Connection) -> None:
    api.on(CLAIM, reply(body("Bound", volumeName="pv")))
    assert delete_unbound(connection, body()) == "it has a volume already, and is left"
    assert api.asked(CLAIM, "DELETE") == []


def test_another_claim_of_its_name_is_left(api: FakeApi, connection: Connection) -> None:
    other = body()
    other["metadata"] = {"name": "data", "namespace": "shop", "uid": "2"}
    api.on(CLAIM, reply(other))
    assert delete_unbound(connection, body()) == ""
    assert api.asked(CLAIM, "DELETE") == []


def test_why_one_could_not_be_deleted_is_said(api: FakeApi, connection: Connection) -> None:
    api.on(CLAIM, reply(body()))
    api.on(CLAIM, refusal(403, "Forbidden", "not yours"), method="DELETE")
    assert delete_unbound(connection, body()) == "not yours"


def test_what_is_gone_is_deleted(api: FakeApi, connection: Connection) -> None:
    api.on(CLAIM, refusal(404, "NotFound", "gone"), method="DELETE")
    delete_claim(connection, body())


def test_a_claim_that_somebody_holds_is_not_waited_for_for_ever(
    api: FakeApi, connection: Connection
) -> None:
    held = body()
    held["metadata"] = {**held["metadata"], "finalizers": ["kubernetes.io/pvc-protection"]}  # type: ignore[dict-item]
    api.on(CLAIM, reply(held))
    with pytest.raises(ClusterError, match=r"is being deleted, and stays .*pvc-protection"):
        await_gone(connection, held, 0.0, silent)


def test_it_is_gone_once_another_has_its_name(api: FakeApi, connection: Connection) -> None:
    other = body()
    other["metadata"] = {**other["metadata"], "uid": "2"}  # type: ignore[dict-item]
    api.on(CLAIM, reply(body()), reply(other))
    await_gone(connection, body(), 30.0, silent)


def test_a_claim_is_waited_for_until_it_has_its_volume(
    api: FakeApi, connection: Connection
) -> None:
    api.on(CLAIM, reply(body()), reply(body("Bound", volumeName="pv")))
    assert await_bound(connection, REF, 30.0, silent)["spec"]["volumeName"] == "pv"


@pytest.mark.parametrize(
    ("phase", "timeout", "says"),
    [
        ("Pending", 0.0, "is Pending: the pool is full"),
        ("Lost", 30.0, "is Lost: the pool is full"),
    ],
)
def test_one_that_gets_none_says_what_the_provisioner_says(
    api: FakeApi, connection: Connection, phase: str, timeout: float, says: str
) -> None:
    api.on(CLAIM, reply(body(phase)))
    api.on(EVENTS, reply(listed(event("the pool\n is full", "2026-01-01T00:00:00Z"))))
    with pytest.raises(ClusterError, match=says):
        await_bound(connection, REF, timeout, silent)


def test_one_that_is_deleted_meanwhile_is_not_waited_for(
    api: FakeApi, connection: Connection
) -> None:
    with pytest.raises(ClusterError, match="was deleted while it was waited for"):
        await_bound(connection, REF, 30.0, silent)


def test_the_newest_warning_counts(api: FakeApi, connection: Connection) -> None:
    api.on(
        EVENTS,
        reply(
            listed(
                event("old", "2026-01-01T00:00:00Z"),
                event("new", "2026-01-01T00:00:02Z"),
                event("between", None, eventTime="2026-01-01T00:00:01Z"),
            )
        ),
    )
    assert why_pending(connection, REF) == "new"
    assert "involvedObject.name=data" in api.requests[0].query["fieldSelector"]


def test_without_events_nothing_is_said(api: FakeApi, connection: Connection) -> None:
    api.on(EVENTS, refusal(403, "Forbidden", "no"))
    assert why_pending(connection, REF) == ""
    api.on(EVENTS, reply(listed()))
    assert why_pending(connection, REF) == ""


def late(name: str, namespace: str = "shop") -> Outcome:
    ref = Ref("", "PersistentVolumeClaim", namespace, name)
    return Outcome(ref, Action.CREATE, Result.UNREADY, "is Pending", 1.0)


def test_an_outcome_has_the_words_and_what_helps(api: FakeApi, connection: Connection) -> None:
    message = "rpc error: code = ResourceExhausted desc = full"
    now = "2026-01-01T00:00:00Z"
    api.on(EVENTS, reply(listed(event(message, now), event("something", now, "other"))))
    first, other, silent_one = with_words(connection, map(late, ("data", "other", "silent")))
    assert first.reason == (
        f"is Pending: {message}; "
        "the storage has no room left; free some, and run the same command again"
    )
    assert first.seconds == 1.0
    assert (other.reason, silent_one.reason) == ("is Pending: something", "is Pending")
    assert len(api.requests) == 1


def test_a_cluster_that_does_not_answer_is_not_asked_for_each(
    api: FakeApi, connection: Connection
) -> None:
    api.on(EVENTS, refusal(403, "Forbidden", "no"))
    outcomes = [late("data"), late("data", "bank"), late("other")]
    assert list(with_words(connection, outcomes)) == outcomes
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("ref", "result"),
    [(REF, Result.DONE), (Ref("apps", "Deployment", "shop", "web"), Result.UNREADY)],
)
def test_of_others_nobody_is_asked(
    api: FakeApi, connection: Connection, ref: Ref, result: Result
) -> None:
    outcome = Outcome(ref, Action.CREATE, result, "as it is")
    assert list(with_words(connection, [outcome])) == [outcome]
    assert api.requests == []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "LOOK_AGAIN", 0.01)
