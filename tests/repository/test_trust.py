"""Whose commits are read: real signatures, made by plain git, judged through the door."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from signing import gpg_key, ssh_key

from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.repository.repository import head, open_repository
from gitops_dr.repository.signatures import objection, signing_key
from gitops_dr.repository.trust import establish
from gitops_dr.signers import read_signer

FILE = "gitops-dr.yaml"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: ssh_key(folder, name) for name in ("alice", "bob", "mallory")}


@pytest.fixture(scope="module")
def gpg():
    with gpg_key() as key:
        yield key


@pytest.fixture
def write(repo, plain):
    """Commits files as a user would, signed by ``key`` if one is given; gives the id."""

    def run(files=None, key=None, *, where=repo, options=()):
        for path, text in (files or {}).items():
            if text is None:
                (where.root / path).unlink()
            else:
                (where.root / path).parent.mkdir(parents=True, exist_ok=True)
                (where.root / path).write_text(text)
        plain(where, "add", "--all")
        sign = [*key.settings] if key else []
        with_key = ["-S"] if key else ["--no-gpg-sign"]
        plain(where, *sign, "commit", "--quiet", "--allow-empty", *with_key, "-m", "x", *options)
        return head(where)

    return run


def config(*keys) -> str:
    lines = "".join(f"  - {key.line}\n" for key in keys)
    return f"format: 1\nclusters:\n  prod: {{}}\ntrust:\n  signers:\n{lines}"


NOBODY = "format: 1\nclusters:\n  prod: {}\n"


def settle(repo, outside=None, events=None):
    return establish(repo, head(repo), outside, (events if events is not None else []).append)


def lines(trust) -> list[str]:
    return [signer.line for signer in trust.signers]


def names(*keys) -> list[str]:
    return [key.line for key in keys]


@pytest.fixture
def outside(tmp_path):
    def write_file(*keys, name="signers"):
        file = tmp_path / name
        file.write_text("".join(f"{key.line}\n" for key in keys))
        return file

    return write_file


# Signatures.


def test_a_signature_by_one_of_the_signers_counts(repo, write, keys):
    commit = write(key=keys["alice"])
    signers = [read_signer(keys[name].line) for name in ("bob", "alice")]
    assert objection(repo, commit, signers) is None


@pytest.mark.parametrize(
    ("signed_by", "reason"), [(None, "it is not signed"), ("mallory", "by nobody who is trusted")]
)
def test_none_and_anothers_do_not(repo, write, keys, signed_by, reason):
    commit = write(key=keys.get(signed_by))
    assert reason in objection(repo, commit, [read_signer(keys["alice"].line)])


def test_a_signature_of_another_commit_does_not(repo, write, keys, plain):
    commit = write({"a": "good"}, keys["alice"])
    raw = repo.git.run(["cat-file", "commit", commit])
    (repo.root / "a").write_text("bad")
    plain(repo, "add", "a")
    forged = raw.replace(raw[5:45], plain(repo, "write-tree").encode(), 1)
    made = repo.git.run(["hash-object", "-t", "commit", "-w", "--stdin"], stdin=forged)
    signers = [read_signer(keys["alice"].line)]
    assert "does not fit" in objection(repo, made.decode().strip(), signers)


def test_a_signature_for_something_else_does_not(repo, write, keys, plain, tmp_path):
    """One of a file, by the right key, in the place of one of a commit."""
    commit = write({"a": "good"})
    raw = repo.git.run(["cat-file", "commit", commit])
    text = tmp_path / "text"
    text.write_bytes(raw)
    made = ["ssh-keygen", "-q", "-Y", "sign", "-f", keys["alice"].file, "-n", "file", text]
    subprocess.run(made, check=True, capture_output=True)
    signature = (tmp_path / "text.sig").read_bytes().rstrip().replace(b"\n", b"\n ")
    header, _, body = raw.partition(b"\n\n")
    forged = header + b"\ngpgsig " + signature + b"\n\n" + body
    made = repo.git.run(["hash-object", "-t", "commit", "-w", "--stdin"], stdin=forged)
    signers = [read_signer(keys["alice"].line)]
    assert objection(repo, made.decode().strip(), signers) is not None


def test_a_key_counts_only_in_its_time(repo, write, keys, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-06-01T12:00:00Z")
    commit = write(key=keys["alice"])
    line = keys["alice"].line
    within = read_signer(f'alice valid-after="20260101",valid-before="20270101" {line}')
    before = read_signer(f'alice valid-before="20260101" {line}')
    assert objection(repo, commit, [within]) is None
    assert objection(repo, commit, [before]) is not None


def test_gpg_counts_by_fingerprint_whatever_the_keyring_thinks(repo, write, gpg, keys, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    commit = write(key=gpg)
    other = read_signer("0" * 40)
    assert objection(repo, commit, [read_signer(gpg.line)]) is None
    assert "nobody who is trusted" in objection(repo, commit, [other])
    assert "only SSH keys" in objection(repo, commit, [read_signer(keys["alice"].line)])
    signed_by_ssh = write(key=keys["alice"])
    assert "only GPG keys" in objection(repo, signed_by_ssh, [read_signer(gpg.line)])


def test_a_subkey_signs_for_its_key(repo, write, monkeypatch):
    with gpg_key() as key:
        monkeypatch.setenv("GNUPGHOME", str(key.home))
        gpg = ["gpg", "--batch", "--passphrase", ""]
        add = [*gpg, "--quick-add-key", key.line, "ed25519", "sign", "never"]
        subprocess.run(add, check=True, capture_output=True)
        listed = subprocess.run(
            [*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True
        ).stdout.splitlines()
        _, subkey = (line.split(":")[9] for line in listed if line.startswith("fpr:"))
        # gpg takes the newest key that can sign, which is the subkey.
        commit = write(key=key)
        assert f"VALIDSIG {subkey}" in repo.git.verdict(["verify-commit", "--raw", commit])[1]
        assert objection(repo, commit, [read_signer(key.line)]) is None
        assert objection(repo, commit, [read_signer(subkey)]) is None


def test_a_gpg_key_that_is_not_there_is_said(repo, write, gpg, monkeypatch, tmp_path):
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    commit = write(key=gpg)
    (tmp_path / "g").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "g"))
    assert "not in the keyring" in objection(repo, commit, [read_signer(gpg.line)])


def test_a_revoked_gpg_key_does_not_count(repo, write, monkeypatch):
    with gpg_key() as key:
        monkeypatch.setenv("GNUPGHOME", str(key.home))
        commit = write(key=key)
        assert objection(repo, commit, [read_signer(key.line)]) is None
        # gpg puts a colon before it, so that nobody uses it by mistake.
        revocation = (key.home / "openpgp-revocs.d" / f"{key.line}.rev").read_text()
        subprocess.run(
            ["gpg", "--batch", "--import"],
            input=revocation.replace(":---", "---"),
            text=True,
            check=True,
            capture_output=True,
        )
        assert "not good" in objection(repo, commit, [read_signer(key.line)])


def test_the_repository_has_no_say_in_who_checks(repo, write, keys, trap, plain):
    """A program that always says yes, the attacker's own list, and no trust needed."""
    commit = write(key=keys["mallory"])
    marker = trap(repo)
    allowed = repo.root / "allowed"
    allowed.write_text(f"* {keys['mallory'].line}\n")
    script = marker.with_name("trap.sh")
    for name, value in {
        "gpg.program": script,
        "gpg.openpgp.program": script,
        "gpg.ssh.program": script,
        "gpg.ssh.allowedSignersFile": allowed,
        "gpg.ssh.defaultKeyCommand": script,
        "gpg.minTrustLevel": "never",
    }.items():
        plain(repo, "config", name, str(value))
    assert objection(repo, commit, [read_signer(keys["alice"].line)]) is not None
    assert not marker.exists()


def test_the_repository_cannot_take_trust_away_either(repo, write, keys, plain, tmp_path):
    commit = write(key=keys["alice"])
    revoked = tmp_path / "revoked"
    revoked.write_text(keys["alice"].line + "\n")
    plain(repo, "config", "gpg.ssh.revocationFile", str(revoked))
    plain(repo, "config", "gpg.minTrustLevel", "ultimate")
    assert objection(repo, commit, [read_signer(keys["alice"].line)]) is None


def test_nothing_is_left_of_the_list(repo, write, keys, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "t").mkdir()
    objection(repo, write(key=keys["alice"]), [read_signer(keys["alice"].line)])
    assert list((tmp_path / "t").iterdir()) == []


def test_without_ssh_keygen_nothing_counts(repo, write, keys, tmp_path, monkeypatch):
    commit = write(key=keys["alice"])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert objection(repo, commit, [read_signer(keys["alice"].line)]) is not None


def tag(plain, repo, name, commit, key=None, options=("-s",)):
    settings = key.settings if key else ()
    plain(repo, *settings, "tag", *options, "-m", "Looked at", name, commit)


def test_a_signed_tag_vouches_for_a_commit(repo, write, keys, gpg, plain, outside, monkeypatch):
    old = write({FILE: NOBODY})
    trust = lambda *who: settle(repo, outside(*who))  # noqa: E731 - said three times
    with pytest.raises(RefusedError, match="it is not signed") as caught:
        trust(keys["alice"])
    assert "git tag -s" in caught.value.hint
    tag(plain, repo, "good", old, keys["alice"])
    trust(keys["alice"]).require(old, "that")
    with pytest.raises(RefusedError, match="it is not signed"):
        trust(keys["bob"])
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    tag(plain, repo, "good-too", old, gpg)
    trust(gpg).require(old, "that")


def test_no_other_tag_does(repo, write, keys, plain, outside):
    """Lightweight, not signed, by a stranger, of another commit, of a tag, or a signature moved."""
    good = write({FILE: NOBODY}, keys["alice"])
    commit = write({"a": "a"})
    trust = establish(repo, good, outside(keys["alice"]), print)
    plain(repo, "tag", "light", commit)
    tag(plain, repo, "annotated", commit, options=("-a",))
    tag(plain, repo, "strange", commit, keys["mallory"])
    tag(plain, repo, "of-another", good, keys["alice"])
    tag(plain, repo, "of-a-tag", "annotated", keys["alice"])
    signed = repo.git.run(["cat-file", "tag", "refs/tags/of-another"])
    moved = signed.replace(good.encode(), commit.encode())
    made = repo.git.run(["hash-object", "-t", "tag", "-w", "--stdin"], stdin=moved)
    plain(repo, "update-ref", "refs/tags/moved", made.decode().strip())
    assert {"annotated", "light", "moved", "strange"} <= set(
        plain(repo, "tag", "--points-at", commit).split()
    )
    with pytest.raises(RefusedError, match="it is not signed"):
        trust.require(commit, "that")


def test_a_tag_changes_no_signers(repo, write, keys, plain):
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    changed = write({FILE: config(keys["mallory"])})
    tag(plain, repo, "good", changed, keys["alice"])
    with pytest.raises(RefusedError, match="it changes whose signatures count"):
        settle(repo)


# Signers from outside.


def test_without_signers_everything_is_read_and_nothing_is_said(repo, write):
    events = []
    write({FILE: NOBODY})
    trust = settle(repo, events=events)
    assert (trust.signers, events) == ((), [])
    trust.require("0" * 40, "anything")


def test_named_outside_only_they_count(repo, write, keys, outside):
    """Whatever the configuration says that the commit brings along."""
    write({FILE: config(keys["mallory"])}, keys["mallory"])
    with pytest.raises(RefusedError, match=r"commit [0-9a-f]{12} \(HEAD.*nothing was read"):
        settle(repo, outside(keys["alice"]))
    assert lines(settle(repo, outside(keys["alice"], keys["mallory"]))) == names(
        keys["alice"], keys["mallory"]
    )


def test_before_the_first_commit_there_is_nothing_to_judge(repo, keys, outside):
    trust = establish(repo, None, outside(keys["alice"]), print)
    assert lines(trust) == names(keys["alice"])


@pytest.mark.parametrize("how", ["in", "in .git", "link into", "link out of", "folder out of"])
def test_the_file_must_not_be_the_repositorys(repo, write, keys, outside, tmp_path, how):
    write({FILE: NOBODY}, keys["alice"])
    real = outside(keys["alice"])
    (repo.root / "signers").write_text(real.read_text())
    (repo.git_dir / "signers").write_text(real.read_text())
    (repo.root / "link").symlink_to(real)
    (repo.root / "folder").symlink_to(real.parent)
    (tmp_path / "link").symlink_to(repo.root / "signers")
    named = {
        "in": repo.root / "signers",
        "in .git": repo.git_dir / "signers",
        "link into": tmp_path / "link",
        "link out of": repo.root / "link",
        "folder out of": repo.root / "folder" / "signers",
    }[how]
    with pytest.raises(UsageError, match="part of the repository that it is to judge"):
        settle(repo, named)


def test_a_file_beside_the_repository_is_fine_from_within(repo, write, keys, outside, monkeypatch):
    write({FILE: NOBODY}, keys["alice"])
    outside(keys["alice"])
    monkeypatch.chdir(repo.root)
    assert lines(settle(repo, type(repo.root)("../signers"))) == names(keys["alice"])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "No such file"),
        (b"\xff", "not UTF-8"),
        (b"", "names nobody"),
        (b"#" * 2**21, "more than"),
    ],
)
def test_a_file_that_names_nobody_is_refused(repo, write, tmp_path, data, problem):
    write({FILE: NOBODY})
    file = tmp_path / "signers"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(UsageError, match=problem):
        settle(repo, file)


# Signers in the repository.


def test_taken_on_first_use_and_that_is_said_once(repo, write, keys):
    write({FILE: config(keys["alice"])}, keys["alice"])
    events = []
    assert lines(settle(repo, events=events)) == names(keys["alice"])
    assert ["for the first time" in event.text for event in events] == [True]
    events.clear()
    write(key=keys["alice"])
    settle(repo, events=events)
    assert events == []


def test_head_must_be_signed(repo, write, keys):
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    write({"clusters/prod/x.yaml": "x"})
    with pytest.raises(RefusedError, match="it is not signed; nothing was read"):
        settle(repo)
    write(key=keys["alice"])
    settle(repo)


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "fresh clone"])
@pytest.mark.parametrize("text", ["mallory's", NOBODY, None], ids=["other", "none", "no file"])
def test_no_stranger_changes_the_signers(repo, write, keys, seen, text):
    write({FILE: config(keys["alice"])}, keys["alice"])
    if seen:
        settle(repo)
    changed = config(keys["mallory"]) if text == "mallory's" else text
    write({FILE: changed}, keys["mallory"])
    write(key=keys["mallory"])
    with pytest.raises(RefusedError, match="it changes whose signatures count"):
        settle(repo)


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "fresh clone"])
def test_a_merge_hides_no_change(repo, write, keys, plain, seen):
    """History that is simplified by path would follow the side which agrees with the merge."""
    write({FILE: config(keys["alice"])}, keys["alice"])
    if seen:
        settle(repo)
    main = plain(repo, "branch", "--show-current")
    plain(repo, "checkout", "--quiet", "--orphan", "other")
    write({FILE: config(keys["mallory"])}, keys["mallory"])
    other = head(repo)
    plain(repo, "checkout", "--quiet", main)
    plain(
        repo,
        *keys["mallory"].settings,
        *("merge", "--quiet", "-S", "--allow-unrelated-histories", "-s", "ours", "-m", "x", other),
    )
    plain(repo, "rm", "-q", "--cached", FILE)
    plain(repo, "checkout", "--quiet", other, "--", FILE)
    plain(
        repo,
        *keys["mallory"].settings,
        *("commit", "--quiet", "--amend", "--no-edit", "-S"),
    )
    assert plain(repo, "show", f"HEAD:{FILE}") == config(keys["mallory"]).rstrip()
    assert len(plain(repo, "log", "-1", "--format=%P").split()) == 2
    with pytest.raises(RefusedError, match="it changes whose signatures count"):
        settle(repo)


def test_a_merge_by_a_signer_may(repo, write, keys, plain):
    write({FILE: config(keys["alice"])}, keys["alice"])
    main = plain(repo, "branch", "--show-current")
    plain(repo, "checkout", "--quiet", "-b", "other")
    write({FILE: config(keys["alice"], keys["bob"])}, keys["alice"])
    plain(repo, "checkout", "--quiet", main)
    write({"a": "a"}, keys["alice"])
    plain(repo, *keys["alice"].settings, "merge", "--quiet", "-S", "-m", "x", "other")
    assert lines(settle(repo)) == names(keys["alice"], keys["bob"])


@pytest.fixture
def rotated(repo, write, keys, plain):
    """Alice gives way to Bob, while a branch from before goes on. Gives the other's name."""
    write({FILE: config(keys["alice"])}, keys["alice"])
    main = plain(repo, "branch", "--show-current")
    plain(repo, "checkout", "--quiet", "-b", "old")
    write({"feature": "x"}, keys["alice"])
    plain(repo, "checkout", "--quiet", main)
    write({FILE: config(keys["alice"], keys["bob"])}, keys["alice"])
    write({FILE: config(keys["bob"])}, keys["bob"])
    return main


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "fresh clone"])
@pytest.mark.parametrize("onto", ["main", "old"])
def test_a_branch_from_before_a_change_may_be_merged(repo, rotated, write, keys, plain, seen, onto):
    """In both directions: the side that has not changed signers gives way."""
    if seen:
        settle(repo)
    if onto == "old":
        plain(repo, "checkout", "--quiet", "old")
    other = "old" if onto == "main" else rotated
    plain(repo, *keys["bob"].settings, "merge", "--quiet", "--no-ff", "-S", "-m", "x", other)
    assert len(plain(repo, "log", "-1", "--format=%P").split()) == 2
    assert lines(settle(repo)) == names(keys["bob"])


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "fresh clone"])
def test_no_merge_with_a_branch_from_before_brings_a_removed_signer_back(
    repo, rotated, write, keys, plain, seen
):
    if seen:
        settle(repo)
    merge = ["merge", "--quiet", "--no-ff", "--no-commit", "old"]
    plain(repo, *merge)
    (repo.root / FILE).write_text(config(keys["alice"]))
    write(key=keys["alice"])
    assert len(plain(repo, "log", "-1", "--format=%P").split()) == 2
    with pytest.raises(RefusedError, match="it changes whose signatures count"):
        settle(repo)


def test_a_commit_that_was_amended_stands_in_nobodys_way(repo, write, keys, plain):
    """What was looked at is in no history any more; signers can change all the same."""
    write({FILE: config(keys["alice"])}, keys["alice"])
    write({"a": "a"}, keys["alice"])
    settle(repo)
    plain(repo, *keys["alice"].settings, "commit", "--quiet", "--amend", "-S", "-m", "Better")
    assert lines(settle(repo)) == names(keys["alice"])
    write({FILE: config(keys["alice"], keys["bob"])}, keys["alice"])
    assert lines(settle(repo)) == names(keys["alice"], keys["bob"])
    note = (repo.git_dir / "gitops-dr" / "trust").read_text()
    assert head(repo) in note


def test_going_back_and_forth_between_branches_changes_nothing(repo, rotated, write, keys, plain):
    """A branch from before is judged by those who count today, and leaves no trace."""
    settle(repo)
    plain(repo, "checkout", "--quiet", "old")
    with pytest.raises(RefusedError, match="by nobody who is trusted"):
        settle(repo)
    write(key=keys["bob"])
    events = []
    assert lines(settle(repo, events=events)) == names(keys["bob"])
    assert events == []
    plain(repo, "checkout", "--quiet", rotated)
    write({FILE: config(keys["bob"], keys["alice"])}, keys["bob"])
    assert lines(settle(repo)) == names(keys["bob"], keys["alice"])


def test_signers_change_in_two_steps(repo, write, keys):
    """The new one comes by the old one's hand, and the old one goes by the new one's."""
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    write({FILE: config(keys["alice"], keys["bob"])}, keys["alice"])
    assert lines(settle(repo)) == names(keys["alice"], keys["bob"])
    write({FILE: config(keys["bob"])}, keys["bob"])
    assert lines(settle(repo)) == names(keys["bob"])
    write(key=keys["alice"])
    with pytest.raises(RefusedError, match="by nobody who is trusted"):
        settle(repo)


def test_a_signer_may_end_it(repo, write, keys):
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    write({FILE: NOBODY}, keys["alice"])
    assert settle(repo).signers == ()
    write({"a": "a"})
    assert settle(repo).signers == ()


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "fresh clone"])
@pytest.mark.parametrize("broken", ["a: [\n", "trust:\n", "trust: {signers: []}\n", "- no map\n"])
def test_a_file_that_cannot_be_read_ends_no_trust(repo, write, keys, seen, broken):
    write({FILE: config(keys["alice"])}, keys["alice"])
    if seen:
        settle(repo)
    write({FILE: broken}, keys["alice"])
    if seen:
        settle(repo)
    write({FILE: config(keys["mallory"])}, keys["mallory"])
    with pytest.raises(RefusedError, match="it changes whose signatures count"):
        settle(repo)


def test_a_history_written_anew_counts_for_nothing(repo, write, keys, plain):
    """Once a signer was seen here, a repository that never had one is refused."""
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    plain(repo, "checkout", "--quiet", "--orphan", "anew")
    write({FILE: config(keys["mallory"])}, keys["mallory"])
    with pytest.raises(RefusedError, match="by nobody who is trusted"):
        settle(repo)
    write({FILE: NOBODY})
    with pytest.raises(RefusedError, match="it is not signed"):
        settle(repo)


def test_an_old_state_does_not_bring_an_old_signer_back(repo, write, keys, plain):
    first = write({FILE: config(keys["alice"], keys["mallory"])}, keys["alice"])
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    plain(repo, "reset", "--quiet", "--hard", first)
    assert lines(settle(repo)) == names(keys["alice"])
    write(key=keys["mallory"])
    with pytest.raises(RefusedError, match="by nobody who is trusted"):
        settle(repo)
    # And what was looked at meanwhile is not forgotten.
    plain(repo, "reset", "--quiet", "--hard", first)
    assert lines(settle(repo)) == names(keys["alice"])


def test_replacements_do_not_hide_a_change(repo, write, keys, plain):
    first = write({FILE: config(keys["alice"])}, keys["alice"])
    changed = write({FILE: config(keys["mallory"])}, keys["mallory"])
    write(key=keys["mallory"])
    plain(repo, "replace", "--graft", changed)
    assert plain(repo, "rev-list", "--count", "HEAD") == "2", first
    with pytest.raises(RefusedError, match="it changes whose signatures count"):
        settle(repo)


def test_a_damaged_note_is_no_reason_to_trust(repo, write, keys):
    write({FILE: config(keys["alice"])}, keys["alice"])
    settle(repo)
    note = repo.git_dir / "gitops-dr" / "trust"
    for data in (b"", b"{}", b'{"commit": "x", "signers": ["nonsense"]}', b"\xff"):
        note.write_bytes(data)
        with pytest.raises(RefusedError, match="damaged") as caught:
            settle(repo)
        assert "delete it" in caught.value.hint


def test_a_shallow_clone_begins_at_its_cut(repo, write, keys, plain, tmp_path):
    write({FILE: NOBODY})
    write({FILE: config(keys["alice"])}, keys["alice"])
    write(key=keys["alice"])
    plain(repo, "clone", "--quiet", "--depth=2", f"file://{repo.root}", str(tmp_path / "clone"))
    assert lines(settle(open_repository(tmp_path / "clone"))) == names(keys["alice"])


def test_a_long_history_costs_little(repo, write, keys):
    """Two thousand commits, looked at once; afterwards only what is new."""
    write({FILE: config(keys["alice"])}, keys["alice"])
    first = head(repo)
    stream = [f"reset refs/heads/long\nfrom {first}\n\n"]
    for number in range(2000):
        stream.append(f"commit refs/heads/long\ncommitter a <a> {number} +0000\ndata 1\nx\n")
        stream.append(f"M 100644 inline a\ndata {len(str(number))}\n{number}\n")
    repo.git.run(["fast-import", "--quiet"], stdin="".join(stream).encode())
    repo.git.run(["update-ref", "HEAD", "refs/heads/long"])
    repo.git.run(["reset", "--hard", "--quiet"])
    write(key=keys["alice"])
    started = time.process_time(), os.times().children_user
    settle(repo)
    spent = time.process_time() - started[0] + os.times().children_user - started[1]
    assert spent < 3


# Our own commits.


def test_our_commits_are_signed_by_the_key_that_is_named(repo, save, keys, monkeypatch, plain):
    monkeypatch.setenv("GITOPS_DR_SIGNING_KEY", str(keys["alice"].file))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "A  Name")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "a@example.com")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "@1700000000 -0330")
    first = save(repo, {"a": b"a"}, message="Erste: ü\n\nText")
    made = save(repo, {"a": b"b"}, trailers={"Cluster": "x"})
    signers = [read_signer(keys["alice"].line)]
    assert [objection(repo, each.id, signers) for each in (first, made)] == [None, None]
    assert plain(repo, "log", "-1", "--format=%P %an %ae %ad|%s|%b", "--date=raw") == (
        f"{first.id} A  Name a@example.com 1700000000 -0330|Export|Cluster: x"
    )
    assert plain(repo, "log", "-1", "--format=%B", first.id) == "Erste: ü\n\nText"
    assert plain(repo, "status", "--porcelain") == ""
    assert plain(repo, "fsck", "--strict", "--no-dangling") == ""


def test_a_signed_commit_is_but_for_that_what_it_would_be(repo, save, keys, monkeypatch, plain):
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_DATE", "@1700000000 +0545")
    unsigned = save(repo, {"a": b"a"}, message="x\n\n  y  \n").id
    plain(repo, "update-ref", "-d", "HEAD")
    plain(repo, "rm", "-rqf", ".")
    monkeypatch.setenv("GITOPS_DR_SIGNING_KEY", str(keys["alice"].file))
    signed = save(repo, {"a": b"a"}, message="x\n\n  y  \n").id
    one, other = (repo.git.run(["cat-file", "commit", commit]) for commit in (unsigned, signed))
    start = other.index(b"gpgsig ")
    assert one == other[:start] + other[other.index(b"\n\n", start) + 1 :]


def test_our_commits_are_signed_by_gpg_too(repo, save, gpg, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    monkeypatch.setenv("GITOPS_DR_SIGNING_KEY", gpg.line)
    made = save(repo, {"a": b"a"})
    assert objection(repo, made.id, [read_signer(gpg.line)]) is None


def test_a_key_that_cannot_sign_stops_the_commit(repo, save, monkeypatch, tmp_path):
    (tmp_path / "key").write_text("no key")
    monkeypatch.setenv("GITOPS_DR_SIGNING_KEY", str(tmp_path / "key"))
    with pytest.raises(Exception, match="commit-tree"):
        save(repo, {"a": b"a"})
    assert head(repo) is None


@pytest.mark.parametrize("key", ["/no/such/file", "--upload-pack=x", "a\nb", "-x"])
def test_a_key_that_is_none_is_named(key):
    with pytest.raises(UsageError, match=r"^GITOPS_DR_SIGNING_KEY: neither"):
        signing_key({"GITOPS_DR_SIGNING_KEY": key})


def test_without_a_key_nothing_is_signed():
    assert signing_key({}) is None
    assert signing_key({"GITOPS_DR_SIGNING_KEY": ""}) is None


def test_where_signatures_count_a_commit_of_ours_that_does_not_is_not_made(repo, write, keys):
    settle(repo).require_own_key({})
    write({FILE: config(keys["alice"])}, keys["alice"])
    trust = settle(repo)
    with pytest.raises(RefusedError, match="ours would not be signed") as caught:
        trust.require_own_key({})
    assert "GITOPS_DR_SIGNING_KEY" in caught.value.hint
    with pytest.raises(RefusedError, match="ours would not be one: its SSH signature is by nobody"):
        trust.require_own_key({"GITOPS_DR_SIGNING_KEY": str(keys["mallory"].file)})
    before = plain_refs(repo)
    trust.require_own_key({"GITOPS_DR_SIGNING_KEY": str(keys["alice"].file)})
    assert plain_refs(repo) == before


def plain_refs(repo) -> bytes:
    return repo.git.run(["for-each-ref"])
