"""A part of a plan: which objects a person means, and what those need."""

import pytest

from gitops_dr.model import Need, Ref, parse_ref
from gitops_dr.planning.facts import ObjectFacts
from gitops_dr.planning.references import References
from gitops_dr.planning.selection import EVERYTHING, WHOLE, Selection, closure

WEB = parse_ref("Deployment.apps/shop/web")
OTHER = parse_ref("Deployment.apps/bank/web")
SHOP = parse_ref("Namespace/shop")
ROLE = parse_ref("ClusterRole.rbac.authorization.k8s.io/shop")

SHOP_ONLY = Selection(namespaces=frozenset({"shop"}))
LABELLED = Selection(labels=(("app", "web"), ("tier", "front")))
BOTH = Selection(namespaces=frozenset({"shop"}), labels=(("app", "web"),))
BY_NAME = Selection(refs=frozenset({ROLE}))
WEB_LABELS = {"app": "web", "tier": "front", "more": "of them"}


def test_nothing_named_is_no_selection() -> None:
    assert not WHOLE
    assert not EVERYTHING.selection
    assert all([SHOP_ONLY, LABELLED, BOTH, BY_NAME])


@pytest.mark.parametrize(
    ("selection", "ref", "labels", "meant"),
    [
        pytest.param(SHOP_ONLY, WEB, {}, True, id="in the namespace"),
        pytest.param(SHOP_ONLY, SHOP, {}, True, id="the namespace itself"),
        pytest.param(SHOP_ONLY, OTHER, {}, False, id="in another namespace"),
        pytest.param(SHOP_ONLY, ROLE, {}, False, id="of the cluster, named like the namespace"),
        pytest.param(LABELLED, WEB, WEB_LABELS, True, id="all labels"),
        pytest.param(LABELLED, OTHER, WEB_LABELS, True, id="labels know no namespace"),
        pytest.param(LABELLED, WEB, {"app": "web"}, False, id="one of two labels"),
        pytest.param(LABELLED, WEB, WEB_LABELS | {"tier": "back"}, False, id="another value"),
        pytest.param(BOTH, WEB, WEB_LABELS, True, id="label and namespace"),
        pytest.param(BOTH, OTHER, WEB_LABELS, False, id="label in another namespace"),
        pytest.param(BOTH, WEB, {}, False, id="namespace without the label"),
        pytest.param(BY_NAME, ROLE, {}, True, id="named"),
        pytest.param(BY_NAME, WEB, {}, False, id="not named"),
        pytest.param(WHOLE, WEB, {}, False, id="nobody named anything"),
    ],
)
def test_who_is_meant(selection: Selection, ref: Ref, labels: dict[str, str], meant: bool) -> None:
    assert selection.names(ref, labels) is meant


@pytest.mark.parametrize(
    ("selection", "ref", "spelled"),
    [
        (BY_NAME, ROLE, True),
        (SHOP_ONLY, WEB, True),
        (SHOP_ONLY, SHOP, True),
        (SHOP_ONLY, OTHER, False),
        (LABELLED, WEB, False),
        (WHOLE, WEB, False),
    ],
    ids=str,
)
def test_a_label_spells_nothing_out(selection: Selection, ref: Ref, spelled: bool) -> None:
    assert selection.spells_out(ref) is spelled


# -- what they need --------------------------------------------------------------------------------


def facts_of(**needs: list[str]) -> dict[Ref, ObjectFacts]:
    """``a=["b"]``: the ConfigMap a needs the ConfigMap b."""
    return {
        config(name): ObjectFacts(References(tuple(Need(config(other)) for other in others)))
        for name, others in needs.items()
    }


def config(name: str) -> Ref:
    return Ref("", "ConfigMap", "shop", name)


def closed(chosen: list[str], among: list[str], **needs: list[str]) -> set[str]:
    found = closure(map(config, chosen), frozenset(map(config, among)), facts_of(**needs))
    return {ref.name for ref in found}


def test_what_the_chosen_need_comes_too_and_nothing_else() -> None:
    assert closed(["a"], ["a", "b", "c", "x"], a=["b"], b=["c"], x=["a"]) == {"a", "b", "c"}


def test_what_is_there_already_is_not_chosen() -> None:
    assert closed(["a", "there"], ["a", "c"], a=["b"], b=["c"]) == {"a"}


def test_a_cycle_ends() -> None:
    assert closed(["a"], ["a", "b"], a=["b"], b=["a"]) == {"a", "b"}


def test_a_need_for_all_that_begin_so_is_for_all_of_them() -> None:
    names = ["a", "data-0", "data-1", "other"]
    assert closed(["a"], names, a=["data-*"], **{"data-1": ["other"]}) == set(names)


def test_alike_means_the_same_kind_and_namespace() -> None:
    elsewhere = Ref("", "ConfigMap", "bank", "data-0")
    secret = Ref("", "Secret", "shop", "data-0")
    among = frozenset({config("a"), config("data-0"), elsewhere, secret})
    found = closure([config("a")], among, facts_of(a=["data-*"]))
    assert found == {config("a"), config("data-0")}
