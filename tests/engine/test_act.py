"""One step against an API server: made, found, merged, refused too early or for good."""

from types import SimpleNamespace

import pytest
from fake_api import Answer, broken, refusal, reply, text

from gitops_dr.cluster.connect import ApiError
from gitops_dr.engine.act import act
from gitops_dr.engine.refusals import TOO_EARLY
from gitops_dr.model import Action, Ref, Resource, Result, Step

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True)
PATH = "/api/v1/namespaces/shop/configmaps"
THERE = refusal(409, "AlreadyExists", 'configmaps "a" already exists')


def body(resource=CONFIG_MAPS, *, name="a", owners=(), **parts):
    metadata = {"name": name, "namespace": "shop"}
    if owners:
        metadata["ownerReferences"] = list(owners)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
    } | (parts or {"data": {"k": "v"}})


def stored(wanted, **metadata):
    """What the API server makes of it."""
    added = {"uid": "1", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {**wanted, "metadata": wanted["metadata"] | added | metadata}


def owner(name, kind="Deployment", api_version="apps/v1"):
    return {"apiVersion": api_version, "kind": kind, "name": name, "controller": True}


def nobody(_ref):
    return None


def run(connection, wanted=None, resource=CONFIG_MAPS, find_uid=nobody):
    wanted = wanted or body(resource)
    ref = Ref(resource.group, resource.kind, "shop", wanted["metadata"]["name"])
    step = Step(ref, Action.CREATE, "fingerprint", "path", "v1")
    done = act(connection, step, resource, wanted, find_uid)
    assert (done.outcome.ref, done.outcome.action) == (ref, Action.CREATE)
    return done


def test_an_object_that_is_not_there_is_made(api, connection):
    api.on(PATH, reply(stored(body()), 201), method="POST")
    done = run(connection)
    assert (done.outcome.result, done.outcome.reason) == (Result.DONE, "")
    assert done.stored == stored(body())
    assert not done.too_early
    assert api.requests[0].json == body()


def test_its_time_is_that_of_the_request(connection, monkeypatch):
    clock = [10.0]

    def create(*_):
        clock[0] = 12.5
        return stored(body())

    monkeypatch.setattr("gitops_dr.engine.act.create", create)
    monkeypatch.setattr("gitops_dr.engine.act.time", SimpleNamespace(monotonic=lambda: clock[0]))
    assert run(connection).outcome.seconds == 2.5


# -- there already ---------------------------------------------------------------------------------


def test_an_object_that_is_there_and_equal_is_present(api, connection):
    api.on(PATH, THERE, method="POST")
    api.on(f"{PATH}/a", reply(stored(body())))
    done = run(connection)
    assert (done.outcome.result, done.outcome.reason) == (Result.PRESENT, "")
    assert done.stored == stored(body())


def test_one_that_differs_is_left_untouched_and_the_step_has_failed(api, connection):
    api.on(PATH, THERE, method="POST")
    api.on(f"{PATH}/a", reply(stored(body(data={"k": "other"}))))
    done = run(connection)
    assert done.outcome.result is Result.FAILED
    assert done.outcome.reason == "exists and differs; left untouched"
    assert done.stored is not None
    assert not done.too_early
    assert [request.method for request in api.requests] == ["POST", "GET"]


def test_one_that_no_file_could_hold_differs(api, connection):
    api.on(PATH, THERE, method="POST")
    api.on(f"{PATH}/a", reply(stored(body(data={"k" * 2000: "v"}))))
    assert run(connection).outcome.reason == "exists and differs; left untouched"


def test_a_write_whose_answer_was_lost_is_found_done(api, connection):
    """The second attempt meets the object of the first."""
    api.on(PATH, broken(), THERE, method="POST")
    api.on(f"{PATH}/a", reply(stored(body())))
    first = run(connection)
    assert first.outcome.result is Result.FAILED
    assert first.too_early
    assert run(connection).outcome.result is Result.PRESENT


@pytest.mark.parametrize(
    ("in_git", "live", "result"),
    [
        ({}, {"replicas": 1}, Result.PRESENT),
        ({"replicas": 3}, {"replicas": 3}, Result.PRESENT),
        ({"replicas": 3}, {"replicas": 1}, Result.FAILED),
        ({}, {"replicas": 1, "paused": True}, Result.FAILED),
    ],
)
def test_replicas_that_git_leaves_to_an_autoscaler_do_not_count(
    api, connection, in_git, live, result
):
    path = "/apis/apps/v1/namespaces/shop/deployments"
    api.on(path, refusal(409, "AlreadyExists", "there"), method="POST")
    api.on(f"{path}/a", reply(stored(body(DEPLOYMENTS, spec={"x": 1} | live))))
    done = run(connection, body(DEPLOYMENTS, spec={"x": 1} | in_git), DEPLOYMENTS)
    assert done.outcome.result is result


def test_another_conflict_is_final(api, connection):
    api.on(PATH, refusal(409, "Conflict", "the object has been modified"), method="POST")
    done = run(connection)
    assert (done.outcome.result, done.outcome.reason) == (
        Result.FAILED,
        "the object has been modified",
    )
    assert not done.too_early
    assert len(api.requests) == 1


# -- the default account ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "merged"), [("default", True), ("builder", False)])
def test_the_default_account_is_laid_over_the_one_that_the_controller_made(
    api, connection, name, merged
):
    path = "/api/v1/namespaces/shop/serviceaccounts"
    wanted = body(ACCOUNTS, name=name, imagePullSecrets=[{"name": "registry"}])
    api.on(path, refusal(409, "AlreadyExists", "there"), method="POST")
    api.on(f"{path}/{name}", reply(stored(wanted)), method="PATCH")
    api.on(f"{path}/{name}", reply(stored(body(ACCOUNTS, name=name, secrets=[]))))
    done = run(connection, wanted, ACCOUNTS)
    assert done.outcome.result is (Result.DONE if merged else Result.FAILED)
    assert [request.method for request in api.requests] == ["POST", "PATCH" if merged else "GET"]
    if merged:
        assert api.requests[1].json == wanted


# -- owners ----------------------------------------------------------------------------------------


def test_owners_are_linked_to_their_new_uids(api, connection):
    api.on(PATH, reply(stored(body()), 201), method="POST")
    asked = []

    def find_uid(ref):
        asked.append(ref)
        known = {
            Ref("apps", "Deployment", "shop", "web"): "uid of web",
            Ref("example.com", "Fleet", "", "all"): "uid of all",
        }
        return known.get(ref)

    owners = [owner("web"), owner("gone"), owner("all", "Fleet", "example.com/v2")]
    wanted = body(owners=owners)
    run(connection, wanted, find_uid=find_uid)
    assert api.requests[0].json["metadata"]["ownerReferences"] == [
        {**owners[0], "uid": "uid of web"},
        {**owners[2], "uid": "uid of all"},
    ]
    # The namespace's own first: only then could the owner be of the cluster.
    assert asked[:1] == [Ref("apps", "Deployment", "shop", "web")]
    assert wanted == body(owners=owners)


def test_without_any_owner_the_references_are_left_out(api, connection):
    api.on(PATH, reply(stored(body()), 201), method="POST")
    run(connection, body(owners=[owner("gone")]))
    assert "ownerReferences" not in api.requests[0].json["metadata"]


def test_an_owner_that_could_not_be_asked_for_is_not_left_out(api, connection):
    def find_uid(_ref):
        raise ApiError("no answer", status=0)

    done = run(connection, body(owners=[owner("web")]), find_uid=find_uid)
    assert done.outcome.result is Result.FAILED
    assert done.too_early
    assert not api.requests


@pytest.mark.parametrize("there", [True, False])
def test_uids_of_owners_do_not_make_a_difference(api, connection, there):
    linked = [{**owner("web"), "uid": "of today"}] if there else []
    api.on(PATH, THERE, method="POST")
    api.on(f"{PATH}/a", reply(stored(body(owners=linked))))
    found = (lambda _ref: "of today") if there else nobody
    done = run(connection, body(owners=[owner("web")]), find_uid=found)
    assert done.outcome.result is Result.PRESENT


# -- too early -------------------------------------------------------------------------------------

MESSAGES = {
    (404, "could not find the requested resource"): refusal(
        404, "NotFound", "the server could not find the requested resource"
    ),
    (404, "404 page not found"): text(404, "404 page not found\n"),
    (403, "error looking up service account"): refusal(
        403,
        "Forbidden",
        'pods "a" is forbidden: error looking up service account shop/default: '
        'serviceaccount "default" not found',
    ),
    (403, "status unknown for quota"): refusal(
        403, "Forbidden", 'pods "a" is forbidden: status unknown for quota: q, resources: pods'
    ),
    (409, "object is being deleted"): refusal(
        409, "AlreadyExists", 'object is being deleted: configmaps "a" already exists'
    ),
    (0, ""): broken(),
    (429, ""): refusal(429, "TooManyRequests", "too many requests"),
    (500, ""): refusal(500, "InternalError", "etcdserver: leader changed"),
    (502, ""): text(502, "<html>Bad Gateway</html>"),
    (503, ""): refusal(503, "ServiceUnavailable", "the server is shutting down"),
    (504, ""): refusal(504, "Timeout", "the request timed out"),
}
"""What servers say, by the row that it must meet."""


@pytest.mark.parametrize("row", TOO_EARLY, ids=lambda row: f"{row.status} {row.contains}")
def test_a_refusal_that_passes_is_told_from_a_final_one(api, connection, row):
    api.on(PATH, MESSAGES[row.status, row.contains], method="POST")
    done = run(connection)
    assert done.outcome.result is Result.FAILED
    assert done.outcome.reason
    assert done.too_early
    assert done.stored is None


def test_every_row_has_its_reason_and_a_link():
    assert {(row.status, row.contains) for row in TOO_EARLY} == set(MESSAGES)
    assert all(row.because and row.link.startswith("https://") for row in TOO_EARLY)


FINAL: dict[str, Answer] = {
    "invalid": refusal(422, "Invalid", "spec.x: Invalid value"),
    "unknown field": refusal(400, "BadRequest", 'strict decoding error: unknown field "spec.x"'),
    "no namespace": refusal(404, "NotFound", 'namespaces "shop" not found'),
    "forbidden": refusal(403, "Forbidden", "User cannot create resource"),
    "quota": refusal(403, "Forbidden", 'pods "a" is forbidden: exceeded quota: q'),
    "terminating": refusal(403, "Forbidden", "because it is being terminated"),
    "credentials": refusal(401, "Unauthorized", "Unauthorized"),
}


@pytest.mark.parametrize("name", FINAL)
def test_everything_else_is_final(api, connection, name):
    api.on(PATH, FINAL[name], method="POST")
    done = run(connection)
    assert done.outcome.result is Result.FAILED
    assert not done.too_early
