"""The words: a Ref is read back from its text, wildcards cover what they say, masks hide."""

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops_dr.model import ANY, Gap, MaskedValue, Ref, Resource, State, by_kind, parse_ref

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
REFS = st.builds(
    Ref,
    st.just("") | st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,3}", fullmatch=True),
    st.from_regex(r"[A-Z][A-Za-z]{0,9}", fullmatch=True),
    st.just("") | NAMES,
    NAMES,
)


@given(REFS)
@settings(deadline=None)
def test_a_ref_is_read_back_from_its_text(ref: Ref) -> None:
    assert parse_ref(str(ref)) == ref


def test_the_text_of_a_ref() -> None:
    assert str(Ref("", "Node", "", "a")) == "Node/a"
    assert str(Ref("apps", "Deployment", "shop", "web")) == "Deployment.apps/shop/web"
    assert str(Ref("a.b.c", "Shop", "", ANY)) == "Shop.a.b.c/*"


@pytest.mark.parametrize("text", ["", "Pod", "Pod/", "/a", "Pod//a", "Pod/a/", "Pod/a/b/c"])
def test_what_is_no_ref_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not Kind"):
        parse_ref(text)


POD = Ref("", "Pod", "shop", "web")


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        (POD, True),
        (Ref("", "Pod", "", ANY), True),
        (Ref("", "Pod", "shop", ANY), True),
        (Ref("", ANY, "", ANY), True),
        (Ref("", "Pod", "other", ANY), False),
        (Ref("", "Pod", "", "web"), False),
        (Ref("", "Pod", "shop", "web2"), False),
        (Ref("", "Service", "", ANY), False),
        (Ref("apps", "Pod", "", ANY), False),
        (Ref("apps", ANY, "", ANY), False),
    ],
    ids=str,
)
def test_what_a_wildcard_covers(pattern: Ref, covers: bool) -> None:
    assert pattern.covers(POD) is covers
    gap = Gap(pattern, "why")
    assert State({}, gaps=(gap,)).gap_for(POD) == (gap if covers else None)


def test_a_resource_knows_its_api_version() -> None:
    assert Resource("", "v1", "Pod", "pods", True).api_version == "v1"
    assert Resource("apps", "v1", "Deployment", "deployments", True).api_version == "apps/v1"


def test_kinds_are_counted_in_order() -> None:
    refs = [Ref("apps", "Deployment", "a", "x"), POD, Ref("", "Pod", "shop", "web2")]
    assert list(by_kind(refs).items()) == [(("", "Pod"), 2), (("apps", "Deployment"), 1)]


def test_a_masked_value_shows_itself_only_when_asked() -> None:
    value = MaskedValue("hunter2")
    assert value.reveal() == "hunter2"
    shown = [str(value), repr(value), f"{value}", f"{value:>20}", "%s" % value, repr([value])]  # noqa: UP031
    assert not [text for text in shown if "hunter2" in text]
    assert value == MaskedValue("hunter2")
    assert value != MaskedValue("other")
    assert value != "hunter2"
    assert len({value, MaskedValue("hunter2")}) == 1
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_masked_value_does_not_leave_by_another_door(leak: object) -> None:
    with pytest.raises(TypeError):
        leak(MaskedValue("hunter2"))  # type: ignore[operator]
