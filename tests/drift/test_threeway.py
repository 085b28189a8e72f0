"""Three-way decisions: every combination of three states, and long histories of a small world."""

import copy
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.drift.threeway import (
    Change,
    Standing,
    Verdict,
    decide,
    has_all_changes,
    sort_out,
    unlike,
)
from gitops_dr.model import Ref

WEB = Ref("apps", "Deployment", "shop", "web")
NOTES = Ref("", "ConfigMap", "shop", "notes")


@pytest.mark.parametrize(
    ("base", "git", "live", "verdict"),
    [
        (None, None, None, Verdict.SAME),
        ("1", "1", "1", Verdict.SAME),
        ("1", "2", "2", Verdict.SAME),
        ("1", None, None, Verdict.SAME),
        (None, "1", "1", Verdict.SAME),
        ("1", "1", "2", Verdict.CLUSTER),
        ("1", "1", None, Verdict.CLUSTER),
        (None, None, "1", Verdict.CLUSTER),
        ("1", "2", "1", Verdict.PENDING),
        ("1", None, "1", Verdict.PENDING),
        (None, "1", None, Verdict.PENDING),
        ("1", "2", "3", Verdict.CONFLICT),
        ("1", "2", None, Verdict.CONFLICT),
        ("1", None, "2", Verdict.CONFLICT),
        (None, "1", "2", Verdict.CONFLICT),
    ],
)
def test_three_states_mean_one_thing(base, git, live, verdict):
    assert decide(git, live, base) is verdict


def side(value: str | None) -> dict[Ref, str]:
    return {} if value is None else {WEB: value}


@pytest.mark.parametrize(
    ("base", "git", "live", "in_git", "in_cluster"),
    [
        ("1", "2", None, Change.EDITED, Change.DELETED),
        ("1", None, "2", Change.DELETED, Change.EDITED),
        (None, "1", "2", Change.ADDED, Change.ADDED),
    ],
)
def test_a_conflict_says_what_each_side_did(base, git, live, in_git, in_cluster):
    found = sort_out(side(git), side(live), side(base))
    assert found.conflicts == (Standing(WEB, in_git, in_cluster),)
    assert found.written == found.pending == ()


def test_a_pending_deletion_says_so():
    found = sort_out({}, side("1"), side("1"))
    assert found.pending == (Standing(WEB, Change.DELETED, Change.NONE),)


def test_without_a_base_whatever_differs_is_a_conflict():
    found = sort_out({WEB: "1", NOTES: "1"}, {NOTES: "1"}, None)
    assert [each.ref for each in found.conflicts] == [WEB]
    assert sort_out({}, {WEB: "1"}, None).conflicts
    assert sort_out({WEB: "1"}, {WEB: "1"}, None).verdicts == {}


def test_what_could_not_be_read_is_left_alone():
    for git, live, base in [
        ("1", None, "1"),
        ("2", None, "1"),
        (None, None, "1"),
        (None, "2", "1"),
    ]:
        found = sort_out(side(git), side(live), side(base), unknown=lambda ref: ref == WEB)
        assert found.verdicts == {WEB: Verdict.UNKNOWN}
        assert (found.written, found.pending, found.conflicts) == ((), (), ())


def test_what_is_equal_is_known_whatever_else_could_not_be_read():
    assert sort_out(side("2"), side("2"), side("1"), unknown=lambda _ref: True).verdicts == {}


def test_the_cluster_wins_conflicts_and_nothing_else():
    found = sort_out(
        {WEB: "2", NOTES: "2"}, {WEB: "3", NOTES: "1"}, {WEB: "1", NOTES: "1"}, cluster_wins=True
    )
    assert found.written == (WEB,)
    assert [each.ref for each in found.pending] == [NOTES]


def test_what_was_applied_is_no_conflict():
    found = sort_out(side("2"), side("3"), side("1"), applied=lambda ref: ref == WEB)
    assert found.written == (WEB,)


def test_the_base_is_kept_where_the_commit_does_not_show_it():
    after = {WEB: "2"}
    assert unlike(after, {WEB: "1"}, [WEB]) == {WEB: "1"}
    assert unlike(after, {}, [WEB]) == {WEB: ""}
    assert unlike({}, {WEB: "1"}, [WEB]) == {WEB: "1"}
    assert unlike(after, {WEB: "2"}, [WEB]) == {}


# -- was it applied? --------------------------------------------------------------------------

BASE = {
    "spec": {
        "replicas": 3,
        "paused": True,
        "containers": [{"name": "web", "image": "web:1"}],
        "args": ["a", "b"],
    }
}


def changed(body, path, value):
    """A copy with one value set, or taken away where ``value`` is None."""
    result = copy.deepcopy(body)
    *parents, last = path
    node = result
    for step in parents:
        node = node[step]
    if value is None:
        del node[last]
    elif isinstance(node, list):
        node.insert(last, value)
    else:
        node[last] = value
    return result


REPLICAS = ("spec", "replicas")
PAUSED = ("spec", "paused")
LABEL = ("label",)
CONTAINERS = ("spec", "containers")
POLICY = {"name": "web", "image": "web:1", "pullPolicy": "Always"}
SIDECAR = {"name": "side", "image": "side:1"}


@pytest.mark.parametrize(
    ("git", "live", "answer"),
    [
        # Applied, and the cluster did something else as well.
        ([(REPLICAS, 5)], [(REPLICAS, 5), (LABEL, "x")], True),
        ([(PAUSED, None)], [(PAUSED, None), (REPLICAS, 4)], True),
        # Applied, and the API server filled in a default.
        ([((*CONTAINERS, 1), SIDECAR)], [((*CONTAINERS, 1), SIDECAR | {"policy": "x"})], True),
        ([(("spec", "new"), {"a": 1})], [(("spec", "new"), {"a": 1, "b": 2})], True),
        # Not applied: in each of these writing the cluster's version would undo something.
        ([(REPLICAS, 5)], [(LABEL, "x")], False),
        ([(REPLICAS, 5)], [(REPLICAS, 4)], False),
        ([(PAUSED, None)], [(LABEL, "x")], False),
        ([((*CONTAINERS, 1), SIDECAR)], [(LABEL, "x")], False),
        ([((*CONTAINERS, 0), None)], [((*CONTAINERS, 0, "pullPolicy"), "Always")], False),
        ([((*CONTAINERS, 0, "image"), "web:2")], [(CONTAINERS, [POLICY])], False),
        ([(("spec", "args", 2), "c")], [(("spec", "args", 2), "d")], False),
        ([(("spec", "new"), {"a": 1})], [(("spec", "new"), {"a": 2})], False),
        ([(("spec", "args"), None)], [(("spec", "args", 2), "c")], False),
        # Half applied.
        ([(REPLICAS, 5), (PAUSED, None)], [(REPLICAS, 5), (LABEL, "x")], False),
    ],
)
def test_whether_all_that_git_changed_is_in_the_cluster(git, live, answer):
    sides = []
    for changes in (git, live):
        body = BASE
        for path, value in changes:
            body = changed(body, path, value)
        sides.append(body)
    assert has_all_changes(*sides, BASE) is answer


def test_a_new_manifest_is_applied_once_the_cluster_has_all_it_says():
    short = {"kind": "Deployment", "spec": {"replicas": 2}}
    filled = {"kind": "Deployment", "spec": {"replicas": 2, "paused": False}}
    assert has_all_changes(short, filled, None)
    assert not has_all_changes(filled, short, None)
    assert not has_all_changes(short, changed(filled, REPLICAS, 1), None)


LEAVES = st.integers(0, 2) | st.booleans()
BODIES = st.dictionaries(
    st.sampled_from("ab"), LEAVES | st.dictionaries(st.sampled_from("cd"), LEAVES, max_size=2)
)


def leaves(body, at=()):
    for key, value in body.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), repr(value)


@given(BODIES, BODIES, BODIES)
def test_an_applied_change_is_never_lost(base, git, live):
    """Whatever a leaf of Git's says that the base did not say, or no longer says, live says too."""
    if not has_all_changes(git, live, base):
        return
    before, wanted, found = (dict(leaves(body)) for body in (base, git, live))
    for path, value in wanted.items():
        # A mapping that was empty in Git may have been filled by the cluster.
        filled = value == "{}" and any(each[: len(path)] == path for each in found)
        assert before.get(path) == value or found.get(path) == value or filled
    for path, value in before.items():
        inside = any(each[: len(path)] == path for each in wanted)
        if path not in wanted and not inside:
            assert found.get(path) != value


# -- a small world ----------------------------------------------------------------------------

REFS = [WEB, NOTES]


@dataclass
class World:
    """Git, a cluster and exports between them, each object's content a number or nothing."""

    git: dict[Ref, str] = field(default_factory=dict)
    live: dict[Ref, str] = field(default_factory=dict)
    unread: set[Ref] = field(default_factory=set)
    commits: list[tuple[dict[Ref, str], dict[Ref, str]]] = field(default_factory=list)
    """Of each export: the tree, and the bases that it does not show."""
    observed: dict[Ref, set[str | None]] = field(default_factory=dict)
    """What exports have seen in the cluster: that is in Git's history, and nothing lost."""

    def base(self) -> dict[Ref, str]:
        tree, held = self.commits[-1] if self.commits else ({}, {})
        return {ref: value for ref, value in (tree | held).items() if value}

    def export(self):
        base = self.base()
        found = sort_out(
            self.git,
            {ref: value for ref, value in self.live.items() if ref not in self.unread},
            base,
            unknown=lambda ref: ref in self.unread,
        )
        after = dict(self.git)
        for ref in found.written:
            if ref in self.live:
                after[ref] = self.live[ref]
            else:
                del after[ref]
        held = unlike(after, base, found.verdicts.keys() - set(found.written))
        before = self.git, self.commits[-1][1] if self.commits else {}
        if (after, held) != before or not self.commits:
            self.commits.append((after, held))
        self.git = dict(after)
        return found


VALUES = st.sampled_from(["1", "2", "3", None])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["git", "live"]), st.sampled_from(REFS), VALUES),
        st.tuples(st.just("apply"), st.sampled_from(REFS), st.none()),
        st.tuples(st.just("unread"), st.sampled_from(REFS), st.none()),
        st.tuples(st.just("export"), st.none(), st.none()),
    ),
    max_size=30,
)


def put(target, ref, value):
    if value is None:
        target.pop(ref, None)
    else:
        target[ref] = value


@given(STEPS)
def test_no_change_is_lost_whatever_happens(steps):
    world = World()
    world.export()
    #: What the cluster was whenever Git held the same: only such a version may be overwritten.
    shared = {ref: {None} for ref in REFS}

    def note() -> None:
        for ref in REFS:
            if world.git.get(ref) == world.live.get(ref):
                shared[ref].add(world.git.get(ref))

    for deed, ref, value in steps:
        if deed in ("git", "live"):
            put(getattr(world, deed), ref, value)
        elif deed == "apply":
            put(world.live, ref, world.git.get(ref))
        elif deed == "unread":
            world.unread ^= {ref}
        else:
            before, base = dict(world.git), world.base()
            found = world.export()
            named = {each.ref for each in (*found.pending, *found.conflicts)}
            for each in REFS:
                if world.git.get(each) != before.get(each):
                    # Git's version was overwritten: the cluster had had it, and has moved on.
                    assert before.get(each) in shared[each]
                    assert before.get(each) == base.get(each)
                if each in world.unread:
                    assert world.git.get(each) == before.get(each)
                elif world.git.get(each) != world.live.get(each):
                    # The cluster's version is not in Git: somebody is told.
                    assert each in named
                if each in {standing.ref for standing in found.pending}:
                    # ... and what the cluster has is in Git's history, so nothing is lost.
                    assert world.live.get(each) == base.get(each)
                    assert world.live.get(each) in shared[each]
            # Nothing has changed since, so nothing changes now.
            commits = len(world.commits)
            assert world.export() == found or found.written
            assert len(world.commits) == commits
        note()
    # Once the cluster is what Git says, nothing is left to be said.
    world.unread.clear()
    world.live = dict(world.git)
    found = world.export()
    assert found.verdicts == {}
    assert world.commits[-1][1] == {}
