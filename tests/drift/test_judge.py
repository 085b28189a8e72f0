"""What is left of changes once it is known what an API server would make of Git's version."""

import pytest

from gitops_dr.drift.judge import certain, confirmed, judged
from gitops_dr.drift.meaning import Meaning
from gitops_dr.manifests.shape import Shape
from gitops_dr.model import FieldChange, Ref


def add(path, new):
    return FieldChange(path, "add", new=new)


def remove(path, old):
    return FieldChange(path, "remove", old=old)


def replace(path, old, new):
    return FieldChange(path, "replace", old=old, new=new)


@pytest.mark.parametrize(
    ("changes", "predicted", "left"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([add("a", 1)], [], [], id="filled in"),
        pytest.param([remove("a", "")], [], [], id="dropped"),
        pytest.param([replace("a", "1", 1)], [], [], id="put into another form"),
        pytest.param([add("a", 1)], [add("a", 1)], [add("a", 1)], id="real"),
        pytest.param(
            [replace("a", "new", "live")], [replace("a", "NEW", "live")],
            [replace("a", "new", "live")], id="as Git spells it",
        ),
        pytest.param(
            [add("a", 60)], [replace("a", 30, 60)], [add("a", 60)], id="not its default any more"
        ),
        pytest.param(
            [add("a", 1), add("b", 2)], [add("b", 2)], [add("b", 2)], id="one of two is real"
        ),
        pytest.param([add("a", 1)], [add("b", 2)], [], id="what it changes besides is not Git's"),
        pytest.param(
            [add("s", {"x": 1, "y": 2})], [replace("s.y", 3, 2)], [add("s.y", 2)],
            id="a part of what Git leaves out",
        ),
        pytest.param(
            [add("s", {"x": 1, "y": 2})], [add("s.x", 1), replace("s.y", 3, 2)],
            [add("s.x", 1), add("s.y", 2)], id="two parts",
        ),
        pytest.param(
            [add("s", {})], [remove("s.x", 3)], [remove("s.x", 3)],
            id="a default that the cluster has not",
        ),
        pytest.param(
            [replace("l", [1], [1, 3])], [replace("l[1]", 2, 3)], [replace("l[1]", 2, 3)],
            id="a part of a list",
        ),
        pytest.param(
            [replace("s.x", 1, 2)], [replace("s", {"x": 1}, {"x": 2})], [replace("s.x", 1, 2)],
            id="told as a whole",
        ),
        pytest.param(
            [add("c[name=a].x", 1), add("c[name=b].x", 1)], [add("c[name=b].x", 1)],
            [add("c[name=b].x", 1)], id="items by name",
        ),
        pytest.param(
            [remove("s[0]", "a"), add("s[0]", "b")], [remove("s[1]", "a")],
            [remove("s[0]", "a"), add("s[0]", "b")], id="in doubt it is one",
        ),
        pytest.param(
            [replace("l[0].x", 1, 2), replace("l", [1], [2])], [replace("l[0].x", 1, 2)],
            [replace("l[0].x", 1, 2)], id="told once",
        ),
    ],
)  # fmt: skip
def test_what_is_left(changes, predicted, left):
    assert list(confirmed(changes, predicted)) == left


def test_what_is_certain_stays_whatever_is_predicted():
    changes = [remove("a", 1), remove("b", 2), add("c", 3)]
    assert list(confirmed(changes, [], {"a", "c"})) == [changes[0], changes[2]]


DEPLOYMENT, SERVICE = Ref("apps", "Deployment", "", "a"), Ref("", "Service", "", "a")
GO = Meaning(Shape({"go": True, "properties": {"spec": {"properties": {"x": {}}}}}, {}))


@pytest.mark.parametrize(
    ("ref", "change", "edited", "sure"),
    [
        pytest.param(DEPLOYMENT, add("spec.x", 1), True, False, id="filled in, perhaps"),
        pytest.param(DEPLOYMENT, replace("spec.x", 1, 2), True, False, id="mutated, perhaps"),
        pytest.param(DEPLOYMENT, remove("spec.x", 1), True, True, id="kept nowhere"),
        pytest.param(DEPLOYMENT, remove("spec.x", False), True, False, id="an empty value"),
        pytest.param(DEPLOYMENT, remove("spec.x", False), False, True, id="an exported no"),
        pytest.param(DEPLOYMENT, remove("spec.y", ""), True, True, id="of no known type"),
        pytest.param(SERVICE, remove("spec.clusterIP", "1.2.3.4"), False, False, id="an address"),
        pytest.param(DEPLOYMENT, remove("spec.clusterIP", "1.2.3.4"), True, True, id="of no such"),
        pytest.param(DEPLOYMENT, add("metadata.ownerReferences", [1]), True, True, id="owners"),
    ],
)
def test_what_no_dry_run_can_explain_away(ref, change, edited, sure):
    found = certain(ref, [change], GO, is_edited=lambda _: edited)
    assert found == ({change.path} if sure else set())


def test_of_a_secret_that_is_not_opened_only_keys_are_compared():
    ref = Ref("", "Secret", "shop", "db")
    sealed = {"password": "ENC[AES256_GCM,data:x]", "gone": "ENC[AES256_GCM,data:y]"}
    git = {"metadata": {"labels": {"a": "b"}}, "data": sealed}
    live = {"metadata": {"labels": {"a": "b"}}, "data": {"password": "eA==", "new": "eQ=="}}
    found = judged(ref, git, live)
    assert {(change.path, change.op) for change in found.changes} == {
        ("data.gone", "remove"),
        ("data.new", "add"),
        ("data", "replace"),
    }
    assert "eA==" not in repr(found.changes)
    assert "ENC[" not in repr(found.changes)
