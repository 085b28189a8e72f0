"""Schemas of an API server: each document is read once, and trouble is told each time."""

import pytest
from fake_api import broken, refusal, reply, text

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.openapi import Documents, schemas

PATH = "/openapi/v3/apis/apps/v1"
NAMED = {"group": "apps", "version": "v1", "kind": "Deployment"}
FOUND = {"io.k8s.api.apps.v1.Deployment": {"x-kubernetes-group-version-kind": [NAMED]}}
DOCUMENT = {"components": {"schemas": FOUND}}


def test_a_group_and_the_core_have_places_of_their_own(api, connection):
    api.on(PATH, reply(DOCUMENT))
    api.on("/openapi/v3/api/v1", reply({"components": {"schemas": {"x": {}}}}))
    assert schemas(connection, "apps", "v1") == FOUND
    assert schemas(connection, "", "v1") == {"x": {}}


@pytest.mark.parametrize("document", [{}, {"components": None}, {"components": {"schemas": None}}])
def test_a_document_may_describe_nothing(api, connection, document):
    api.on(PATH, reply(document))
    assert schemas(connection, "apps", "v1") == {}
    assert Documents(connection).shape("apps", "v1", "Deployment") is None


def test_a_document_is_read_once(api, connection):
    api.on(PATH, reply(DOCUMENT))
    documents = Documents(connection)
    assert api.requests == []
    for _ in range(3):
        shape = documents.shape("apps", "v1", "Deployment")
        assert shape is not None
        assert shape.marks["go"]
        assert documents.shape("apps", "v1", "StatefulSet") is None
        assert documents.shape("apps", "v1beta1", "Deployment") is None
    assert len(api.asked(PATH)) == 1
    assert len(api.asked("/openapi/v3/apis/apps/v1beta1")) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(403, "Forbidden", "not you"), "not you"),
        (text(200, "<html>"), "the answer is not JSON"),
        (broken(), "no answer"),
    ],
    ids=["forbidden", "html", "broken"],
)
def test_trouble_is_told_each_time_and_met_once(api, connection, answer, says):
    api.on(PATH, answer)
    documents = Documents(connection)
    with pytest.raises(ApiError, match=says):
        documents.shape("apps", "v1", "Deployment")
    asked = len(api.requests)
    with pytest.raises(ApiError, match=says):
        documents.shape("apps", "v1", "StatefulSet")
    assert len(api.requests) == asked
