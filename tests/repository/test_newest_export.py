"""Which commit of a history is the last export, whatever was merged, amended or skewed."""

import pytest

from gitops_dr.repository.history import files_digest, is_shallow, newest_export
from gitops_dr.repository.repository import head
from gitops_dr.repository.tree import blobs

PREFIX = "clusters/prod"


@pytest.fixture
def export(repo, save):
    """Commit one file of the cluster as an export does; gives the commit."""

    def run(text: str, *, cluster: str = "prod", name: str = "a.yaml") -> str:
        path, data = f"clusters/{cluster}/{name}", text.encode()
        before = head(repo)
        files = blobs(repo, before, f"clusters/{cluster}") if before else {}
        digest = files_digest(files | {name: repo.blob_id(data)})
        trailers = {"Cluster": cluster, "Cluster-Files": digest}
        return save(repo, {path: data}, trailers=trailers).id

    return run


def newest(repo) -> str | None:
    return newest_export(repo, head(repo), cluster="prod", prefix=PREFIX)


def test_a_digest_names_paths_and_contents():
    files = {"a": "1" * 40, "b": "2" * 40}
    assert files_digest(files) == files_digest(dict(reversed(files.items())))
    assert files_digest(files) != files_digest({"a": "2" * 40, "b": "1" * 40})


def test_edits_after_it_are_no_export(repo, export, save):
    made = export("one")
    assert newest(repo) == made
    save(repo, {f"{PREFIX}/a.yaml": b"edited"})
    assert newest(repo) == made
    second = export("two")
    assert newest(repo) == second


def test_there_may_be_none(repo, save):
    save(repo, {f"{PREFIX}/a.yaml": b"by hand"}, trailers={"Cluster": "prod"})
    assert newest(repo) is None
    assert not is_shallow(repo)


def test_another_clusters_export_is_none_of_ours(repo, export):
    made = export("one")
    export("two", cluster="prod-2")
    assert newest(repo) == made


def test_an_amended_export_is_none(repo, export, plain):
    first = export("one")
    export("two")
    (repo.root / PREFIX / "a.yaml").write_text("edited")
    plain(repo, "commit", "--quiet", "--all", "--amend", "--no-edit")
    assert newest(repo) == first


@pytest.mark.parametrize("indent", ["", "    ", "* "])
def test_a_squashed_merge_counts_by_its_lines(repo, export, plain, save, indent):
    first = export("one")
    digest = files_digest({"a.yaml": repo.blob_id(b"two")})
    lines = ["Merge of many (#7)", "", f"{indent}Cluster: prod", f"{indent}Cluster-Files: {digest}"]
    message = "\n".join([*lines, "", "Co-authored-by: Someone <someone@example.com>"])
    made = save(repo, {f"{PREFIX}/a.yaml": b"two"}, message=message).id
    # Marked as an item of a list it is no line of its own.
    assert newest(repo) == (first if indent == "* " else made)


def test_a_merge_leads_to_the_newest_of_both_sides(repo, export, plain, save):
    first = export("one")
    plain(repo, "branch", "feature")
    second = export("two")
    plain(repo, "switch", "--quiet", "feature")
    save(repo, {"README.md": b"news"})
    plain(repo, "merge", "--quiet", "--no-edit", "main")
    assert newest(repo) == second
    assert second != first


def test_a_clock_that_went_backwards_changes_nothing(repo, export, save, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-24T12:00:00Z")
    export("one")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-23T12:00:00Z")
    second = export("two")
    save(repo, {"README.md": b"news"})
    assert newest(repo) == second


def test_of_two_branches_the_one_committed_last_counts(repo, export, plain, monkeypatch):
    export("one")
    plain(repo, "branch", "feature")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2035-01-02T00:00:00Z")
    later = export("later")
    plain(repo, "switch", "--quiet", "feature")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2035-01-01T00:00:00Z")
    export("earlier", name="b.yaml")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2035-01-03T00:00:00Z")
    plain(repo, "merge", "--quiet", "--no-edit", "main")
    assert newest(repo) == later
