"""Single writes: how they are asked for, and what an answer must be."""

import pytest
from fake_api import listed, refusal, reply

from gitops_dr.cluster.apply import create, get, late_binding_classes, merge, patch
from gitops_dr.cluster.connect import ApiError
from gitops_dr.model import Resource

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
CLASSES = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
BODY = {"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"k": "ü"}}
STORED = {**BODY, "metadata": {**BODY["metadata"], "uid": "1"}}
COLLECTION = "/api/v1/namespaces/shop/configmaps"
STRICT = {"fieldManager": "gitops-dr", "fieldValidation": "Strict"}


def test_create_posts_to_the_namespaces_collection_strictly(api, connection):
    api.on(COLLECTION, reply(STORED, 201), method="POST")
    assert create(connection, CONFIG_MAPS, BODY) == STORED
    (request,) = api.requests
    assert request.query == STRICT
    assert request.json == BODY
    assert request.headers["Content-Type"] == "application/json"


def test_create_of_something_cluster_scoped(api, connection):
    body = {"metadata": {"name": "fast"}}
    api.on("/apis/storage.k8s.io/v1/storageclasses", reply(body, 201), method="POST")
    assert create(connection, CLASSES, body) == body


def test_merge_patches_the_object_strictly(api, connection):
    api.on(f"{COLLECTION}/a", reply(STORED), method="PATCH")
    assert merge(connection, CONFIG_MAPS, BODY) == STORED
    (request,) = api.requests
    assert request.query == STRICT
    assert request.json == BODY
    assert request.headers["Content-Type"] == "application/merge-patch+json"


def test_a_dry_run_asks_for_just_that(api, connection):
    api.on(COLLECTION, reply(STORED, 201), method="POST")
    api.on(f"{COLLECTION}/a", reply(STORED), method="PATCH")
    operations = [{"op": "remove", "path": "/data/k"}]
    assert create(connection, CONFIG_MAPS, BODY, dry_run=True) == STORED
    assert patch(connection, CONFIG_MAPS, "shop", "a", operations, dry_run=True) == STORED
    assert patch(connection, CONFIG_MAPS, "shop", "a", operations) == STORED
    create(connection, CONFIG_MAPS, BODY)
    queries = [request.query for request in api.requests]
    assert queries == [{**STRICT, "dryRun": "All"}, {**STRICT, "dryRun": "All"}, STRICT, STRICT]
    assert api.requests[1].json == operations
    assert api.requests[1].headers["Content-Type"] == "application/json-patch+json"


def test_get_reads_one_object(api, connection):
    api.on(f"{COLLECTION}/a", reply(STORED))
    assert get(connection, CONFIG_MAPS, "shop", "a") == STORED


def test_an_object_that_is_there_is_a_409(api, connection):
    api.on(COLLECTION, refusal(409, "AlreadyExists", "it is there"), method="POST")
    with pytest.raises(ApiError, match="it is there") as caught:
        create(connection, CONFIG_MAPS, BODY)
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


@pytest.mark.parametrize("answer", [[], "text", {}, {"metadata": []}])
def test_an_answer_that_is_no_object_is_refused(api, connection, answer):
    api.on(f"{COLLECTION}/a", reply(answer))
    with pytest.raises(ApiError, match="the answer is not an object"):
        get(connection, CONFIG_MAPS, "shop", "a")


# -- binding modes ---------------------------------------------------------------------------------

STORAGE = "/apis/storage.k8s.io/v1/storageclasses"


def storage_class(name, mode, *, default=False):
    marks = {"storageclass.kubernetes.io/is-default-class": "true" if default else "false"}
    return {"metadata": {"name": name, "annotations": marks}, "volumeBindingMode": mode}


def claim(name=None):
    return {"spec": {} if name is None else {"storageClassName": name}}


SLOW = storage_class("slow", "WaitForFirstConsumer", default=True)
FAST = storage_class("fast", "Immediate")


@pytest.mark.parametrize(
    ("classes", "named", "late"),
    [
        ([SLOW, FAST], "slow", True),
        ([SLOW, FAST], "fast", False),
        ([SLOW, FAST], None, True),
        ([FAST], None, False),
        ([SLOW], "", False),
        ([SLOW], "gone", False),
        ([{"metadata": {"name": "plain"}}], "plain", False),
        ([], None, False),
    ],
)
def test_a_claim_waits_for_its_consumer_if_its_class_says_so(api, connection, classes, named, late):
    api.on(STORAGE, reply(listed(*classes)))
    assert late_binding_classes(connection)(claim(named)) is late


def test_a_class_is_asked_for_once_and_a_new_one_again(api, connection):
    api.on(STORAGE, reply(listed(FAST)), reply(listed(FAST, SLOW)))
    late = late_binding_classes(connection)
    assert not late(claim("fast"))
    assert not late(claim("fast"))
    assert len(api.requests) == 1
    assert late(claim("slow"))
    assert late(claim("slow"))
    assert len(api.requests) == 2


def test_a_claim_without_a_spec_is_judged_by_the_default(api, connection):
    api.on(STORAGE, reply(listed(SLOW)))
    assert late_binding_classes(connection)({"spec": None})
