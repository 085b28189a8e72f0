"""Fingerprints that are remembered by a hash of JSON are never of another object."""

import pytest

from gitops_dr.engine import remembered
from gitops_dr.engine.remembered import Remembered, key_of, read_remembered, write_remembered
from gitops_dr.repository.notes import read_note, write_note

PREFIX = "clusters/prod"
A, B = "a" * 40, "b" * 40
BODY, OTHER = {"kind": "A", "spec": {}}, {"kind": "A", "spec": {"x": 1}}


def keep(repo, pairs, fingerprints):
    known = Remembered()
    for body, fingerprint in pairs:
        known.add(key_of(body), fingerprint)
    write_remembered(repo, PREFIX, known, fingerprints)


def test_what_is_kept_is_known_the_next_time(repo):
    keep(repo, [(BODY, A), (OTHER, B)], {A, B})
    found = read_remembered(repo, PREFIX)
    assert (found[key_of(BODY)], found[key_of(OTHER)]) == (A, B)
    assert found[key_of({"kind": "B"})] is None
    assert not found.changed


def test_what_is_of_no_use_any_more_is_forgotten(repo):
    keep(repo, [(BODY, A), (OTHER, B)], {B})
    found = read_remembered(repo, PREFIX)
    assert found[key_of(BODY)] is None
    assert found[key_of(OTHER)] == B


def test_clusters_are_kept_apart(repo):
    keep(repo, [(BODY, A)], {A})
    assert read_remembered(repo, "clusters/other")[key_of(BODY)] is None


def test_an_object_without_json_is_never_remembered():
    deep = []
    for _ in range(2000):
        deep = [deep]
    assert key_of({"spec": deep}) is None
    known = Remembered()
    known.add(None, A)
    assert not known.changed
    assert known[None] is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:-1] + b"x",
        lambda data: data.replace(b"sha1", b"sha256", 1),
        lambda _data: b"",
        lambda data: data.partition(b"\n")[2],
    ],
    ids=["cut off", "changed", "another format", "empty", "no head"],
)
def test_a_note_that_is_not_whole_counts_for_nothing(repo, spoil):
    keep(repo, [(BODY, A)], {A})
    name = remembered._name(PREFIX)
    write_note(repo, name, spoil(read_note(repo, name)))
    assert read_remembered(repo, PREFIX)[key_of(BODY)] is None


def test_another_way_of_writing_objects_counts_for_nothing(repo, monkeypatch):
    keep(repo, [(BODY, A)], {A})
    monkeypatch.setattr(remembered, "_form", lambda: "another")
    assert read_remembered(repo, PREFIX)[key_of(BODY)] is None


def test_a_note_that_cannot_be_written_is_no_error(repo):
    (repo.git_dir / "gitops-dr").write_text("in the way")
    keep(repo, [(BODY, A)], {A})
    assert read_remembered(repo, PREFIX)[key_of(BODY)] is None
