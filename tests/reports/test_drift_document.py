"""Drift for programs: the document, its schema, and the page that explains it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
import yamlrocks
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from reports.samples import CLEAN, CONFIG, FULL, MERGING, SMALL, WEB, hostile, many

from gitops_dr.model import Difference, FieldChange, Presence
from gitops_dr.reports.drift.document import as_json, as_yaml, document
from gitops_dr.resources import shipped
from gitops_dr.results.drift import Drifted

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
SCHEMA = json.loads(shipped("reports/schemas/drift.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def changed(*changes: FieldChange) -> Drifted:
    return replace(CLEAN, differences=(Difference(WEB, Presence.MODIFIED, "p", changes),))


def fields(*changes: FieldChange) -> list[dict[str, Any]]:
    return document(changed(*changes))["differences"][0]["fields"]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_no_object_of_the_schema_takes_other_keys() -> None:
    objects = list(parts(SCHEMA))
    assert len(objects) > 10
    for part in objects:
        assert part["additionalProperties"] is False
        assert set(part["required"]) <= set(part["properties"])
        optional = set(part["properties"]) - set(part["required"])
        assert optional in (set(), {"old", "new"})


def parts(schema: Any) -> Any:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


@pytest.mark.parametrize("result", [CLEAN, SMALL, FULL, MERGING, hostile(), many(100)])
def test_every_document_fits_the_schema(result: Drifted) -> None:
    VALIDATOR.validate(json.loads(as_json(result)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"extra": 1}, "Additional properties"),
        ({"clean": "yes"}, "is not of type 'boolean'"),
        ({"equal": -1}, "less than the minimum"),
        ({"against": {}}, "is not valid under any"),
        ({"differences": [{}]}, "is a required property"),
    ],
)
def test_the_schema_refuses_another_document(change: dict[str, Any], problem: str) -> None:
    errors = list(VALIDATOR.iter_errors(document(FULL) | change))
    assert any(problem in error.message for error in errors)


@pytest.mark.parametrize("extra", [{"old": 1}, {}])
def test_the_schema_knows_which_side_is_absent(extra: dict[str, Any]) -> None:
    written = document(changed(FieldChange("a", "remove" if not extra else "add", old=1, new=2)))
    VALIDATOR.validate(written)
    (field,) = written["differences"][0]["fields"]
    field |= extra
    if not extra:
        del field["old"]
    assert not VALIDATOR.is_valid(written)


def test_all_of_a_document() -> None:
    written = json.loads(as_json(MERGING))
    assert written.keys() == set(SCHEMA["required"])
    assert written["cluster"] == "prod"
    assert written["commit"] == "0123456789abcdef0123456789abcdef01234567"
    assert written["live"] == {"uid": "7ce79e00", "version": "v1.37.2"}
    assert written["clean"] is False
    assert written["equal"] == 100
    assert written["coverage"] == {"compared": 105, "existing": 107}
    assert [each["state"] for each in written["differences"]] == [
        *("missing", "unmanaged", "modified", "modified", "modified", "unknown", "modified"),
    ]
    web = written["differences"][4]
    assert web["ref"] == {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web"}
    assert web["path"] == "namespaces/shop/deployments.apps/web.yaml"
    assert web["fields"][0] == {
        "path": "spec.replicas",
        "op": "replace",
        "old": 2,
        "new": 3,
        "masked": False,
        "cut": False,
        "managers": [
            {
                "manager": "kubectl",
                "operation": "Update",
                "subresource": "scale",
                "time": "2026-11-24T10:05:00Z",
                "trusted": False,
            }
        ],
        "removed_from_git": False,
    }
    assert web["fields"][2] == {
        "path": "spec.paused",
        "op": "remove",
        "old": True,
        "masked": False,
        "cut": False,
        "managers": [],
        "removed_from_git": False,
    }
    assert len(web["fields"]) == 5
    assert web["fields"][3]["managers"][0]["trusted"] is True
    assert written["differences"][1]["managers"][0]["manager"] == "kubectl-edit"
    assert written["differences"][3]["compared_locally"].startswith("the webhook")
    assert written["differences"][5]["reason"] == "403 Forbidden"
    assert written["gaps"] == [
        {
            "ref": {"group": "example.com", "kind": "Shop", "namespace": "", "name": "*"},
            "reason": "403 Forbidden",
        }
    ]
    assert written["omissions"][1] == {
        "ref": {"group": "", "kind": "Pod", "namespace": "shop", "name": "web-2"},
        "rule": "generated",
        "reason": "Its owner makes it.",
    }
    assert written["ignored"] == [
        {
            "rule": "ignore[0] Deployment.apps/*",
            "because": "The scaler decides.",
            "hidden": 4,
            "problem": "",
            "hint": "",
        },
        {
            "rule": "ignore[1] ConfigMap/shpo/*",
            "because": "Old.",
            "hidden": 0,
            "problem": "misspelt: shpo",
            "hint": "did you mean shop?",
        },
    ]
    assert written["against"]["base"].startswith("fedcba")
    assert [merge["action"] for merge in written["against"]["merges"]] == [
        *("create", "configure", "skip"),
    ]
    assert written["against"]["merges"][2]["reason"] == "its rules are aggregated"
    (merged,) = written["against"]["merges"][1]["fields"]
    assert (merged["old"], merged["new"]) == (3, 5)


def test_a_clean_cluster() -> None:
    written = json.loads(as_json(CLEAN))
    assert written["clean"] is True
    assert written["against"] is None
    for key in ("differences", "gaps", "omissions", "ignored"):
        assert written[key] == []


def test_null_is_a_value_and_absent_is_no_key() -> None:
    added, removed, replaced = fields(
        FieldChange("a", "add"), FieldChange("b", "remove"), FieldChange("c", "replace")
    )
    assert added["new"] is None
    assert "old" not in added
    assert removed["old"] is None
    assert "new" not in removed
    assert replaced["old"] is replaced["new"] is None


def test_a_large_value_is_cut_and_it_says_so() -> None:
    whole, cut = fields(
        FieldChange("a", "add", new="x" * 65_534),
        FieldChange("b", "replace", "small", "x" * 65_535),
    )
    assert whole["new"] == "x" * 65_534
    assert not whole["cut"]
    assert (cut["old"], cut["new"]) == ("small", "(65537 bytes, not shown)")
    assert cut["cut"]


def test_the_same_document_in_yaml() -> None:
    for result in (CLEAN, FULL, MERGING, many(10)):
        assert yaml.safe_load(as_yaml(result)) == json.loads(as_json(result))


@given(trees, trees)
def test_values_come_back_from_both(old: Any, new: Any) -> None:
    result = changed(FieldChange("spec.a", "replace", old, new))
    written = json.loads(as_json(result))
    VALIDATOR.validate(written)
    (field,) = written["differences"][0]["fields"]
    assert field["old"] == writable(old)
    assert field["new"] == writable(new)
    assert yamlrocks.loads(as_yaml(result)) == written


def writable(value: Any) -> Any:
    """What UTF-8 can hold: halves of surrogate pairs are shown."""
    if isinstance(value, dict):
        return {writable(key): writable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [writable(item) for item in value]
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", value)
    return value


def test_yaml_that_both_kinds_of_readers_read_alike() -> None:
    written = as_yaml(changed(FieldChange("spec.a", "replace", "08", ["on", "="])))
    for quoted in ('old: "08"', '- "on"', '- "="'):
        assert quoted in written


def test_a_key_that_no_yaml_may_have_is_written_as_json() -> None:
    result = replace(
        CLEAN,
        differences=(
            Difference(
                CONFIG, Presence.MODIFIED, "p", (FieldChange("a", "add", new={"k" * 2000: 1}),)
            ),
        ),
    )
    assert json.loads(as_yaml(result)) == json.loads(as_json(result))


def test_the_page_shows_a_document_that_fits() -> None:
    text = PAGE.read_text(encoding="utf-8")
    page = text.split("## The keys")[0]
    (example,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    VALIDATOR.validate(json.loads(example))


def test_the_page_explains_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    explained = set(re.findall(r"`([a-z_]+)`", text.split("## The keys")[1]))
    keys = set(SCHEMA["properties"])
    for part in ("difference", "field", "merge"):
        keys |= set(SCHEMA["$defs"][part]["properties"])
    assert keys <= explained
