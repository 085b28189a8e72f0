"""Objects made in somebody's name: what is asked of the API server, and what comes of a refusal."""

import orjson
import pytest
from fake_api import broken, listed, refusal, reply

from gitops_dr.desired.managers import Holder, Share
from gitops_dr.drift.holders import LAST_APPLIED
from gitops_dr.engine.act import act
from gitops_dr.engine.handover import create_for, hand_over, hand_over_all
from gitops_dr.model import ANY, Action, EmptyVolume, Ref, Resource, Result, Step

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
PATH = "/api/v1/namespaces/shop/configmaps"
REF = Ref("", "ConfigMap", "shop", "a")
BODY = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "shop"},
    "data": {"k": "v"},
}
FLUX = Holder("kustomize-controller", "Apply")
SHARED = Holder(
    "kustomize-controller", "Apply", shares=(Share("injector", "Update", {"f:data": {"f:k": {}}}),)
)
CONFLICT = refusal(
    409, "Conflict", 'Operation cannot be fulfilled on configmaps "a": the object has been modified'
)
EXISTS = refusal(409, "AlreadyExists", 'configmaps "a" already exists')


def stored(manager="kustomize-controller", operation="Apply", **metadata):
    entry = {
        "manager": manager,
        "operation": operation,
        "fieldsV1": {"f:data": {"f:k": {}, "f:l": {}}},
    }
    added = {"uid": "1", "resourceVersion": "7", "managedFields": [entry]} | metadata
    return {**BODY, "metadata": BODY["metadata"] | added}


def run(connection, holder=FLUX, *, look_first=False, resource=CONFIG_MAPS, **parts):
    ref = Ref("", resource.kind, "shop", "a")
    step = Step(ref, Action.CREATE, "f", "p", "v1", **parts)
    wanted = {**BODY, "kind": resource.kind}
    return act(
        connection, step, resource, wanted, lambda _: None, holder=holder, look_first=look_first
    )


def test_it_is_applied_in_the_others_name_and_only_if_it_is_not_there(api, connection):
    api.on(f"{PATH}/a", reply(stored(), 201), method="PATCH")
    assert run(connection).outcome.result is Result.DONE
    (asked,) = api.requests
    assert asked.query["fieldManager"] == "kustomize-controller"
    assert asked.query["fieldValidation"] == "Strict"
    assert "force" not in asked.query
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.json["metadata"] == BODY["metadata"] | {"resourceVersion": "1"}


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden", "may not patch"),
        refusal(400, "BadRequest", "no"),
        refusal(415, "UnsupportedMediaType", "no"),
        refusal(422, "Invalid", "no"),
        refusal(500, "", "failed to create typed patch object: duplicate entries for key"),
    ],
)
def test_where_it_cannot_be_applied_it_is_posted(api, connection, answer):
    api.on(f"{PATH}/a", answer, method="PATCH")
    api.on(PATH, reply(stored(operation="Update"), 201), method="POST")
    assert run(connection).outcome.result is Result.DONE
    (posted,) = api.asked(PATH, "POST")
    assert posted.query["fieldManager"] == "kustomize-controller"
    assert posted.json == BODY


def test_one_that_is_there_and_differs_is_left_and_equal_is_present(api, connection):
    api.on(f"{PATH}/a", CONFLICT, method="PATCH")
    api.on(PATH, EXISTS, method="POST")
    api.on(f"{PATH}/a", reply({**stored(), "data": {"k": "other"}}), reply(stored()))
    assert run(connection).outcome.reason == "exists and differs; left untouched"
    assert run(connection).outcome.result is Result.PRESENT


def test_one_that_is_on_its_way_out_is_awaited(api, connection):
    api.on(f"{PATH}/a", CONFLICT, method="PATCH")
    going = 'object is being deleted: configmaps "a" already exists'
    api.on(PATH, refusal(409, "AlreadyExists", going), method="POST")
    assert run(connection).too_early


def test_an_answer_that_never_came_is_looked_up(api, connection):
    api.on(f"{PATH}/a", broken(), method="PATCH")
    api.on(f"{PATH}/a", reply(stored()))
    assert run(connection).perhaps_done
    assert run(connection, look_first=True).outcome.result is Result.DONE
    assert len(api.asked(f"{PATH}/a", "PATCH")) == 1


def test_a_claim_with_a_note_stays_ours(api, connection):
    path = "/api/v1/namespaces/shop/persistentvolumeclaims"
    api.on(path, reply({**stored(), "kind": "PersistentVolumeClaim"}, 201), method="POST")
    run(connection, resource=CLAIMS, empty_volume=EmptyVolume.NOTED)
    (posted,) = api.requests
    assert posted.query["fieldManager"] == "gitops-dr"


def test_what_kubectl_applied_is_written_down_for_it(api, connection):
    api.on(PATH, reply(stored("kubectl-client-side-apply", "Update"), 201), method="POST")
    holder = Holder("kubectl-client-side-apply", "Update", last_applied=True)
    create_for(connection, REF, CONFIG_MAPS, BODY, holder)
    (posted,) = api.requests
    assert posted.query["fieldManager"] == "kubectl-client-side-apply"
    annotation = posted.json["metadata"]["annotations"][LAST_APPLIED]
    assert orjson.loads(annotation) == BODY
    assert "annotations" not in BODY["metadata"]


@pytest.mark.parametrize(
    ("resource", "data"), [(SECRETS, "c2VjcmV0"), (CONFIG_MAPS, "x" * 300_000)]
)
def test_nothing_secret_and_nothing_too_large_is_written_down(api, connection, resource, data):
    api.on(f"/api/v1/namespaces/shop/{resource.plural}", reply(stored(), 201), method="POST")
    holder = Holder("kubectl-client-side-apply", "Update", last_applied=True)
    body = {**BODY, "kind": resource.kind, "data": {"k": data}}
    create_for(connection, Ref("", resource.kind, "shop", "a"), resource, body, holder)
    (posted,) = api.requests
    assert "annotations" not in posted.json["metadata"]


def test_shares_are_given_by_a_write_that_nobody_was_before(api, connection):
    api.on(PATH, reply(stored("gitops-dr", "Update"), 201), method="POST")
    api.on(f"{PATH}/a", reply(stored()), method="PATCH")
    create_for(connection, REF, CONFIG_MAPS, BODY, SHARED)
    # Never all the controller's, who would take the others' part away.
    assert api.asked(PATH, "POST")[0].query["fieldManager"] == "gitops-dr"
    operations = api.asked(f"{PATH}/a", "PATCH")[0].json
    assert [each["op"] for each in operations] == ["test", "test", "replace"]
    assert operations[1]["value"] == "7"
    entries = {each["manager"]: each["fieldsV1"] for each in operations[2]["value"]}
    assert entries == {
        "kustomize-controller": {"f:data": {"f:l": {}}},
        "injector": {"f:data": {"f:k": {}}},
    }


def test_shares_that_cannot_be_given_are_told(api, connection):
    no = refusal(403, "Forbidden", "not you")
    api.on(PATH, reply(stored("gitops-dr", "Update"), 201), method="POST")
    api.on(f"{PATH}/a", no, method="PATCH")
    done = run(connection, SHARED)
    assert done.outcome.result is Result.DONE
    assert done.outcome.reason == ("is not yet kustomize-controller's, who applied it: not you")


def test_whoever_was_faster_is_looked_at_again(api, connection):
    moved = refusal(422, "Invalid", "the server rejected our request")
    api.on(f"{PATH}/a", moved, reply(stored()), method="PATCH")
    ours = stored("gitops-dr", "Update")
    api.on(f"{PATH}/a", reply(stored("gitops-dr", "Update", resourceVersion="8")))
    hand_over(connection, REF, CONFIG_MAPS, FLUX, ours)
    first, second = api.asked(f"{PATH}/a", "PATCH")
    assert (first.json[1]["value"], second.json[1]["value"]) == ("7", "8")


def test_what_is_not_ours_is_not_written_to(api, connection):
    assert hand_over(connection, REF, CONFIG_MAPS, FLUX, stored()) == stored()
    assert api.requests == []


def test_what_cannot_be_listed_or_given_is_told(api, connection):
    things = Resource("example.com", "v1", "Thing", "things", namespaced=True)
    api.on("/apis/example.com/v1/things", refusal(403, "Forbidden", "not you"))
    ours = stored("gitops-dr", "Update")
    api.on("/api/v1/configmaps", reply(listed(ours)))
    api.on(f"{PATH}/a", refusal(403, "Forbidden", "nor this"), method="PATCH")
    thing = Ref("example.com", "Thing", "shop", "a")
    found = hand_over_all(
        connection,
        {REF: FLUX, thing: FLUX},
        {REF.group_kind: CONFIG_MAPS, thing.group_kind: things},
    )
    assert found == {REF: "nor this", Ref("example.com", "Thing", "", ANY): "not you"}
