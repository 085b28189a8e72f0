"""An object is deleted and made again: guarded, taken up where it ended, and never lost."""

import pytest
from fake_api import broken, refusal, reply

from gitops_dr.engine import replacement
from gitops_dr.engine.act import act
from gitops_dr.model import Action, Ref, Resource, Result, Step

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
SETS = Resource("apps", "v1", "StatefulSet", "statefulsets", namespaced=True)
PATH = "/api/v1/namespaces/shop/configmaps"
GONE = refusal(404, "NotFound", 'configmaps "a" not found')
WANTED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "shop"},
    "data": {"k": "v"},
}


def live(uid="1", data="old", **metadata):
    added = {"uid": uid, "resourceVersion": "7"} | metadata
    return {**WANTED, "metadata": WANTED["metadata"] | added, "data": {"k": data}}


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(replacement, "_WHILE", 0.05)
    monkeypatch.setattr(replacement, "_LOOK_AGAIN", 0.01)


def run(connection, wanted=WANTED, resource=CONFIG_MAPS):
    ref = Ref(resource.group, resource.kind, "shop", "a")
    step = Step(ref, Action.REPLACE, "f", "p", "v1")
    return act(connection, step, resource, wanted, lambda _owner: None)


def test_only_what_was_looked_at_is_deleted(api, connection):
    api.on(f"{PATH}/a", reply(live()), GONE)
    api.on(f"{PATH}/a", reply({"kind": "Status"}), method="DELETE")
    api.on(PATH, reply(live("2", "v"), 201), method="POST")
    done = run(connection)
    assert done.outcome.result is Result.DONE
    assert done.stored["metadata"]["uid"] == "2"
    (deleted,) = api.asked(f"{PATH}/a", "DELETE")
    assert deleted.json == {
        "preconditions": {"uid": "1", "resourceVersion": "7"},
        "propagationPolicy": "Background",
    }
    (made,) = api.asked(PATH, "POST")
    assert made.json == WANTED


def test_what_a_stateful_set_owns_is_let_live(api, connection):
    path = "/apis/apps/v1/namespaces/shop/statefulsets"
    there = {**live(), "apiVersion": "apps/v1", "kind": "StatefulSet"}
    api.on(f"{path}/a", reply(there), refusal(404, "NotFound", "not found"))
    api.on(f"{path}/a", reply({}), method="DELETE")
    api.on(path, reply(there, 201), method="POST")
    run(connection, {**WANTED, "apiVersion": "apps/v1", "kind": "StatefulSet"}, SETS)
    assert api.asked(f"{path}/a", "DELETE")[0].json["propagationPolicy"] == "Orphan"


def test_one_that_somebody_wrote_to_is_looked_at_anew(api, connection):
    api.on(f"{PATH}/a", reply(live()))
    conflict = 'Operation cannot be fulfilled on configmaps "a": Precondition failed'
    api.on(f"{PATH}/a", refusal(409, "Conflict", conflict), method="DELETE")
    done = run(connection)
    assert done.outcome.result is Result.FAILED
    assert done.too_early
    assert not api.asked(PATH, "POST")


def test_one_that_is_as_wanted_by_now_stays(api, connection):
    api.on(f"{PATH}/a", reply(live(data="v")))
    assert run(connection).outcome.result is Result.PRESENT
    assert [each.method for each in api.requests] == ["GET"]


def test_one_with_which_something_would_be_lost_by_now_stays(api, connection):
    api.on(f"{PATH}/a", reply(live(finalizers=["example.com/db"])))
    done = run(connection)
    assert done.outcome.result is Result.FAILED
    assert "example.com/db" in done.outcome.reason
    assert not done.too_early
    assert [each.method for each in api.requests] == ["GET"]


def test_one_that_takes_its_time_is_awaited_and_told(api, connection):
    going = live(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["orphan"])
    api.on(f"{PATH}/a", reply(live()), reply(going))
    api.on(f"{PATH}/a", reply(going), method="DELETE")
    done = run(connection)
    assert done.outcome.reason == "is being deleted, and is held by orphan"
    assert done.too_early
    # The next attempt deletes nothing a second time.
    run(connection)
    assert len(api.asked(f"{PATH}/a", "DELETE")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden", "exceeded quota: all, requested: configmaps=1"),
        refusal(422, "Invalid", "no"),
        refusal(500, "InternalError", "etcd"),
        broken(),
    ],
)
def test_once_it_is_deleted_it_is_made_whatever_is_said(api, connection, answer):
    """The quota counts the old one a moment longer, and nothing else is final either."""
    api.on(f"{PATH}/a", reply(live()), GONE)
    api.on(f"{PATH}/a", reply({}), method="DELETE")
    api.on(PATH, answer, reply(live("2", "v"), 201), method="POST")
    done = run(connection)
    assert done.too_early
    assert done.outcome.reason.startswith("was deleted, and is not made again yet: ")
    assert run(connection).outcome.result is Result.DONE
    assert len(api.asked(f"{PATH}/a", "DELETE")) == 1


def test_one_that_was_made_although_nobody_said_so_is_found(api, connection):
    api.on(f"{PATH}/a", reply(live()), GONE, reply(live("2", "v")))
    api.on(f"{PATH}/a", reply({}), method="DELETE")
    api.on(PATH, broken(), method="POST")
    assert run(connection).perhaps_done
    assert run(connection).outcome.result is Result.PRESENT
    assert len(api.asked(f"{PATH}/a", "DELETE")) == 1


@pytest.mark.parametrize(("data", "result"), [("v", Result.PRESENT), ("other", Result.FAILED)])
def test_what_somebody_else_makes_in_between_is_not_deleted(api, connection, data, result):
    api.on(f"{PATH}/a", reply(live()), GONE, reply(live("3", data)))
    api.on(f"{PATH}/a", reply({}), method="DELETE")
    exists = refusal(409, "AlreadyExists", 'configmaps "a" already exists')
    api.on(PATH, exists, method="POST")
    done = run(connection)
    assert done.outcome.result is result
    assert not done.too_early
    assert len(api.asked(f"{PATH}/a", "DELETE")) == 1


def test_a_killed_run_finds_nothing_there_and_makes_it(api, connection):
    api.on(f"{PATH}/a", GONE)
    api.on(PATH, reply(live("2", "v"), 201), method="POST")
    assert run(connection).outcome.result is Result.DONE
    assert not api.asked(f"{PATH}/a", "DELETE")
