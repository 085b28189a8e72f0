"""The rows over fields, against a real API server: what is made again is what was there.

Each object is made by a user, read as an export reads it, cleaned, and made again from that, beside
the first one: as in a cluster where the first one's address, port and name of a volume are taken.
"""

import base64
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yamlrocks
from api_server import ApiServer, group_kind

from gitops_dr.cluster.connect import ApiError
from gitops_dr.manifests.emit import canonical
from gitops_dr.rules import clean
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.conditions import compile_when
from gitops_dr.rules.rows import Row, object_rows

CASES = yamlrocks.loads(Path(__file__).with_name("lab.yaml").read_bytes())
PAIRS = [(case, row) for case in CASES for row in case["rows"]]
IDS = [row for _, row in PAIRS]

ELSEWHERE = {
    # In tests of their own below.
    "static-volume-claim",
    "aggregated-rules",
    "legacy-definition",
    "legacy-definition-switch",
    "service-addresses-derived",
    "injected-conversion-ca",
    "token-notes",
}
NOT_PROVOKED = {
    "template-timestamp": "servers before 1.33 write the null timestamp, later ones take it out",
    "cronjob-template-timestamp": "servers before 1.33 write the null timestamp",
    "workflow-phase": "takes the controller of Argo Workflows",
}


def moved(api: ApiServer, body: Any, place: str) -> Any:
    """The same object elsewhere: in a namespace, or with another name if it is cluster-scoped."""
    body = copy.deepcopy(body)
    if api.resource(body).namespaced:
        body["metadata"]["namespace"] = place
    else:
        body["metadata"]["name"] = f"{body['metadata']['name'].removesuffix(place)}{place}"
    return body


def cleaned(body: Any) -> Any:
    copied = copy.deepcopy(body)
    rules_for(*group_kind(body)).clean(copied)
    return copied


def cleaned_without(row_id: str, body: Any) -> Any:
    """As if the rules did not have that row."""
    others = tuple(row for row in object_rows() if row.id != row_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clean, "object_rows", lambda: others)
        rules_for.cache_clear()
        try:
            return cleaned(body)
        finally:
            rules_for.cache_clear()


def as_in(place_body: Any, body: Any) -> bytes:
    """Canonical bytes of ``body`` under the name and namespace of ``place_body``."""
    named = {k: v for k, v in place_body["metadata"].items() if k in ("name", "namespace")}
    return canonical(body | {"metadata": body["metadata"] | named})


def holds(case: Any, key: str) -> Callable[[Any], bool]:
    conditions = case.get(key, case.get("until", ()))
    return compile_when(conditions) or (lambda _: True)


@pytest.fixture
def first(api: ApiServer, places: tuple[str, ...], tidy: list[Any]) -> Callable[[Any], Any]:
    """Makes a case's object as a user does, and gives it as it is listed."""

    def make(case: Any) -> Any:
        body = case["object"] if case.get("same") else moved(api, case["object"], places[0])
        for other in case.get("with", ()):
            tidy.append(moved(api, other, places[0]))
            exists = api.listed(tidy[-1]) is not None
            if not exists:
                api.create(tidy[-1])
        api.delete(body, wait=True)
        tidy.append(body)
        api.create(body)
        for change in case.get("then", ()):
            if "when" in change:
                api.until(body, holds(change, "when"))
            api.patch(body, change["patch"], change.get("subresource", ""))
        return api.until(body, holds(case, "until"))

    return make


def again(api: ApiServer, case: Any, body: Any, place: str, tidy: list[Any]) -> Any:
    """Make the object from what is in Git, elsewhere; raises ``ApiError`` for a refusal."""
    if case.get("same"):
        api.delete(body, wait=True)
    else:
        body = moved(api, body, place)
    tidy.append(body)
    api.create(body, manager="gitops-dr")
    return body


@pytest.mark.parametrize("case", CASES, ids=lambda case: "+".join(case["rows"]))
def test_what_is_made_again_is_what_was_there(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any], first: Any, case: Any
) -> None:
    raw = first(case)
    in_git = cleaned(raw)
    body = again(api, case, in_git, places[1], tidy)
    made = api.until(body, holds(case, "again"))
    assert as_in(in_git, cleaned(made)) == canonical(in_git)


@pytest.mark.parametrize(("case", "row"), PAIRS, ids=IDS)
def test_without_the_row_it_is_not(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any], first: Any, case: Any, row: str
) -> None:
    raw = first(case)
    in_git = cleaned_without(row, raw)
    assert in_git != cleaned(raw), "the object does not show what the row is for"
    if case["without"] == "refused":
        with pytest.raises(ApiError) as refused:
            again(api, case, in_git, places[2], tidy)
        # The API server answers 500 to some that are the client's own fault.
        assert refused.value.status in (400, 403, 409, 422, 500)
        assert case["says"] in refused.value.message
        return
    body = again(api, case, in_git, places[2], tidy)
    if case["without"] == "waits":
        with pytest.raises(AssertionError, match="stays"):
            api.until(body, holds(case, "again"), seconds=3)
        return
    made = cleaned_without(row, api.until(body, holds(case, "again")))
    assert (as_in(in_git, made) != canonical(in_git)) is (case["without"] == "differs")


def test_every_row_over_fields_is_shown_or_says_why_not() -> None:
    over_fields = {row.id for row in object_rows() if row.omit is None}
    assert over_fields == {*IDS, *ELSEWHERE, *NOT_PROVOKED}


# -- rows that take more than one object ------------------------------------------------------


def test_a_token_made_by_hand_is_filled_anew_and_not_taken_for_a_stale_one(
    api: ApiServer, place: Callable[[], str], tidy: list[Any]
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": place(),
            "name": "by-hand",
            "annotations": {"kubernetes.io/service-account.name": "default"},
            "labels": {"kubernetes.io/legacy-token-last-used": "2026-11-26", "app": "ci"},
        },
        "type": "kubernetes.io/service-account-token",
    }

    def is_filled(body: Any) -> bool:
        return "token" in (body or {}).get("data", {})

    def in_another_place(body: Any) -> Any:
        # As policy has it in Git: without values.
        wanted = moved(api, {k: v for k, v in body.items() if k != "data"}, place())
        tidy.append(wanted)
        api.create(wanted, manager="gitops-dr")
        return wanted

    tidy.append(secret)
    api.create(secret)
    raw = api.until(secret, is_filled)
    in_git = cleaned(raw)
    assert in_git["metadata"]["labels"] == {"app": "ci"}
    assert is_filled(api.until(in_another_place(in_git), is_filled))
    # With the UID of another cluster's account the control plane deletes it.
    stale = in_another_place(cleaned_without("token-notes", raw))
    with pytest.raises(AssertionError, match="stays None"):
        api.until(stale, lambda _: False, seconds=5)


def test_a_static_volume_and_its_claim_find_each_other_again(
    api: ApiServer, place: Callable[[], str], tidy: list[Any]
) -> None:
    namespace = place()
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "by-hand"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Mi"},
            "storageClassName": "by-hand",
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/x"},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
            "storageClassName": "by-hand",
        },
    }
    tidy += [volume, claim]

    def is_bound(body: Any) -> bool:
        return bool(body.get("status", {}).get("phase") == "Bound")

    api.create(claim)
    api.create(volume)
    raw_claim, raw_volume = api.until(claim, is_bound), api.until(volume, is_bound)

    def lost() -> None:
        api.delete(claim, wait=True)
        api.delete(volume, wait=True)

    lost()
    # Without the row the volume names a claim that is no more.
    api.create(cleaned_without("static-volume-claim", raw_volume))
    api.until(volume, lambda body: bool(body.get("status", {}).get("phase") == "Released"))
    lost()
    in_git = cleaned(raw_volume), cleaned(raw_claim)
    for body in in_git:
        api.create(body)
    made = api.until(volume, is_bound), api.until(claim, is_bound)
    assert [canonical(cleaned(body)) for body in made] == [canonical(body) for body in in_git]
    assert made[1]["spec"]["volumeName"] == "by-hand"


def test_an_aggregated_role_is_filled_by_the_roles_that_are_there(
    api: ApiServer, tidy: list[Any]
) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    part = role | {
        "metadata": {"name": "lab-part", "labels": {"aggregate-to": "lab-whole"}},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    selector = {"matchLabels": {"aggregate-to": "lab-whole"}}
    whole = role | {
        "metadata": {"name": "lab-whole"},
        "aggregationRule": {"clusterRoleSelectors": [selector]},
        "rules": [],
    }
    tidy += [part, whole]
    api.create(part)
    api.create(whole)
    raw = api.until(whole, lambda body: bool(body["rules"]))
    assert "rules" not in cleaned(raw)
    api.delete(whole, wait=True)
    api.create(cleaned(raw))
    made = api.until(whole, lambda body: body["rules"] == part["rules"])
    assert canonical(cleaned(made)) == canonical(cleaned(raw))
    # Git would change with every role that is added to it.
    api.patch(part, {"rules": [{**part["rules"][0], "verbs": ["list"]}]})
    changed = api.until(whole, lambda body: bool(body["rules"]) and body["rules"] != raw["rules"])
    assert canonical(cleaned(changed)) == canonical(cleaned(raw))
    assert cleaned_without("aggregated-rules", changed) != cleaned_without("aggregated-rules", raw)


def definition(**spec: Any) -> Any:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "relics.rules.example.com"},
        "spec": {
            "group": "rules.example.com",
            "scope": "Namespaced",
            "names": {"plural": "relics", "kind": "Relic"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        }
        | spec,
    }


def is_established(body: Any) -> bool:
    conditions = body.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def test_a_definition_from_before_v1_is_made_so_that_it_keeps_every_field(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any]
) -> None:
    # As v1 shows what was once made through v1beta1; it cannot be made so any more.
    relic = definition(preserveUnknownFields=True)
    for row in ("legacy-definition", "legacy-definition-switch"):
        with pytest.raises(ApiError) as refused:
            api.create(cleaned_without(row, relic))
        assert refused.value.status == 422
    tidy.append(relic)
    api.create(cleaned(relic))
    made = api.until(relic, is_established)
    names = made["spec"].pop("names")
    made["spec"]["names"] = {key: names[key] for key in ("plural", "kind")}
    made["spec"].pop("conversion")
    assert cleaned(made) == cleaned(relic)
    # Emptiness is content.
    custom = {
        "apiVersion": "rules.example.com/v1",
        "kind": "Relic",
        "metadata": {"name": "a", "namespace": places[0], "finalizers": ["example.com/keep"]},
        "spec": {"selfSigned": {}, "list": [], "nothing": None, "nested": [{}, [], ""]},
    }
    tidy.append(custom)
    api.create(custom)
    raw = api.listed(custom)
    assert canonical(cleaned(raw)) == canonical(custom)


def test_a_conversion_bundle_that_is_injected_is_left_to_whoever_injects_it(
    api: ApiServer, tidy: list[Any]
) -> None:
    client = {"service": {"name": "a", "namespace": "default"}, "caBundle": "eA=="}
    schema = {"openAPIV3Schema": {"type": "object"}}
    body = definition(
        versions=[{"name": "v1", "served": True, "storage": True, "schema": schema}],
        conversion={
            "strategy": "Webhook",
            "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client},
        },
    )
    # Another name than the test before has used: that definition may still be going away.
    body["metadata"]["name"] = "tomes.rules.example.com"
    body["spec"]["names"] = {"plural": "tomes", "kind": "Tome"}
    body["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "a/b"}
    client["caBundle"] = _certificate(api)
    tidy.append(body)
    api.create(body)
    raw = api.until(body, is_established)
    in_git = cleaned(raw)
    assert "caBundle" not in in_git["spec"]["conversion"]["webhook"]["clientConfig"]
    api.delete(body, wait=True)
    api.create(in_git)
    assert canonical(cleaned(api.until(body, is_established))) == canonical(in_git)


def _certificate(api: ApiServer) -> str:
    """Some CA bundle that the API server takes."""
    root = {"apiVersion": "v1", "kind": "ConfigMap"}
    root |= {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}}
    return base64.b64encode(api.listed(root)["data"]["ca.crt"].encode()).decode()


# -- what a person chose stays ----------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "10.96.201.7", "ports": [{"port": 53}]},
        {"clusterIP": "None", "ports": [{"port": 53}]},
        {"clusterIP": "10.96.201.8", "clusterIPs": ["10.96.201.8"], "ports": [{"port": 53}]},
        {
            "type": "NodePort",
            "ports": [{"port": 53, "nodePort": 30953, "name": "a"}, {"port": 54, "name": "b"}],
        },
        {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": [{"port": 53}]},
    ],
    ids=str,
)
def test_an_address_or_port_that_was_asked_for_is_kept(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any], spec: Any
) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "spec": spec}
    body |= {"metadata": {"name": "pinned", "namespace": places[0]}}
    tidy.append(body)
    api.create(body)
    in_git = cleaned(api.listed(body))
    for key, value in spec.items():
        if key != "ports":
            assert in_git["spec"][key] == value
    asked = [port.get("nodePort") for port in spec["ports"]]
    assert [port.get("nodePort") for port in in_git["spec"]["ports"]] == asked
    # The server's list of addresses says no more than the one that was asked for.
    assert ("clusterIPs" in in_git["spec"]) is ("clusterIPs" in spec)
    with_list = cleaned_without("service-addresses-derived", api.listed(body))
    assert ("clusterIPs" in with_list["spec"]) is ("clusterIP" in spec)
    api.delete(body, wait=True)
    api.create(in_git, manager="gitops-dr")
    assert canonical(cleaned(api.listed(body))) == canonical(in_git)


def test_cluster_dns_keeps_its_address_where_the_range_is_the_same(api: ApiServer) -> None:
    """It belongs to the platform, so this happens only where a person names it."""
    dns = {"apiVersion": "v1", "kind": "Service"}
    dns |= {"metadata": {"name": "kube-dns", "namespace": "kube-system"}}
    in_git = cleaned(api.listed(dns))
    assert in_git["spec"]["clusterIP"] == "10.96.0.10"
    api.delete(dns, wait=True)
    try:
        elsewhere = copy.deepcopy(in_git)
        elsewhere["spec"]["clusterIP"] = "10.11.0.10"
        with pytest.raises(ApiError) as refused:
            api.create(elsewhere)
        assert "does not match the current range" in refused.value.message
    finally:
        api.create(in_git, manager="gitops-dr-lab")
    assert canonical(cleaned(api.listed(dns))) == canonical(in_git)


def test_a_finalizer_and_an_empty_rule_mean_something(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any]
) -> None:
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "all", "namespace": places[0], "finalizers": ["example.com/keep"]},
        "spec": {
            "podSelector": {},
            "egress": [{}],
            # The server drops it: no rule at all says the same, as the types are named.
            "ingress": [],
            "policyTypes": ["Ingress", "Egress"],
        },
    }
    tidy.append(body)
    api.create(body)
    in_git = cleaned(api.listed(body))
    expected = copy.deepcopy(body)
    del expected["spec"]["ingress"]
    assert canonical(in_git) == canonical(expected)
    assert as_in(in_git, cleaned(api.create(moved(api, in_git, places[1])))) == canonical(in_git)


def test_no_row_is_named_twice() -> None:
    assert not ELSEWHERE & NOT_PROVOKED.keys()
    assert not ELSEWHERE & set(IDS)
    assert isinstance(object_rows()[0], Row)
