"""Signatures, saved plans and rewritten history, by the command and on a real API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Said, git, gitops_dr
from signing import ssh_key

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect

pytestmark = pytest.mark.lab

NAMESPACE = "/api/v1/namespaces"
MAPS = f"{NAMESPACE}/signed/configmaps"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return ssh_key(tmp_path_factory.mktemp("keys"), "alice")


@pytest.fixture(scope="module")
def place(lab_home, tmp_path_factory):
    """A repository with one export of a cluster, and how the cluster is reached."""
    repo = tmp_path_factory.mktemp("trust") / "repository"
    with labs.running("trusting") as lab:
        reach = labs.service_account_kubeconfig(lab)
        connection = connect(reach)
        connection.json(
            "POST", NAMESPACE, body=json.dumps({"metadata": {"name": "signed"}}).encode()
        )
        for name in ("a", "b"):
            put(connection, name, v="1")
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code == 0, said.err
        yield repo, reach


def put(connection, name: str, **data: str) -> None:
    body = {"metadata": {"name": name}, "data": data}
    connection.json("POST", MAPS, body=json.dumps(body).encode())


@pytest.fixture
def repo(place, tmp_path) -> Path:
    """A clone of its own, with the log of the first one."""
    clone = tmp_path / "clone"
    git(place[0], "clone", "--quiet", str(place[0]), str(clone))
    log = (place[0] / ".git" / "gitops-dr" / "points").read_text()
    (clone / ".git" / "gitops-dr").mkdir()
    (clone / ".git" / "gitops-dr" / "points").write_text(log)
    return clone


@pytest.fixture
def run(place, repo):
    def command(verb: str, *flags: str) -> Said:
        return gitops_dr(verb, "--repo", str(repo), *flags, kubeconfig=place[1])

    return command


@pytest.fixture
def signers(key, tmp_path) -> Path:
    file = tmp_path / "signers"
    file.write_text(f"# ours\n{key.line}\n")
    return file


def sign(repo: Path, key) -> None:
    git(repo, *key.settings, "commit", "--quiet", "--allow-empty", "-S", "-m", "Vouch")


@pytest.mark.parametrize(
    "line",
    ["drift", "plan", "rebuild --yes", "revert --yes", "export"],
)
def test_what_nobody_signed_is_refused_by_every_verb(run, repo, key, signers, line, monkeypatch):
    """The last commit has a configuration that nobody could read, and nobody has to."""
    (repo / "gitops-dr.yaml").write_text("format: [")
    git(repo, "commit", "--quiet", "--all", "-m", "Not signed")
    verb, *flags = line.split()
    said = run(verb, *flags, "--trusted-signers", str(signers))
    assert said.code == 6, said.err
    assert "it is not signed; nothing was read from it" in said.err
    monkeypatch.setenv("GITOPS_DR_TRUSTED_SIGNERS", str(signers))
    assert run(verb, *flags).code == 6


def test_what_is_signed_is_read(run, repo, key, signers):
    sign(repo, key)
    for verb in ("drift", "plan", "rebuild"):
        said = run(verb, "--trusted-signers", str(signers), *(["--yes"] * (verb == "rebuild")))
        assert said.code == 0, said.err
    said = run("drift", "--trusted-signers", str(signers), "--at", "HEAD^")
    assert (said.code, "it is not signed" in said.err) == (6, True)
    said = run("drift", "--trusted-signers", str(signers), "--against", "HEAD^")
    assert (said.code, "what the change is against" in said.err) == (6, True)


def test_a_plan_that_was_looked_at_is_the_one_that_is_carried_out(run, place, repo, tmp_path):
    connection = connect(place[1])
    connection.request("DELETE", f"{MAPS}/a")
    file = tmp_path / "plan.json"
    planned = run("plan", "--ref", "ConfigMap/signed/a", "--out", str(file), "-o", "json")
    assert planned.code == 1, planned.err
    assert json.loads(file.read_text())["digest"] == planned.json["digest"]

    # Somebody changes the configuration meanwhile, or something else is gone from the cluster.
    with (repo / "gitops-dr.yaml").open("a") as settings:
        settings.write("# changed\n")
    git(repo, "commit", "--quiet", "--all", "-m", "Change")
    said = run("rebuild", "--yes", "--plan", str(file))
    assert (said.code, "gitops-dr.yaml has changed since" in said.err) == (6, True)
    git(repo, "reset", "--quiet", "--hard", "HEAD^")

    said = run("rebuild", "--yes", "--plan", str(file), "--overwrite")
    assert (said.code, "the plan says itself" in said.err) == (2, True)
    said = run("rebuild", "--yes", "--plan", str(file), "--cluster", "other")
    assert (said.code, "it is about cluster prod" in said.err) == (2, True)

    said = run("rebuild", "--yes", "--plan", str(file))
    assert said.code == 0, said.err
    assert connection.json("GET", f"{MAPS}/a")["data"] == {"v": "1"}
    said = run("rebuild", "--yes", "--plan", str(file))
    assert (said.code, "gone: create ConfigMap/signed/a" in said.err) == (6, True)


def test_a_rebuild_refuses_a_history_that_was_written_anew(run, place, repo):
    git(repo, "commit", "--quiet", "--amend", "--reset-author", "-m", "Anew")
    lost = git(place[0], "rev-parse", "HEAD").strip()
    for verb in ("drift", "plan"):
        said = run(verb)
        assert said.code == 0, said.err
        assert lost in said.err
    said = run("rebuild", "--yes")
    assert said.code == 6, said.err
    assert lost in said.err
    assert "nothing was written" in said.err
    assert run("rebuild", "--yes", "--accept-rewritten-history").code == 0


def test_a_fresh_clone_is_told_by_the_cluster(run, place, repo):
    """The log that it keeps in our namespace, where there is one."""
    (repo / ".git" / "gitops-dr" / "points").unlink()
    git(repo, "commit", "--quiet", "--amend", "--reset-author", "-m", "Anew")
    lost = git(place[0], "rev-parse", "HEAD").strip()
    said = run("drift")
    assert said.code == 0, said.err
    assert lost in said.err
