"""Which repository, which cluster of it, and how it is reached."""

import pytest
from fake_api import write_kubeconfig

from gitops_dr.engine.opening import Where, open_cluster, open_repo
from gitops_dr.errors import RepositoryError, UsageError
from gitops_dr.events import Notice

ONE = "format: 1\nclusters:\n  prod:\n    context: fake\n"


def test_what_is_committed_counts(repo, save):
    commit = save({"gitops-dr.yaml": ONE})
    opened = open_repo(Where(repo.root))
    assert (opened.head, opened.settings.name) == (commit, "prod")
    assert opened.settings.prefix == "clusters/prod"
    assert opened.settings.context.value == "fake"


def test_a_change_that_is_not_committed_is_said_and_does_not_count(repo, save):
    save({"gitops-dr.yaml": ONE})
    (repo.root / "gitops-dr.yaml").write_text(ONE.replace("prod", "other"))
    events = []
    assert open_repo(Where(repo.root), events.append).settings.name == "prod"
    assert [type(event) for event in events] == [Notice]
    assert "not committed" in events[0].text


def test_nothing_is_said_of_what_did_not_change(repo, save):
    save({"gitops-dr.yaml": ONE})
    events = []
    open_repo(Where(repo.root), events.append)
    assert events == []


def test_before_the_first_commit_the_file_counts(repo):
    (repo.root / "gitops-dr.yaml").write_text(ONE)
    opened = open_repo(Where(repo.root))
    assert (opened.head, opened.settings.name) == (None, "prod")


def test_a_file_that_was_never_committed_counts(repo, save):
    save({"README.md": "ours"})
    (repo.root / "gitops-dr.yaml").write_text(ONE)
    assert open_repo(Where(repo.root)).settings.name == "prod"


def test_without_a_file_the_cluster_must_be_named(repo):
    with pytest.raises(UsageError, match="which cluster"):
        open_repo(Where(repo.root))
    assert open_repo(Where(repo.root, cluster="prod")).settings.prefix == "clusters/prod"


def test_the_environment_names_a_cluster_too(repo):
    where = Where(repo.root, environment={"GITOPS_DR_CLUSTER": "prod"})
    assert open_repo(where).settings.name == "prod"


def test_outside_a_repository_it_says_so(tmp_path):
    with pytest.raises(RepositoryError, match="not in a Git repository"):
        open_repo(Where(tmp_path))


def test_the_cluster_is_reached_by_the_context_of_its_settings(repo, save, tmp_path):
    save({"gitops-dr.yaml": ONE})
    file = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    where = Where(repo.root, kubeconfig=file)
    connection = open_cluster(where, open_repo(where).settings)
    assert (connection.context, connection.server) == ("fake", "http://127.0.0.1:1")


def test_a_context_that_the_kubeconfig_lacks_is_refused(repo, save, tmp_path):
    save({"gitops-dr.yaml": ONE})
    file = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    where = Where(repo.root, kubeconfig=file, context="other")
    with pytest.raises(UsageError, match="'other'"):
        open_cluster(where, open_repo(where).settings)


def test_without_any_context_the_current_one_counts(repo, tmp_path):
    file = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    where = Where(repo.root, cluster="prod", kubeconfig=file)
    assert open_cluster(where, open_repo(where).settings).context == "fake"
