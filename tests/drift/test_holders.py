"""Who applied an object, and whose fields a rebuilt one is to have."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.managers import Holder, Share
from gitops_dr.drift.appliers import puts_back, whose
from gitops_dr.drift.holders import common, handed_over, holder_of, minus, plus
from gitops_dr.model import Action, Difference, FieldChange, FieldManager, Plan, Presence, Ref, Step
from gitops_dr.planning.conflicts import with_conflicts

OURS = "gitops-dr"


def entry(manager: str, operation: str = "Apply", *fields: str, **other: Any) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsV1": {"f:data": {f"f:{name}": {} for name in fields}},
        **other,
    }


BODY = {"data": {"a": "1", "b": "2", "c": "3"}}


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([entry("kustomize-controller")], ("kustomize-controller", "Apply")),
        ([entry("some-operator")], ("some-operator", "Apply")),
        ([entry("some-operator", "Update")], None),
        ([entry("helm", "Update")], ("helm", "Update")),
        ([entry("kubectl-client-side-apply", "Update")], ("kubectl-client-side-apply", "Update")),
        ([entry("kubectl-edit", "Update")], None),
        ([entry(OURS)], None),
        ([entry("clusterrole-aggregation-controller")], None),
        ([entry(OURS, "Update"), entry("helm")], ("helm", "Apply")),
        ([entry("kustomize-controller", subresource="status")], None),
        # Whoever is known comes first, then who holds most, then who comes first by name.
        ([entry("operator", "Apply", "a", "b"), entry("helm", "Apply", "c")], ("helm", "Apply")),
        ([entry("x", "Apply", "a"), entry("y", "Apply", "b", "c")], ("y", "Apply")),
        ([entry("y", "Apply", "a"), entry("x", "Apply", "b")], ("x", "Apply")),
        (None, None),
        ("nonsense", None),
        ([7, {}, {"manager": 7}, {"manager": "helm", "operation": "Other"}], None),
    ],
)
def test_who_applied_it(entries: Any, found: Any) -> None:
    holder = holder_of(entries, BODY, last_applied=False, ours=OURS)
    assert (holder and (holder.manager, holder.operation)) == found


def test_fields_of_others_are_theirs_if_git_has_them() -> None:
    entries = [
        entry("kustomize-controller", "Apply", "a"),
        entry("kubectl-edit", "Update", "a", "b", "not-in-git"),
        entry("kubelet", "Update", "c", subresource="status"),
    ]
    holder = holder_of(entries, BODY, last_applied=True, ours=OURS)
    share = Share("kubectl-edit", "Update", {"f:data": {"f:b": {}}})
    assert holder == Holder("kustomize-controller", "Apply", shares=(share,))


def test_items_of_lists_are_found_by_key_value_and_place() -> None:
    body = {
        "spec": {"ports": [{"port": 80}, {"port": 81, "protocol": "UDP"}]},
        "metadata": {"finalizers": ["a", "b"]},
        "list": ["x"],
    }
    theirs = {
        "f:spec": {
            "f:ports": {
                'k:{"port":81,"protocol":"UDP"}': {".": {}, "f:port": {}},
                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}},
                'k:{"port":82,"protocol":"TCP"}': {".": {}, "f:port": {}},
            }
        },
        "f:metadata": {"f:finalizers": {".": {}, 'v:"b"': {}, 'v:"c"': {}}},
        "f:list": {"i:0": {}, "i:1": {}},
    }
    entries = [entry("helm"), entry("other", "Update", fieldsV1=theirs)]
    holder = holder_of(entries, body, last_applied=False, ours=OURS)
    assert holder is not None
    (share,) = holder.shares
    assert share.fields == {
        "f:spec": {
            "f:ports": {
                'k:{"port":81,"protocol":"UDP"}': {".": {}, "f:port": {}},
                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}},
            }
        },
        "f:metadata": {"f:finalizers": {'v:"b"': {}}},
        "f:list": {"i:0": {}},
    }


def test_the_annotation_counts_for_who_applies_on_the_client_side() -> None:
    holder = holder_of([entry("argocd-controller", "Update")], BODY, last_applied=True, ours=OURS)
    assert holder == Holder("argocd-controller", "Update", last_applied=True)


def fields_of(entries: Any) -> dict[tuple[str, str], list[str]]:
    return {
        (each["manager"], each["operation"]): sorted(each["fieldsV1"]["f:data"]) for each in entries
    }


def test_ours_becomes_theirs() -> None:
    status = entry("kubelet", "Update", "c", subresource="status")
    found = handed_over(
        [entry(OURS, "Update", "a", "b"), status], Holder("helm", "Apply"), ours=OURS
    )
    assert found is not None
    assert status in found
    assert fields_of(found[:1]) == {("helm", "Apply"): ["f:a", "f:b"]}
    assert found[0]["time"] == "2026-01-01T00:00:00Z"


def test_shares_are_given_to_those_who_had_them() -> None:
    share = Share("injector", "Update", {"f:data": {"f:b": {}, "f:gone": {}}})
    holder = Holder("helm", "Apply", shares=(share,))
    for made_by in ((OURS, "Update"), ("helm", "Apply")):
        found = handed_over([entry(*made_by, "a", "b")], holder, ours=OURS)
        assert found is not None
        assert fields_of(found) == {("helm", "Apply"): ["f:a"], ("injector", "Update"): ["f:b"]}


def test_there_is_one_entry_of_a_name() -> None:
    entries = [entry(OURS, "Update", "a"), entry("helm", "Apply", "b")]
    found = handed_over(entries, Holder("helm", "Apply"), ours=OURS)
    assert found is not None
    assert fields_of(found) == {("helm", "Apply"): ["f:a", "f:b"]}


@pytest.mark.parametrize("entries", [None, [], [entry("helm", "Apply", "a")]])
def test_where_nothing_is_ours_nothing_is_given(entries: Any) -> None:
    assert handed_over(entries, Holder("helm", "Apply"), ours=OURS) is None


sets = st.recursive(
    st.just({}), lambda below: st.dictionaries(st.sampled_from(["f:a", "f:b", "k:{}"]), below)
)


def leaves(fields: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if not fields:
        return {path} if path else set()
    return {leaf for key, below in fields.items() for leaf in leaves(below, (*path, key))}


@given(sets, sets)
def test_sets_are_split_without_loss(one: Any, other: Any) -> None:
    assert leaves(minus(one, one)) == set()
    assert minus(one, {}) == one
    assert plus(one, {}) == one
    assert leaves(common(one, one)) == leaves(one)
    left, both = minus(one, other), common(one, other)
    assert leaves(left) | leaves(both) == leaves(one)
    assert leaves(plus(left, both)) == leaves(one)
    assert leaves(common(left, other)) == set()


@pytest.mark.parametrize(
    ("manager", "does"),
    [
        (FieldManager("kustomize-controller", "Apply"), True),
        (FieldManager("argocd-controller", "Update"), True),
        (FieldManager("some-operator", "Apply"), True),
        (FieldManager("some-operator", "Update"), False),
        (FieldManager("kubectl", "Apply"), False),
        (FieldManager("helm", "Apply"), False),
        (FieldManager("gitops-dr", "Apply"), False),
        (FieldManager("kubectl-edit", "Update"), False),
        (FieldManager("some-operator", "Apply", "status"), False),
        (FieldManager("kube-controller-manager", "Apply", trusted=True), False),
    ],
)
def test_controllers_put_their_fields_back_and_people_do_not(
    manager: FieldManager, *, does: bool
) -> None:
    assert puts_back(manager) is does


FLUX = FieldManager("kustomize-controller", "Apply", time="2026-01-01T00:00:00Z")
HAND = FieldManager("kubectl-edit", "Update")


def test_it_is_said_whose_a_field_is() -> None:
    assert whose("a.b", (HAND, FLUX)) == (
        "a.b belongs to kustomize-controller (Apply, 2026-01-01T00:00:00Z)"
    )
    assert whose("a", (FieldManager("x", "Apply"),)) == "a belongs to x (Apply)"
    assert whose("a", (HAND,)) == ""


A, B = (Ref("", "ConfigMap", "shop", name) for name in "ab")


def planned(*refs: Ref, taking: bool = False, fields: int = 1) -> Plan:
    steps = tuple(Step(ref, Action.CONFIGURE, "f", "p", "v1") for ref in refs)
    changes = tuple(
        FieldChange(f"data.{n}", "replace", 1, 2, managers=(FLUX,)) for n in range(fields)
    )
    differences = [Difference(ref, Presence.MODIFIED, "p", changes) for ref in refs]
    return with_conflicts(Plan(steps), differences, lambda ref: ref == A, taking=taking)


def test_a_plan_names_what_is_left_and_warns_of_what_is_not() -> None:
    told = "data.0 belongs to kustomize-controller (Apply, 2026-01-01T00:00:00Z)"
    plan = planned(A, B)
    assert [step.reason for step in plan.steps] == [f"{told}: --take-ownership overwrites it", ""]
    assert plan.notes == (f"{B}: {told}, who will put it back",)
    assert len(planned(A, B, taking=True).notes) == 2
    assert not any(step.reason for step in planned(A, taking=True).steps)


def test_much_is_counted() -> None:
    (step,) = planned(A, fields=5).steps
    assert step.reason.count("belongs to") == 3
    assert " and 2 more:" in step.reason
    many = [Ref("", "ConfigMap", "shop", f"c{n}") for n in range(12)]
    notes = planned(*many).notes
    assert len(notes) == 11
    assert notes[-1] == "and fields of 2 more objects, likewise"
