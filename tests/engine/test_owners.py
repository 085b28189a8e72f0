"""Owners by name in Git, by UID in the cluster."""

import pytest
from fake_api import refusal, reply

from gitops_dr.cluster.connect import ApiError
from gitops_dr.engine.owners import owners_of, relink, with_owners, without_owners, without_uids
from gitops_dr.model import Ref, Resource

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
SETTINGS = Ref("", "ConfigMap", "shop", "settings")
WEB = Ref("apps", "Deployment", "shop", "web")
FLEET = Ref("example.com", "Fleet", "", "all")
PATH = "/api/v1/namespaces/shop/configmaps/settings"

BY_WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
BY_FLEET = {"apiVersion": "example.com/v2", "kind": "Fleet", "name": "all", "controller": True}
BY_GHOST = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost"}


def owned(*owners):
    metadata = {"name": "settings", "namespace": "shop", "labels": {"a": "b"}}
    if owners:
        metadata["ownerReferences"] = list(owners)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}}


def known(*refs):
    return lambda ref: f"uid of {ref.name}" if ref in refs else None


@pytest.mark.parametrize(
    ("owners", "there", "linked"),
    [
        pytest.param([], [WEB], [], id="nobody's"),
        pytest.param([BY_WEB], [WEB], [{**BY_WEB, "uid": "uid of web"}], id="in its namespace"),
        pytest.param([BY_FLEET], [FLEET], [{**BY_FLEET, "uid": "uid of all"}], id="of the cluster"),
        pytest.param([BY_WEB], [], [], id="not there"),
        pytest.param(
            [BY_GHOST, BY_WEB, BY_FLEET],
            [WEB, FLEET],
            [{**BY_WEB, "uid": "uid of web"}, {**BY_FLEET, "uid": "uid of all"}],
            id="those that are there, in order",
        ),
        pytest.param(
            [{**BY_WEB, "uid": "of old"}], [WEB], [{**BY_WEB, "uid": "uid of web"}], id="old UIDs"
        ),
    ],
)
def test_owners_get_the_uids_that_they_have_here(owners, there, linked):
    body = owned(*owners)
    assert with_owners(body, SETTINGS, known(*there)) == owned(*linked)
    assert body == owned(*owners)


def test_an_empty_uid_is_no_owner():
    """Some aggregated APIs give none."""
    assert with_owners(owned(BY_WEB), SETTINGS, lambda _ref: "") == owned()


def test_the_group_is_that_of_the_owners_version():
    asked = []
    with_owners(owned(BY_WEB, BY_GHOST), SETTINGS, asked.append)
    assert asked == [
        WEB,
        Ref("apps", "Deployment", "", "web"),
        Ref("", "ConfigMap", "shop", "ghost"),
        Ref("", "ConfigMap", "", "ghost"),
    ]


def test_an_object_of_the_cluster_asks_once():
    asked = []
    with_owners(owned(BY_FLEET), Ref("", "Namespace", "", "shop"), asked.append)
    assert asked == [FLEET]


def test_owners_are_counted_and_taken_off():
    assert [owners_of(owned()), owners_of(owned(BY_WEB, BY_GHOST))] == [0, 2]
    linked = owned({**BY_WEB, "uid": "1"}, BY_GHOST)
    assert without_uids(linked) == owned(BY_WEB, BY_GHOST)
    assert without_owners(linked) == owned()
    assert without_owners(owned()) == without_uids(owned()) == owned()


def test_a_linked_object_is_patched_by_its_owners_alone(api, connection):
    api.on(PATH, reply(owned()), method="PATCH")
    assert relink(connection, SETTINGS, CONFIG_MAPS, owned(BY_WEB, BY_GHOST), known(WEB))
    (request,) = api.requests
    assert request.json == [
        {
            "op": "add",
            "path": "/metadata/ownerReferences",
            "value": [{**BY_WEB, "uid": "uid of web"}],
        }
    ]


def test_without_an_owner_nothing_is_written(api, connection):
    assert not relink(connection, SETTINGS, CONFIG_MAPS, owned(BY_WEB), known())
    assert not relink(connection, SETTINGS, CONFIG_MAPS, owned(), known(WEB))
    assert not api.requests


def test_a_refusal_is_told(api, connection):
    api.on(PATH, refusal(403, "Forbidden", "no"), method="PATCH")
    with pytest.raises(ApiError, match="no"):
        relink(connection, SETTINGS, CONFIG_MAPS, owned(BY_WEB), known(WEB))
