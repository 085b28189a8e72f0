"""Aggregated discovery, its holes, and the identity of a cluster."""

import pytest
from fake_api import listed, refusal, reply

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.discover import discover, identify
from gitops_dr.errors import ClusterError
from gitops_dr.model import ANY, Gap, Identity, Ref, Resource


def resource(kind, plural, *, scope="Namespaced", verbs=("create", "get", "list")):
    return {
        "resource": plural,
        "responseKind": {"group": "ignored", "version": "ignored", "kind": kind},
        "scope": scope,
        "verbs": list(verbs),
    }


def group(name, *versions):
    return {"metadata": {"name": name} if name else {}, "versions": list(versions)}


def version(name, *resources, freshness="Current"):
    return {"version": name, "resources": list(resources), "freshness": freshness}


def document(*groups):
    return {"kind": "APIGroupDiscoveryList", "items": list(groups)}


CORE = document(group("", version("v1", resource("Namespace", "namespaces", scope="Cluster"))))


def test_kinds_come_in_each_version_the_preferred_one_first(api, connection):
    api.on("/api", reply(CORE))
    api.on(
        "/apis",
        reply(
            document(
                group(
                    "autoscaling",
                    version("v2", resource("HorizontalPodAutoscaler", "horizontalpodautoscalers")),
                    version("v1", resource("HorizontalPodAutoscaler", "horizontalpodautoscalers")),
                )
            )
        ),
    )
    found = discover(connection)
    assert found.gaps == ()
    assert found.resources[0] == Resource("", "v1", "Namespace", "namespaces", namespaced=False)
    assert found.resources[0].verbs == {"create", "get", "list"}
    versions = found.versions()["autoscaling", "HorizontalPodAutoscaler"]
    assert [each.api_version for each in versions] == ["autoscaling/v2", "autoscaling/v1"]
    assert all(each.namespaced for each in versions)


def test_one_request_each_asks_for_the_aggregated_form(api, connection):
    for path in ("/api", "/apis"):
        api.on(path, reply(CORE))
    discover(connection)
    assert [request.path for request in api.requests] == ["/api", "/apis"]
    for request in api.requests:
        assert "as=APIGroupDiscoveryList" in request.headers["Accept"].split(",")[0]


def test_a_group_whose_backend_is_down_is_a_gap(api, connection):
    api.on("/api", reply(CORE))
    stale = version("v1beta1", resource("Widget", "widgets"), freshness="Stale")
    api.on("/apis", reply(document(group("example.com", stale))))
    found = discover(connection)
    assert found.gaps == (
        Gap(
            Ref("example.com", ANY, "", ANY),
            "its API service (v1beta1.example.com) does not answer",
        ),
    )
    assert ("example.com", "Widget") not in found.versions()
    assert found.gaps[0].ref.covers(Ref("example.com", "Widget", "shop", "one"))


@pytest.mark.parametrize("path", ["/api", "/apis"])
@pytest.mark.parametrize("answer", [{"kind": "APIGroupList", "groups": []}, {}])
def test_a_server_without_aggregated_discovery_is_too_old(api, connection, path, answer):
    for each in ("/api", "/apis"):
        api.on(each, reply(answer if each == path else CORE))
    with pytest.raises(ClusterError, match="no aggregated discovery") as caught:
        discover(connection)
    assert "1.30" in caught.value.hint


def test_discovery_that_is_refused_is_an_error(api, connection):
    api.on("/api", refusal(403, "Forbidden", "not you"))
    with pytest.raises(ApiError, match="not you"):
        discover(connection)


# -- identity --------------------------------------------------------------------------------------


def test_the_identity_is_the_uid_of_kube_system_and_the_moment(api, connection):
    api.on("/version", reply({"gitVersion": "v1.37.2"}))
    api.on("/api/v1/namespaces/kube-system", reply({"metadata": {"uid": "the-uid"}}))
    api.on("/api/v1/namespaces", reply(listed(revision="4711")))
    assert identify(connection) == Identity("the-uid", "v1.37.2", "4711")
    assert api.asked("/api/v1/namespaces")[0].query == {"limit": "1"}


def test_who_may_not_look_at_namespaces_cannot_identify(api, connection):
    api.on("/version", reply({"gitVersion": "v1.37.2"}))
    api.on("/api/v1/namespaces/kube-system", refusal(403, "Forbidden", "not you"))
    with pytest.raises(ClusterError, match="cannot be identified: not you") as caught:
        identify(connection)
    assert "listing namespaces" in caught.value.hint
