"""A plan in a file: read back as it was, and held against what would be done now."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.model import Action, Plan, Step, parse_ref
from gitops_dr.planning.saved import SavedPlan, describe, read_saved, write_saved
from gitops_dr.planning.selection import Intent, Release, Selection

SAVED = SavedPlan(
    cluster="prod",
    commit="c0ffee" * 6 + "abcd",
    configuration="b10b",
    target="uid-1",
    digest="d1" * 32,
    intent=Intent(
        Selection(
            frozenset({"shop", "pay"}),
            (("app", "web"), ("tier", "")),
            frozenset({parse_ref("Deployment.apps/shop/web"), parse_ref("Namespace/shop")}),
        ),
        accept_empty_volumes=True,
        overwrite=True,
        replace=True,
        take_ownership=True,
        without_secrets=True,
        release=Release.NEVER,
    ),
    steps=("create Namespace/shop", "create ConfigMap/shop/a"),
)


def test_it_is_read_back_as_it_was() -> None:
    assert read_saved(write_saved(SAVED), "plan.json") == SAVED
    plain = replace(SAVED, intent=Intent(), steps=())
    assert read_saved(write_saved(plain), "plan.json") == plain


def test_one_of_an_older_version_replaces_nothing() -> None:
    document = json.loads(write_saved(SAVED))
    for key in ("replace", "takeOwnership", "release"):
        del document["wanted"][key]
    found = read_saved(json.dumps(document), "plan.json").intent
    assert (found.overwrite, found.replace, found.take_ownership) == (True, False, False)
    assert found.release is Release.IF_NEWEST


def test_steps_are_told_by_name() -> None:
    steps = (
        Step(parse_ref("Namespace/shop"), Action.CREATE, "f", "p", "v1"),
        Step(parse_ref("ConfigMap/shop/a"), Action.SKIP, "f", "p", "v1", reason="left"),
    )
    assert describe(Plan(steps)) == ("create Namespace/shop", "skip ConfigMap/shop/a")


def test_the_same_plan_is_not_refused() -> None:
    SAVED.refuse_another(replace(SAVED, steps=()))


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({"target": "uid-2"}, "for the cluster with UID uid-1, and this one has uid-2"),
        ({"commit": "decade" * 7}, "for commit c0ffeec0ffee, not decadedecade"),
        ({"configuration": "other"}, "gitops-dr.yaml has changed"),
        ({"steps": (*SAVED.steps, *(f"create x{i}" for i in range(5)))}, "x2 and 2 more"),
        ({"steps": SAVED.steps[:1]}, "gone: create ConfigMap/shop/a;"),
        ({"steps": SAVED.steps[::-1]}, "another order"),
    ],
)
def test_another_is_refused_and_the_difference_named(now: dict[str, object], reason: str) -> None:
    other = replace(SAVED, digest="e" * 64, **now)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=reason) as caught:
        SAVED.refuse_another(other)
    assert "nothing was written" in caught.value.message


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "a saved plan of format 2"),
        ({"digest": None}, "digest: Input should be a valid string"),
        ({"extra": 1}, "extra: Extra inputs"),
        ({"wanted": {}}, "wanted.namespaces: Field required"),
        ({"steps": "x"}, "steps"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(
    change: dict[str, object], problem: str
) -> None:
    text = json.dumps(json.loads(write_saved(SAVED)) | change)
    with pytest.raises(UsageError, match=problem) as caught:
        read_saved(text, "plan.json")
    assert caught.value.message.startswith("plan.json: ")


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_a_plan_or_a_plain_error(text: str) -> None:
    with pytest.raises(UsageError, match="no saved plan"):
        read_saved(text, "plan.json")


@given(st.text())
def test_any_ref_is_one_or_a_plain_error(ref: str) -> None:
    document = json.loads(write_saved(SAVED))
    document["wanted"]["refs"] = [ref]
    with suppress(UsageError):
        assert read_saved(json.dumps(document), "plan.json").intent.selection.refs
