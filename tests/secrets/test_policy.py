"""Each shipped policy with a Secret that it is about and one that it nearly is about."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.selector import ObjectSelector, parse_labels
from gitops_dr.model import Body, Ref
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.policy import (
    Decision,
    Policy,
    SecretPolicy,
    SecretSettings,
    policy_of,
    read_row,
    rows,
    type_of,
    without_values,
)

NOTHING = SecretSettings()
TLS = "kubernetes.io/tls"


def ref_of(body: Body) -> Ref:
    return Ref("", "Secret", body["metadata"].get("namespace", ""), body["metadata"]["name"])


def decide(body: Body, settings: SecretSettings = NOTHING) -> Decision:
    return policy_of(ref_of(body), body, settings)


def secret(name: str, type_: str | None = "Opaque", **metadata: Any) -> Body:
    body: Body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "data": {"password": "aHVudGVyMg=="},
    }
    return body if type_ is None else {**body, "type": type_}


def owned(kind: str, group: str, name: str = "db", *, version: str = "v1") -> Body:
    owner = {"apiVersion": f"{group}/{version}", "kind": kind, "name": name, "controller": True}
    return secret(name, ownerReferences=[owner])


# The row's id: a Secret that it is about, then Secrets that it is not about.
CASES: dict[str, tuple[Body, list[Body]]] = {
    "service-account-token-by-hand": (
        secret(
            "ci",
            "kubernetes.io/service-account-token",
            annotations={"kubernetes.io/service-account.name": "ci"},
        ),
        [
            secret("ci-token-abcde"),
            secret("ci", annotations={"note": "ci"}),
            secret("ci", annotations={"kubernetes.io/service-account.name": "ci"}),
        ],
    ),
    "bootstrap-token": (
        secret("bootstrap-token-07401b", "bootstrap.kubernetes.io/token"),
        [secret("bootstrap-token-07401b"), secret("b", "bootstrap.example.com/token")],
    ),
    "cluster-registry": (
        secret("builder-dockercfg-x2k9f", "kubernetes.io/dockercfg"),
        [
            secret("our-dockercfg", "kubernetes.io/dockercfg"),
            secret("builder-dockercfg-x2k9f", "kubernetes.io/dockerconfigjson"),
            secret("builder-dockercfg-x2k9f"),
        ],
    ),
    "service-serving-certificate": (
        secret(
            "web-tls", TLS, annotations={"service.beta.openshift.io/originating-service-name": "w"}
        ),
        [secret("web-tls", TLS, annotations={"service.beta.openshift.io/expiry": "2030"})],
    ),
    "sealing-key": (
        secret(
            "sealed-secrets-keyq7x2z",
            TLS,
            labels={"sealedsecrets.bitnami.com/sealed-secrets-key": "compromised"},
        ),
        [secret("sealed-secrets-keyq7x2z", TLS)],
    ),
    "certificate": (
        secret("web-tls", TLS, annotations={"cert-manager.io/certificate-name": "web"}),
        [secret("web-tls", TLS), secret("web-tls", TLS, labels={"cert-manager.io/x": "web"})],
    ),
    "sealed-secret-target": (
        owned("SealedSecret", "bitnami.com", version="v1alpha1"),
        [
            owned("SealedSecret", "example.com"),
            secret("db", annotations={"sealedsecrets.bitnami.com/managed": "true"}),
        ],
    ),
    "external-secret-target": (
        owned("ExternalSecret", "external-secrets.io", version="v1beta1"),
        [
            # `creationPolicy: Merge` and `Orphan`: other people's keys may be among its values.
            secret("db", labels={"reconcile.external-secrets.io/managed": "true"}),
            owned("ExternalSecret", "kubernetes-client.io"),
        ],
    ),
    "vault-secret-target": (
        owned("VaultDynamicSecret", "secrets.hashicorp.com", version="v1beta1"),
        [owned("VaultAuth", "secrets.hashicorp.com", version="v1beta1")],
    ),
    "onepassword-target": (
        owned("OnePasswordItem", "onepassword.com"),
        [secret("db", annotations={"operator.1password.io/item-path": "vaults/a/items/b"})],
    ),
    "secrets-store-target": (
        secret("db", labels={"secrets-store.csi.k8s.io/managed": "true"}),
        [secret("db", labels={"secrets-store.csi.k8s.io/managed": "false"})],
    ),
    "cert-manager-webhook-ca": (
        secret(
            "cert-manager-webhook-ca",
            annotations={"cert-manager.io/allow-direct-injection": "true"},
        ),
        [
            # Somebody's own CA, from which cert-manager injects.
            secret("our-ca", TLS, annotations={"cert-manager.io/allow-direct-injection": "true"}),
            secret("cert-manager-webhook-ca"),
        ],
    ),
    "kyverno-certificates": (
        secret(
            "kyverno-svc.kyverno.svc.kyverno-tls-ca",
            TLS,
            labels={"cert.kyverno.io/managed-by": "kyverno"},
        ),
        [secret("kyverno-svc.kyverno.svc.kyverno-tls-ca", TLS)],
    ),
    "gatekeeper-certificate": (
        secret("gatekeeper-webhook-server-cert", labels={"gatekeeper.sh/system": "yes"}),
        [
            secret("gatekeeper-webhook-server-cert"),
            secret("gatekeeper-registry", labels={"gatekeeper.sh/system": "yes"}),
        ],
    ),
    "kueue-certificate": (
        secret("kueue-webhook-server-cert", labels={"app.kubernetes.io/name": "kueue"}),
        [secret("kueue-webhook-server-cert")],
    ),
    "external-secrets-webhook": (
        secret("external-secrets-webhook", labels={"external-secrets.io/component": "webhook"}),
        [secret("external-secrets-webhook")],
    ),
    "tekton-webhook-certificate": (
        secret("webhook-certs", labels={"app.kubernetes.io/part-of": "tekton-pipelines"}),
        [
            secret("webhook-certs", labels={"app.kubernetes.io/part-of": "shop"}),
            secret("git", labels={"app.kubernetes.io/part-of": "tekton-pipelines"}),
        ],
    ),
    "knative-webhook-certificate": (
        secret("net-istio-webhook-certs", labels={"app.kubernetes.io/name": "knative-serving"}),
        [secret("net-istio-webhook-certs"), secret("webhook-certs")],
    ),
    "helm-release": (
        secret("sh.helm.release.v1.shop.v3", "helm.sh/release.v1", labels={"owner": "helm"}),
        [secret("sh.helm.release.v1.shop.v3", labels={"owner": "helm"})],
    ),
}  # fmt: skip

ENCRYPTED = {"sealing-key", "certificate", "helm-release", "secret"}
EMPTY = {
    "service-account-token-by-hand",
    "gatekeeper-certificate",
    "kueue-certificate",
    "external-secrets-webhook",
    "tekton-webhook-certificate",
    "knative-webhook-certificate",
}
ALWAYS = {
    "service-account-token-by-hand",
    "bootstrap-token",
    "cluster-registry",
    "service-serving-certificate",
}
QUIET = {"bootstrap-token", "cluster-registry"}


def test_every_row_has_a_case_and_the_last_one_takes_what_is_left() -> None:
    assert [row.id for row in rows()] == [*CASES, "secret"]
    last = rows()[-1]
    assert not any([last.types, last.names, last.namespaces, last.labels, last.annotations])
    assert not last.owners
    assert not last.always


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_every_row_says_why_and_where_that_stands(row) -> None:
    assert row.because.endswith(".")
    assert row.link.startswith("https://")
    patterns = [*row.types, *row.names, *row.namespaces, *row.owners]
    assert all(len(pattern) > 1 for pattern in patterns)


@pytest.mark.parametrize("row_id", CASES)
def test_a_row_takes_what_it_is_about(row_id: str) -> None:
    body, _ = CASES[row_id]
    wanted = Policy.ENCRYPT if row_id in ENCRYPTED else Policy.GENERATED
    found = decide(body)
    assert (found.row_id, found.policy) == (row_id, wanted)
    assert found.exported_empty is (row_id in EMPTY)
    assert found.quietly is (row_id in QUIET)


@pytest.mark.parametrize("row_id", CASES)
def test_a_near_miss_is_encrypted(row_id: str) -> None:
    for near in CASES[row_id][1]:
        found = decide(near)
        assert (found.row_id, found.policy) == ("secret", Policy.ENCRYPT), near["metadata"]


@pytest.mark.parametrize(
    "type_",
    [
        *("Opaque", None, "", TLS, "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth"),
        *("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg", "kubernetes.io/rbd"),
        *("example.com/anything", "istio.io/key-and-cert"),
    ],
)
def test_values_that_nobody_makes_again_are_encrypted(type_: str | None) -> None:
    assert decide(secret("db", type_)) == Decision(
        Policy.ENCRYPT, "Nobody makes its values again.", "secret"
    )


def test_a_certificate_that_its_certificate_owns_is_encrypted() -> None:
    """With ``--enable-certificate-owner-ref`` it has an owner as what is generated has."""
    body = owned("Certificate", "cert-manager.io", "web-tls")
    body["metadata"]["annotations"] = {"cert-manager.io/certificate-name": "web"}
    assert decide(body).policy is Policy.ENCRYPT
    made = secret("external-secrets-webhook", labels={"external-secrets.io/component": "webhook"})
    made["metadata"]["annotations"] = {"cert-manager.io/certificate-name": "webhook"}
    assert decide(made).row_id == "certificate"


def test_a_release_of_a_chart_with_sealing_keys_in_it_is_no_sealing_key() -> None:
    release = secret("sh.helm.release.v1.sealed-secrets.v1", "helm.sh/release.v1")
    assert decide(release).row_id == "helm-release"


# -- what people write ------------------------------------------------------------------------


def people(policy: Policy, because: str = "", **selector: Any) -> SecretPolicy:
    type_ = selector.pop("type", None)
    return SecretPolicy("secrets.policies[0]", policy, because, ObjectSelector(**selector), type_)


def test_what_people_write_counts_before_the_rows() -> None:
    settings = SecretSettings(
        (people(Policy.OMIT, "Old.", type="helm.sh/*", labels=parse_labels("status=superseded")),)
    )
    old = secret("r.v1", "helm.sh/release.v1", labels={"status": "superseded"})
    new = secret("r.v2", "helm.sh/release.v1", labels={"status": "deployed"})
    assert decide(old, settings) == Decision(Policy.OMIT, "Old.", "secrets.policies[0]")
    assert decide(new, settings).row_id == "helm-release"
    assert decide({**old, "type": "Opaque"}, settings).row_id == "secret"


def test_the_first_that_people_wrote_counts() -> None:
    first, second = people(Policy.PER_CLUSTER, name="db*"), people(Policy.EXTERNAL, "Vault.")
    settings = SecretSettings((first, second))
    assert decide(secret("db-1"), settings).policy is Policy.PER_CLUSTER
    assert decide(secret("web"), settings).policy is Policy.EXTERNAL


def test_people_need_not_say_why_they_encrypt() -> None:
    found = decide(secret("db"), SecretSettings((people(Policy.ENCRYPT),)))
    assert found.because == "gitops-dr.yaml says so."


@pytest.mark.parametrize("row_id", CASES)
def test_people_can_keep_anything_but_what_is_worth_nothing_elsewhere(row_id: str) -> None:
    body, _ = CASES[row_id]
    found = decide(body, SecretSettings((people(Policy.PER_CLUSTER, "Ours.", namespace="shop"),)))
    assert found.policy is (Policy.GENERATED if row_id in ALWAYS else Policy.PER_CLUSTER)
    assert found.exported_empty is (row_id in ALWAYS & EMPTY)


def test_a_type_that_is_not_there_is_opaque() -> None:
    settings = SecretSettings((people(Policy.OMIT, "x", type="Opaque"),))
    assert decide(secret("db", None), settings).policy is Policy.OMIT
    assert type_of(secret("db", None)) == "Opaque"


# -- whatever the Secret looks like -----------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"a": "A" * (2 << 20)}},
        {"data": {"a": ""}},
        {"data": None},
        {"data": {"0123": "MQ==", "1e3": "MQ==", "true": "MQ==", "2020-01-01": "MQ=="}},
        {"stringData": {"a": "\ufffd\x00"}},
        {"data": {"kubernetes.io/service-account.name": "MQ=="}},
        {"immutable": True},
        {"immutable": True, "data": {}},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_size_and_form_of_the_values_do_not_matter(fields: dict[str, Any]) -> None:
    for row_id, (body, _) in CASES.items():
        assert decide({**body, **fields}) == decide(body), row_id
    assert decide({**secret("db"), **fields}).row_id == "secret"


def test_metadata_are_enough_where_no_type_is_asked_for() -> None:
    for row in rows():
        if row.types or row.id == "secret":
            continue
        body = CASES[row.id][0]
        listed = {"kind": "PartialObjectMetadata", "metadata": body["metadata"]}
        assert policy_of(ref_of(body), listed, NOTHING) == decide(body)


def test_what_something_else_fills_is_a_secret_without_values() -> None:
    body = {**CASES["gatekeeper-certificate"][0], "stringData": {"a": "b"}, "immutable": True}
    empty = without_values(body)
    assert set(body) - set(empty) == {"data", "stringData"}
    assert body["data"]
    assert objection("x.yaml", orjson.dumps(body))
    assert objection("x.yaml", orjson.dumps(empty)) is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
odd = st.fixed_dictionaries(
    {},
    optional={
        "type": json,
        "metadata": json
        | st.fixed_dictionaries(
            {},
            optional={
                "labels": json,
                "annotations": json,
                "ownerReferences": json
                | st.lists(st.dictionaries(st.sampled_from(["kind", "apiVersion"]), json)),
            },
        ),
    },
)


@given(odd, st.text(), st.text())
def test_any_body_gets_a_decision(body: Body, namespace: str, name: str) -> None:
    settings = SecretSettings((people(Policy.OMIT, "x", labels=parse_labels("a=b")),))
    found = policy_of(Ref("", "Secret", namespace, name), body, settings)
    assert found.because


@pytest.mark.parametrize("value", [None, 5, True, ["*"], {"a": "b"}])
def test_what_no_api_server_takes_for_a_label_is_none(value: Any) -> None:
    """Files in Git are what people make of them."""
    key = "sealedsecrets.bitnami.com/sealed-secrets-key"
    assert decide(secret("db", labels={key: value})).row_id == "secret"
    assert decide(secret("db", annotations={"cert-manager.io/certificate-name": value})) == (
        decide(secret("db"))
    )
    assert decide(secret("db", ownerReferences=[value])).row_id == "secret"
    assert decide(secret("db", ownerReferences=value)).row_id == "secret"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "policy ?: "),
        ({"id": "a", "policy": "keep", "because": "x", "link": "y"}, "policy a: 'keep'"),
        ({"id": "a", "policy": "omit", "because": "x"}, "policy a: "),
        ({"id": "a", "policy": "omit", "because": "x", "link": "y", "name": []}, "policy a: "),
        ({"id": "a", "policy": "omit", "because": "x", "link": "y", "names": 5}, "policy a: "),
        (
            {"id": "a", "policy": "encrypt", "because": "x", "link": "y", "exported_empty": True},
            "policy a: only what is generated",
        ),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(GitOpsDRError) as caught:
        read_row(raw)
    assert caught.value.message.startswith(message)


def test_no_row_is_hidden_by_an_earlier_one() -> None:
    """A row that an earlier one hides would say what never happens."""
    for index, row in enumerate(rows()):
        body = CASES[row.id][0] if row.id in CASES else secret("db")
        hiding = [one.id for one in rows()[:index] if one.applies_to(ref_of(body), body)]
        assert not hiding, row.id
