"""The guard: what must not be committed is refused however it is spelled, and nothing else is."""

import base64
import gzip
import json
from typing import Any

import orjson
import pytest
from corpus import corpus
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitops_dr.manifests.emit import canonical
from gitops_dr.secrets.guard import objection

SEALED = "ENC[AES256_GCM,data:p7fJ,iv:AbCd+/0=,tag:eFgH==,type:str]"
MATERIAL = "c3ludGhldGljIG1hdGVyaWFsLCBub3QgYSByZWFsIGtleSBvZiBhbnlib2R5IGF0"
VALUE = "aHVudGVyMg=="


def refused(text: str | bytes, path: str = "namespaces/shop/secrets/db.yaml") -> str:
    data = text.encode() if isinstance(text, str) else text
    reason = objection(path, data)
    assert reason is not None
    assert "\n" not in reason
    assert VALUE not in reason
    assert "hunter2" not in reason
    assert MATERIAL not in reason
    return reason


def passes(text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    assert objection("namespaces/shop/things/a.yaml", data) is None


def secret(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, **fields}


# -- Secrets in plain text --------------------------------------------------------------------

PLAIN = secret(data={"password": VALUE})

SPELLINGS = {
    "canonical": canonical(PLAIN),
    "stringData": canonical(secret(stringData={"password": "hunter2"})),
    "JSON": orjson.dumps(PLAIN),
    "indented JSON": orjson.dumps(PLAIN, option=orjson.OPT_INDENT_2),
    "spaced JSON": b'{"kind" : "Secret" , "data" : {"password" : "aHVudGVyMg=="}}',
    "double quotes": b'kind: "Secret"\ndata: {password: aHVudGVyMg==}\n',
    "single quotes": b"'kind': 'Secret'\ndata:\n  password: aHVudGVyMg==\n",
    "flow style": b"{apiVersion: v1, kind: Secret, data: {password: aHVudGVyMg==}}",
    "CRLF": b"kind: Secret\r\ndata:\r\n  password: aHVudGVyMg==\r\n",
    "byte-order mark": b"\xef\xbb\xbfkind: Secret\ndata:\n  password: aHVudGVyMg==\n",
    "UTF-16": "kind: Secret\ndata:\n  password: aHVudGVyMg==\n".encode("utf-16"),
    "tag": b"kind: !!str Secret\ndata: {password: aHVudGVyMg==}\n",
    "anchor": b"kind: &k Secret\ndata: {password: aHVudGVyMg==}\n",
    "block scalar": b"kind: >-\n  Secret\ndata: {password: aHVudGVyMg==}\n",
    "complex key": b"? kind\n: Secret\n? data\n: {password: aHVudGVyMg==}\n",
    "kind last": b"data: {password: aHVudGVyMg==}\nkind: Secret",
    "comment": b"# a comment\nkind:   Secret   # another\ndata:\n  password: aHVudGVyMg==\n",
    "alias": b"x: &v aHVudGVyMg==\nkind: Secret\ndata: {password: *v}\n",
    "second document": b"kind: Pod\n---\nkind: Secret\ndata: {p: aHVudGVyMg==}\n",
    "second value": canonical(secret(data={"a": "", "password": VALUE})),
    "number": b"kind: Secret\nstringData:\n  pin: 0\n",
    "list": canonical({"kind": "List", "apiVersion": "v1", "items": [{"kind": "Pod"}, PLAIN]}),
    "list in a list": orjson.dumps({"kind": "List", "items": [{"kind": "List", "items": [PLAIN]}]}),
    "SecretList": orjson.dumps({"kind": "SecretList", "items": [{"data": {"password": VALUE}}]}),
    "data is no map": b"kind: Secret\ndata: aHVudGVyMg==\n",
    "values in lists": b"kind: Secret\nstringData: {a: [hunter2]}\n",
    "unreadable": b"kind: Secret\ndata: {password: aHVudGVyMg==\n",
    "template": b"kind: Secret\ndata:\n  {{- range .Values }}\n  p: aHVudGVyMg==\n",
}


@pytest.mark.parametrize("data", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_in_plain_text_is_refused(data: bytes) -> None:
    assert "Secret" in refused(data)


def test_the_reason_names_the_file_and_not_its_content() -> None:
    assert refused(canonical(PLAIN)) == "db.yaml is a Secret with values in plain text"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "Opaque"},
        {"data": {}},
        {"data": None},
        {"data": {"password": ""}},
        {"data": {"password": None}, "stringData": {}},
        {"data": {"password": SEALED}},
        {"stringData": {"a": SEALED, "b": ""}},
        {"data": {"a": SEALED.replace("type:str", "type:bytes")}},
    ],
    ids=json.dumps,
)
def test_an_empty_or_sealed_secret_passes(fields: Any) -> None:
    passes(canonical(secret(**fields)))
    passes(orjson.dumps({"kind": "List", "items": [secret(**fields)]}))


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"a": SEALED, "b": VALUE}},
        {"data": {"a": SEALED}, "stringData": {"b": "hunter2"}},
        {"data": {"a": f"{SEALED} hunter2"}},
        {"data": {"a": f"hunter2\n{SEALED}"}},
        {"data": {"a": f"{SEALED}\n"}},
        {"data": {"a": "ENC[AES256_GCM,data:hunter2]"}},
        {"data": {"a": "ENC[AES256_GCM,data:hun ter2,iv:a,tag:b,type:str]"}},
        {"data": {"a": "ENC[hunter2]"}},
        {"data": {"a": SEALED}, "metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"aHVudGVyMg=="}}'
        }}},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_secret_that_is_sealed_in_part_is_refused(fields: Any) -> None:
    refused(canonical(secret(**fields)))


@pytest.mark.parametrize(
    "text",
    [
        "kind: SecretStore\nspec: {a: b}\n",
        "kind: ExternalSecret\ndata: {a: b}\n",
        "kind: ConfigMap\ndata: {kind: Secret}\n",
        'kind: ConfigMap\ndata:\n  note: "kind: Secret, data: {}"\n',
        "kind: Role\nrules:\n- resources: [secrets]\n  resourceNames: [Secret]\n",
        "kind: CustomResourceDefinition\nspec:\n  description: 'kind: Secret or ConfigMap'\n",
        "kind: Pod\nspec: {volumes: [{secret: {secretName: db}}]}\n",
        "kind: ClusterSecretStore\nspec: {caProvider: {kind: Secret, name: ca}}\ndata: {a: b}\n",
        "# Secrets\n\nA Secret is sealed before it is committed.\n",
        "",
    ],
)
def test_what_merely_speaks_of_secrets_passes(text: str) -> None:
    passes(text)


# -- keys -------------------------------------------------------------------------------------

HEADINGS = [
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "ED25519 PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
]


def pem(heading: str, before: str = "") -> str:
    return f"-----BEGIN {heading}-----\n{before}{MATERIAL}\nYQ==\n-----END {heading}-----\n"


KEYS = {
    **{heading: pem(heading) for heading in HEADINGS},
    "encrypted": pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123-4\n\n"),
    "SSH2": f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{MATERIAL}\n---- END SSH2",
    "PuTTY": f"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{MATERIAL}\n",
    "behind a certificate": pem("CERTIFICATE") + pem("PRIVATE KEY"),
    "after a mention": f"A -----BEGIN PRIVATE KEY----- block.\n{pem('RSA PRIVATE KEY')}",
}  # fmt: skip


@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS)
def test_a_private_key_is_refused_wherever_it_stands(text: str) -> None:
    for data in (
        text.encode(),
        text.replace("\n", "\r\n").encode(),
        canonical({"kind": "ConfigMap", "data": {"key": text}}),
        orjson.dumps({"kind": "ConfigMap", "data": {"key": text}}),
        orjson.dumps({"kind": "ConfigMap", "data": {"json": json.dumps({"key": text})}}),
    ):
        assert refused(data) == "holds a private key in plain text"


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_private_key_in_base64_is_refused(heading: str) -> None:
    encoded = base64.b64encode(pem(heading).encode()).decode()
    refused(canonical({"kind": "ConfigMap", "binaryData": {"key": encoded}}))
    kubeconfig = f"users:\n- user:\n    client-key-data: {encoded}\n"
    refused(canonical({"kind": "ConfigMap", "data": {"config": kubeconfig}}))


@pytest.mark.parametrize(
    "text",
    [
        "age: AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ",
        "# created: now\nage-secret-key-1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgp\n",
        '{"key":"AGE-SECRET-KEY-PQ-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGP"}',
    ],
)
def test_an_age_identity_is_refused(text: str) -> None:
    assert refused(text) == "holds an age identity"


CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{MATERIAL}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "text",
    [
        CERTIFICATE,
        f"caBundle: {base64.b64encode(CERTIFICATE.encode()).decode()}\n",
        pem("PUBLIC KEY"),
        f"-----BEGIN RSA PUBLIC KEY-----\n{MATERIAL}\n",
        "The first PEM block is a PRIVATE KEY block, the others are certificates.",
        "for example -----BEGIN PRIVATE KEY-----\n<private-key>\n-----END PRIVATE KEY-----\n",
        f"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n{CERTIFICATE}",
        "recipient: age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq",
        "identities begin with AGE-SECRET-KEY-1",
        "AGE-PLUGIN-YUBIKEY-1QYQSZQGPQYQSZQGPQYQSZQGP",
    ],
)
def test_what_is_public_or_speaks_of_keys_passes(text: str) -> None:
    passes(text)


# -- the real and the random ------------------------------------------------------------------


def test_of_real_objects_only_secrets_are_refused() -> None:
    kept = []
    for name in ("objects", "refused"):
        with gzip.open(corpus() / f"{name}.jsonl.gz") as lines:
            for line in lines:
                body = orjson.loads(line)["object"]
                for data in (canonical(body), orjson.dumps(body)):
                    reason = objection("x.yaml", data)
                    values = [*(body.get("data") or {}).values()]
                    values += (body.get("stringData") or {}).values()
                    if body["kind"] == "Secret" and any(values):
                        assert reason, body["metadata"]
                    elif reason:
                        kept.append((body["kind"], body["metadata"].get("name"), reason))
    assert kept == []


PIECES = [
    *(b"kind: Secret\n", b"data:\n  a: b\n", b"---\n", b"{", b"}", b"[", b"]", b'"kind":"Secret"'),
    *(b",", b": ", b"&a ", b"*a ", b"!!str ", b"- ", b"\r\n", b"\x00", b"\xff", b"\xfe\xff"),
    *(b"-----BEGIN ", b"PRIVATE KEY-----", b"LS0tLS1CRUdJTi", b"AGE-SECRET-KEY-1", b"ENC["),
]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
@example(b"\xff\xfe\x00")
@example(b"kind: Secret\na: " + b"[" * 50_000)
@example(b"kind: Secret\na: &a [x]\n" + b"".join(b"b%d: [*a, *a]\n" % n for n in range(50)))
def test_the_guard_answers_whatever_it_is_given(data: bytes) -> None:
    reason = objection("x.yaml", data)
    assert reason is None or reason


@given(st.dictionaries(st.text(max_size=5), st.text(min_size=1), min_size=1, max_size=3))
@settings(deadline=None)
def test_no_secret_passes_with_a_value(values: dict[str, str]) -> None:
    assert objection("x.yaml", canonical(secret(stringData=values)))
    assert objection("x.yaml", orjson.dumps(secret(data=values)))
