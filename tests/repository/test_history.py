"""Finding commits by name and by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.history import commit_info, resolve
from gitops_dr.repository.repository import head, open_repository

PREFIX = "clusters/x"


@pytest.fixture
def dated(save, monkeypatch):
    """Commits at a given UTC time."""

    def run(repo, when, changes):
        for who in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{who}_DATE", f"{when} +0000")
        return save(repo, changes).id

    return run


def test_commits_tags_and_branches(repo, save, plain):
    first = save(repo, {"clusters/x/a": b"1"}).id
    second = save(repo, {"clusters/x/a": b"2"}).id
    plain(repo, "tag", "before", first)
    plain(repo, "tag", "-am", "annotated", "v1", first)
    plain(repo, "branch", "side", first)
    plain(repo, "tag", "2026-11-22", first)
    for name in ("before", "v1", "side", first, first[:8], "HEAD~1", "2026-11-22", "refs/tags/v1"):
        assert resolve(repo, name, cluster_prefix=PREFIX) == first, name
    assert resolve(repo, "main", cluster_prefix=PREFIX) == second


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nightlyy", "did you mean nightly"),
        ("1" * 40, "give a commit"),
        ("yesterday", "give a commit"),
        ("HEAD:clusters", "give a commit"),
        ("main..nightly", "did you mean nightly"),
    ],
)
def test_an_unknown_name_comes_with_a_remedy(repo, save, plain, name, hint):
    save(repo, {"clusters/x/a": b"1"})
    plain(repo, "tag", "nightly")
    with pytest.raises(RepositoryError, match="no such commit") as caught:
        resolve(repo, name, cluster_prefix=PREFIX)
    assert hint in caught.value.hint


def test_a_time_is_the_newest_commit_of_the_cluster_until_then(repo, dated):
    first = dated(repo, "2026-11-20T10:00:00", {"clusters/x/a": b"1"})
    dated(repo, "2026-11-21T10:00:00", {"clusters/y/a": b"other cluster"})
    second = dated(repo, "2026-11-22T10:00:00", {"clusters/x/a": b"2"})
    table = {
        "2026-11-20T10:00:00Z": first,
        "2026-11-21T23:00:00Z": first,
        "2026-11-22T09:59:59.999Z": first,
        "2026-11-22T10:00:00Z": second,
        "2026-11-22t10:00z": second,
        "2026-11-22 10:00+00:00": second,
        "2026-11-22T11:00:00+01:00": second,
        "2026-11-22T10:59:59+01:00": first,
        "2030-01-01 00:00": second,
    }
    for when, commit in table.items():
        assert resolve(repo, when, cluster_prefix=PREFIX) == commit, when
    local = datetime(2026, 11, 22, 10, tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    assert resolve(repo, local, cluster_prefix=PREFIX) == second


def test_a_time_follows_the_first_parent_only(repo, dated, plain):
    first = dated(repo, "2026-11-20T10:00:00", {"clusters/x/a": b"1"})
    plain(repo, "switch", "-qc", "side")
    dated(repo, "2026-11-21T10:00:00", {"clusters/x/a": b"not merged yet"})
    plain(repo, "switch", "-q", "main")
    dated(repo, "2026-11-23T09:00:00", {"README": b"x"})
    plain(repo, "merge", "-q", "--no-ff", "-m", "merge", "side")
    assert resolve(repo, "2026-11-22T00:00Z", cluster_prefix=PREFIX) == first
    assert resolve(repo, "2999-01-01T00:00Z", cluster_prefix=PREFIX) == head(repo)


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ("2020-01-01T00:00Z", "2026-11-20 10:00:00"),
        ("1950-01-01T00:00Z", "2026-11-20 10:00:00"),
        ("2026-13-01 10:00", "such as"),
    ],
)
def test_a_time_without_commits_names_the_oldest(repo, dated, when, hint):
    dated(repo, "2026-11-20T10:00:00", {"clusters/x/a": b"1"})
    with pytest.raises(RepositoryError) as caught:
        resolve(repo, when, cluster_prefix=PREFIX)
    assert caught.value.message.startswith(when)
    assert hint in caught.value.hint


def test_nothing_to_find(repo, save, plain, tmp_path):
    for at in ("main", "2026-11-22 10:00"):
        with pytest.raises(RepositoryError) as caught:
            resolve(repo, at, cluster_prefix=PREFIX)
        assert "no commits yet" in str(caught.value) + caught.value.hint
    save(repo, {"a": b"1"})
    save(repo, {"a": b"2"})
    with pytest.raises(RepositoryError) as caught:
        resolve(repo, "2999-01-01 00:00", cluster_prefix=PREFIX)
    assert "touches clusters/x" in caught.value.hint
    plain(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.root}", "shallow")
    with pytest.raises(RepositoryError) as caught:
        resolve(open_repository(tmp_path / "shallow"), "1999-01-01 00:00", cluster_prefix="a")
    assert "--unshallow" in caught.value.hint


def test_what_a_commit_says(repo, save, plain, monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-11-22T10:00:00 -0330")
    made = save(repo, {"a": b"1"}, message="Export grüße\n\nbody", trailers={"Cluster": "x"}).id
    info = commit_info(repo, made)
    assert (info.id, info.subject, info.trailers) == (made, "Export grüße", {"Cluster": "x"})
    zone = timezone(-timedelta(hours=3, minutes=30))
    assert info.time == datetime(2026, 11, 22, 10, tzinfo=zone)
    assert info.time.utcoffset() == zone.utcoffset(None)
    (repo.root / "message").write_bytes("café".encode("latin-1"))
    latin = ["-c", "i18n.commitEncoding=ISO-8859-1", "commit", "--allow-empty", "-qF", "message"]
    plain(repo, *latin)
    theirs = commit_info(repo, head(repo))
    assert (theirs.subject, theirs.trailers) == ("café", {})
    with pytest.raises(RepositoryError):
        commit_info(repo, "1" * 40)
    with pytest.raises(RepositoryError):
        commit_info(repo, "-p")
