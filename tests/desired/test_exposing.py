"""By what an object is reached from outside: each row, near misses, and whatever a status holds."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired import exposing as module
from gitops_dr.desired.exposing import Exposed, Gives, api_kinds, api_rows, clean_url, exposing
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.model import Ref, parse_ref
from gitops_dr.resources import shipped

ROWS = yaml.safe_load(shipped("desired/endpoints.yaml").read_text())
CASES = yaml.safe_load(Path(__file__).with_name("exposing.yaml").read_text())
WEB = Ref("", "Service", "shop", "web")


def group_kind(text: str) -> tuple[str, str]:
    kind, _, group = text.partition(".")
    return group, kind


def read(kind: str, body: dict[str, Any], name: str = "web") -> Exposed | None:
    how = exposing(group_kind(kind))
    body = {"metadata": {}, **body}
    return how and how.read(Ref(*group_kind(kind), "shop", name), body)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_what_an_object_says(case: dict[str, Any]) -> None:
    expect = case.get("expect")
    found = read(case["kind"], case["object"])
    if expect is None:
        assert found is None
        return
    lists = {key: tuple(value) for key, value in expect.items() if key not in ("via", "awaited")}
    via = tuple(map(parse_ref, expect.get("via", ())))
    assert found == Exposed(**lists, via=via)
    assert found.awaited == frozenset(map(Gives, expect.get("awaited", ())))


def test_every_row_has_a_case() -> None:
    meant = {(kind, row["gives"]) for row in ROWS["rows"] for kind in row["in"]}
    fields = module._FIELDS
    shown = {
        (case["kind"], gives)
        for case in CASES
        for gives in fields
        if fields[gives] in (case.get("expect") or {})
    }
    # Kinds of one row that differ in nothing but their names.
    twins = {
        ("ClusterSecretStore.external-secrets.io", "trust"),
        ("Issuer.cert-manager.io", "trust"),
        ("Ingress.networking.k8s.io", "host"),
        ("GRPCRoute.gateway.networking.k8s.io", "host"),
        *(("TLSRoute.gateway.networking.k8s.io", gives) for gives in ("host", "via")),
    }
    assert meant - {(kind, str(gives)) for kind, gives in shown} <= twins


def test_every_row_gives_reason_and_source() -> None:
    for row in (*ROWS["rows"], *ROWS["api"]):
        assert row["because"].endswith(".")
        assert row["link"].startswith("https://")
        for path in row["path"] if isinstance(row["path"], list) else [row["path"]]:
            parse_fieldpath(path)
        assert ("todo" in row) == (row.get("gives") == "trust")


HOSTILE = [
    "",
    " ",
    "a b",
    "a\nb",
    "a\x1b[2J",
    "\u202eb",
    "\ud800",
    "x" * 254,
    "a;b",
    "<b>",
    7,
    True,
    None,
    ["203.0.113.7"],
    {"ip": "203.0.113.7"},
]


@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_no_address_is_none(value: Any) -> None:
    status = {"loadBalancer": {"ingress": [{"ip": value, "hostname": value}]}}
    body = {
        "metadata": {"annotations": {"external-dns.alpha.kubernetes.io/hostname": value}},
        "spec": {
            "type": "LoadBalancer",
            "externalIPs": [value],
            "ports": [{"nodePort": value}],
            "loadBalancerIP": value,
        },
        "status": status,
    }
    assert read("Service", body) == Exposed()
    body["spec"]["type"] = "NodePort"
    found = read("Service", body)
    assert found == (Exposed(node_ports=("7",)) if value is not True and value == 7 else None)
    assert read(
        "ServiceAccount", {"metadata": {"annotations": dict.fromkeys(ANNOTATIONS, value)}}
    ) in (
        None,
        Exposed(trusts=(value,)) if value in ("a;b", "<b>", "x" * 254) else None,
    )


ANNOTATIONS = [
    "eks.amazonaws.com/role-arn",
    "azure.workload.identity/client-id",
    "iam.gke.io/gcp-service-account",
]


def test_a_reference_that_is_none_is_none() -> None:
    for parent in (
        {},
        {"name": 7},
        {"name": ""},
        {"name": "a/b"},
        {"name": "a", "namespace": 7},
        {"name": "a", "kind": ""},
        {"name": "a", "group": "b/c"},
        "a",
        None,
    ):
        assert (
            read("HTTPRoute.gateway.networking.k8s.io", {"spec": {"parentRefs": [parent]}}) is None
        )


def test_a_name_that_no_reference_can_hold_is_left_out() -> None:
    body = {"spec": {"rules": [{"host": "a.example.com"}]}}
    assert read("Ingress.networking.k8s.io", body, "a/b") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = sorted(
    {
        path
        for row in ROWS["rows"]
        for path in (row["path"] if isinstance(row["path"], list) else [row["path"]])
    }
)


@given(st.data())
def test_whatever_an_object_holds_it_is_no_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for row in ROWS["rows"] for kind in row["in"]]))
    body: dict[str, Any] = {"metadata": {}, "spec": {"type": "LoadBalancer"}}
    for path in data.draw(st.lists(st.sampled_from(PATHS), max_size=4)):
        node: Any = body
        steps = parse_fieldpath(path)
        depth = data.draw(st.integers(1, len(steps)))
        for step in steps[: depth - 1]:
            if isinstance(node, dict):
                node = node.setdefault(step, {}) if isinstance(step, str) else node
        if isinstance(node, dict) and isinstance(steps[depth - 1], str):
            node[steps[depth - 1]] = data.draw(JSON)
    found = read(kind, body)
    if found is not None:
        for each in (*found.addresses, *found.hosts, *found.asked, *found.routed, *found.trusts):
            assert each.isascii()
            assert each.isprintable()
            assert " " not in each


# -- the API server ---------------------------------------------------------------------------


def kubeconfig(server: object) -> str:
    return yaml.safe_dump({"clusters": [{"cluster": {"server": server}}], "users": []})


def api(kind: str, namespace: str, name: str, body: dict[str, Any]) -> str:
    row = api_rows(group_kind(kind)).get((namespace, name))
    return row.read(body) if row else ""


URL = "https://api.shop.example.com:6443"


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "body", "expect"),
    [
        (
            "ConfigMap",
            "kube-public",
            "cluster-info",
            {"data": {"kubeconfig": kubeconfig(URL)}},
            URL,
        ),
        ("ConfigMap", "kube-public", "other", {"data": {"kubeconfig": kubeconfig(URL)}}, ""),
        ("ConfigMap", "shop", "cluster-info", {"data": {"kubeconfig": kubeconfig(URL)}}, ""),
        ("ConfigMap", "kube-system", "kube-proxy", {"data": {"kubeconfig": kubeconfig(URL)}}, URL),
        ("ConfigMap", "kube-system", "kube-proxy", {"data": {"config": kubeconfig(URL)}}, ""),
        (
            "Infrastructure.config.openshift.io",
            "",
            "cluster",
            {"status": {"apiServerURL": URL}},
            URL,
        ),
        ("Infrastructure.config.openshift.io", "", "other", {"status": {"apiServerURL": URL}}, ""),
    ],
)
def test_where_the_api_server_is(
    kind: str, namespace: str, name: str, body: dict[str, Any], expect: str
) -> None:
    assert api(kind, namespace, name, body) == expect
    assert group_kind(kind) in api_kinds()


@pytest.mark.parametrize(
    "text",
    [
        kubeconfig("https://127.0.0.1:6443"),
        kubeconfig("https://[::1]:6443"),
        kubeconfig("https://localhost:6443"),
        kubeconfig("https://kubernetes.default.svc:443"),
        kubeconfig("https://user:password@api.example.com"),
        kubeconfig("ftp://api.example.com"),
        kubeconfig(7),
        "clusters: []",
        "clusters: [a",
        "\ud800",
        "- a",
        "",
        7,
        None,
    ],
)
def test_what_is_private_or_no_address_of_an_api_server(text: object) -> None:
    assert api("ConfigMap", "kube-public", "cluster-info", {"data": {"kubeconfig": text}}) == ""


def test_a_slash_at_the_end_means_nothing() -> None:
    body = {"data": {"kubeconfig": kubeconfig(f"{URL}/")}}
    assert api("ConfigMap", "kube-public", "cluster-info", body) == URL


@pytest.mark.parametrize(
    "url",
    [
        "https://a@b.example.com",
        "https://a:b@c.example.com",
        "https://",
        "https://a b",
        "https://a.example.com:x",
        "https://a.example.com:99999",
        "https://[a",
        "https://a.example.com/?token=1",
        "https://a.example.com/#b",
        "javascript:alert(1)",
        f"https://{'a' * 1001}",
        None,
        7,
    ],
)
def test_what_is_no_url(url: object) -> None:
    assert clean_url(url) == ""


@given(st.text() | st.from_regex(r"https?://[!-~]{0,30}", fullmatch=True))
def test_a_url_has_a_host_and_no_credentials(text: str) -> None:
    found = clean_url(text)
    assert found in ("", text)
    assert "@" not in found.partition("//")[2].partition("/")[0]
