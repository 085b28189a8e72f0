"""Each row says that two ways of writing are one, and covers nothing that is another thing."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meaning_cases import CASES, comparisons, meaning_of, ref_of, without

from gitops_dr.drift.compare import ABSENT, differ, field_changes, says_nothing
from gitops_dr.drift.judge import judged
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.rows import AskRow, FieldRow, ObjectRow, read_row, rows
from gitops_dr.drift.undo import flipped, undone
from gitops_dr.errors import GitOpsDRError
from gitops_dr.manifests.fieldpath import get, parse_fieldpath
from gitops_dr.manifests.shape import Shape
from gitops_dr.model import MaskedValue

PAIRS = [(case["row"], one) for case in CASES for one in comparisons(case)]


def is_autoscaled(case: Any) -> Any:
    """Whether one of the objects beside the case scales it."""
    targets = {
        other["spec"]["scaleTargetRef"]["name"]
        for other in case.get("with", ())
        if other["kind"] == "HorizontalPodAutoscaler"
    }
    return lambda ref: ref.name in targets


def paths(case: Any, one: Any) -> list[str]:
    found = judged(
        ref_of(one["git"]),
        one["git"],
        one["live"],
        meaning_of(one["git"]),
        is_autoscaled=is_autoscaled(case),
    )
    return [change.path for change in found.changes]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["row"])
def test_what_differs_is_what_the_case_says(case: Any) -> None:
    for one in comparisons(case):
        before = copy.deepcopy(one)
        assert paths(case, one) == one["differs"], one["git"]
        assert one == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["row"])
def test_without_its_row_it_would_be_something_else(case: Any) -> None:
    one = next(comparisons(case))
    with without(case["row"]):
        assert paths(case, one) != one["differs"]


def test_every_row_has_its_cases_and_its_near_misses() -> None:
    over = {row.id for row in rows() if isinstance(row, FieldRow | ObjectRow)}
    assert over == {case["row"] for case in CASES}
    assert all(case.get("near") for case in CASES)


def test_every_row_says_why_and_where_kubernetes_says_so() -> None:
    assert len({row.id for row in rows()}) == len(rows())
    for row in rows():
        assert row.because
        assert row.link.startswith("https://")


def test_a_reason_that_goes_on_has_no_end() -> None:
    """What was answered is said after it."""
    assert not [row.id for row in rows() if isinstance(row, AskRow) and row.because.endswith(".")]


def test_the_page_about_it_names_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "comparison.md").read_text()
    named = {word for line in page.splitlines() if line.startswith("| `") for word in _code(line)}
    assert named == {row.id for row in rows()}


def _code(line: str) -> list[str]:
    return line.split("|")[1].replace("`", "").replace(",", "").split()


BASE = {"id": "x", "because": "b", "link": "https://example.com"}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({}, id="no deed"),
        pytest.param({"fields": [{"type": "string"}]}, id="fields and no deed"),
        pytest.param({"fields": [], "equal": "quantity", "absent": "null"}, id="two deeds"),
        pytest.param({"fields": [], "equal": "nearly"}, id="no such way to compare"),
        pytest.param({"kinds": ["*"], "spent": ["spec["]}, id="no path"),
        pytest.param({"kinds": ["*"], "cleaned": True, "spent": []}, id="two deeds over objects"),
        pytest.param({"spent": ["spec"]}, id="no kinds"),
        pytest.param({"kinds": ["Secret"], "fold": {"from": "a"}}, id="half a fold"),
        pytest.param({"ask": "maybe"}, id="no such question"),
        pytest.param({"ask": "add", "misspelt": 1}, id="no such key"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(raw: Any) -> None:
    with pytest.raises(GitOpsDRError, match="meaning x: "):
        read_row(BASE | raw)


# -- Secrets ----------------------------------------------------------------------------------


def secret(**parts: Any) -> Any:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **parts}


@pytest.mark.parametrize(
    ("git", "live", "expected"),
    [
        pytest.param(
            {"data": {"a": "YQ=="}}, {"data": {"a": "Yg=="}}, [("data.a", "replace")], id="changed"
        ),
        pytest.param({"data": {"a": "YQ=="}}, {}, [("data.a", "remove")], id="all gone, by name"),
        pytest.param(
            {}, {"data": {"a": "YQ==", "b.c": "Yg=="}},
            [("data.a", "add"), ('data["b.c"]', "add")], id="all new, by name",
        ),
        pytest.param({"stringData": {"a": "a"}}, {"data": {"a": "YQ=="}}, [], id="other words"),
        pytest.param(
            {"stringData": {"a": 1}}, {"data": {"a": "YQ=="}}, [("data.a", "add")], id="no text"
        ),
        pytest.param({"data": "YQ=="}, {"data": {"a": "YQ=="}}, [("data", "replace")], id="no map"),
        pytest.param({"stringData": "x"}, {}, [("stringData", "remove")], id="no map of words"),
    ],
)  # fmt: skip
def test_of_a_secret_only_names_are_told(git: Any, live: Any, expected: Any) -> None:
    body = secret(**git)
    found = judged(ref_of(body), body, secret(**live), meaning_of(body)).changes
    assert [(change.path, change.op) for change in found] == expected
    for change in found:
        values = [value for value in (change.old, change.new) if value is not None]
        assert values
        assert all(isinstance(value, MaskedValue) for value in values)


def test_what_is_beside_a_secret_s_values_is_shown() -> None:
    body = secret(metadata={"name": "s", "labels": {"a": "b"}})
    (change,) = judged(ref_of(body), body, secret(), meaning_of(body)).changes
    assert (change.path, change.old) == ("metadata.labels", {"a": "b"})


# -- questions --------------------------------------------------------------------------------

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
WIDGET = {"apiVersion": "meaning.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o"}
PORT = {"name": "a", "port": 80}


@pytest.mark.parametrize(
    ("git", "live", "row"),
    [
        pytest.param({"a": 1}, {"a": 2}, "", id="a change is one"),
        pytest.param({}, {"a": 2}, "left-out", id="only in the cluster"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, "left-out", id="deeper"),
        pytest.param({"loadBalancerClass": "x"}, {}, "", id="something that is gone"),
        pytest.param({"loadBalancerClass": ""}, {}, "dropped", id="nothing that is gone"),
        pytest.param(
            {"allocateLoadBalancerNodePorts": False}, {}, "dropped", id="a no that is gone"
        ),
        pytest.param({"clusterIP": "10.0.0.7"}, {}, "allocated", id="an address"),
        pytest.param(
            {"ports": [{**PORT, "nodePort": 30080}]}, {"ports": [PORT]}, "allocated", id="a port"
        ),
        pytest.param(
            {"ports": [{**PORT, "appProtocol": "x"}]}, {"ports": [PORT]}, "", id="no such port"
        ),
    ],
)
def test_what_only_the_api_server_can_tell(git: Any, live: Any, row: str) -> None:
    because = {found.id: found.because for found in rows()}
    one, other = {**SERVICE, "spec": git}, {**SERVICE, "spec": live}
    found = judged(ref_of(one), one, other, meaning_of(one))
    assert found.changes
    assert found.question == because.get(row, "")


def test_a_custom_resource_drops_nothing() -> None:
    git, live = {**WIDGET, "spec": {"plain": ""}}, {**WIDGET, "spec": {}}
    assert judged(ref_of(git), git, live, meaning_of(git)).question == ""


def test_of_owners_it_is_never_asked() -> None:
    live = {**WIDGET, "metadata": {"name": "w", "ownerReferences": [OWNER]}}
    found = judged(ref_of(WIDGET), WIDGET, live, meaning_of(WIDGET))
    assert [change.path for change in found.changes] == ["metadata.ownerReferences"]
    assert found.question == ""


def test_what_a_dump_says_of_its_managers_is_of_no_account() -> None:
    """An address that nobody set is left out of the cluster's side, and only of that."""
    managed = [{"manager": "a", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {}}}}]
    dumped = {**SERVICE, "spec": {"clusterIP": "10.0.0.8"}}
    dumped["metadata"] = {"name": "s", "managedFields": managed}
    live = {**SERVICE, "spec": {"clusterIP": "10.0.0.7"}}
    (change,) = judged(ref_of(dumped), dumped, live, meaning_of(dumped)).changes
    assert (change.path, change.old, change.new) == ("spec.clusterIP", "10.0.0.8", "10.0.0.7")


def test_every_question_has_its_case() -> None:
    assert {row.id for row in rows() if isinstance(row, AskRow)} == {
        "left-out", "dropped", "allocated",
    }  # fmt: skip


# -- any values -------------------------------------------------------------------------------

# Every kind of field at once: a schema that says something of each, and values that fit nothing.
FIELDS = {
    "quantity": {"named": "io.k8s.apimachinery.pkg.api.resource.Quantity"},
    "either": {"x-kubernetes-int-or-string": True},
    "number": {"type": "number", "default": 1},
    "nullable": {"type": "string", "nullable": True},
    "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "map": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
    "keyed": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {"properties": {"port": {"type": "integer"}, "protocol": {"default": "TCP"}}},
    },
}  # fmt: skip
SCHEMA = {"type": "object", "properties": {**FIELDS, "deep": {"properties": FIELDS}}}
BY_SCHEMA = [Meaning(Shape({**SCHEMA, "go": go, "entry": False}, {})) for go in (True, False)]

LEAVES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "1", "1000m", 1.0])
ITEMS = st.fixed_dictionaries(
    {"port": st.integers(80, 82)},
    optional={"protocol": st.sampled_from(["TCP", "UDP", None]), "x": LEAVES},
)
VALUES = st.recursive(
    LEAVES | st.lists(ITEMS, max_size=3) | st.lists(st.sampled_from("abc"), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*FIELDS, "x"]), inner)
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from([*FIELDS, "deep", "x"]), VALUES, max_size=5)
MEANINGS = st.sampled_from([*BY_SCHEMA, LITERALLY])


@given(BODIES, MEANINGS)
def test_an_object_means_the_same_as_its_copy(body: Any, meaning: Meaning) -> None:
    assert list(field_changes(body, copy.deepcopy(body), (), meaning)) == []


@given(BODIES, BODIES, MEANINGS)
def test_seen_from_the_other_side_the_same_differs(old: Any, new: Any, meaning: Meaning) -> None:
    other = {"add": "remove", "remove": "add", "replace": "replace"}
    there = [(c.path, c.op) for c in field_changes(old, new, (), meaning)]
    back = [(c.path, other[c.op]) for c in field_changes(new, old, (), meaning)]
    assert sorted(there) == sorted(back)


@given(BODIES, BODIES, MEANINGS)
def test_what_differs_in_meaning_differs_in_words(old: Any, new: Any, meaning: Meaning) -> None:
    if differ(old, new, meaning):
        assert differ(old, new)


@given(BODIES, BODIES, BODIES)
def test_what_means_the_same_as_one_means_the_same_as_the_other(
    one: Any, two: Any, three: Any
) -> None:
    for meaning in BY_SCHEMA:
        if not differ(one, two, meaning) and not differ(two, three, meaning):
            assert not differ(one, three, meaning)


@given(BODIES, MEANINGS)
def test_what_says_nothing_may_be_left_out(body: Any, meaning: Meaning) -> None:
    kept = {k: v for k, v in body.items() if not says_nothing(v, meaning.field(k))}
    assert not differ(body, kept, meaning)
    assert says_nothing(ABSENT, meaning)


@given(BODIES, BODIES, MEANINGS)
def test_the_changes_lead_from_one_to_the_other_and_back(
    old: Any, new: Any, meaning: Meaning
) -> None:
    found = list(field_changes(old, new, (), meaning))
    assert not differ(old, undone(new, found, old, meaning), meaning)
    assert not differ(new, undone(old, map(flipped, found), new, meaning), meaning)


@given(BODIES, BODIES, MEANINGS)
def test_every_change_says_what_is_there(old: Any, new: Any, meaning: Meaning) -> None:
    for change in field_changes(old, new, (), meaning):
        path = parse_fieldpath(change.path)
        # An item that lacks one of its keys is not found by it: it has the default.
        if change.op != "add" and "protocol" not in change.path:
            assert repr(get(old, path, "nothing")) == repr(change.old)
        if change.op != "remove" and "protocol" not in change.path:
            assert repr(get(new, path, "nothing")) == repr(change.new)


MEBIBYTE = 1 << 20


def test_a_mebibyte_on_each_side_is_one_change() -> None:
    git, live = ({**WIDGET, "spec": {"plain": letter * MEBIBYTE}} for letter in "ab")
    found = judged(ref_of(git), git, live, meaning_of(git)).changes
    assert [(change.path, len(change.old), len(change.new)) for change in found] == [
        ("spec.plain", MEBIBYTE, MEBIBYTE)
    ]


# -- manifests that nobody should write -------------------------------------------------------

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
KINDS = st.sampled_from(
    [("v1", "Service"), *sorted({(c["git"]["apiVersion"], c["git"]["kind"]) for c in CASES})]
)
PLACES = [
    "spec", "data", "stringData", "rules", "webhooks", "aggregationRule", "status", "secrets",
]  # fmt: skip
IN_SPEC = ["ports", "replicas", "conversion", "caBundle", "volumeName", "dataSource", "versions"]
IN_METADATA = ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"]


@st.composite
def manifests(draw: Any) -> Any:
    api_version, kind = draw(KINDS)
    body = draw(st.dictionaries(st.sampled_from(PLACES), ODD, max_size=3))
    if draw(st.booleans()):
        body["spec"] = draw(st.dictionaries(st.sampled_from(IN_SPEC), ODD, max_size=4))
    metadata = draw(st.dictionaries(st.sampled_from(IN_METADATA), ODD, max_size=3))
    return {
        **body,
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {**metadata, "name": "odd"},
    }


LIVE = {one["git"]["kind"]: one["live"] for case in CASES for one in comparisons(case)}
LIVE["Service"] = {**SERVICE, "spec": {"ports": [PORT], "clusterIP": "10.0.0.7"}}


@given(manifests())
def test_whatever_a_manifest_holds_it_is_compared(git: Any) -> None:
    live = LIVE[git["kind"]]
    before = copy.deepcopy(git)
    found = judged(ref_of(git), git, live, meaning_of(git), is_autoscaled=lambda _: True)
    assert git == before
    assert all(change.path for change in found.changes)
