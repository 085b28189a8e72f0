"""A pull request beside its base: what merging would do, and what is drift already."""

import pytest
from command import commit_all, git

from gitops_dr.engine.against import LEFT, merges, parting
from gitops_dr.errors import RepositoryError
from gitops_dr.model import (
    Action,
    Difference,
    Entry,
    FieldChange,
    FieldManager,
    Presence,
    Ref,
    State,
)
from gitops_dr.repository.repository import open_repository
from gitops_dr.results.drift import Merge


def ref(name):
    return Ref("", "ConfigMap", "shop", name)


def state(**fingerprints):
    return State({ref(n): Entry(f, f"{n}.yaml", "v1") for n, f in fingerprints.items()})


def modified(name, *changes):
    return Difference(ref(name), Presence.MODIFIED, f"{name}.yaml", changes)


def test_only_what_the_change_is_about_is_merged():
    before = state(same="1", edited="1", applied="1", gone="1", gone_everywhere="1", unknown="1")
    after = state(same="1", edited="2", applied="2", new="1", there="1", unknown="2")
    hand = FieldManager("kubectl-edit", "Update")
    differences = [
        # Drift already, whatever is merged.
        modified("same", FieldChange("data.a", "replace", old="git", new="live")),
        modified(
            "edited",
            FieldChange("data.a", "replace", old="git", new="live", managers=(hand,)),
            FieldChange("data.b", "add", new="only live"),
            FieldChange("data.c", "remove", old="only git"),
        ),
        Difference(ref("new"), Presence.MISSING, "new.yaml"),
        Difference(ref("gone"), Presence.UNMANAGED, "gone.yaml"),
        Difference(ref("never"), Presence.UNMANAGED, "never.yaml"),
        Difference(ref("unknown"), Presence.UNKNOWN, "unknown.yaml", reason="not listed"),
    ]
    assert merges(before, after, differences) == (
        Merge(
            ref("edited"),
            Action.CONFIGURE,
            (
                FieldChange("data.a", "replace", old="live", new="git"),
                FieldChange("data.b", "remove", old="only live"),
                FieldChange("data.c", "add", new="only git"),
            ),
        ),
        Merge(ref("gone"), Action.SKIP, reason=LEFT),
        Merge(ref("new"), Action.CREATE),
        Merge(ref("unknown"), Action.SKIP, reason="not listed"),
    )


def test_a_change_of_nothing_merges_nothing():
    both = state(a="1")
    assert merges(both, both, [Difference(ref("a"), Presence.MISSING, "a.yaml")]) == ()
    assert merges(state(), state(), []) == ()


@pytest.fixture
def history(tmp_path, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch=main")

    def commit(name):
        (repo / name).write_text(name)
        commit_all(repo, name)
        return git(repo, "rev-parse", "HEAD").strip()

    commit.repo = repo
    return commit


def test_histories_part_where_they_were_last_one(history):
    common = history("common")
    git(history.repo, "switch", "--quiet", "--create", "change")
    head = history("change")
    git(history.repo, "switch", "--quiet", "main")
    base = history("meanwhile")
    repo = open_repository(history.repo)
    assert parting(repo, base, head) == common
    assert parting(repo, common, head) == common
    # What a runner checks out for a pull request is the merge itself.
    git(history.repo, "merge", "--quiet", "--no-edit", "change")
    merged = git(history.repo, "rev-parse", "HEAD").strip()
    assert parting(repo, base, merged) == base


def test_histories_that_were_never_one_are_refused(history, tmp_path):
    base = history("a")
    git(history.repo, "switch", "--quiet", "--orphan", "other")
    head = history("b")
    with pytest.raises(RepositoryError, match="no history in common"):
        parting(open_repository(history.repo), base, head)


def test_a_shallow_clone_is_told_what_it_lacks(history, tmp_path):
    history("common")
    git(history.repo, "switch", "--quiet", "--create", "change")
    history("change")
    git(history.repo, "switch", "--quiet", "main")
    history("meanwhile")
    clone = tmp_path / "clone"
    git(
        tmp_path,
        "clone",
        "--quiet",
        "--depth=1",
        "--no-single-branch",
        f"file://{history.repo}",
        str(clone),
    )
    repo = open_repository(clone)
    commits = [git(clone, "rev-parse", f"origin/{name}").strip() for name in ("main", "change")]
    with pytest.raises(RepositoryError) as raised:
        parting(repo, *commits)
    assert "fetch-depth" in raised.value.hint
