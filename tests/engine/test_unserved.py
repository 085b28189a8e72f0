"""A kind that Git knows and the API server does not serve: gone, or only out of reach?"""

import hashlib

import pytest
from fake_api import refusal

from gitops_dr.cluster.discover import identify
from gitops_dr.engine.observe import observe
from gitops_dr.model import ANY, Ref, Resource

WIDGETS = Resource("example.com", "v1", "Widget", "widgets", namespaced=True)


def fingerprint(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def look(connection):
    def run(*recorded):
        return observe(connection, identify(connection), fingerprint, recorded=recorded)

    return run


@pytest.fixture
def crd(cluster, make_live):
    """Serve CRDs: the one of widgets, or another."""

    def serve(kind="Widget", *, served=True):
        versions = [{"name": "v1", "storage": True, "served": served}]
        spec = {"group": "example.com", "names": {"kind": kind}, "versions": versions}
        name = f"{kind.lower()}s.example.com"
        return cluster.serve(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            make_live(name, spec=spec),
            namespaced=False,
        )

    return serve


def reasons(observation):
    return {gap.ref: gap.reason for gap in observation.state.gaps}


GAP = Ref("example.com", "Widget", "", ANY)


def test_without_its_crd_a_kind_is_gone(crd, look):
    crd("Gadget")
    found = look(WIDGETS)
    assert found.state.gaps == ()
    assert WIDGETS not in [kind.resource for kind in found.kinds]


def test_with_its_crd_a_kind_that_is_not_served_is_a_gap(crd, look):
    crd(served=False)
    found = look(WIDGETS)
    assert "its CustomResourceDefinition is there" in reasons(found)[GAP]
    # It stays on record, so that it is asked for again the next time.
    assert WIDGETS in [kind.resource for kind in found.kinds]
    assert WIDGETS.group_kind not in found.resources


@pytest.mark.parametrize("kind", ["CustomResourceDefinition", "APIService"])
def test_where_definitions_cannot_be_listed_nothing_is_gone(cluster, crd, look, kind):
    crd("Gadget")
    group = {"CustomResourceDefinition": "apiextensions.k8s.io"}.get(kind, "apiregistration.k8s.io")
    cluster.serve(f"{group}/v1", kind, answer=refusal(403, "Forbidden"), namespaced=False)
    assert "is not known" in reasons(look(WIDGETS))[GAP]


def test_a_group_whose_api_service_is_stale_is_a_gap_and_stays_on_record(cluster, crd, look):
    crd("Gadget")
    cluster.stale.append("example.com")
    cluster.ready()
    found = look(WIDGETS)
    assert GAP in reasons(found)
    assert WIDGETS in [kind.resource for kind in found.kinds]


def test_a_group_whose_api_service_is_not_even_discovered_is_a_gap(cluster, crd, look, make_live):
    crd("Gadget")
    service = make_live("v1.example.com", spec={"group": "example.com", "service": {"name": "x"}})
    cluster.serve("apiregistration.k8s.io/v1", "APIService", service, namespaced=False)
    assert "its APIService is there" in reasons(look(WIDGETS))[GAP]


def test_a_kind_that_lost_its_verbs_is_a_gap(cluster, look):
    cluster.serve("example.com/v1", "Widget", verbs=("get",))
    assert "lets anybody" in reasons(look(WIDGETS))[GAP]


def test_what_the_rules_leave_out_is_no_gap(cluster, look):
    assert look(Resource("", "v1", "Event", "events", namespaced=True)).state.gaps == ()


def test_what_belongs_to_an_owner_out_of_reach_is_not_taken_for_an_orphan(
    cluster, crd, look, make_live
):
    crd(served=False)
    owner = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "controller": True}
    made = make_live("made", "shop", metadata={"ownerReferences": [owner]})
    cluster.serve("v1", "ConfigMap", made)
    made_ref = Ref("", "ConfigMap", "shop", "made")
    assert made_ref not in look(WIDGETS).state.entries
    assert made_ref in look().state.entries


def test_a_kind_that_is_served_is_not_said_twice(cluster, crd, look):
    crd()
    cluster.serve("example.com/v1", "Widget", answer=refusal(500, "InternalError"))
    found = look(WIDGETS)
    assert [gap.ref for gap in found.state.gaps] == [GAP]
    assert [kind.resource for kind in found.kinds].count(WIDGETS) == 1
