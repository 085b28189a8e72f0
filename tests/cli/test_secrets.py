"""`gitops-dr secrets` from the command line: flags, outputs, exit codes; keys are never quoted."""

from pathlib import Path

import pytest
from command import Said, git, gitops_dr
from secret_samples import Repo, new_key, place

from gitops_dr import cli
from gitops_dr.errors import ExitCode


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    made = Repo(tmp_path / "repo")
    monkeypatch.setenv("HOME", str(made.home))
    return made


def test_from_nothing_to_a_checked_repository(repo, tmp_path, monkeypatch):
    two = new_key(tmp_path, "two")
    here = ("--repo", str(repo.path))
    file = tmp_path / "prod.txt"
    made = gitops_dr(
        "secrets", "init", *here, "--key-file", str(file), "--recipient", f"two={two.recipient}",
        "-o", "json",
    )  # fmt: skip
    assert (made.code, made.json["keyFile"]) == (0, str(file))
    key = next(one["key"] for one in made.json["recipients"] if one["name"] == "prod")
    assert "SECRET-KEY" not in made.out + made.err

    repo.seal(two.__class__(file, key), two)
    listed = gitops_dr("secrets", "list", *here)
    assert listed.code == 0
    assert "shop/db   encrypt   prod, two   ok" in listed.out

    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(file))
    rotated = gitops_dr("secrets", "rotate", "shop/db", *here, "-q")
    assert (rotated.code, rotated.err) == (0, "")
    assert "Secret/shop/db: password" in rotated.out
    checked = gitops_dr("secrets", "check", *here, "-o", "json")
    assert (checked.code, checked.json["opened"], checked.json["clean"]) == (0, 1, True)
    assert "history done" in checked.err

    repo.put("leak", file.read_text())
    found = gitops_dr("secrets", "check", *here)
    assert found.code == ExitCode.DIFFERENCES
    assert "leak: holds an age identity" in found.out
    for said in (made, listed, rotated, checked, found):
        for secret in ("tr0ub4dor", *file.read_text().splitlines()[-1:]):
            assert secret not in said.out + said.err


def test_only_one_namespace_or_label_is_rotated(repo, tmp_path, monkeypatch):
    one = new_key(tmp_path, "one")
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(one.file))
    repo.rules(one)
    for name, namespace in (("a", "x"), ("b", "x"), ("c", "y")):
        repo.seal(one, name=name, namespace=namespace)
    before = repo.read(place("c", "y"))
    for flags, names in ((("-n", "x"), "ab"), (("-l", "name in (a,c)"), "ac"), (("x/a",), "a")):
        said = gitops_dr("secrets", "rotate", *flags, "--repo", str(repo.path), "-o", "json",
                         "--dry-run")  # fmt: skip
        assert said.code == 0, said.err
        assert [one["ref"]["name"] for one in said.json["rotated"]] == [*names]
        assert said.json["commit"] is None
    assert repo.read(place("c", "y")) == before


def test_what_is_staged_is_checked_for_the_hook(repo):
    here = ("--repo", str(repo.path))
    (repo.path / "notes").write_text("nothing")
    git(repo.path, "add", "notes")
    assert gitops_dr("secrets", "check", "--staged", "-q", *here) == Said(0, "", "")
    assert "1 staged file" in gitops_dr("secrets", "check", "--staged", *here).out
    (repo.path / "leak").write_text(new_key(repo.home, "x").file.read_text())
    git(repo.path, "add", "leak")
    for flags in ((), ("-q",)):
        said = gitops_dr("secrets", "check", "--staged", *flags, *here)
        assert (said.code, said.err) == (ExitCode.DIFFERENCES, "")
        assert "leak: holds an age identity" in said.out
        assert "SECRET-KEY" not in said.out
    found = gitops_dr("secrets", "check", "--staged", "-o", "json", *here).json
    assert [one["path"] for one in found["exposures"]] == ["leak"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["init"], "nobody to name"),
        (["init", "--recipient", "age1x"], "--recipient, number 1: not NAME=age1..."),
        (["init", "--recipient", "=age1x"], "--recipient, number 1: not NAME=age1..."),
        (["init", "--recipient", "x="], "--recipient, number 1: not NAME=age1..."),
        (["init", "--recipient", "x=age1x", "--recipient", "x=age1y"], "number 2: named twice"),
        (["init", "--recipient", "x=AGE-SECRET-KEY-1HUNTER2"], "a private key"),
        (["init", "--recipient", "AGE-SECRET-KEY-1HUNTER2"], "number 1: not NAME=age1..."),
        (["rotate", "db"], "db: not NAMESPACE/SECRET"),
        (["rotate", "a/b/c"], "a/b/c: not NAMESPACE/SECRET"),
        (["rotate", "-l", "a==="], "--selector"),
        (["rotate", "shop/gone"], "Secret/shop/gone: no encrypted file"),
        (["list", "--cluster", "other"], "cluster 'other'"),
    ],
)
def test_what_makes_no_sense(repo, capsys, arguments, said):
    before = repo.head
    assert cli.run(["secrets", *arguments, "--repo", str(repo.path)]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert "HUNTER2" not in error
    assert "hint:" in error or "--selector" in error
    assert repo.head == before
