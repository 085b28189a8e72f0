"""The note of an empty volume: put on a claim, found on it, taken off it."""

import copy

import pytest

from gitops_dr.model import Ref
from gitops_dr.rules.clean import rules_for
from gitops_dr.volumes.started_empty import NOTE, has_note, note_taken_off, with_note

CLAIM = ("", "PersistentVolumeClaim")


def claim(**annotations: str) -> dict:
    metadata = {"name": "data", "namespace": "shop"}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {"storageClassName": "fast"},
    }


@pytest.mark.parametrize("annotations", [{}, {"team": "a"}], ids=["none", "another"])
def test_a_noted_claim_is_the_claim_with_the_note(annotations):
    body = claim(**annotations)
    before = copy.deepcopy(body)
    noted = with_note(body)
    assert body == before
    assert noted == claim(**annotations, **{NOTE: "true"})
    assert has_note(CLAIM, noted)
    assert not has_note(CLAIM, body)


@pytest.mark.parametrize("annotations", [{}, {"team": "a"}], ids=["none", "another"])
def test_rules_leave_the_note_out_of_git_and_of_comparisons(annotations):
    noted = with_note(claim(**annotations))
    rules_for(*CLAIM).clean(noted)
    assert noted == claim(**annotations)


def test_only_claims_have_notes():
    assert not has_note(("", "ConfigMap"), with_note(claim()))


def test_the_note_is_taken_off_and_nothing_else():
    assert note_taken_off(Ref(*CLAIM, "shop", "data")) == {
        "metadata": {"name": "data", "namespace": "shop", "annotations": {NOTE: None}}
    }
