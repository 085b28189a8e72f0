"""Credentials in the open: each row with what it finds and what it lets pass; where, never what."""

import gzip
import json
import time
from typing import Any

import orjson
import pytest
from corpus import corpus
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.model import Body, Ref
from gitops_dr.secrets.exposed import Exposed, exposed_in, read_row, rows
from gitops_dr.secrets.guard import COPIES

CONFIG = Ref("", "ConfigMap", "shop", "app")
LOGIN = "c2hvcDpodW50ZXIy"


def config(**data: str) -> Body:
    return {"kind": "ConfigMap", "metadata": {"name": "app"}, "data": data}


def pod(**container: Any) -> Body:
    return {"kind": "Pod", "spec": {"containers": [{"name": "web", **container}]}}


def found(body: Body, ref: Ref | None = None) -> list[tuple[str, str, str]]:
    """Row, field and name of each finding."""
    told = exposed_in(ref or Ref("", body["kind"], "shop", "app"), body)
    return [(one.row, one.field, one.name) for one in told]


def parts(*pieces: str) -> str:
    """A credential that no scanner of this repository takes for one."""
    return "".join(pieces)


FORMS = {
    "url-credentials": [
        "postgres://shop:hunter2@db.shop:5432/shop",
        "see https://ci:t0ken@git.example.com/a.git for more",
        "redis://:hunter2@cache:6379/0",
        "amqp://user:p%40ss@[::1]:5672",
    ],
    "forge-token": [
        parts("gh", "p_", "a1" * 18),
        parts("github", "_pat_", "A1b2C3d4E5" * 6),
        parts("gl", "pat-", "abcdefghij0123456789"),
    ],
    "cloud-key": [
        parts("AK", "IA", "ABCDEFGHIJKLMNOP"),
        parts("AI", "za", "a1_-b" * 7),
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + "A1" * 43 + "==",
    ],
    "service-token": [
        parts("xo", "xb-", "123456789012-abcdefghijkl"),
        parts("sk", "_live_", "a1B2" * 6),
        parts("hv", "s.", "A1b2" * 7),
        parts("np", "m_", "a1B2" * 9),
    ],
    "webhook-address": [
        parts("https://hooks.sl", "ack.com/services/", "T01234567/B01234567/", "a1B2" * 6),
        parts("https://discord.com/api/web", "hooks/", "1" * 18, "/", "a1-_" * 16),
    ],
    "json-web-token": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ." + "a1B2_-" * 7],
    "authorization-header": [
        f"Authorization: Basic {LOGIN}",
        '{"authorization": "Bearer abcdefghijkl0"}',
        f"curl -H 'Authorization: Bearer {LOGIN}' https://api",
    ],
    "registry-login": [json.dumps({"auths": {"r.example.com": {"auth": LOGIN}}})],
}

NOT_FORMS = [
    "https://example.com/path?a=b",
    "https://user@example.com/",
    "postgres://shop:$(DB_PASSWORD)@db/shop",
    "postgres://shop:${DB_PASSWORD}@db/shop",
    "postgres://shop:{{ .password }}@db/shop",
    "postgres://shop:<password>@db/shop",
    "postgres://shop:****@db/shop",
    "postgres://$(USER):$(PASSWORD)@db/shop",
    "http://[::1]:8080/a@b",
    "image: registry:5000/a@sha256:" + "ab" * 32,
    "scheme://host:port/path",
    "ssh://git@github.com:22/a/b",
    parts("gh", "p_", "tooshort"),
    parts("AK", "IA", "IOSFODNN7EXAMPLE"),
    "eyJhbGciOiJIUzI1NiJ9 is how a token begins",
    "Authorization: Bearer $(TOKEN)",
    "Authorization: Bearer ${TOKEN_OF_THE_SHOP}",
    "The authorization: basic idea is simple",
    '"auth": "${REGISTRY_AUTH}"',
    "https://hooks.slack.com/services/T/B/X",
]


def test_every_row_says_why_and_where_that_stands() -> None:
    assert len({row.id for row in rows()}) == len(rows())
    for row in rows():
        assert row.because.endswith(".")
        assert row.link.startswith("https://")
    assert {row.id for row in rows() if row.anywhere} == FORMS.keys()
    assert {row.id for row in rows() if row.named} == NAMED.keys()


@pytest.mark.parametrize("row", FORMS)
def test_a_credential_is_known_by_its_form_wherever_it_stands(row: str) -> None:
    for text in FORMS[row]:
        annotated = {"metadata": {"annotations": {"a.b/c": text}}}
        assert found(config(a=text)) == [(row, "data.a", "")], text
        assert found(config(a=f"first line\n  {text}\nlast line")) == [(row, "data.a", "")]
        assert found({"kind": "Thing", **annotated}) == [(row, 'metadata.annotations["a.b/c"]', "")]
        assert found(pod(args=["serve", text])) == [(row, "spec.containers[name=web].args[1]", "")]
        assert found(pod(env=[{"name": "A", "value": text}])) == [
            (row, "spec.containers[name=web].env[name=A].value", "")
        ]


@pytest.mark.parametrize("text", NOT_FORMS)
def test_what_merely_looks_like_it_passes(text: str) -> None:
    assert found(config(a=text)) == []
    assert found(pod(args=[text], env=[{"name": "A", "value": text}])) == []


NAMED = {
    "password": {
        "names": [
            "DB_PASSWORD",
            "password",
            "dbPassword",
            "spring.datasource.password",
            "PGPASSWORD",
        ],
        "values": ["hunter2", "admin", "p@$$w0rd!"],
        "not_names": ["PASSWORD_FILE", "passwordSecretRef", "password-policy", "compassing"],
    },
    "key": {
        "names": ["API_KEY", "aws.secretKey", "clientSecret", "stripe-api-key", "JWT_SECRET"],
        "values": ["a1b2c3d4e5f6", "Zx9+/Zx9+/Zx9=", "8312341a-5678-abcd-4a2b-33bcdd655aab"],
        "not_names": ["KEY", "SSH_KEY_NAME", "api_key_header", "monkey"],
    },
    "secret": {
        "names": ["REGISTRY_HTTP_SECRET", "appSecretSecret", "secret"],
        "values": ["Ple4seGuessThis1"],
        "not_names": ["secretName", "existingSecretRef"],
    },
    "token": {
        "names": ["AUTH_TOKEN", "accessToken", "telegram.bot-token", "token"],
        "values": ["abcdef0123456789abcdef", "1234567890.AAH-x_yz0123"],
        "not_names": ["tokenReview", "TOKEN_TTL", "max_tokens", "tokenizer"],
    },
}

NOT_VALUES = [
    *("", " ", "abc", "$(DB)", "${DB}", "$DB_PASSWORD", "{{ .Values.a }}", "<password>", "%PW%"),
    *("/run/secrets/db", "file:/run/db", "vault:secret/data/db#password", "https://vault/db"),
    *("true", "null", "none", "required", "30s", "808", "changeme", "CHANGE_ME", "redacted"),
    *(
        "the password of the shop",
        "********",
        "xxxxx",
        "my-password-example",
        "your-password",
        "db.pem",
        "placeholder",
    ),
    "ENC[AES256_GCM,data:a]",
]


@pytest.mark.parametrize("row", NAMED)
def test_a_credential_is_known_by_its_name(row: str) -> None:
    for name in NAMED[row]["names"]:
        for value in NAMED[row]["values"]:
            option = name.replace(".", "-")
            field = "spec.containers[name=web]"
            assert [one[0] for one in found(config(**{name: value}))] == [row], (name, value)
            assert found(pod(env=[{"name": name, "value": value}]))[0][0] == row
            assert found(pod(args=[f"--{option}", value])) == [(row, f"{field}.args[1]", "")]
            assert found(pod(args=[f"--{option}={value}"])) == [(row, f"{field}.args[0]", option)]
            script = f"set -e\nserve --{option} {value} --verbose"
            assert found(pod(command=["sh", "-c", script])) == [
                (row, f"{field}.command[2]", option)
            ]
            for text in (
                f"a = b\n{name} = {value}\nc = d\n",
                f"server:\n  {name}: {value}\n",
                f"export {name}={value}; serve",
                json.dumps({"a": 1, name: value}),
                f"https://api.example.com/x?a=b&{name}={value}",
            ):
                assert found(config(file=text)) == [(row, "data.file", name)], text


@pytest.mark.parametrize("row", NAMED)
def test_a_name_that_is_nearly_one_passes(row: str) -> None:
    for name in NAMED[row]["not_names"]:
        for value in NAMED[row]["values"]:
            assert found(config(**{name: value})) == [], name
            assert found(config(file=f"{name}: {value}\n")) == [], name


@pytest.mark.parametrize("value", NOT_VALUES)
def test_what_is_put_there_later_or_kept_elsewhere_passes(value: str) -> None:
    for name in ("DB_PASSWORD", "API_KEY", "AUTH_TOKEN", "HTTP_SECRET"):
        assert found(config(**{name: value})) == []
        assert found(config(file=f"{name}={value}\n")) == []
        assert found(pod(env=[{"name": name, "value": value}])) == []


@pytest.mark.parametrize("value", ["shop-api-key-2", "my_key_name", "team.shop.v1", "kms-key-01"])
def test_the_name_of_something_is_no_key(value: str) -> None:
    for name in ("API_KEY", "AUTH_TOKEN", "HTTP_SECRET"):
        assert found(config(**{name: value})) == []


def test_a_variable_from_a_secret_passes() -> None:
    reference = {"secretKeyRef": {"name": "db", "key": "password1234"}}
    assert found(pod(env=[{"name": "DB_PASSWORD", "valueFrom": reference}])) == []


def test_each_is_told_once() -> None:
    text = "password: hunter2\npassword: hunter3\napi_key: a1b2c3d4e5f6\n"
    assert found(config(file=text)) == [
        ("password", "data.file", "password"),
        ("key", "data.file", "api_key"),
    ]
    url = "DB_PASSWORD=pg://a:hunter2@b\nPASSWORD=hunter2\n"
    assert found(config(file=url)) == [
        ("url-credentials", "data.file", ""),
        ("password", "data.file", "PASSWORD"),
    ]


@pytest.mark.parametrize("copy", sorted(COPIES))
def test_a_copy_that_a_tool_keeps_is_looked_into(copy: str) -> None:
    body = pod(env=[{"name": "DB_PASSWORD", "value": "hunter2"}])
    noted = {"metadata": {"annotations": {copy: json.dumps(body)}}}
    place = f'metadata.annotations["{copy}"]'
    assert [one[:2] for one in found({"kind": "Pod", **noted})] == [("password", place)]
    assert found({**body, **noted}) == found(body)


def test_copies_that_cannot_be_read_are_nothing() -> None:
    for text in ("{", "[1]", "null", 5, None, "H4sIAAAA"):
        noted = {"metadata": {"annotations": dict.fromkeys(COPIES, text)}}
        assert found({"kind": "Pod", **noted}) == []


def test_values_of_secrets_are_where_they_belong_but_their_annotations_are_not() -> None:
    body = {
        "kind": "Secret",
        "metadata": {"annotations": {"note": "postgres://a:hunter2@db"}},
        "data": {"password": "aHVudGVyMg=="},
        "stringData": {"password": "hunter2"},
    }
    assert found(body) == [("url-credentials", "metadata.annotations.note", "")]
    assert len(found(body, Ref("example.com", "Secret", "shop", "app"))) == 3


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("external-secrets.io", "ExternalSecret"),
    ],
)
def test_what_holds_nobodys_values_is_not_looked_at(group: str, kind: str) -> None:
    body = {"kind": kind, "spec": {"description": "such as postgres://user:hunter2@db"}}
    assert found(body, Ref(group, kind, "", "a")) == []
    assert found(body, Ref("example.com", kind, "", "a"))


def test_what_is_told_is_where_and_never_what() -> None:
    values = [*(text for texts in FORMS.values() for text in texts), "hunter2"]
    body = config(**{f"password{n}": text for n, text in enumerate(values)}, password="hunter2")
    told = exposed_in(CONFIG, body)
    assert len(told) == len(values)
    for one in told:
        assert isinstance(one, Exposed)
        assert not any(value in repr(one) for value in values)


def test_real_objects_hold_few_and_each_is_one() -> None:
    """Of 2,033 objects of well-known projects 13 have a credential in the open, all in examples."""
    wanted = {
        *("mysql-pod", "minio", "minio-deployment", "pxc-node1", "pxc-node2", "pxc-node3"),
        *("sysdig-agent", "mysql", "grafana", "ratings-v2-mysql-vm", "ratings-v2-mysql"),
        "kube-registry",
    }
    seen, objects = set(), 0
    for name in ("objects", "refused"):
        with gzip.open(corpus() / f"{name}.jsonl.gz") as lines:
            for line in lines:
                body = orjson.loads(line)["object"]
                group = body["apiVersion"].rpartition("/")[0]
                title = body["metadata"].get("name", "")
                told = exposed_in(Ref(group, body["kind"], "", title), body)
                objects += 1
                seen |= {title for one in told if one.row in NAMED}
                assert not any(one.row in FORMS for one in told), title
    assert objects > 2000
    assert seen == wanted


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "value", "password", "data", "é\n"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "data", "name"]), json_values))
def test_any_object_gets_an_answer_with_fields_that_can_be_read(body: Body) -> None:
    for one in exposed_in(CONFIG, body):
        assert parse_fieldpath(one.field)


@pytest.mark.parametrize(
    "text",
    [
        *("password" * 60_000, "password=" * 60_000, "a://" * 120_000, "a:" * 250_000),
        *("eyJ-" * 120_000, "eyJ." * 120_000, "--password " * 50_000, "x://:" * 100_000),
        *("password: <" + "<" * 400_000, "authorization: basic " * 25_000, '"auth": "' * 50_000),
        *("key-" * 120_000, "token=" + "a-" * 250_000, "api_key=" + "a." * 250_000),
    ],
    ids=lambda text: text[:12],
)
def test_no_text_holds_it_up(text: str) -> None:
    started = time.monotonic()
    exposed_in(CONFIG, config(a=text, token=text))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"id": "a", "because": "x", "link": "y"}, "credential a: needs"),
        ({"id": "a", "because": "x", "link": "y", "named": "x"}, "credential a: needs"),
        ({"id": "a", "because": "x", "link": "y", "value": "x"}, "credential a: needs"),
        ({"id": "a", "because": "x", "link": "y", "anywhere": "("}, "credential a: "),
        ({"id": "a", "because": "x", "anywhere": "x"}, "credential a: "),
        ({}, "credential ?: "),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(GitOpsDRError) as caught:
        read_row(raw)
    assert caught.value.message.startswith(message)
