"""Asking what we may do: few questions, and no yes that was not said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fake_api import refusal, reply

from gitops_dr.checks.needs import Need
from gitops_dr.cluster.access import missing, ourselves
from gitops_dr.cluster.connect import ApiError

RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
ONE = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

PODS = Need("", "pods", "list")
EXEC = Need("", "pods/exec", "create")
KEY = Need("", "secrets", "get", "gitops-dr", "fingerprint-key")


def rules(*found, incomplete: bool = False):
    return reply({"status": {"resourceRules": list(found), "incomplete": incomplete}}, 201)


def rule(resource: str, verb: str) -> dict[str, list[str]]:
    return {"apiGroups": [""], "resources": [resource], "verbs": [verb]}


def test_what_the_rules_allow_is_not_asked_again(api, connection):
    api.on(RULES, rules(rule("pods", "list")), method="POST")
    assert missing(connection, [PODS]) == ()
    (asked,) = api.asked(RULES, "POST")
    assert asked.json["spec"] == {"namespace": "gitops-dr-asks"}
    assert api.asked(ONE, "POST") == []


def test_what_the_rules_do_not_tell_is_asked_for(api, connection):
    """A webhook may allow what no rule does."""
    api.on(RULES, rules(incomplete=True), method="POST")

    def answer(request):
        allowed = request.json["spec"]["resourceAttributes"]["resource"] == "secrets"
        return reply({"status": {"allowed": allowed}}, 201)

    api.on(ONE, answer, method="POST")
    assert missing(connection, [PODS, EXEC, KEY]) == (PODS, EXEC)
    asked = [request.json["spec"]["resourceAttributes"] for request in api.asked(ONE, "POST")]
    assert {"resource": "pods", "subresource": "exec", "verb": "create"} in asked
    assert {
        "resource": "secrets",
        "verb": "get",
        "namespace": "gitops-dr",
        "name": "fingerprint-key",
    } in asked


def test_each_namespace_has_rules_of_its_own(api, connection):
    def answer(request):
        here = request.json["spec"]["namespace"] == "gitops-dr"
        return rules(*([rule("secrets", "get"), rule("pods", "list")] if here else []))

    api.on(RULES, answer, method="POST")
    api.on(ONE, reply({"status": {"allowed": False}}, 201), method="POST")
    assert missing(connection, [PODS, KEY]) == (PODS,)


@pytest.mark.parametrize("status", [{}, {"allowed": "yes"}, {"denied": True}, None])
def test_only_a_yes_is_one(api, connection, status):
    api.on(RULES, reply({"status": None}, 201), method="POST")
    api.on(ONE, reply({"status": status}, 201), method="POST")
    assert missing(connection, [PODS]) == (PODS,)


def test_a_server_that_does_not_say(api, connection):
    api.on(RULES, refusal(403, "Forbidden", "not even that"), method="POST")
    with pytest.raises(ApiError, match="not even that"):
        missing(connection, [PODS])


@pytest.mark.parametrize("ahead", [0, 3600, -3600])
def test_who_we_are_and_what_time_it_is_there(api, connection, ahead):
    there = (datetime.now(UTC) + timedelta(seconds=ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"metadata": {"creationTimestamp": there}, "status": {"userInfo": {"username": "bob"}}}
    api.on(WHO, reply(body, 201), method="POST")
    found = ourselves(connection)
    assert found.user == "bob"
    assert found.clock_ahead == pytest.approx(ahead, abs=1.5)


@pytest.mark.parametrize("metadata", [{}, {"creationTimestamp": None}, {"creationTimestamp": "x"}])
def test_a_server_that_tells_no_time(api, connection, metadata):
    api.on(WHO, reply({"metadata": metadata, "status": {}}, 201), method="POST")
    assert ourselves(connection).clock_ahead is None
    assert ourselves(connection).user == ""


def test_an_answer_that_is_none(api, connection):
    api.on(WHO, reply([], 201), method="POST")
    with pytest.raises(ApiError, match="not an object"):
        ourselves(connection)
