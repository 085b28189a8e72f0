"""One step against an API server: made, found, merged, refused too early or for good."""

from types import SimpleNamespace

import pytest
from fake_api import Answer, broken, refusal, reply, text

from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError
from gitops_dr.engine.act import act
from gitops_dr.engine.refusals import TOO_EARLY
from gitops_dr.model import Action, EmptyVolume, Ref, Resource, Result, Step
from gitops_dr.volumes.started_empty import note_taken_off, with_note

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


def run(
    connection, wanted=None, resource=CONFIG_MAPS, find_uid=nobody, *, look_first=False, **parts
):
    wanted = wanted or body(resource)
    ref = Ref(resource.group, resource.kind, "shop", wanted["metadata"]["name"])
    step = Step(ref, Action.CREATE, "fingerprint", "path", "v1", **parts)
    done = act(connection, step, resource, wanted, find_uid, look_first=look_first)
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
    (409, "Operation cannot be fulfilled on"): refusal(
        409,
        "Conflict",
        'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please '
        "apply your changes to the latest version and try again",
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


@pytest.mark.parametrize("row", TOO_EARLY, ids=lambda row: f"{row.status} {row.contains}")
def test_it_is_said_where_nobody_knows_whether_it_was_made(api, connection, row):
    api.on(PATH, MESSAGES[row.status, row.contains], method="POST")
    assert run(connection).perhaps_done is (row.status in (0, 500, 502, 503, 504))


@pytest.mark.parametrize(
    ("live", "says"),
    [
        (
            reply(stored(body(), deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a/b"])),
            "is being deleted; waits for a/b",
        ),
        (reply(stored(body())), 'object is being deleted: configmaps "a" already exists'),
        (refusal(404), 'object is being deleted: configmaps "a" already exists'),
    ],
    ids=["held", "another by now", "gone by now"],
)
def test_what_holds_one_that_is_being_deleted_is_named(api, connection, live, says):
    api.on(PATH, MESSAGES[409, "object is being deleted"], method="POST")
    api.on(f"{PATH}/a", live)
    done = run(connection)
    assert (done.outcome.reason, done.too_early) == (says, True)


SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
SERVICE_PATH = "/api/v1/namespaces/shop/services"


def test_what_was_perhaps_made_is_looked_up_before_it_is_made_again(api, connection):
    """A second one would be refused for the port or the quota that the first one has taken.

    https://github.com/kubernetes/kubernetes/issues/106842
    """
    wanted = body(SERVICES, spec={"ports": [{"port": 80, "nodePort": 30080}]})
    ours = stored(wanted, managedFields=[{"manager": FIELD_MANAGER, "operation": "Update"}])
    # Filled in by the server, as what a person wrote always is.
    ours = {**ours, "spec": {"ports": [{"port": 80, "nodePort": 30080, "targetPort": 80}]}}
    api.on(SERVICE_PATH, refusal(422, "Invalid", "port is already allocated"), method="POST")
    api.on(f"{SERVICE_PATH}/a", reply(ours))
    done = run(connection, wanted, SERVICES, look_first=True)
    assert (done.outcome.result, done.stored) == (Result.DONE, ours)
    assert [request.method for request in api.requests] == ["GET"]


def test_one_that_somebody_else_has_made_meanwhile_is_compared(api, connection):
    theirs = stored(body(data={"k": "other"}), managedFields=[{"manager": "kubectl"}])
    api.on(PATH, THERE, method="POST")
    api.on(f"{PATH}/a", reply(theirs))
    done = run(connection, look_first=True)
    assert done.outcome.reason == "exists and differs; left untouched"


def test_what_was_not_made_is_made_then(api, connection):
    api.on(PATH, reply(stored(body()), 201), method="POST")
    done = run(connection, look_first=True)
    assert done.outcome.result is Result.DONE
    assert [request.method for request in api.requests] == ["GET", "POST"]


def test_one_that_is_being_deleted_is_not_the_one_that_was_perhaps_made(api, connection):
    ours = [{"manager": FIELD_MANAGER}]
    going = stored(body(), deletionTimestamp="2026-01-01T00:00:00Z", managedFields=ours)
    api.on(f"{PATH}/a", reply(going))
    api.on(PATH, MESSAGES[409, "object is being deleted"], method="POST")
    done = run(connection, look_first=True)
    assert (done.outcome.result, done.too_early) == (Result.FAILED, True)


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (refusal(403, "Forbidden", "User cannot get resource"), False),
        (refusal(404, "NotFound", "the server could not find the requested resource"), True),
        (broken(), True),
    ],
    ids=["refused", "not served", "no answer"],
)
def test_without_an_answer_to_that_nothing_is_made(api, connection, answer, again):
    api.on(f"{PATH}/a", answer)
    done = run(connection, look_first=True)
    assert (done.outcome.result, done.too_early) == (Result.FAILED, again)
    assert {request.method for request in api.requests} == {"GET"}


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


@pytest.mark.parametrize("text", ["node port 30080 is already allocated", "x should not be set"])
def test_an_internal_error_that_time_does_not_heal_is_final(api, connection, text):
    api.on(PATH, refusal(500, "InternalError", text), method="POST")
    done = run(connection)
    assert done.outcome.result is Result.FAILED
    assert not done.too_early


# -- owners that come later ------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False], ids=["there", "later"])
@pytest.mark.parametrize("before", [True, False], ids=["found", "made"])
def test_what_lacks_an_owner_is_told(api, connection, there, before):
    """Also if an earlier attempt made it, whose answer was lost."""
    linked = [{**owner("web"), "uid": "1"}] if there else []
    api.on(PATH, THERE if before else reply(stored(body(owners=linked)), 201), method="POST")
    api.on(f"{PATH}/a", reply(stored(body(owners=linked))))
    found = (lambda _ref: "1") if there else nobody
    done = run(connection, body(owners=[owner("web")]), find_uid=found)
    assert done.outcome.result is (Result.PRESENT if before else Result.DONE)
    assert done.ownerless is not there


# -- what runs to an end ---------------------------------------------------------------------------

JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)
JOB_PATH = "/apis/batch/v1/namespaces/shop/jobs"


def test_what_had_not_finished_is_made_held(api, connection):
    wanted = body(JOBS, spec={"suspend": False, "x": 1})
    api.on(JOB_PATH, reply(stored(wanted), 201), method="POST")
    run(connection, wanted, JOBS)
    assert api.requests[0].json["spec"] == {"suspend": True, "x": 1}
    assert wanted["spec"]["suspend"] is False


def test_one_that_is_there_held_is_the_one_that_was_made(api, connection):
    wanted = body(JOBS, spec={"suspend": False, "x": 1})
    api.on(JOB_PATH, THERE, method="POST")
    api.on(f"{JOB_PATH}/a", reply(stored(body(JOBS, spec={"suspend": True, "x": 1}))))
    assert run(connection, wanted, JOBS).outcome.result is Result.PRESENT


def test_configuring_holds_nothing(api, connection):
    """A person who let it start, or asked for it to be overwritten, has decided."""
    live = stored(body(JOBS, spec={"suspend": False, "x": 2}))
    api.on(f"{JOB_PATH}/a", reply(live))
    api.on(f"{JOB_PATH}/a", reply(live), method="PATCH")
    configure(connection, body(JOBS, spec={"suspend": False, "x": 1}), JOBS)
    assert api.requests[1].json[1:] == [{"op": "replace", "path": "/spec/x", "value": 1}]


# -- configure -------------------------------------------------------------------------------------

OTHER = body(data={"k": "other"})


def configure(connection, wanted=None, resource=CONFIG_MAPS, find_uid=nobody, **parts):
    wanted = wanted or body(resource)
    ref = Ref(resource.group, resource.kind, "shop", wanted["metadata"]["name"])
    step = Step(ref, Action.CONFIGURE, "fingerprint", "path", "v1", **parts)
    return act(connection, step, resource, wanted, find_uid)


def patches(api):
    return [request.json for request in api.requests if request.method == "PATCH"]


def guard(version="7"):
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}


def test_configuring_patches_the_fields_that_differ_and_nothing_else(api, connection):
    live = stored(OTHER, labels={"by": "hand"}, annotations={"of": "somebody"})
    live["status"] = {"of": "the cluster"}
    api.on(f"{PATH}/a", reply(live))
    api.on(f"{PATH}/a", reply(stored(body())), method="PATCH")
    done = configure(connection)
    assert (done.outcome.result, done.stored) == (Result.DONE, stored(body()))
    assert done.outcome.action is Action.CONFIGURE
    assert patches(api) == [
        [
            guard(),
            {"op": "replace", "path": "/data/k", "value": "v"},
            {"op": "remove", "path": "/metadata/annotations"},
            {"op": "remove", "path": "/metadata/labels"},
        ]
    ]
    (request,) = [each for each in api.requests if each.method == "PATCH"]
    assert request.headers["Content-Type"] == "application/json-patch+json"


def test_what_rules_take_out_of_the_live_object_stays(api, connection):
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    wanted = body()
    wanted["metadata"]["annotations"] = {"mine": "1"}
    api.on(f"{PATH}/a", reply(stored(body(), annotations=applied)))
    api.on(f"{PATH}/a", reply(stored(wanted)), method="PATCH")
    configure(connection, wanted)
    (operations,) = patches(api)
    assert operations[1:] == [{"op": "add", "path": "/metadata/annotations/mine", "value": "1"}]


def test_where_nothing_differs_any_more_nothing_is_written(api, connection):
    api.on(f"{PATH}/a", reply(stored(body())))
    assert configure(connection).outcome.result is Result.PRESENT
    assert patches(api) == []


@pytest.mark.parametrize("status", [409, 422])
def test_a_patch_is_made_anew_if_somebody_was_faster(api, connection, status):
    faster = stored(OTHER, resourceVersion="8")
    api.on(f"{PATH}/a", reply(stored(OTHER)), reply(faster))
    again = refusal(status, "Invalid", "the test failed")
    api.on(f"{PATH}/a", again, reply(stored(body())), method="PATCH")
    assert configure(connection).outcome.result is Result.DONE
    assert [operations[0] for operations in patches(api)] == [guard("7"), guard("8")]


def test_a_refusal_of_an_object_that_did_not_move_is_final(api, connection):
    api.on(f"{PATH}/a", reply(stored(OTHER)))
    api.on(f"{PATH}/a", refusal(422, "Invalid", "field is immutable"), method="PATCH")
    done = configure(connection)
    assert (done.outcome.result, done.outcome.reason) == (Result.FAILED, "field is immutable")
    assert not done.too_early
    assert len(patches(api)) == 1


def test_one_that_never_rests_is_given_up(api, connection):
    versions = [reply(stored(OTHER, resourceVersion=str(n))) for n in range(20)]
    api.on(f"{PATH}/a", *versions)
    api.on(f"{PATH}/a", refusal(409, "Conflict", "somebody was faster"), method="PATCH")
    done = configure(connection)
    assert (done.outcome.result, done.outcome.reason) == (Result.FAILED, "somebody was faster")
    assert len(patches(api)) == 8


@pytest.mark.parametrize(
    "now",
    [refusal(404, "NotFound", "not found"), refusal(403, "Forbidden", "not you"), broken()],
    ids=["gone", "forbidden", "no answer"],
)
def test_what_is_said_of_the_patch_is_told_though_the_object_cannot_be_read_again(
    api, connection, now
):
    api.on(f"{PATH}/a", reply(stored(OTHER)), now)
    api.on(f"{PATH}/a", refusal(422, "Invalid", "field is immutable"), method="PATCH")
    done = configure(connection)
    assert (done.outcome.result, done.outcome.reason) == (Result.FAILED, "field is immutable")
    assert not done.too_early


def test_after_any_other_refusal_the_object_is_not_read_again(api, connection):
    api.on(f"{PATH}/a", reply(stored(OTHER)))
    api.on(f"{PATH}/a", refusal(403, "Forbidden", "not you"), method="PATCH")
    assert configure(connection).outcome.reason == "not you"
    assert [request.method for request in api.requests] == ["GET", "PATCH"]


def test_one_that_is_gone_meanwhile_is_a_failure(connection):
    assert configure(connection).outcome.result is Result.FAILED


LINKED = {**owner("web"), "uid": "new"}


@pytest.mark.parametrize(
    ("in_git", "live", "uid", "written"),
    [
        pytest.param([owner("web")], [], "new", [LINKED], id="lost"),
        pytest.param([owner("web")], [{**LINKED, "uid": "old"}], "new", [LINKED], id="an old one"),
        pytest.param([owner("web")], [LINKED], "new", None, id="there"),
        pytest.param([owner("web")], [LINKED], None, None, id="not to be found"),
        pytest.param([], [LINKED], "new", None, id="given by somebody in the cluster"),
    ],
)
def test_owners_are_given_by_uid(api, connection, in_git, live, uid, written):
    api.on(f"{PATH}/a", reply(stored(body(owners=live))))
    api.on(f"{PATH}/a", reply(stored(body(owners=in_git))), method="PATCH")
    done = configure(connection, body(owners=in_git), find_uid=lambda _ref: uid)
    if written is None:
        assert patches(api) == []
        assert done.outcome.result is Result.PRESENT
    else:
        operation = {"op": "add", "path": "/metadata/ownerReferences", "value": written}
        assert patches(api) == [[guard(), operation]]


# -- a volume that an old claim has released -------------------------------------------------------

CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
CLAIM_PATH = "/api/v1/namespaces/shop/persistentvolumeclaims"
VOLUME_PATH = "/api/v1/persistentvolumes/disk"
OLD = {"namespace": "shop", "name": "a", "uid": "of the old claim", "resourceVersion": "3"}


def claim(**spec):
    return body(CLAIMS, spec={"volumeName": "disk"} | spec)


def volume(**claim_ref):
    spec = {"claimRef": claim_ref} if claim_ref else {}
    return {"metadata": {"name": "disk", "resourceVersion": "9"}, "spec": spec}


def freed(*more):
    path = "/spec/claimRef/uid"
    return [
        {"op": "test", "path": path, "value": "of the old claim"},
        {"op": "remove", "path": path},
        *more,
    ]


@pytest.mark.parametrize("made", [True, False], ids=["made", "made by an earlier attempt"])
def test_a_claim_gets_the_volume_that_its_predecessor_released(api, connection, made):
    api.on(CLAIM_PATH, reply(stored(claim()), 201) if made else THERE, method="POST")
    api.on(f"{CLAIM_PATH}/a", reply(stored(claim())))
    api.on(VOLUME_PATH, reply(volume(**OLD)))
    api.on(VOLUME_PATH, reply(volume()), method="PATCH")
    done = run(connection, claim(), CLAIMS)
    assert done.outcome.result is (Result.DONE if made else Result.PRESENT)
    version = {"op": "remove", "path": "/spec/claimRef/resourceVersion"}
    assert patches(api) == [freed(version)]


def test_a_reference_without_a_version_loses_its_uid_alone(api, connection):
    api.on(CLAIM_PATH, reply(stored(claim()), 201), method="POST")
    without = {key: value for key, value in OLD.items() if key != "resourceVersion"}
    api.on(VOLUME_PATH, reply(volume(**without)))
    api.on(VOLUME_PATH, reply(volume()), method="PATCH")
    run(connection, claim(), CLAIMS)
    assert patches(api) == [freed()]


@pytest.mark.parametrize(
    "held_for",
    [
        {},
        OLD | {"uid": "1"},
        {"namespace": "shop", "name": "a"},
        OLD | {"name": "b"},
        OLD | {"namespace": "bank"},
    ],
    ids=["for nobody", "for this very claim", "by name", "for another", "in another namespace"],
)
def test_any_other_volume_is_left_as_it_is(api, connection, held_for):
    api.on(CLAIM_PATH, reply(stored(claim()), 201), method="POST")
    api.on(VOLUME_PATH, reply(volume(**held_for)))
    assert run(connection, claim(), CLAIMS).outcome.result is Result.DONE
    assert patches(api) == []


def test_a_volume_that_is_not_there_yet_is_no_failure(api, connection):
    api.on(CLAIM_PATH, reply(stored(claim()), 201), method="POST")
    assert run(connection, claim(), CLAIMS).outcome.result is Result.DONE
    assert len(api.asked(VOLUME_PATH)) == 1


def test_a_claim_without_a_volume_of_its_own_asks_for_none(api, connection):
    api.on(CLAIM_PATH, reply(stored(claim(volumeName="")), 201), method="POST")
    run(connection, claim(volumeName=""), CLAIMS)
    assert [request.method for request in api.requests] == ["POST"]


@pytest.mark.parametrize("made", [True, False], ids=["made", "made by an earlier attempt"])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_claim_is_made_although_its_volume_cannot_be_freed(api, connection, method, made):
    """The reason is told; if it matters, the claim is not ready in time."""
    api.on(CLAIM_PATH, reply(stored(claim()), 201) if made else THERE, method="POST")
    api.on(f"{CLAIM_PATH}/a", reply(stored(claim())))
    api.on(VOLUME_PATH, reply(volume(**OLD)))
    api.on(VOLUME_PATH, refusal(403, "Forbidden", "volumes are forbidden"), method=method)
    done = run(connection, claim(), CLAIMS)
    assert done.outcome.result is (Result.DONE if made else Result.PRESENT)
    assert done.stored is not None
    assert done.outcome.reason == (
        "its volume may still be held for a claim that is gone: volumes are forbidden"
    )


# -- a volume that starts empty --------------------------------------------------------------------


def test_a_claim_whose_data_nothing_restores_is_made_with_a_note(api, connection):
    wanted = claim(volumeName="")
    api.on(CLAIM_PATH, reply(stored(with_note(wanted)), 201), method="POST")
    done = run(connection, wanted, CLAIMS, empty_volume=EmptyVolume.NOTED)
    assert done.outcome.result is Result.DONE
    assert api.requests[0].json == with_note(wanted)
    run(connection, wanted, CLAIMS)
    assert api.requests[1].json == wanted


def test_one_that_an_earlier_attempt_has_made_is_the_same(api, connection):
    wanted = claim(volumeName="")
    api.on(CLAIM_PATH, THERE, method="POST")
    api.on(f"{CLAIM_PATH}/a", reply(stored(with_note(wanted))))
    done = run(connection, wanted, CLAIMS, empty_volume=EmptyVolume.NOTED)
    assert done.outcome.result is Result.PRESENT


def test_overwriting_a_claim_leaves_its_note(api, connection):
    live = with_note(body(CLAIMS, spec={"volumeName": "old"}))
    api.on(f"{CLAIM_PATH}/a", reply(stored(live)))
    api.on(f"{CLAIM_PATH}/a", reply(stored(live)), method="PATCH")
    configure(connection, body(CLAIMS, spec={"volumeName": "new"}), CLAIMS)
    (operations,) = patches(api)
    assert [each["path"] for each in operations[1:]] == ["/spec/volumeName"]


def test_accepting_takes_the_note_off_and_nothing_else(api, connection):
    """Though the claim has changed since the plan was made: nobody asked to overwrite it."""
    api.on(f"{CLAIM_PATH}/a", reply(stored(claim())), method="PATCH")
    wanted = claim(volumeName="another")
    done = configure(connection, wanted, CLAIMS, empty_volume=EmptyVolume.ACCEPTED)
    assert (done.outcome.result, done.stored) == (Result.DONE, stored(claim()))
    (request,) = api.requests
    assert request.method == "PATCH"
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.json == note_taken_off(done.outcome.ref)


def test_an_acceptance_that_is_refused_has_failed(api, connection):
    api.on(f"{CLAIM_PATH}/a", refusal(403, "Forbidden", "not you"), method="PATCH")
    done = configure(connection, claim(), CLAIMS, empty_volume=EmptyVolume.ACCEPTED)
    assert (done.outcome.result, done.outcome.reason) == (Result.FAILED, "not you")


def test_a_volume_that_cannot_be_freed_for_now_is_tried_again(api, connection):
    api.on(CLAIM_PATH, reply(stored(claim()), 201), method="POST")
    api.on(VOLUME_PATH, refusal(500, "InternalError", "etcdserver: leader changed"))
    done = run(connection, claim(), CLAIMS)
    assert done.outcome.result is Result.FAILED
    assert done.too_early


# -- claims that are to be filled --------------------------------------------------------------

CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
CLAIM_PATH = "/api/v1/namespaces/shop/persistentvolumeclaims"
SOURCE = {
    "apiGroup": "snapshot.storage.k8s.io",
    "kind": "VolumeSnapshot",
    "name": "gitops-dr-0123456789abcdef",
}
FILLED = body(CLAIMS, spec={"storageClassName": "fast", "dataSourceRef": SOURCE})
PLAIN = body(CLAIMS, spec={"storageClassName": "fast"})


def test_a_claim_that_keeps_its_source_is_made(api, connection):
    answer = stored(FILLED)
    answer["spec"] = {**FILLED["spec"], "dataSource": SOURCE}
    api.on(CLAIM_PATH, reply(answer, 201), method="POST")
    assert run(connection, FILLED, CLAIMS).outcome.result is Result.DONE


def test_a_claim_whose_source_was_dropped_has_failed_and_does_not_stay(api, connection):
    api.on(CLAIM_PATH, reply(stored(PLAIN), 201), method="POST")
    api.on(f"{CLAIM_PATH}/a", reply(stored(PLAIN)))
    api.on(f"{CLAIM_PATH}/a", reply({}), method="DELETE")
    done = run(connection, FILLED, CLAIMS)
    assert done.outcome.result is Result.FAILED
    assert "its volume would be empty" in done.outcome.reason
    assert done.stored is None
    assert api.requests[-1].json == {"preconditions": {"uid": "1"}}


def test_one_that_was_perhaps_made_without_its_source_does_not_stay_either(api, connection):
    ours = stored(PLAIN, managedFields=[{"manager": FIELD_MANAGER}])
    api.on(f"{CLAIM_PATH}/a", reply(ours))
    api.on(f"{CLAIM_PATH}/a", reply({}), method="DELETE")
    done = run(connection, FILLED, CLAIMS, look_first=True)
    assert done.outcome.result is Result.FAILED
    assert api.requests[-1].json == {"preconditions": {"uid": "1"}}


def test_one_that_has_a_volume_by_then_is_left_and_said_to_be(api, connection):
    bound = stored({**PLAIN, "spec": {**PLAIN["spec"], "volumeName": "pv"}})
    api.on(CLAIM_PATH, reply(stored(PLAIN), 201), method="POST")
    api.on(f"{CLAIM_PATH}/a", reply(bound))
    done = run(connection, FILLED, CLAIMS)
    assert done.outcome.reason.endswith("; it has a volume already, and is left")
    assert not [request for request in api.requests if request.method == "DELETE"]


@pytest.mark.parametrize(
    ("live", "result"),
    [
        pytest.param(FILLED, Result.PRESENT, id="an attempt of ours made it"),
        pytest.param(
            {**FILLED, "status": {"phase": "Bound"}}, Result.PRESENT, id="it has its volume by now"
        ),
        pytest.param(PLAIN, Result.FAILED, id="an empty one"),
        pytest.param(
            {**PLAIN, "spec": {**PLAIN["spec"], "dataSourceRef": {**SOURCE, "name": "x"}}},
            Result.FAILED,
            id="one of another snapshot",
        ),
    ],
)
def test_a_claim_that_is_there_is_the_one_wanted_only_with_its_source(
    api, connection, live, result
):
    api.on(CLAIM_PATH, THERE, method="POST")
    api.on(f"{CLAIM_PATH}/a", reply(stored(live)))
    assert run(connection, FILLED, CLAIMS).outcome.result is result


CONTENT_KIND = Resource(
    "snapshot.storage.k8s.io",
    "v1",
    "VolumeSnapshotContent",
    "volumesnapshotcontents",
    namespaced=False,
)
CONTENT_PATH = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents"
SNAPSHOT_PATH = "/apis/snapshot.storage.k8s.io/v1/namespaces/shop/volumesnapshots"


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, Result.PRESENT),
        ({"deletionPolicy": "Delete"}, Result.FAILED),
        ({"source": {"snapshotHandle": "other"}}, Result.FAILED),
    ],
)
def test_a_content_that_its_controllers_have_added_to_is_the_one_wanted(
    api, connection, change, result
):
    reference = {"kind": "VolumeSnapshot", "namespace": "shop", "name": "a"}
    spec = {"deletionPolicy": "Retain", "source": {"snapshotHandle": "h"}}
    wanted = body(CONTENT_KIND, spec={**spec, "volumeSnapshotRef": reference})
    live = stored(wanted, finalizers=["snapshot.storage.kubernetes.io/bound"])
    live["spec"] = {
        **wanted["spec"], **change, "volumeSnapshotRef": {**reference, "uid": "7"}
    }  # fmt: skip
    api.on(CONTENT_PATH, THERE, method="POST")
    api.on(f"{CONTENT_PATH}/a", reply(live))
    api.on(f"{SNAPSHOT_PATH}/a", reply({"metadata": {"name": "a", "uid": "7"}}))
    ref = Ref(*CONTENT_KIND.group_kind, "", "a")
    step = Step(ref, Action.CREATE, "", "path", "v1")
    wanted["metadata"].pop("namespace")
    live["metadata"].pop("namespace")
    assert act(connection, step, CONTENT_KIND, wanted, nobody).outcome.result is result
