"""What left Git is deleted, and only that; what takes more along than it says stays."""

from typing import Any

import pytest

from gitops_dr.errors import RefusedError
from gitops_dr.model import Entry, Ref, State, parse_ref
from gitops_dr.planning.prune import Pruning, prune, refuse_shrinking

A, B = parse_ref("ConfigMap/shop/a"), parse_ref("ConfigMap/shop/b")
WEB = parse_ref("Deployment.apps/shop/web")
ACCOUNT = parse_ref("ServiceAccount/shop/web")


def entries(*refs: Ref) -> dict[Ref, Entry]:
    return {ref: Entry("f", f"{ref.kind}/{ref.name}", "v1") for ref in refs}


def pruned(before: Any, wanted: Any, seen: Any, *, ours: Any = None, named: Any = ()) -> Pruning:
    return prune(
        entries(*before),
        entries(*wanted),
        State(entries(*seen)),
        lambda ref: ours is None or ref in ours,
        named=named,
    )


def deleted(pruning: Pruning) -> list[Ref]:
    return [step.ref for step in pruning.steps]


def test_what_left_git_is_deleted():
    assert deleted(pruned([A, B], [B], [A, B])) == [A]


def test_what_git_never_had_stays():
    assert pruned([B], [B], [A, B]) == Pruning()


def test_what_is_gone_already_is_nothing_to_do():
    assert pruned([A, B], [B], [B]) == Pruning()


def test_what_somebody_else_wrote_stays_and_is_told():
    found = pruned([A, B], [], [A, B], ours=[B])
    assert deleted(found) == [B]
    assert [ref for ref, _ in found.kept] == [A]
    assert "not gitops-dr that wrote it" in found.kept[0][1]


def test_what_needs_others_goes_before_them():
    assert deleted(pruned([ACCOUNT, A, WEB], [], [ACCOUNT, A, WEB])) == [WEB, A, ACCOUNT]


@pytest.mark.parametrize(
    "ref",
    [
        "Namespace/shop",
        "CustomResourceDefinition.apiextensions.k8s.io/books.example.com",
        "PersistentVolume/pv",
        "PersistentVolumeClaim/shop/data",
        "VolumeSnapshot.snapshot.storage.k8s.io/shop/s",
        "StorageClass.storage.k8s.io/fast",
        "ConfigMap/kube-system/aws-auth",
    ],
)
def test_what_takes_more_along_stays_unless_it_is_named(ref):
    ref = parse_ref(ref)
    found = pruned([ref], [], [ref])
    assert found.steps == ()
    assert found.kept[0][0] == ref
    assert found.kept[0][1].endswith("Name it with --prune to delete it.")
    assert deleted(pruned([ref], [], [ref], named=[ref])) == [ref]


def many(count: int) -> list[Ref]:
    return [Ref("", "ConfigMap", "shop", f"c{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("before", "left", "refused"),
    [(100, 90, False), (100, 89, True), (3, 2, False), (3, 1, True), (1, 0, True), (0, 0, False)],
)
def test_a_sudden_loss_needs_the_persons_word(before, left, refused):
    had, wants = many(before), many(left)
    found = pruned(had, wants, had)
    if refused:
        with pytest.raises(RefusedError, match="left Git and would be deleted"):
            refuse_shrinking(found, had, wants, "standby")
    else:
        refuse_shrinking(found, had, wants, "standby")
