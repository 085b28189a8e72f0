"""The rules over single objects: each has a reason, an example, and something it leaves alone."""

import copy
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yamlrocks
from corpus import corpus
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import EVERY, parse_fieldpath
from gitops_dr.rules import clean
from gitops_dr.rules.clean import rules_for, standing_omissions
from gitops_dr.rules.conditions import compile_when
from gitops_dr.rules.rows import Omit, Row, object_rows, read_row, relation_rows

CASES = yamlrocks.loads(Path(__file__).with_name("cases.yaml").read_bytes())
ROWS = {row.id: row for row in object_rows()}


def group_kind(body: Any) -> tuple[str, str]:
    return body["apiVersion"].rpartition("/")[0], body["kind"]


def outcome(body: Any) -> Any:
    """What becomes of an object: not listed, omitted by a row, or kept in some form."""
    rules = rules_for(*group_kind(body))
    if rules.omit_kind:
        return "not-listed", rules.omit_kind.id
    row = rules.omission(body)
    if row:
        return "omitted", row.id
    cleaned = copy.deepcopy(body)
    rules.clean(cleaned)
    return "kept", cleaned


def expected(case: Any) -> Any:
    if isinstance(case["expect"], str):
        return case["expect"], case["row"]
    return "kept", case["expect"]


def names(cases: Any) -> list[str]:
    return [case["row"] for case in cases]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_a_row_does_to_a_real_object_what_it_is_there_for(case: Any) -> None:
    assert outcome(case["object"]) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_without_the_row_the_object_would_not_be_right(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tuple(row for row in object_rows() if row.id != case["row"])
    monkeypatch.setattr(clean, "object_rows", lambda: others)
    rules_for.cache_clear()
    try:
        assert outcome(case["object"]) != expected(case)
    finally:
        rules_for.cache_clear()


NEAR = [(case, body) for case in CASES for body in case.get("near", ())]


@pytest.mark.parametrize(("case", "body"), NEAR, ids=[case["row"] for case, _ in NEAR])
def test_a_near_miss_is_left_alone(case: Any, body: Any) -> None:
    if by := case.get("near_by"):
        assert outcome(body) == ("omitted", by)
        return
    whole = copy.deepcopy(body)
    whole["metadata"].pop("managedFields", None)
    assert outcome(body) == ("kept", whole)


def test_every_row_has_an_example_and_a_near_miss() -> None:
    assert set(names(CASES)) == set(ROWS)
    assert {case["row"] for case in CASES if case.get("near")} == set(ROWS)


@pytest.mark.parametrize("row", [*object_rows(), *relation_rows()], ids=lambda row: row.id)
def test_every_row_says_why_and_where_that_is_written(row: Row) -> None:
    assert row.because.endswith((".", ")."))
    assert row.link.startswith("https://")
    assert " " not in row.link


def test_ids_are_unique() -> None:
    ids = [row.id for row in (*object_rows(), *relation_rows())]
    assert len(set(ids)) == len(ids)


def test_secrets_are_told_apart_by_their_metadata_alone() -> None:
    partial = {
        "metadata": {
            "name": "x-token-a1b2c",
            "annotations": {"kubernetes.io/service-account.name": "x"},
        }
    }
    row = rules_for("", "Secret").omission(partial)
    assert row is not None
    assert row.id == "service-account-token"


def test_the_account_of_what_is_left_out_depends_on_the_kind_only() -> None:
    rules = {omission.rule for omission in standing_omissions("", "Pod")}
    assert rules == {"mirror-pod", "finished-pod"}
    assert {str(omission.ref) for omission in standing_omissions("", "Pod")} == {"Pod/*"}
    assert {o.rule for o in standing_omissions("", "Secret")} == {"service-account-token"}
    assert [o.rule for o in standing_omissions("", "Event")] == ["events"]
    assert standing_omissions("example.com", "Shop") == ()


# -- nothing but what the rows name -----------------------------------------------------------


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*at, key))
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item, (*at, EVERY))
    else:
        yield at


def named_by(row: Row) -> list[tuple[Any, ...]]:
    paths = list(row.drop)
    paths += [rule.path for rule in (row.drop_items, row.drop_unowned) if rule]
    paths += row.put or ()
    return [parse_fieldpath(path) for path in paths]


def test_nothing_else_goes() -> None:
    for body in examples():
        rules = rules_for(*group_kind(body))
        if rules.omit_kind or rules.omission(body):
            continue
        named = [
            p for row in ROWS.values() if row.applies_to(*group_kind(body)) for p in named_by(row)
        ]
        cleaned = copy.deepcopy(body)
        rules.clean(cleaned)
        for leaf in set(leaves(body)) - set(leaves(cleaned)):
            assert any(leaf[: len(path)] == path for path in named), (leaf, body)
        # What was emptied by it may show up as an empty leaf, and nothing else is new.
        for leaf in set(leaves(cleaned)) - set(leaves(body)):
            assert any(path[: len(leaf)] == leaf for path in named), (leaf, body)


def examples() -> Iterator[Any]:
    for case in CASES:
        yield from (body for body in (case["object"], *case.get("near", ())) if "metadata" in body)
    with gzip.open(corpus() / "objects.jsonl.gz") as lines:
        for line in lines:
            yield orjson.loads(line)["object"]


def test_cleaning_real_objects_twice_changes_nothing() -> None:
    for body in examples():
        clean_is_idempotent(body)


def clean_is_idempotent(body: Any) -> None:
    rules = rules_for(*group_kind(body))
    once = copy.deepcopy(body)
    rules.clean(once)
    twice = copy.deepcopy(once)
    rules.clean(twice)
    assert twice == once


TEXT = st.sampled_from(
    [
        "name",
        "port",
        "protocol",
        "nodePort",
        "TCP",
        "kube-api-access-2chnj",
        "uid",
        "rules",
        "labels",
        "a-token-x7k2p",
        "None",
        "x",
        "kubernetes.io/pvc-protection",
        "controller-uid",
        "manualSelector",
        "clusterIP",
        "volumes",
        "secrets",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "f:clusterIP",
        "f:clusterIPs",
        "f:ipFamilies",
        "f:ports",
        "f:healthCheckNodePort",
        "f:ipFamilyPolicy",
    ]
)
MANAGED = st.fixed_dictionaries(
    {
        "manager": TEXT,
        "fieldsV1": st.fixed_dictionaries(
            {"f:spec": st.dictionaries(FIELDS, st.just({}), max_size=3)}
        ),
    },
    optional={"subresource": st.just("status")},
)
METADATA = st.fixed_dictionaries(
    {"name": TEXT},
    optional={
        "uid": TEXT,
        "labels": st.dictionaries(TEXT, TEXT, min_size=1, max_size=3),
        "annotations": st.dictionaries(TEXT, TEXT, min_size=1, max_size=3),
        "finalizers": st.lists(TEXT, min_size=1, max_size=3),
        "managedFields": st.lists(MANAGED, min_size=1, max_size=2),
        "ownerReferences": st.lists(
            st.fixed_dictionaries({"kind": TEXT, "uid": TEXT, "controller": st.booleans()})
        ),
    },
)
KINDS = st.sampled_from(
    [
        ("v1", "Service"),
        ("v1", "Pod"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "PersistentVolume"),
        ("v1", "ServiceAccount"),
        ("v1", "Namespace"),
        ("batch/v1", "Job"),
        ("apps/v1", "StatefulSet"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
        ("example.com/v1", "Shop"),
    ]
)
LISTS = ["ports", "containers", "initContainers", "volumes", "secrets", "rules"]
SPEC = st.dictionaries(
    st.sampled_from(LISTS) | FIELDS.map(lambda f: f[2:]) | TEXT, JSON, max_size=5
)


@given(KINDS, METADATA, SPEC, st.dictionaries(TEXT, JSON, max_size=3))
def test_cleaning_any_object_twice_changes_nothing(
    kind: tuple[str, str], metadata: Any, spec: Any, rest: Any
) -> None:
    api_version, name = kind
    clean_is_idempotent(
        {**rest, "apiVersion": api_version, "kind": name, "metadata": metadata, "spec": spec}
    )


# -- rows that make no sense ------------------------------------------------------------------

ROW = {"id": "r", "kinds": ["Pod"], "because": "So.", "link": "https://example.com"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"omit": "kind", "drop": ["spec.a"]},
        {"omit": "loudly"},
        {"drop": ["a"], "unless": 1},
        {"drop_items": {"path": "a"}},
        {"drop_unowned": {"keys": ["a"]}},
    ],
    ids=str,
)
def test_a_row_that_makes_no_sense_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(GitOpsDRError, match=r"^rule r: "):
        read_row(ROW | wrong)


@pytest.mark.parametrize(
    "condition", [{"path": "a.b"}, {"path": "a[*].b", "exists": True}, {"weather": "fine"}], ids=str
)
def test_a_condition_that_does_not_exist_is_refused(condition: Any) -> None:
    with pytest.raises(GitOpsDRError):
        compile_when([condition])


def test_conditions_hold_together() -> None:
    both = compile_when([{"path": "a", "equals": 1}, {"path": "b", "differs": 1}])
    assert both is not None
    assert both({"a": 1})
    assert not both({"a": 1, "b": 1})
    assert not both({"b": 2})
    assert compile_when([]) is None


def test_a_whole_group_is_named_by_a_star() -> None:
    row = read_row(ROW | {"kinds": ["*.example.com"], "omit": "kind"})
    assert row.omit is Omit.KIND
    assert row.applies_to("example.com", "Shop")
    assert not row.applies_to("", "Shop")
    assert not row.applies_to("other.example.com", "Shop")
