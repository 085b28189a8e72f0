"""No value that is a secret gets past the mask, and the mask shows what equals what."""

import base64
import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports.samples import CLEAN, CONFIG, DATABASE, FULL, MERGING, WEB

from gitops_dr.model import Action, Difference, FieldChange, MaskedValue, Presence, Ref
from gitops_dr.reports.values import Mark, compact, is_masked, mask, within
from gitops_dr.results.drift import Against, Merge

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{'MHcCAQEEIA' * 10}\n-----END EC PRIVATE KEY-----\n"
AGE = "AGE-SECRET-KEY-1" + "Q" * 58
PASSWORD = "hunter2"


def masked(ref: Ref, *changes: FieldChange) -> tuple[FieldChange, ...]:
    found = replace(CLEAN, differences=(Difference(ref, Presence.MODIFIED, "p", changes),))
    return mask(found).differences[0].changes


def added(ref: Ref, path: str, value: object) -> object:
    (change,) = masked(ref, FieldChange(path, "add", new=value))
    return change.new


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("data.password", PASSWORD, "*** (a)"),
        ('data["tls.key"]', PASSWORD, "*** (a)"),
        ("stringData.password", PASSWORD, "*** (a)"),
        ("data", {"user": "x", "password": PASSWORD}, {"user": "*** (a)", "password": "*** (b)"}),
        ("data", PASSWORD, "*** (a)"),
        ("data", [PASSWORD], "*** (a)"),
        ("data.password", {"deep": [PASSWORD]}, "*** (a)"),
        ("data.password", 5, "*** (a)"),
        ("", {"data": {"a": PASSWORD}, "type": "x"}, {"data": {"a": "*** (a)"}, "type": "x"}),
        ("not a path ][", PASSWORD, "*** (a)"),
        (f'metadata.annotations["{LAST_APPLIED}"]', PASSWORD, "*** (a)"),
        (
            "metadata.annotations",
            {LAST_APPLIED: PASSWORD, "a": "b"},
            {LAST_APPLIED: "*** (a)", "a": "b"},
        ),
        (
            "metadata",
            {"annotations": {LAST_APPLIED: PASSWORD}},
            {"annotations": {LAST_APPLIED: "*** (a)"}},
        ),
        ('metadata.annotations["kapp.k14s.io/original"]', PASSWORD, "*** (a)"),
        ("metadata.annotations.note", "kept", "kept"),
        ("type", "Opaque", "Opaque"),
        ("immutable", True, True),
        ("data.password", None, None),
    ],
)
def test_what_a_secret_holds_is_masked_and_nothing_else_of_it(
    path: str, value: object, expected: object
) -> None:
    assert added(DATABASE, path, value) == expected


def test_a_kind_that_is_only_called_so_is_shown() -> None:
    other = Ref("example.com", "Secret", "shop", "db")
    assert added(other, "data.password", "x") == "x"
    assert added(CONFIG, "data.password", "x") == "x"
    last_applied = f'metadata.annotations["{LAST_APPLIED}"]'
    assert added(CONFIG, last_applied, '{"kind":"ConfigMap"}') == '{"kind":"ConfigMap"}'


@pytest.mark.parametrize(
    "value",
    [
        PEM,
        f"text before {PEM}",
        base64.b64encode(PEM.encode()).decode(),
        AGE,
        AGE.lower(),
        f"kind: Secret\ndata:\n  a: {PASSWORD}\n",
        json.dumps({"kind": "Secret", "stringData": {"a": PASSWORD}}),
    ],
)
def test_credentials_are_masked_in_any_kind(value: str) -> None:
    assert added(CONFIG, "data.x", value) == "*** (a)"
    assert added(WEB, "spec", {"env": [{"name": "A", "value": value}, 5]}) == {
        "env": [{"name": "A", "value": "*** (a)"}, 5]
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:hunter2@db/x?a=b", "postgres://*** (a)@db/x?a=b"),
        ("see https://u:p@a/ and\nhttps://u:q@b", "see https://*** (a)@a/ and\nhttps://*** (b)@b"),
        ("https://u:p@ss:w@rd@host", "https://*** (a)@host"),
        ("redis://:hunter2@cache", "redis://*** (a)@cache"),
        (f"https://{'t' * 20}@git/r.git", "https://*** (a)@git/r.git"),
    ],
)
def test_a_url_loses_what_opens_it(text: str, shown: str) -> None:
    found = added(CONFIG, "data.url", text)
    assert found == shown
    assert is_masked(found)
    assert added(WEB, "spec", {"env": [text]}) == {"env": [shown]}


@pytest.mark.parametrize(
    "text",
    [
        "https://a/b?c=d:e",
        "ssh://git@host/r.git",
        "a: b@c",
        "https://host:443/a@b",
        "http://[::1]:1",
    ],
)
def test_a_url_that_nothing_opens_stays(text: str) -> None:
    assert added(CONFIG, "data.url", text) == text
    assert not is_masked(added(CONFIG, "data.url", text))


def test_a_key_in_pieces_is_masked_as_a_whole() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", "A" * 64, "B" * 64, "-----END PRIVATE KEY-----"]
    assert added(CONFIG, "data", {"lines": lines}) == "*** (a)"


def test_secrets_inside_of_other_objects_are_masked() -> None:
    secret = {"kind": "Secret", "data": {"a": PASSWORD}, "type": "Opaque"}
    hidden = {"kind": "Secret", "data": {"a": "*** (a)"}, "type": "Opaque"}
    assert added(WEB, "spec.objects", [secret, secret]) == [hidden, hidden]
    assert added(WEB, "spec.object", secret) == hidden
    items = {"kind": "SecretList", "items": [{"data": {"a": PASSWORD}}]}
    assert added(WEB, "spec", items) == {
        "kind": "SecretList",
        "items": [{"data": {"a": "*** (a)"}}],
    }
    reference = {"kind": "Secret", "name": "db"}
    assert added(WEB, "spec.ref", reference) == reference


def test_equal_values_have_equal_marks_in_all_of_one_report() -> None:
    first, second = masked(
        DATABASE,
        FieldChange("data.a", "replace", "x", "y"),
        FieldChange("data.b", "replace", "y", "x"),
    )
    assert (first.old, first.new) == ("*** (a)", "*** (b)")
    assert (second.old, second.new) == ("*** (b)", "*** (a)")
    merge = Merge(DATABASE, Action.CONFIGURE, (FieldChange("data.a", "replace", "y", "z"),))
    changes = (FieldChange("data.a", "replace", "x", "y"),)
    both = replace(
        CLEAN,
        differences=(Difference(DATABASE, Presence.MODIFIED, "p", changes),),
        against=Against("b", (merge,)),
    )
    against = mask(both).against
    assert against is not None
    assert [against.merges[0].changes[0].old, against.merges[0].changes[0].new] == [
        "*** (b)",
        "*** (c)",
    ]
    # Numbered anew each time: a mark says nothing across reports.
    assert mask(both) == mask(both)


def test_a_value_that_masks_itself_is_marked_like_the_same_value() -> None:
    (change,) = masked(WEB, FieldChange("spec.a", "replace", MaskedValue("x"), MaskedValue("y")))
    assert (change.old, change.new) == ("*** (a)", "*** (b)")
    (change,) = masked(DATABASE, FieldChange("data.a", "replace", MaskedValue("x"), "x"))
    assert change.old == change.new == "*** (a)"
    assert added(DATABASE, "data.a", {"b": MaskedValue("x")}) == "*** (a)"


def test_values_of_other_types_are_told_apart_and_marks_go_on_after_z() -> None:
    values = ["5", 5, True, "true", ["5"], *map(str, range(100, 130))]
    changes = [FieldChange(f"data.k{n}", "add", new=value) for n, value in enumerate(values)]
    marks = [change.new for change in masked(DATABASE, *changes)]
    assert len(set(marks)) == len(values)
    assert [marks[25], marks[26], marks[27]] == ["*** (z)", "*** (aa)", "*** (ab)"]


def test_a_mark_is_told_from_the_same_text() -> None:
    assert is_masked(added(DATABASE, "data.a", "x"))
    assert is_masked(added(DATABASE, "data", {"a": "x"}))
    assert is_masked([{"a": Mark("*** (a)")}])
    assert not is_masked(added(CONFIG, "data.a", "*** (a)"))
    assert not is_masked({"a": ["*** (a)", None, 1]})


def test_what_is_given_is_left_as_it_is() -> None:
    before = copy.deepcopy(MERGING)
    mask(MERGING)
    assert before == MERGING
    assert mask(FULL).against is None


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(trees)
def test_any_value_of_another_kind_is_shown_as_it_is(value: object) -> None:
    assert added(CONFIG, "data.x", value) == value


@given(trees.filter(lambda value: value is not None))
def test_no_value_of_a_secret_is_shown_whatever_it_is(value: object) -> None:
    assert added(DATABASE, "data.x", value) == "*** (a)"


def test_a_large_value_is_its_size() -> None:
    assert within("x" * 98, 100) == ("x" * 98, False)
    assert within("x" * 99, 100) == ("(101 bytes, not shown)", True)
    assert within("é" * 60, 100) == ("(122 bytes, not shown)", True)
    assert within({"a": [1]}, 9) == ({"a": [1]}, False)
    assert within({"a": [1]}, 8) == ("(9 bytes, not shown)", True)
    assert within("\ud800" * 40, 100)[1]
    assert within("x" * (1 << 20)) == ("(1048578 bytes, not shown)", True)


@given(trees)
def test_one_line_of_json_reads_back(value: object) -> None:
    line = compact(value)
    assert json.loads(line) == value
    assert "\n" not in line


def test_json_holds_what_orjson_refuses() -> None:
    assert compact({"b": 2**70, "a": "\ud800"}) == '{"a":"\ud800","b":1180591620717411303424}'
    assert compact({"b": 1, "a": 2}) == '{"a":2,"b":1}'
