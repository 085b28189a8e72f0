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
from gitops_dr.secrets.guard import COPIES, objection

SEALED = f"ENC[AES256_GCM,data:p7fJ,iv:{'A' * 43}=,tag:{'B' * 22}==,type:str]"
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
    "UTF-16 without a mark": "kind: Secret\ndata: {password: aHVudGVyMg==}\n".encode("utf-16-le"),
    "UTF-32": "kind: Secret\ndata: {password: aHVudGVyMg==}\n".encode("utf-32-be"),
    "comment between": b"kind: # a comment\n  Secret\ndata: {password: aHVudGVyMg==}\n",
    "alias of the kind": b"x: &k Secret\nkind: *k\ndata: {password: aHVudGVyMg==}\n",
    "merged": b"x: &x {kind: Secret}\ny: {<<: *x, metadata: {name: a}, data: {p: aHVudGVyMg==}}\n",
    "escaped in JSON": b'{"k\\u0069nd":"\\u0053ecret","data":{"password":"aHVudGVyMg=="}}',
    "escaped in YAML": b'kind: "\\x53ecret"\ndata: {password: aHVudGVyMg==}\n',
    "array": orjson.dumps([{"kind": "Pod"}, PLAIN]),
    "lines of JSON": b'{"kind":"Pod"}\n---\n{"kind":"Secret","data":{"p":"aHVudGVyMg=="}}\n',
    "template object": orjson.dumps({"kind": "Template", "objects": [{"kind": "Pod"}, PLAIN]}),
    "work": canonical({"kind": "ManifestWork", "spec": {"workload": {"manifests": [PLAIN]}}}),
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
        # A nonce and a tag of other lengths: nothing that SOPS has made.
        {"data": {"a": "ENC[AES256_GCM,data:aHVudGVyMg==,iv:,tag:,type:str]"}},
        {"data": {"a": SEALED.replace("A" * 43, "A" * 16)}},
        {"data": {"a": SEALED.replace("B" * 22, "B" * 20)}},
        {"data": {"a": SEALED}, "metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"aHVudGVyMg=="}}'
        }}},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_secret_that_is_sealed_in_part_is_refused(fields: Any) -> None:
    refused(canonical(secret(**fields)))


def held(text: str | bytes, **more: Any) -> bytes:
    key = {"data": {"a.yaml": text}}
    if isinstance(text, bytes):
        key = {"binaryData": {"a": base64.b64encode(text).decode()}}
    return canonical({"kind": "ConfigMap", "metadata": {"name": "a"}, **key, **more})


PACKED = {
    "YAML in a string": held(canonical(PLAIN).decode()),
    "JSON in a string": held(json.dumps(PLAIN)),
    "JSON in JSON": orjson.dumps({"kind": "ConfigMap", "data": {"a": json.dumps(PLAIN)}}),
    "documents in a string": held("kind: Pod\n---\n" + canonical(PLAIN).decode()),
    "list in a string": held(json.dumps({"kind": "List", "items": [PLAIN]})),
    "string in a string": held(json.dumps({"a": json.dumps({"b": json.dumps(PLAIN)})})),
    "some values put there later": held("kind: Secret\nstringData: {a: '${A}', b: hunter2}\n"),
    "base64": held(canonical(PLAIN)),
    "base64 of JSON": held(json.dumps(PLAIN).encode()),
    "base64 one byte later": held(b"\n" + canonical(PLAIN)),
    "base64 two bytes later": held(b"\n\n" + canonical(PLAIN)),
    "base64 in lines": held(base64.encodebytes(canonical(PLAIN) * 3).decode()),
    "compressed": held(gzip.compress(canonical(PLAIN))),
    "compressed in lines": held(base64.encodebytes(gzip.compress(canonical(PLAIN))).decode()),
    "annotation": canonical({
        "kind": "Thing",
        "metadata": {"annotations": {"a": base64.b64encode(json.dumps(PLAIN).encode()).decode()}},
    }),
}  # fmt: skip


@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED)
def test_a_secret_inside_of_something_else_is_refused(data: bytes) -> None:
    assert refused(data) == "holds a Secret with values in plain text"


def test_the_tools_that_keep_copies_are_known() -> None:
    assert {copy.rpartition("/")[2] for copy in COPIES} >= {
        *("last-applied-configuration", "original", "applied", "last-applied"),
    }


@pytest.mark.parametrize("copy", sorted(COPIES))
def test_a_copy_that_a_tool_keeps_of_a_secret_is_refused(copy: str) -> None:
    fields: dict[str, Any] = {"metadata": {"annotations": {copy: "H4sIxyz"}}}
    refused(canonical(secret(data={"a": SEALED}, **fields)))
    passes(canonical(secret(data={"a": SEALED}, metadata={"annotations": {copy: ""}})))


@pytest.mark.parametrize(
    "text",
    [
        "kind: Secret\nmetadata: {name: a}\n",
        "kind: Secret\nstringData: {a: '{{ .Values.a }}', b: '${B}', c: $(C), d: <secret>}\n",
        f"kind: Secret\nstringData: {{a: '{SEALED}'}}\n",
        # What cannot be read cannot be applied; in a file of its own it is refused.
        "kind: Secret\ndata:\n{{- range .Values }}\n  p: {{ . }}\n",
        "kubectl apply -f - <<EOF\nkind: Secret\ndata: {p: $P}\nEOF\n",
        "The field says `kind: Secret` and `data: {}`.",
    ],
)
def test_what_holds_no_values_inside_of_something_else_passes(text: str) -> None:
    for data in (held(text), held(text.encode()), held(gzip.compress(text.encode()))):
        passes(data)


RELEASE = {"name": "shop", "info": {"first_deployed": "2030"}, "config": {"password": "hunter2"}}


def test_a_helm_release_is_sealed_or_not_in_git() -> None:
    """Helm keeps JSON, compressed, in base64; in a ConfigMap where it is told to."""
    packed = base64.b64encode(gzip.compress(orjson.dumps(RELEASE))).decode()
    for data in (
        held(packed, metadata={"name": "sh.helm.release.v1.shop.v1", "labels": {"owner": "helm"}}),
        held(gzip.compress(orjson.dumps(RELEASE))),
        packed.encode(),
        orjson.dumps(RELEASE),
    ):
        assert "holds a Helm release" in refused(data)
    encoded = base64.b64encode(packed.encode()).decode()
    refused(canonical(secret(type="helm.sh/release.v1", data={"release": encoded})))
    passes(canonical(secret(type="helm.sh/release.v1", data={"release": SEALED})))
    passes(held("meta.helm.sh/release-name: shop\nfirst_deployed: never\n"))


def test_what_unpacks_without_end_does_not_hold_up_the_guard() -> None:
    bomb = b"\0" * (64 << 20)
    passes(held(base64.b64encode(gzip.compress(bomb)).decode() * 3))
    passes(held("H4sI" * 100_000))
    passes(held(base64.b64encode(b"Secret" * 200_000).decode()))
    passes(b"n\\" * 100_000 + base64.b64encode(b"Secret" * 20))


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
        "kind: Policy\nspec: {generate: {kind: Secret, name: a, data: {metadata: {labels: {}}}}}\n",
        "kind: ExternalSecret\nspec: {target: {template: {data: {a: '{{ .a }}'}, kind: Secret}}}\n",
        "kind: ConfigMap\nbinaryData: {a: " + "QUJD" * 50 + "}\n",
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


CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{MATERIAL}\n-----END CERTIFICATE-----\n"


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
    bundle = base64.b64encode((CERTIFICATE * 30 + pem(heading)).encode())
    for line in (64, 76, len(bundle)):
        lines = [bundle[at : at + line] for at in range(0, len(bundle), line)]
        refused(canonical({"kind": "ConfigMap", "data": {"b64": b"\n".join(lines).decode()}}))
    kubeconfig = f"users:\n- user:\n    client-key-data: {encoded}\n"
    refused(canonical({"kind": "ConfigMap", "data": {"config": kubeconfig}}))


@pytest.mark.parametrize(
    "text",
    [
        "age: AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ",
        "# created: now\nage-secret-key-1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgp\n",
        '{"key":"AGE-SECRET-KEY-PQ-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGP"}',
        *(
            base64.b64encode(f"{'#' * n}\nAGE-SECRET-KEY-1{'QYQSZQGP' * 7}\n".encode()).decode()
            for n in range(3)
        ),
    ],
)
def test_an_age_identity_is_refused(text: str) -> None:
    assert refused(text) == "holds an age identity"


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
