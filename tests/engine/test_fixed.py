"""What only a replacement makes, as a fake API server tells it."""

import pytest
from fake_api import listed, refusal, reply

from gitops_dr.engine.aims import whole
from gitops_dr.engine.fixed import find_fixed
from gitops_dr.model import Action, Difference, FieldChange, Plan, Presence, Ref, Resource, Step

RBAC = "rbac.authorization.k8s.io"
BINDINGS = Resource(RBAC, "v1", "RoleBinding", "rolebindings", namespaced=True)
PATH = f"/apis/{RBAC}/v1/namespaces/shop/rolebindings"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REF = Ref(RBAC, "RoleBinding", "shop", "a")
IMMUTABLE = refusal(422, "Invalid", "roleRef: Invalid value: cannot change roleRef")
EXISTS = refusal(409, "AlreadyExists", 'rolebindings "a" already exists')


def binding(role="edit", subjects=(), **metadata):
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "a", "namespace": "shop", **metadata},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def account(name):
    return {"kind": "ServiceAccount", "name": name, "namespace": "ops"}


def run(connection, *, path="roleRef.name", replacing=False):
    step = Step(REF, Action.CONFIGURE, "f", "p", "v1")
    changes = (FieldChange(path, "replace", "edit", "view"),)
    return find_fixed(
        connection,
        Plan((step,)),
        [Difference(REF, Presence.MODIFIED, "p", changes)],
        lambda refs: ((ref, binding()) for ref in refs),
        resources={REF.group_kind: BINDINGS},
        aim=whole,
        replacing=replacing,
    )


@pytest.fixture
def there(api):
    live = binding("view", [account("robot")], uid="1", resourceVersion="7")
    api.on(f"{PATH}/a", reply(live))
    api.on(f"{PATH}/a", IMMUTABLE, method="PATCH")
    api.on(PATH, EXISTS, method="POST")
    user = {"username": "system:serviceaccount:ops:other", "groups": ["system:authenticated"]}
    api.on(REVIEW, reply({"status": {"userInfo": user}}), method="POST")
    return api


def test_it_is_tried_and_named(there, connection):
    (found,) = run(connection).values()
    assert (found.fields, found.stays) == (("roleRef.name",), "")
    for method, path in (("PATCH", f"{PATH}/a"), ("POST", PATH)):
        assert [r.query["dryRun"] for r in there.asked(path, method)] == ["All"]


def test_what_no_row_names_is_not_even_tried(there, connection):
    assert run(connection, path="subjects") == {}
    assert there.requests == []


def test_one_that_is_taken_is_no_news(there, connection):
    there.on(f"{PATH}/a", reply(binding()), method="PATCH")
    assert run(connection) == {}


@pytest.mark.parametrize("status", [403, 422])
def test_what_would_not_be_taken_anew_either_is_not_replaced(there, connection, status):
    there.on(PATH, refusal(status, "Forbidden", "not this"), method="POST")
    assert run(connection) == {}


@pytest.mark.parametrize(
    ("user", "is_ours"),
    [
        ({"username": "system:serviceaccount:ops:robot"}, True),
        ({"username": "system:serviceaccount:ops:robot-2"}, False),
        ({"username": "robot"}, False),
        ({"username": "system:serviceaccount:ops:robot", "groups": ["system:masters"]}, False),
    ],
)
def test_a_binding_of_our_own_rights_stays(there, connection, user, *, is_ours):
    there.on(REVIEW, reply({"status": {"userInfo": user}}), method="POST")
    (found,) = run(connection).values()
    assert bool(found.stays) is is_ours


def test_where_nobody_says_who_we_are_it_stays(there, connection):
    there.on(REVIEW, refusal(404, "NotFound", "no such thing"), method="POST")
    (found,) = run(connection).values()
    assert found.stays == "What is lost cannot be told: no such thing"


def discovery(*kinds):
    resources = [
        {
            "resource": f"{kind.lower()}s",
            "responseKind": {"kind": kind},
            "scope": "Namespaced",
            "verbs": ["create", "list"],
        }
        for kind in kinds
    ]
    group = {"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": resources}]}
    return {"kind": "APIGroupDiscoveryList", "items": [group]}


def owned(name, uid):
    reference = {"kind": "RoleBinding", "name": "a", "uid": uid}
    return {"metadata": {"name": name, "namespace": "shop", "ownerReferences": [reference]}}


def test_what_it_owns_and_nobody_makes_again_keeps_it(there, connection):
    there.on("/api", reply(discovery("ConfigMap")))
    there.on("/apis", reply({"kind": "APIGroupDiscoveryList", "items": []}))
    there.on("/api/v1/configmaps", reply(listed(owned("x", "1"), owned("y", "1"), owned("z", "2"))))
    (found,) = run(connection, replacing=True).values()
    assert found.stays == "ConfigMap/shop/x and 1 more, which it owns, would go with it."
    # It takes a list of everything, so it is not asked for nothing.
    assert run(connection)[REF].stays == ""


def test_where_that_cannot_be_told_it_stays(there, connection):
    there.on("/api", reply(discovery("ConfigMap")))
    there.on("/apis", reply({"kind": "APIGroupDiscoveryList", "items": []}))
    there.on("/api/v1/configmaps", refusal(403, "Forbidden", "not you"))
    (found,) = run(connection, replacing=True).values()
    assert found.stays == "What it owns cannot be told: not you"
