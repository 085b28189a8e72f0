"""What a target cannot take is found before anything is written to it."""

from typing import Any

import pytest
from fake_api import refusal, reply

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.openapi import schemas
from gitops_dr.engine.preflight import Preflight
from gitops_dr.model import Ref

WIDGET = Ref("example.com", "Widget", "shop", "w")
CONFIG = Ref("", "ConfigMap", "shop", "a")
CRD = Ref("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.com")
API_SERVICE = Ref("apiregistration.k8s.io", "APIService", "", "v1.example.com")


@pytest.fixture
def preflight(cluster, connection):
    def start(*, fields: bool = False, **options: Any) -> Preflight:
        return Preflight(connection, discover(connection), fields=fields, **options)

    cluster.serve("v1", "ConfigMap")
    cluster.serve("apiextensions.k8s.io/v1", "CustomResourceDefinition", namespaced=False)
    cluster.serve("apiregistration.k8s.io/v1", "APIService", namespaced=False)
    return start


def crd(**versions: bool) -> dict[str, Any]:
    served = [{"name": name, "served": on} for name, on in versions.items()]
    spec = {"group": "example.com", "names": {"kind": "Widget"}, "versions": served}
    return {"metadata": {"name": CRD.name}, "spec": spec}


def api_service(**spec: Any) -> dict[str, Any]:
    spec = {"group": "example.com", "version": "v1"} | spec
    return {"metadata": {"name": API_SERVICE.name}, "spec": spec}


NOT_SERVED = "the target does not serve this kind in version v1"


# -- kinds -----------------------------------------------------------------------------------------


def test_a_kind_that_is_served_is_taken(preflight):
    found = preflight()
    found.look(CONFIG, "v1", {})
    assert found.refusals() == {}


def test_a_kind_that_is_not_served_is_refused(preflight):
    found = preflight()
    found.look(WIDGET, "v1", {})
    assert found.refusals() == {WIDGET: NOT_SERVED}


def test_the_version_that_is_served_instead_is_named_the_preferred_one(cluster, preflight):
    cluster.serve("example.com/v2", "Widget")
    cluster.serve("example.com/v3beta1", "Widget")
    found = preflight()
    found.look(WIDGET, "v1", {})
    assert found.refusals() == {WIDGET: f"{NOT_SERVED}; it serves v2"}


def test_the_same_kind_of_another_group_is_no_help(cluster, preflight):
    cluster.serve("example.org/v1", "Widget")
    found = preflight()
    found.look(WIDGET, "v1", {})
    assert WIDGET in found.refusals()


@pytest.mark.parametrize(
    ("definition", "taken"),
    [
        (crd(v1=True), True),
        (crd(v1=False, v2=True), False),
        (crd(v2=True), False),
        ({"metadata": {"name": "x"}}, False),
    ],
    ids=["served", "no longer served", "another version", "empty"],
)
@pytest.mark.parametrize("first", [True, False], ids=["definition first", "object first"])
def test_a_definition_in_the_plan_brings_its_kind(preflight, definition, taken, first):
    found = preflight()
    looks = [(CRD, "v1", definition), (WIDGET, "v1", {})]
    for look in looks if first else looks[::-1]:
        found.look(*look)
    assert (WIDGET not in found.refusals()) is taken
    assert CRD not in found.refusals()


@pytest.mark.parametrize(
    ("service", "taken"),
    [
        (api_service(service={"name": "widgets", "namespace": "shop"}), True),
        (api_service(service={"name": "widgets"}, version="v2"), False),
        (api_service(service={"name": "widgets"}, group="example.org"), False),
        (api_service(), False),
    ],
    ids=["its own", "another version", "another group", "of the API server itself"],
)
def test_an_api_service_in_the_plan_brings_whatever_stands_behind_it(preflight, service, taken):
    found = preflight()
    found.look(WIDGET, "v1", {})
    found.look(API_SERVICE, "v1", service)
    assert (WIDGET not in found.refusals()) is taken


@pytest.mark.parametrize(
    ("ref", "served", "taken"),
    [
        (WIDGET, (), True),
        (WIDGET, ("example.com/v2",), False),
        (Ref("apps", "Widget", "shop", "w"), (), False),
    ],
    ids=["defined by nobody", "in another version", "of a built-in group"],
)
def test_where_operators_define_kinds_more_may_come(cluster, preflight, ref, served, taken):
    for version in served:
        cluster.serve(version, "Widget")
    found = preflight(operators_define=True)
    found.look(ref, "v1", {})
    assert (ref not in found.refusals()) is taken


# -- fields ----------------------------------------------------------------------------------------

DOCUMENT = {
    "components": {
        "schemas": {
            "ConfigMap": {
                "x-kubernetes-group-version-kind": [
                    {"group": "", "version": "v1", "kind": "ConfigMap"}
                ],
                "properties": {"apiVersion": {}, "kind": {}, "metadata": {}, "data": {}},
            }
        }
    }
}
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
PATH = "/openapi/v3/api/v1"


def test_fields_that_the_target_does_not_know_are_named_but_not_all_of_many(api, preflight):
    api.on(PATH, reply(DOCUMENT))
    found = preflight(fields=True)
    found.look(CONFIG, "v1", BODY | {"e": 1, "f": 1, "g": 1, "h": 1})
    assert found.refusals() == {CONFIG: "the target does not know its e, f, g"}


def test_the_schemas_of_a_version_are_asked_for_once(api, preflight):
    api.on(PATH, reply(DOCUMENT))
    found = preflight(fields=True)
    for name in "abc":
        found.look(Ref("", "ConfigMap", "shop", name), "v1", BODY)
    assert found.refusals() == {}
    assert len(api.asked(PATH)) == 1


def test_nobody_asks_for_them_where_the_versions_are_the_same(api, preflight):
    api.on(PATH, reply(DOCUMENT))
    found = preflight()
    found.look(CONFIG, "v1", BODY | {"e": 1})
    assert found.refusals() == {}
    assert not api.asked(PATH)


def test_a_kind_that_is_not_served_is_said_rather_than_its_fields(api, preflight):
    api.on("/openapi/v3/api/v2", reply({"components": {"schemas": {}}}))
    found = preflight(fields=True)
    found.look(CONFIG, "v2", BODY)
    assert "does not serve this kind in version v2; it serves v1" in found.refusals()[CONFIG]


# -- the OpenAPI documents -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "path"), [("", PATH), ("example.com", "/openapi/v3/apis/example.com/v1")]
)
def test_schemas_are_those_of_one_group_and_version(api, connection, group, path):
    api.on(path, reply(DOCUMENT))
    assert schemas(connection, group, "v1") == DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("document", [{}, {"components": None}, {"components": {}}], ids=str)
def test_a_document_without_schemas_has_none(api, connection, document):
    api.on(PATH, reply(document))
    assert schemas(connection, "", "v1") == {}


def test_a_group_that_is_not_described_has_none(connection):
    assert schemas(connection, "example.com", "v1") == {}


def test_another_refusal_is_told(api, connection):
    api.on(PATH, refusal(403, "Forbidden", "openapi is forbidden"))
    with pytest.raises(ApiError, match="openapi is forbidden"):
        schemas(connection, "", "v1")
