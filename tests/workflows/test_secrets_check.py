"""`secrets check`: what does not open, who can open it and should not, what is open in Git."""

import os
from pathlib import Path

import pytest
import yaml
from command import git
from secret_samples import SOPS, Key, Repo, new_key, place, secret

from gitops_dr.errors import ExitCode, RepositoryError, SecretError
from gitops_dr.events import Advanced, Notice, PhaseEnded, PhaseStarted
from gitops_dr.reports.secrets import check_exit_code
from gitops_dr.workflows import secrets_check
from gitops_dr.workflows.secrets_check import check
from gitops_dr.workflows.secrets_rotate import rotate

PLAIN = yaml.safe_dump(secret(password="correct horse battery"))
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49" * 3 + "\n"


@pytest.fixture(autouse=True)
def _people(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


@pytest.fixture
def one(tmp_path: Path) -> Key:
    return new_key(tmp_path, "one")


@pytest.fixture
def sealed(repo: Repo, one: Key) -> str:
    """A repository where all is well; the path of its one encrypted file."""
    repo.rules(one)
    return repo.seal(one)


def test_where_all_is_well(repo, one, sealed):
    found = check(repo.where(one))
    assert (found.opened, found.untried, found.failed) == (1, 0, ())
    assert (found.clean, found.complete) == (True, True)
    assert check_exit_code(found) == ExitCode.DONE
    assert found.history.blobs == int(git(repo.path, "count-objects").split()[0]) - sum(
        line.split()[1] in ("commit", "tree")
        for line in git(repo.path, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    )


def test_without_a_key_it_says_that_it_did_not_try(repo, sealed):
    found = check(repo.where())
    assert (found.opened, found.untried, found.identities) == (0, 1, 0)
    assert found.searched
    assert check_exit_code(found) == ExitCode.DONE


def test_a_key_that_opens_nothing_is_a_finding(repo, sealed, tmp_path):
    found = check(repo.where(new_key(tmp_path, "wrong")))
    (failed,) = found.failed
    assert failed.path == sealed
    assert failed.hint
    assert sealed not in failed.problem, "said once"
    assert check_exit_code(found) == ExitCode.DIFFERENCES


def test_a_key_file_that_others_can_read_is_warned_of(repo, one, sealed):
    one.file.chmod(0o644)
    said = []
    found = check(repo.where(one), emit=said.append)
    assert found.opened == 1
    assert any(str(one.file) in event.text for event in said if isinstance(event, Notice))


def test_a_key_file_that_is_none_is_named_and_not_quoted(repo, sealed, tmp_path):
    (tmp_path / "bad.txt").write_text("hunter2\n")
    try:
        found = check(repo.where(tmp_path / "bad.txt"))
    except SecretError as error:
        said = error.message + error.hint
    else:
        assert found.untried == 1
        said = " ".join(found.searched)
    assert "bad.txt" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("change", ["swapped", "value", "mac", "removed", "moved"])
def test_a_file_that_was_tampered_with_does_not_open(repo, one, change):
    repo.rules(one)
    path = repo.seal(one, a="1", b="2")
    body = yaml.safe_load(repo.read(path))
    values = body["stringData"]
    if change == "swapped":
        values["a"], values["b"] = values["b"], values["a"]
    elif change == "value":
        values["a"] = values["a"].replace("data:", "data:AAAA")
    elif change == "mac":
        body["sops"]["mac"] = values["a"]
    elif change == "removed":
        del values["a"]
    else:
        values["c"] = values.pop("a")
    repo.put(path, yaml.safe_dump(body))
    found = check(repo.where(one))
    assert [failed.path for failed in found.failed] == [path]
    assert check_exit_code(found) == ExitCode.DIFFERENCES


def test_a_file_that_cannot_be_read_outranks_what_is_wrong(repo, one, sealed, tmp_path):
    whole = repo.read(sealed)
    repo.put(place("cut"), whole[: len(whole) // 2])
    repo.seal(new_key(tmp_path, "old"), name="stale")
    found = check(repo.where(one))
    assert [unread.path for unread in found.listed.unread] == [place("cut")]
    assert found.wrong
    assert check_exit_code(found) == ExitCode.PARTIAL


def test_recipients_that_lack_and_that_stayed(repo, one, tmp_path):
    two, old = new_key(tmp_path, "two"), new_key(tmp_path, "old")
    repo.rules(one, two)
    path = repo.seal(one, old)
    found = check(repo.where(one))
    (wrong,) = found.wrong
    assert (wrong.path, wrong.missing, wrong.stale) == (path, (two.recipient,), (old.recipient,))
    assert check_exit_code(found) == ExitCode.DIFFERENCES


def test_a_recipient_that_gitops_dr_yaml_requires_may_lack_in_sops_yaml(repo, one, tmp_path):
    escrow = new_key(tmp_path, "escrow")
    repo.rules(one)
    repo.put(
        "gitops-dr.yaml",
        "format: 1\nclusters:\n  prod:\nsecrets:\n  recipients:\n"
        f"  - {{name: escrow, age: {escrow.recipient}}}\n",
    )
    repo.seal(one)
    found = check(repo.where(one))
    (wrong,) = found.wrong
    assert (wrong.missing, wrong.stale) == ((escrow.recipient,), ())
    assert found.listed.names == {escrow.recipient: "escrow"}


def test_a_recipient_that_is_not_required_is_neither_missing_nor_stale(repo, one, tmp_path):
    ops = new_key(tmp_path, "ops")
    repo.rules(one)
    repo.put(
        "gitops-dr.yaml",
        "format: 1\nclusters:\n  prod:\nsecrets:\n  recipients:\n"
        f"  - {{name: ops, age: {ops.recipient}, required: false}}\n",
    )
    repo.seal(one)
    repo.seal(one, ops, name="both")
    found = check(repo.where(one))
    assert found.wrong == ()
    assert found.listed.names == {ops.recipient: "ops"}


def test_an_encrypted_file_of_which_no_rule_says_who_opens_it_is_a_finding(repo, one):
    repo.seal(one)
    found = check(repo.where(one))
    assert [file.no_rule for file in found.wrong] != [""]
    assert check_exit_code(found) == ExitCode.DIFFERENCES


# -- what is open in Git -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PLAIN, "is a Secret with values in plain text"),
        (PRIVATE_KEY, "holds a private key in plain text"),
        ("AGE-IDENTITY", "holds an age identity"),
    ],
)
@pytest.mark.parametrize("path", [place(), "notes/x.txt", "clusters/other/x.yaml"])
def test_plain_text_in_the_tree(repo, one, sealed, content, reason, path):
    if content == "AGE-IDENTITY":
        content = one.file.read_text()
    repo.put(path, content)
    found = check(repo.where(one))
    (exposure,) = found.history.exposures
    assert reason in exposure.reason
    assert (exposure.path, exposure.commit, exposure.in_tree) == (path, repo.head, True)
    assert check_exit_code(found) == ExitCode.DIFFERENCES


def test_plain_text_in_the_history_is_found_where_it_came_in(repo, one, sealed):
    bad = repo.put("notes/secret.yaml", PLAIN)
    git(repo.path, "mv", "notes/secret.yaml", "notes/renamed.yaml")
    git(repo.path, "commit", "-qm", "rename")
    git(repo.path, "rm", "-q", "notes/renamed.yaml")
    git(repo.path, "commit", "-qm", "gone")
    found = check(repo.where(one))
    (exposure,) = found.history.exposures
    assert (exposure.path, exposure.commit) == ("notes/secret.yaml", bad)
    assert not exposure.in_tree
    assert "horse" not in repr(found)


@pytest.mark.parametrize("ref", ["refs/heads/side", "refs/tags/v1", "refs/stash", "refs/notes/n"])
def test_plain_text_that_any_ref_leads_to(repo, one, sealed, ref):
    kept = repo.head
    bad = repo.put("leak.yaml", PLAIN)
    git(repo.path, "update-ref", ref, "HEAD")
    git(repo.path, "reset", "-q", "--hard", kept)
    (exposure,) = check(repo.where(one)).history.exposures
    assert (exposure.commit, exposure.in_tree) == (bad, False)
    git(repo.path, "update-ref", "-d", ref)
    assert check(repo.where(one)).clean


def test_a_history_that_is_cut_off_is_said(repo, one, sealed, tmp_path):
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.path}", str(copy))
    there = repo.where(one)
    found = check(there.__class__(copy, environment=there.environment))
    assert "fetch --unshallow" in found.history.unread[0].reason
    assert check_exit_code(found) == ExitCode.PARTIAL


def test_what_is_too_large_to_look_at_is_said(repo, one, sealed, monkeypatch):
    real = secrets_check.every_blob
    monkeypatch.setattr(secrets_check, "every_blob", lambda repo: real(repo, limit=5_000))
    repo.put("large", "x" * 5_001)
    found = check(repo.where(one))
    assert [gap.ref.name for gap in found.history.unread] == ["large"]
    assert check_exit_code(found) == ExitCode.PARTIAL


def test_a_damaged_repository_is_an_error(repo, one, sealed):
    blob = git(repo.path, "rev-parse", f"HEAD~1:{'.sops.yaml'}").strip()
    file = repo.path / ".git" / "objects" / blob[:2] / blob[2:]
    file.chmod(0o600)
    file.write_bytes(b"damaged")
    with pytest.raises(RepositoryError):
        check(repo.where(one))


def test_a_repository_without_commits_and_one_without_secrets(repo, one, tmp_path):
    assert check(repo.where(one)).clean
    git(tmp_path, "init", "-q", "empty")
    (tmp_path / "empty" / "gitops-dr.yaml").write_text("format: 1\nclusters:\n  prod:\n")
    found = check(repo.where(one).__class__(tmp_path / "empty", environment={}))
    assert (found.history.blobs, found.clean, found.listed.commit) == (0, True, "")


def test_progress_is_told(repo, one, sealed, monkeypatch):
    monkeypatch.setattr(secrets_check, "_TELL_EVERY", 1)
    said = []
    found = check(repo.where(one), emit=said.append)
    phases = [event.phase for event in said if isinstance(event, PhaseStarted)]
    assert phases == ["files", "history"]
    ended = [event.count for event in said if isinstance(event, PhaseEnded)]
    assert ended == [1, found.history.blobs]
    told = [event.done for event in said if isinstance(event, Advanced)]
    assert told == [*range(1, found.history.blobs + 1)]


# -- keys that are not age's -------------------------------------------------------------------


def with_kms(repo: Repo, path: str, *, age: bool) -> None:
    """Say in an encrypted file that a key service can open it as well, or alone."""
    body = yaml.safe_load(repo.read(path))
    body["sops"]["kms"] = [{"arn": "arn:aws:kms:eu:1:key/x", "enc": "AAAA", "created_at": ""}]
    if not age:
        del body["sops"]["age"]
    repo.put(path, yaml.safe_dump(body, sort_keys=False))


def test_a_file_that_only_a_key_service_opens_is_not_tried_without_sops(repo, one, sealed):
    with_kms(repo, sealed, age=False)
    found = check(repo.where(one))
    assert (found.opened, found.untried, found.failed) == (0, 1, ())
    assert found.listed.files[0].other_keys == ("kms",)


def test_a_file_that_a_key_service_opens_too_opens_with_ours(repo, one, sealed):
    with_kms(repo, sealed, age=True)
    assert check(repo.where(one)).opened == 1
    with pytest.raises(SecretError, match="kms") as caught:
        rotate(repo.where(one))
    assert "sops" in caught.value.hint
    assert repo.clean


def test_what_sops_says_of_a_key_service_is_a_finding(repo, one, sealed):
    with_kms(repo, sealed, age=False)
    where = repo.where(one)
    path = {**where.environment, "PATH": str(SOPS.parent), "AWS_EC2_METADATA_DISABLED": "true"}
    (failed,) = check(where.__class__(repo.path, environment=path)).failed
    assert failed.path == sealed
    assert "kms" in failed.problem
