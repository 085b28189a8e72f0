"""Changes taken back: afterwards nothing differs, and nothing else was touched."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.drift.compare import field_changes
from gitops_dr.drift.undo import flipped, undone
from gitops_dr.model import FieldChange, FieldManager

NAMES = st.sampled_from("abcd")
SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "y"])
ITEMS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"value": SCALARS}),
    max_size=4,
    unique_by=lambda item: item["name"],
)
VALUES = st.recursive(
    SCALARS | ITEMS | st.lists(SCALARS, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4)


@given(BODIES, BODIES)
def test_with_all_changes_undone_nothing_differs(git, live):
    found = list(field_changes(git, live))
    before = deepcopy((git, live))
    back = undone(live, found, git)
    assert (git, live) == before
    assert list(field_changes(git, back)) == []


@given(BODIES, BODIES, st.data())
def test_with_one_change_undone_the_others_are_left(git, live, data):
    found = [c for c in field_changes(git, live) if c.op != "replace" or not _is_list(c.old)]
    chosen = data.draw(st.sampled_from(found)) if found else None
    if chosen is None:
        return
    left = list(field_changes(git, undone(live, [chosen], git)))
    assert chosen.path not in {c.path for c in left}
    # A list may then be told apart in another way, but no other field has come to differ.
    outside = {c.path for c in left} - {c.path for c in field_changes(git, live)}
    assert all(_same_list(path, chosen.path) for path in outside)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _same_list(path: str, other: str) -> bool:
    return path.partition("[")[0] == other.partition("[")[0]


@given(BODIES, BODIES)
def test_from_the_other_side_it_is_the_same_change(git, live):
    forwards = {(c.path, c.op) for c in map(flipped, field_changes(git, live))}
    backwards = {(c.path, c.op) for c in field_changes(live, git)}
    # Members of a list that is no map of names are placed on the side that has them.
    assert forwards == backwards


def test_a_flipped_change_has_no_author():
    change = FieldChange("a", "add", new=1, managers=(FieldManager("x", "Update"),))
    assert flipped(change) == FieldChange("a", "remove", old=1)
    assert flipped(flipped(change)) == FieldChange("a", "add", new=1)


def env(*names: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": name} for name in names]}


@pytest.mark.parametrize(
    ("git", "live", "back"),
    [
        ("ABC", "AC", "ABC"),
        ("ABC", "BC", "ABC"),
        ("ABC", "AB", "ABC"),
        ("ABC", "C", "ABC"),
        ("ABC", "XAYCZ", "ABC"),
        ("ABC", "CBA", "ABC"),
    ],
)
def test_items_come_back_to_their_places(git, live, back):
    found = field_changes(env(*git), env(*live))
    assert undone(env(*live), found, env(*git)) == env(*back)


def test_what_is_not_named_stays_where_it_is():
    git, live = env(*"ABC"), env(*"XCYAZ")
    found = [c for c in field_changes(git, live) if c.path not in ("env[name=X]", "env[name=Y]")]
    assert [item["name"] for item in undone(live, found, git)["env"]] == list("XAYBC")


def test_equal_items_of_a_list_are_told_apart_by_their_places():
    git, live = {"f": [2, 1, 1]}, {"f": [1, 1, 1]}
    assert undone(live, field_changes(git, live), git) == git


def test_members_of_one_list_are_taken_out_together():
    live = {"f": ["a", "b", "c", "d"]}
    found = [
        FieldChange("f[1]", "add", new="b"),
        FieldChange("f[3]", "add", new="d"),
        FieldChange("f[0]", "remove", old="z"),
    ]
    assert sorted(undone(live, found, {"f": ["z", "a", "c"]})["f"]) == ["a", "c", "z"]
